// SPDX-License-Identifier: Apache-2.0
//! One request while it is worked on: its head, its body as far as it was read, and what an answer
//! needs beside its own content. How it is answered is the business of the two APIs.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::request::Parts;
use http_body::Body as _;
use hyper::body::Incoming;

use crate::connection::Connection;
use crate::error::ApiError;
use crate::fault::Plan;
use crate::reply::Reply;
use crate::request::{raw_target, text};
use crate::server::Server;
use crate::storage::Storage;

/// Most bytes that are read only to be dropped.
const MAX_DRAIN: u64 = 64 << 20;

/// A request while it is worked on.
pub(crate) struct Exchange<'a> {
    pub(crate) server: &'a Arc<Server>,
    pub(crate) connection: &'a Arc<Connection>,
    pub(crate) id: u64,
    pub(crate) parts: &'a Parts,
    /// Shared with the S3 service while that reads it.
    pub(crate) body: Arc<Mutex<Incoming>>,
    /// Whether the connection has served a request before.
    pub(crate) reused: bool,
    /// Whether the model's request rate is exceeded.
    pub(crate) throttled: bool,
    pub(crate) plan: Plan,
    /// The store of the namespace that is asked for.
    pub(crate) storage: Arc<Storage>,
    pub(crate) ids: Ids,
}

/// A connection that ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) &'static str);

impl Exchange<'_> {
    pub(crate) fn body(&self) -> MutexGuard<'_, Incoming> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address that the client used.
    pub(crate) fn base(&self) -> String {
        let scheme = if self.connection.tls { "https" } else { "http" };
        format!("{scheme}://{}", text(&self.parts.headers, "host").unwrap_or_default())
    }

    /// The request as its signature sees it.
    pub(crate) fn signed_request<'r>(
        &'r self,
        header: &'r dyn Fn(&str) -> Option<&'r str>,
    ) -> storescope_sign::Request<'r> {
        storescope_sign::Request {
            method: self.parts.method.as_str(),
            target: raw_target(self.parts),
            header,
        }
    }

    /// Reads a small body whole; it breaks off with its connection.
    pub(crate) async fn read_body(&mut self, most: u64) -> Result<Result<Bytes, ApiError>, Broken> {
        let length = self.body().size_hint().lower();
        if length > most {
            return Ok(Err(too_large(most)));
        }
        let mut read = BytesMut::with_capacity(length as usize);
        while let Some(data) = self.next_data().await? {
            read.extend_from_slice(&data);
            if read.len() as u64 > most {
                return Ok(Err(too_large(most)));
            }
        }
        Ok(Ok(read.freeze()))
    }

    /// The next bytes of the body; it breaks off with its connection.
    pub(crate) async fn next_data(&mut self) -> Result<Option<Bytes>, Broken> {
        while let Some(frame) =
            std::future::poll_fn(|cx| Pin::new(&mut *self.body()).poll_frame(cx)).await
        {
            let frame = frame.map_err(|_| Broken("the request broke off"))?;
            if let Ok(data) = frame.into_data() {
                let length = data.len() as u64;
                self.connection.amend(self.id, |line| line.bytes_in += length);
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Makes an answer that comes before the body was read fit for its connection.
    pub(crate) async fn refuse(&mut self, mut reply: Reply) -> Result<Reply, Broken> {
        let waits = self
            .parts
            .headers
            .get("expect")
            .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let mut drained = 0;
        while !self.body().is_end_stream() {
            if waits || drained > MAX_DRAIN {
                reply.close = true;
                self.connection.linger();
                break;
            }
            let Some(data) = self.next_data().await? else { break };
            drained += data.len() as u64;
        }
        Ok(reply)
    }
}

/// By what an answer is found again.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    /// In the shape of the service's: region key, and an opaque id.
    pub(crate) request: String,
    /// The second one that an answer of the S3 API has.
    pub(crate) host: Option<String>,
}

impl Ids {
    pub(crate) fn new(is_s3: bool) -> Ids {
        let mut bytes = [0_u8; 24 + 57];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
        let (request, host) = bytes.split_at(24);
        Ids {
            request: format!("iad-1:{}", URL_SAFE_NO_PAD.encode(request)),
            host: is_s3.then(|| STANDARD.encode(host)),
        }
    }
}

pub(crate) fn too_large(most: u64) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "RequestEntityTooLarge",
        format!("The body has more than {most} bytes"),
    )
}
