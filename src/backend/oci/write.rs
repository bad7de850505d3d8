// SPDX-License-Identifier: Apache-2.0
//! Writes of objects by one request, and removals.

use super::answer::{self, CRC32C, METADATA};
use super::exchange::Parts;
use super::request_target::RequestTarget;
use super::service::Service;
use super::{Oci, promises, refusal};
use crate::backend::http::{self, WriteConditions, metadata};
use crate::backend::{Attempt, PutRequest, RequestFuture, exists};
use crate::error::{ErrorKind, Failure};
use crate::types::{About, Checksum, ObjectMeta};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;

pub(super) const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("opc-checksum-algorithm");

pub(super) fn put<'a>(
    oci: &'a Oci,
    request: &'a PutRequest,
    mut attempt: Attempt,
) -> RequestFuture<'a, ObjectMeta> {
    attempt.timer.uploads(request.body.len());
    let fill = |parts: &mut Parts, _: &Service| {
        WriteConditions::of(&request.mode)?.insert(&mut parts.headers)?;
        checksum_headers(&mut parts.headers, request.checksum)?;
        about_headers(&mut parts.headers, &request.about)?;
        parts.body = request.body.clone();
        Ok(())
    };
    let read = |headers: &HeaderMap, _: &[u8]| {
        answer::check_stored(request.checksum, headers)?;
        Ok(request.stored(answer::meta(&request.key, request.body.len(), headers)))
    };
    Box::pin(async move {
        let target = RequestTarget::Object(&request.key);
        let put = oci.answered(attempt, &promises::PUT_OBJECT, target, fill, read).await;
        put.map_err(|failure| exists(failure, &request.mode))
    })
}

pub(super) fn delete<'a>(
    oci: &'a Oci,
    key: &'a str,
    if_match: Option<&'a str>,
    attempt: Attempt,
) -> RequestFuture<'a, ()> {
    let fill = move |parts: &mut Parts, _: &Service| {
        if let Some(tag) = if_match {
            WriteConditions::matching(tag)?.insert(&mut parts.headers)?;
        }
        Ok(())
    };
    let (promise, target) = (&promises::DELETE_OBJECT, RequestTarget::Object(key));
    Box::pin(oci.answered(attempt, promise, target, fill, |_, _| Ok(())))
}

pub(super) fn delete_many<'a>(
    oci: &'a Oci,
    keys: &'a [String],
    attempt: Attempt,
) -> RequestFuture<'a, Vec<Result<(), Failure>>> {
    let fill = move |parts: &mut Parts, _: &Service| {
        let objects: Vec<_> = keys.iter().map(|key| json!({ "objectName": key })).collect();
        parts.carry(&json!({ "objects": objects, "isSkipDeletedResult": true }));
        Ok(())
    };
    let promise = &promises::BATCH_DELETE;
    let read = move |headers: &HeaderMap, document: &[u8]| {
        deleted(keys, answer::parsed(promise, headers, document)?)
            .ok_or_else(|| promise.lacks_document(headers))
    };
    let target = RequestTarget::Action("batchDeleteObjects");
    Box::pin(oci.answered(attempt, promise, target, fill, read))
}

pub(super) fn checksum_headers(
    headers: &mut HeaderMap,
    checksum: Option<Checksum>,
) -> Result<(), Failure> {
    if let Some(Checksum::Crc32c(_)) = checksum {
        headers.insert(CHECKSUM_ALGORITHM, HeaderValue::from_static("CRC32C"));
    }
    http::checksum(headers, CRC32C, checksum)
}

fn about_headers(headers: &mut HeaderMap, about: &About) -> Result<(), Failure> {
    headers.insert(header::CONTENT_TYPE, metadata::content("content-type", about.content_type())?);
    http::content(headers, about)?;
    http::user_metadata(headers, METADATA, about)
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
        let code = failed.error_code.as_deref();
        let kind = status
            .filter(|status| (100..1000).contains(status))
            .map_or(ErrorKind::Rejected, |status| refusal::kind(status, code));
        let mut failure = Failure::new(kind);
        failure.status = status;
        failure.code = failed.error_code;
        failure.message = failed.error_message.unwrap_or_default();
        (failed.object_name, failure)
    });
    http::one_each(keys, failures.collect())
}
