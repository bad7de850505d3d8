// SPDX-License-Identifier: Apache-2.0
//! The runtime of the process, and how Java's threads wait for what runs on it.
//!
//! A call is polled on the thread that made it, which sleeps while there is nothing to do and checks now and then whether
//! it was interrupted. The runtime's threads never call into Java, so none is attached to the JVM and none keeps it from
//! ending.

use crate::java;
use crate::raised::{Raised, Result};
use jni::Env;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use storescope_bindings::runtime;
use tokio::runtime::{Handle, Runtime};

/// How long a thread sleeps before it checks whether it was interrupted.
const SLICE: Duration = Duration::from_millis(50);

/// The runtime, started when first used and never ended.
pub(crate) fn handle() -> &'static Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| runtime::start().expect("a runtime's threads can be started")).handle()
}

/// Waits for a call; an interrupt of the thread drops it.
pub(crate) fn wait<T>(
    env: &mut Env<'_>,
    call: impl Future<Output = storescope::Result<T>>,
) -> Result<T> {
    Ok(poll_on(Some(env), call)??)
}

/// The same for what is none of the core's calls.
pub(crate) fn wait_for<T>(env: &mut Env<'_>, call: impl Future<Output = T>) -> Result<T> {
    poll_on(Some(env), call)
}

/// Waits for what must come to its end, interrupted or not.
pub(crate) fn wait_through<T>(call: impl Future<Output = T>) -> Result<T> {
    poll_on(None, call)
}

fn poll_on<T>(mut env: Option<&mut Env<'_>>, call: impl Future<Output = T>) -> Result<T> {
    let _entered = handle().enter();
    let mut call = pin!(call);
    let sleeper = ThreadWaker::of_this_thread();
    let waker = Waker::from(Arc::clone(&sleeper));
    loop {
        if let Poll::Ready(ended) = poll_once(call.as_mut(), &waker) {
            return Ok(ended);
        }
        while !sleeper.woken.swap(false, SeqCst) {
            if let Some(env) = &mut env
                && java::is_interrupted(env)?
            {
                return Err(Raised::Interrupted);
            }
            thread::park_timeout(SLICE);
        }
    }
}

fn poll_once<T>(call: Pin<&mut impl Future<Output = T>>, waker: &Waker) -> Poll<T> {
    call.poll(&mut Context::from_waker(waker))
}

/// Wakes a thread that sleeps in [`poll_on`].
struct ThreadWaker {
    thread: Thread,
    woken: AtomicBool,
}

impl ThreadWaker {
    /// One a thread: a late wake only costs a poll.
    fn of_this_thread() -> Arc<ThreadWaker> {
        thread_local! {
            static WAKER: Arc<ThreadWaker> =
                Arc::new(ThreadWaker { thread: thread::current(), woken: AtomicBool::new(false) });
        }
        WAKER.with(Arc::clone)
    }
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, SeqCst) {
            self.thread.unpark();
        }
    }
}
