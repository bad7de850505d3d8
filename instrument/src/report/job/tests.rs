// SPDX-License-Identifier: Apache-2.0
//! Lines and sentences of jobs.

use super::*;
use crate::job::Stage;
use crate::made::{MS, job, snapshot, stage};

fn line(stage: Stage) -> String {
    Cell::from(stage).stage_line()
}

fn reading() -> Stage {
    let first: Vec<u64> = (0..1_204).map(|n| (20 + n % 100) * MS).collect();
    let (whole, sizes) = (vec![150 * MS; 1_204], vec![7_800_000; 1_204]);
    let attempts = snapshot(
        0,
        &[
            ("attempt/get/ttfb/ok/le8M/reused", &first),
            ("attempt/get/total/ok/le8M/reused", &whole),
            ("attempt/get/total/server/-/reused", &[MS, MS, MS]),
            ("attempt/get/bytes_delivered/ok/-/-", &sizes),
            ("attempt/get/bytes_discarded/ok/-/-", &[560_000_000]),
            ("call/get/total/ok/-/-", &whole),
        ],
    );
    let (run, waited) = (Duration::from_secs(812), Duration::from_secs(302));
    let mut tasks = crate::made::tasks(193, run, waited);
    (tasks.succeeded, tasks.failed, tasks.killed, tasks.speculative) = (197, 2, 1, 4);
    let name = "stage 3.0 (parquet at reduce.py:41)".to_owned();
    Stage { name, elapsed: Duration::from_mins(1), attempts, tasks }
}

#[test]
fn a_stage_is_told_in_a_line() {
    assert_eq!(
        line(reading()),
        "stage 3.0 (parquet at reduce.py:41): 200 tasks (2 failed, 1 killed, 4 speculative), 812 s of task time, 37 % of it \
         waiting for storage (storage and CPU); 1,207 requests, 9.39 GB (over-read 6 %), first byte p50 69.2 ms, p99 118 ms, p99.9 119 ms, \
         3 retries"
    );
    let without = line(stage("stage 4.0\u{1b}[31m\nERROR", 0, 0));
    assert_eq!(
        without,
        "stage 4.0 [31m ERROR: 10 tasks, 10 s of task time, 0 % of it waiting for storage; no request"
    );
    let few = Stage { tasks: Tasks::default(), ..stage("driver", 34, 1_000) };
    assert_eq!(
        line(few),
        "driver: no tasks; 34 requests, 34 kB (over-read 0 %), first byte p50 28 ms, max 39 ms"
    );
}

#[test]
fn calls_without_requests_are_told_as_calls() {
    let attempts = snapshot(
        0,
        &[
            ("call/get/total/ok/-/-", &[5 * MS, 6 * MS]),
            ("call/get/bytes_delivered/ok/-/-", &[1_000, 2_000]),
            ("call/get/total/client/-/-", &[MS]),
        ],
    );
    let told = line(Stage { attempts, ..stage("stage 5.0", 0, 0) });
    assert!(
        told.ends_with("; 3 calls, 3 kB, whole call p50 5.01 ms, max 6 ms, 1 call failed"),
        "{told}"
    );
}

#[test]
fn the_verdict_says_how_long_tasks_waited_and_where() {
    let told = sentences(&job([stage("stage 2.0", 0, 0), reading(), stage("stage 4.0", 20, 9)]));
    assert_eq!(
        told,
        "Tasks waited for storage for 36 % of their time (303 of 832 s); most in stage 3.0 (parquet at reduce.py:41): 302 s, \
         37 % of its task time. Storage and CPU limit the job. 3 stages, 220 tasks (2 failed, 1 killed, 4 speculative); \
         1,227 requests, 9.39 GB (over-read 6 %), first byte p50 68.2 ms, p99 118 ms, p99.9 119 ms, 3 retries."
    );
    let idle = sentences(&job([stage("stage 2.0", 0, 0)]));
    assert_eq!(
        idle,
        "No task waited for storage in 10 s of task time. The job is CPU-bound: storage is not what makes it slow. 1 stage, \
         10 tasks; no request."
    );
    let small = sentences(&job([stage("stage 1.0", 150, 4_096)]));
    assert!(
        small.starts_with("Tasks waited for storage for 75 % of their time (7.5 of 10 s). The job makes too many small \
            requests: 15 a task (150 GETs and PUTs, 0 HEADs and LISTs), the median GET or PUT of 4.1 kB. 1 stage"),
        "{small}"
    );
    let none = Stage { tasks: Tasks::default(), ..stage("driver", 1, 1) };
    assert!(sentences(&job([none])).starts_with("No task ran. 1 stage, no tasks; 1 request, 1 B"));
}
