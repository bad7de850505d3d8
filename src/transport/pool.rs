// SPDX-License-Identifier: Apache-2.0
//! The connections to one host from one runtime: newest idle first, a cap on how many there are.

use super::Origin;
use super::connect::Connector;
use super::request_body::RequestBody;
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Gauges, Phase, SocketTimes, instant_at, now_ns};
use hyper::Method;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::HeaderValue;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Sleep;

#[derive(Debug)]
pub(super) struct HostPool {
    permits: Semaphore,
    size: usize,
    idle_limit: u64,
    /// How long to wait for a permit.
    patience: Duration,
    idle: Mutex<Vec<Idle>>,
    /// Connections whose last answer nobody wants, being read to its end.
    draining: AtomicUsize,
    gauges: Arc<Gauges>,
}

/// How large an answer may be that is read to its end although nobody wants it any more, ...
const DRAINED: u64 = 1 << 20;
/// ... for how long, ...
const DRAINS_FOR: Duration = Duration::from_secs(2);
/// ... and how many at once: others cost their connections.
const DRAINS: usize = 32;

/// A connection in the pool, since when.
#[derive(Debug)]
struct Idle {
    connection: Pooled,
    since: u64,
}

#[derive(Debug)]
struct Pooled {
    sender: SendRequest<RequestBody>,
    times: Arc<SocketTimes>,
    guard: Guard,
}

impl HostPool {
    pub(super) fn new(
        size: u32,
        idle_limit: Duration,
        patience: Duration,
        gauges: &Arc<Gauges>,
    ) -> Arc<HostPool> {
        Arc::new(HostPool {
            permits: Semaphore::new(size as usize),
            size: size as usize,
            idle_limit: idle_limit.as_nanos() as u64,
            patience,
            idle: Mutex::default(),
            draining: AtomicUsize::new(0),
            gauges: Arc::clone(gauges),
        })
    }

    /// The connection that was used last, if it is ready and nothing has to be waited for. There was nothing to wait
    /// for, and `pool` has no value.
    pub(super) fn at_hand(
        self: &Arc<HostPool>,
        timer: &AttemptTimer,
        fresh: bool,
    ) -> Option<Lease> {
        if fresh {
            return None;
        }
        let place = self.permits.try_acquire().ok()?;
        let now = timer.now_or_mark();
        let connection = self.newest(now)?;
        if !connection.sender.is_ready() {
            self.put_back(connection, now);
            return None;
        }
        Some(self.leased(connection, true, place))
    }

    /// A connection to send one request on: the one that was used last, or a new one.
    pub(super) async fn lease(
        self: &Arc<HostPool>,
        connector: &Connector,
        origin: &Origin,
        timer: &mut AttemptTimer,
        fresh: bool,
    ) -> Result<Lease, Failure> {
        let place = self.place(timer).await?;
        let now = timer.now_or_mark();
        if fresh {
            // One that is idle makes room for the new one: the permit covers both.
            drop(self.newest(now));
        } else {
            while let Some(mut connection) = self.newest(now) {
                if connection.sender.is_ready() {
                    return Ok(self.leased(connection, true, place));
                }
                if connection.becomes_ready(connector.timeout()).await {
                    timer.lap(Phase::Pool);
                    return Ok(self.leased(connection, true, place));
                }
            }
        }
        timer.lap(Phase::Pool);
        let connected = connector.connect(origin, timer, self.gauges.connection());
        let (sender, times) = connected.await?;
        let guard = Guard::new();
        Ok(self.leased(Pooled { sender, times, guard }, false, place))
    }

    async fn place(&self, timer: &mut AttemptTimer) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(place) = self.permits.try_acquire() {
            return Ok(place);
        }
        let waited = tokio::time::timeout(self.patience, self.permits.acquire()).await;
        timer.lap(Phase::Pool);
        match waited {
            Ok(place) => place.map_err(|_| Failure::new(ErrorKind::Misuse).message("the client was shut down")),
            Err(_) => Err(Failure::new(ErrorKind::Timeout)
                .message(format!(
                    "all {} connections to this host were busy for {:?} (max_connections, call_timeout)",
                    self.size, self.patience
                ))
                .hint("read or drop the bodies that are held, or raise max_connections")),
        }
    }

    fn leased(
        self: &Arc<HostPool>,
        connection: Pooled,
        reused: bool,
        place: SemaphorePermit<'_>,
    ) -> Lease {
        self.gauges.begin_attempt();
        place.forget();
        Lease { connection, reused, upload: 0, place: Place(Arc::clone(self)) }
    }

    /// The newest idle connection that is neither too old nor known to be closed. The older ones go with it: what is
    /// below the newest has been idle for longer.
    fn newest(&self, now: u64) -> Option<Pooled> {
        let mut idle = self.idle();
        while let Some(Idle { connection, since }) = idle.pop() {
            if now.saturating_sub(since) > self.idle_limit {
                idle.clear();
                return None;
            }
            if !connection.sender.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn put_back(&self, connection: Pooled, since: u64) {
        if self.idle_limit == 0 {
            return;
        }
        let mut idle = self.idle();
        // The oldest go first, so that a burst's connections do not stay for ever.
        let stale =
            idle.iter().take_while(|old| since.saturating_sub(old.since) > self.idle_limit).count();
        idle.drain(..stale);
        idle.push(Idle { connection, since });
    }

    pub(super) fn close_idle(&self) {
        self.idle().clear();
    }

    /// Whether it holds idle connections, or some are out.
    pub(super) fn is_in_use(self: &Arc<HostPool>) -> bool {
        Arc::strong_count(self) > 1
            || self.permits.available_permits() < self.size
            || self.draining.load(Relaxed) > 0
            || self.idle().iter().any(|idle| !idle.connection.sender.is_closed())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pooled {
    /// Whether the exchange before has left it ready for another. It is, or will be in a moment; a server that leaves
    /// something of a request unread can keep it from ever being so.
    async fn becomes_ready(&mut self, within: Duration) -> bool {
        matches!(tokio::time::timeout(within, self.sender.ready()).await, Ok(Ok(())))
    }
}

/// A connection in use. Dropped, it is closed; at the end of an exchange it goes back by `give_back`.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Pooled,
    reused: bool,
    /// Bytes of payload that the request has.
    upload: u64,
    place: Place,
}

/// One of the connections that the pool may have in use, and an attempt under way: one hold on the pool for both.
#[derive(Debug)]
struct Place(Arc<HostPool>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.gauges.end_attempt();
        self.0.permits.add_permits(1);
    }
}

impl Lease {
    pub(super) fn uploads(&mut self, bytes: u64) {
        self.upload = bytes;
    }

    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    pub(super) fn times(&self) -> &Arc<SocketTimes> {
        &self.connection.times
    }

    pub(super) fn guard(&mut self) -> &mut Guard {
        &mut self.connection.guard
    }

    pub(super) fn sender(&mut self) -> &mut SendRequest<RequestBody> {
        &mut self.connection.sender
    }

    /// Whether all of the request's payload is written.
    pub(super) fn is_uploaded(&self) -> bool {
        self.connection.times.written() >= self.upload
    }

    /// Nobody wants the answer any more. A small one is read to its end, apart, so that the connection can serve
    /// another; it counts as in use no longer. Otherwise the connection is closed.
    pub(super) fn drain(self, answer: ResponseFuture) {
        let usable = self.is_uploaded();
        let Lease { connection, place, .. } = self;
        let pool = Arc::clone(&place.0);
        drop(place);
        let Ok(runtime) = Handle::try_current() else { return };
        if !usable || pool.draining.load(Relaxed) >= DRAINS {
            return;
        }
        pool.draining.fetch_add(1, Relaxed);
        let drained = Draining(pool);
        runtime.spawn(async move {
            if tokio::time::timeout(DRAINS_FOR, drain(answer)).await == Ok(true)
                && !connection.sender.is_closed()
            {
                drained.0.put_back(connection, now_ns());
            }
        });
    }

    /// The exchange has ended; the connection can serve another.
    pub(super) fn give_back(self, now: u64) {
        // A request that was refused before all of it was written has left its rest in the connection.
        let usable = self.is_uploaded();
        let Lease { connection, place, .. } = self;
        if usable && !connection.sender.is_closed() {
            place.0.put_back(connection, now);
        }
    }
}

/// The head of an answer, when it comes.
pub(super) type ResponseFuture =
    Pin<Box<dyn Future<Output = hyper::Result<hyper::Response<Incoming>>> + Send>>;

/// Reads an answer to its end; whether it has come there.
async fn drain(answer: ResponseFuture) -> bool {
    let Ok(answer) = answer.await else { return false };
    let (mut body, mut length) = (answer.into_body(), 0);
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(frame) = frame else { return false };
        length += frame.data_ref().map_or(0, |data| data.len() as u64);
        if length > DRAINED {
            return false;
        }
    }
    true
}

/// One connection less is drained when it is dropped.
struct Draining(Arc<HostPool>);

impl Drop for Draining {
    fn drop(&mut self) {
        self.0.draining.fetch_sub(1, Relaxed);
    }
}

/// Whether the answer to a request is small enough to be drained.
pub(super) fn is_drained(method: &Method, range: Option<&HeaderValue>) -> bool {
    match *method {
        Method::HEAD => true,
        Method::GET => {
            let range = range.and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
            let asked = range.and_then(|range| {
                let (first, last) = range.split_once('-')?;
                let last: u64 = last.parse().ok()?;
                if first.is_empty() {
                    Some(last)
                } else {
                    (last + 1).checked_sub(first.parse().ok()?)
                }
            });
            asked.is_some_and(|bytes| bytes <= DRAINED)
        }
        _ => false,
    }
}

/// A timer that outlives requests: a deadline later than the one it is armed with costs nothing until that one passes,
/// so only the first request of a connection that has to wait touches the runtime's timer wheel.
#[derive(Debug)]
pub(super) struct Guard(Option<Pin<Box<Sleep>>>);

impl Guard {
    fn new() -> Guard {
        Guard(None)
    }

    /// Ready when `deadline` (a time of `now_ns`) has passed; else this task is woken then, or before.
    pub(super) fn poll_passed(&mut self, cx: &mut Context<'_>, deadline: u64) -> Poll<()> {
        let sleep =
            self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(instant_at(deadline))));
        if sleep.deadline() > instant_at(deadline) {
            sleep.as_mut().reset(instant_at(deadline));
        }
        loop {
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if now_ns() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(instant_at(deadline));
        }
    }
}
