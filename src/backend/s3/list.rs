// SPDX-License-Identifier: Apache-2.0
//! Listings of objects.

use super::sdk::system_time;
use super::{S3, answer, promises};
use crate::backend::{Attempt, ListPage, ListRequest, Next, RequestFuture};
use crate::error::Failure;
use crate::types::ObjectMeta;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;
use hyper::HeaderMap;

pub(super) fn page<'a>(
    s3: &'a S3,
    request: &'a ListRequest,
    attempt: Attempt,
) -> RequestFuture<'a, ListPage> {
    Box::pin(async move {
        let start_after = request.start_after.clone().filter(|_| !s3.is_directory());
        let listed = s3
            .send_by_sdk(attempt, &promises::LIST_OBJECTS, |service, bucket, attach| {
                service
                    .client
                    .list_objects_v2()
                    .bucket(bucket)
                    .encoding_type(EncodingType::Url)
                    .set_prefix((!request.prefix.is_empty()).then(|| request.prefix.clone()))
                    .set_delimiter(request.delimiter.then(|| "/".to_owned()))
                    .set_start_after(start_after.clone())
                    .set_continuation_token(request.token.clone())
                    .set_max_keys(request.page_size.map(|size| size as i32))
                    .customize()
                    .mutate_request(attach)
                    .send()
            })
            .await?;
        listed_page(listed)
    })
}

/// A page of a listing, names decoded.
pub(super) fn listed_page(listed: ListObjectsV2Output) -> Result<ListPage, Failure> {
    let encoded = listed.encoding_type == Some(EncodingType::Url);
    let named = |name: Option<String>| {
        let lacking = || promises::LIST_OBJECTS.lacks("an object's name", &HeaderMap::new());
        answer::name(name.ok_or_else(lacking)?, encoded)
    };
    let objects = listed.contents.unwrap_or_default().into_iter().map(|object| {
        Ok(ObjectMeta {
            key: named(object.key)?,
            size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            etag: object.e_tag.as_deref().map(answer::quoted),
            last_modified: object.last_modified.as_ref().map(system_time),
            ..ObjectMeta::default()
        })
    });
    let objects = objects.collect::<Result<_, Failure>>()?;
    let prefixes = listed.common_prefixes.unwrap_or_default();
    let prefixes = prefixes.into_iter().map(|prefix| named(prefix.prefix));
    let token = listed.next_continuation_token.filter(|token| !token.is_empty());
    let next = match (listed.is_truncated, token) {
        (Some(true), None) => Some(Next::Missing),
        (Some(true) | None, token) => token.map(Next::Token),
        (Some(false), _) => None,
    };
    Ok(ListPage { objects, prefixes: prefixes.collect::<Result<_, _>>()?, next })
}
