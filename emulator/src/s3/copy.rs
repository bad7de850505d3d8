// SPDX-License-Identifier: Apache-2.0
//! CopyObject, and the source of what is copied.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderMap;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::checksums::{checksum_type, kept_checksums, set_checksums};
use super::errors::{detailed, error, invalid};
use super::metadata;
use super::object_headers::{changes, copied_headers, encryption};
use super::shared::{Answer, Shared};
use super::stored::{check_read, etag, find_version, tier, write_error};
use super::write::{MAX_BYTES, condition};
use crate::error::ApiError;
use crate::intake::{Algorithm, Received};
use crate::request::text;
use crate::state::Object as Stored;
use crate::target::form_text;

pub(super) async fn copy(
    api: &Shared,
    request: S3Request<CopyObjectInput>,
) -> Answer<CopyObjectOutput> {
    let (input, headers) = (&request.input, &request.headers);
    metadata::check(headers)?;
    let found = source(api, headers)?;
    if found.size > MAX_BYTES {
        return invalid(format!(
            "The specified copy source is larger than the maximum allowable size for a copy \
             source: {MAX_BYTES}"
        ));
    }
    let (bucket, key, _) = copy_source(headers)?;
    if (&bucket, &key) == (&input.bucket, &input.key) && !changes(headers) {
        return invalid(
            "This copy request is illegal because it is trying to copy an object to itself \
             without changing the object's metadata, storage class, website redirect location or \
             encryption attributes.",
        );
    }
    let (tier, kept) = (tier(api, &input.bucket, headers)?, copied_headers(&found, headers)?);
    let stored = hashed(&found, headers, found.copied(&tier, kept, api.now())).await?;
    let stored = api
        .storage()
        .put(&api.name(&input.bucket), &input.key, stored, &condition(headers)?)
        .map_err(|failed| write_error(api, &input.bucket, &input.key, failed))?;
    let mut result = CopyObjectResult {
        e_tag: Some(etag(&stored)),
        last_modified: Some(stored.modified.into()),
        checksum_type: stored.checksums.first().map(|_| checksum_type(false).to_owned().into()),
        ..Default::default()
    };
    set_checksums!(result, &stored.checksums);
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        server_side_encryption: encryption(&stored.headers),
        ..Default::default()
    }))
}

/// Where a copy reads: bucket, key, and the version if one is named.
///
/// The header is read here and not by the service, which takes a `+` for itself: S3 takes it for a
/// space, and clients (s5cmd) encode it so.
fn copy_source(headers: &HeaderMap) -> S3Result<(String, String, Option<String>)> {
    let invalid = || {
        S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            "x-amz-copy-source is to be BUCKET/KEY, percent-encoded",
        )
    };
    let raw = text(headers, "x-amz-copy-source").ok_or_else(invalid)?;
    let (path, version) = match raw.split_once("?versionId=") {
        Some((path, version)) => (path, Some(version.to_owned())),
        None => (raw, None),
    };
    let path = form_text(path).map_err(|_| invalid())?;
    let (bucket, key) =
        path.strip_prefix('/').unwrap_or(&path).split_once('/').ok_or_else(invalid)?;
    Ok((bucket.to_owned(), key.to_owned(), version))
}

/// The object that a copy reads.
pub(super) fn source(api: &Shared, headers: &HeaderMap) -> S3Result<Arc<Stored>> {
    let (bucket, key, version) = copy_source(headers)?;
    // What is not there is the source, not what the request's target names.
    let missing = |failed: S3Error| {
        let is_bucket = *failed.code() == S3ErrorCode::NoSuchBucket;
        let name = if is_bucket { ("BucketName", &*bucket) } else { ("Key", &*key) };
        detailed(failed, &[name])
    };
    let stored = find_version(api, (&bucket, &key), version.as_deref()).map_err(missing)?;
    check_read(&stored, headers, "x-amz-copy-source-")?;
    if stored.is_archived(api.now()) {
        return Err(S3ErrorCode::InvalidObjectState.into());
    }
    Ok(stored)
}

/// A copy has the checksum that is asked for, and is whole: one of an object of parts has the MD5
/// and the checksums of all bytes.
async fn hashed(found: &Stored, headers: &HeaderMap, copy: Stored) -> S3Result<Stored> {
    let asked = text(headers, "x-amz-checksum-algorithm").and_then(Algorithm::named);
    if asked.is_none() && !found.is_multipart() {
        return Ok(copy);
    }
    let of_source = found.checksums.iter().filter_map(|(name, _)| Algorithm::named(name));
    let wanted: Vec<_> = asked.map_or_else(|| of_source.collect(), |asked| vec![asked]);
    let received = Received::of_content(found.content.clone(), &wanted)
        .await
        .map_err(|failed| error(ApiError::storage(failed)))?;
    Ok(Stored {
        md5: STANDARD.encode(received.md5),
        checksums: kept_checksums(&received, &wanted),
        parts: Vec::new(),
        ..copy
    })
}
