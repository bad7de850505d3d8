// SPDX-License-Identifier: Apache-2.0
//! The tasks of a stage: how many there were, how long they ran, and how much of that they waited for storage.

use crate::json;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use storescope::timing::Distribution;

/// The tasks of one stage of a job, such as a stage of Spark. Attempts of a task count one by one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tasks {
    /// The number of the job that asked for the stage first. `None` where that is not known, or where stages of several
    /// jobs were added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<u32>,
    /// Task attempts that ended well.
    pub succeeded: u64,
    /// Task attempts that failed.
    pub failed: u64,
    /// Task attempts that were killed: the slower one of two copies, or with their executor.
    pub killed: u64,
    /// Of all of these, the speculative copies.
    pub speculative: u64,
    /// Run time, summed over the task attempts.
    #[serde(rename = "run_ms", with = "json::milliseconds")]
    pub run: Duration,
    /// How long threads of tasks were blocked by calls of a store, summed over threads. Two threads of a task that wait at
    /// the same time count twice.
    #[serde(rename = "waited_ms", with = "json::milliseconds")]
    pub waited: Duration,
    /// By executor.
    pub workers: BTreeMap<String, Worker>,
}

/// What the tasks of a stage did on one executor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worker {
    /// Task attempts.
    pub tasks: u64,
    /// Run time, summed over the task attempts.
    #[serde(rename = "run_ms", with = "json::milliseconds")]
    pub run: Duration,
    /// How long threads of tasks were blocked by calls of a store, summed over threads.
    #[serde(rename = "waited_ms", with = "json::milliseconds")]
    pub waited: Duration,
    /// HTTP requests.
    pub requests: u64,
    /// Payload of the requests, in bytes.
    pub bytes: u64,
    /// The first byte of the requests that ended well, in ns.
    #[serde(with = "json::told")]
    pub first_byte: Distribution,
}

impl Default for Worker {
    fn default() -> Worker {
        Worker {
            tasks: 0,
            run: Duration::ZERO,
            waited: Duration::ZERO,
            requests: 0,
            bytes: 0,
            first_byte: Distribution::nanoseconds(),
        }
    }
}

impl Tasks {
    /// Task attempts, however they ended.
    pub fn count(&self) -> u64 {
        self.succeeded + self.failed + self.killed
    }

    /// The share of the run time that tasks waited for storage, 1 being all of it. More than 1 where several threads of a
    /// task wait at a time. `None` where no task ran.
    pub fn waiting_share(&self) -> Option<f64> {
        share(self.waited, self.run)
    }

    /// Adds others: those of another executor, or of the same stage in another run.
    pub fn merge(&mut self, other: &Tasks) {
        self.job = self.job.filter(|job| other.job == Some(*job));
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.killed += other.killed;
        self.speculative += other.speculative;
        self.run += other.run;
        self.waited += other.waited;
        for (executor, worker) in &other.workers {
            self.workers.entry(executor.clone()).or_default().merge(worker);
        }
    }

    /// At most so many executors: those whose tasks waited longest on average, the longest first.
    pub fn slowest(&self, most: usize) -> Vec<(&str, &Worker)> {
        let mut workers: Vec<_> =
            self.workers.iter().map(|(name, worker)| (name.as_str(), worker)).collect();
        workers.sort_by_key(|(_, worker)| std::cmp::Reverse(worker.waited_a_task()));
        workers.truncate(most);
        workers
    }

    /// Keeps only these executors; see [`Tasks::slowest`]. The sums of all stay.
    pub fn keep_slowest(&mut self, most: usize) {
        let kept: Vec<_> =
            self.slowest(most).into_iter().map(|(name, _)| name.to_owned()).collect();
        self.workers.retain(|name, _| kept.contains(name));
    }
}

impl Worker {
    /// The share of the run time that tasks waited for storage; see [`Tasks::waiting_share`].
    pub fn waiting_share(&self) -> Option<f64> {
        share(self.waited, self.run)
    }

    /// How long a task waited for storage, on average. Zero without tasks.
    pub fn waited_a_task(&self) -> Duration {
        Duration::from_secs_f64(self.waited.as_secs_f64() / self.tasks.max(1) as f64)
    }

    /// Adds what other tasks did on this executor.
    pub fn merge(&mut self, other: &Worker) {
        self.tasks += other.tasks;
        self.run += other.run;
        self.waited += other.waited;
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.first_byte.merge(&other.first_byte);
    }
}

/// Adds the tasks of another cell; none where neither has any.
pub(crate) fn add(sum: &mut Option<Tasks>, other: Option<&Tasks>) {
    match (sum, other) {
        (Some(sum), Some(other)) => sum.merge(other),
        (sum @ None, Some(other)) => *sum = Some(other.clone()),
        (_, None) => {}
    }
}

fn share(waited: Duration, run: Duration) -> Option<f64> {
    (!run.is_zero()).then(|| waited.as_secs_f64() / run.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(tasks: u64, waited_ms: u64) -> Worker {
        let mut worker = Worker { tasks, requests: tasks * 3, bytes: 1_000, ..Worker::default() };
        worker.run = Duration::from_millis(2 * waited_ms) + Duration::from_nanos(1);
        worker.waited = Duration::from_millis(waited_ms);
        worker.first_byte.record(waited_ms * 1_000_000);
        worker
    }

    fn tasks(workers: &[(&str, u64, u64)]) -> Tasks {
        let mut sum = Tasks { failed: 2, killed: 1, speculative: 4, ..Tasks::default() };
        for (name, count, waited_ms) in workers {
            let worker = worker(*count, *waited_ms);
            sum.succeeded += count;
            (sum.run, sum.waited) = (sum.run + worker.run, sum.waited + worker.waited);
            sum.workers.insert((*name).to_owned(), worker);
        }
        sum
    }

    #[test]
    fn shares_are_of_the_run_time_and_may_pass_one() {
        assert_eq!(Tasks::default().waiting_share(), None);
        let mut tasks = Tasks { run: Duration::from_secs(812), ..Tasks::default() };
        assert_eq!(tasks.waiting_share(), Some(0.0));
        tasks.waited = Duration::from_secs(203);
        assert_eq!(tasks.waiting_share(), Some(0.25));
        tasks.waited = Duration::from_secs(1_624);
        assert_eq!(tasks.waiting_share(), Some(2.0));
    }

    #[test]
    fn tasks_add_up_by_executor() {
        let (one, two) =
            (tasks(&[("1", 10, 500), ("2", 20, 400)]), tasks(&[("2", 5, 100), ("3", 1, 7)]));
        let mut sum = one.clone();
        sum.merge(&two);
        assert_eq!((sum.count(), sum.speculative), (10 + 20 + 5 + 1 + 6, 8));
        assert_eq!(sum.waited, Duration::from_millis(500 + 400 + 100 + 7));
        assert_eq!(sum.run, one.run + two.run);
        assert_eq!(sum.workers.keys().collect::<Vec<_>>(), ["1", "2", "3"]);
        let both = &sum.workers["2"];
        assert_eq!((both.tasks, both.requests, both.bytes), (25, 75, 2_000));
        assert_eq!((both.first_byte.count(), both.first_byte.max()), (2, 400_000_000));
        let mut other = two;
        other.merge(&one);
        assert_eq!(other, sum);
    }

    #[test]
    fn the_slowest_executors_are_those_whose_tasks_waited_longest() {
        // In all, "1" waited longest; a task of "3" did.
        let mut tasks = tasks(&[("1", 100, 1_000), ("2", 50, 600), ("3", 1, 90), ("4", 0, 0)]);
        let names = |tasks: &Tasks, most| {
            tasks.slowest(most).iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&tasks, 9), ["3", "2", "1", "4"]);
        assert_eq!(names(&tasks, 2), ["3", "2"]);
        let run = tasks.run;
        tasks.keep_slowest(2);
        assert_eq!(names(&tasks, 9), ["3", "2"]);
        assert_eq!((tasks.run, tasks.succeeded), (run, 151));
    }

    #[test]
    fn json_is_read_back_to_the_nanosecond_and_nothing_is_required() {
        let mut tasks = tasks(&[("executor <1>\n", 10, 500)]);
        tasks.run = Duration::from_hours(2_160) + Duration::from_nanos(123_457);
        let text = serde_json::to_string(&tasks).unwrap();
        assert_eq!(serde_json::from_str::<Tasks>(&text).unwrap(), tasks, "{text}");
        assert!(text.contains("\"run_ms\":7776000000.123457,\"waited_ms\":500.0"), "{text}");
        let worker: Worker = serde_json::from_str("{}").unwrap();
        assert_eq!(worker, Worker::default());
        let read: Tasks =
            serde_json::from_str("{\"workers\":{\"a\":{\"tasks\":3}},\"new\":1}").unwrap();
        assert_eq!(read.workers["a"], Worker { tasks: 3, ..Worker::default() });
        serde_json::from_str::<Tasks>("{\"run_ms\":-1}").unwrap_err();
    }
}
