// SPDX-License-Identifier: Apache-2.0
//! Answers that are no success, as failures. What a status and a code mean is the backend's to say.

use super::ERROR_LIMIT;
use super::transient::transient;
use crate::auth::without_signature;
use crate::error::{ErrorKind, Failure};
use crate::transport::Body;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderMap, LOCATION};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

/// What the document of a refusal says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::backend) struct ErrorDocument {
    pub(in crate::backend) code: Option<String>,
    pub(in crate::backend) message: Option<String>,
}

/// The document of a refusal; empty where it is too long. One that breaks off says no code: where the code decides what the
/// status means, the failure is that of the connection, and another try may read it.
pub(in crate::backend) async fn document_of(
    status: StatusCode,
    body: Body,
) -> Result<Bytes, Failure> {
    match body.collect(ERROR_LIMIT).await {
        Ok(document) => Ok(document),
        Err(broke)
            if matches!(broke.kind, ErrorKind::Reset | ErrorKind::Timeout)
                && matches!(status.as_u16(), 400 | 404 | 409) =>
        {
            Err(broke)
        }
        Err(_) => Ok(Bytes::new()),
    }
}

/// A refusal: its status, what its document says, and what its headers tell; `request_id` is the header that holds the
/// service's name for the request.
pub(in crate::backend) fn refusal<'a>(
    kind: ErrorKind,
    status: u16,
    document: ErrorDocument,
    request_id: &'static str,
    header: impl Fn(&'static str) -> Option<&'a str>,
) -> Failure {
    let ErrorDocument { code, message } = document;
    let mut failure = Failure::new(kind);
    failure.status = Some(status);
    failure.request_id = header(request_id).map(str::to_owned);
    failure.retry_after = header("retry-after").and_then(retry_after);
    if matches!(status, 400 | 401 | 403) {
        failure.server_date = header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    }
    failure.message = match (message, &code) {
        (Some(message), _) => without_signature(message),
        (None, None) => without_code(status),
        (None, Some(_)) => String::new(),
    };
    failure.code = code;
    failure
}

/// What a status means, with a code that has no meaning of its own in the API.
pub(in crate::backend) fn kind_of(status: u16, code: Option<&str>) -> ErrorKind {
    match (status, code) {
        (401, _) => ErrorKind::Unauthenticated,
        (403, _) => ErrorKind::PermissionDenied,
        // A server that is not the service says nothing of the object; nor does a 404 of another code, below.
        (404, None) => ErrorKind::Protocol,
        (304 | 412, _) => ErrorKind::Precondition,
        (416, _) => ErrorKind::InvalidRange,
        (501, _) => ErrorKind::Unsupported,
        (status, code) => match transient(status, code) {
            Some(transient) => transient.kind,
            None if status >= 500 => ErrorKind::Server,
            None => ErrorKind::Rejected,
        },
    }
}

/// What to say of a 404 that is not told to be the object's.
fn without_code(status: u16) -> String {
    if status == 404 { "the answer names no reason for its 404" } else { "" }.to_owned()
}

/// `Retry-After`: seconds, or a date.
pub(in crate::backend) fn retry_after(text: &str) -> Option<Duration> {
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

/// Tells where an answer redirects to. Redirects are not followed: the signature holds for one host, and a portal's login
/// page is no object store.
pub(in crate::backend) fn mark_redirect(
    failure: &mut Failure,
    status: StatusCode,
    headers: &HeaderMap,
) {
    if !status.is_redirection() || failure.kind != ErrorKind::Rejected {
        return;
    }
    let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("somewhere else");
    // A query may hold what is secret.
    let to = to.split(['?', '#']).next().unwrap_or_default();
    failure.kind = ErrorKind::Protocol;
    let separator = if failure.message.is_empty() { "" } else { "; " };
    let told = &failure.message;
    failure.message =
        format!("{told}{separator}the server redirects to {to:?}; redirects are not followed");
}

/// A result for each key; `None` where a failure is of none of them.
pub(in crate::backend) fn one_each(
    keys: &[String],
    failures: HashMap<String, Failure>,
) -> Option<Vec<Result<(), Failure>>> {
    let asked: HashSet<&str> = keys.iter().map(String::as_str).collect();
    let known = failures.keys().all(|key| asked.contains(key.as_str()));
    known.then(|| keys.iter().map(|key| failures.get(key).cloned().map_or(Ok(()), Err)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_redirect_tells_where_to_without_the_query() {
        let mut failure = Failure::new(ErrorKind::Rejected);
        let to = "http://portal.example/login?token=secret".parse().unwrap();
        let to = HeaderMap::from_iter([(LOCATION, to)]);
        mark_redirect(&mut failure, StatusCode::FOUND, &to);
        assert_eq!(failure.kind, ErrorKind::Protocol);
        assert!(failure.message.contains("http://portal.example/login"), "{}", failure.message);
        assert!(!failure.message.contains("secret"), "{}", failure.message);
    }

    proptest! {
        #[test]
        fn no_date_panics(text in "\\PC{0,60}") {
            let _ = retry_after(&text);
        }
    }
}
