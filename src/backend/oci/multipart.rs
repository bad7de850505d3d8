// SPDX-License-Identifier: Apache-2.0
//! Writes by parts.

use super::answer::{self, METADATA};
use super::exchange::Parts;
use super::request_target::{RequestTarget, check_name, query};
use super::service::Service;
use super::write::{CHECKSUM_ALGORITHM, checksum_headers};
use super::{Oci, promises};
use crate::backend::http::{self, WriteConditions, metadata};
use crate::backend::{
    Attempt, CommitRequest, Part, PartRequest, RequestFuture, UploadPage, UploadRequest, exists,
};
use crate::types::{Checksum, ObjectMeta, Upload};
use hyper::header::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::SystemTime;

pub(super) fn begin<'a>(
    oci: &'a Oci,
    request: &'a UploadRequest,
    attempt: Attempt,
) -> RequestFuture<'a, String> {
    let fill = |parts: &mut Parts, _: &Service| {
        check_name(&request.key)?;
        WriteConditions::of(&request.mode)?.insert(&mut parts.headers)?;
        if request.checksum {
            parts.headers.insert(CHECKSUM_ALGORITHM, HeaderValue::from_static("CRC32C"));
        }
        let about = &request.about;
        let metadata: BTreeMap<_, _> = metadata::sent(about)?
            .into_iter()
            .map(|(name, text)| ([METADATA, &name].concat(), text))
            .collect();
        metadata::content("content-type", about.content_type())?;
        let mut document = json!({
            "object": *request.key,
            "contentType": about.content_type(),
            "metadata": metadata,
        });
        for (name, text) in about.headers() {
            metadata::content(name, text)?;
            document[camel_case(name)] = json!(text);
        }
        parts.carry(&document);
        Ok(())
    };
    let promise = &promises::CREATE_UPLOAD;
    let read = |headers: &HeaderMap, document: &[u8]| {
        Ok(answer::parsed::<Begun>(promise, headers, document)?.upload_id)
    };
    Box::pin(async move {
        let target = RequestTarget::Uploads;
        let begun = oci.answered(attempt, promise, target, fill, read).await;
        begun.map_err(|failure| exists(failure, &request.mode))
    })
}

pub(super) fn put_part<'a>(
    oci: &'a Oci,
    request: &'a PartRequest,
    mut attempt: Attempt,
) -> RequestFuture<'a, Part> {
    attempt.timer.uploads(request.body.len());
    let fill = |parts: &mut Parts, _: &Service| {
        let number = request.number.to_string();
        parts.query =
            query(&[("uploadId", Some(&request.upload.id)), ("uploadPartNum", Some(&number))]);
        checksum_headers(&mut parts.headers, request.checksum)?;
        parts.body = request.body.clone();
        Ok(())
    };
    let read = |headers: &HeaderMap, _: &[u8]| {
        answer::check_stored(request.checksum, headers)?;
        let etag = http::etag_of(headers).ok_or_else(|| http::lacks("ETag"))?;
        Ok(request.stored(etag))
    };
    let target = RequestTarget::Upload(&request.upload.key);
    Box::pin(oci.answered(attempt, &promises::UPLOAD_PART, target, fill, read))
}

pub(super) fn commit<'a>(
    oci: &'a Oci,
    request: &'a CommitRequest,
    attempt: Attempt,
) -> RequestFuture<'a, ObjectMeta> {
    let CommitRequest { upload, parts: committed, crc32c, mode } = request;
    let fill = |parts: &mut Parts, _: &Service| {
        WriteConditions::of(mode)?.insert(&mut parts.headers)?;
        parts.query = query(&[("uploadId", Some(&upload.id))]);
        let committed: Vec<_> = committed
            .iter()
            .map(|part| json!({ "partNum": part.number, "etag": part.etag }))
            .collect();
        parts.carry(&json!({ "partsToCommit": committed }));
        Ok(())
    };
    let read = |headers: &HeaderMap, _: &[u8]| {
        answer::check_stored(crc32c.map(Checksum::Crc32c), headers)?;
        let told = answer::meta(&upload.key, request.size(), headers);
        let checksum = told.checksum.or(crc32c.map(Checksum::Crc32c));
        Ok(ObjectMeta { checksum, ..told })
    };
    Box::pin(async move {
        let target = RequestTarget::Upload(&upload.key);
        let made = oci.answered(attempt, &promises::COMMIT_UPLOAD, target, fill, read).await;
        made.map_err(|failure| exists(failure, mode))
    })
}

pub(super) fn abort<'a>(
    oci: &'a Oci,
    upload: &'a Upload,
    attempt: Attempt,
) -> RequestFuture<'a, ()> {
    let fill = |parts: &mut Parts, _: &Service| {
        parts.query = query(&[("uploadId", Some(&upload.id))]);
        Ok(())
    };
    let (promise, target) = (&promises::ABORT_UPLOAD, RequestTarget::Upload(&upload.key));
    Box::pin(oci.answered(attempt, promise, target, fill, |_, _| Ok(())))
}

pub(super) fn list<'a>(
    oci: &'a Oci,
    prefix: &'a str,
    page: Option<&'a str>,
    attempt: Attempt,
) -> RequestFuture<'a, UploadPage> {
    let fill = move |parts: &mut Parts, _: &Service| {
        parts.query = query(&[("page", page)]);
        Ok(())
    };
    let promise = &promises::LIST_UPLOADS;
    // The service knows no prefix here.
    let read = move |headers: &HeaderMap, document: &[u8]| {
        let mut page = uploads(answer::parsed(promise, headers, document)?, headers);
        page.uploads.retain(|upload| upload.key.starts_with(prefix));
        Ok(page)
    };
    Box::pin(oci.answered(attempt, promise, RequestTarget::Uploads, fill, read))
}

pub(super) fn has_parts<'a>(
    oci: &'a Oci,
    upload: &'a Upload,
    attempt: Attempt,
) -> RequestFuture<'a, bool> {
    let fill = |parts: &mut Parts, _: &Service| {
        parts.query = query(&[("uploadId", Some(&upload.id)), ("limit", Some("1"))]);
        Ok(())
    };
    let promise = &promises::LIST_PARTS;
    let read = |headers: &HeaderMap, document: &[u8]| {
        let parts: Vec<ListedPart> = answer::parsed(promise, headers, document)?;
        Ok(!parts.is_empty())
    };
    Box::pin(oci.answered(attempt, promise, RequestTarget::Upload(&upload.key), fill, read))
}

/// `content-type` as JSON writes it: `contentType`.
fn camel_case(header: &str) -> String {
    let mut words = header.split('-');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(1);
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    name
}

/// An upload that was begun.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Begun {
    pub(super) upload_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pending {
    object: String,
    upload_id: String,
    time_created: Option<jiff::Timestamp>,
}

pub(super) fn uploads(page: Vec<Pending>, headers: &HeaderMap) -> UploadPage {
    let uploads = page.into_iter().map(|upload| Upload {
        key: upload.object,
        id: upload.upload_id,
        begun: upload.time_created.map(SystemTime::from),
    });
    UploadPage { uploads: uploads.collect(), next: answer::next_page(headers) }
}

/// A part that was put.
#[derive(Deserialize)]
pub(super) struct ListedPart {
    #[serde(rename = "partNumber")]
    _number: serde::de::IgnoredAny,
}
