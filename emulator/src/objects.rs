// SPDX-License-Identifier: Apache-2.0
//! Operations on objects: put, get, head, delete, and the lists of objects and versions.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_TYPE, EXPIRES, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, RANGE,
};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::buckets::page_name;
use crate::clock::rfc3339;
use crate::content::Content;
use crate::fault::Plan;
use crate::intake::{Algorithm, Received};
use crate::reply::{ApiError, Reply};
use crate::storage::{
    Checksums, Condition, Headers, ListQuery, Object, Storage, check_if_match, matches,
};
use crate::target::{BucketName, Target};

/// Most objects and prefixes in one page of a list.
const MAX_LIMIT: usize = 1000;

/// Content headers that are kept with an object and sent again; `opc-meta-*` are kept too.
pub(crate) const KEPT: [HeaderName; 5] =
    [CONTENT_TYPE, CONTENT_LANGUAGE, CONTENT_ENCODING, CONTENT_DISPOSITION, CACHE_CONTROL];

/// The names of user metadata begin so.
pub(crate) const METADATA: &str = "opc-meta-";
/// Most bytes of user metadata, names and values together.
const MAX_METADATA: usize = 4096;

/// Query parameters of GetObject that replace a header of the answer.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("httpResponseContentType", CONTENT_TYPE),
    ("httpResponseContentLanguage", CONTENT_LANGUAGE),
    ("httpResponseContentEncoding", CONTENT_ENCODING),
    ("httpResponseContentDisposition", CONTENT_DISPOSITION),
    ("httpResponseCacheControl", CACHE_CONTROL),
    ("httpResponseExpires", EXPIRES),
];

/// Digests that are kept because they came or were asked for, and their header. CRC32C is always
/// kept.
const DIGESTS: [(Algorithm, &str); 2] =
    [(Algorithm::Sha256, "opc-content-sha256"), (Algorithm::Sha384, "opc-content-sha384")];

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

/// The rules of an object's name.
pub(crate) fn check_name(name: &str) -> Result<(), ApiError> {
    if !(1..=1024).contains(&name.len()) || name.contains(['\r', '\n', '\0']) {
        return Err(ApiError::bad_request(
            "InvalidObjectName",
            "An object's name has 1 to 1024 bytes of UTF-8 and no LF, CR or NUL",
        ));
    }
    Ok(())
}

/// What a write asks for. Its header may only be `*`, which means that nothing is there.
pub(crate) fn condition(headers: &HeaderMap) -> Result<Condition, ApiError> {
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

/// A header that names one of a few things. The Go SDK sends it empty where nothing was chosen.
pub(crate) fn chosen<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    text(headers, name).filter(|value| !value.is_empty())
}

/// Which digests of a body are to be taken: those that were sent or asked for.
pub(crate) fn digests(headers: &HeaderMap) -> Vec<Algorithm> {
    let asked = chosen(headers, "opc-checksum-algorithm").and_then(Algorithm::named);
    let wanted = |(algorithm, name): &(Algorithm, &str)| {
        asked == Some(*algorithm) || headers.contains_key(*name)
    };
    DIGESTS.into_iter().filter(wanted).map(|(algorithm, _)| algorithm).collect()
}

pub(crate) fn put(
    storage: &Storage,
    bucket: &BucketName,
    name: &str,
    headers: &HeaderMap,
    received: Received,
    now: SystemTime,
) -> Result<Reply, ApiError> {
    let condition = condition(headers)?;
    let tier = match chosen(headers, "storage-tier") {
        Some(tier) => check_tier(tier)?,
        None => default_tier(storage, bucket)?,
    };
    let object = Object {
        checksums: check_received(headers, &received)?,
        md5: STANDARD.encode(received.md5),
        crc32c: received.crc32c,
        ..new_object(received.content, &tier, kept_headers(headers)?, now)
    };
    let object = storage.put(bucket, name, object, &condition)?;
    Ok(written(&object)
        .with_text("opc-content-md5", &object.md5)
        .with_text("opc-content-crc32c", &base64_crc(object.crc32c))
        .with_checksums(&object))
}

/// An object of this content; its digests are to be filled in.
pub(crate) fn new_object(
    content: Content,
    tier: &str,
    headers: Headers,
    now: SystemTime,
) -> Object {
    Object {
        size: content.len(),
        content,
        etag: new_etag(),
        version: new_etag(),
        md5: String::new(),
        crc32c: 0,
        checksums: Vec::new(),
        created: now,
        modified: now,
        storage_tier: tier.to_owned(),
        archived: (tier == "Archive").then_some(now),
        restored_until: None,
        headers,
        parts: Vec::new(),
    }
}

/// 200 with what every write answers.
pub(crate) fn written(object: &Object) -> Reply {
    Reply::empty(StatusCode::OK)
        .with_text("etag", &object.etag)
        .with_text("last-modified", &httpdate::fmt_http_date(object.modified))
        .with_text("version-id", &object.version)
}

/// One of the three storage tiers.
pub(crate) fn check_tier(tier: &str) -> Result<String, ApiError> {
    if ["Standard", "InfrequentAccess", "Archive"].contains(&tier) {
        return Ok(tier.to_owned());
    }
    Err(ApiError::bad_request(
        "InvalidParameter",
        "The storage tier is one of Standard, InfrequentAccess, Archive",
    ))
}

/// The tier of objects for which none is given.
pub(crate) fn default_tier(storage: &Storage, bucket: &BucketName) -> Result<String, ApiError> {
    let info = storage.bucket(bucket)?;
    Ok(info.settings.get("storageTier").and_then(Value::as_str).unwrap_or("Standard").to_owned())
}

/// Base64 of a CRC, big-endian, as headers have it.
pub(crate) fn base64_crc(crc: u32) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

/// Compares the checksums that were sent, and returns those beside CRC32C that are to be kept.
pub(crate) fn check_received(
    headers: &HeaderMap,
    received: &Received,
) -> Result<Checksums, ApiError> {
    check_md5(headers, &STANDARD.encode(received.md5))?;
    check_algorithm(chosen(headers, "opc-checksum-algorithm"))?;
    check_digest(headers, "opc-content-crc32c", &base64_crc(received.crc32c))?;
    let mut kept = Vec::new();
    // Of those that were taken, a SHA-256 may have been for the signature alone.
    for algorithm in digests(headers) {
        for (_, name) in DIGESTS.iter().filter(|(listed, _)| *listed == algorithm) {
            let computed = received.base64(algorithm).unwrap_or_default();
            check_digest(headers, name, &computed)?;
            kept.push((algorithm.name().to_owned(), computed));
        }
    }
    Ok(kept)
}

/// A checksum algorithm that a client names.
pub(crate) fn check_algorithm(asked: Option<&str>) -> Result<(), ApiError> {
    if asked.is_some_and(|asked| !["CRC32C", "SHA256", "SHA384"].contains(&asked)) {
        return Err(ApiError::bad_request(
            "InvalidParameter",
            "opc-checksum-algorithm is one of CRC32C, SHA256, SHA384",
        ));
    }
    Ok(())
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

fn kept_headers(headers: &HeaderMap) -> Result<Headers, ApiError> {
    let mut kept: Headers = headers
        .iter()
        .filter(|(name, _)| KEPT.contains(name) || name.as_str().starts_with(METADATA))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !headers.contains_key(CONTENT_TYPE) {
        kept.push((CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")));
    }
    check_metadata(&kept)?;
    Ok(kept)
}

/// Refuses user metadata that is too much.
pub(crate) fn check_metadata(headers: &Headers) -> Result<(), ApiError> {
    let length = |(name, value): &(HeaderName, HeaderValue)| {
        Some(name.as_str().strip_prefix(METADATA)?.len() + value.len())
    };
    check_metadata_length(headers.iter().filter_map(length).sum())
}

/// The limit of the names and values of an object's or a bucket's user metadata.
pub(crate) fn check_metadata_length(length: usize) -> Result<(), ApiError> {
    if length <= MAX_METADATA {
        return Ok(());
    }
    Err(ApiError::bad_request(
        "MetadataTooLarge",
        format!("The metadata has {length} bytes, more than {MAX_METADATA}"),
    ))
}

impl Reply {
    /// Adds an object's checksums beside MD5 and CRC32C that this API knows.
    pub(crate) fn with_checksums(mut self, object: &Object) -> Reply {
        for (algorithm, value) in &object.checksums {
            let name = match (algorithm.as_str(), object.is_multipart()) {
                ("sha256", false) => "opc-content-sha256",
                ("sha384", false) => "opc-content-sha384",
                ("sha256", true) => "opc-multipart-sha256",
                ("sha384", true) => "opc-multipart-sha384",
                _ => continue,
            };
            self = self.with_text(name, value);
        }
        self
    }
}

/// GetObject and HeadObject; the latter is cut to its head later.
pub(crate) fn get(
    storage: &Storage,
    bucket: &BucketName,
    name: &str,
    (method, headers, target): (&Method, &HeaderMap, &Target),
    plan: &Plan,
    now: SystemTime,
) -> Result<Reply, ApiError> {
    let object = storage.get(bucket, name)?;
    check_version(&object, target.query("versionId"), bucket, name)?;
    if is_not_modified(headers, &object.etag)? {
        return Ok(Reply::empty(StatusCode::NOT_MODIFIED).with_text("etag", &object.etag));
    }
    if method == Method::GET && object.is_archived(now) {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "NotRestored",
            format!("The object '{name}' is archived: restore it before it is read"),
        ));
    }
    let mut reply = described(&object, now);
    let size = object.size;
    let range = text(headers, RANGE.as_str()).filter(|_| method == Method::GET);
    match range.filter(|_| !plan.ignore_range).and_then(|range| parse_range(range, size)) {
        None => reply.body = object.content.whole(),
        Some(Err(OutOfRange)) => return Ok(out_of_range(size)),
        Some(Ok((from, to))) => {
            let told = if plan.wrong_content_range { (from + 1, to + 1) } else { (from, to) };
            reply.status = StatusCode::PARTIAL_CONTENT;
            reply.body = object.content.payload(from..to + 1);
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
fn described(object: &Object, now: SystemTime) -> Reply {
    let md5 = if object.is_multipart() { "opc-multipart-md5" } else { "content-md5" };
    let mut reply = written(object)
        .with(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        .with_text(md5, &object.md5)
        .with_text("opc-content-crc32c", &base64_crc(object.crc32c))
        .with_text("storage-tier", &object.storage_tier)
        .with_checksums(object);
    if let Some(archived) = object.archived {
        reply = reply
            .with_text("archival-state", archival_state(object, now))
            .with_text("time-of-archival", &rfc3339(archived));
    }
    // What S3 alone knows is told there.
    for (name, value) in object.headers.iter().filter(|(name, _)| !is_of_s3(name)) {
        reply.headers.append(name, value.clone());
    }
    reply
}

fn is_of_s3(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-amz-")
}

fn archival_state(object: &Object, now: SystemTime) -> &'static str {
    if object.is_archived(now) { "Archived" } else { "Restored" }
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

/// Of an object there is one version: no other is found.
pub(crate) fn check_version(
    object: &Object,
    wanted: Option<&str>,
    bucket: &BucketName,
    name: &str,
) -> Result<(), ApiError> {
    if wanted.is_some_and(|version| version != object.version) {
        return Err(ApiError::object_not_found(&bucket.name, name));
    }
    Ok(())
}

pub(crate) fn delete(
    storage: &Storage,
    bucket: &BucketName,
    name: &str,
    (headers, target): (&HeaderMap, &Target),
    now: SystemTime,
) -> Result<Reply, ApiError> {
    let object = storage.delete(bucket, name, |object| {
        check_version(object, target.query("versionId"), bucket, name)?;
        object.check_if_match(text(headers, IF_MATCH.as_str()))
    })?;
    Ok(Reply::empty(StatusCode::NO_CONTENT)
        .with_text("last-modified", &httpdate::fmt_http_date(now))
        .with_text("version-id", &object.version))
}

pub(crate) fn list(
    storage: &Storage,
    bucket: &BucketName,
    target: &Target,
    now: SystemTime,
) -> Result<Reply, ApiError> {
    let fields = ListFields::parse(target)?;
    let page = storage.list(bucket, &list_query(target)?)?;
    let mut answer = Map::new();
    let objects = page.objects.iter().map(|(name, object)| fields.describe(name, object, now));
    answer.insert("objects".into(), objects.collect());
    answer.insert("prefixes".into(), page.prefixes.into());
    if let Some(next) = page.next {
        answer.insert("nextStartWith".into(), next.into());
    }
    Ok(Reply::json(StatusCode::OK, &answer))
}

/// ListObjectVersions: each object's only version, as none older is kept.
pub(crate) fn list_versions(
    storage: &Storage,
    bucket: &BucketName,
    target: &Target,
    now: SystemTime,
) -> Result<Reply, ApiError> {
    let mut query = list_query(target)?;
    if let Some(page) = target.query("page") {
        query.start = Some(page_name(page)?);
    }
    let fields = ListFields::parse(target)?;
    let page = storage.list(bucket, &query)?;
    let items = page.objects.iter().map(|(name, object)| {
        let mut item = fields.describe(name, object, now);
        item["timeModified"] = rfc3339(object.modified).into();
        item["versionId"] = object.version.clone().into();
        item["isDeleteMarker"] = false.into();
        item
    });
    let answer = json!({ "items": items.collect::<Vec<_>>(), "prefixes": page.prefixes });
    let reply = Reply::json(StatusCode::OK, &answer);
    Ok(match page.next {
        Some(next) => reply.with_text("opc-next-page", &URL_SAFE_NO_PAD.encode(next)),
        None => reply,
    })
}

fn list_query(target: &Target) -> Result<ListQuery, ApiError> {
    let owned = |name| target.query(name).map(str::to_owned);
    if target.query("delimiter").is_some_and(|delimiter| delimiter != "/") {
        return Err(ApiError::bad_request("InvalidParameter", "The only delimiter is '/'"));
    }
    Ok(ListQuery {
        prefix: owned("prefix").unwrap_or_default(),
        start: owned("start"),
        start_after: owned("startAfter"),
        end: owned("end"),
        limit: limit(target)?,
        delimiter: owned("delimiter"),
    })
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

    fn describe(&self, name: &str, object: &Object, now: SystemTime) -> Value {
        let mut told = Map::from_iter([("name".to_owned(), name.into())]);
        for field in &self.0 {
            let value = match *field {
                "size" => object.size.into(),
                "etag" => object.etag.clone().into(),
                "md5" => object.md5.clone().into(),
                "timeCreated" => rfc3339(object.created).into(),
                "timeModified" => rfc3339(object.modified).into(),
                "storageTier" => object.storage_tier.clone().into(),
                "archivalState" => object.archived.map(|_| archival_state(object, now)).into(),
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
