// SPDX-License-Identifier: Apache-2.0
//! User metadata as S3 keeps it: text. A value that comes as RFC 2047 has it, or as bytes that are not ASCII, is told
//! as `=?UTF-8?B?…?=`; others are told as they came. All of it has at most 2 KB.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::state::Headers;

const PREFIX: &str = "x-amz-meta-";

/// Bytes of all names and values, as UTF-8.
const LIMIT: usize = 2048;

/// The user metadata of a request, under the names by which it is kept.
pub(super) fn user_metadata(headers: &HeaderMap) -> Headers {
    let user = headers.iter().filter_map(|(name, value)| {
        let key = name.as_str().strip_prefix(PREFIX)?;
        Some((HeaderName::try_from(format!("opc-meta-{key}")).ok()?, canonical(value)))
    });
    user.collect()
}

/// Refuses what is too much.
pub(super) fn check(headers: &HeaderMap) -> S3Result<()> {
    let length = |(name, value): (&HeaderName, &HeaderValue)| {
        let key = name.as_str().strip_prefix(PREFIX)?;
        Some(key.len() + text(value).len())
    };
    let all: usize = headers.iter().filter_map(length).sum();
    if all <= LIMIT {
        return Ok(());
    }
    let mut error = S3Error::with_message(
        S3ErrorCode::Custom("MetadataTooLarge".into()),
        "Your metadata headers exceed the maximum allowed metadata size",
    );
    error.set_status_code(http::StatusCode::BAD_REQUEST);
    Err(error)
}

/// A value as it is told.
fn canonical(value: &HeaderValue) -> HeaderValue {
    let text = text(value);
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim() == text;
    if is_plain && !text.starts_with("=?") {
        return value.clone();
    }
    let word = format!("=?UTF-8?B?{}?=", STANDARD.encode(&text));
    HeaderValue::try_from(word).unwrap_or_else(|_| value.clone())
}

/// What a value means: words of RFC 2047 in base64 or with quoted bytes, else its bytes.
fn text(value: &HeaderValue) -> String {
    let raw = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let words: Option<Vec<Vec<u8>>> = raw.split(' ').map(word).collect();
    words.and_then(|words| String::from_utf8(words.concat()).ok()).unwrap_or(raw)
}

fn word(word: &str) -> Option<Vec<u8>> {
    let mut parts = word.strip_prefix("=?")?.strip_suffix("?=")?.split('?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    match encoding {
        "B" | "b" => STANDARD.decode(text).ok(),
        "Q" | "q" => unquoted(text),
        _ => None,
    }
}

fn unquoted(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: &[u8]) -> String {
        let value = canonical(&HeaderValue::from_bytes(value).unwrap());
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn text_that_is_not_ascii_is_told_as_words() {
        for value in [
            "\u{fc}",
            "=?UTF-8?B?w7w=?=",
            "=?utf-8?q?=C3=BC?=",
            "=?UTF-8?B?ww==?= =?UTF-8?B?vA==?=",
        ] {
            assert_eq!(told(value.as_bytes()), "=?UTF-8?B?w7w=?=", "{value}");
        }
        assert_eq!(told(b"plain a  b"), "plain a  b");
        assert_eq!(told(b"=?UTF-8?B?IGE=?="), "=?UTF-8?B?IGE=?=", "a blank in front");
    }

    #[test]
    fn it_is_counted_as_text() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-meta-k", HeaderValue::try_from("x".repeat(2047)).unwrap());
        assert!(check(&headers).is_ok());
        headers.insert("x-amz-meta-kk", HeaderValue::from_static(""));
        assert_eq!(check(&headers).unwrap_err().code().as_str(), "MetadataTooLarge");
    }
}
