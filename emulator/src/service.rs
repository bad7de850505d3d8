// SPDX-License-Identifier: Apache-2.0
//! One request from its head to its answer.
//!
//! ```text
//!  head read ─► draw ─► line opened ─► signature ─► faults ─► operation (body read where there
//!     is one) ─► wait until first byte is due ─► answer, as faults leave it ─► told to the
//!     connection ─► hyper
//! ```
//!
//! A body is asked for (`100 Continue`) only when its request's signature was found good. What is
//! refused before its body was read is answered at once, and the connection closed, if the client
//! waits for a 100; else the body is read and dropped first.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::body::{Pace, PacedBody};
use crate::connection::Connection;
use crate::exchange::{Broken, Exchange, Ids};
use crate::fault::Plan;
use crate::latency::Drawn;
use crate::record::RecordLine;
use crate::reply::Reply;
use crate::request::raw_target;
use crate::s3;
use crate::server::Server;

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("opc-client-request-id");

/// What a listener serves.
#[derive(Clone)]
pub(crate) enum Face {
    /// The native API.
    Oci,
    /// The S3 API.
    S3(s3::Service),
    /// The endpoints of principals.
    Identity,
}

impl Face {
    /// Whether the latency model applies.
    fn has_model(&self) -> bool {
        !matches!(self, Face::Identity)
    }
}

impl Server {
    /// Answers one request of a connection, by what its listener serves.
    pub(crate) async fn serve(
        self: Arc<Server>,
        connection: Arc<Connection>,
        request: Request<Incoming>,
        face: Face,
    ) -> Result<Response<PacedBody>, Broken> {
        let head_read_ns = connection.last_read_ns();
        let first = connection.is_first_request();
        let drawn = if face.has_model() { self.latency.draw(first) } else { Drawn::default() };
        let id = self.last_request.fetch_add(1, Ordering::Relaxed) + 1;
        let (parts, body) = request.into_parts();
        connection.open(line(id, &connection, &parts, drawn.wait, head_read_ns));

        let mut exchange = Exchange {
            server: &self,
            connection: &connection,
            id,
            parts: &parts,
            body: Arc::new(Mutex::new(body)),
            reused: !first,
            throttled: drawn.throttled,
            plan: Plan::default(),
            storage: self.storage.clone(),
            ids: Ids::new(matches!(face, Face::S3(_))),
        };
        let has_body = !exchange.body().is_end_stream();
        let acted = match &face {
            Face::Oci => exchange.act_by_oci().await?,
            Face::S3(s3) => exchange.act_by_s3(s3).await?,
            Face::Identity => exchange.act_by_identity().await?,
        };
        let reply = match acted {
            Ok(reply) => reply,
            Err(error) => exchange.refuse(error.into()).await?,
        };
        let reply = match &face {
            Face::S3(_) => reply,
            Face::Oci | Face::Identity => reply.for_method(&parts.method),
        };
        let Exchange { plan, ids, .. } = exchange;
        if plan.drop_response {
            connection.reset();
            return Err(Broken("the answer is dropped by a fault"));
        }
        let read_ns = if has_body { connection.last_read_ns() } else { head_read_ns };
        if let Some(due) = drawn.due(self.clock.instant(read_ns), drawn.wait + plan.delay) {
            self.timer.sleep_until(due).await;
        }
        let reply = reply.spoiled(&plan, &parts.method);
        let length = reply.length();
        connection.answer(id, reply.status.as_u16(), length, &plan);
        let pace = Pace {
            bytes_per_second: drawn.bytes_per_second,
            nic: drawn.nic,
            stalls: drawn.stalls,
            stall: plan.stall.filter(|(after, _)| *after < length),
            corrupt: plan.corrupt,
        };
        Ok(self.respond(reply, &parts, pace, ids))
    }

    fn respond(&self, reply: Reply, parts: &Parts, pace: Pace, ids: Ids) -> Response<PacedBody> {
        let Reply { status, headers, body, unsent, close, endless } = reply;
        let body = PacedBody::new(body, pace, self.timer.clone());
        let mut response = Response::new(if endless { body.endless() } else { body });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        let own = response.headers_mut();
        let text = |text: String| HeaderValue::try_from(text).expect("dates and ids are ASCII");
        own.insert(DATE, text(httpdate::fmt_http_date(self.clock.wall())));
        let request_id = text(ids.request);
        if let Some(host_id) = ids.host {
            own.insert("x-amz-request-id", request_id.clone());
            own.insert("x-amz-id-2", text(host_id));
        }
        own.insert("opc-request-id", request_id);
        if let Some(id) = parts.headers.get(CLIENT_REQUEST_ID) {
            own.insert(CLIENT_REQUEST_ID, id.clone());
        }
        if let Some(length) = unsent {
            own.insert(CONTENT_LENGTH, length.into());
        }
        if close {
            own.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn line(
    id: u64,
    connection: &Connection,
    parts: &Parts,
    drawn: Duration,
    head_read_ns: u64,
) -> RecordLine {
    let header = |name| {
        let value = parts.headers.get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    RecordLine {
        id,
        client_request_id: header("opc-client-request-id")
            .or_else(|| header("amz-sdk-invocation-id")),
        connection: connection.number,
        tls: connection.tls,
        user_agent: header("user-agent"),
        method: parts.method.to_string(),
        target: raw_target(parts).to_owned(),
        range: header("range"),
        status: None,
        bytes_in: 0,
        bytes_out: 0,
        drawn_ttfb_ns: drawn.as_nanos() as u64,
        head_read_ns,
        first_byte_ns: None,
        last_byte_ns: None,
    }
}
