// SPDX-License-Identifier: Apache-2.0
//! Answers before they are sent, and the service's errors.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;

use crate::api::{NOT_IMPLEMENTED, Refused};
use crate::content::Payload;

/// A whole answer; the body is sent by [`crate::body`].
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
    /// `content-length` of an answer whose body is not sent (HEAD).
    pub(crate) unsent: Option<u64>,
    /// Whether the connection ends with this answer, because the request's body was not read.
    pub(crate) close: bool,
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Reply {
        Reply {
            status,
            headers: HeaderMap::new(),
            body: Payload::default(),
            unsent: None,
            close: false,
        }
    }

    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
        let body = Bytes::from(serde_json::to_vec(value).expect("answers are plain JSON"));
        Reply { body: body.into(), ..Reply::empty(status) }
            .with(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Reply {
        self.headers.insert(name, value);
        self
    }

    /// Adds a header whose value is text of our own making.
    #[must_use]
    pub(crate) fn with_text(self, name: &'static str, value: &str) -> Reply {
        let value = HeaderValue::from_str(value).expect("our own text is a header value");
        self.with(HeaderName::from_static(name), value)
    }

    /// The answer as it is sent to a HEAD request: an error has no body at all, an object's
    /// length is told.
    #[must_use]
    pub(crate) fn for_method(mut self, method: &Method) -> Reply {
        if method == Method::HEAD {
            if self.status.is_success() {
                self.unsent = Some(self.body.len());
            } else {
                self.headers.remove(CONTENT_TYPE);
            }
            self.body = Payload::default();
        }
        self
    }
}

/// An error as the service tells it: `{"code":…,"message":…}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> ApiError {
        ApiError { status, code: code.to_owned(), message: message.into() }
    }

    pub(crate) fn bad_request(code: &str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_authenticated(why: &dyn std::fmt::Display) -> ApiError {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "NotAuthenticated",
            format!(
                "The required information to complete authentication was not provided or was \
                 incorrect. ({why})"
            ),
        )
    }

    pub(crate) fn bucket_not_found(namespace: &str, bucket: &str) -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "BucketNotFound",
            format!(
                "Either the bucket named '{bucket}' does not exist in the namespace \
                 '{namespace}' or you are not authorized to access it"
            ),
        )
    }

    pub(crate) fn object_not_found(bucket: &str, object: &str) -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "ObjectNotFound",
            format!("The object '{object}' was not found in the bucket '{bucket}'"),
        )
    }

    pub(crate) fn upload_not_found(id: &str) -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "UploadNotFound",
            format!("The upload '{id}' was not found: it was committed, aborted or never began"),
        )
    }

    pub(crate) fn par_not_found() -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "PreauthenticatedRequestNotFound",
            "The pre-authenticated request was not found, has expired or does not allow this",
        )
    }

    /// The data folder cannot be written.
    #[expect(clippy::needless_pass_by_value, reason = "a function of map_err")]
    pub(crate) fn storage(error: std::io::Error) -> ApiError {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        tracing::error!(%error, "the data folder cannot be written");
        let (status, code) = match error.kind() {
            StorageFull | QuotaExceeded => {
                (StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        };
        ApiError::new(status, code, format!("The data folder cannot be written: {error}"))
    }

    pub(crate) fn if_match_failed() -> ApiError {
        ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "IfMatchFailed",
            "The If-Match header does not match the entity's ETag",
        )
    }

    pub(crate) fn if_none_match_failed() -> ApiError {
        ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "IfNoneMatchFailed",
            "The If-None-Match header is '*' but there is an existing entity",
        )
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> ApiError {
        ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            format!("{}: {}", refused.message(), refused.name),
        )
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Reply {
        let name = refused.value();
        Reply::from(ApiError::from(refused)).with(NOT_IMPLEMENTED, name)
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Reply {
        #[derive(Serialize)]
        struct Body<'a> {
            code: &'a str,
            message: &'a str,
        }
        Reply::json(error.status, &Body { code: &error.code, message: &error.message })
    }
}
