// SPDX-License-Identifier: Apache-2.0
//! Runs of jobs, as the Spark plugin writes them: `report`, `compare` and `merge` take them.

use crate::world::{Api, World};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};
use storescope::timing::{Distribution, Snapshot};
use storescope_instrument::{About, Environment, Run, Stage, Tasks, Worker};

/// Two stages, the first of which makes so many GETs of 1 MiB that take 40 ms; written into a folder of the world.
fn recorded(world: &World, folder: &str, gets: u64) -> Run {
    let mut times = Distribution::nanoseconds();
    (0..gets).for_each(|n| times.record((30 + n % 20) * 1_000_000));
    let encoded = times.encode();
    let (_, histogram) = encoded.rsplit_once(' ').unwrap();
    let mut log = String::from("#[StartTime: 1796000000.000 (seconds since epoch)]\n");
    for tag in [
        "attempt/get/ttfb/ok/le1M/reused",
        "attempt/get/total/ok/le1M/reused",
        "call/get/total/ok/-/-",
    ] {
        writeln!(log, "Tag={tag},1796000000.000,30.000,1.0,{histogram}").unwrap();
    }
    let tasks = |waited: Duration| {
        let worker = Worker { tasks: 10, run: Duration::from_mins(1), waited, ..Worker::default() };
        Tasks {
            succeeded: 20,
            failed: 1,
            run: Duration::from_mins(2),
            waited: waited * 2,
            workers: [("1".to_owned(), worker.clone()), ("2".to_owned(), worker)].into(),
            ..Tasks::default()
        }
    };
    let stage = |name: &str, attempts: Snapshot, waited: Duration| Stage {
        name: name.to_owned(),
        elapsed: Duration::from_secs(30),
        attempts,
        tasks: tasks(waited),
    };
    let about = About {
        version: "0.1.0".into(),
        command: Vec::new(),
        url: "reduce.py (app-1)".into(),
        model: None,
        seed: 0,
        started_at: SystemTime::UNIX_EPOCH + Duration::from_hours(500_000),
        environment: Environment::default(),
        processes: 3,
        notes: Vec::new(),
    };
    let reading = stage(
        "stage 0.0 (parquet at reduce.py:41\u{1b}[31m)",
        Snapshot::from_hlog(&log).unwrap(),
        Duration::from_millis(gets * 20),
    );
    let run =
        Run::of_stages(about, [reading, stage("stage 1.0", Snapshot::default(), Duration::ZERO)]);
    run.write(&world.path(folder)).unwrap();
    run
}

#[test]
fn a_report_of_a_job_has_its_stages() {
    let world = World::new(Api::Oci);
    let run = recorded(&world, "job", 1_500);
    assert_eq!(world.run(&["report", "job"]).well().out, "job/report.html\n");
    let page = String::from_utf8(world.read("job/report.html")).unwrap();
    for part in [
        "Tasks waited for storage for 25 % of their time (60 of 240 s); most in stage 0.0 (parquet at reduce.py:41",
        "<h2>Stages</h2>",
        "<th>stage 1.0</th><td>21<small>1 failed</small></td>",
        "Slowest executors",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&world.run(&["report", "job/report.html", "--json"]).well().out)
            .unwrap();
    assert_eq!(json, run.to_json());
    assert_eq!((&json["schema"], &json["waiting_share"]), (&1.into(), &0.25.into()));
    assert_eq!(json["cells"][0]["tasks"]["workers"]["2"]["tasks"], 10);
}

#[test]
fn jobs_are_compared_and_merged_by_the_names_of_their_stages() {
    let world = World::new(Api::Oci);
    recorded(&world, "a", 1_500);
    recorded(&world, "b", 3_000);
    let told = world.run(&["compare", "a", "b"]).well().out;
    assert!(told.starts_with("same: "), "{told}");
    assert!(
        told.contains("stage 0.0 (parquet at reduce.py:41") && !told.contains('\u{1b}'),
        "{told}"
    );
    let share = told.lines().find(|line| line.starts_with("waiting share %")).expect(&told);
    assert_eq!(share.split_whitespace().collect::<Vec<_>>()[3..], ["50.00", "100.00", "–"]);
    assert!(told.contains("note: no call in either run: stage 1.0"), "{told}");

    assert_eq!(world.run(&["merge", "a", "b", "--out", "sum"]).well().out, "sum\n");
    let sum = Run::read(&world.path("sum")).unwrap();
    assert_eq!((sum.cells.len(), sum.cells[0].requests()), (2, 4_500));
    let tasks = sum.cells[0].tasks.as_ref().unwrap();
    assert_eq!((tasks.count(), tasks.workers["1"].tasks), (42, 20));
}
