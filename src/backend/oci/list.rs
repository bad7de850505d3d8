// SPDX-License-Identifier: Apache-2.0
//! Listings of objects.

use super::exchange::Parts;
use super::request_target::{RequestTarget, query};
use super::service::Service;
use super::{Oci, answer, promises};
use crate::backend::{Attempt, ListPage, ListRequest, Next, RequestFuture};
use crate::types::{Checksum, ObjectMeta};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use serde::Deserialize;
use std::time::SystemTime;

pub(super) fn page<'a>(
    oci: &'a Oci,
    request: &'a ListRequest,
    attempt: Attempt,
) -> RequestFuture<'a, ListPage> {
    let fill = |parts: &mut Parts, _: &Service| {
        let page_size = request.page_size.map(|size| size.to_string());
        parts.query = query(&[
            ("prefix", (!request.prefix.is_empty()).then_some(request.prefix.as_str())),
            ("delimiter", request.delimiter.then_some("/")),
            ("start", request.start.as_deref()),
            ("startAfter", request.start_after.as_deref()),
            ("end", request.end.as_deref()),
            ("limit", page_size.as_deref()),
            ("fields", Some("name,size,etag,md5,timeModified")),
        ]);
        Ok(())
    };
    let promise = &promises::LIST_OBJECTS;
    let read = |headers: &HeaderMap, document: &[u8]| {
        Ok(listed(answer::parsed(promise, headers, document)?))
    };
    Box::pin(oci.answered(attempt, promise, RequestTarget::Objects, fill, read))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    objects: Vec<Summary>,
    #[serde(default)]
    prefixes: Vec<String>,
    next_start_with: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    name: String,
    size: Option<u64>,
    etag: Option<String>,
    md5: Option<String>,
    time_modified: Option<jiff::Timestamp>,
}

pub(super) fn listed(page: Listed) -> ListPage {
    let objects = page.objects.into_iter().map(|object| ObjectMeta {
        key: object.name,
        size: object.size.unwrap_or(0),
        etag: object.etag,
        last_modified: object.time_modified.map(SystemTime::from),
        // Of an object uploaded by parts it is no MD5 of the whole ("…==-N"), and does not decode.
        checksum: object
            .md5
            .and_then(|md5| STANDARD.decode(md5).ok()?.try_into().ok())
            .map(Checksum::Md5),
        ..ObjectMeta::default()
    });
    let next = page.next_start_with.map(Next::Name);
    ListPage { objects: objects.collect(), prefixes: page.prefixes, next }
}
