// SPDX-License-Identifier: Apache-2.0
//! What a phase's calls came to.
//!
//! ```text
//!  workers ─ Recorder::call ─▶ shard of the thread ─┐
//!  attempts ─ Scope::observe ─▶ shard of the thread ─┴─ each second: Harvest ─▶ Cell, Series ─▶ Progress, Stop
//! ```
//!
//! A call takes an uncontended lock twice; nothing else is shared by all of them but a count of those under way.

use super::late::Late;
use super::log::RequestLog;
use super::task::Op;
use std::cell::Cell as Once;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use storescope::timing::{AttemptEvent, Distribution, Outcome, Phase, Scope};
use storescope_instrument::{Bands, Calls, Point};

/// How often shards are harvested: the length of a [`Point`].
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// More than threads that record.
const SHARDS: usize = 16;
/// Bodies of at least so many bytes tell a stream's bandwidth.
const STREAM: u64 = 256 << 10;
/// Steps of the share of a call's time that phases account for.
const WHOLE: f64 = 10_000.0;

/// What a call moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub(super) bytes: u64,
    /// Of these, bytes that were compared with what had been written.
    pub(super) verified: u64,
}

/// Why a call failed for good.
#[derive(Clone, Debug)]
pub(super) enum Failed {
    Store(storescope::Error),
    /// It ended well, and brought wrong bytes.
    Data(String),
}

impl From<storescope::Error> for Failed {
    fn from(error: storescope::Error) -> Failed {
        Failed::Store(error)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Store(error) => error.fmt(f),
            Failed::Data(what) => f.write_str(what),
        }
    }
}

/// Records the calls and attempts of one phase.
#[derive(Debug)]
pub(super) struct Recorder {
    begun: Instant,
    /// In an open loop, how late a call may begin.
    bound: Option<Duration>,
    log: RequestLog,
    in_flight: AtomicU32,
    shards: [Mutex<Counts>; SHARDS],
}

/// What was counted since the last harvest.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) calls: BTreeMap<Op, Calls>,
    pub(super) first_error: Option<(Instant, Failed)>,
    pub(super) failed_attempts: u64,
    pub(super) first_byte: Distribution,
    pub(super) lateness: Distribution,
    pub(super) late: Late,
    /// When the last call was begun.
    pub(super) last_begin: Option<Instant>,
    /// Calls by the share of their time that phases account for, where a call is one attempt.
    pub(super) attributed: BTreeMap<u32, u64>,
    pub(super) verified: u64,
    pub(super) bands: BTreeMap<&'static str, Bands>,
    pub(super) stream: Distribution,
}

tokio::task_local! {
    /// Attempts of the call under way that ended in its own task, and the sum of their phases.
    static ATTEMPTS: Once<(u32, u64)>;
}

impl Recorder {
    /// `begun` is when the phase begins; `bound`, in an open loop, how late a call may begin.
    pub(super) fn new(begun: Instant, bound: Option<Duration>, log: RequestLog) -> Arc<Recorder> {
        Arc::new(Recorder {
            begun,
            bound,
            log,
            in_flight: AtomicU32::new(0),
            shards: std::array::from_fn(|_| Mutex::default()),
        })
    }

    /// Records the attempts of a scope from now on.
    pub(super) fn watch(self: &Arc<Recorder>, scope: &Scope) {
        let recorder = Arc::clone(self);
        scope.observe(move |event| recorder.attempt(event));
    }

    /// Makes a call that was to begin at `intended`; `None` where it is to begin now.
    pub(super) async fn call(
        &self,
        op: Op,
        intended: Option<Instant>,
        call: impl Future<Output = Result<Moved, Failed>>,
    ) {
        let _under_way = UnderWay::new(&self.in_flight);
        let started = Instant::now();
        if let Some(intended) = intended {
            self.begin(intended, started);
        }
        let (result, attempts) = ATTEMPTS
            .scope(Once::new((0, 0)), async {
                let result = call.await;
                (result, ATTEMPTS.with(Once::get))
            })
            .await;
        let ended = Instant::now();
        let mut counts = self.shard();
        let counts = &mut *counts;
        let calls = counts.calls.entry(op).or_default();
        match result {
            Ok(moved) => {
                let service = ended - started;
                calls.count += 1;
                calls.bytes += moved.bytes;
                counts.verified += moved.verified;
                calls.service.record(nanoseconds(service));
                let response = intended.map_or(service, |at| ended.saturating_duration_since(at));
                calls.response.record(nanoseconds(response));
                if let (1, phases) = attempts {
                    let share = phases as f64 / nanoseconds(service).max(1) as f64;
                    *counts.attributed.entry((share * WHOLE) as u32).or_default() += 1;
                }
            }
            Err(failed) => {
                calls.failed += 1;
                counts.first_error.get_or_insert((ended, failed));
            }
        }
    }

    /// Calls under way now.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Takes what was counted since the last time.
    pub(super) fn harvest(&self) -> Counts {
        let mut sum = Counts::default();
        for shard in &self.shards {
            sum.add(std::mem::take(&mut *shard.lock().expect("no holder panics")));
        }
        sum
    }

    fn begin(&self, intended: Instant, started: Instant) {
        let late = started.saturating_duration_since(intended);
        let mut counts = self.shard();
        counts.lateness.record(nanoseconds(late));
        counts.last_begin = counts.last_begin.max(Some(started));
        if self.bound.is_some_and(|bound| late > bound) {
            counts.late.mark(intended - self.begun, started - self.begun);
        }
    }

    fn attempt(&self, event: &AttemptEvent<'_>) {
        self.log.note(event);
        let phases = || Phase::PARTS.iter().filter_map(|phase| event.phase_ns(*phase));
        // An attempt that another task drives (a hedge, a read ahead) is none of this call's time.
        let _ = ATTEMPTS.try_with(|of_call| {
            let (attempts, sum) = of_call.get();
            of_call.set((attempts + 1, sum + phases().sum::<u64>()));
        });
        let mut counts = self.shard();
        if event.outcome != Outcome::Ok {
            counts.failed_attempts += 1;
            return;
        }
        if let Some(first_byte) = event.phase_ns(Phase::Ttfb) {
            counts.first_byte.record(first_byte);
        }
        counts
            .bands
            .entry(event.operation.as_str())
            .or_default()
            .record(event.total_ns, |phase| event.phase_ns(phase));
        if let Some(body) = event.phase_ns(Phase::Body).filter(|ns| *ns > 0)
            && event.bytes >= STREAM
        {
            counts.stream.record((event.bytes as f64 * 1e9 / body as f64) as u64);
        }
    }

    fn shard(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.shards[shard_of_this_thread()].lock().expect("no holder panics")
    }
}

impl Default for Counts {
    fn default() -> Counts {
        Counts {
            calls: BTreeMap::new(),
            first_error: None,
            failed_attempts: 0,
            first_byte: Distribution::nanoseconds(),
            lateness: Distribution::nanoseconds(),
            late: Late::default(),
            last_begin: None,
            attributed: BTreeMap::new(),
            verified: 0,
            bands: BTreeMap::new(),
            stream: Distribution::bytes(),
        }
    }
}

impl Counts {
    /// Adds what others counted.
    pub(super) fn add(&mut self, other: Counts) {
        for (op, calls) in &other.calls {
            self.calls.entry(*op).or_default().merge(calls);
        }
        self.first_error = match (self.first_error.take(), other.first_error) {
            (Some(mine), Some(theirs)) if theirs.0 < mine.0 => Some(theirs),
            (Some(mine), _) => Some(mine),
            (None, theirs) => theirs,
        };
        self.failed_attempts += other.failed_attempts;
        self.first_byte.merge(&other.first_byte);
        self.lateness.merge(&other.lateness);
        self.late.add(&other.late);
        self.last_begin = self.last_begin.max(other.last_begin);
        for (share, calls) in other.attributed {
            *self.attributed.entry(share).or_default() += calls;
        }
        self.verified += other.verified;
        for (operation, bands) in &other.bands {
            self.bands.entry(operation).or_default().merge(bands);
        }
        self.stream.merge(&other.stream);
    }

    /// Calls that ended, failed ones included.
    pub(super) fn ended(&self) -> u64 {
        self.calls.values().map(|calls| calls.count + calls.failed).sum()
    }

    pub(super) fn failed(&self) -> u64 {
        self.calls.values().map(|calls| calls.failed).sum()
    }

    /// As a point of a series.
    pub(super) fn point(&self, at: Duration, length: Duration, in_flight: u32) -> Point {
        let mut point = Point::new(at, length);
        point.calls = self.ended();
        point.failed = self.failed();
        point.failed_attempts = self.failed_attempts;
        point.bytes = self.calls.values().map(|calls| calls.bytes).sum();
        point.in_flight = in_flight;
        self.calls.values().for_each(|calls| point.response.merge(&calls.response));
        point.first_byte = self.first_byte.clone();
        point
    }

    /// The share of their time that phases account for in 99 % of the calls of one attempt.
    pub(super) fn attributed_in_99_percent(&self) -> Option<f64> {
        let all: u64 = self.attributed.values().sum();
        let mut seen = 0;
        let least = self.attributed.iter().find(|(_, calls)| {
            seen += *calls;
            seen > all / 100
        });
        least.map(|(share, _)| f64::from(*share) / WHOLE)
    }
}

/// Counts a call while it is under way, also when it is dropped.
struct UnderWay<'a>(&'a AtomicU32);

impl UnderWay<'_> {
    fn new(count: &AtomicU32) -> UnderWay<'_> {
        count.fetch_add(1, Relaxed);
        UnderWay(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

fn shard_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Relaxed) % SHARDS;
    }
    SHARD.with(|shard| *shard)
}
