// SPDX-License-Identifier: Apache-2.0
//! Jobs and their stages side by side, and the executors whose tasks waited longest.

use super::html::{Escaped, put};
use super::interval;
use super::job::marks;
use super::measures::{longest, payload};
use super::names::{Names, short};
use super::units::{bytes, count, counted, ms, number, percent};
use crate::job::{Job, Limit};
use crate::run::{Cell, Run};
use crate::tasks::{Tasks, Worker};
use std::cmp::Reverse;
use std::time::Duration;
use storescope::timing::{Distribution, Phase};

/// Rows of the tables of jobs and of stages.
const JOBS: usize = 50;
const STAGES: usize = 200;
/// Stages whose executors are told, and executors of each.
const WITH_EXECUTORS: usize = 12;
const EXECUTORS: usize = 5;

const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

const MEANING: &str = "Waiting: how long threads of tasks were blocked by calls of a store, as a share of task time; above 100 % \
    where several threads of a task waited at a time. Over-read: bytes received that nobody had asked for, as a share of what \
    was read. Below each quantile is its 95 % interval; – is none, by too few samples.";

/// A section for the runs that are jobs; nothing where none is.
pub(super) fn draw(out: &mut String, runs: &[Run], names: &Names) {
    let with_stages: Vec<_> = runs.iter().enumerate().filter(|(_, run)| run.is_job()).collect();
    if with_stages.is_empty() {
        return;
    }
    out.push_str("<section><h2>Stages</h2>\n");
    put!(out, "<p class=\"note\">{MEANING}</p>");
    for (at, run) in with_stages {
        if !names.run(at).is_empty() {
            put!(out, "<h3>Run {}</h3>", at + 1);
        }
        jobs(out, run);
        stages(out, run);
        executors(out, run);
    }
    put!(out, "<p class=\"note\">{}</p></section>\n", Escaped(Limit::RULE));
}

/// The stages of each job together; nothing where there are not several jobs.
fn jobs(out: &mut String, run: &Run) {
    let jobs = run.jobs();
    if jobs.len() < 2 {
        return;
    }
    let mut shown: Vec<_> = jobs.iter().map(|job| (job, waited(job))).collect();
    shown.sort_by_key(|(job, waited)| (Reverse(*waited), job.number));
    shown.truncate(JOBS);
    shown.sort_by_key(|(job, _)| job.number);
    begin(out, "stages jobs", "Jobs");
    for (job, _) in &shown {
        row(out, &job.sum(), &counted(job.stages.len() as u64, "stage"), job.limit());
    }
    out.push_str("</tbody></table>\n");
    left_out(out, shown.len(), jobs.len(), "job");
}

fn waited(job: &Job<'_>) -> Duration {
    job.stages.iter().filter_map(|stage| stage.tasks.as_ref()).map(|tasks| tasks.waited).sum()
}

fn stages(out: &mut String, run: &Run) {
    begin(out, "stages", "Stages");
    let shown = longest(run, STAGES, |_| true);
    for cell in &shown {
        row(out, cell, "", cell.limit());
    }
    out.push_str("</tbody></table>\n");
    left_out(out, shown.len(), run.cells.len(), "stage");
}

/// The head of a table of stages, or of jobs.
fn begin(out: &mut String, class: &str, caption: &str) {
    put!(
        out,
        "<table class=\"{class}\"><caption class=\"unseen\">{caption}</caption><thead><tr><td></td><th>tasks</th>\
         <th>task time, s</th><th>waiting</th><th>requests</th><th>bytes</th><th>over-read</th><th>retries</th>\
         <th>first byte p50, ms</th><th>p99, ms</th><th>p99.9, ms</th></tr></thead><tbody>\n"
    );
}

fn left_out(out: &mut String, shown: usize, all: usize, what: &str) {
    if shown < all {
        put!(
            out,
            "<p class=\"note\">{} of {}, those that waited longest; run.json has all.</p>",
            count(shown as u64),
            counted(all as u64, what)
        );
    }
}

/// A row: what it is, with something small below its name, and what limits it.
fn row(out: &mut String, cell: &Cell, below: &str, limit: Option<Limit>) {
    let tasks = cell.tasks.clone().unwrap_or_default();
    put!(out, "<tr><th>{}", Escaped(&short(&cell.setup.to_string())));
    if !below.is_empty() {
        put!(out, "<small>{}</small>", Escaped(below));
    }
    out.push_str("</th>");
    if tasks.count() > 0 {
        cell_with(out, &count(tasks.count()), &marks(&tasks));
        put!(out, "<td>{}</td>", number(tasks.run.as_secs_f64()));
    } else {
        out.push_str("<td>–</td><td>–</td>");
    }
    let limit = limit.map_or_else(String::new, |limit| limit.to_string());
    waiting(out, tasks.waiting_share(), &limit);
    let (requests, calls) = (cell.requests(), cell.calls.values().map(|calls| calls.count).sum());
    // Of a file system that tells no requests.
    let calls = if requests == 0 && calls > 0 { counted(calls, "call") } else { String::new() };
    cell_with(out, &count(requests), &calls);
    let moved = if calls.is_empty() { cell.bytes() } else { payload(cell) };
    let over_read = cell.over_read().map_or_else(|| "–".to_owned(), percent);
    put!(
        out,
        "<td>{}</td><td>{over_read}</td><td>{}</td>",
        bytes(moved as f64),
        count(cell.retries)
    );
    let first_byte = cell.times(Phase::Ttfb).filter(|times| times.count() > 0);
    for quantile in QUANTILES {
        match &first_byte {
            None => out.push_str("<td>–</td>"),
            Some(times) => cell_with(out, &at(times, quantile), &told_interval(times, quantile)),
        }
    }
    out.push_str("</tr>\n");
}

/// A value, and something small below it.
fn cell_with(out: &mut String, value: &str, below: &str) {
    put!(out, "<td>{value}");
    if !below.is_empty() {
        put!(out, "<small>{}</small>", Escaped(below));
    }
    out.push_str("</td>");
}

/// A share as a bar and in per cent.
fn waiting(out: &mut String, share: Option<f64>, below: &str) {
    let Some(share) = share else { return out.push_str("<td>–</td>") };
    let width = (share * 100.0).clamp(0.0, 100.0);
    let told = format!(
        "<svg class=\"share\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path d=\"M0 2h100\"/>\
         <path d=\"M0 2h{width:.0}\"/></svg>{}",
        percent(share).replace('<', "&lt;")
    );
    cell_with(out, &told, below);
}

fn at(times: &Distribution, quantile: f64) -> String {
    number(ms(times.quantile(quantile).min(times.max())))
}

fn told_interval(times: &Distribution, quantile: f64) -> String {
    interval(times, quantile).map_or_else(
        || "–".to_owned(),
        |(low, high)| format!("{}–{}", number(ms(low)), number(ms(high))),
    )
}

/// A table of the slowest executors of each stage that has several.
fn executors(out: &mut String, run: &Run) {
    let several = |cell: &Cell| {
        cell.tasks.as_ref().is_some_and(|it| it.workers.len() > 1 && !it.waited.is_zero())
    };
    let shown = longest(run, WITH_EXECUTORS, several);
    if shown.is_empty() {
        return;
    }
    put!(
        out,
        "<h3>Slowest executors</h3><p class=\"note\">At most {EXECUTORS} of each stage, those whose tasks waited longest \
         first; p50 and p99 of first bytes.</p><table class=\"executors\"><caption class=\"unseen\">Executors by stage</caption><thead><tr><td></td>\
         <th>tasks</th><th>wait a task, s</th><th>waiting</th><th>requests</th><th>bytes</th><th>p50, ms</th>\
         <th>p99, ms</th></tr></thead>\n"
    );
    for cell in &shown {
        let tasks = cell.tasks.as_ref().expect("they have executors");
        group(out, &cell.setup.to_string(), tasks);
    }
    out.push_str("</table>\n");
    left_out(out, shown.len(), run.cells.iter().filter(|cell| several(cell)).count(), "stage");
}

fn group(out: &mut String, name: &str, tasks: &Tasks) {
    let all = tasks.workers.len();
    put!(
        out,
        "<tbody><tr><th colspan=\"8\" scope=\"rowgroup\">{}<small>{}</small></th></tr>",
        Escaped(&short(name)),
        counted(all as u64, "executor")
    );
    for (executor, worker) in tasks.slowest(EXECUTORS) {
        put!(out, "<tr><th>{}</th>", Escaped(&short(executor)));
        executor_cells(out, worker);
        out.push_str("</tr>");
    }
    out.push_str("</tbody>\n");
}

fn executor_cells(out: &mut String, worker: &Worker) {
    put!(
        out,
        "<td>{}</td><td>{}</td>",
        count(worker.tasks),
        number(worker.waited_a_task().as_secs_f64())
    );
    waiting(out, worker.waiting_share(), "");
    put!(out, "<td>{}</td><td>{}</td>", count(worker.requests), bytes(worker.bytes as f64));
    for quantile in [0.5, 0.99] {
        let is_known = worker.first_byte.count() > 0;
        let told = if is_known { at(&worker.first_byte, quantile) } else { "–".to_owned() };
        put!(out, "<td>{told}</td>");
    }
}

#[cfg(test)]
mod tests;
