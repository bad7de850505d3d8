// SPDX-License-Identifier: Apache-2.0
//! Where requests are recorded, and the timer that an attempt carries. It ends exactly once: by `finish`, or by drop as
//! `cancelled`.

use super::clock::now_ns;
use super::event::{AttemptEvent, PARTS, RequestId, Subject, Tap};
use super::key::{Connection, Level, Operation, Outcome, Phase, SizeClass};
use super::scope::Scope;
use super::socket::SocketTimes;
use super::span::{AttemptSpan, Beginning};
use std::sync::Arc;

/// Where a request is recorded: scopes (the caller's, its parents, the client's) and a trace. Nowhere where timing is off
/// and no trace is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorders(Option<Arc<Sinks>>);

#[derive(Debug)]
struct Sinks {
    scopes: Box<[Scope]>,
    tap: Option<Arc<dyn Tap>>,
    /// Whether anybody wants to know what attempts are about.
    watched: bool,
}

impl Recorders {
    /// The chain from `scope` through its parents to `root`, each once.
    pub(crate) fn new(scope: Option<&Scope>, root: &Scope) -> Recorders {
        let mut chain: Vec<Scope> = scope.map(Scope::chain).unwrap_or_default();
        if !chain.iter().any(|known| known.is_same(root)) {
            chain.push(root.clone());
        }
        Recorders::of(chain, None)
    }

    fn of(scopes: Vec<Scope>, tap: Option<Arc<dyn Tap>>) -> Recorders {
        let watched = tap.is_some() || scopes.iter().any(|scope| scope.observer().is_some());
        Recorders(Some(Arc::new(Sinks { scopes: scopes.into(), tap, watched })))
    }

    /// The same, and `scope` with its parents, each once. Nothing where timing is off.
    pub(crate) fn also(&self, scope: &Scope) -> Recorders {
        let mut scopes = self.scopes().to_vec();
        if scopes.is_empty() {
            return self.clone();
        }
        for more in scope.chain() {
            if !scopes.iter().any(|known| known.is_same(&more)) {
                scopes.push(more);
            }
        }
        Recorders::of(scopes, self.tap().cloned())
    }

    /// The same, and this trace.
    pub(crate) fn traced(&self, tap: Arc<dyn Tap>) -> Recorders {
        Recorders::of(self.scopes().to_vec(), Some(tap))
    }

    /// The trace alone.
    pub(crate) fn only_traced(&self) -> Recorders {
        self.tap()
            .map_or_else(Recorders::off, |tap| Recorders::of(Vec::new(), Some(Arc::clone(tap))))
    }

    /// Records nothing.
    pub(crate) fn off() -> Recorders {
        Recorders(None)
    }

    /// Whether anything is recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What an attempt is about, where anybody wants to know. `call`: the trace's number of its call.
    pub(crate) fn subject(&self, key: &Arc<str>, call: Option<u64>) -> Option<Box<Subject>> {
        let watched = self.0.as_ref().is_some_and(|sinks| sinks.watched);
        let key = watched.then(|| Arc::clone(key))?;
        Some(Box::new(Subject { key, call, offset: None, length: None }))
    }

    pub(super) fn scopes(&self) -> &[Scope] {
        self.0.as_ref().map(|sinks| &*sinks.scopes).unwrap_or_default()
    }

    pub(super) fn tap(&self) -> Option<&Arc<dyn Tap>> {
        self.0.as_ref()?.tap.as_ref()
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
    /// Where tracing is on: told how the attempt ended.
    span: Option<Box<AttemptSpan>>,
    /// Of the answer; 0 before one came.
    status: u16,
    /// What it is about, where anybody wants to know.
    subject: Option<Box<Subject>>,
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
            span: None,
            status: 0,
            subject: None,
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

    /// What it asks for, where anybody wants to know.
    pub(crate) fn about(&mut self, subject: Option<&Subject>) {
        self.subject = subject.map(|subject| Box::new(subject.clone()));
    }

    /// The head of an answer came.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = status;
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
        self.end(outcome);
    }

    /// Nothing was sent, so there was no attempt: records nothing.
    pub(crate) fn discard(mut self) {
        self.recorders = Recorders::off();
        self.span = None;
    }

    /// A span for this attempt about `key`, which lasts until the attempt is recorded and is told what it came to. `None`
    /// unless a subscriber wants it.
    pub(crate) fn trace(&mut self, key: &str) -> Option<tracing::Span> {
        let span = AttemptSpan::begin(&Beginning {
            operation: self.operation,
            key,
            client_request_id: self.client_request_id,
            hedge: self.hedge,
        })?;
        self.span = Some(Box::new(span.clone()));
        Some(span.into_inner())
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
        let span = self.span.take();
        if !recorders.is_on() {
            return span.map_or((), |span| span.end(outcome));
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
        if let Some(tap) = recorders.tap() {
            tap.attempt(&self.event(outcome, total));
        }
        if let Some(span) = span {
            span.end_timed(&self.event(outcome, total));
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if self.is_on() || self.span.is_some() {
            self.record(outcome, now_ns());
        }
    }

    fn event(&self, outcome: Outcome, total_ns: u64) -> AttemptEvent<'_> {
        let subject = self.subject.as_deref();
        AttemptEvent {
            client_request_id: self.client_request_id,
            operation: self.operation,
            key: subject.map(|subject| &*subject.key),
            offset: subject.and_then(|subject| subject.offset),
            length: subject.and_then(|subject| subject.length),
            outcome,
            status: Some(self.status).filter(|status| *status > 0),
            started_ns: self.start,
            call: subject.and_then(|subject| subject.call),
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
        self.end(Outcome::Cancelled);
    }
}

/// What `timing::bench::record_attempt` does: the phases of a ranged GET on a reused connection.
pub(super) fn bench_attempt(scopes: &[Scope], start_ns: u64) {
    let mut timer = AttemptTimer {
        recorders: Recorders::of(scopes.to_vec(), None),
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
        span: None,
        status: 0,
        subject: None,
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
    use crate::timing::{CallTimer, Key};

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

    #[test]
    fn two_scopes_side_by_side_have_it_once_each_and_so_has_what_is_above_both() {
        let root = Scope::new("root");
        let (job, task) = (root.child("job"), Scope::new("task"));
        let recorders = Recorders::new(Some(&job.child("profile")), &root);
        let both = recorders.also(&task).also(&job).also(&task);
        AttemptTimer::start(&both, Operation::Get).finish(Outcome::Ok);
        for scope in [&root, &job, &task] {
            let seen = scope.snapshot().outcomes(Level::Attempt, Operation::Get);
            assert_eq!(seen.get(&Outcome::Ok), Some(&1), "{}", scope.name());
        }
        AttemptTimer::start(&Recorders::off().also(&task), Operation::Get).finish(Outcome::Ok);
        assert_eq!(task.snapshot().outcomes(Level::Attempt, Operation::Get)[&Outcome::Ok], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_dropped_is_recorded_as_cancelled() {
        let root = Scope::new("root");
        let recorders = Recorders::new(None, &root);
        drop(AttemptTimer::start(&recorders, Operation::Get));
        drop(CallTimer::start(&recorders, Operation::Get, &"k".into()));
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
