// SPDX-License-Identifier: Apache-2.0
//! Pages of runs. How they look is judged in a browser: `tests/interop/test_report.py`.

mod jobs;
mod synthetic;

use jobs::job;
use storescope_instrument::report::{MOST_BYTES, page};
use storescope_instrument::{Cell, Run};
use synthetic::{HOSTILE, cell, run, setup, stalled};

/// The text of a page, and what every page promises.
fn told(runs: &[Run]) -> String {
    let html = page(runs, None);
    assert!(html.len() < MOST_BYTES, "{}", html.len());
    let shown = html.split("<script").next().unwrap().to_owned();
    for wrong in ["NaN", "inf", "http://", "https://", "<link", " src="] {
        assert!(!shown.contains(wrong), "{wrong}");
    }
    for chart in shown.split("role=\"img\"").skip(1) {
        assert!(
            chart.starts_with(" aria-label=\"") && !chart.starts_with(" aria-label=\"\""),
            "{chart:.60}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, &html).unwrap();
    let read = Run::read_all(&path).unwrap();
    assert_eq!(read.len(), runs.len());
    for (read, run) in read.iter().zip(runs) {
        assert_eq!(read.about, run.about);
        for (read, cell) in read.cells.iter().zip(&run.cells) {
            assert_eq!((&read.calls, &read.attempts), (&cell.calls, &cell.attempts));
        }
    }
    shown
}

fn charts(shown: &str) -> usize {
    shown.matches("role=\"img\"").count()
}

fn has(shown: &str, all: &[&str]) {
    for part in all {
        assert!(shown.contains(part), "{part}");
    }
}

#[test]
fn one_cell_is_told_in_words_numbers_and_charts() {
    let shown = told(&[run(vec![cell(setup(65_536, 8), 20_000, 1)])]);
    // Percentiles, two heat maps, panels over time, phases.
    assert_eq!(charts(&shown), 5);
    has(
        &shown,
        &[
            "get, random, 64 KiB, 8 at a time, on oci://demo@ns/in/: 20,000 calls in 60 s, 333 a second, 21.8 MB/s.",
            "First byte p50 27",
            "response p50 28",
            "Nothing failed.",
            "<td>20,000</td>",
            "p99.9+",
            "ttfb",
            "s3-standard",
            "storescope bench &#39;it&#39;\\&#39;&#39;s&#39;",
            "This file holds the run:",
        ],
    );
    assert!(!shown.contains("Too few samples") && !shown.contains("service"), "{shown}");
}

#[test]
fn an_open_loop_that_fell_behind_is_told() {
    let shown = told(&[run(vec![stalled(12_000)])]);
    has(
        &shown,
        &[
            "200/s",
            "The rate of 200/s was not held: 190/s were begun, up to 3 s late, and late for 3 s in all; 12 calls never began.",
            ">service<",
            ">response<",
        ],
    );
}

#[test]
fn a_sweep_has_a_row_a_cell_a_fit_and_a_knee() {
    let sizes = [4_096, 65_536, 1 << 20, 8 << 20];
    let cells = sizes.iter().flat_map(|size| {
        [1, 4, 16, 64].map(|at| cell(setup(*size, at), 1_500, size + u64::from(at)))
    });
    let shown = told(&[run(cells.collect())]);
    has(
        &shown,
        &[
            "A sweep of 16 cells",
            "1 MiB, 16 at a time",
            "Response p50 by size, ms",
            "Throughput and p99 by calls at a time",
            "Fit of 1 at a time:",
            "Too few samples for p99.9 in 16 of 16 cells: 1,500, and an interval needs 3,688.",
        ],
    );
    assert_eq!(shown.matches("<tr><th>8 MiB, 64 at a time</th>").count(), 2);
}

#[test]
fn runs_are_overlaid() {
    let runs = [1, 2].map(|seed| run(vec![cell(setup(65_536, 8), 5_000, seed)]));
    let shown = told(&runs);
    has(
        &shown,
        &[
            "<b>Run 1.</b>",
            "<b>Run 2.</b>",
            "data-name=\"run 2\"",
            "oci://demo@ns/in/: 2 runs",
            "This file holds the runs:",
        ],
    );
    assert!(page(&[], None).contains("No run"));
}

#[test]
fn little_is_told_as_little() {
    let shown = told(&[run(Vec::new())]);
    has(&shown, &["Nothing was measured of oci://demo@ns/in/."]);
    assert_eq!(charts(&shown), 0);
    let shown = told(&[run(vec![Cell::new(setup(65_536, 8))])]);
    has(&shown, &["0 requests in 0 s. Nothing failed."]);
    let shown = told(&[run(vec![cell(setup(65_536, 8), 1, 1)])]);
    has(
        &shown,
        &[
            "1 call in 60 s",
            "Too few samples for p99 and what is above it: 1, and an interval needs 368.",
        ],
    );
}

#[test]
fn failures_are_told_and_names_are_no_markup() {
    let mut failing = cell(setup(65_536, 8), 2_000, 1);
    (failing.failed_calls, failing.retries) = (40, 160);
    failing.first_error = Some(format!("get {HOSTILE}: 503"));
    failing.setup.pattern = HOSTILE.into();
    let mut run = run(vec![failing]);
    (run.about.url, run.about.notes) = (HOSTILE.into(), vec![HOSTILE.into()]);
    run.about.command = vec![HOSTILE.into()];
    let shown = told(std::slice::from_ref(&run));
    assert!(!shown.contains("<b>") && !page(&[run], Some(HOSTILE)).contains("</script><b>"));
    has(
        &shown,
        &[
            "40 calls failed; 0 attempts failed, 160 were made again.",
            "The first failure: get &lt;/script&gt;&lt;b&gt;",
        ],
    );
}

#[test]
fn what_does_not_fit_is_shortened_and_told() {
    let cells = (0..70).map(|seed| cell(setup(4_096, 1 + seed), 1_000, seed.into())).collect();
    let whole = run(cells);
    let shown = told(std::slice::from_ref(&whole));
    has(&shown, &["a cell to stay small", "8 of 70; the table has all."]);
}

#[test]
fn a_job_has_its_stages_first() {
    let shown = told(&[job(3)]);
    has(
        &shown,
        &[
            "Tasks waited for storage for ",
            "; most in stage 0.0 (parquet at reduce.py:41): ",
            "3 stages, 123 tasks (3 failed, 3 speculative); 1,680 requests",
            "<h2>Stages</h2>",
            "<th>stage 1.0 (showString at NativeMethodAccessorImpl.java:0)</th><td>41<small>1 failed, 1 speculative</small>",
            "too many small requests",
            "Slowest executors",
            "All stages of a job together.",
            "First byte by stage, ms",
            "data-name=\"stage 2.0 (json at clean.py:7)\"",
            "a job of 3 stages",
            "<dd>monotonic, of each executor</dd>",
        ],
    );
    let at = |part: &str| shown.find(part).expect(part);
    assert!(
        at("class=\"verdict\"") < at("<h2>Stages</h2>")
            && at("<h2>Stages</h2>") < at("<h2>Latency, ms</h2>")
    );
    // Nothing that a job does not have: no series, no bands, no sweep, no seed.
    for wrong in [
        "over time",
        "Throughput",
        "What makes the p50",
        "Size and load",
        "<dt>Seed",
        "Too few samples",
        "sweep",
        "a second",
    ] {
        assert!(!shown.contains(wrong), "{wrong}");
    }
    // Percentiles of responses and first bytes, and of each stage that has requests.
    assert_eq!(charts(&shown), 2);
}

#[test]
fn a_job_of_one_stage_and_one_without_requests() {
    let shown = told(&[job(1)]);
    has(&shown, &["1 stage, 40 tasks; 480 requests", "<h2>Percentiles</h2>"]);
    assert!(!shown.contains("; most in ") && !shown.contains("First byte by stage"));
    let mut idle = job(2);
    idle.cells.remove(0);
    let shown = told(&[idle]);
    has(
        &shown,
        &["No task waited for storage in 240 s of task time.", "; no request.", "<td>–</td>"],
    );
    assert!(!shown.contains("<h2>Latency") && charts(&shown) == 0);
}

#[test]
fn jobs_of_many_stages_stay_small_and_say_what_is_left_out() {
    let shown = told(&[job(60)]);
    has(&shown, &["60 stages, ", "8 of 45 stages, those that waited longest; the table has all."]);
    assert_eq!(shown.matches("<tr><th>stage ").count(), 60);
    let many = page(&[job(200)], None);
    assert!(many.len() < MOST_BYTES, "{}", many.len());
    assert_eq!(many.matches("<tr><th>stage ").count(), 200);
}

#[test]
fn a_job_beside_a_bench_has_its_own_words() {
    let shown = told(&[job(3), run(vec![cell(setup(65_536, 8), 5_000, 1)])]);
    has(
        &shown,
        &[
            "<b>Run 1.</b> Tasks waited",
            "<b>Run 2.</b> get, random, 64 KiB",
            "<h3>Run 1</h3>",
            "<tr><th>run 1</th>",
        ],
    );
}

#[test]
fn names_of_stages_and_executors_are_no_markup() {
    let mut run = job(3);
    for cell in &mut run.cells {
        let name = cell.setup.name.take().unwrap();
        cell.setup.name = Some(format!("{HOSTILE}\u{1b}[31m {name} {}", "x".repeat(5_000)));
        let tasks = cell.tasks.as_mut().unwrap();
        tasks.workers = tasks
            .workers
            .iter()
            .map(|(name, worker)| (format!("{HOSTILE}\u{8}{name}"), worker.clone()))
            .collect();
    }
    let shown = told(&[run]);
    assert!(!shown.contains("<b>\"") && !shown.chars().any(|c| c.is_control() && c != '\n'));
    assert!(shown.contains("&lt;/script&gt;&lt;b&gt;") && !shown.contains(&"x".repeat(200)));
}
