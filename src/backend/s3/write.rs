// SPDX-License-Identifier: Apache-2.0
//! Writes of objects by one request, and removals.

use super::answer::{self, CRC32C, METADATA};
use super::exchange::{OwnRequest, sendable};
use super::{S3, promises, refusal};
use crate::backend::http::{self, WriteConditions, metadata, text};
use crate::backend::{Attempt, PutRequest, RequestFuture, exists, unsent};
use crate::error::{ErrorKind, Failure};
use crate::types::{About, ObjectMeta};
use aws_sdk_s3::operation::delete_objects::DeleteObjectsOutput;
use aws_sdk_s3::types::{ChecksumAlgorithm, Delete, ObjectIdentifier};
use hyper::header::{self, HeaderMap};

pub(super) fn put<'a>(
    s3: &'a S3,
    request: &'a PutRequest,
    mut attempt: Attempt,
) -> RequestFuture<'a, ObjectMeta> {
    attempt.timer.uploads(request.body.len());
    Box::pin(async move {
        let mut own = OwnRequest::new(&promises::PUT_OBJECT, &request.key);
        let filled = s3
            .conditions(&request.mode)
            .and_then(|conditions| conditions.insert(&mut own.unsigned))
            .and_then(|()| http::checksum(&mut own.signed, CRC32C, request.checksum))
            .and_then(|()| describe(&mut own, &request.about));
        let attempt = sendable(filled, attempt)?;
        own.body = request.body.clone();
        let read = |headers: &HeaderMap| {
            answer::check_stored(request.checksum, text(headers, CRC32C))?;
            Ok(request.stored(answer::meta(&request.key, request.body.len(), headers)))
        };
        let put = s3.headed(attempt, own, read).await;
        put.map_err(|failure| exists(failure, &request.mode))
    })
}

pub(super) fn delete<'a>(
    s3: &'a S3,
    key: &'a str,
    if_match: Option<&'a str>,
    attempt: Attempt,
) -> RequestFuture<'a, ()> {
    Box::pin(async move {
        let mut own = OwnRequest::new(&promises::DELETE_OBJECT, key);
        let filled = match if_match {
            Some(tag) => WriteConditions::matching(s3.in_its_form(tag))
                .and_then(|conditions| conditions.insert(&mut own.unsigned)),
            None => Ok(()),
        };
        let attempt = sendable(filled, attempt)?;
        s3.headed(attempt, own, |_| Ok(())).await
    })
}

pub(super) fn delete_many<'a>(
    s3: &'a S3,
    keys: &'a [String],
    attempt: Attempt,
) -> RequestFuture<'a, Vec<Result<(), Failure>>> {
    Box::pin(async move {
        let named = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let delete = named
            .collect::<Result<Vec<_>, _>>()
            .and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build())
            .map_err(|e| Failure::new(ErrorKind::InvalidInput).source(e));
        let delete = match delete {
            Ok(delete) => delete,
            Err(failure) => return Err(unsent(failure, attempt.timer)),
        };
        // The SDK's own choice, crc32, is refused by OCI's S3 API even under when_required.
        let deleted = s3
            .send_by_sdk(attempt, &promises::DELETE_OBJECTS, |service, bucket, attach| {
                service
                    .client
                    .delete_objects()
                    .bucket(bucket)
                    .delete(delete)
                    .checksum_algorithm(ChecksumAlgorithm::Crc32C)
                    .customize()
                    .mutate_request(attach)
                    .send()
            })
            .await?;
        removed(keys, deleted)
    })
}

/// A result for each key; the answer names those that failed.
pub(super) fn removed(
    keys: &[String],
    deleted: DeleteObjectsOutput,
) -> Result<Vec<Result<(), Failure>>, Failure> {
    let failures = deleted.errors.unwrap_or_default().into_iter().map(|error| {
        let failure = refusal::not_deleted(error.code, error.message);
        (error.key.unwrap_or_default(), failure)
    });
    http::one_each(keys, failures.collect()).ok_or_else(|| {
        Failure::new(ErrorKind::Protocol)
            .message("the answer to DeleteObjects tells of an object that was not named")
    })
}

fn describe(own: &mut OwnRequest<'_>, about: &About) -> Result<(), Failure> {
    let content_type = metadata::content("content-type", about.content_type())?;
    own.signed.insert(header::CONTENT_TYPE, content_type);
    http::content(&mut own.unsigned, about)?;
    http::user_metadata(&mut own.signed, METADATA, about)
}
