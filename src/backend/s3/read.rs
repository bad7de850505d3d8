// SPDX-License-Identifier: Apache-2.0
//! Reads of objects, and of what is known of them.

use super::exchange::OwnRequest;
use super::{S3, answer, promises};
use crate::backend::{Attempt, GetReply, GetRequest, RequestFuture, http};
use crate::error::ErrorKind;
use crate::types::ObjectMeta;
use hyper::HeaderMap;

pub(super) fn get<'a>(
    s3: &'a S3,
    request: &'a GetRequest,
    mut attempt: Attempt,
) -> RequestFuture<'a, Box<GetReply>> {
    attempt.asks(request.range.as_ref());
    Box::pin(async move {
        let mut own = OwnRequest::new(&promises::GET_OBJECT, &request.key);
        if request.range.is_none() && s3.config.verify {
            own.checked();
        }
        let tag = request.if_match.as_deref().map(|tag| s3.in_its_form(tag));
        http::to_read(&mut own.unsigned, request.range.as_ref(), tag);
        let (response, id) = s3.exchange(attempt, own).await?;
        http::with_id(http::get(&promises::GET_OBJECT, request, response, answer::meta), id)
    })
}

pub(super) fn head<'a>(
    s3: &'a S3,
    key: &'a str,
    attempt: Attempt,
) -> RequestFuture<'a, ObjectMeta> {
    let mut own = OwnRequest::new(&promises::HEAD_OBJECT, key);
    if s3.config.verify {
        own.checked();
    }
    let read = move |headers: &HeaderMap| {
        answer::head(key, headers).ok_or_else(|| http::lacks("Content-Length"))
    };
    Box::pin(async move {
        let recorders = attempt.timer.recorders().clone();
        match s3.headed(attempt, own, read).await {
            Ok(meta) => Ok(meta),
            // By the server's clock, without a code: it is tried again by that.
            Err(failure)
                if failure.kind == ErrorKind::Unauthenticated && failure.status == Some(403) =>
            {
                Err(failure)
            }
            Err(failure) => http::explained(s3, key, &s3.seen, recorders, failure).await,
        }
    })
}
