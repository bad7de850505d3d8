// SPDX-License-Identifier: Apache-2.0
//! The S3 API, on the same buckets and objects as the native one, by the crate `s3s`: it routes,
//! checks SigV4 (header, presigned, chunked) and reads and writes XML; what is done is here.
//!
//! ```text
//!  Exchange ─► signature ─► s3s ─► access.rs ─► operations.rs ─► Reply ─► documents
//!      ▲                               │               │
//!      │                               │               └─ bytes as Payload
//!      │                               └─ region, faults; then the table of the API (api_check.rs), dialect
//!      └── body, counted, shared so that what is not read can be drained
//! ```
//!
//! An ETag is the MD5 in hex, with `-N` of an object made of N parts; both APIs' conditions know
//! both kinds of ETag. Time is the emulator's clock alone: signatures are judged before `s3s` sees
//! them, and it is configured and requests are changed so that it judges no time. User metadata is
//! `x-amz-meta-*` here and `opc-meta-*` there, text as RFC 2047 has it.
#![allow(clippy::wildcard_imports, reason = "one input and one output an operation")]

mod access;
mod api_check;
mod attributes;
mod canonical;
mod checksums;
mod complete;
mod copy;
mod delete;
mod documents;
mod errors;
mod keys;
mod lists;
mod metadata;
mod object_headers;
mod operations;
mod read;
mod shared;
mod signature;
mod stored;
mod tags;
mod upload_lists;
mod uploads;
mod write;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use s3s::S3Error;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};

use self::errors::error;
use self::keys::Keys;
use self::operations::Names;
use self::shared::{Api, Shared, Ticket, TicketState};
use crate::connection::Connection;
use crate::content::Payload;
use crate::error::ApiError;
use crate::exchange::{Broken, Exchange, Ids};
use crate::identity::REGION;
use crate::ready::S3Ready;
use crate::reply::Reply;
use crate::request::raw_target;
use crate::server::Server;

/// Most bytes of a document.
const MAX_DOCUMENT: u64 = 20 << 20;

/// Whether this build serves the S3 API.
pub(crate) const IS_BUILT: bool = true;

/// The service that connections of this API are given. It holds the server, not the other way.
#[derive(Clone)]
pub(crate) struct Service {
    s3s: S3Service,
    keys: Arc<Keys>,
}

impl Service {
    #[expect(clippy::unnecessary_wraps, reason = "a build without the feature has none")]
    pub(crate) fn new(
        server: &Arc<Server>,
        oci_dialect: bool,
        regions: Vec<(String, String)>,
    ) -> Option<Service> {
        let keys = Keys::generate();
        let api = Arc::new(Shared {
            server: server.clone(),
            oci_dialect,
            regions: regions.into_iter().collect(),
        });
        let mut config = S3Config::default();
        // Skew is judged here, by the emulator's clock.
        config.presigned_url_max_skew_time_secs = u32::MAX;
        let mut builder = S3ServiceBuilder::new(Api(api.clone()));
        builder.set_auth(keys.clone());
        builder.set_access(Api(api.clone()));
        builder.set_validation(Names(api));
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Some(Service { s3s: builder.build(), keys: Arc::new(keys) })
    }

    /// What clients need to know of the API at these endpoints.
    pub(crate) fn ready(&self, endpoint: String, tls_endpoint: String) -> S3Ready {
        S3Ready {
            endpoint,
            tls_endpoint,
            region: REGION.to_owned(),
            access_key_id: self.keys.access_key_id.clone(),
            secret_access_key: self.keys.secret_access_key.clone(),
            session_token: self.keys.session_token.clone(),
        }
    }
}

/// The request's body on its way to the service: counted for the record.
struct CountedBody {
    body: Arc<Mutex<Incoming>>,
    connection: Arc<Connection>,
    id: u64,
    ticket: Ticket,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.connection.amend(self.id, |line| line.bytes_in += length);
            }
            Some(Err(_)) => self.ticket.0.broken.store(true, Ordering::Relaxed),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }
}

impl Exchange<'_> {
    /// Lets the service do it, and makes its answer ours. Its errors are answers already.
    pub(crate) async fn act_by_s3(
        &mut self,
        s3: &Service,
    ) -> Result<Result<Reply, ApiError>, Broken> {
        let mut parts = match signature::judged(self.parts, &s3.keys, self.server.clock.wall()) {
            Ok(parts) => parts,
            Err(error) => return self.refuse_by_s3(error).await,
        };
        api_check::take_headers_from_query(&mut parts);
        let document = if api_check::has_document(&parts) {
            match self.read_body(MAX_DOCUMENT).await? {
                Ok(document) => Some(document),
                Err(failed) => return self.refuse_by_s3(error(failed)).await,
            }
        } else {
            None
        };
        let ticket = Ticket(Arc::new(TicketState {
            target: raw_target(self.parts).to_owned(),
            reused: self.reused,
            throttled: self.throttled,
            plan: Mutex::default(),
            document: document.clone(),
            known: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }));
        let body = CountedBody {
            body: self.body.clone(),
            connection: self.connection.clone(),
            id: self.id,
            ticket: ticket.clone(),
        };
        parts.extensions.insert(ticket.clone());
        let body = document.map_or_else(|| s3s::Body::http_body_unsync(body), s3s::Body::from);
        let request = http::Request::from_parts(parts, body);
        let answered = s3.s3s.call(request).await;
        if ticket.0.broken.load(Ordering::Relaxed) {
            return Err(Broken("the request broke off"));
        }
        self.plan = std::mem::take(&mut *ticket.plan());
        if self.plan.reset {
            self.connection.reset();
            return Err(Broken("the connection is reset by a fault"));
        }
        let Ok(response) = answered else {
            return Err(Broken("the S3 service failed"));
        };
        let is_known = ticket.0.known.load(Ordering::Relaxed);
        if response.status() == StatusCode::NOT_IMPLEMENTED && !is_known {
            return self.refuse_by_s3(api_check::unknown(self.parts)).await;
        }
        let reply = reply(response, self.parts, &self.ids).await?;
        self.refuse(reply).await.map(Ok)
    }

    /// Answers a request that the service does not get.
    async fn refuse_by_s3(&mut self, error: S3Error) -> Result<Result<Reply, ApiError>, Broken> {
        let response =
            error.to_http_response().map_err(|_| Broken("an answer cannot be written"))?;
        let reply = reply(response, self.parts, &self.ids).await?;
        self.refuse(reply).await.map(Ok)
    }
}

/// An answer of the service as one of ours.
async fn reply(response: s3s::HttpResponse, asked: &Parts, ids: &Ids) -> Result<Reply, Broken> {
    let (mut parts, body) = response.into_parts();
    let mut reply = Reply::empty(parts.status);
    let is_head = asked.method == Method::HEAD;
    if parts.status != StatusCode::NOT_MODIFIED {
        let payload = match parts.extensions.remove::<Payload>() {
            Some(payload) => payload,
            None => {
                let collected = body.collect().await;
                let body = collected.map_err(|_| Broken("an answer cannot be written"))?;
                documents::document(body.to_bytes(), &mut parts.headers, asked, ids).into()
            }
        };
        reply.body = if is_head { Payload::default() } else { payload };
    }
    // Of a HEAD the length is told; of a body hyper counts it.
    if !(is_head && parts.status.is_success()) {
        parts.headers.remove(CONTENT_LENGTH);
    }
    parts.headers.remove(TRANSFER_ENCODING);
    // HeadObject knows no other status.
    if parts.status == StatusCode::OK && parts.headers.contains_key(CONTENT_RANGE) {
        reply.status = StatusCode::PARTIAL_CONTENT;
    }
    reply.headers = parts.headers;
    Ok(reply)
}
