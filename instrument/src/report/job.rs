// SPDX-License-Identifier: Apache-2.0
//! A job in words: the sentences above its page, and a line for each stage.

use super::html::put;
use super::measures::payload;
use super::names::short;
use super::units::{bytes, count, counted, number, percent, time};
use crate::job::Limit;
use crate::run::{Cell, Run};
use crate::tasks::Tasks;
use std::time::Duration;
use storescope::timing::{Distribution, Phase};

impl Cell {
    /// A stage in one line, for a log: its tasks, how long they waited for storage, and the requests that were made for it.
    /// Control characters of its name are spaces.
    pub fn stage_line(&self) -> String {
        let name = self.setup.to_string().replace(char::is_control, " ");
        let tasks = self.tasks.clone().unwrap_or_default();
        let mut line = format!("{name}: {}", tasks_told(&tasks));
        if let Some(share) = tasks.waiting_share() {
            let run = number(tasks.run.as_secs_f64());
            put!(&mut line, ", {run} s of task time, {} of it waiting for storage", percent(share));
            if let Some(limit) = self.limit().filter(|_| !tasks.waited.is_zero()) {
                put!(&mut line, " ({limit})");
            }
        }
        line + "; " + &requests_told(self)
    }
}

/// The verdict on a job.
pub(super) fn sentences(run: &Run) -> String {
    let sum = run.sum();
    let tasks = sum.tasks.clone().unwrap_or_default();
    let mut text = waiting(run, &tasks);
    if let Some(limit) = run.limit() {
        put!(&mut text, " {}", limited(run, limit));
    }
    let stages = counted(run.cells.len() as u64, "stage");
    put!(&mut text, " {stages}, {}; {}.", tasks_told(&tasks), requests_told(&sum));
    text
}

/// How long tasks waited, and in which stage most.
fn waiting(run: &Run, tasks: &Tasks) -> String {
    let Some(share) = tasks.waiting_share() else { return "No task ran.".to_owned() };
    let seconds = |time: Duration| number(time.as_secs_f64());
    if tasks.waited.is_zero() {
        return format!("No task waited for storage in {} s of task time.", seconds(tasks.run));
    }
    let mut text = format!(
        "Tasks waited for storage for {} of their time ({} of {} s)",
        percent(share),
        seconds(tasks.waited),
        seconds(tasks.run)
    );
    let stages = run.cells.iter().filter_map(|cell| Some((cell, cell.tasks.as_ref()?)));
    let most = stages.max_by_key(|(_, tasks)| tasks.waited).filter(|_| run.cells.len() > 1);
    if let Some((cell, tasks)) = most {
        let name = short(&cell.setup.to_string());
        put!(&mut text, "; most in {name}: {} s", seconds(tasks.waited));
        if let Some(share) = tasks.waiting_share() {
            put!(&mut text, ", {} of its task time", percent(share));
        }
    }
    text + "."
}

fn limited(run: &Run, limit: Limit) -> String {
    let told = match limit {
        Limit::SmallRequests => {
            return format!("The job makes too many small requests: {}.", small_requests(run));
        }
        Limit::Storage => "The job is storage-bound",
        Limit::Both => "Storage and CPU limit the job",
        Limit::Cpu => "The job is CPU-bound: storage is not what makes it slow",
    };
    match run.with_small_requests().count() as u64 {
        0 => format!("{told}."),
        1 => format!("{told}; 1 stage makes too many small requests."),
        stages => format!("{told}; {} stages make too many small requests.", count(stages)),
    }
}

/// Why requests are many and small, in the stages where they are.
fn small_requests(run: &Run) -> String {
    let (mut tasks, mut carrying, mut lookups) = (0, 0, 0);
    let mut carried = Distribution::bytes();
    for cell in run.with_small_requests() {
        let (some, looks) = cell.carrying_and_lookups();
        tasks += cell.tasks.as_ref().map_or(0, Tasks::count);
        (carrying, lookups) = (carrying + some, lookups + looks);
        if let Some(bytes) = cell.carried() {
            carried.merge(&bytes);
        }
    }
    let a_task = number((carrying + lookups) as f64 / tasks.max(1) as f64);
    let median = bytes(carried.quantile(0.5).min(carried.max()) as f64);
    match carrying {
        0 => format!("{a_task} HEADs and LISTs a task, and no GET or PUT"),
        _ => format!(
            "{a_task} a task ({} GETs and PUTs, {} HEADs and LISTs), the median GET or PUT of {median}",
            count(carrying),
            count(lookups)
        ),
    }
}

/// Such as `200 tasks (2 failed, 1 killed, 4 speculative)`.
fn tasks_told(tasks: &Tasks) -> String {
    let marks = marks(tasks);
    match tasks.count() {
        0 => "no tasks".to_owned(),
        all if marks.is_empty() => counted(all, "task"),
        all => format!("{} ({marks})", counted(all, "task")),
    }
}

/// Tasks that did not end as they were meant to: `2 failed, 1 killed, 4 speculative`.
pub(super) fn marks(tasks: &Tasks) -> String {
    let all =
        [(tasks.failed, "failed"), (tasks.killed, "killed"), (tasks.speculative, "speculative")];
    let marks = all.into_iter().filter(|(of, _)| *of > 0);
    marks.map(|(of, name)| format!("{} {name}", count(of))).collect::<Vec<_>>().join(", ")
}

/// Such as `1,204 requests, 9.4 GB (over-read 6 %), first byte p50 31 ms, p99 118 ms, p99.9 240 ms, 3 retries`.
fn requests_told(cell: &Cell) -> String {
    let requests = cell.requests();
    let calls: u64 = cell.calls.values().map(|calls| calls.count + calls.failed).sum();
    let mut parts = match (requests, calls) {
        (0, 0) => return "no request".to_owned(),
        // Of a file system that tells no requests.
        (0, _) => vec![counted(calls, "call"), bytes(payload(cell) as f64)],
        _ => vec![counted(requests, "request"), bytes(cell.bytes() as f64)],
    };
    if let Some(share) = cell.over_read() {
        put!(&mut parts[1], " (over-read {})", percent(share));
    }
    let first_byte = cell.times(Phase::Ttfb).map(|times| ("first byte", times));
    let times = first_byte.or_else(|| (requests == 0).then(|| ("whole call", cell.response())));
    parts.extend(times.and_then(|(name, times)| quantiles_told(name, &times)));
    if cell.retries > 0 {
        parts.push(retries(cell.retries));
    }
    if cell.failed_calls > 0 {
        parts.push(format!("{} failed", counted(cell.failed_calls, "call")));
    }
    parts.join(", ")
}

fn retries(of: u64) -> String {
    if of == 1 { "1 retry".to_owned() } else { format!("{} retries", count(of)) }
}

/// Quantiles that at least one value lies above; the largest value in place of those that none does.
fn quantiles_told(name: &str, times: &Distribution) -> Option<String> {
    let named = [(0.5, "p50", 2), (0.99, "p99", 100), (0.999, "p99.9", 1_000)];
    let known = named.into_iter().filter(|(.., least)| times.count() >= *least);
    let mut told: Vec<_> = known
        .map(|(quantile, name, _)| {
            format!("{name} {}", time(times.quantile(quantile).min(times.max())))
        })
        .collect();
    if told.len() < named.len() {
        told.push(format!("max {}", time(times.max())));
    }
    (times.count() > 0).then(|| format!("{name} {}", told.join(", ")))
}

#[cfg(test)]
mod tests;
