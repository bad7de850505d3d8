// SPDX-License-Identifier: Apache-2.0
//! Renames, copies inside the service, and the work requests of copies.

use super::exchange::Parts;
use super::request_target::{RequestTarget, check_name};
use super::service::Service;
use super::{Oci, answer, promises};
use crate::backend::http::{self, WriteConditions, text};
use crate::backend::{
    Attempt, Copied, CopyRequest, Place, RenameRequest, RequestFuture, exists, unsent,
};
use crate::error::{ErrorKind, Failure};
use crate::timing::Operation;
use crate::types::{ObjectMeta, PutMode};
use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::json;

pub(super) fn rename<'a>(
    oci: &'a Oci,
    request: &'a RenameRequest,
    attempt: Attempt,
) -> RequestFuture<'a, ObjectMeta> {
    let fill = |parts: &mut Parts, _: &Service| {
        check_name(&request.to)?;
        let mut document = json!({ "sourceName": *request.from, "newName": *request.to });
        let WriteConditions { if_match, if_none_match } = WriteConditions::of(&request.mode)?;
        add_tags(
            &mut document,
            [
                ("srcObjIfMatchETag", http::source_tag(request.from_etag.as_deref())),
                ("newObjIfMatchETag", if_match),
                ("newObjIfNoneMatchETag", if_none_match),
            ],
        );
        parts.carry(&document);
        Ok(())
    };
    let read = |headers: &HeaderMap, _: &[u8]| Ok(answer::meta(&request.to, 0, headers));
    Box::pin(async move {
        let target = RequestTarget::Action("renameObject");
        let renamed = oci.answered(attempt, &promises::RENAME_OBJECT, target, fill, read).await;
        renamed.map_err(|failure| match failure.code.as_deref() {
            // The source's condition, not the target's: with `Create` the target has no If-Match.
            Some("IfMatchFailed") if request.mode == PutMode::Create => failure,
            _ => exists(failure, &request.mode),
        })
    })
}

pub(super) fn copy<'a>(
    oci: &'a Oci,
    request: &'a CopyRequest,
    attempt: Attempt,
) -> RequestFuture<'a, Copied> {
    Box::pin(async move {
        let place = request.target.place(&attempt.timer).await;
        let Place { region, namespace, bucket } = match place {
            Ok(place) => place,
            Err(failure) => return Err(unsent(failure, attempt.timer)),
        };
        let fill = |parts: &mut Parts, _: &Service| {
            check_name(&request.to)?;
            let mut document = json!({
                "sourceObjectName": *request.from,
                "destinationRegion": region,
                "destinationNamespace": namespace,
                "destinationBucket": bucket,
                "destinationObjectName": *request.to,
            });
            let WriteConditions { if_match, if_none_match } = WriteConditions::of(&request.mode)?;
            add_tags(
                &mut document,
                [
                    ("sourceObjectIfMatchETag", http::source_tag(request.from_etag.as_deref())),
                    ("destinationObjectIfMatchETag", if_match),
                    ("destinationObjectIfNoneMatchETag", if_none_match),
                ],
            );
            parts.carry(&document);
            Ok(())
        };
        let target = RequestTarget::Action("copyObject");
        let read = |headers: &HeaderMap, _: &[u8]| accepted(headers);
        let copied = oci.answered(attempt, &promises::COPY_OBJECT, target, fill, read).await;
        copied.map_err(|failure| exists(failure, &request.mode))
    })
}

pub(super) fn progress<'a>(
    oci: &'a Oci,
    work: &'a str,
    attempt: Attempt,
) -> RequestFuture<'a, Copied> {
    let why = attempt.timer.another(Operation::Copy);
    Box::pin(async move {
        let nothing = |_: &mut Parts, _: &Service| Ok(());
        let promise = &promises::GET_WORK;
        let read = |headers: &HeaderMap, document: &[u8]| {
            Ok(work_state(work, headers, answer::parsed(promise, headers, document)?))
        };
        let target = RequestTarget::Work(work);
        let Some(copied) = oci.answered(attempt, promise, target, nothing, read).await? else {
            let asking = Attempt { timer: why, fresh: false };
            let (promise, target) = (&promises::LIST_WORK_ERRORS, RequestTarget::WorkErrors(work));
            let read = |headers: &HeaderMap, document: &[u8]| {
                Ok(work_failure(answer::parsed(promise, headers, document)?))
            };
            return Err(oci.answered(asking, promise, target, nothing, read).await?);
        };
        why.discard();
        Ok(copied)
    })
}

/// Adds the conditions that there are.
fn add_tags(document: &mut serde_json::Value, tags: [(&str, Option<&str>); 3]) {
    for (name, tag) in tags {
        if let Some(tag) = tag {
            document[name] = json!(tag);
        }
    }
}

/// The work request of a copy that was accepted.
pub(super) fn accepted(headers: &HeaderMap) -> Result<Copied, Failure> {
    let work =
        text(headers, "opc-work-request-id").ok_or_else(|| http::lacks("opc-work-request-id"))?;
    Ok(Copied::Accepted(work.to_owned(), None))
}

#[derive(Deserialize)]
pub(super) struct Work {
    status: String,
}

/// How far a work request is; `None` where it failed.
pub(super) fn work_state(id: &str, headers: &HeaderMap, work: Work) -> Option<Copied> {
    match work.status.as_str() {
        "COMPLETED" => Some(Copied::Done(None)),
        "FAILED" | "CANCELED" | "CANCELING" => None,
        _ => {
            let wait = text(headers, "retry-after").and_then(http::retry_after);
            Some(Copied::Accepted(id.to_owned(), wait))
        }
    }
}

#[derive(Deserialize)]
pub(super) struct WorkError {
    code: Option<String>,
    message: Option<String>,
}

/// What the errors of a work request come to.
pub(super) fn work_failure(errors: Vec<WorkError>) -> Failure {
    let Some(WorkError { code, message }) = errors.into_iter().next() else {
        return Failure::new(ErrorKind::Rejected)
            .message("the service gave the copy up and does not say why");
    };
    let mut failure = Failure::new(match code.as_deref() {
        Some("ObjectNotFound") => ErrorKind::NotFound,
        Some("BucketNotFound" | "NamespaceNotFound" | "NotAuthorizedOrNotFound") => {
            ErrorKind::BucketNotFound
        }
        Some("IfMatchFailed" | "IfNoneMatchFailed" | "NoEtagMatch") => ErrorKind::Precondition,
        Some("NotRestored" | "RestoreInProgress") => ErrorKind::Archived,
        _ => ErrorKind::Rejected,
    });
    failure.code = code;
    failure.message = message.unwrap_or_default();
    failure
}
