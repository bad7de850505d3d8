// SPDX-License-Identifier: Apache-2.0
//! Answers before they are sent.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;

use crate::api::{NOT_IMPLEMENTED, Refused};
use crate::content::Payload;
use crate::error::ApiError;
use crate::fault::InjectedError;

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

impl From<InjectedError> for Reply {
    fn from(error: InjectedError) -> Reply {
        let status =
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reply = Reply::from(ApiError::new(status, &error.code, error.message));
        match error.retry_after {
            Some(seconds) => reply.with_text("retry-after", &seconds.to_string()),
            None => reply,
        }
    }
}
