// SPDX-License-Identifier: Apache-2.0
//! Reads of objects, and of what is known of them.

use super::exchange::Parts;
use super::request_target::RequestTarget;
use super::service::Service;
use super::{Oci, answer, promises};
use crate::backend::{Attempt, GetReply, GetRequest, RequestFuture, http};
use crate::error::ErrorKind;
use crate::types::ObjectMeta;
use futures_util::FutureExt as _;
use hyper::HeaderMap;

pub(super) fn get<'a>(
    oci: &'a Oci,
    request: &'a GetRequest,
    mut attempt: Attempt,
) -> RequestFuture<'a, Box<GetReply>> {
    attempt.asks(request.range.as_ref());
    let fill = |parts: &mut Parts, _: &Service| {
        http::to_read(&mut parts.headers, request.range.as_ref(), request.if_match.as_deref());
        parts.ranged = request.range.is_some();
        Ok(())
    };
    let promise = &promises::GET_OBJECT;
    let method = promise.method.clone();
    let exchange = oci.exchange(attempt, method, RequestTarget::Object(&request.key), fill);
    Box::pin(exchange.map(|answered| {
        let (response, id) = answered.inspect_err(|failure| oci.seen.refused(failure))?;
        let got = http::with_id(http::get(promise, request, response, answer::meta), id)?;
        oci.seen.yes();
        Ok(got)
    }))
}

pub(super) fn head<'a>(
    oci: &'a Oci,
    key: &'a str,
    attempt: Attempt,
) -> RequestFuture<'a, ObjectMeta> {
    let read = move |headers: &HeaderMap, _: &[u8]| {
        let size = http::length(headers).ok_or_else(|| http::lacks("Content-Length"))?;
        Ok(answer::meta(key, size, headers))
    };
    Box::pin(async move {
        let recorders = attempt.timer.recorders().clone();
        let (promise, target) = (&promises::HEAD_OBJECT, RequestTarget::Object(key));
        let head = oci.answered(attempt, promise, target, |_, _| Ok(()), read).await;
        match head {
            Ok(meta) => {
                oci.seen.yes();
                Ok(meta)
            }
            // A 401 is mended by what it was signed with, which is known.
            Err(failure) if failure.kind == ErrorKind::Unauthenticated => Err(failure),
            Err(failure) => http::explained(oci, key, &oci.seen, recorders, failure).await,
        }
    })
}
