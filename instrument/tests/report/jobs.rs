// SPDX-License-Identifier: Apache-2.0
//! Runs of jobs, made from a seed.

use crate::synthetic::{normal, run};
use std::fmt::Write as _;
use std::time::Duration;
use storescope::timing::{Distribution, Snapshot};
use storescope_instrument::{Run, Stage, Tasks, Worker};

const MS: u64 = 1_000_000;

/// A stage that reads: so many tasks, each with so many GETs of so many bytes, and so long at work beside them.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) tasks: u64,
    pub(crate) gets: u64,
    pub(crate) size: u64,
    pub(crate) work: Duration,
    pub(crate) executors: u64,
}

/// Table scans, shuffles, small files and a listing in turn, as a job of so many stages has them.
pub(crate) fn job(stages: u64) -> Run {
    let mut job = run(Vec::new());
    job.about.url = "reduce.py (app-20261130-0001)".into();
    job.about.command = Vec::new();
    job.about.model = None;
    (job.about.seed, job.about.processes) = (0, 5);
    Run::of_stages(job.about, (0..stages).map(stage))
}

fn stage(number: u64) -> Stage {
    let reading =
        Reading { tasks: 40, gets: 12, size: 8 << 20, work: Duration::from_secs(6), executors: 4 };
    match number % 4 {
        0 => reads(number, "parquet at reduce.py:41", reading),
        1 => reads(
            number,
            "showString at NativeMethodAccessorImpl.java:0",
            Reading { gets: 0, ..reading },
        ),
        2 => reads(
            number,
            "json at clean.py:7",
            Reading { size: 9_000, gets: 30, work: Duration::from_millis(400), ..reading },
        ),
        _ => reads(
            number,
            "treeAggregate at fit.py:118",
            Reading { gets: 2, work: Duration::from_secs(20), ..reading },
        ),
    }
}

pub(crate) fn reads(number: u64, call_site: &str, reading: Reading) -> Stage {
    let mut draws = fastrand::Rng::with_seed(number);
    let (mut firsts, mut wholes) = (Distribution::nanoseconds(), Distribution::nanoseconds());
    let (mut bytes, mut holes) = (Distribution::bytes(), Distribution::bytes());
    let mut tasks = Tasks { failed: number % 3, speculative: number % 5, ..Tasks::default() };
    for task in 0..reading.tasks {
        let executor = task % reading.executors;
        let worker: &mut Worker = tasks.workers.entry(format!("{}", executor + 1)).or_default();
        let mut waited = 0;
        for _ in 0..reading.gets {
            let slow = if executor == 2 { 3.0 } else { 1.0 };
            let first =
                (slow * (8.0 + 19.0 * (0.75 * normal(&mut draws)).exp()) * MS as f64) as u64;
            let whole = first + reading.size * 16;
            waited += whole;
            firsts.record(first);
            wholes.record(whole);
            bytes.record(reading.size);
            holes.record(reading.size / 20);
            worker.first_byte.record(first);
            worker.requests += 1;
            worker.bytes += reading.size;
        }
        let waited = Duration::from_nanos(waited);
        worker.tasks += 1;
        (worker.run, worker.waited) = (worker.run + waited + reading.work, worker.waited + waited);
        (tasks.run, tasks.waited) = (tasks.run + waited + reading.work, tasks.waited + waited);
        tasks.succeeded += 1;
    }
    let keys = [
        ("attempt/get/ttfb/ok/le8M/reused", &firsts),
        ("attempt/get/total/ok/le8M/reused", &wholes),
        ("attempt/get/bytes_delivered/ok/-/-", &bytes),
        ("attempt/get/bytes_discarded/ok/-/-", &holes),
        ("call/get/total/ok/-/-", &wholes),
        ("call/get/wait/ok/-/-", &wholes),
        ("attempt/get/send/ok/-/-", &firsts),
        ("attempt/get/pool/ok/-/-", &firsts),
        ("attempt/get/prepare/ok/-/-", &firsts),
        ("attempt/get/sign/ok/-/-", &firsts),
        ("attempt/get/body/ok/-/-", &wholes),
    ];
    let name = format!("stage {number}.0 ({call_site})");
    Stage { name, elapsed: Duration::from_secs(30), attempts: snapshot(number * 20, &keys), tasks }
}

fn snapshot(begun: u64, keys: &[(&str, &Distribution)]) -> Snapshot {
    let start = 1_796_000_000 + begun;
    let mut log = format!("#[StartTime: {start}.000 (seconds since epoch)]\n");
    for (tag, values) in keys.iter().filter(|(_, values)| values.count() > 0) {
        let encoded = values.encode();
        let (_, histogram) = encoded.rsplit_once(' ').unwrap();
        let (sum, min, max) = (values.sum(), values.min(), values.max());
        writeln!(
            log,
            "Tag={tag},{start}.000,30.000,1.0,{histogram}\n#[Exact: {tag} {sum} {min} {max}]"
        )
        .unwrap();
    }
    Snapshot::from_hlog(&log).unwrap()
}
