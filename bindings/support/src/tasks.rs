// SPDX-License-Identifier: Apache-2.0
//! What the tasks of Spark recorded in this process, until it is handed over.
//!
//! A process runs one task at a time, and many in a row. It owns a scope and the waiting time of each. It promises:
//! * what was handed over is never handed over again, and what was not stays;
//! * a task is forgotten once it is over, was handed over, and nothing can record in its scope any more.

use crate::lock::locked;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};
use storescope::timing::{Scope, Snapshot};

/// How many tasks are kept. Where nobody takes what they recorded, the oldest is dropped for each further one.
const MAX_TASKS: usize = 256;

/// The tasks of this process.
#[derive(Debug)]
pub struct Tasks {
    /// The last is the one that was named last: the others are over.
    all: Mutex<VecDeque<Arc<Task>>>,
    /// Done once something was lost.
    told: Once,
}

impl Tasks {
    /// None yet.
    pub fn new() -> Tasks {
        Tasks { all: Mutex::default(), told: Once::new() }
    }

    /// The task with this attempt id, which runs now; all others are over.
    pub fn running(&self, id: i64) -> Arc<Task> {
        let mut all = locked(&self.all);
        if let Some(last) = all.back().filter(|last| last.id == id) {
            return Arc::clone(last);
        }
        let task = match all.iter().position(|known| known.id == id) {
            Some(place) => all.remove(place).expect("it was found there"),
            None => Arc::new(Task::new(id)),
        };
        if all.len() >= MAX_TASKS {
            self.drop_one(&mut all);
        }
        all.push_back(Arc::clone(&task));
        task
    }

    /// Drops the oldest, and tells it if that loses anything.
    fn drop_one(&self, all: &mut VecDeque<Arc<Task>>) {
        if all.pop_front().is_some_and(|task| task.fresh().is_some()) {
            self.told.call_once(|| {
                tracing::warn!(
                    "what tasks of Spark read is lost: the executor takes nothing, and {MAX_TASKS} tasks wait"
                );
            });
        }
    }

    /// What is new of each task since it was last taken. Of tasks without anything new there is none.
    pub(crate) fn fresh(&self) -> Vec<Fresh> {
        let all: Vec<_> = locked(&self.all).iter().cloned().collect();
        all.iter().filter_map(Task::fresh).collect()
    }

    /// Counts all of these as taken, and forgets the tasks that are over.
    pub(crate) fn took(&self, fresh: Vec<Fresh>) {
        for one in fresh {
            *locked(&one.task.taken) = one.upto;
        }
        let mut all = locked(&self.all);
        let last = all.len().saturating_sub(1);
        let mut place = 0;
        all.retain(|task| {
            place += 1;
            place > last || task.may_record() || task.fresh().is_some()
        });
    }
}

impl Default for Tasks {
    fn default() -> Tasks {
        Tasks::new()
    }
}

/// What one task recorded in this process.
#[derive(Debug)]
pub struct Task {
    id: i64,
    scope: Scope,
    waits: Mutex<Waits>,
    taken: Mutex<Amount>,
}

impl Task {
    fn new(id: i64) -> Task {
        Task {
            id,
            scope: Scope::new(&format!("task {id}")),
            waits: Mutex::default(),
            taken: Mutex::default(),
        }
    }

    /// Where its requests are recorded.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Adds the time that one of its threads was blocked by a call.
    pub fn waited(&self, time: Duration) {
        locked(&self.waits).total += time;
    }

    /// Begins a call that is awaited. Until the guard is dropped the task waits; calls awaited at the same time count once.
    pub fn awaits(self: &Arc<Task>) -> Awaited {
        locked(&self.waits).begin(Instant::now());
        Awaited(Arc::clone(self))
    }

    /// Whether anything may still be recorded: a call under way, a reader that was opened in it.
    fn may_record(self: &Arc<Task>) -> bool {
        Arc::strong_count(self) > 1 || self.scope.is_shared()
    }

    fn fresh(self: &Arc<Task>) -> Option<Fresh> {
        let upto = Amount {
            recorded: self.scope.snapshot(),
            waited: locked(&self.waits).until(Instant::now()),
        };
        let taken = locked(&self.taken);
        let recorded = upto.recorded.since(&taken.recorded);
        let waited = upto.waited.saturating_sub(taken.waited);
        drop(taken);
        let is_new = !recorded.is_empty() || !waited.is_zero();
        is_new.then(|| Fresh { task: Arc::clone(self), recorded, waited, upto })
    }
}

/// A call that is awaited, until it is dropped.
#[derive(Debug)]
#[must_use = "the task waits until it is dropped"]
pub struct Awaited(Arc<Task>);

impl Drop for Awaited {
    fn drop(&mut self) {
        locked(&self.0.waits).end(Instant::now());
    }
}

/// How long a task has waited.
#[derive(Debug, Default)]
struct Waits {
    total: Duration,
    /// Calls that are awaited now, and since when that was added to the total.
    awaited: usize,
    since: Option<Instant>,
}

impl Waits {
    fn begin(&mut self, now: Instant) {
        self.until(now);
        self.awaited += 1;
        self.since = Some(now);
    }

    fn end(&mut self, now: Instant) {
        self.until(now);
        self.awaited -= 1;
        self.since = (self.awaited > 0).then_some(now);
    }

    /// The total, with what passed of the calls that are awaited now.
    fn until(&mut self, now: Instant) -> Duration {
        if let Some(since) = self.since.replace(now) {
            self.total += now.saturating_duration_since(since);
        }
        if self.awaited == 0 {
            self.since = None;
        }
        self.total
    }
}

/// All that a task had recorded at one moment.
#[derive(Debug, Default)]
struct Amount {
    recorded: Snapshot,
    waited: Duration,
}

/// What is new of a task.
#[derive(Debug)]
pub(crate) struct Fresh {
    task: Arc<Task>,
    pub(crate) recorded: Snapshot,
    pub(crate) waited: Duration,
    upto: Amount,
}

impl Fresh {
    /// The task's attempt id.
    pub(crate) fn id(&self) -> i64 {
        self.task.id
    }
}

#[cfg(test)]
mod tests;
