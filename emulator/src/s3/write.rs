// SPDX-License-Identifier: Apache-2.0
//! PutObject, and how a body is taken in.

use std::pin::Pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_core::Stream as _;
use http::header::HeaderMap;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::checksums::{self, Sent, checksum_type, kept_checksums, set_checksums};
use super::errors::{detailed, error, not_implemented};
use super::metadata;
use super::object_headers::{encryption, kept_headers};
use super::shared::{Answer, Shared, Ticket};
use super::stored::{etag, tier, write_error};
use crate::api::Refused;
use crate::error::ApiError;
use crate::intake::{Algorithm, Intake, Received};
use crate::request::text;
use crate::state::{Checksums, Condition, Object as Stored};

/// Most bytes of one PUT and of one CopyObject.
pub(super) const MAX_BYTES: u64 = 5 << 30;

pub(super) async fn put(
    api: &Shared,
    mut request: S3Request<PutObjectInput>,
) -> Answer<PutObjectOutput> {
    let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
    metadata::check(&request.headers)?;
    let tier = tier(api, &bucket, &request.headers)?;
    let (condition, kept) = (condition(&request.headers)?, kept_headers(&request.headers)?);
    let (body, length) = (request.input.body.take(), request.input.content_length);
    let (received, checksums) = receive(api, &request, body, length, None).await?;
    let stored = Stored {
        md5: STANDARD.encode(received.md5),
        crc32c: received.crc32c,
        checksums,
        ..Stored::new(received.content, &tier, kept, api.now())
    };
    let stored = api
        .storage()
        .put(&api.name(&bucket), &key, stored, &condition)
        .map_err(|failed| write_error(api, &bucket, &key, failed))?;
    let mut output = PutObjectOutput {
        e_tag: Some(etag(&stored)),
        server_side_encryption: encryption(&stored.headers),
        checksum_type: stored.checksums.first().map(|_| checksum_type(false).to_owned().into()),
        ..Default::default()
    };
    set_checksums!(output, &stored.checksums);
    Ok(S3Response::new(output))
}

/// Takes in a body and compares it with the checksums that came before or after it; those are
/// returned, and `also`.
pub(super) async fn receive<T>(
    api: &Shared,
    request: &S3Request<T>,
    body: Option<StreamingBlob>,
    length: Option<i64>,
    also: Option<Algorithm>,
) -> S3Result<(Received, Checksums)> {
    let headers = &request.headers;
    // A chunked body's own length stands apart; it may come without a Content-Length.
    let decoded = text(headers, "x-amz-decoded-content-length").and_then(|n| n.parse().ok());
    let length = decoded.or(length.map(i64::unsigned_abs));
    let length = length.ok_or(S3ErrorCode::MissingContentLength)?;
    if length > MAX_BYTES {
        let sizes = [("ProposedSize", length), ("MaxSizeAllowed", MAX_BYTES)];
        let sizes = sizes.map(|(name, size)| (name, size.to_string()));
        let sizes = sizes.each_ref().map(|(name, size)| (*name, size.as_str()));
        return Err(detailed(S3ErrorCode::EntityTooLarge.into(), &sizes));
    }
    let sent = Sent::of(headers)?;
    let is_wanted = |algorithm: &Algorithm| {
        sent.as_ref().is_some_and(|sent| sent.algorithm == *algorithm) || also == Some(*algorithm)
    };
    let wanted: Vec<_> = checksums::ALGORITHMS.into_iter().filter(is_wanted).collect();
    let storage = |failed| error(ApiError::storage(failed));
    let mut intake = Intake::begin(api.storage().folder(), length, &wanted).map_err(storage)?;
    if let Some(mut body) = body {
        while let Some(data) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            let data = data.map_err(|failed| broken(request, &*failed))?;
            intake.write(&data).await.map_err(storage)?;
        }
    }
    let received = intake.finish().await.map_err(storage)?;
    if received.content.len() != length {
        return Err(S3ErrorCode::IncompleteBody.into());
    }
    checksums::check_md5(headers, &STANDARD.encode(received.md5))?;
    if let Some(sent) = sent {
        let computed = received.base64(sent.algorithm).unwrap_or_default();
        sent.check(request.trailing_headers.as_ref(), &computed)?;
    }
    let kept = kept_checksums(&received, &wanted);
    Ok((received, kept))
}

/// A body that is not the one that was signed.
fn broken<T>(request: &S3Request<T>, why: &(dyn std::error::Error + Send + Sync)) -> S3Error {
    let chunked = text(&request.headers, "x-amz-content-sha256")
        .is_some_and(|hash| hash.starts_with("STREAMING-"));
    let broke_off = request
        .extensions
        .get::<Ticket>()
        .is_some_and(|ticket| ticket.0.broken.load(std::sync::atomic::Ordering::Relaxed));
    let code = match (broke_off, chunked) {
        (true, _) => S3ErrorCode::IncompleteBody,
        (false, true) => S3ErrorCode::SignatureDoesNotMatch,
        (false, false) => {
            let mut error = S3Error::with_message(
                S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            );
            error.set_status_code(http::StatusCode::BAD_REQUEST);
            return error;
        }
    };
    S3Error::with_message(code, why.to_string())
}

/// What a write asks for.
pub(super) fn condition(headers: &HeaderMap) -> S3Result<Condition> {
    let (known, other) = (text(headers, "if-match"), text(headers, "if-none-match"));
    let refuse = |name: &str| Err(not_implemented(Refused::header(name)));
    match (known, other) {
        (Some(_), Some(_)) => refuse("if-match,if-none-match"),
        (Some("*"), _) => refuse("if-match"),
        (_, Some(other)) if other != "*" => refuse("if-none-match"),
        _ => Ok(Condition { if_match: known.map(str::to_owned), absent: other.is_some() }),
    }
}
