// SPDX-License-Identifier: Apache-2.0
//! Answers, checked: never wrong or short bytes; and what their headers tell of an object.

use super::promise::Promise;
use super::{DOCUMENT_LIMIT, etag, metadata};
use crate::backend::{GetReply, GetRequest, LazyMeta};
use crate::error::{ErrorKind, Failure};
use crate::timing::RequestId;
use crate::transport::Response;
use crate::types::ObjectMeta;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{self, AsHeaderName, HeaderMap};
use std::ops::Range;

/// Checks status, Content-Range, length and ETag of a read.
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
            let etag = etag_of(&headers);
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
pub(super) fn range_of(
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
pub(super) fn parse_content_range(text: &[u8]) -> Option<(Range<u64>, u64)> {
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

/// Reads an answer whole, holds it against what is promised, and makes something of it. A failure gets the id of its
/// request.
pub(in crate::backend) async fn whole<T>(
    promise: &Promise,
    response: Response,
    id: RequestId,
    read: impl FnOnce(&HeaderMap, &[u8]) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let Response { status, headers, body } = response;
    let document = body.collect(DOCUMENT_LIMIT).await;
    let read = document.and_then(|document| {
        promise.check_head(status, &headers)?;
        read(&headers, &document)
    });
    with_id(read, id)
}

/// Gives a failure after the head the id of its request.
pub(in crate::backend) fn with_id<T>(
    result: Result<T, Failure>,
    id: RequestId,
) -> Result<T, Failure> {
    result.map_err(|mut failure| {
        failure.client_request_id.get_or_insert_with(|| id.to_string());
        failure
    })
}

pub(in crate::backend) fn lacks(header: &str) -> Failure {
    Failure::new(ErrorKind::Protocol).message(format!("the answer lacks {header}"))
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

pub(in crate::backend) fn etag_of(headers: &HeaderMap) -> Option<String> {
    headers.get(header::ETAG).map(|tag| metadata::text(tag).into_owned())
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

pub(in crate::backend) fn read_crc32c(text: &str) -> Option<u32> {
    Some(u32::from_be_bytes(STANDARD.decode(text).ok()?.try_into().ok()?))
}

pub(in crate::backend) fn show_crc32c(crc: u32) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

/// The checksum that a write's answer tells, if it does, must be that of the bytes sent.
pub(in crate::backend) fn check_stored(
    name: &str,
    ours: &str,
    theirs: Option<&str>,
) -> Result<(), Failure> {
    match theirs {
        Some(theirs) if theirs != ours => Err(Failure::new(ErrorKind::Integrity)
            .message(format!("the service stored {name} {theirs}, we sent {ours}"))
            .hint("write the object again")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::GetRange;
    use hyper::header::HeaderValue;
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

    proptest! {
        #[test]
        fn no_content_range_panics(text in "\\PC{0,60}") {
            let _ = parse_content_range(text.as_bytes());
        }

        #[test]
        fn content_ranges_read_back(first in 0u64..1000, more in 1u64..1000, rest in 0u64..1000) {
            let (end, size) = (first + more, first + more + rest);
            let text = format!("bytes {first}-{}/{size}", end - 1);
            prop_assert_eq!(parse_content_range(text.as_bytes()), Some((first..end, size)));
        }
    }
}
