// SPDX-License-Identifier: Apache-2.0
//! Answers that are no success, as failures: the service's statuses and codes.

use crate::backend::http::{self, text};
use crate::error::{ErrorKind, Failure};
use crate::transport::Response;
use hyper::{HeaderMap, StatusCode};

/// An answer that is not a success, as a failure: the service's JSON document, where it has one (HEAD has none).
pub(super) async fn read(response: Response) -> Failure {
    let Response { status, headers, body } = response;
    match http::document_of(status, body).await {
        Ok(document) => of(status, &headers, &document),
        Err(broke) => broke,
    }
}

/// Likewise, where the document is there.
pub(super) fn of(status: StatusCode, headers: &HeaderMap, document: &[u8]) -> Failure {
    let document: http::ErrorDocument = serde_json::from_slice(document).unwrap_or_default();
    let kind = kind(status.as_u16(), document.code.as_deref());
    let header = |name| text(headers, name);
    let mut failure = http::refusal(kind, status.as_u16(), document, "opc-request-id", header);
    http::mark_redirect(&mut failure, status, headers);
    failure
}

/// What a status and a code mean.
pub(super) fn kind(status: u16, code: Option<&str>) -> ErrorKind {
    match (status, code) {
        (404, Some("ObjectNotFound" | "UploadNotFound" | "NoSuchUpload")) => ErrorKind::NotFound,
        // One live tester saw 404 BucketNotFound for valid requests: never taken for "object absent".
        (
            404,
            Some(
                "BucketNotFound"
                | "NamespaceNotFound"
                | "NotAuthorizedOrNotFound"
                | "PreauthenticatedRequestNotFound",
            ),
        ) => ErrorKind::BucketNotFound,
        (409, Some("NotRestored" | "RestoreInProgress")) => ErrorKind::Archived,
        (status, code) => http::kind_of(status, code),
    }
}
