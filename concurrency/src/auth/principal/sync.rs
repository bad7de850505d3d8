// SPDX-License-Identifier: Apache-2.0
//! shuttle's primitives in place of std's and tokio's: one runtime, and a clock that models set. tokio's `watch` stays: it blocks
//! no thread, and wakes shuttle's tasks.

pub(super) use shuttle::future::AbortHandle;
use shuttle::future::{JoinHandle, spawn};
pub(super) use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::future::poll_fn;
use std::ops::{Add, Sub};
use std::task::{Poll, Waker};
use std::time::Duration;
pub(super) use tokio::sync::watch;

/// The one runtime.
#[derive(Clone, Debug)]
pub(super) struct Handle;

/// There is always one.
#[derive(Debug)]
pub(super) struct NoRuntime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id;

impl Handle {
    pub(super) fn current() -> Handle {
        Handle
    }

    pub(super) fn try_current() -> Result<Handle, NoRuntime> {
        Ok(Handle)
    }

    pub(super) fn id(&self) -> Id {
        Id
    }

    pub(super) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn(task)
    }
}

/// The time of an execution, and who waits for it. Executions run one at a time on a thread.
#[derive(Default)]
struct Clock {
    now: Duration,
    waiting: Vec<Waker>,
}

std::thread_local! {
    static CLOCK: std::cell::RefCell<Clock> = std::cell::RefCell::default();
}

/// Sets the clock back to nothing.
pub(super) fn start_clock() {
    CLOCK.with(|clock| *clock.borrow_mut() = Clock::default());
}

/// Lets time pass.
pub(super) fn advance(time: Duration) {
    let waiting = CLOCK.with(|clock| {
        let clock = &mut *clock.borrow_mut();
        clock.now += time;
        std::mem::take(&mut clock.waiting)
    });
    waiting.into_iter().for_each(Waker::wake);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instant(Duration);

impl Instant {
    pub(super) fn now() -> Instant {
        Instant(CLOCK.with(|clock| clock.borrow().now))
    }

    pub(super) fn saturating_duration_since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, time: Duration) -> Instant {
        Instant(self.0 + time)
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, time: Duration) -> Instant {
        Instant(self.0 - time)
    }
}

pub(super) async fn sleep_until(time: Instant) {
    poll_fn(|cx| {
        if Instant::now() >= time {
            return Poll::Ready(());
        }
        CLOCK.with(|clock| clock.borrow_mut().waiting.push(cx.waker().clone()));
        Poll::Pending
    })
    .await;
}
