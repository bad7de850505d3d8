// SPDX-License-Identifier: Apache-2.0
//! shuttle's primitives in place of std's. tokio's channel stays: it blocks no thread, and wakes shuttle's tasks.

use shuttle::rand::{Rng, thread_rng};
pub(super) use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
pub(super) use tokio::sync::oneshot;

/// The time is over.
#[derive(Debug)]
pub(super) struct Elapsed;

/// A time-out that may pass whenever the future is not ready, and need not.
pub(super) async fn timeout<F: Future>(_: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let passes = thread_rng().gen_bool(0.2);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending if passes => Poll::Ready(Err(Elapsed)),
        Poll::Pending => Poll::Pending,
    })
    .await
}
