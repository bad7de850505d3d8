// SPDX-License-Identifier: Apache-2.0
//! The table of stages, as text.

use super::*;
use crate::job::Stage;
use crate::made::{MS, job, snapshot, stage, tasks};
use std::time::Duration;

fn drawn(runs: &[Run]) -> String {
    let mut out = String::new();
    draw(&mut out, runs, &Names::of(runs, &[]));
    out
}

/// The texts of a row's cells, tags as spaces.
fn rows(html: &str, class: &str) -> Vec<String> {
    let Some((_, table)) = html.split_once(&format!("<table class=\"{class}\">")) else {
        return Vec::new();
    };
    let table = table.split("</table>").next().unwrap();
    let text = |row: &str| {
        let mut inside = false;
        let spaced: String = row
            .chars()
            .map(|letter| {
                inside = letter == '<' || (inside && letter != '>');
                if inside || letter == '>' { ' ' } else { letter }
            })
            .collect();
        spaced.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (_, body) = table.split_once("</thead>").unwrap();
    body.split("<tr>").skip(1).map(text).collect()
}

#[test]
fn a_row_has_tasks_waiting_requests_and_quantiles() {
    let mut reading = stage("stage 3.0 (parquet at <reduce>.py:41)", 400, 1 << 20);
    reading.tasks.run = Duration::from_secs(40);
    (reading.tasks.failed, reading.tasks.killed, reading.tasks.speculative) = (2, 1, 4);
    let html = drawn(&[job([reading, stage("stage 4.0", 0, 0)])]);
    assert_eq!(
        rows(&html, "stages"),
        [
            "stage 3.0 (parquet at &lt;reduce&gt;.py:41) 13 2 failed, 1 killed, 4 speculative 40 50 % storage-bound 400 419 MB \
             0 % 0 29.1 27.9–31.1 39 38.8–39.1 39 –",
            "stage 4.0 10 10 0 % CPU-bound 0 0 B – 0 – – –",
        ]
    );
    assert!(html.contains("<path d=\"M0 2h50\"/>") && html.contains("<path d=\"M0 2h0\"/>"));
    assert!(html.contains(Limit::RULE) && !html.contains("Slowest executors"));
}

#[test]
fn waiting_beyond_all_fills_the_bar_and_is_told() {
    let busy = Stage {
        tasks: tasks(4, Duration::from_secs(10), Duration::from_secs(14)),
        ..stage("stage 1.0", 3, 1)
    };
    let idle = Stage { tasks: Tasks::default(), ..stage("driver", 0, 0) };
    let html = drawn(&[job([busy, idle])]);
    let rows = rows(&html, "stages");
    assert!(rows[0].starts_with("stage 1.0 4 10 140 % storage-bound 3 3 B"), "{rows:?}");
    assert_eq!(rows[1], "driver – – – 0 0 B – 0 – – –");
    assert!(html.contains("<path d=\"M0 2h100\"/><"));
}

#[test]
fn calls_of_file_systems_that_tell_no_requests_have_their_bytes() {
    let attempts = snapshot(
        0,
        &[
            ("call/get/total/ok/-/-", &[5 * MS, 6 * MS]),
            ("call/get/bytes_delivered/ok/-/-", &[1_000, 2_000]),
        ],
    );
    let html = drawn(&[job([Stage { attempts, ..stage("stage 5.0", 0, 0) }])]);
    let rows = rows(&html, "stages");
    assert_eq!(rows, ["stage 5.0 10 10 0 % CPU-bound 0 2 calls 3 kB – 0 – – –"]);
}

#[test]
fn the_slowest_executors_are_first_and_few() {
    let mut wide = stage("stage 1.0", 30, 1_000);
    for number in 0..40 {
        let mut worker = Worker { tasks: 10, requests: 20, bytes: 30_000, ..Worker::default() };
        (worker.run, worker.waited) = (Duration::from_secs(20), Duration::from_secs(number));
        worker.first_byte.record(number * MS);
        wide.tasks.workers.insert(format!("exec\u{7}<{number}>"), worker);
    }
    let html = drawn(&[job([wide, stage("stage 2.0", 3, 1)])]);
    let rows = rows(&html, "executors");
    assert_eq!(rows.len(), 1 + EXECUTORS);
    assert_eq!(rows[0], "stage 1.0 41 executors");
    assert_eq!(rows[1], "exec\u{fffd}&lt;39&gt; 10 3.9 195 % 20 30 kB 39 39");
    assert!(rows[5].starts_with("exec\u{fffd}&lt;35&gt; 10 3.5 175 %"), "{rows:?}");
}

#[test]
fn of_very_many_stages_those_that_waited_longest_are_shown() {
    let many = (0..STAGES + 50).map(|number| {
        let mut stage = stage(&format!("stage {number}.0"), 1, 1);
        stage.tasks.waited = Duration::from_millis(number as u64);
        for executor in 2..4 {
            stage.tasks.workers.insert(executor.to_string(), Worker::default());
        }
        stage
    });
    let html = drawn(&[job(many)]);
    let rows = rows(&html, "stages");
    assert_eq!(rows.len(), STAGES);
    assert!(rows[0].starts_with("stage 50.0 ") && rows[STAGES - 1].starts_with("stage 249.0 "));
    assert!(html.contains("200 of 250 stages, those that waited longest; run.json has all."));
    assert!(html.contains("12 of 249 stages, those that waited longest; run.json has all."));
}

#[test]
fn each_of_several_jobs_has_a_table_and_a_bench_has_none() {
    let two = [job([stage("stage 1.0", 3, 1)]), job([stage("stage 1.0", 4, 1)])];
    let html = drawn(&two);
    assert_eq!(html.matches("<table class=\"stages\">").count(), 2);
    assert!(html.contains("<h3>Run 1</h3>") && html.contains("<h3>Run 2</h3>"));
    let mut bench = two[0].clone();
    bench.cells[0].tasks = None;
    assert_eq!(drawn(&[bench]), "");
}

#[test]
fn several_jobs_have_a_row_each_above_their_stages() {
    let of = |number: u32, name: &str, gets| {
        let mut stage = stage(name, gets, 1 << 20);
        stage.tasks.job = Some(number);
        stage
    };
    let first = [of(0, "stage 0.0", 100), of(0, "stage 1.0", 20)];
    let html = drawn(&[job(first.clone().into_iter().chain([of(3, "stage 2.0", 0)]))]);
    let jobs = rows(&html, "stages jobs");
    assert!(
        jobs[0].starts_with("job 0 2 stages 20 20 30 % storage and CPU 120 126 MB"),
        "{jobs:?}"
    );
    assert_eq!(jobs[1], "job 3 1 stage 10 10 0 % CPU-bound 0 0 B – 0 – – –");
    assert_eq!((jobs.len(), rows(&html, "stages").len()), (2, 3));
    // One job is all there is, and that is told above.
    assert!(rows(&drawn(&[job(first)]), "stages jobs").is_empty());
}
