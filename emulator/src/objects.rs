// SPDX-License-Identifier: Apache-2.0
//! Operations on objects: put, get, head, delete, list.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_TYPE, EXPIRES, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, RANGE,
};
use http::{Method, StatusCode};
use md5::{Digest as _, Md5};
use serde_json::{Map, Value};

use crate::clock::rfc3339;
use crate::fault::Plan;
use crate::reply::{ApiError, Reply};
use crate::storage::{Condition, ListQuery, Object, Storage, check_if_match, matches};
use crate::target::{BucketName, Target};

/// Most objects and prefixes in one page of a list.
const MAX_LIMIT: usize = 1000;

/// Content headers that are kept with an object and sent again; `opc-meta-*` are kept too.
const KEPT: [HeaderName; 5] =
    [CONTENT_TYPE, CONTENT_LANGUAGE, CONTENT_ENCODING, CONTENT_DISPOSITION, CACHE_CONTROL];

/// Query parameters of GetObject that replace a header of the answer.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("httpResponseContentType", CONTENT_TYPE),
    ("httpResponseContentLanguage", CONTENT_LANGUAGE),
    ("httpResponseContentEncoding", CONTENT_ENCODING),
    ("httpResponseContentDisposition", CONTENT_DISPOSITION),
    ("httpResponseCacheControl", CACHE_CONTROL),
    ("httpResponseExpires", EXPIRES),
];

/// The value of a request header, if it is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A fresh ETag: a UUID, as the service's are.
pub(crate) fn new_etag() -> String {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = bytes.map(|byte| format!("{byte:02x}")).concat();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// What of a PutObject can be refused before its body is read.
pub(crate) fn check_put(headers: &HeaderMap, name: &str) -> Result<Condition, ApiError> {
    if name.len() > 1024 || name.contains(['\r', '\n', '\0']) {
        return Err(ApiError::bad_request(
            "InvalidObjectName",
            "An object's name has 1 to 1024 bytes of UTF-8 and no LF, CR or NUL",
        ));
    }
    let absent = match text(headers, "if-none-match") {
        None => false,
        Some("*") => true,
        Some(_) => {
            return Err(ApiError::bad_request(
                "IfNoneMatchDisallowed",
                "If-None-Match of a PUT may only be '*'",
            ));
        }
    };
    Ok(Condition { if_match: text(headers, "if-match").map(str::to_owned), absent })
}

pub(crate) fn put(
    storage: &Storage,
    bucket: &BucketName,
    name: &str,
    headers: &HeaderMap,
    body: Bytes,
    now: SystemTime,
) -> Result<Reply, ApiError> {
    let condition = check_put(headers, name)?;
    let md5 = STANDARD.encode(Md5::digest(&body));
    let crc32c = STANDARD.encode(crc32c::crc32c(&body).to_be_bytes());
    check_md5(headers, &md5)?;
    let object = Object {
        digests: check_digests(headers, &body, &crc32c)?,
        etag: new_etag(),
        version: new_etag(),
        md5,
        crc32c,
        created: now,
        modified: now,
        storage_tier: text(headers, "storage-tier").unwrap_or("Standard").to_owned(),
        headers: kept_headers(headers),
        bytes: body,
    };
    let object = storage.put(bucket, name, object, &condition)?;
    let mut reply = Reply::empty(StatusCode::OK)
        .with_text("etag", &object.etag)
        .with_text("last-modified", &httpdate::fmt_http_date(object.modified))
        .with_text("opc-content-md5", &object.md5)
        .with_text("version-id", &object.version)
        .with_text("opc-content-crc32c", &object.crc32c);
    reply.headers.extend(object.digests.iter().cloned());
    Ok(reply)
}

fn check_md5(headers: &HeaderMap, computed: &str) -> Result<(), ApiError> {
    let Some(sent) = text(headers, "content-md5") else { return Ok(()) };
    if STANDARD.decode(sent).map_or(0, |md5| md5.len()) != 16 {
        return Err(ApiError::bad_request(
            "InvalidContentMD5",
            format!("The Content-MD5 header ({sent}) is not base64 of 16 bytes"),
        ));
    }
    if sent == computed {
        return Ok(());
    }
    Err(ApiError::bad_request(
        "UnmatchedContentMD5",
        format!(
            "The computed MD5 of the request body ({computed}) does not match the Content-MD5 \
             header ({sent})"
        ),
    ))
}

/// Compares the checksums that were sent, and returns those beside CRC32C that are to be kept.
fn check_digests(
    headers: &HeaderMap,
    body: &[u8],
    crc32c: &str,
) -> Result<Vec<(HeaderName, HeaderValue)>, ApiError> {
    let digest = |algorithm| STANDARD.encode(aws_lc_rs::digest::digest(algorithm, body));
    let asked = text(headers, "opc-checksum-algorithm");
    if asked.is_some_and(|asked| !["CRC32C", "SHA256", "SHA384"].contains(&asked)) {
        return Err(ApiError::bad_request(
            "InvalidParameter",
            "opc-checksum-algorithm is one of CRC32C, SHA256, SHA384",
        ));
    }
    check_digest(headers, "opc-content-crc32c", crc32c)?;
    let mut kept = Vec::new();
    for (name, algorithm, asked) in [
        ("opc-content-sha256", &aws_lc_rs::digest::SHA256, asked == Some("SHA256")),
        ("opc-content-sha384", &aws_lc_rs::digest::SHA384, asked == Some("SHA384")),
    ] {
        if asked || headers.contains_key(name) {
            let computed = digest(algorithm);
            check_digest(headers, name, &computed)?;
            let value = HeaderValue::from_str(&computed).expect("base64 is a header value");
            kept.push((HeaderName::from_static(name), value));
        }
    }
    Ok(kept)
}

fn check_digest(headers: &HeaderMap, name: &str, computed: &str) -> Result<(), ApiError> {
    match text(headers, name) {
        Some(sent) if sent != computed => {
            let algorithm = name.trim_start_matches("opc-content-").to_ascii_uppercase();
            Err(ApiError::bad_request(
                &format!("UnmatchedContent{algorithm}"),
                format!(
                    "The computed {algorithm} of the request body ({computed}) does not match \
                     the {name} header ({sent})"
                ),
            ))
        }
        _ => Ok(()),
    }
}

fn kept_headers(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let mut kept: Vec<_> = headers
        .iter()
        .filter(|(name, _)| KEPT.contains(name) || name.as_str().starts_with("opc-meta-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !headers.contains_key(CONTENT_TYPE) {
        kept.push((CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")));
    }
    kept
}

/// GetObject and HeadObject; the latter is cut to its head later.
pub(crate) fn get(
    storage: &Storage,
    bucket: &BucketName,
    name: &str,
    (method, headers, target): (&Method, &HeaderMap, &Target),
    plan: &Plan,
) -> Result<Reply, ApiError> {
    let object = storage.get(bucket, name)?;
    if target.query("versionId").is_some_and(|version| version != object.version) {
        return Err(ApiError::object_not_found(&bucket.name, name));
    }
    if is_not_modified(headers, &object.etag)? {
        return Ok(Reply::empty(StatusCode::NOT_MODIFIED).with_text("etag", &object.etag));
    }
    let mut reply = described(&object);
    let size = object.bytes.len() as u64;
    let range = text(headers, RANGE.as_str()).filter(|_| method == Method::GET);
    match range.filter(|_| !plan.ignore_range).and_then(|range| parse_range(range, size)) {
        None => reply.body = object.bytes.clone(),
        Some(Err(OutOfRange)) => return Ok(out_of_range(size)),
        Some(Ok((from, to))) => {
            let told = if plan.wrong_content_range { (from + 1, to + 1) } else { (from, to) };
            reply.status = StatusCode::PARTIAL_CONTENT;
            reply.body = object.bytes.slice(from as usize..=to as usize);
            reply =
                reply.with_text(CONTENT_RANGE_NAME, &format!("bytes {}-{}/{size}", told.0, told.1));
        }
    }
    for (parameter, header) in OVERRIDES {
        if let Some(value) = target.query(parameter) {
            let value = HeaderValue::from_str(value).map_err(|_| {
                ApiError::bad_request("InvalidParameter", format!("{parameter} is no header"))
            })?;
            reply.headers.insert(header, value);
        }
    }
    Ok(reply)
}

const CONTENT_RANGE_NAME: &str = "content-range";

/// `if-match` and `if-none-match` of a read, judged after the object was found.
pub(crate) fn is_not_modified(headers: &HeaderMap, etag: &str) -> Result<bool, ApiError> {
    check_if_match(text(headers, IF_MATCH.as_str()), Some(etag))?;
    match text(headers, IF_NONE_MATCH.as_str()) {
        Some("*") => Err(ApiError::bad_request(
            "InvalidConditionalHeaders",
            "If-None-Match of a read may not be '*'",
        )),
        Some(known) => Ok(matches(known, etag)),
        None => Ok(false),
    }
}

/// 200 with an object's headers and no body yet.
fn described(object: &Object) -> Reply {
    let mut reply = Reply::empty(StatusCode::OK)
        .with(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        .with_text("etag", &object.etag)
        .with_text("last-modified", &httpdate::fmt_http_date(object.modified))
        .with_text("content-md5", &object.md5)
        .with_text("opc-content-crc32c", &object.crc32c)
        .with_text("version-id", &object.version);
    let tier = HeaderValue::from_str(&object.storage_tier).expect("it came as a header");
    reply.headers.insert("storage-tier", tier);
    for (name, value) in object.headers.iter().chain(&object.digests) {
        reply.headers.append(name, value.clone());
    }
    reply
}

fn out_of_range(size: u64) -> Reply {
    Reply::from(ApiError::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "InvalidRange",
        format!("The range does not overlap the object's {size} bytes"),
    ))
    .with_text(CONTENT_RANGE_NAME, &format!("bytes */{size}"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OutOfRange;

/// First and last byte of a single range; `None` for anything that is not one, which is answered
/// by the whole object.
fn parse_range(range: &str, size: u64) -> Option<Result<(u64, u64), OutOfRange>> {
    let (first, last) = range.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
        // A number too large for u64 is beyond every object.
        (!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (from, to) = match (first.trim(), last.trim()) {
        ("", suffix) => (size.saturating_sub(number(suffix)?), u64::MAX),
        (first, "") => (number(first)?, u64::MAX),
        (first, last) => (number(first)?, number(last)?),
    };
    if to < from {
        return None;
    }
    Some(if from < size { Ok((from, to.min(size - 1))) } else { Err(OutOfRange) })
}

pub(crate) fn delete(
    storage: &Storage,
    bucket: &BucketName,
    name: &str,
    headers: &HeaderMap,
    now: SystemTime,
) -> Result<Reply, ApiError> {
    let object = storage.delete(bucket, name, text(headers, IF_MATCH.as_str()))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT)
        .with_text("last-modified", &httpdate::fmt_http_date(now))
        .with_text("version-id", &object.version))
}

pub(crate) fn list(
    storage: &Storage,
    bucket: &BucketName,
    target: &Target,
) -> Result<Reply, ApiError> {
    let owned = |name| target.query(name).map(str::to_owned);
    let delimited = match target.query("delimiter") {
        None => false,
        Some("/") => true,
        Some(_) => {
            return Err(ApiError::bad_request("InvalidParameter", "The only delimiter is '/'"));
        }
    };
    let query = ListQuery {
        prefix: owned("prefix").unwrap_or_default(),
        start: owned("start"),
        start_after: owned("startAfter"),
        end: owned("end"),
        limit: limit(target)?,
        delimited,
    };
    let fields = ListFields::parse(target)?;
    let page = storage.list(bucket, &query)?;
    let mut answer = Map::new();
    let objects = page.objects.iter().map(|(name, object)| fields.describe(name, object));
    answer.insert("objects".into(), objects.collect());
    answer.insert("prefixes".into(), page.prefixes.into());
    if let Some(next) = page.next {
        answer.insert("nextStartWith".into(), next.into());
    }
    Ok(Reply::json(StatusCode::OK, &answer))
}

/// The `limit` of a list: 1 to 1000.
pub(crate) fn limit(target: &Target) -> Result<usize, ApiError> {
    match target.query("limit").map(str::parse::<usize>) {
        None => Ok(MAX_LIMIT),
        Some(Ok(limit @ 1..=MAX_LIMIT)) => Ok(limit),
        Some(Ok(limit)) if limit > MAX_LIMIT => Err(ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "LimitTooHigh",
            format!("The limit {limit} is above {MAX_LIMIT}"),
        )),
        Some(_) => Err(ApiError::bad_request("InvalidLimit", "The limit is not a number above 0")),
    }
}

/// Which fields of an object a list tells, beside its name.
struct ListFields(Vec<&'static str>);

impl ListFields {
    const KNOWN: [&'static str; 8] = [
        "name",
        "size",
        "etag",
        "md5",
        "timeCreated",
        "timeModified",
        "storageTier",
        "archivalState",
    ];

    fn parse(target: &Target) -> Result<ListFields, ApiError> {
        let known = |field: &str| {
            Self::KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(field)).ok_or_else(
                || {
                    ApiError::bad_request(
                        "InvalidParameter",
                        format!(
                            "'{field}' is not a field of an object; there are {:?}",
                            Self::KNOWN
                        ),
                    )
                },
            )
        };
        target
            .csv("fields")
            .filter(|field| !field.is_empty())
            .map(known)
            .collect::<Result<_, _>>()
            .map(ListFields)
    }

    fn describe(&self, name: &str, object: &Object) -> Value {
        let mut told = Map::from_iter([("name".to_owned(), name.into())]);
        for field in &self.0 {
            let value = match *field {
                "size" => object.bytes.len().into(),
                "etag" => object.etag.clone().into(),
                "md5" => object.md5.clone().into(),
                "timeCreated" => rfc3339(object.created).into(),
                "timeModified" => rfc3339(object.modified).into(),
                "storageTier" => object.storage_tier.clone().into(),
                "archivalState" => Value::Null,
                _ => continue,
            };
            told.insert((*field).to_owned(), value);
        }
        told.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (range, size, expected) in [
            ("bytes=0-3", 10, Some(Ok((0, 3)))),
            ("bytes=0-10", 10, Some(Ok((0, 9)))),
            ("bytes=9-", 10, Some(Ok((9, 9)))),
            ("bytes=-4", 10, Some(Ok((6, 9)))),
            ("bytes=-40", 10, Some(Ok((0, 9)))),
            ("bytes=-0", 10, Some(Err(OutOfRange))),
            ("bytes=10-", 10, Some(Err(OutOfRange))),
            ("bytes=10-20", 10, Some(Err(OutOfRange))),
            ("bytes=0-0", 0, Some(Err(OutOfRange))),
            ("bytes=-1", 0, Some(Err(OutOfRange))),
            ("bytes=99999999999999999999-", 10, Some(Err(OutOfRange))),
            ("bytes=0-99999999999999999999", 10, Some(Ok((0, 9)))),
            ("bytes=5-4", 10, None),
            ("bytes=0-1,3-4", 10, None),
            ("bytes=-", 10, None),
            ("bytes=a-b", 10, None),
            ("bytes=+1-2", 10, None),
            ("items=0-1", 10, None),
        ] {
            assert_eq!(parse_range(range, size), expected, "{range} of {size}");
        }
    }

    #[test]
    fn etags_are_uuids() {
        let etag = new_etag();
        assert_eq!(etag.len(), 36);
        assert_eq!(etag.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_ne!(etag, new_etag());
    }
}
