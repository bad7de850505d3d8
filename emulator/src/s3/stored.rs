// SPDX-License-Identifier: Apache-2.0
//! Objects of the store as this API sees them: found by version, judged by the conditions of a
//! read, with their ETags and storage classes.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderMap;
use s3s::dto::ETag;
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::errors::{detailed, error, invalid_argument};
use super::shared::{Shared, header_map};
use crate::buckets::default_tier;
use crate::error::ApiError;
use crate::request::text;
use crate::state::{Object as Stored, matches, s3_etag};

/// The one version of an object, in a bucket that keeps no others.
pub(super) const NULL: &str = "null";

/// The storage classes that OCI's tiers are.
const CLASSES: [(&str, &str); 3] =
    [("STANDARD", "Standard"), ("STANDARD_IA", "InfrequentAccess"), ("GLACIER", "Archive")];

pub(super) fn etag(stored: &Stored) -> ETag {
    ETag::Strong(stored.s3_etag())
}

/// A part's ETag: its MD5 in hex.
pub(super) fn part_etag(md5: [u8; 16]) -> String {
    s3_etag(&STANDARD.encode(md5))
}

/// The storage class of an object, as lists tell it.
pub(super) fn storage_class(tier: &str) -> &'static str {
    CLASSES.iter().find(|(_, known)| *known == tier).map_or("STANDARD", |(class, _)| class)
}

/// The tier of what is put: that of the class that is asked for, or the bucket's.
pub(super) fn tier(api: &Shared, bucket: &str, headers: &HeaderMap) -> S3Result<String> {
    let of_bucket = default_tier(api.storage(), &api.name(bucket)).map_err(error)?;
    let asked = text(headers, "x-amz-storage-class");
    let named = asked.map(|asked| CLASSES.iter().find(|(class, _)| *class == asked));
    match named {
        None => Ok(of_bucket),
        Some(Some((_, tier))) => Ok((*tier).to_owned()),
        Some(None) => Err(S3ErrorCode::InvalidStorageClass.into()),
    }
}

/// Finds an object that is to be read and judges the conditions.
pub(super) fn find(
    api: &Shared,
    (bucket, key): (&str, &str),
    version: Option<&str>,
    headers: &HeaderMap,
) -> S3Result<Arc<Stored>> {
    let stored = find_version(api, (bucket, key), version)?;
    check_read(&stored, headers, "")?;
    Ok(stored)
}

/// An object, or the version of it that is named: its only one is the null version, and by the
/// native API's id of it it is found, too.
pub(super) fn find_version(
    api: &Shared,
    (bucket, key): (&str, &str),
    version: Option<&str>,
) -> S3Result<Arc<Stored>> {
    let found = api.storage().get(&api.name(bucket), key);
    let invalid = |why: &str| invalid_argument("versionId", version, why.to_owned());
    match (version, found) {
        (None, found) => found.map_err(error),
        (_, Err(failed)) if failed.code == "BucketNotFound" => Err(error(failed)),
        (Some(""), _) => Err(invalid("Version id cannot be the empty string")),
        (Some(NULL), found) => found.map_err(|_| S3ErrorCode::NoSuchVersion.into()),
        (Some(version), Ok(stored)) if version == stored.version => Ok(stored),
        _ => Err(invalid("Invalid version id specified")),
    }
}

/// A time as headers tell it.
pub(super) fn whole_seconds(time: SystemTime) -> SystemTime {
    let told = httpdate::fmt_http_date(time);
    httpdate::parse_http_date(&told).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The conditions of a read; those of a copy's source have a prefix.
pub(super) fn check_read(stored: &Stored, headers: &HeaderMap, prefix: &str) -> S3Result<()> {
    let sent = |name: &str| text(headers, &format!("{prefix}{name}"));
    let date = |name| sent(name).and_then(|date| httpdate::parse_http_date(date).ok());
    let modified = whole_seconds(stored.modified);
    let failed = |condition: &str| {
        let condition = format!("{prefix}{condition}");
        Err(detailed(S3ErrorCode::PreconditionFailed.into(), &[("Condition", &condition)]))
    };
    match sent("if-match") {
        Some(wanted) if !stored.is_named_by(wanted) => return failed("If-Match"),
        None if date("if-unmodified-since").is_some_and(|date| modified > date) => {
            return failed("If-Unmodified-Since");
        }
        _ => {}
    }
    let unchanged = match sent("if-none-match") {
        Some(known) if matches(known, &stored.s3_etag()) || matches(known, &stored.etag) => {
            Some("If-None-Match")
        }
        None if date("if-modified-since").is_some_and(|date| modified <= date) => {
            Some("If-Modified-Since")
        }
        _ => None,
    };
    let Some(unchanged) = unchanged else { return Ok(()) };
    if !prefix.is_empty() {
        return failed(unchanged);
    }
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    error.set_headers(header_map(&[("etag", format!("\"{}\"", stored.s3_etag()))])?);
    Err(error)
}

/// The error of a conditional write; of an object that is not there, no ETag can match.
pub(super) fn write_error(api: &Shared, bucket: &str, key: &str, failed: ApiError) -> S3Error {
    let absent = || api.storage().get(&api.name(bucket), key).is_err();
    if failed.code == "IfMatchFailed" && absent() {
        return S3ErrorCode::NoSuchKey.into();
    }
    error(failed)
}
