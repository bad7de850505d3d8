// SPDX-License-Identifier: Apache-2.0
//! Scopes: a notebook's profile, a Spark stage, a benchmark phase. Each holds the histograms of what ran in it.

use super::event::AttemptEvent;
use super::histogram::{Allowance, Histogram, ShardIndex, Unit};
use super::key::{
    Connection, GROUPS, Level, Operation, Outcome, Phase, SLOTS, SizeClass, all_keys, group_index,
    slot_index,
};
use super::snapshot::{Distribution, Snapshot};
use super::totals::{Readahead, Totals};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;

/// The most memory a scope's histograms take unless told otherwise: 16 MiB.
const DEFAULT_CAP: usize = 16 << 20;

/// A named set of histograms. Cheap to clone; clones are the same scope.
///
/// A request is recorded in the scope it was made under, in that scope's parents, and in the client's own.
///
/// ```
/// use storescope::timing::Scope;
/// let job = Scope::new("job");
/// let stage = job.child("stage-1");
/// assert_eq!(stage.name(), "stage-1");
/// assert!(job.snapshot().is_empty());
/// ```
#[derive(Clone)]
pub struct Scope(Arc<Recorder>);

struct Recorder {
    name: String,
    parent: Option<Scope>,
    started: Instant,
    started_at: SystemTime,
    allowance: Allowance,
    groups: Box<[OnceLock<GroupSlots>]>,
    /// Calls of other clients: one may have taken no time.
    foreign: AtomicU64,
    observer: OnceLock<Box<Observer>>,
}

/// The histograms of a group, each made at its first record.
type GroupSlots = Box<[OnceLock<Box<Histogram>>]>;

type Observer = dyn Fn(&AttemptEvent<'_>) + Send + Sync;

impl Scope {
    /// A scope with no parent and room for 16 MiB of histograms.
    pub fn new(name: &str) -> Scope {
        Scope::with_cap(name, DEFAULT_CAP)
    }

    /// A scope whose histograms take at most `cap` bytes. When they are spent, further successes that need new pages
    /// are dropped and counted ([`Snapshot::dropped_keys`]); failures are always kept.
    pub fn with_cap(name: &str, cap: usize) -> Scope {
        Scope::build(name, None, cap)
    }

    /// A scope inside this one: what it records, this one records too.
    #[must_use]
    pub fn child(&self, name: &str) -> Scope {
        Scope::build(name, Some(self.clone()), self.0.allowance.cap())
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Calls `observer` for each attempt of this scope and of those inside it, when the attempt ends. It runs where the
    /// attempt ended, so it must be quick. A scope has at most one; whether this one was taken is returned.
    pub fn observe(&self, observer: impl Fn(&AttemptEvent<'_>) + Send + Sync + 'static) -> bool {
        self.0.observer.set(Box::new(observer)).is_ok()
    }

    pub(super) fn observer(&self) -> Option<&Observer> {
        self.0.observer.get().map(Box::as_ref)
    }

    /// Records a call that another client made, here and in the scopes above: of a connector that is compared with this
    /// one, or of a local file. Of such a call only the whole is known, so it has no attempts and no phase but `total`,
    /// and `bytes_delivered` where it moved payload (`bytes`).
    ///
    /// ```
    /// use std::time::Duration;
    /// use storescope::timing::{Key, Operation, Outcome, Phase, Scope};
    /// let scope = Scope::new("local disk");
    /// scope.record_call(Operation::Get, Outcome::Ok, Duration::from_micros(80), Some(4096));
    /// let total = Key::call(Operation::Get, Phase::Total, Outcome::Ok);
    /// assert_eq!(scope.snapshot().get(&total).unwrap().sum(), 80_000);
    /// ```
    pub fn record_call(
        &self,
        operation: Operation,
        outcome: Outcome,
        took: Duration,
        bytes: Option<u64>,
    ) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        for scope in std::iter::successors(Some(self), |scope| scope.0.parent.as_ref()) {
            let group = scope.group(Level::Call, operation, outcome);
            group.record(Phase::Total, SizeClass::None, Connection::None, took);
            if let Some(bytes) = bytes {
                group.record(Phase::BytesDelivered, SizeClass::None, Connection::None, bytes);
            }
            scope.0.foreign.fetch_add(1, Relaxed);
        }
    }

    /// Whether anything else holds it: another clone, a scope inside it, a store, a reader, a request under way. What
    /// nothing else holds records nothing more.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Time since the scope was made.
    pub fn elapsed(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// A number that is another one once a request or a call has been recorded. To look at it costs some microseconds, where
    /// a snapshot copies every bucket.
    pub fn activity(&self) -> u64 {
        let groups = self.0.groups.iter().filter_map(OnceLock::get);
        let histograms = groups.flat_map(|slots| slots.iter().filter_map(OnceLock::get));
        let calls = self.0.foreign.load(Relaxed);
        histograms.fold(calls, |sum, histogram| sum.wrapping_add(histogram.sum()))
    }

    /// All that has been recorded so far. It may be taken at any time, while requests run.
    pub fn snapshot(&self) -> Snapshot {
        let recorder = &self.0;
        let mut snapshot = Snapshot::new(
            recorder.started_at,
            recorder.started.elapsed(),
            recorder.allowance.dropped(),
        );
        for (group, slot, key) in all_keys() {
            let Some(group) = recorder.groups[group].get() else { continue };
            let Some(histogram) = group[slot].get() else { continue };
            let distribution = Distribution::read(histogram);
            if distribution.count() > 0 {
                snapshot.insert(key, distribution);
            }
        }
        snapshot
    }

    fn build(name: &str, parent: Option<Scope>, cap: usize) -> Scope {
        Scope(Arc::new(Recorder {
            name: name.to_owned(),
            parent,
            started: Instant::now(),
            started_at: SystemTime::now(),
            allowance: Allowance::new(cap),
            groups: (0..GROUPS).map(|_| OnceLock::new()).collect(),
            foreign: AtomicU64::new(0),
            observer: OnceLock::new(),
        }))
    }

    pub(super) fn chain(&self) -> Vec<Scope> {
        std::iter::successors(Some(self.clone()), |scope| scope.0.parent.clone()).collect()
    }

    pub(super) fn is_same(&self, other: &Scope) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    #[inline]
    pub(super) fn group(&self, level: Level, operation: Operation, outcome: Outcome) -> Group<'_> {
        let recorder = &*self.0;
        let slots = recorder.groups[group_index(level, operation, outcome)]
            .get_or_init(|| (0..SLOTS).map(|_| OnceLock::new()).collect());
        Group {
            slots,
            shard: ShardIndex::of_this_thread(),
            vital: outcome != Outcome::Ok,
            allowance: &recorder.allowance,
        }
    }

    #[inline]
    pub(super) fn record_value(
        &self,
        operation: Operation,
        phase: Phase,
        outcome: Outcome,
        value: u64,
    ) {
        self.group(Level::Attempt, operation, outcome).record(
            phase,
            SizeClass::None,
            Connection::None,
            value,
        );
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("name", &self.0.name)
            .field("bytes", &self.0.allowance.used())
            .finish_non_exhaustive()
    }
}

/// The histograms of one level, operation and outcome, as this thread records into them.
pub(super) struct Group<'a> {
    slots: &'a [OnceLock<Box<Histogram>>],
    shard: ShardIndex,
    vital: bool,
    allowance: &'a Allowance,
}

impl Group<'_> {
    #[inline]
    pub(super) fn record(&self, phase: Phase, size: SizeClass, connection: Connection, value: u64) {
        let cell = &self.slots[slot_index(phase, size, connection)];
        match cell.get() {
            Some(histogram) => histogram.record(value, self.shard, self.allowance),
            None => self.record_first(cell, phase, value),
        }
    }

    #[cold]
    fn record_first(&self, cell: &OnceLock<Box<Histogram>>, phase: Phase, value: u64) {
        let unit = if phase.is_bytes() { Unit::Bytes } else { Unit::Nanoseconds };
        let make = || Box::new(Histogram::new(unit, self.vital));
        match self.allowance.made(cell, Histogram::BYTES, self.vital, make) {
            Some(histogram) => histogram.record(value, self.shard, self.allowance),
            None => self.allowance.note_dropped(),
        }
    }
}

/// A client's own scope, the root of all others, and its gauges. Cheap to clone; clones are of the same client.
#[derive(Clone, Debug)]
pub struct Metrics {
    scope: Scope,
    gauges: Arc<Gauges>,
}

impl Metrics {
    pub(crate) fn new(gauges: Arc<Gauges>) -> Metrics {
        Metrics { scope: Scope::new("client"), gauges }
    }

    /// The scope that every request of this client is recorded in.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// All that this client has recorded so far.
    pub fn snapshot(&self) -> Snapshot {
        self.scope.snapshot()
    }

    /// Calls under way, those that wait between two attempts and bodies not yet read to the end included.
    pub fn calls_in_flight(&self) -> u64 {
        self.gauges.calls.load(Relaxed).max(0) as u64
    }

    /// Attempts under way: sent or about to be, their bodies not yet read to the end or dropped.
    pub fn attempts_in_flight(&self) -> u64 {
        self.gauges.attempts.load(Relaxed).max(0) as u64
    }

    /// Connections open now, in use or idle.
    pub fn connections_open(&self) -> u64 {
        self.gauges.connections.load(Relaxed).max(0) as u64
    }

    /// Attempts that were made because an earlier one of the same call had failed.
    pub fn retries(&self) -> u64 {
        self.gauges.retries.load(Relaxed)
    }

    /// Requests sent because another's first byte was late, and those of them that answered first.
    pub fn hedges(&self) -> (u64, u64) {
        (self.gauges.hedges.load(Relaxed), self.gauges.hedges_won.load(Relaxed))
    }

    /// Bytes that readers hold of the budget (`read_budget`): under way, unread or kept. What callers were handed is
    /// theirs.
    pub fn read_bytes_held(&self) -> u64 {
        self.gauges.read_held.load(Relaxed)
    }

    /// All gauges and counters at this moment.
    pub fn totals(&self) -> Totals {
        let (hedges, hedges_won) = self.hedges();
        Totals {
            calls_in_flight: self.calls_in_flight(),
            attempts_in_flight: self.attempts_in_flight(),
            connections_open: self.connections_open(),
            read_bytes_held: self.read_bytes_held(),
            retries: self.retries(),
            hedges,
            hedges_won,
            readahead: self.readahead(),
        }
    }

    /// What came of reading ahead.
    pub fn readahead(&self) -> Readahead {
        Readahead {
            hits: self.gauges.ahead_hits.load(Relaxed),
            late: self.gauges.ahead_late.load(Relaxed),
            wasted_bytes: self.gauges.ahead_wasted.load(Relaxed),
        }
    }
}

/// Numbers that go up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    calls: AtomicI64,
    attempts: AtomicI64,
    connections: AtomicI64,
    pub(crate) retries: AtomicU64,
    pub(crate) hedges: AtomicU64,
    pub(crate) hedges_won: AtomicU64,
    pub(crate) read_held: AtomicU64,
    pub(crate) ahead_hits: AtomicU64,
    pub(crate) ahead_late: AtomicU64,
    pub(crate) ahead_wasted: AtomicU64,
    /// Whether somebody waits for the calls to end; only then are they told.
    draining: AtomicBool,
    ended: Notify,
}

/// One unit on a gauge, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Held {
    gauges: Arc<Gauges>,
    which: fn(&Gauges) -> &AtomicI64,
}

impl Gauges {
    pub(crate) fn begin_attempt(&self) {
        self.attempts.fetch_add(1, Relaxed);
    }

    pub(crate) fn end_attempt(&self) {
        self.attempts.fetch_sub(1, Relaxed);
    }

    pub(crate) fn call(self: &Arc<Gauges>) -> Held {
        Held::new(self, |gauges| &gauges.calls)
    }

    /// Waits until no call is under way.
    pub(crate) async fn drained(&self) {
        self.draining.store(true, SeqCst);
        loop {
            let ended = self.ended.notified();
            if self.calls.load(SeqCst) <= 0 {
                return;
            }
            ended.await;
        }
    }

    pub(crate) fn connection(self: &Arc<Gauges>) -> Held {
        Held::new(self, |gauges| &gauges.connections)
    }
}

impl Held {
    fn new(gauges: &Arc<Gauges>, which: fn(&Gauges) -> &AtomicI64) -> Held {
        which(gauges).fetch_add(1, SeqCst);
        Held { gauges: Arc::clone(gauges), which }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        (self.which)(&self.gauges).fetch_sub(1, SeqCst);
        if self.gauges.draining.load(SeqCst) {
            self.gauges.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::Key;

    const HOUR: Duration = Duration::from_hours(1);

    fn told(scope: &Scope) -> Vec<(String, u64, u64)> {
        let snapshot = scope.snapshot();
        snapshot.iter().map(|(key, d)| (key.to_string(), d.count(), d.sum())).collect()
    }

    #[test]
    fn a_call_of_another_client_is_recorded_here_and_above_without_attempts() {
        let root = Scope::new("root");
        let stage = root.child("stage");
        stage.record_call(Operation::Get, Outcome::Ok, Duration::from_millis(3), Some(1000));
        stage.record_call(Operation::Get, Outcome::Ok, Duration::from_millis(5), Some(0));
        stage.record_call(Operation::Head, Outcome::NotFound, Duration::from_millis(2), None);
        root.record_call(Operation::List, Outcome::Ok, HOUR, None);
        let of_the_stage = [
            ("call/get/total/ok/-/-".to_owned(), 2, 8_000_000),
            ("call/get/bytes_delivered/ok/-/-".to_owned(), 2, 1000),
            ("call/head/total/not_found/-/-".to_owned(), 1, 2_000_000),
        ];
        assert_eq!(told(&stage), of_the_stage);
        let above = told(&root);
        assert_eq!(above[..3], of_the_stage);
        assert_eq!(above[3..], [("call/list/total/ok/-/-".to_owned(), 1, 3_600_000_000_000)]);
    }

    #[test]
    fn activity_is_another_number_after_each_record() {
        let root = Scope::new("root");
        let stage = root.child("stage");
        let mut seen = vec![stage.activity()];
        for took in [Duration::ZERO, Duration::from_millis(3), Duration::ZERO] {
            stage.record_call(Operation::Get, Outcome::Ok, took, None);
            seen.push(stage.activity());
        }
        crate::timing::bench::record_attempt(std::slice::from_ref(&stage), 7);
        seen.push(stage.activity());
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
        assert_eq!(stage.activity(), seen[4]);
        let above = root.activity();
        stage.record_call(Operation::Get, Outcome::Ok, Duration::ZERO, None);
        assert_ne!(root.activity(), above);
    }

    #[test]
    fn a_failed_call_is_kept_when_the_memory_is_spent() {
        let scope = Scope::with_cap("small", 0);
        scope.record_call(Operation::Put, Outcome::Ok, HOUR, Some(1));
        scope.record_call(Operation::Put, Outcome::Timeout, HOUR, None);
        let snapshot = scope.snapshot();
        assert_eq!(snapshot.dropped_keys(), 2);
        let kept = Key::call(Operation::Put, Phase::Total, Outcome::Timeout);
        assert_eq!(snapshot.get(&kept).map(Distribution::count), Some(1));
        assert_eq!(snapshot.iter().count(), 1);
    }
}
