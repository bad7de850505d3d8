// SPDX-License-Identifier: Apache-2.0
//! The one HTTP client: HTTP/1.1 over hyper's `conn::http1`, under a pool of our own.
//!
//! ```text
//!  send(endpoint, request, timer)
//!    │ pool.rs     permit of the host → newest idle connection, or a new one       phases: pool
//!    │ connect.rs  DNS (dns.rs) → TCP, all addresses (dial.rs), or a proxy (proxy.rs) → TLS (tls.rs)  dns · connect · tls
//!    ▼
//!  hyper connection task ── io.rs: the socket wrapper notes last write, first read         send · ttfb
//!    ▼
//!  Response { status, headers, Body }   body.rs: frames in, stall clock, think time       body · paused
//!    └─ at the last byte the connection goes back to the pool and the timer is recorded
//!
//!  origin.rs        the server and the path below it      request_body.rs  the body that is sent, at the client's limit
//!  failure.rs       what goes wrong below HTTP, as a `Failure`          plain.rs  who may be asked without TLS
//! ```
//!
//! Why a pool of our own: hyper-util's races a new connection against the wait for a pooled one, so that new and reused
//! cannot be told apart. It promises: request targets leave as they came, never normalised; there is no total timeout;
//! dropping a future or a body frees its permit at once; a reused connection that died before a byte of the answer is
//! marked so (`Failure::stale_connection`), and never retried here.

mod body;
mod connect;
mod dial;
mod dns;
mod failure;
mod io;
mod origin;
mod plain;
mod pool;
mod proxy;
mod request_body;
mod tls;

pub(crate) use body::Body;
pub(crate) use origin::{BaseUrl, Origin};
pub(crate) use request_body::RequestBody;

use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::limiter::{Limiter, Pace};
use crate::timing::Gauges;
use crate::timing::{AttemptTimer, Connection, Outcome, after, now_ns};
use connect::Connector;
use failure::broken;
use hyper::body::Body as _;
use hyper::header::{HeaderName, HeaderValue, RANGE, USER_AGENT};
use hyper::{HeaderMap, Request, StatusCode};
use pool::{HostPool, Lease, ResponseFuture, is_drained};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime;

/// The server's name for a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("opc-request-id");

/// What all requests of a client share.
#[derive(Debug)]
pub(crate) struct Transport {
    connector: Arc<Connector>,
    limits: Limits,
    /// Of bodies sent, and received.
    sends: Option<Arc<Limiter>>,
    receives: Option<Arc<Limiter>>,
    /// What each request says it comes from.
    user_agent: HeaderValue,
    gauges: Arc<Gauges>,
    endpoints: Mutex<HashMap<Origin, Arc<Endpoint>>>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    waits: Waits,
    idle: Duration,
    patience: Duration,
    max_connections: u32,
}

/// What a request under way is waited for.
#[derive(Clone, Copy, Debug)]
struct Waits {
    first_byte: Duration,
    pace: Pace,
}

/// A server, with a pool for each runtime that asks it. A connection belongs to the runtime it was made on, so that one
/// runtime's end never breaks another's requests.
#[derive(Debug)]
pub(crate) struct Endpoint {
    origin: Origin,
    pools: Mutex<Vec<(runtime::Id, Arc<HostPool>)>>,
}

/// The head of an answer, and its body to come.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Transport {
    pub(crate) fn new(
        config: &Config,
        user_agent: &'static str,
        gauges: &Arc<Gauges>,
    ) -> Transport {
        Transport {
            user_agent: HeaderValue::from_static(user_agent),
            connector: Arc::new(Connector::new(config)),
            limits: Limits {
                waits: Waits { first_byte: config.first_byte_timeout, pace: Pace::new(config) },
                idle: config.idle_timeout,
                patience: config.call_timeout,
                max_connections: config.max_connections.max(1),
            },
            sends: Limiter::new(config.bwlimit),
            receives: Limiter::new(config.bwlimit),
            gauges: Arc::clone(gauges),
            endpoints: Mutex::default(),
        }
    }

    /// The shared state of a server.
    pub(crate) fn endpoint(&self, origin: &Origin) -> Arc<Endpoint> {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let endpoint = endpoints.entry(origin.clone()).or_insert_with(|| {
            Arc::new(Endpoint { origin: origin.clone(), pools: Mutex::default() })
        });
        Arc::clone(endpoint)
    }

    /// Closes every idle connection.
    pub(crate) fn close_idle(&self) {
        for endpoint in self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).values() {
            for (_, pool) in endpoint.pools.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                pool.close_idle();
            }
        }
    }

    /// Sends one request. The timer is recorded when the answer's body has ended, or on failure here.
    ///
    /// `fresh` asks for a connection that was not used before.
    ///
    /// No async function, since the common case has nothing to wait for until the request is on its way: the request
    /// goes from here to the connection's task, and is part of no future that would be moved from layer to layer.
    pub(crate) fn send<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        request: Request<RequestBody>,
        mut timer: Box<AttemptTimer>,
        fresh: bool,
    ) -> Sending<'a> {
        let pool = self.pool(endpoint);
        match pool.at_hand(&timer, fresh) {
            Some(lease) => Sending::Sent(self.sent(lease, request, timer)),
            None => Sending::Leasing(Box::pin(async move {
                match pool.lease(&self.connector, &endpoint.origin, &mut timer, fresh).await {
                    Ok(lease) => Ok(self.sent(lease, request, timer)),
                    Err(mut failure) => {
                        failure.unsent = true;
                        timer.finish(failure.outcome());
                        Err(failure)
                    }
                }
            })),
        }
    }

    /// Gives the request to the connection's task.
    fn sent(
        &self,
        mut lease: Lease,
        mut request: Request<RequestBody>,
        mut timer: Box<AttemptTimer>,
    ) -> Sent {
        request.headers_mut().insert(USER_AGENT, self.user_agent.clone());
        timer.connected(if lease.is_reused() { Connection::Reused } else { Connection::New });
        lease.times().begin();
        timer.watch(lease.times());
        lease.uploads(request.body().size_hint().exact().unwrap_or(0));
        if let Some(limiter) = &self.sends {
            request.body_mut().limit(limiter, lease.times());
        }
        let since = timer.mark();
        let drained = is_drained(request.method(), request.headers().get(RANGE));
        let answer: ResponseFuture = Box::pin(lease.sender().send_request(request));
        let in_flight = Some(InFlight { answer, lease, timer });
        let receives = self.receives.clone();
        Sent { since, written: 0, waits: self.limits.waits, receives, drained, in_flight }
    }

    fn pool(&self, endpoint: &Endpoint) -> Arc<HostPool> {
        let runtime = runtime::Handle::current().id();
        let mut pools = endpoint.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.iter().find(|(id, _)| *id == runtime) {
            return Arc::clone(pool);
        }
        let pool = HostPool::new(
            self.limits.max_connections,
            self.limits.idle,
            self.limits.patience,
            &self.gauges,
        );
        pools.retain(|(_, pool)| pool.is_in_use());
        pools.push((runtime, Arc::clone(&pool)));
        pool
    }
}

/// A request on its way, or about to be: the answer's head.
#[must_use = "dropped, the request is cancelled"]
pub(crate) enum Sending<'a> {
    /// A connection has to be waited for, or made.
    Leasing(Pin<Box<dyn Future<Output = Result<Sent, Failure>> + Send + 'a>>),
    Sent(Sent),
}

/// A request that its connection's task has.
pub(crate) struct Sent {
    /// When it was sent, or when the last of it was written; 0 where timing is off and nobody has asked yet.
    since: u64,
    /// Bytes written by then.
    written: u64,
    waits: Waits,
    receives: Option<Arc<Limiter>>,
    /// Whether its answer is small enough to be read to its end where nobody wants it any more.
    drained: bool,
    /// Until it ends.
    in_flight: Option<InFlight>,
}

/// Dropped in this order: hyper closes the connection of an answer that nobody wants, then the attempt is recorded.
struct InFlight {
    answer: ResponseFuture,
    lease: Lease,
    timer: Box<AttemptTimer>,
}

impl Future for Sending<'_> {
    type Output = Result<Response, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut *self {
                Sending::Sent(sent) => return sent.poll(cx),
                Sending::Leasing(leasing) => {
                    let sent = ready!(leasing.as_mut().poll(cx))?;
                    *self = Sending::Sent(sent);
                }
            }
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(InFlight { answer, lease, timer }) = self.in_flight.take_if(|_| self.drained) {
            // Recorded as cancelled now: what follows is nobody's attempt.
            drop(timer);
            lease.drain(answer);
        }
    }
}

impl Sent {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response, Failure>> {
        let in_flight = self.in_flight.as_mut().expect("polled after its end");
        let answered = match in_flight.answer.as_mut().poll(cx) {
            Poll::Ready(answered) => answered.map_err(|e| broken(e, "before an answer came")),
            Poll::Pending => Err(ready!(self.poll_nothing(cx))),
        };
        let Some(InFlight { lease, mut timer, .. }) = self.in_flight.take() else {
            unreachable!("there above")
        };
        Poll::Ready(match answered {
            Ok(response) => {
                let (head, incoming) = response.into_parts();
                timer.answered(head.status.as_u16());
                let outcome = Outcome::of_status(head.status.as_u16());
                // To compare a dozen names is less than to hash this one.
                let request_id = head.headers.iter().find(|(name, _)| **name == REQUEST_ID);
                let request_id = request_id.map(|(_, value)| value.clone());
                let body = Body::new(incoming, lease, timer, outcome, self.waits.pace, request_id)
                    .limited(self.receives.as_ref());
                Ok(Response { status: head.status, headers: head.headers, body })
            }
            Err(mut failure) => {
                failure.stale_connection = failure.kind == ErrorKind::Reset
                    && lease.is_reused()
                    && lease.times().first_read().is_none();
                timer.finish(failure.outcome());
                Err(failure)
            }
        })
    }

    /// Ready when the request has waited for too long. The clock runs from the last byte written, which may come later
    /// than this poll.
    fn poll_nothing(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        let Some(InFlight { lease, .. }) = &mut self.in_flight else { return Poll::Pending };
        if self.since == 0 {
            self.since = now_ns();
        }
        loop {
            let sent = lease.is_uploaded();
            let limit = if sent { self.waits.first_byte } else { self.waits.pace.within };
            ready!(lease.guard().poll_passed(cx, after(self.since, limit)));
            let times = lease.times();
            // Read before the time of the last write: what is written meanwhile counts for the next wait.
            let written = times.written();
            let taken = written - self.written;
            let moved = sent || taken >= self.waits.pace.bytes;
            self.since = match times.last_write() {
                // A body that a limit of ours holds back has not stalled.
                _ if !sent && times.held() > self.since => times.held(),
                Some(last) if last > self.since && moved => last,
                _ => return Poll::Ready(self.waits.nothing(sent, taken)),
            };
            self.written = written;
        }
    }
}

impl Waits {
    fn nothing(&self, sent: bool, taken: u64) -> Failure {
        let Waits { first_byte, pace: Pace { within, bytes } } = self;
        Failure::new(ErrorKind::Timeout).message(match (sent, taken) {
            (true, _) => format!("no byte of an answer within {first_byte:?} (first_byte_timeout)"),
            (false, 0) => format!("no byte of the upload was taken for {within:?} (stall_timeout)"),
            (false, few) => format!(
                "only {few} bytes of the upload were taken within {within:?}, less than {bytes} (stall_timeout, stall_rate)"
            ),
        })
    }
}
