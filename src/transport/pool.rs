// SPDX-License-Identifier: Apache-2.0
//! The connections to one host from one runtime: newest idle first, a cap on how many there are.

use super::Origin;
use super::body::RequestBody;
use super::connect::Connector;
use super::io::Times;
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Gauges, Held, Phase, instant_at, now_ns};
use hyper::client::conn::http1::SendRequest;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

#[derive(Debug)]
pub(super) struct HostPool {
    permits: Arc<Semaphore>,
    size: usize,
    idle_limit: u64,
    idle: Mutex<Vec<Idle>>,
    gauges: Arc<Gauges>,
}

/// A connection in the pool, since when.
#[derive(Debug)]
struct Idle {
    connection: Pooled,
    since: u64,
}

#[derive(Debug)]
struct Pooled {
    sender: SendRequest<RequestBody>,
    times: Arc<Times>,
    guard: Guard,
}

impl HostPool {
    pub(super) fn new(size: u32, idle_limit: Duration, gauges: &Arc<Gauges>) -> Arc<HostPool> {
        Arc::new(HostPool {
            permits: Arc::new(Semaphore::new(size as usize)),
            size: size as usize,
            idle_limit: idle_limit.as_nanos() as u64,
            idle: Mutex::default(),
            gauges: Arc::clone(gauges),
        })
    }

    /// A connection to send one request on: the one that was used last, or a new one.
    pub(super) async fn lease(
        self: &Arc<HostPool>,
        connector: &Connector,
        origin: &Origin,
        timer: &mut AttemptTimer,
        fresh: bool,
    ) -> Result<Lease, Failure> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())?,
        };
        if !fresh {
            while let Some(mut connection) = self.newest() {
                if connection.sender.ready().await.is_ok() {
                    timer.lap(Phase::Pool);
                    return Ok(self.leased(connection, true, permit));
                }
            }
        }
        timer.lap(Phase::Pool);
        let (sender, times) = connector.connect(origin, timer, self.gauges.connection()).await?;
        let guard = Guard::new();
        Ok(self.leased(Pooled { sender, times, guard }, false, permit))
    }

    fn leased(
        self: &Arc<HostPool>,
        connection: Pooled,
        reused: bool,
        permit: OwnedSemaphorePermit,
    ) -> Lease {
        Lease { connection, reused, pool: Arc::clone(self), gauge: self.gauges.attempt(), permit }
    }

    /// The newest idle connection that is neither too old nor known to be closed. The older ones go with it: what is
    /// below the newest has been idle for longer.
    fn newest(&self) -> Option<Pooled> {
        let mut idle = self.idle();
        while let Some(Idle { connection, since }) = idle.pop() {
            if now_ns().saturating_sub(since) > self.idle_limit {
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
    pub(super) fn is_in_use(&self) -> bool {
        self.permits.available_permits() < self.size
            || self.idle().iter().any(|idle| !idle.connection.sender.is_closed())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Failure {
    Failure::new(ErrorKind::Misuse).message("the client was shut down")
}

/// A connection in use. Dropped, it is closed; at the end of an exchange it goes back by `give_back`.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Pooled,
    reused: bool,
    pool: Arc<HostPool>,
    gauge: Held,
    permit: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    pub(super) fn times(&self) -> &Times {
        &self.connection.times
    }

    pub(super) fn guard(&mut self) -> &mut Guard {
        &mut self.connection.guard
    }

    pub(super) fn parts(&mut self) -> (&mut SendRequest<RequestBody>, &mut Guard, &Times) {
        (&mut self.connection.sender, &mut self.connection.guard, &self.connection.times)
    }

    /// The exchange has ended and the connection can serve another.
    pub(super) fn give_back(self, now: u64) {
        let Lease { connection, pool, gauge, permit, .. } = self;
        if !connection.sender.is_closed() {
            pool.put_back(connection, now);
        }
        drop((gauge, permit));
    }
}

/// A timer that outlives requests: a deadline later than the one it is armed with costs nothing until that one passes,
/// so a request that is answered in time never touches the runtime's timer wheel.
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
