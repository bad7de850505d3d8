// SPDX-License-Identifier: Apache-2.0
//! The timers that an attempt and a call carry. Each ends exactly once: by `finish`, or by drop as `cancelled`.

use super::clock::now_ns;
use super::event::{AttemptEvent, PARTS, RequestId};
use super::key::{Connection, Level, Operation, Outcome, Phase, SizeClass};
use super::scope::Scope;
use super::socket::SocketTimes;
use std::sync::Arc;

/// The scopes a request is recorded in: the caller's, its parents, the client's. None where timing is off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorders(Option<Arc<[Scope]>>);

impl Recorders {
    /// The chain from `scope` through its parents to `root`, each once.
    pub(crate) fn new(scope: Option<&Scope>, root: &Scope) -> Recorders {
        let mut chain: Vec<Scope> = scope.map(Scope::chain).unwrap_or_default();
        if !chain.iter().any(|known| known.is_same(root)) {
            chain.push(root.clone());
        }
        Recorders(Some(chain.into()))
    }

    /// Records nothing.
    pub(crate) fn off() -> Recorders {
        Recorders(None)
    }

    /// Whether anything is recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    fn scopes(&self) -> &[Scope] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// What one attempt measured. Phases never set are not recorded.
#[derive(Debug)]
pub(crate) struct AttemptTimer {
    recorders: Recorders,
    operation: Operation,
    connection: Connection,
    /// Whether a payload was part of the attempt, and so whether it has a size class.
    sized: bool,
    /// Whether it was sent because another was late.
    hedge: bool,
    start: u64,
    mark: u64,
    set: u16,
    parts: [u64; PARTS],
    asked: Option<u64>,
    delivered: u64,
    discarded: Option<u64>,
    /// Bytes of payload to be sent.
    upload: u64,
    socket: Option<Arc<SocketTimes>>,
    client_request_id: RequestId,
}

impl AttemptTimer {
    pub(crate) fn start(recorders: &Recorders, operation: Operation) -> Box<AttemptTimer> {
        AttemptTimer::start_at(recorders, operation, if recorders.is_on() { now_ns() } else { 0 })
    }

    /// An attempt that began at `start`, a reading of `now_ns`.
    /// Boxed, since it is handed from layer to layer.
    pub(crate) fn start_at(
        recorders: &Recorders,
        operation: Operation,
        start: u64,
    ) -> Box<AttemptTimer> {
        Box::new(AttemptTimer {
            recorders: recorders.clone(),
            operation,
            connection: Connection::None,
            sized: false,
            hedge: false,
            start,
            mark: start,
            set: 0,
            parts: [0; PARTS],
            asked: None,
            delivered: 0,
            discarded: None,
            upload: 0,
            socket: None,
            client_request_id: RequestId::next(),
        })
    }

    /// A timer for another attempt, recorded in the same scopes.
    pub(crate) fn another(&self, operation: Operation) -> Box<AttemptTimer> {
        AttemptTimer::start(&self.recorders, operation)
    }

    /// Where it is recorded.
    pub(crate) fn recorders(&self) -> &Recorders {
        &self.recorders
    }

    pub(crate) fn client_request_id(&self) -> RequestId {
        self.client_request_id
    }

    pub(crate) fn is_on(&self) -> bool {
        self.recorders.is_on()
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

    /// The time, good to what has passed since the last mark: for limits of seconds, not for phases.
    pub(crate) fn now_or_mark(&self) -> u64 {
        if self.is_on() { self.mark } else { now_ns() }
    }

    /// The last mark.
    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }

    pub(crate) fn connected(&mut self, connection: Connection) {
        self.connection = connection;
    }

    /// Takes the times of sending and receiving from the socket, however the attempt ends.
    pub(crate) fn watch(&mut self, socket: &Arc<SocketTimes>) {
        if self.is_on() {
            self.socket = Some(Arc::clone(socket));
        }
    }

    /// The payload asked for (a range's length), in bytes.
    pub(crate) fn asked(&mut self, bytes: u64) {
        self.asked = Some(bytes);
        self.sized = true;
    }

    /// It is sent because another is late.
    pub(crate) fn hedges(&mut self) {
        self.hedge = true;
    }

    /// Payload that will be received although nobody asked for it, in bytes.
    pub(crate) fn discards(&mut self, bytes: u64) {
        self.discarded = Some(bytes);
    }

    /// The payload to be sent, in bytes.
    pub(crate) fn uploads(&mut self, bytes: u64) {
        self.upload = bytes;
        self.sized = true;
    }

    /// Payload received, in bytes.
    pub(crate) fn delivered(&mut self, bytes: u64) {
        self.delivered += bytes;
        self.sized = true;
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

    /// Nothing was sent, so there was no attempt: records nothing.
    pub(crate) fn discard(mut self) {
        self.recorders = Recorders::off();
    }

    /// What passed since the first byte was the body's, less the time the reader took.
    pub(crate) fn received(&mut self, end: u64) {
        let paused = self.parts[Phase::Paused.index()];
        self.add(Phase::Body, end.saturating_sub(self.mark).saturating_sub(paused));
    }

    /// What the socket saw, as phases.
    fn settle(&mut self, end: u64) {
        let Some(socket) = self.socket.take() else { return };
        if let Some(written) = socket.last_write() {
            self.lap_at(Phase::Send, written);
        }
        if let Some(read) = socket.first_read() {
            self.lap_at(Phase::Ttfb, read);
            self.received(end);
        }
        self.delivered += socket.written().min(self.upload);
    }

    fn record(&mut self, outcome: Outcome, end: u64) {
        let recorders = std::mem::take(&mut self.recorders);
        if !recorders.is_on() {
            return;
        }
        self.settle(end);
        let size = if self.sized {
            SizeClass::of(self.delivered.max(self.upload).max(self.asked.unwrap_or(0)))
        } else {
            SizeClass::None
        };
        let total = end.saturating_sub(self.start);
        for scope in recorders.scopes() {
            let group = scope.group(Level::Attempt, self.operation, outcome);
            let mut set = self.set;
            while set != 0 {
                let index = set.trailing_zeros() as usize;
                group.record(Phase::PARTS[index], size, self.connection, self.parts[index]);
                set &= set - 1;
            }
            group.record(Phase::Total, size, self.connection, total);
            if self.sized {
                if let Some(asked) = self.asked {
                    group.record(Phase::BytesAsked, size, self.connection, asked);
                }
                group.record(Phase::BytesDelivered, size, self.connection, self.delivered);
                if let Some(discarded) = self.discarded {
                    group.record(Phase::BytesDiscarded, size, self.connection, discarded);
                }
            }
            if let Some(observer) = scope.observer() {
                observer(&self.event(outcome, total));
            }
        }
    }

    fn event(&self, outcome: Outcome, total_ns: u64) -> AttemptEvent<'_> {
        AttemptEvent {
            client_request_id: self.client_request_id,
            operation: self.operation,
            outcome,
            connection: self.connection,
            total_ns,
            bytes: self.delivered,
            hedge: self.hedge,
            parts: &self.parts,
            set: self.set,
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
    recorders: Recorders,
    operation: Operation,
    start: u64,
    backoff: Option<u64>,
    wait: Option<u64>,
}

impl CallTimer {
    pub(crate) fn start(recorders: &Recorders, operation: Operation) -> CallTimer {
        let start = now_ns();
        CallTimer { recorders: recorders.clone(), operation, start, backoff: None, wait: None }
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
        for scope in recorders.scopes() {
            let group = scope.group(Level::Call, self.operation, outcome);
            let total = end.saturating_sub(self.start);
            group.record(Phase::Total, SizeClass::None, Connection::None, total);
            if let Some(backoff) = self.backoff {
                group.record(Phase::Backoff, SizeClass::None, Connection::None, backoff);
            }
            if let Some(wait) = self.wait {
                group.record(Phase::Wait, SizeClass::None, Connection::None, wait);
            }
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

/// What `timing::bench::record_attempt` does: the phases of a ranged GET on a reused connection.
pub(super) fn bench_attempt(scopes: &[Scope], start_ns: u64) {
    let mut timer = AttemptTimer {
        recorders: Recorders(Some(Arc::from(scopes))),
        operation: Operation::Get,
        connection: Connection::Reused,
        sized: false,
        hedge: false,
        start: start_ns,
        mark: start_ns,
        set: 0,
        parts: [0; PARTS],
        asked: None,
        delivered: 0,
        discarded: None,
        upload: 0,
        socket: None,
        client_request_id: RequestId { process: 0, number: 0 },
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
        let recorders = Recorders::new(Some(&child), &root);
        let mut timer = AttemptTimer::start(&recorders, Operation::Get);
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
        let recorders = Recorders::new(None, &root);
        drop(AttemptTimer::start(&recorders, Operation::Get));
        drop(CallTimer::start(&recorders, Operation::Get));
        let snapshot = root.snapshot();
        for level in [Level::Attempt, Level::Call] {
            let dropped = snapshot.get(&key(level, Outcome::Cancelled, Phase::Total));
            assert_eq!(dropped.map(crate::timing::Distribution::count), Some(1), "{level}");
        }
    }

    #[test]
    fn off_records_nothing_and_reads_no_clock() {
        let timer = AttemptTimer::start(&Recorders::off(), Operation::Get);
        assert_eq!(timer.start, 0);
        timer.finish(Outcome::Ok);
    }
}
