// SPDX-License-Identifier: Apache-2.0
//! A run, and what it was set up to do.

use crate::bands::Bands;
use crate::environment::Environment;
use crate::json;
use crate::series::Series;
use crate::tasks::{self, Tasks};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};
use storescope::timing::{Distribution, Level, Operation, Outcome, Phase, Snapshot};

/// A measured run: one cell, the cells of a sweep, or the stages of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What was run, where and when.
    pub about: About,
    /// What was measured, in the order of the run. A run that was interrupted may have none. Stages of a job may overlap.
    pub cells: Vec<Cell>,
}

/// What was run, where and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The version of storescope.
    pub version: String,
    /// The command line. It holds no secrets: none is ever taken from there.
    #[serde(default)]
    pub command: Vec<String>,
    /// What was read or written.
    pub url: String,
    /// The emulator's latency model, where one was measured.
    #[serde(default)]
    pub model: Option<String>,
    /// Of offsets, arrivals, data and the emulator's draws.
    pub seed: u64,
    /// When measuring began.
    #[serde(default = "epoch", with = "rfc3339")]
    pub started_at: SystemTime,
    /// The machine.
    #[serde(default)]
    pub environment: Environment,
    /// Processes whose runs were added up; 1 for a run of one process.
    #[serde(default = "one")]
    pub processes: u32,
    /// What a reader must know to believe the figures: an interrupt, a clock that jumped, a part that is missing.
    #[serde(default)]
    pub notes: Vec<String>,
}

fn one() -> u32 {
    1
}

fn epoch() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

/// What a cell was set up to do. Cells of two runs are compared where their setups are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// What a cell that is no bench is known by: the stage of a job. Then nothing else of a setup is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was called, by weight. One operation has the weight 1.
    #[serde(default)]
    pub mix: BTreeMap<String, u32>,
    /// Where reads went, such as `random` or `parquet`; `new objects`; the name of a trace.
    #[serde(default)]
    pub pattern: String,
    /// Bytes of a call, where all have as many.
    #[serde(default)]
    pub size: Option<u64>,
    /// Calls under way at a time: exactly so many (closed loop), or at most (open loop).
    pub concurrency: u32,
    /// Calls a second that were to be begun; `None` is a closed loop, or a trace.
    #[serde(default)]
    pub rate: Option<f64>,
    /// What said when calls were to begin; `None` is a closed loop.
    #[serde(default)]
    pub arrivals: Option<Arrivals>,
    /// Whether each call had a connection of its own.
    #[serde(default)]
    pub new_connections: bool,
}

/// When calls of an open loop are to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// One every 1/rate seconds.
    Constant,
    /// At random, independent of each other.
    Poisson,
    /// At the times of a trace.
    Trace,
}

/// One setup, measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// What it was set up to do.
    pub setup: Setup,
    /// How long was measured.
    #[serde(rename = "elapsed_ms", with = "json::milliseconds")]
    pub elapsed: Duration,
    /// What callers saw, by operation (`get`, `put`, … as [`Operation`] spells them; `upload` is a write by parts).
    #[serde(default)]
    pub calls: BTreeMap<String, Calls>,
    /// Calls that failed for good.
    #[serde(default)]
    pub failed_calls: u64,
    /// Why the first of them failed.
    #[serde(default)]
    pub first_error: Option<String>,
    /// Attempts that were made because an earlier one of the same call had failed.
    #[serde(default)]
    pub retries: u64,
    /// User and system time of the measuring process.
    #[serde(default, rename = "cpu_ms", with = "json::milliseconds")]
    pub cpu: Duration,
    /// From when a call was to begin until it was begun, in ns (open loop): the generator's own lateness.
    #[serde(default = "Distribution::nanoseconds", with = "json::told")]
    pub lateness: Distribution,
    /// That the rate was not held, and for how long.
    #[serde(default)]
    pub behind: Option<Behind>,
    /// The share of the caller's wall time that phases account for in 99 % of calls, where a call is one request.
    #[serde(default)]
    pub attributed_in_99_percent: Option<f64>,
    /// Bytes that were read and found equal to what had been written.
    #[serde(default)]
    pub verified_bytes: Option<u64>,
    /// Over time.
    #[serde(default)]
    pub series: Series,
    /// Phases by the whole time of the attempts, by operation.
    #[serde(default)]
    pub bands: BTreeMap<String, Bands>,
    /// Bandwidth of bodies of 256 KiB and more: from the first to the last byte, in bytes a second.
    #[serde(default = "Distribution::bytes", with = "json::times")]
    pub stream: Distribution,
    /// The tasks, where the cell is a stage of a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Tasks>,
    /// Every attempt and call, by key (in `run.hlog`).
    #[serde(skip)]
    pub attempts: Snapshot,
}

/// What callers of one operation saw. Only calls that ended well have times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// Calls that ended well.
    pub count: u64,
    /// Calls that failed for good.
    pub failed: u64,
    /// Payload of the calls that ended well, in bytes.
    pub bytes: u64,
    /// From the intended start to the end, in ns. In a closed loop a call is meant to start when it starts.
    #[serde(with = "json::told")]
    pub response: Distribution,
    /// From the actual start to the end, in ns.
    #[serde(with = "json::told")]
    pub service: Distribution,
}

/// An open loop that could not begin calls at the rate it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Behind {
    /// Calls a second that were begun.
    pub held_rate: f64,
    /// The greatest lateness of a begin.
    #[serde(rename = "most_ms", with = "json::milliseconds")]
    pub most: Duration,
    /// How long begins were late by more than the bound that the bench tells (1 ms and one interval of arrivals).
    #[serde(rename = "late_for_ms", with = "json::milliseconds")]
    pub late_for: Duration,
    /// Calls that should have begun and never were.
    pub never_begun: u64,
}

impl Default for Calls {
    fn default() -> Calls {
        Calls {
            count: 0,
            failed: 0,
            bytes: 0,
            response: Distribution::nanoseconds(),
            service: Distribution::nanoseconds(),
        }
    }
}

impl Calls {
    /// Adds others' calls.
    pub fn merge(&mut self, other: &Calls) {
        self.count += other.count;
        self.failed += other.failed;
        self.bytes += other.bytes;
        self.response.merge(&other.response);
        self.service.merge(&other.service);
    }
}

impl Run {
    /// Whether it is of a job: each cell is a stage, and there is at least one.
    pub fn is_job(&self) -> bool {
        !self.cells.is_empty() && self.cells.iter().all(|cell| cell.tasks.is_some())
    }

    /// All cells as one: the figures of the whole run. Its setup is the first cell's, its time the sum of theirs. Of a job,
    /// it is called `all stages`, and its time is that from the first beginning of a stage to the last end.
    pub fn sum(&self) -> Cell {
        if self.is_job() {
            return Cell::of_stages("all stages", self.cells.iter());
        }
        let mut sum =
            Cell::new(self.cells.first().map_or_else(Setup::recorded, |cell| cell.setup.clone()));
        for cell in &self.cells {
            sum.elapsed += cell.elapsed;
            sum.add(cell);
        }
        if let [cell] = &self.cells[..] {
            sum.attributed_in_99_percent = cell.attributed_in_99_percent;
        }
        sum
    }
}

impl Setup {
    /// That of a cell that nothing but its name is known of.
    pub fn named(name: impl Into<String>) -> Setup {
        Setup {
            name: Some(name.into()),
            mix: BTreeMap::new(),
            pattern: String::new(),
            size: None,
            concurrency: 0,
            rate: None,
            arrivals: None,
            new_connections: false,
        }
    }

    /// That of attempts that were recorded, by whatever made them.
    pub(crate) fn recorded() -> Setup {
        Setup { name: None, pattern: "recorded".to_owned(), ..Setup::named("") }
    }

    /// The one operation of a cell that is no mix.
    pub fn operation(&self) -> Option<&str> {
        let mut names = self.mix.keys();
        names.next().filter(|_| self.mix.len() == 1).map(String::as_str)
    }
}

/// Such as `get 65536 bytes, random, 8 at a time`; the name alone, where there is one.
impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            return f.write_str(name);
        }
        let sum: u32 = self.mix.values().sum();
        for (at, (name, weight)) in self.mix.iter().enumerate() {
            match (at, self.mix.len()) {
                (_, 1) => write!(f, "{name}")?,
                (0, _) => write!(f, "{name} {:.0} %", f64::from(*weight) * 100.0 / f64::from(sum))?,
                _ => write!(f, " + {name} {:.0} %", f64::from(*weight) * 100.0 / f64::from(sum))?,
            }
        }
        if let Some(size) = self.size {
            write!(f, " {size} bytes")?;
        }
        write!(f, ", {}", self.pattern)?;
        match (self.rate, self.arrivals) {
            (Some(rate), Some(Arrivals::Poisson)) => write!(f, ", {rate}/s at random times")?,
            (Some(rate), _) => write!(f, ", {rate}/s")?,
            (None, Some(_)) => write!(f, ", at its own times")?,
            (None, None) => write!(f, ", {} at a time", self.concurrency)?,
        }
        if self.new_connections {
            f.write_str(", a new connection each")?;
        }
        Ok(())
    }
}

impl Cell {
    /// Stages as one: their figures added up. Its time is that from the first beginning of a stage to the last end, as far as
    /// their requests tell: stages overlap, so their times are no sum.
    pub(crate) fn of_stages<'a>(
        name: &str,
        stages: impl Iterator<Item = &'a Cell> + Clone,
    ) -> Cell {
        let mut sum = Cell::new(Setup::named(name));
        stages.clone().for_each(|stage| sum.add(stage));
        let recorded = stages.clone().filter(|stage| !stage.attempts.is_empty());
        let start = recorded.clone().map(|stage| stage.attempts.started_at()).min();
        let end = recorded.map(|stage| stage.attempts.started_at() + stage.elapsed).max();
        let between = start.zip(end).and_then(|(start, end)| end.duration_since(start).ok());
        let longest = stages.map(|stage| stage.elapsed).max().unwrap_or_default();
        sum.elapsed = longest.max(between.unwrap_or_default());
        sum
    }

    /// Adds what another cell has counted and recorded, but for its time.
    fn add(&mut self, other: &Cell) {
        self.attempts.merge(&other.attempts);
        self.failed_calls += other.failed_calls;
        self.retries += other.retries;
        self.cpu += other.cpu;
        self.first_error = self.first_error.take().or_else(|| other.first_error.clone());
        for (name, calls) in &other.calls {
            self.calls.entry(name.clone()).or_default().merge(calls);
        }
        tasks::add(&mut self.tasks, other.tasks.as_ref());
    }

    /// One that has measured nothing yet.
    pub fn new(setup: Setup) -> Cell {
        Cell {
            setup,
            elapsed: Duration::ZERO,
            calls: BTreeMap::new(),
            failed_calls: 0,
            first_error: None,
            retries: 0,
            cpu: Duration::ZERO,
            lateness: Distribution::nanoseconds(),
            behind: None,
            attributed_in_99_percent: None,
            verified_bytes: None,
            series: Series::default(),
            bands: BTreeMap::new(),
            stream: Distribution::bytes(),
            tasks: None,
            attempts: Snapshot::default(),
        }
    }

    /// Response times of all calls that ended well, in ns.
    pub fn response(&self) -> Distribution {
        self.sum(|calls| &calls.response)
    }

    /// Service times of all calls that ended well, in ns.
    pub fn service(&self) -> Distribution {
        self.sum(|calls| &calls.service)
    }

    fn sum(&self, part: impl Fn(&Calls) -> &Distribution) -> Distribution {
        let mut sum = Distribution::nanoseconds();
        self.calls.values().for_each(|calls| sum.merge(part(calls)));
        sum
    }

    /// Calls that ended well, a second.
    pub fn calls_per_second(&self) -> f64 {
        let count: u64 = self.calls.values().map(|calls| calls.count).sum();
        count as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Payload of all attempts, in bytes.
    pub fn bytes(&self) -> u64 {
        let delivered = self
            .attempts
            .select(|key| key.level == Level::Attempt && key.phase == Phase::BytesDelivered);
        delivered.map_or(0, |bytes| bytes.sum())
    }

    /// HTTP requests, however they ended.
    pub fn requests(&self) -> u64 {
        self.outcomes().values().sum()
    }

    /// The share of the bytes received by reads that nobody had asked for: holes between ranges that were read along, 1
    /// being all of them. `None` where nothing was read.
    pub fn over_read(&self) -> Option<f64> {
        let sum = |phase| {
            let bytes = self.attempts.attempts(Operation::Get, phase, Outcome::Ok);
            bytes.map_or(0, |bytes| bytes.sum())
        };
        let delivered = sum(Phase::BytesDelivered);
        (delivered > 0).then(|| sum(Phase::BytesDiscarded) as f64 / delivered as f64)
    }

    /// Attempts by how they ended.
    pub fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        let mut sum = BTreeMap::new();
        for operation in Operation::ALL {
            for (outcome, count) in self.attempts.outcomes(Level::Attempt, *operation) {
                *sum.entry(outcome).or_insert(0) += count;
            }
        }
        sum
    }

    /// A phase of all attempts that ended well, in ns (bytes for the byte phases).
    pub fn times(&self, phase: Phase) -> Option<Distribution> {
        self.attempts.select(|key| {
            key.level == Level::Attempt && key.phase == phase && key.outcome == Outcome::Ok
        })
    }

    /// The figures that `run.json` tells of it, computed from what it holds.
    pub(crate) fn figures(&self) -> Map<String, Value> {
        let outcomes = self.outcomes();
        let total = self.times(Phase::Total);
        let mut figures = Map::new();
        let mut tell = |name: &str, value: Value| figures.insert(name.to_owned(), value);
        tell("ttfb", json::figures(self.times(Phase::Ttfb).as_ref()).into());
        tell("total", json::figures(total.as_ref()).into());
        tell("phases", self.phases(total.as_ref()).into());
        let failed = outcomes.iter().filter(|(outcome, _)| **outcome != Outcome::Ok);
        let errors: Map<_, _> =
            failed.map(|(outcome, count)| (outcome.to_string(), (*count).into())).collect();
        tell("errors", errors.into());
        tell("requests", outcomes.values().sum::<u64>().into());
        tell("bytes", self.bytes().into());
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        tell("mb_per_s", json::rounded(self.bytes() as f64 / 1e6 / seconds));
        tell("calls_per_s", json::rounded(self.calls_per_second()));
        tell("response", json::figures(Some(&self.response())).into());
        tell("service", json::figures(Some(&self.service())).into());
        figures
    }

    fn phases(&self, total: Option<&Distribution>) -> Map<String, Value> {
        let whole = total.map_or(1.0, |total| total.sum().max(1) as f64);
        let part = |phase: &Phase| {
            let part = self.times(*phase)?;
            let mut figures = json::figures(Some(&part));
            figures.insert("share".into(), json::rounded(part.sum() as f64 / whole));
            Some((phase.to_string(), figures.into()))
        };
        Phase::PARTS.iter().filter_map(part).collect()
    }
}

/// Serde of a moment.
mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::SystemTime;

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::try_from(*time).map_err(serde::ser::Error::custom)?;
        to.collect_str(&time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        let time: jiff::Timestamp =
            String::deserialize(from)?.parse().map_err(serde::de::Error::custom)?;
        Ok(time.into())
    }
}
