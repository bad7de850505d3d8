// SPDX-License-Identifier: Apache-2.0
//! A run of a job: its cells are stages, and each knows its tasks. Nothing of it was set up by a bench, so a cell's setup is
//! its name.

use crate::json;
use crate::run::{About, Calls, Cell, Run, Setup};
use crate::tasks::Tasks;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use storescope::timing::{Distribution, Level, Operation, Outcome, Phase, Snapshot};

/// A stage of a job, as it was recorded.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What people know it by, such as `stage 3.0 (parquet at reduce.py:41)`. Runs are compared and merged by it.
    pub name: String,
    /// From its start to its end, by the wall.
    pub elapsed: Duration,
    /// Every attempt and call that was made for it.
    pub attempts: Snapshot,
    /// Its tasks. What belongs to no task (the driver's listings, say) has [`Tasks::default`].
    pub tasks: Tasks,
}

impl Run {
    /// The run of a job: a cell a stage, in this order. Calls, failures and retries are what the snapshots tell; a job has
    /// no series, and the reason of a failed call is in the job's own log.
    pub fn of_stages(about: About, stages: impl IntoIterator<Item = Stage>) -> Run {
        Run { about, cells: stages.into_iter().map(Cell::from).collect() }
    }

    /// What makes all of it as slow as it is, by the waiting share of all tasks; too many small requests, where at least half
    /// of the waiting is in stages that make too many.
    pub fn limit(&self) -> Option<Limit> {
        limit_of(self.cells.iter())
    }

    /// The jobs whose numbers its stages know, by their numbers. A stage that several jobs need is in that which asked for it
    /// first; what belongs to no job (the driver's listings, say) is in none.
    pub fn jobs(&self) -> Vec<Job<'_>> {
        let mut jobs: BTreeMap<u32, Vec<&Cell>> = BTreeMap::new();
        for cell in &self.cells {
            if let Some(job) = cell.tasks.as_ref().and_then(|tasks| tasks.job) {
                jobs.entry(job).or_default().push(cell);
            }
        }
        jobs.into_iter().map(|(number, stages)| Job { number, stages }).collect()
    }

    /// The stages that make too many small requests.
    pub(crate) fn with_small_requests(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| cell.limit() == Some(Limit::SmallRequests))
    }
}

/// A job of a run, as [`Run::jobs`] tells them.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// Its number among the jobs of the application.
    pub number: u32,
    /// Its stages, at least one.
    pub stages: Vec<&'a Cell>,
}

impl Job<'_> {
    /// Its stages as one: a cell called `job 3`.
    pub fn sum(&self) -> Cell {
        Cell::of_stages(&format!("job {}", self.number), self.stages.iter().copied())
    }

    /// What makes it as slow as it is, as [`Run::limit`] says of all jobs.
    pub fn limit(&self) -> Option<Limit> {
        limit_of(self.stages.iter().copied())
    }

    /// What `run.json` tells of it: figures of all its requests, and its tasks without their executors.
    pub(crate) fn figures(&self) -> Map<String, Value> {
        let mut sum = self.sum();
        let stages: Vec<_> = self.stages.iter().map(|stage| stage.setup.to_string()).collect();
        let mut told = Map::new();
        told.insert("job".into(), self.number.into());
        told.insert("stages".into(), stages.into());
        told.extend(sum.figures());
        told.extend(figures(&sum, self.limit()));
        told.insert("retries".into(), sum.retries.into());
        told.insert("failed_calls".into(), sum.failed_calls.into());
        told.insert("elapsed_ms".into(), json::rounded(sum.elapsed.as_secs_f64() * 1e3));
        if let Some(tasks) = &mut sum.tasks {
            tasks.workers.clear();
            told.insert("tasks".into(), serde_json::to_value(tasks).expect("numbers and text"));
        }
        told
    }
}

fn limit_of<'a>(stages: impl Iterator<Item = &'a Cell>) -> Option<Limit> {
    let (mut sum, mut small) = (Tasks::default(), Duration::ZERO);
    for stage in stages {
        let Some(tasks) = &stage.tasks else { continue };
        sum.run += tasks.run;
        sum.waited += tasks.waited;
        if stage.limit() == Some(Limit::SmallRequests) {
            small += tasks.waited;
        }
    }
    sum.waiting_share().map(|share| Limit::of(share, || small * 2 >= sum.waited))
}

impl From<Stage> for Cell {
    fn from(stage: Stage) -> Cell {
        let mut cell = Cell::new(Setup::named(stage.name));
        cell.elapsed = stage.elapsed;
        cell.calls = calls(&stage.attempts);
        cell.failed_calls = cell.calls.values().map(|calls| calls.failed).sum();
        cell.retries = retries(&stage.attempts);
        (cell.attempts, cell.tasks) = (stage.attempts, Some(stage.tasks));
        cell
    }
}

/// The calls of a snapshot, by operation. A 404 or a precondition that does not hold is an answer, and a call that was
/// dropped is the caller's wish: neither is a failure, and neither has a time here.
fn calls(attempts: &Snapshot) -> BTreeMap<String, Calls> {
    let of = |operation: &Operation| {
        let outcomes = attempts.outcomes(Level::Call, *operation);
        let calls = Calls {
            count: outcomes.get(&Outcome::Ok).copied().unwrap_or(0),
            failed: failures(&outcomes),
            bytes: payload(attempts, *operation),
            response: ok(attempts, Level::Call, *operation, Phase::Total)
                .unwrap_or_else(Distribution::nanoseconds),
            ..Calls::default()
        };
        let calls = Calls { service: calls.response.clone(), ..calls };
        (calls.count + calls.failed > 0).then(|| (operation.to_string(), calls))
    };
    Operation::ALL.iter().filter_map(of).collect()
}

/// Payload of an operation's calls in bytes: of the calls where those tell it, else of their requests.
fn payload(attempts: &Snapshot, operation: Operation) -> u64 {
    let bytes = |level, operation| {
        ok(attempts, level, operation, Phase::BytesDelivered).map(|bytes| bytes.sum())
    };
    let parts = match operation {
        Operation::Upload => bytes(Level::Attempt, Operation::PutPart),
        _ => None,
    };
    let requests = || bytes(Level::Attempt, operation).unwrap_or(0) + parts.unwrap_or(0);
    bytes(Level::Call, operation).unwrap_or_else(requests)
}

fn ok(
    attempts: &Snapshot,
    level: Level,
    operation: Operation,
    phase: Phase,
) -> Option<Distribution> {
    attempts.select(|key| {
        key.level == level
            && key.operation == operation
            && key.phase == phase
            && key.outcome == Outcome::Ok
    })
}

/// How many of these failed.
pub(crate) fn failures(outcomes: &BTreeMap<Outcome, u64>) -> u64 {
    use Outcome::{Cancelled, NotFound, Ok, Precondition};
    let is_failure =
        |outcome: &Outcome| !matches!(outcome, Ok | NotFound | Precondition | Cancelled);
    outcomes.iter().filter(|(outcome, _)| is_failure(outcome)).map(|(_, count)| count).sum()
}

/// Attempts that were made because an earlier one of the same call had failed: each attempt that failed for a reason that
/// may pass was followed by another one, unless its call failed with it.
fn retries(attempts: &Snapshot) -> u64 {
    use Outcome::{Connect, Invalid, Reset, Server, Throttled, Timeout};
    let passing = |outcome: Outcome| {
        matches!(outcome, Throttled | Server | Connect | Timeout | Reset | Invalid)
    };
    let count = |level| {
        let totals = attempts.iter().filter(|(key, _)| {
            key.level == level && key.phase == Phase::Total && passing(key.outcome)
        });
        totals.map(|(_, times)| times.count()).sum::<u64>()
    };
    count(Level::Attempt).saturating_sub(count(Level::Call))
}

/// What `run.json` tells of a stage beside its tasks; nothing of other cells.
pub(crate) fn figures(cell: &Cell, limit: Option<Limit>) -> Map<String, Value> {
    let Some(tasks) = &cell.tasks else { return Map::new() };
    let share = |share: Option<f64>| share.map_or(Value::Null, json::rounded);
    let limit = limit.map_or(Value::Null, |limit| limit.to_string().into());
    let figures = [
        ("waiting_share", share(tasks.waiting_share())),
        ("over_read", share(cell.over_read())),
        ("limit", limit),
    ];
    figures.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

/// What makes a stage as slow as it is; see [`Limit::RULE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Storage.
    Storage,
    /// Storage, by many requests of few bytes: small files, or small pieces of large ones.
    SmallRequests,
    /// Storage and what tasks do themselves.
    Both,
    /// What tasks do themselves.
    Cpu,
}

/// From this share of waiting on, storage is most of what a faster job would save.
const STORAGE_FROM: f64 = 0.5;
/// Below this share, a store that answers at once would make the stage no more than a quarter faster.
const STORAGE_BELOW: f64 = 0.2;
/// A GET of 256 KiB takes some 4 ms of a stream of 60 MB/s, and 30 ms until its first byte: nine tenths of it do not depend
/// on its size.
const SMALL: u64 = 256 << 10;
/// Ten first bytes one after another are a third of a second: about what it takes to start a task.
const MANY: f64 = 10.0;

impl Limit {
    /// The rule in words. It looks at what was measured, not at causes: a stage that is not bound by storage may also wait
    /// for a shuffle or for the collector of garbage.
    pub const RULE: &str = "CPU-bound: tasks wait for storage for less than 20 % of their time; the rest is their own work, \
        shuffles and garbage collection. Storage-bound: 50 % or more. Between the two: storage and CPU. Too many small \
        requests (small files, or small pieces of large ones): 20 % or more, the median GET or PUT carries less than 256 KiB \
        or there is none, and there are at least 10 requests a task or as many HEADs and LISTs as GETs and PUTs; of a job, \
        half of its waiting is in such stages.";

    /// By the waiting share, and whether requests are many and small.
    fn of(share: f64, is_small: impl Fn() -> bool) -> Limit {
        match share {
            ..STORAGE_BELOW => Limit::Cpu,
            _ if is_small() => Limit::SmallRequests,
            STORAGE_FROM.. => Limit::Storage,
            _ => Limit::Both,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Limit::Storage => "storage-bound",
            Limit::SmallRequests => "too many small requests",
            Limit::Both => "storage and CPU",
            Limit::Cpu => "CPU-bound",
        })
    }
}

impl Cell {
    /// What makes this stage as slow as it is. `None` where no task ran.
    pub fn limit(&self) -> Option<Limit> {
        let share = self.tasks.as_ref()?.waiting_share()?;
        Some(Limit::of(share, || self.has_many_small_requests()))
    }

    fn has_many_small_requests(&self) -> bool {
        let (carrying, lookups) = self.carrying_and_lookups();
        let tasks = self.tasks.as_ref().map_or(0, Tasks::count).max(1);
        let many = (carrying + lookups) as f64 >= MANY * tasks as f64;
        let small = self.carried().is_none_or(|bytes| bytes.quantile(0.5).min(bytes.max()) < SMALL);
        carrying + lookups > 0 && small && (many || lookups >= carrying)
    }

    /// Requests that carry payload, and those that look something up.
    pub(crate) fn carrying_and_lookups(&self) -> (u64, u64) {
        let count = |operations: &[Operation]| {
            let of = |operation: &Operation| -> u64 {
                self.attempts.outcomes(Level::Attempt, *operation).values().sum()
            };
            operations.iter().map(of).sum()
        };
        (count(&CARRYING), count(&[Operation::Head, Operation::List]))
    }

    /// The payload of each request that carries some and ended well, in bytes.
    pub(crate) fn carried(&self) -> Option<Distribution> {
        self.attempts.select(|key| {
            key.level == Level::Attempt
                && CARRYING.contains(&key.operation)
                && key.phase == Phase::BytesDelivered
                && key.outcome == Outcome::Ok
        })
    }
}

/// Requests that carry payload.
const CARRYING: [Operation; 3] = [Operation::Get, Operation::Put, Operation::PutPart];

#[cfg(test)]
mod tests;
