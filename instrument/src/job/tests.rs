// SPDX-License-Identifier: Apache-2.0
//! What a stage's snapshot tells of its calls, and what makes a stage slow.

use super::*;
use crate::made::{MS, job, snapshot, stage, tasks};
use crate::run::Run;

#[test]
fn calls_failures_and_retries_are_what_the_snapshot_tells() {
    let attempts = snapshot(
        0,
        &[
            // Nine reads: one of three attempts, one that failed after three.
            ("attempt/get/total/ok/le64K/reused", &[MS; 8]),
            ("attempt/get/bytes_delivered/ok/-/-", &[1_000; 8]),
            ("attempt/get/total/server/-/reused", &[MS, MS, MS]),
            ("attempt/get/total/throttled/-/new", &[MS]),
            ("attempt/get/total/reset/-/new", &[MS]),
            ("call/get/total/ok/-/-", &[2 * MS, 3 * MS, 4 * MS, MS, MS, MS, MS, MS]),
            ("call/get/total/server/-/-", &[9 * MS]),
            ("call/get/total/cancelled/-/-", &[9 * MS]),
            // A file that is looked for and is not there is an answer.
            ("attempt/head/total/not_found/-/reused", &[MS; 5]),
            ("call/head/total/not_found/-/-", &[MS; 5]),
            // A write by parts.
            ("attempt/put_part/bytes_delivered/ok/-/-", &[5_000, 5_000]),
            ("attempt/upload/bytes_delivered/ok/-/-", &[1]),
            ("call/upload/total/ok/-/-", &[7 * MS]),
            // Of a file system that tells no requests.
            ("call/list/total/ok/-/-", &[MS, MS]),
            ("call/list/bytes_delivered/ok/-/-", &[30, 40]),
            ("call/list/total/client/-/-", &[MS]),
        ],
    );
    let stage = Stage {
        name: "stage 1.0".into(),
        elapsed: Duration::from_secs(3),
        attempts,
        tasks: Tasks::default(),
    };
    let run = job([stage]);
    let cell = &run.cells[0];
    let counts = |name: &str| {
        let calls = &cell.calls[name];
        assert_eq!(calls.response, calls.service);
        (calls.count, calls.failed, calls.bytes, calls.response.max() / MS)
    };
    assert_eq!(cell.calls.keys().collect::<Vec<_>>(), ["get", "list", "upload"]);
    assert_eq!(counts("get"), (8, 1, 8_000, 4));
    assert_eq!(counts("upload"), (1, 0, 10_001, 7));
    assert_eq!(counts("list"), (2, 1, 70, 1));
    // Of five attempts that failed four were followed by another one.
    assert_eq!((cell.retries, cell.failed_calls, &cell.first_error), (4, 2, &None));
    assert_eq!(
        (cell.elapsed, cell.setup.to_string()),
        (Duration::from_secs(3), "stage 1.0".into())
    );
    assert!(run.is_job() && cell.series.points().is_empty());
}

#[test]
fn over_read_is_of_what_reads_received() {
    assert_eq!(job([stage("none", 0, 0)]).cells[0].over_read(), None);
    let attempts = snapshot(
        0,
        &[
            ("attempt/get/bytes_delivered/ok/-/-", &[600, 400]),
            ("attempt/get/bytes_discarded/ok/-/-", &[60]),
            ("attempt/get/bytes_discarded/cancelled/-/-", &[900]),
            ("attempt/put/bytes_delivered/ok/-/-", &[9_000]),
        ],
    );
    let cell = Cell::from(Stage { attempts, ..stage("one", 0, 0) });
    assert_eq!((cell.over_read(), cell.bytes()), (Some(0.06), 10_000));
}

#[test]
fn what_limits_a_stage_follows_the_rule() {
    let limit = |share: f64, keys: &[(&str, &[u64])]| {
        let (run, waited) = (Duration::from_secs(100), Duration::from_secs_f64(100.0 * share));
        let attempts = if keys.is_empty() { Snapshot::default() } else { snapshot(0, keys) };
        Cell::from(Stage { attempts, tasks: tasks(10, run, waited), ..stage("x", 0, 0) }).limit()
    };
    let gets = |n: usize| vec![MS; n];
    let (large, small) = (vec![8 << 20; 200], vec![100 << 10; 200]);
    let with = |gets: &[u64], sizes: &[u64], lookups: &[u64], share: f64| {
        let mut keys = Vec::new();
        for (tag, values) in [
            ("attempt/get/total/ok/le1M/reused", gets),
            ("attempt/get/bytes_delivered/ok/-/-", sizes),
            ("attempt/head/total/ok/-/reused", lookups),
        ] {
            if !values.is_empty() {
                keys.push((tag, values));
            }
        }
        limit(share, &keys)
    };
    assert_eq!(limit(0.0, &[]), Some(Limit::Cpu));
    assert_eq!(limit(0.19, &[]), Some(Limit::Cpu));
    assert_eq!(limit(0.2, &[]), Some(Limit::Both));
    assert_eq!(limit(0.5, &[]), Some(Limit::Storage));
    assert_eq!(limit(3.0, &[]), Some(Limit::Storage));
    // Twenty GETs a task: by what they carry.
    assert_eq!(with(&gets(200), &large, &[], 0.6), Some(Limit::Storage));
    assert_eq!(with(&gets(200), &small, &[], 0.6), Some(Limit::SmallRequests));
    assert_eq!(with(&gets(200), &small, &[], 0.3), Some(Limit::SmallRequests));
    assert_eq!(with(&gets(200), &small, &[], 0.1), Some(Limit::Cpu));
    // Two a task are few, unless each is looked up before.
    assert_eq!(with(&gets(20), &small[..20], &[], 0.6), Some(Limit::Storage));
    assert_eq!(with(&gets(20), &small[..20], &gets(19), 0.6), Some(Limit::Storage));
    assert_eq!(with(&gets(20), &small[..20], &gets(20), 0.6), Some(Limit::SmallRequests));
    // Listings alone.
    assert_eq!(with(&[], &[], &gets(3), 0.6), Some(Limit::SmallRequests));
    // A writer looks up much; by what it writes it is told.
    let writing = |sizes: &[u64]| {
        limit(
            0.4,
            &[
                ("attempt/put_part/bytes_delivered/ok/-/-", sizes),
                ("attempt/put_part/total/ok/le8M/reused", &gets(20)),
                ("attempt/head/total/not_found/-/reused", &gets(90)),
            ],
        )
    };
    assert_eq!(writing(&large[..20]), Some(Limit::Both));
    assert_eq!(writing(&small[..20]), Some(Limit::SmallRequests));
    let idle = Stage { tasks: Tasks::default(), ..stage("driver", 40, 10) };
    assert_eq!(Cell::from(idle).limit(), None);
}

#[test]
fn a_job_makes_too_many_small_requests_where_most_of_the_waiting_is_for_them() {
    let lists: Vec<_> = vec![MS; 5_000];
    let driver = Stage {
        attempts: snapshot(0, &[("attempt/list/total/ok/-/reused", &lists)]),
        tasks: Tasks::default(),
        ..stage("driver", 0, 0)
    };
    let run = job([driver, stage("stage 1.0", 100, 8 << 20), stage("stage 2.0", 60, 8 << 20)]);
    assert_eq!(run.limit(), Some(Limit::Both));
    assert_eq!(run.to_json()["limit"], "storage and CPU");
    assert_eq!(run.to_json()["cells"][0]["limit"], Value::Null);
    let small = |gets| stage("stage 3.0", gets, 4_096);
    assert_eq!(job([stage("stage 1.0", 160, 8 << 20), small(150)]).limit(), Some(Limit::Storage));
    assert_eq!(
        job([stage("stage 1.0", 140, 8 << 20), small(150)]).limit(),
        Some(Limit::SmallRequests)
    );
    assert_eq!(
        job([stage("stage 1.0", 1, 1), small(10), stage("x", 0, 0)]).limit(),
        Some(Limit::Cpu)
    );
    assert_eq!(job([]).limit(), None);
}

#[test]
fn stages_overlap_and_their_times_are_no_sum() {
    let at = |begun: u64, seconds: u64| Stage {
        attempts: snapshot(begun, &[("attempt/get/total/ok/le64K/reused", &[MS])]),
        elapsed: Duration::from_secs(seconds),
        ..stage("x", 0, 0)
    };
    let whole = |stages: Vec<Stage>| job(stages).sum().elapsed.as_secs();
    assert_eq!(whole(vec![at(0, 10), at(5, 10), at(12, 10)]), 22);
    let idle = Stage { elapsed: Duration::from_secs(40), ..stage("idle", 0, 0) };
    assert_eq!(whole(vec![at(0, 10), idle]), 40);
    let sum = job([at(0, 10), at(5, 10)]).sum();
    assert_eq!((sum.setup.to_string(), sum.tasks.unwrap().count()), ("all stages".into(), 20));
}

#[test]
fn a_job_is_written_and_read_back_and_older_runs_have_no_tasks() {
    let hostile = "stage 2.0 (</script><b>\n#[Cell 9: x])";
    let run = job([stage("stage 1.0", 30, 4_096), stage(hostile, 0, 0), stage("stage 3.0", 5, 1)]);
    let folder = tempfile::tempdir().unwrap();
    run.write(folder.path()).unwrap();
    let read = Run::read(folder.path()).unwrap();
    assert_eq!(read.to_json(), run.to_json());
    for (read, wrote) in read.cells.iter().zip(&run.cells) {
        assert_eq!((&read.tasks, &read.setup), (&wrote.tasks, &wrote.setup));
        assert!(read.attempts.iter().eq(wrote.attempts.iter()));
    }
    let json = &run.to_json()["cells"][0];
    assert_eq!(
        (&json["setup"]["name"], &json["waiting_share"]),
        (&"stage 1.0".into(), &0.15.into())
    );
    assert_eq!((&json["over_read"], &json["limit"]), (&0.0.into(), &"CPU-bound".into()));
    assert_eq!(run.to_json()["schema"], 1);

    let mut older = run.to_json();
    for cell in older["cells"].as_array_mut().unwrap() {
        cell.as_object_mut().unwrap().remove("tasks");
        cell["setup"].as_object_mut().unwrap().remove("name");
        cell["setup"]["pattern"] = "random".into();
    }
    std::fs::write(folder.path().join("run.json"), older.to_string()).unwrap();
    let read = Run::read(folder.path()).unwrap();
    assert!(!read.is_job() && read.cells.iter().all(|cell| cell.tasks.is_none()));
    assert_eq!(read.cells[0].setup.name, None);
    assert!(read.to_json()["cells"][0].get("waiting_share").is_none());
}

#[test]
fn jobs_are_sums_of_their_stages() {
    let of = |job: Option<u32>, name: &str, gets, size| {
        let mut stage = stage(name, gets, size);
        stage.tasks.job = job;
        stage
    };
    let run = job([
        of(None, "driver", 7, 1_000),
        of(Some(0), "stage 0.0 (job 0: parquet)", 100, 1 << 20),
        of(Some(0), "stage 1.0 (job 0: parquet)", 100, 9_000),
        of(Some(2), "stage 2.0 (job 2: count)", 0, 0),
    ]);
    let jobs = run.jobs();
    let numbers: Vec<_> = jobs.iter().map(|job| (job.number, job.stages.len())).collect();
    assert_eq!(numbers, [(0, 2), (2, 1)]);
    let first = jobs[0].sum();
    assert_eq!((first.setup.to_string(), first.requests()), ("job 0".to_owned(), 200));
    assert_eq!(first.bytes(), 100 * ((1 << 20) + 9_000));
    assert_eq!(first.times(Phase::Ttfb).unwrap().count(), 200);
    assert_eq!(first.tasks.as_ref().unwrap().job, Some(0));
    assert_eq!(first.tasks.unwrap().waiting_share(), Some(0.5));
    // Half of its waiting is in a stage of small requests.
    assert_eq!(jobs[0].limit(), Some(Limit::SmallRequests));
    assert_eq!(jobs[1].limit(), Some(Limit::Cpu));

    let json = run.to_json();
    let told = json["jobs"].as_array().unwrap();
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0]["job"], &told[0]["requests"]), (&0.into(), &200.into()));
    assert_eq!(told[0]["stages"][1], "stage 1.0 (job 0: parquet)");
    assert_eq!(
        (&told[0]["limit"], &told[1]["limit"]),
        (&"too many small requests".into(), &"CPU-bound".into())
    );
    assert_eq!(
        (&told[1]["waiting_share"], &told[1]["tasks"]["succeeded"]),
        (&0.0.into(), &10.into())
    );
    assert!(job([of(None, "stage 0.0", 1, 1)]).to_json().get("jobs").is_none());
}
