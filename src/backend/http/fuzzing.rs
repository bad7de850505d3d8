// SPDX-License-Identifier: Apache-2.0
//! Entry points of the fuzz targets that read heads of answers.

use super::answer::{parse_content_range, range_of};
use super::{described, etag, length, metadata, read_crc32c, retry_after, show_crc32c, text};
use crate::backend::GetRequest;
use crate::backend::fuzzing::Answer;
use crate::timing::after;
use crate::types::{About, GetRange};
use hyper::header::{CONTENT_RANGE, HeaderValue};
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// The bytes that an answer is taken for are those that were asked for, and as many as it says.
pub(crate) fn content_range(data: &[u8]) {
    let Some(answer) = Answer::parse(data) else { return };
    let Some(range) = asked(answer.asked) else { return };
    let request = GetRequest { key: "k".into(), range, if_match: None };
    let told = answer.headers.get(CONTENT_RANGE).map(HeaderValue::as_bytes);
    assert_eq!(told.and_then(parse_content_range), told.and_then(by_parts));
    let Ok((got, size)) = range_of(&request, answer.status, &answer.headers) else { return };
    assert!(got.start <= got.end && got.end <= size);
    match &request.range {
        None => assert_eq!(got, 0..size),
        Some(asked) if size == 0 => assert!(got.is_empty() && asked.means_empty()),
        Some(asked) => assert_eq!(asked.of(size), Some(got.clone())),
    }
    if let Some(length) = length(&answer.headers) {
        assert_eq!(length, got.end - got.start);
    }
}

/// Nothing, `a-b`, `a-` or `-n`, as a Range header has them; `None` for anything else.
#[expect(clippy::option_option, reason = "a read without a range is one, too")]
fn asked(text: &str) -> Option<Option<GetRange>> {
    if text.is_empty() {
        return Some(None);
    }
    let range = match text.split_once('-')? {
        ("", bytes) => GetRange::Last(bytes.parse().ok()?),
        (start, "") => GetRange::From(start.parse().ok()?),
        (start, last) => {
            let (start, last): (u64, u64) = (start.parse().ok()?, last.parse().ok()?);
            GetRange::Bounded(start..last.checked_add(1).filter(|end| start < *end)?)
        }
    };
    let header = range.header();
    assert!(header.as_bytes().starts_with(b"bytes="));
    Some(Some(range))
}

/// A Content-Range by another way.
fn by_parts(text: &[u8]) -> Option<(Range<u64>, u64)> {
    let (range, size) = std::str::from_utf8(text).ok()?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |digits: &str| {
        let good = (1..20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        good.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let (first, last, size) = (number(first)?, number(last)?, number(size)?);
    (first <= last && last < size).then(|| (first..last + 1, size))
}

/// User metadata that was received is sent and received again as the same; tags are what the server wrote.
pub(crate) fn object_headers(data: &[u8]) {
    let Some(answer) = Answer::parse(data) else { return };
    let meta = described("k", 7, &answer.headers, "opc-meta-", "opc-meta-storescope-write");
    let about = About { metadata: meta.metadata, ..About::default() };
    if let Ok(sent) = metadata::sent(&about) {
        for (name, text) in sent {
            let header = HeaderValue::from_str(&text).expect("what is sent stands in a header");
            assert_eq!(metadata::received(&header), about.metadata[&name]);
        }
    }
    if let Some(tag) = meta.etag.as_deref() {
        assert!(etag::same(tag, tag) && tag.contains(etag::opaque(tag)));
        if let Some(condition) = etag::condition(tag) {
            assert_eq!(condition, tag);
        }
    }
    if let Some(told) = text(&answer.headers, "x-amz-checksum-crc32c")
        && let Some(crc) = read_crc32c(told)
    {
        assert_eq!(show_crc32c(crc), told);
    }
}

/// Dates are written and read again as the same; where two readers take one, they agree.
pub(crate) fn dates(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(wait) = retry_after(text) {
        if let Ok(seconds) = text.parse() {
            assert_eq!(wait, Duration::from_secs(seconds));
        }
        assert!(after(u64::MAX - 1, wait) >= u64::MAX - 1);
    }
    if let Ok(date) = httpdate::parse_http_date(text) {
        assert_eq!(httpdate::parse_http_date(&httpdate::fmt_http_date(date)).ok(), Some(date));
        if let Ok(second) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text) {
            assert_eq!(SystemTime::from(second), date);
        }
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        let system = SystemTime::from(time);
        assert_eq!(jiff::Timestamp::try_from(system).ok(), Some(time));
        assert_eq!(time.to_string().parse::<jiff::Timestamp>().ok(), Some(time));
    }
    #[cfg(feature = "s3")]
    crate::backend::s3::fuzzing::date(text);
}
