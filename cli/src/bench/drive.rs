// SPDX-License-Identifier: Apache-2.0
//! Runs a phase: workers, the harvest of each second, and what ends it.

use super::arrivals::Schedule;
use super::caller::Caller;
use super::log::RequestLog;
use super::phase::{Goal, Progress, Stage, Stop};
use super::recorder::{Counts, INTERVAL, Recorder};
use super::task::{Op, Source};
use super::workers::{Ended, Open, Workers};
use crate::session::Signals;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storescope::timing::{Scope, Snapshot};
use storescope_instrument::{Arrivals, Behind, Cell, Series, Setup};
use tokio::sync::watch;

/// How late a call of an open loop may begin, beside one interval of arrivals.
const TOLERANCE: Duration = Duration::from_millis(1);
/// The share of calls that may begin later before a rate counts as not held.
const TOLERATED: f64 = 0.01;

/// A phase to be run.
pub(super) struct Phase<'a> {
    pub(super) setup: &'a Setup,
    /// Which cell, from 1, and of how many.
    pub(super) cell: (usize, usize),
    pub(super) stage: Stage,
    pub(super) goal: Goal,
    /// Of the arrivals.
    pub(super) seed: u64,
    pub(super) source: Arc<dyn Source>,
    pub(super) caller: Caller,
    /// For the attempts of this phase.
    pub(super) log: RequestLog,
}

/// Who looks on while a phase runs, and may end it.
pub(super) struct Watch<'a> {
    pub(super) signals: &'a mut Signals,
    pub(super) progress: &'a watch::Sender<Option<Progress>>,
    pub(super) stop: Option<&'a mut dyn Stop>,
}

/// What a phase came to.
pub(super) struct Done {
    pub(super) elapsed: Duration,
    pub(super) counts: Counts,
    pub(super) series: Series,
    pub(super) snapshot: Snapshot,
    /// User and system time of this process.
    pub(super) cpu: Duration,
    pub(super) interrupted: bool,
    /// Of the workers, where none interrupted.
    pub(super) ended: Ended,
    /// How late a call might begin.
    bound: Option<Duration>,
    goal: Goal,
    begun: Instant,
}

impl Phase<'_> {
    /// Runs it to its end, or until somebody interrupts.
    pub(super) async fn run(self, mut watch: Watch<'_>) -> std::io::Result<Done> {
        let (begun, cpu) = (Instant::now(), cpu_time());
        let (goal, scope) = (self.goal, Scope::new(self.stage.word()));
        let bound = self.bound();
        let recorder = Recorder::new(begun, bound, self.log.clone());
        recorder.watch(&scope);
        let workers = self.workers(begun, &recorder, self.caller.recorded(&scope))?;
        let mut harvest = Harvest::new(&recorder, begun);
        let mut tick = tokio::time::interval_at((begun + INTERVAL).into(), INTERVAL);
        let mut finished = Box::pin(workers.finish());
        let mut interrupted = false;
        let ended = loop {
            tokio::select! {
                ended = &mut finished => break ended,
                () = watch.signals.next(), if !interrupted => {
                    interrupted = true;
                    workers.abort();
                }
                _ = tick.tick() => {
                    harvest.take();
                    watch.progress.send_if_modified(|told| self.told(told, &harvest));
                    if watch.stop.as_mut().is_some_and(|stop| stop.enough(&harvest.series)) {
                        workers.end();
                    }
                }
            }
        };
        drop(finished);
        let elapsed = begun.elapsed();
        harvest.take();
        let Harvest { sum: counts, series, .. } = harvest;
        let (snapshot, cpu) = (scope.snapshot(), cpu_time().saturating_sub(cpu));
        Ok(Done { elapsed, counts, series, snapshot, cpu, interrupted, ended, bound, goal, begun })
    }

    fn workers(
        &self,
        begun: Instant,
        recorder: &Arc<Recorder>,
        caller: Caller,
    ) -> std::io::Result<Workers> {
        let (source, most) = (Arc::clone(&self.source), self.setup.concurrency);
        let Some(arrivals) = self.setup.arrivals else {
            let calls = (Arc::clone(recorder), Arc::new(caller));
            return Ok(Workers::closed(most, source, (self.goal, begun), calls));
        };
        let schedule = self.setup.rate.map(|rate| Schedule::new(rate, arrivals, self.seed));
        let open = Open { begun, goal: self.goal, source, schedule, most };
        Workers::open(open, (Arc::clone(recorder), Arc::new(caller)))
    }

    /// In an open loop, how late a call may begin.
    fn bound(&self) -> Option<Duration> {
        let arrivals = self.setup.arrivals?;
        let interval = match (arrivals, self.setup.rate) {
            (Arrivals::Constant | Arrivals::Poisson, Some(rate)) => {
                Duration::from_secs_f64(1.0 / rate)
            }
            _ => Duration::ZERO,
        };
        Some(TOLERANCE + interval)
    }

    /// Tells how far it is. Always news.
    fn told(&self, told: &mut Option<Progress>, harvest: &Harvest<'_>) -> bool {
        *told = Some(Progress {
            cell: self.cell,
            setup: self.setup.to_string(),
            stage: self.stage,
            elapsed: harvest.begun.elapsed(),
            calls: harvest.sum.ended(),
            goal: self.goal,
            series: harvest.series.clone(),
            failed: harvest.sum.failed(),
            in_flight: harvest.recorder.in_flight(),
            first_error: harvest.sum.first_error.as_ref().map(|(_, failed)| failed.clone()),
        });
        true
    }
}

/// What was counted, sum and over time.
struct Harvest<'a> {
    recorder: &'a Recorder,
    begun: Instant,
    sum: Counts,
    series: Series,
    /// The end of the last point.
    last: Duration,
}

impl Harvest<'_> {
    fn new(recorder: &Recorder, begun: Instant) -> Harvest<'_> {
        let (sum, series) = (Counts::default(), Series::default());
        Harvest { recorder, begun, sum, series, last: Duration::ZERO }
    }

    fn take(&mut self) {
        let counts = self.recorder.harvest();
        let now = self.begun.elapsed();
        let point =
            counts.point(self.last, now.saturating_sub(self.last), self.recorder.in_flight());
        self.series.push(point);
        self.last = now;
        self.sum.add(counts);
    }
}

impl Done {
    /// That a rate was not held: calls were not begun at all, or more than a few were late.
    fn behind(&self) -> Option<Behind> {
        let bound = self.bound?;
        let begins = &self.counts.lateness;
        let late: u64 =
            begins.buckets().filter(|(low, ..)| *low > bound.as_nanos() as u64).map(|b| b.2).sum();
        if self.ended.never == 0 && late as f64 <= begins.count() as f64 * TOLERATED {
            return None;
        }
        let mut late = self.counts.late.clone();
        if let Some(first) = self.ended.first_never {
            late.mark(first, self.goal.duration.unwrap_or(self.elapsed).max(first));
        }
        let last = self.counts.last_begin.map_or(Duration::ZERO, |last| last - self.begun);
        let over = self.goal.duration.unwrap_or(Duration::ZERO).max(last).min(self.elapsed);
        Some(Behind {
            held_rate: begins.count() as f64 / over.as_secs_f64().max(1e-9),
            most: Duration::from_nanos(begins.max()),
            late_for: late.total(),
            never_begun: self.ended.never,
        })
    }

    /// As a cell of a run.
    pub(super) fn cell(self, setup: Setup, retries: u64, verified: bool) -> Cell {
        let mut cell = Cell::new(setup);
        cell.behind = self.behind();
        let Done { elapsed, counts, series, snapshot, cpu, .. } = self;
        cell.failed_calls = counts.failed();
        cell.attributed_in_99_percent = counts.attributed_in_99_percent();
        cell.first_error = counts.first_error.map(|(_, failed)| failed.to_string());
        let name = |op: Op| op.operation().as_str().to_owned();
        cell.calls = counts.calls.into_iter().map(|(op, calls)| (name(op), calls)).collect();
        cell.bands = counts.bands.into_iter().map(|(op, bands)| (op.to_owned(), bands)).collect();
        cell.verified_bytes = verified.then_some(counts.verified);
        (cell.elapsed, cell.retries, cell.cpu) = (elapsed, retries, cpu);
        (cell.lateness, cell.stream, cell.series) = (counts.lateness, counts.stream, series);
        cell.attempts = snapshot;
        cell
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
