// SPDX-License-Identifier: Apache-2.0
//! Buckets.

use super::exchange::sendable;
use super::sdk::system_time;
use super::{S3, promises};
use crate::backend::{Attempt, BucketPage, Next, RequestFuture};
use crate::error::Failure;
use crate::types::Bucket;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use hyper::HeaderMap;

pub(super) fn create(s3: &S3, attempt: Attempt) -> RequestFuture<'_, ()> {
    Box::pin(async move {
        let attempt = sendable(s3.bucket().map(|_| ()), attempt)?;
        let created =
            s3.send_by_sdk(attempt, &promises::CREATE_BUCKET, |service, bucket, attach| {
                // us-east-1 is where a bucket goes that names none, and must not be named.
                let place = (service.region != "us-east-1").then(|| {
                    CreateBucketConfiguration::builder()
                        .location_constraint(BucketLocationConstraint::from(
                            service.region.as_str(),
                        ))
                        .build()
                });
                let create = service.client.create_bucket().bucket(bucket);
                create
                    .set_create_bucket_configuration(place)
                    .customize()
                    .mutate_request(attach)
                    .send()
            });
        created.await.map(|_| ())
    })
}

pub(super) fn delete(s3: &S3, attempt: Attempt) -> RequestFuture<'_, ()> {
    Box::pin(async move {
        let attempt = sendable(s3.bucket().map(|_| ()), attempt)?;
        let deleted =
            s3.send_by_sdk(attempt, &promises::DELETE_BUCKET, |service, bucket, attach| {
                service
                    .client
                    .delete_bucket()
                    .bucket(bucket)
                    .customize()
                    .mutate_request(attach)
                    .send()
            });
        deleted.await?;
        s3.seen.no();
        Ok(())
    })
}

pub(super) fn list<'a>(
    s3: &'a S3,
    page: Option<&'a str>,
    attempt: Attempt,
) -> RequestFuture<'a, BucketPage> {
    Box::pin(async move {
        let listed = s3
            .send_by_sdk(attempt, &promises::LIST_BUCKETS, |service, _, attach| {
                let list = service.client.list_buckets();
                list.set_continuation_token(page.map(str::to_owned))
                    .customize()
                    .mutate_request(attach)
                    .send()
            })
            .await?;
        let buckets = listed.buckets.unwrap_or_default().into_iter().map(|bucket| {
            let lacking = || promises::LIST_BUCKETS.lacks("a bucket's name", &HeaderMap::new());
            let created = bucket.creation_date.as_ref().map(system_time);
            Ok(Bucket { name: bucket.name.ok_or_else(lacking)?, created })
        });
        let token = listed.continuation_token.filter(|token| !token.is_empty());
        Ok(BucketPage {
            buckets: buckets.collect::<Result<_, Failure>>()?,
            next: token.map(Next::Token),
        })
    })
}
