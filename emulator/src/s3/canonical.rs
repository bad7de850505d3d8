// SPDX-License-Identifier: Apache-2.0
//! The pieces of a canonical request and of the text that is signed.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use http::header::HeaderMap;
use http::request::Parts;
use s3s::{S3Error, S3Result};

use crate::request::{raw_target, text};
use crate::target::{lossy, percent_encoded, query_pairs};

pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
pub(super) const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// Names of `SignedHeaders`, in order.
pub(super) fn names(signed: &str) -> Vec<String> {
    let mut names: Vec<_> = signed.split(';').map(str::to_ascii_lowercase).collect();
    names.sort_unstable();
    names
}

pub(super) fn is_payload_hash(hash: &str) -> bool {
    let is_sha256 = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let streaming = ["AWS4-HMAC-SHA256-PAYLOAD", "AWS4-ECDSA-P256-SHA256-PAYLOAD"];
    let is_streaming = hash.strip_prefix("STREAMING-").is_some_and(|kind| {
        kind == "UNSIGNED-PAYLOAD-TRAILER"
            || streaming.contains(&kind.strip_suffix("-TRAILER").unwrap_or(kind))
    });
    is_sha256 || is_streaming || hash == UNSIGNED
}

/// What is signed of a request's body.
pub(super) fn payload_hash(asked: &Parts) -> String {
    let in_query = || {
        let pairs = query_pairs(raw_target(asked));
        pairs.into_iter().find(|(name, _)| name == "X-Amz-Content-Sha256").map(|(_, hash)| hash)
    };
    let header = text(&asked.headers, CONTENT_SHA256).map(str::to_owned);
    header.or_else(in_query).unwrap_or_else(|| UNSIGNED.to_owned())
}

/// Values of a header as they are signed: trimmed, with single spaces, joined by commas.
pub(super) fn canonical_value(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| {
        let value = String::from_utf8_lossy(value.as_bytes());
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

/// The pairs of a query in their order, but for the signature.
pub(super) fn canonical_query(target: &str) -> String {
    let mut pairs: Vec<(String, String)> = query_pairs(target)
        .into_iter()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (percent_encoded(&name), percent_encoded(&value)))
        .collect();
    pairs.sort_unstable();
    let pairs = pairs.into_iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

pub(super) fn encoded_path(path: &str) -> String {
    percent_encoded(&lossy(path)).replace("%2F", "/")
}

pub(super) fn set_target(parts: &mut Parts, target: &str) -> S3Result<()> {
    let mut uri = parts.uri.clone().into_parts();
    uri.path_and_query = Some(target.parse().map_err(S3Error::internal_error)?);
    parts.uri = http::Uri::from_parts(uri).map_err(S3Error::internal_error)?;
    Ok(())
}

/// `20260101T000000Z`
pub(super) fn parse_iso(text: &str) -> Option<SystemTime> {
    let date = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", text)
        .and_then(|date| date.to_datetime())
        .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC));
    (text.len() == 16).then(|| date.map(|date| date.timestamp().into()).ok())?
}

pub(super) fn iso(time: SystemTime) -> String {
    strftime(time, "%Y%m%dT%H%M%SZ")
}

/// `2026-01-01T00:00:00Z`
pub(super) fn long(time: SystemTime) -> String {
    strftime(time, "%Y-%m-%dT%H:%M:%SZ")
}

fn strftime(time: SystemTime, format: &str) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    time.strftime(format).to_string()
}

/// Bytes as S3 spells them out: `41 57 53`.
pub(super) fn spelled(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

pub(super) fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
