// SPDX-License-Identifier: Apache-2.0
//! The timer that a call carries. It ends exactly once: by `finish`, or by drop as `cancelled`.

use super::clock::now_ns;
use super::event::{CallEvent, CallSubject};
use super::key::{Connection, Level, Operation, Outcome, Phase, SizeClass};
use super::record::Recorders;
use std::ops::Range;
use std::sync::Arc;

/// What one call measured.
#[derive(Debug)]
pub(crate) struct CallTimer {
    recorders: Recorders,
    operation: Operation,
    start: u64,
    backoff: Option<u64>,
    wait: Option<u64>,
    /// What it is about, where a trace is written.
    subject: Option<Box<CallSubject>>,
}

impl CallTimer {
    /// A call about an object, by its full name.
    pub(crate) fn start(recorders: &Recorders, operation: Operation, key: &Arc<str>) -> CallTimer {
        let start = now_ns();
        let subject = recorders.tap().map(|tap| {
            Box::new(CallSubject {
                number: tap.next_call(),
                operation: operation.as_str(),
                key: Arc::clone(key),
                to: None,
                ranges: Vec::new(),
                length: None,
                received: 0,
            })
        });
        let recorders = recorders.clone();
        CallTimer { recorders, operation, start, backoff: None, wait: None, subject }
    }

    /// What it is about, where a trace is written.
    pub(crate) fn subject(&mut self) -> Option<&mut CallSubject> {
        self.subject.as_deref_mut()
    }

    /// It is a reader's: what the reader was asked for, and the ranges. One that ends at `u64::MAX` is up to the object's
    /// end.
    pub(crate) fn reads(&mut self, what: &'static str, ranges: impl Iterator<Item = Range<u64>>) {
        if let Some(subject) = self.subject() {
            subject.operation = what;
            subject.ranges = ranges.collect();
        }
    }

    /// It is a reader's, which was asked for so many bytes at the object's end.
    pub(crate) fn reads_last(&mut self, bytes: u64) {
        self.reads("tail", std::iter::empty());
        if let Some(subject) = self.subject() {
            subject.length = Some(bytes);
        }
    }

    /// So many bytes came for it.
    pub(crate) fn received(&mut self, bytes: u64) {
        if let Some(subject) = self.subject() {
            subject.received += bytes;
        }
    }

    /// When the call began, in `now_ns`; also where timing is off.
    pub(crate) fn started(&self) -> u64 {
        self.start
    }

    /// Adds a sleep between two attempts, in nanoseconds.
    pub(crate) fn backoff(&mut self, nanoseconds: u64) {
        *self.backoff.get_or_insert(0) += nanoseconds;
    }

    /// Adds a time in which the caller was blocked, in nanoseconds.
    pub(crate) fn wait(&mut self, nanoseconds: u64) {
        *self.wait.get_or_insert(0) += nanoseconds;
    }

    /// Ends the call at `end`, a reading of `now_ns`, or now.
    pub(crate) fn finish(mut self, outcome: Outcome, end: Option<u64>) {
        if self.recorders.is_on() {
            self.record(outcome, end.unwrap_or_else(now_ns));
        }
    }

    fn record(&mut self, outcome: Outcome, end: u64) {
        let recorders = std::mem::take(&mut self.recorders);
        let total = end.saturating_sub(self.start);
        for scope in recorders.scopes() {
            let group = scope.group(Level::Call, self.operation, outcome);
            group.record(Phase::Total, SizeClass::None, Connection::None, total);
            if let Some(backoff) = self.backoff {
                group.record(Phase::Backoff, SizeClass::None, Connection::None, backoff);
            }
            if let Some(wait) = self.wait {
                group.record(Phase::Wait, SizeClass::None, Connection::None, wait);
            }
        }
        if let (Some(tap), Some(subject)) = (recorders.tap(), self.subject.take()) {
            let (started_ns, total_ns) = (self.start, total);
            tap.call(CallEvent { subject: *subject, outcome, started_ns, total_ns });
        }
    }
}

impl Drop for CallTimer {
    fn drop(&mut self) {
        if self.recorders.is_on() {
            self.record(Outcome::Cancelled, now_ns());
        }
    }
}
