// SPDX-License-Identifier: Apache-2.0
//! What the executors of a Spark application have recorded, added up by stage, in the driver.
//!
//! A stage that is at work is held as histograms; what was not added to for long is held encoded, so that thousands of
//! stages fit into little memory.

use crate::raised::{Raised, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};
use storescope::timing::{HlogError, Level, Operation, Outcome, Phase, Snapshot};
use storescope_bindings::lock::locked;
use storescope_instrument::{About, Environment, Run, Stage, Tasks, Worker};

/// Stages that are held as histograms, about 1 MiB each.
const MOST_LIVE: usize = 16;

/// An application.
#[derive(Default)]
pub(crate) struct Gathered(Mutex<State>);

#[derive(Default)]
struct State {
    stages: BTreeMap<Key, Gathering>,
    /// The stages held as histograms, that which was added to last at the end.
    live: Vec<Key>,
}

/// A stage and its attempt. Below zero is what no task asked for: that sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) stage: i32,
    pub(crate) attempt: i32,
}

#[derive(Default)]
struct Gathering {
    about: String,
    wall: Duration,
    tasks: Tasks,
    recorded: Recorded,
}

enum Recorded {
    Live(Box<Snapshot>),
    Encoded(String),
}

impl Default for Recorded {
    fn default() -> Recorded {
        Recorded::Live(Box::default())
    }
}

/// What an executor sends of a stage, beside its histograms: all of it since the last time.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    /// Tasks that have ended, well or not.
    pub(crate) tasks: u64,
    /// Their time, and that of tasks that run.
    pub(crate) run: Duration,
    /// How long their threads waited for a store.
    pub(crate) waited: Duration,
}

/// What the driver knows of a stage.
pub(crate) struct Told {
    pub(crate) about: String,
    /// The job that asked for it first.
    pub(crate) job: Option<u32>,
    pub(crate) wall: Duration,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) killed: u64,
    pub(crate) speculative: u64,
}

impl Gathered {
    /// Adds what an executor has sent of a stage: an `.hlog`, which may be empty.
    pub(crate) fn add(&self, key: Key, executor: &str, sums: Sums, hlog: &str) -> Result<()> {
        let unread = |error: HlogError| {
            Raised::Told(format!("what executor {executor} sent of {key}: {error}"))
        };
        let new = if hlog.is_empty() {
            Snapshot::default()
        } else {
            Snapshot::from_hlog(hlog).map_err(unread)?
        };
        let held = &mut *locked(&self.0);
        let stage = held.stages.entry(key).or_default();
        stage.tasks.run += sums.run;
        stage.tasks.waited += sums.waited;
        let worker = stage.tasks.workers.entry(executor.to_owned()).or_default();
        add_to_worker(worker, sums, &new);
        if !new.is_empty() {
            stage.recorded.live().merge(&new);
            held.keep_few_live(key);
        }
        Ok(())
    }

    /// Tells what the driver knows of a stage; it replaces what was told before.
    pub(crate) fn tell(&self, key: Key, told: Told) {
        let mut held = locked(&self.0);
        let stage = held.stages.entry(key).or_default();
        (stage.about, stage.wall) = (told.about, told.wall);
        stage.tasks.job = told.job;
        stage.tasks.succeeded = told.succeeded;
        stage.tasks.failed = told.failed;
        stage.tasks.killed = told.killed;
        stage.tasks.speculative = told.speculative;
    }

    /// All of it as a run, a cell for each stage.
    pub(crate) fn run(&self, url: &str, started_at: SystemTime, notes: Vec<String>) -> Run {
        let state = locked(&self.0);
        let stages: Vec<_> = state.stages.iter().map(|(key, stage)| stage.told(*key)).collect();
        let executors: BTreeSet<_> =
            state.stages.values().flat_map(|stage| stage.tasks.workers.keys()).collect();
        let about = About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: Vec::new(),
            url: url.to_owned(),
            model: None,
            seed: 0,
            started_at,
            environment: Environment::of_this_machine(),
            processes: executors.len().max(1) as u32,
            notes,
        };
        Run::of_stages(about, stages)
    }
}

impl State {
    /// Notes that a stage was added to, and encodes those that were not for the longest.
    fn keep_few_live(&mut self, key: Key) {
        self.live.retain(|known| *known != key);
        self.live.push(key);
        while self.live.len() > MOST_LIVE {
            let oldest = self.live.remove(0);
            if let Some(stage) = self.stages.get_mut(&oldest) {
                stage.recorded.encode();
            }
        }
    }
}

impl Gathering {
    fn told(&self, key: Key) -> Stage {
        let name =
            if self.about.is_empty() { key.to_string() } else { format!("{key} ({})", self.about) };
        Stage {
            name,
            elapsed: self.wall,
            attempts: self.recorded.snapshot(),
            tasks: self.tasks.clone(),
        }
    }
}

impl Recorded {
    fn live(&mut self) -> &mut Snapshot {
        if let Recorded::Encoded(_) = self {
            *self = Recorded::Live(Box::new(self.snapshot()));
        }
        match self {
            Recorded::Live(snapshot) => snapshot,
            Recorded::Encoded(_) => unreachable!("made live above"),
        }
    }

    fn snapshot(&self) -> Snapshot {
        match self {
            Recorded::Live(snapshot) => (**snapshot).clone(),
            Recorded::Encoded(text) => Snapshot::from_hlog(text).expect("encoded here"),
        }
    }

    fn encode(&mut self) {
        if let Recorded::Live(snapshot) = self {
            *self = Recorded::Encoded(snapshot.to_hlog());
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.stage {
            0.. => write!(f, "stage {}.{}", self.stage, self.attempt),
            DRIVER => f.write_str("driver"),
            ORACLE => f.write_str("oracle"),
            _ => f.write_str("executors outside of tasks"),
        }
    }
}

/// What stands for the driver in place of a stage's number, and for what Oracle's connector tells of itself; another number
/// below zero stands for executors.
const DRIVER: i32 = -2;
const ORACLE: i32 = -3;

fn add_to_worker(worker: &mut Worker, sums: Sums, new: &Snapshot) {
    worker.tasks += sums.tasks;
    worker.run += sums.run;
    worker.waited += sums.waited;
    for operation in Operation::ALL {
        worker.requests += new.outcomes(Level::Attempt, *operation).values().sum::<u64>();
    }
    let sum_of = |phase| {
        new.select(|key| key.level == Level::Attempt && key.phase == phase)
            .map_or(0, |bytes| bytes.sum())
    };
    worker.bytes += sum_of(Phase::BytesDelivered);
    if let Some(first_byte) = new.attempts(Operation::Get, Phase::Ttfb, Outcome::Ok) {
        worker.first_byte.merge(&first_byte);
    }
}
