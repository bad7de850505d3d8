// SPDX-License-Identifier: Apache-2.0
//! The timers that an attempt and a call carry. Each ends exactly once: by `finish`, or by drop as `cancelled`.

use super::key::{Connection, Level, Operation, Outcome, Phase, SizeClass};
use super::scope::Scope;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Nanoseconds since some moment before this process first asked. Tokio's clock, so that tests in paused time see it
/// stand still; outside of such tests it is `std::time::Instant`.
pub(crate) fn now_ns() -> u64 {
    // A paused clock may have been read before the anchor is set: an hour keeps every reading after it.
    static ANCHOR: LazyLock<Instant> = LazyLock::new(|| {
        let now = Instant::now();
        now.checked_sub(Duration::from_secs(3600)).unwrap_or(now)
    });
    tokio::time::Instant::now().into_std().saturating_duration_since(*ANCHOR).as_nanos() as u64
}

/// The scopes a request is recorded in: the caller's, its parents, the client's. Empty where timing is off.
#[derive(Clone, Debug)]
pub(crate) struct Sink(Arc<[Scope]>);

impl Sink {
    /// The chain from `scope` through its parents to `root`, each once.
    pub(crate) fn new(scope: Option<&Scope>, root: &Scope) -> Sink {
        let mut chain: Vec<Scope> = scope.map(Scope::chain).unwrap_or_default();
        if !chain.iter().any(|known| known.is_same(root)) {
            chain.push(root.clone());
        }
        Sink(chain.into())
    }

    /// Records nothing.
    pub(crate) fn off() -> Sink {
        Sink(Arc::from([]))
    }

    /// Whether anything is recorded.
    pub(crate) fn is_on(&self) -> bool {
        !self.0.is_empty()
    }
}

const PARTS: usize = Phase::PARTS.len();

/// What one attempt measured. Phases never set are not recorded.
#[derive(Debug)]
pub(crate) struct AttemptTimer {
    sink: Sink,
    operation: Operation,
    connection: Connection,
    /// Whether a payload was part of the attempt, and so whether it has a size class.
    sized: bool,
    start: u64,
    mark: u64,
    set: u16,
    parts: [u64; PARTS],
    asked: Option<u64>,
    delivered: u64,
    discarded: u64,
}

impl AttemptTimer {
    pub(crate) fn start(sink: &Sink, operation: Operation) -> AttemptTimer {
        let start = if sink.is_on() { now_ns() } else { 0 };
        AttemptTimer {
            sink: sink.clone(),
            operation,
            connection: Connection::None,
            sized: false,
            start,
            mark: start,
            set: 0,
            parts: [0; PARTS],
            asked: None,
            delivered: 0,
            discarded: 0,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.sink.is_on()
    }

    /// Ends `phase` now: what passed since the last mark is its.
    pub(crate) fn lap(&mut self, phase: Phase) {
        if self.is_on() {
            self.lap_at(phase, now_ns());
        }
    }

    /// Ends `phase` at `now`, a reading of `now_ns` taken elsewhere.
    pub(crate) fn lap_at(&mut self, phase: Phase, now: u64) {
        let spent = now.saturating_sub(self.mark);
        self.mark = self.mark.max(now);
        self.add(phase, spent);
    }

    /// Adds to a phase without moving the mark.
    pub(crate) fn add(&mut self, phase: Phase, nanoseconds: u64) {
        self.parts[phase.index()] += nanoseconds;
        self.set |= 1 << phase.index();
    }

    /// What a phase has so far.
    pub(crate) fn part(&self, phase: Phase) -> u64 {
        self.parts[phase.index()]
    }

    /// The last mark.
    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }

    pub(crate) fn connected(&mut self, connection: Connection) {
        self.connection = connection;
    }

    /// The payload asked for (a range's length), in bytes.
    pub(crate) fn asked(&mut self, bytes: u64) {
        self.asked = Some(bytes);
        self.sized = true;
    }

    /// Payload received or sent, in bytes.
    pub(crate) fn delivered(&mut self, bytes: u64) {
        self.delivered += bytes;
        self.sized = true;
    }

    /// Payload received that nobody wanted, in bytes.
    pub(crate) fn discarded(&mut self, bytes: u64) {
        self.discarded += bytes;
    }

    /// Ends the attempt at `end`, a reading of `now_ns`.
    pub(crate) fn finish_at(mut self, outcome: Outcome, end: u64) {
        self.record(outcome, end);
    }

    /// Ends the attempt now.
    pub(crate) fn finish(mut self, outcome: Outcome) {
        if self.is_on() {
            self.record(outcome, now_ns());
        }
    }

    fn record(&mut self, outcome: Outcome, end: u64) {
        let sink = std::mem::replace(&mut self.sink, Sink::off());
        if !sink.is_on() {
            return;
        }
        let size = if self.sized {
            SizeClass::of(self.delivered.max(self.asked.unwrap_or(0)))
        } else {
            SizeClass::None
        };
        for scope in sink.0.iter() {
            let group = scope.group(Level::Attempt, self.operation, outcome);
            for (index, &phase) in Phase::PARTS.iter().enumerate() {
                if self.set & (1 << index) != 0 {
                    group.record(phase, size, self.connection, self.parts[index]);
                }
            }
            let total = end.saturating_sub(self.start);
            group.record(Phase::Total, size, self.connection, total);
            if self.sized {
                if let Some(asked) = self.asked {
                    group.record(Phase::BytesAsked, size, self.connection, asked);
                }
                group.record(Phase::BytesDelivered, size, self.connection, self.delivered);
            }
            if self.discarded > 0 {
                group.record(Phase::BytesDiscarded, size, self.connection, self.discarded);
            }
        }
    }
}

impl Drop for AttemptTimer {
    fn drop(&mut self) {
        if self.is_on() {
            self.record(Outcome::Cancelled, now_ns());
        }
    }
}

/// What one call measured.
#[derive(Debug)]
pub(crate) struct CallTimer {
    sink: Sink,
    operation: Operation,
    start: u64,
    backoff: Option<u64>,
}

impl CallTimer {
    pub(crate) fn start(sink: &Sink, operation: Operation) -> CallTimer {
        let start = if sink.is_on() { now_ns() } else { 0 };
        CallTimer { sink: sink.clone(), operation, start, backoff: None }
    }

    pub(crate) fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Adds a sleep between two attempts, in nanoseconds.
    pub(crate) fn backoff(&mut self, nanoseconds: u64) {
        *self.backoff.get_or_insert(0) += nanoseconds;
    }

    /// Ends the call now.
    pub(crate) fn finish(mut self, outcome: Outcome) {
        if self.sink.is_on() {
            self.record(outcome, now_ns());
        }
    }

    /// Ends the call at `end`, a reading of `now_ns`.
    pub(crate) fn finish_at(mut self, outcome: Outcome, end: u64) {
        self.record(outcome, end);
    }

    fn record(&mut self, outcome: Outcome, end: u64) {
        let sink = std::mem::replace(&mut self.sink, Sink::off());
        for scope in sink.0.iter() {
            let group = scope.group(Level::Call, self.operation, outcome);
            let total = end.saturating_sub(self.start);
            group.record(Phase::Total, SizeClass::None, Connection::None, total);
            if let Some(backoff) = self.backoff {
                group.record(Phase::Backoff, SizeClass::None, Connection::None, backoff);
            }
        }
    }
}

impl Drop for CallTimer {
    fn drop(&mut self) {
        if self.sink.is_on() {
            self.record(Outcome::Cancelled, now_ns());
        }
    }
}

/// What `timing::bench::record_attempt` does: the phases of a ranged GET on a reused connection.
pub(super) fn bench_attempt(scopes: &[Scope], start_ns: u64) {
    let mut timer = AttemptTimer {
        sink: Sink(Arc::from(scopes)),
        operation: Operation::Get,
        connection: Connection::Reused,
        sized: false,
        start: start_ns,
        mark: start_ns,
        set: 0,
        parts: [0; PARTS],
        asked: None,
        delivered: 0,
        discarded: 0,
    };
    timer.lap_at(Phase::Prepare, start_ns + 900);
    timer.lap_at(Phase::Pool, start_ns + 1_000);
    timer.lap_at(Phase::Send, start_ns + 9_000);
    timer.lap_at(Phase::Ttfb, start_ns + 61_000);
    timer.lap_at(Phase::Body, start_ns + 62_000);
    timer.asked(4096);
    timer.delivered(4096);
    timer.finish_at(Outcome::Ok, start_ns + 62_000);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::Key;

    fn key(level: Level, outcome: Outcome, phase: Phase) -> Key {
        Key {
            level,
            operation: Operation::Get,
            phase,
            outcome,
            size: SizeClass::None,
            connection: Connection::None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_lands_in_its_scope_and_all_above_once() {
        let root = Scope::new("root");
        let child = root.child("stage").child("task");
        let sink = Sink::new(Some(&child), &root);
        let mut timer = AttemptTimer::start(&sink, Operation::Get);
        tokio::time::advance(std::time::Duration::from_millis(3)).await;
        timer.lap(Phase::Prepare);
        timer.finish(Outcome::Ok);
        for scope in [&root, &child] {
            let snapshot = scope.snapshot();
            let total = snapshot.get(&key(Level::Attempt, Outcome::Ok, Phase::Total));
            assert_eq!(total.map(|d| (d.count(), d.max())), Some((1, 3_000_000)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_dropped_is_recorded_as_cancelled() {
        let root = Scope::new("root");
        let sink = Sink::new(None, &root);
        drop(AttemptTimer::start(&sink, Operation::Get));
        drop(CallTimer::start(&sink, Operation::Get));
        let snapshot = root.snapshot();
        for level in [Level::Attempt, Level::Call] {
            let dropped = snapshot.get(&key(level, Outcome::Cancelled, Phase::Total));
            assert_eq!(dropped.map(|d| d.count()), Some(1), "{level}");
        }
    }

    #[test]
    fn off_records_nothing_and_reads_no_clock() {
        let timer = AttemptTimer::start(&Sink::off(), Operation::Get);
        assert_eq!(timer.start, 0);
        timer.finish(Outcome::Ok);
    }
}
