// SPDX-License-Identifier: Apache-2.0
//! Answers before they are sent.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use serde::Serialize;

use crate::api::{NOT_IMPLEMENTED, Refused};
use crate::content::Payload;
use crate::error::ApiError;
use crate::fault::{InjectedError, Plan};

/// What stands in the place of a document: neither JSON nor XML, nor UTF-8.
const GARBAGE: &[u8] = b"\xff\xfe{\"objects\": [<ListBucketResult";
/// An ETag that no object has.
const WRONG_ETAG: HeaderValue = HeaderValue::from_static("\"00000000-wrong-0000\"");
/// The headers that a fault adds, and the bytes of each of their values.
const FILLER: HeaderName = HeaderName::from_static("x-storescope-filler");
const FILLER_BYTES: u64 = 8 << 10;

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
    /// Whether spaces without end follow the body.
    pub(crate) endless: bool,
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Reply {
        Reply {
            status,
            headers: HeaderMap::new(),
            body: Payload::default(),
            unsent: None,
            close: false,
            endless: false,
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

    /// The answer to a request of this method as the faults that fired leave it.
    #[must_use]
    pub(crate) fn spoiled(mut self, plan: &Plan, method: &Method) -> Reply {
        if plan.wrong_etag && self.status.is_success() && self.headers.contains_key(ETAG) {
            self.headers.insert(ETAG, WRONG_ETAG);
        }
        if plan.garbage && self.body.len() > 0 {
            self.body = Bytes::from_static(GARBAGE).into();
        }
        if let Some(most) = plan.shorten {
            self.body = self.body.first(most);
        }
        let has_body = method != Method::HEAD
            && !matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        self.endless = plan.endless && has_body;
        let mut left = plan.headers;
        while left > 0 {
            let filler = "x".repeat(left.min(FILLER_BYTES) as usize);
            left -= filler.len() as u64;
            let filler = HeaderValue::try_from(filler).expect("letters are a header value");
            self.headers.append(FILLER, filler);
        }
        self
    }

    /// Bytes of the body that follow the head; without end where a fault says so.
    pub(crate) fn length(&self) -> u64 {
        if self.endless { u64::MAX } else { self.body.len() }
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
        let reply = match error.retry_after {
            Some(seconds) => reply.with_text("retry-after", &seconds.to_string()),
            None => reply,
        };
        // A raw target may hold bytes that are not ASCII.
        match error.location.map(|to| HeaderValue::from_bytes(to.as_bytes())) {
            Some(Ok(to)) => reply.with(LOCATION, to),
            _ => reply,
        }
    }
}
