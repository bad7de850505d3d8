// SPDX-License-Identifier: Apache-2.0
//! The time of one call of a reader or stream: its waits, its deadline, its end.

use super::handle::Handle;
use crate::error::{Error, Failure};
use crate::timing::{CallTimer, Held, Operation, Outcome, Recorders, now_ns};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime;
use tokio::time::Sleep;

/// The time of one call: recorded when it ends, its waits apart. Dropped before, it was cancelled.
pub(crate) struct CallClock {
    timer: Option<CallTimer>,
    begun: u64,
    /// Since when its caller waits; 0 where it does not.
    waiting: u64,
    deadline: Option<Pin<Box<Sleep>>>,
    runtime: runtime::Handle,
    gauge: Option<Held>,
}

impl CallClock {
    /// Of a call that asks for these ranges by this method: `read` or `stream`.
    pub(crate) fn start(
        handle: &Handle,
        recorders: &Recorders,
        runtime: &runtime::Handle,
        (method, ranges): (&'static str, &[Range<u64>]),
    ) -> CallClock {
        let mut timer = CallTimer::start(recorders, Operation::Get, &handle.object().key);
        timer.reads(method, ranges.iter().cloned());
        let _entered = runtime.enter();
        CallClock {
            begun: timer.started(),
            timer: Some(timer),
            waiting: 0,
            deadline: handle.options().deadline.map(|limit| Box::pin(tokio::time::sleep(limit))),
            runtime: runtime.clone(),
            gauge: Some(handle.object().target.context().hold()),
        }
    }

    /// Nothing is there: ready when the call's deadline has passed.
    pub(crate) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting == 0 {
            self.waiting = now_ns();
        }
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        let _entered = self.runtime.enter();
        deadline.as_mut().poll(cx)
    }

    /// The caller is handed so many bytes.
    pub(crate) fn hands_over(&mut self, bytes: u64) {
        if let Some(timer) = &mut self.timer {
            timer.received(bytes);
        }
    }

    /// The caller waits no more.
    pub(crate) fn resumes(&mut self) {
        let since = std::mem::take(&mut self.waiting);
        if let Some(timer) = self.timer.as_mut().filter(|_| since > 0) {
            timer.wait(now_ns().saturating_sub(since));
        }
    }

    pub(crate) fn end(&mut self, outcome: Outcome) {
        self.resumes();
        if let Some(timer) = self.timer.take() {
            timer.finish(outcome, None);
        }
        self.gauge = None;
    }

    /// An error of the call's own.
    pub(crate) fn error(&self, handle: &Handle, failure: Failure) -> Error {
        let url = handle.object().target.backend().url(&handle.object().key);
        let elapsed = Duration::from_nanos(now_ns().saturating_sub(self.begun));
        failure.into_error(Some(Operation::Get), Some(url), 0, elapsed)
    }
}
