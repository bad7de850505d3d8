// SPDX-License-Identifier: Apache-2.0
//! Answers of the service, checked: never wrong or short bytes, never a listing that does not parse.

use crate::backend::promise::{Promise, mark_redirect};
use crate::backend::{
    Bucket, BucketPage, Checksum, Copied, GetReply, GetRequest, LazyMeta, ListPage, Next,
    ObjectMeta, Upload, UploadPage, etag, metadata, transient,
};
use crate::error::{ErrorKind, Failure};
use crate::transport::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{self, AsHeaderName, HeaderMap, HeaderValue};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// The metadata that names the call which wrote an object under a condition (`ObjectMeta::mark`).
pub(super) const MARK: &str = "opc-meta-storescope-write";

/// The header of a whole object's or part's CRC32C.
pub(super) const CRC32C: &str = "opc-content-crc32c";

/// The longest object name, in bytes (spec §3.4).
const NAME_LIMIT: usize = 1024;

/// Names the service does not take are refused before they are sent.
pub(in crate::backend) fn check_name(key: &str) -> Result<(), Failure> {
    let why = if key.is_empty() {
        "the object name is empty".to_owned()
    } else if key.len() > NAME_LIMIT {
        format!("the object name has {} bytes; the service takes {NAME_LIMIT}", key.len())
    } else if key.contains(['\n', '\r', '\0']) {
        "the object name holds LF, CR or NUL, which the service does not take".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::new(ErrorKind::InvalidInput).message(why))
}

pub(in crate::backend) fn value(text: impl Into<Bytes>) -> Result<HeaderValue, Failure> {
    let text: Bytes = text.into();
    HeaderValue::from_maybe_shared(text.clone()).map_err(|e| {
        Failure::new(ErrorKind::InvalidInput)
            .message(format!("{:?} cannot stand in a header", String::from_utf8_lossy(&text)))
            .source(e)
    })
}

pub(in crate::backend) fn lacks(header: &str) -> Failure {
    Failure::new(ErrorKind::Protocol).message(format!("the answer lacks {header}"))
}

pub(super) fn misread(why: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::Protocol).message(why)
}

/// The JSON that an answer is promised to hold.
pub(super) fn parsed<'a, T: Deserialize<'a>>(
    promise: &Promise,
    headers: &HeaderMap,
    document: &'a [u8],
) -> Result<T, Failure> {
    serde_json::from_slice(document).map_err(|e| promise.lacks_document(headers).source(e))
}

pub(in crate::backend) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

pub(in crate::backend) fn length(headers: &HeaderMap) -> Option<u64> {
    match leading_number(headers.get(header::CONTENT_LENGTH)?.as_bytes())? {
        (length, []) => Some(length),
        _ => None,
    }
}

/// An answer that is not a success, as a failure: the service's JSON document, where it has one (HEAD has none).
pub(super) async fn refusal(response: Response) -> Failure {
    #[derive(Default, Deserialize)]
    struct Document {
        #[serde(default)]
        code: Option<String>,
        #[serde(default)]
        message: Option<String>,
    }
    let Response { status, headers, body } = response;
    let document = body.collect(super::DOCUMENT_LIMIT).await.ok();
    let document: Document =
        document.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let mut failure = Failure::new(kind(status, document.code.as_deref()));
    failure.status = Some(status.as_u16());
    failure.code = document.code;
    failure.message = document.message.unwrap_or_else(|| without_code(status.as_u16()));
    failure.request_id = text(&headers, "opc-request-id").map(str::to_owned);
    failure.retry_after = text(&headers, "retry-after").and_then(retry_after);
    if status == StatusCode::UNAUTHORIZED {
        failure.server_date =
            text(&headers, "date").and_then(|date| httpdate::parse_http_date(date).ok());
    }
    mark_redirect(&mut failure, status, &headers);
    failure
}

/// What to say of a 404 that is not told to be the object's.
pub(in crate::backend) fn without_code(status: u16) -> String {
    if status == 404 { "the answer names no reason for its 404" } else { "" }.to_owned()
}

fn kind(status: StatusCode, code: Option<&str>) -> ErrorKind {
    match (status.as_u16(), code) {
        (401, _) => ErrorKind::Unauthenticated,
        (403, _) => ErrorKind::PermissionDenied,
        (404, Some("ObjectNotFound" | "UploadNotFound" | "NoSuchUpload")) => ErrorKind::NotFound,
        // One live tester saw 404 BucketNotFound for valid requests (spec §4.1): never taken for "object absent".
        (
            404,
            Some(
                "BucketNotFound"
                | "NamespaceNotFound"
                | "NotAuthorizedOrNotFound"
                | "PreauthenticatedRequestNotFound",
            ),
        ) => ErrorKind::BucketNotFound,
        // A server that is not the service says nothing of the object; nor does a 404 of another code, below.
        (404, None) => ErrorKind::Protocol,
        (409, Some("NotRestored" | "RestoreInProgress")) => ErrorKind::Archived,
        (304 | 412, _) => ErrorKind::Precondition,
        (416, _) => ErrorKind::InvalidRange,
        (501, _) => ErrorKind::Unsupported,
        (status, code) => match transient(status, code) {
            Some(transient) => transient.kind,
            None if status >= 500 => ErrorKind::Server,
            None => ErrorKind::Rejected,
        },
    }
}

/// `Retry-After`: seconds, or a date.
pub(in crate::backend) fn retry_after(text: &str) -> Option<Duration> {
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

/// Checks status, Content-Range, length and ETag of a read (contracts §4.2).
pub(in crate::backend) fn get(
    promise: &Promise,
    request: &GetRequest,
    response: Response,
    meta: fn(&str, u64, &HeaderMap) -> ObjectMeta,
) -> Result<Box<GetReply>, Failure> {
    let Response { status, headers, mut body } = response;
    if let Err(failure) = promise.check_head(status, &headers) {
        return Err(body.fail(failure));
    }
    match range_of(request, status, &headers) {
        Ok((range, size)) => {
            let etag = etag(&headers);
            match (&request.if_match, &etag) {
                (Some(wanted), Some(etag)) if !etag::same(wanted, etag) => {
                    let changed = format!("asked for ETag {wanted}, got {etag}");
                    return Err(body.fail(Failure::new(ErrorKind::Changed).message(changed)));
                }
                (Some(_), None) => return Err(body.fail(lacks("ETag"))),
                _ => {}
            }
            let meta = LazyMeta::new(size, headers, meta);
            Ok(Box::new(GetReply { meta, size, etag, range, body: body.counted() }))
        }
        Err(failure) => Err(body.fail(failure)),
    }
}

/// The bytes that an answer holds, and the size of the object.
fn range_of(
    request: &GetRequest,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<(Range<u64>, u64), Failure> {
    let wrong = |why: String| Failure::new(ErrorKind::Protocol).message(why);
    let length = length(headers);
    let Some(asked) = &request.range else {
        let size = length.ok_or_else(|| lacks("Content-Length"))?;
        return match status {
            StatusCode::OK => Ok((0..size, size)),
            _ => Err(wrong(format!("{status} to a read without Range"))),
        };
    };
    // Some servers answer 200 and still send, and say so, what was asked for (`rclone serve s3`).
    if status == StatusCode::OK && !headers.contains_key(header::CONTENT_RANGE) {
        let size = length.ok_or_else(|| lacks("Content-Length"))?;
        // The server ignored the Range, which is well if all was asked for.
        return match asked.of(size) {
            Some(range) if range == (0..size) => Ok((range, size)),
            None if size == 0 && asked.means_empty() => Ok((0..0, 0)),
            _ => Err(wrong(format!(
                "the server ignored the Range {:?} and sent all {size} bytes",
                asked.header()
            ))),
        };
    }
    if !matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::OK) {
        return Err(wrong(format!("{status} to a read of a range")));
    }
    let content_range = headers.get(header::CONTENT_RANGE).ok_or_else(|| lacks("Content-Range"))?;
    let (range, size) = parse_content_range(content_range.as_bytes())
        .ok_or_else(|| wrong(format!("Content-Range {content_range:?} does not parse")))?;
    if asked.of(size) != Some(range.clone()) {
        return Err(wrong(format!(
            "asked for {:?}, got Content-Range {content_range:?}",
            asked.header()
        )));
    }
    if length.is_some_and(|length| length != range.end - range.start) {
        return Err(wrong(format!(
            "Content-Length {} with Content-Range {content_range:?}",
            length.unwrap_or(0)
        )));
    }
    Ok((range, size))
}

/// `bytes a-b/n`, with the end made exclusive.
fn parse_content_range(text: &[u8]) -> Option<(Range<u64>, u64)> {
    let (first, rest) = leading_number(text.strip_prefix(b"bytes ")?)?;
    let (last, rest) = leading_number(rest.strip_prefix(b"-")?)?;
    let (size, rest) = leading_number(rest.strip_prefix(b"/")?)?;
    (rest.is_empty() && first <= last && last < size).then(|| (first..last + 1, size))
}

/// The number that a text begins with, of 19 digits at most, so that it cannot overflow; and what follows it.
fn leading_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = text;
    let mut number = 0;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        if text.len() - rest.len() == 19 {
            return None;
        }
        number = number * 10 + u64::from(digit - b'0');
        rest = after;
    }
    (rest.len() < text.len()).then_some((number, rest))
}

/// What an answer's headers say of the object.
pub(super) fn meta(key: &str, size: u64, headers: &HeaderMap) -> ObjectMeta {
    let told = described(key, size, headers, "opc-meta-", MARK);
    let version = text(headers, "version-id").map(str::to_owned);
    ObjectMeta { checksum: checksum(headers), version, ..told }
}

/// What both protocols say alike, user metadata under names that begin with `prefix`.
pub(in crate::backend) fn described(
    key: &str,
    size: u64,
    headers: &HeaderMap,
    prefix: &str,
    mark: &str,
) -> ObjectMeta {
    let owned = |name: &str| headers.get(name).map(|value| metadata::text(value).into_owned());
    let user =
        headers.iter().filter(|(name, _)| name.as_str() != mark).filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(prefix)?;
            Some((name.to_owned(), metadata::received(value)))
        });
    ObjectMeta {
        key: key.to_owned(),
        size,
        etag: owned("etag"),
        last_modified: text(headers, "last-modified")
            .and_then(|date| httpdate::parse_http_date(date).ok()),
        content_type: owned("content-type"),
        content_encoding: owned("content-encoding"),
        content_language: owned("content-language"),
        content_disposition: owned("content-disposition"),
        cache_control: owned("cache-control"),
        metadata: user.collect(),
        mark: owned(mark),
        ..ObjectMeta::default()
    }
}

/// The whole object's checksum: CRC32C, which every object has (spec §3.2), else the MD5 of a single PUT.
fn checksum(headers: &HeaderMap) -> Option<Checksum> {
    let decoded = |name: &str| STANDARD.decode(text(headers, name)?).ok();
    if let Some(crc) = decoded(CRC32C).and_then(|bytes| bytes.try_into().ok()) {
        return Some(Checksum::Crc32c(u32::from_be_bytes(crc)));
    }
    decoded("content-md5").and_then(|bytes| bytes.try_into().ok()).map(Checksum::Md5)
}

/// The checksum that a write's answer tells must be that of the bytes sent.
pub(super) fn check_stored(checksum: Option<Checksum>, headers: &HeaderMap) -> Result<(), Failure> {
    let (name, ours) = match checksum {
        None => return Ok(()),
        Some(Checksum::Crc32c(crc)) => (CRC32C, STANDARD.encode(crc.to_be_bytes())),
        Some(Checksum::Md5(md5)) => ("opc-content-md5", STANDARD.encode(md5)),
    };
    match text(headers, name) {
        Some(theirs) if theirs != ours => Err(Failure::new(ErrorKind::Integrity)
            .message(format!("the service stored {name} {theirs}, we sent {ours}"))
            .hint("write the object again")),
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    objects: Vec<Summary>,
    #[serde(default)]
    prefixes: Vec<String>,
    next_start_with: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    name: String,
    size: Option<u64>,
    etag: Option<String>,
    md5: Option<String>,
    time_modified: Option<jiff::Timestamp>,
}

pub(super) fn list(page: Listed) -> ListPage {
    let objects = page.objects.into_iter().map(|object| ObjectMeta {
        key: object.name,
        size: object.size.unwrap_or(0),
        etag: object.etag,
        last_modified: object.time_modified.map(SystemTime::from),
        // Of an object uploaded by parts it is no MD5 of the whole ("…==-N"), and does not decode.
        checksum: object
            .md5
            .and_then(|md5| STANDARD.decode(md5).ok()?.try_into().ok())
            .map(Checksum::Md5),
        ..ObjectMeta::default()
    });
    let next = page.next_start_with.map(Next::Name);
    ListPage { objects: objects.collect(), prefixes: page.prefixes, next }
}

pub(in crate::backend) fn etag(headers: &HeaderMap) -> Option<String> {
    headers.get(header::ETAG).map(|tag| metadata::text(tag).into_owned())
}

/// `content-type` as JSON writes it: `contentType`.
pub(super) fn camel_case(header: &str) -> String {
    let mut words = header.split('-');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(1);
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    name
}

/// An upload that was begun.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Begun {
    pub(super) upload_id: String,
}

/// A bucket that was made.
#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pending {
    object: String,
    upload_id: String,
    time_created: Option<jiff::Timestamp>,
}

pub(super) fn uploads(page: Vec<Pending>, headers: &HeaderMap) -> UploadPage {
    let uploads = page.into_iter().map(|upload| Upload {
        key: upload.object,
        id: upload.upload_id,
        begun: upload.time_created.map(SystemTime::from),
    });
    UploadPage { uploads: uploads.collect(), next: next_page(headers) }
}

fn next_page(headers: &HeaderMap) -> Option<Next> {
    text(headers, "opc-next-page").map(|page| Next::Token(page.to_owned()))
}

/// A part that was put.
#[derive(Deserialize)]
pub(super) struct Part {
    #[serde(rename = "partNumber")]
    _number: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
pub(super) struct Deleted {
    deleted: Option<serde::de::IgnoredAny>,
    failed: Option<Vec<Failed>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    object_name: String,
    #[serde(default)]
    status_code: serde_json::Value,
    error_code: Option<String>,
    error_message: Option<String>,
}

/// A result for each key; the answer names those that failed. `None` where it says nothing, or speaks of another key.
pub(super) fn deleted(keys: &[String], answer: Deleted) -> Option<Vec<Result<(), Failure>>> {
    if answer.deleted.is_none() && answer.failed.is_none() {
        return None;
    }
    let failures = answer.failed.unwrap_or_default().into_iter().map(|failed| {
        // A number, or its digits: clients disagree.
        let status = match &failed.status_code {
            serde_json::Value::String(digits) => digits.parse().ok(),
            other => other.as_u64().and_then(|status| u16::try_from(status).ok()),
        };
        let code = status.and_then(|status| StatusCode::from_u16(status).ok());
        let mut failure = Failure::new(
            code.map_or(ErrorKind::Rejected, |code| kind(code, failed.error_code.as_deref())),
        );
        failure.status = status;
        failure.code = failed.error_code;
        failure.message = failed.error_message.unwrap_or_default();
        (failed.object_name, failure)
    });
    one_each(keys, failures.collect())
}

/// A result for each key; `None` where a failure is of none of them.
pub(in crate::backend) fn one_each(
    keys: &[String],
    failures: HashMap<String, Failure>,
) -> Option<Vec<Result<(), Failure>>> {
    let asked: HashSet<&str> = keys.iter().map(String::as_str).collect();
    let known = failures.keys().all(|key| asked.contains(key.as_str()));
    known.then(|| keys.iter().map(|key| failures.get(key).cloned().map_or(Ok(()), Err)).collect())
}

/// The work request of a copy that was accepted.
pub(super) fn accepted(headers: &HeaderMap) -> Result<Copied, Failure> {
    let work = text(headers, "opc-work-request-id").ok_or_else(|| lacks("opc-work-request-id"))?;
    Ok(Copied::Accepted(work.to_owned(), None))
}

#[derive(Deserialize)]
pub(super) struct Work {
    status: String,
}

/// How far a work request is; `None` where it failed.
pub(super) fn work(id: &str, headers: &HeaderMap, work: Work) -> Option<Copied> {
    match work.status.as_str() {
        "COMPLETED" => Some(Copied::Done(None)),
        "FAILED" | "CANCELED" | "CANCELING" => None,
        _ => {
            let wait = text(headers, "retry-after").and_then(retry_after);
            Some(Copied::Accepted(id.to_owned(), wait))
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Cause {
    code: Option<String>,
    message: Option<String>,
}

/// What the errors of a work request come to.
pub(super) fn work_failure(causes: Vec<Cause>) -> Failure {
    let Some(Cause { code, message }) = causes.into_iter().next() else {
        return Failure::new(ErrorKind::Rejected)
            .message("the service gave the copy up and does not say why");
    };
    let mut failure = Failure::new(match code.as_deref() {
        Some("ObjectNotFound") => ErrorKind::NotFound,
        Some("BucketNotFound" | "NamespaceNotFound" | "NotAuthorizedOrNotFound") => {
            ErrorKind::BucketNotFound
        }
        Some("IfMatchFailed" | "IfNoneMatchFailed" | "NoEtagMatch") => ErrorKind::Precondition,
        Some("NotRestored" | "RestoreInProgress") => ErrorKind::Archived,
        _ => ErrorKind::Rejected,
    });
    failure.code = code;
    failure.message = message.unwrap_or_default();
    failure
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owned {
    name: String,
    time_created: Option<jiff::Timestamp>,
}

pub(super) fn buckets(page: Vec<Owned>, headers: &HeaderMap) -> BucketPage {
    let buckets = page.into_iter().map(|bucket| Bucket {
        name: bucket.name,
        created: bucket.time_created.map(SystemTime::from),
    });
    BucketPage { buckets: buckets.collect(), next: next_page(headers) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::GetRange;
    use crate::backend::oci::promises;
    use proptest::prelude::*;

    fn ask(
        range: Option<GetRange>,
        status: u16,
        headers: &[(&'static str, &str)],
    ) -> Result<(Range<u64>, u64), Failure> {
        let request = GetRequest { key: "k".into(), range, if_match: None };
        let headers = headers.iter().map(|(name, text)| {
            (header::HeaderName::from_static(name), HeaderValue::from_str(text).unwrap())
        });
        range_of(&request, StatusCode::from_u16(status).unwrap(), &headers.collect())
    }

    #[test]
    fn a_range_must_be_the_one_asked_for() {
        let asked = || Some(GetRange::Bounded(10..20));
        let good =
            ask(asked(), 206, &[("content-range", "bytes 10-19/100"), ("content-length", "10")]);
        assert_eq!(good.unwrap(), (10..20, 100));
        let clamped =
            ask(asked(), 206, &[("content-range", "bytes 10-14/15"), ("content-length", "5")]);
        assert_eq!(clamped.unwrap(), (10..15, 15));
        for headers in [
            &[("content-range", "bytes 11-20/100")][..],
            &[("content-range", "bytes 10-18/100")],
            &[("content-range", "bytes 10-19/100"), ("content-length", "9")],
            &[("content-range", "10-19/100")],
            &[],
        ] {
            assert_eq!(
                ask(asked(), 206, headers).unwrap_err().kind,
                ErrorKind::Protocol,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn a_range_that_was_ignored_is_wrong_unless_all_was_asked_for() {
        let whole = [("content-length", "15")];
        assert!(ask(Some(GetRange::Bounded(10..20)), 200, &whole).is_err());
        assert_eq!(ask(Some(GetRange::Bounded(0..20)), 200, &whole).unwrap(), (0..15, 15));
        assert_eq!(ask(Some(GetRange::From(0)), 200, &whole).unwrap(), (0..15, 15));
        assert!(ask(Some(GetRange::Last(3)), 200, &whole).is_err());
        let empty = [("content-length", "0")];
        assert_eq!(ask(Some(GetRange::Last(3)), 200, &empty).unwrap(), (0..0, 0));
        assert!(ask(Some(GetRange::From(3)), 200, &empty).is_err());
        let told = [("content-range", "bytes 10-19/100"), ("content-length", "10")];
        assert_eq!(ask(Some(GetRange::Bounded(10..20)), 200, &told).unwrap(), (10..20, 100));
        assert!(ask(Some(GetRange::Bounded(11..20)), 200, &told).is_err());
        assert!(ask(None, 206, &whole).is_err());
    }

    #[test]
    fn a_bare_success_is_none_of_any_operation() {
        let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        let headers = HeaderMap::from_iter([content_type]);
        for promise in promises::ALL {
            for document in [&b"<html><body>Please log in</body></html>"[..], b""] {
                let head = promise.check_head(StatusCode::OK, &headers);
                let told =
                    head.and_then(|()| parsed::<serde_json::Value>(promise, &headers, document));
                let told = told.unwrap_err().message.clone();
                let named = format!("not an object store's answer to {}: it", promise.name);
                assert!(told.starts_with(&named), "{told}");
            }
        }
    }

    #[test]
    fn a_batch_is_answered_for_each_of_its_keys_and_no_other() {
        let keys = ["a".to_owned(), "b".to_owned()];
        let asked = |document: &str| deleted(&keys, serde_json::from_str(document).unwrap());
        let failed =
            r#"{"failed":[{"objectName":"b","statusCode":404,"errorCode":"ObjectNotFound"}]}"#;
        let results = asked(failed).unwrap();
        assert!(results[0].is_ok());
        assert_eq!(results[1].as_ref().unwrap_err().kind, ErrorKind::NotFound);
        assert!(asked(r#"{"deleted":[]}"#).is_some());
        assert!(asked(r#"{"failed":[{"objectName":"c"}]}"#).is_none());
        assert!(asked("{}").is_none());
    }

    proptest! {
        #[test]
        fn no_header_or_document_panics(text in "\\PC{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse_content_range(text.as_bytes());
            let _ = retry_after(&text);
            let none = HeaderMap::new();
            let _ = parsed(&promises::LIST_OBJECTS, &none, &bytes).map(list);
            let _ = parsed(&promises::LIST_BUCKETS, &none, &bytes).map(|page| buckets(page, &none));
            let _ = parsed(&promises::LIST_UPLOADS, &none, &bytes).map(|page| uploads(page, &none));
            let _ = parsed::<Begun>(&promises::CREATE_UPLOAD, &none, &bytes);
            let _ = parsed(&promises::BATCH_DELETE, &none, &bytes).map(|page| deleted(&[text], page));
            let _ = parsed(&promises::LIST_WORK_ERRORS, &none, &bytes).map(work_failure);
            let _ = parsed(&promises::GET_WORK, &none, &bytes).map(|page| work("id", &none, page));
        }

        #[test]
        fn content_ranges_read_back(first in 0u64..1000, more in 1u64..1000, rest in 0u64..1000) {
            let (end, size) = (first + more, first + more + rest);
            let text = format!("bytes {first}-{}/{size}", end - 1);
            prop_assert_eq!(parse_content_range(text.as_bytes()), Some((first..end, size)));
        }
    }
}
