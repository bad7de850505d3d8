// SPDX-License-Identifier: Apache-2.0
//! Buckets.

use super::exchange::Parts;
use super::request_target::{RequestTarget, query};
use super::service::Service;
use super::{Oci, answer, promises};
use crate::backend::{Attempt, BucketPage, RequestFuture};
use crate::error::ErrorKind;
use crate::types::Bucket;
use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::json;
use std::time::SystemTime;

pub(super) fn create(oci: &Oci, attempt: Attempt) -> RequestFuture<'_, ()> {
    let fill = |parts: &mut Parts, service: &Service| {
        parts.carry(&json!({ "name": oci.bucket()?, "compartmentId": service.compartment()? }));
        Ok(())
    };
    let promise = &promises::CREATE_BUCKET;
    let read = |headers: &HeaderMap, document: &[u8]| {
        let made: Made = answer::parsed(promise, headers, document)?;
        match oci.url.bucket() {
            Some(bucket) if bucket != made.name => Err(answer::misread(format!(
                "the service answers that it made the bucket {:?}",
                made.name
            ))),
            _ => Ok(()),
        }
    };
    Box::pin(async move {
        let created = oci.answered(attempt, promise, RequestTarget::Buckets, fill, read).await;
        created.map_err(|mut failure| {
            if failure.code.as_deref() == Some("BucketAlreadyExists") {
                failure.kind = ErrorKind::AlreadyExists;
            }
            failure
        })
    })
}

pub(super) fn delete(oci: &Oci, attempt: Attempt) -> RequestFuture<'_, ()> {
    oci.seen.no();
    let (promise, target) = (&promises::DELETE_BUCKET, RequestTarget::Bucket);
    Box::pin(oci.answered(attempt, promise, target, |_, _| Ok(()), |_, _| Ok(())))
}

pub(super) fn list<'a>(
    oci: &'a Oci,
    page: Option<&'a str>,
    attempt: Attempt,
) -> RequestFuture<'a, BucketPage> {
    let fill = move |parts: &mut Parts, service: &Service| {
        parts.query = query(&[("compartmentId", Some(service.compartment()?)), ("page", page)]);
        Ok(())
    };
    let promise = &promises::LIST_BUCKETS;
    let read = |headers: &HeaderMap, document: &[u8]| {
        Ok(buckets(answer::parsed(promise, headers, document)?, headers))
    };
    Box::pin(oci.answered(attempt, promise, RequestTarget::Buckets, fill, read))
}

/// A bucket that was made.
#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owned {
    name: String,
    time_created: Option<jiff::Timestamp>,
}

pub(super) fn buckets(page: Vec<Owned>, headers: &HeaderMap) -> BucketPage {
    let buckets = page.into_iter().map(|bucket| Bucket {
        name: bucket.name,
        created: bucket.time_created.map(SystemTime::from),
    });
    BucketPage { buckets: buckets.collect(), next: answer::next_page(headers) }
}
