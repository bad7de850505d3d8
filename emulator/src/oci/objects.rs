// SPDX-License-Identifier: Apache-2.0
//! Operations on objects: put, get, head and delete.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES,
    HeaderMap, HeaderName, HeaderValue, IF_MATCH, RANGE,
};
use http::{Method, StatusCode};

use super::described::{described, written};
use super::digests::{base64_crc, check_received};
use super::validation::{check_tier, check_version};
use crate::buckets::default_tier;
use crate::error::ApiError;
use crate::fault::Plan;
use crate::intake::Received;
use crate::metadata::{CONTENT_HEADERS, METADATA, check_metadata};
use crate::reply::Reply;
use crate::request::{chosen, condition, is_not_modified, text};
use crate::state::{BucketName, Headers, Object};
use crate::storage::Storage;
use crate::target::Target;

/// Query parameters of GetObject that replace a header of the answer.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("httpResponseContentType", CONTENT_TYPE),
    ("httpResponseContentLanguage", CONTENT_LANGUAGE),
    ("httpResponseContentEncoding", CONTENT_ENCODING),
    ("httpResponseContentDisposition", CONTENT_DISPOSITION),
    ("httpResponseCacheControl", CACHE_CONTROL),
    ("httpResponseExpires", EXPIRES),
];

pub(super) fn put(
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
        ..Object::new(received.content, &tier, kept_headers(headers)?, now)
    };
    let object = storage.put(bucket, name, object, &condition)?;
    Ok(written(&object)
        .with_text("opc-content-md5", &object.md5)
        .with_text("opc-content-crc32c", &base64_crc(object.crc32c))
        .with_checksums(&object))
}

fn kept_headers(headers: &HeaderMap) -> Result<Headers, ApiError> {
    let mut kept: Headers = headers
        .iter()
        .filter(|(name, _)| CONTENT_HEADERS.contains(name) || name.as_str().starts_with(METADATA))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !headers.contains_key(CONTENT_TYPE) {
        kept.push((CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")));
    }
    check_metadata(&kept)?;
    Ok(kept)
}

/// GetObject and HeadObject; the latter is cut to its head later.
pub(super) fn get(
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

pub(super) fn delete(
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
}
