// SPDX-License-Identifier: Apache-2.0
//! `bench` by several processes: shares, one moment, one sum.

use crate::world::{Api, World, ended, signal, signal_by_id, until};
use serde_json::Value;
use std::path::Path;
use storescope_instrument::{Calls, Run};

fn run_of(path: &Path) -> Run {
    Run::read(path).unwrap_or_else(|error| panic!("{error}"))
}

/// The runs that the processes of a bench left in its folder.
fn parts(folder: &Path, count: u32) -> Vec<Run> {
    (1..=count).map(|part| run_of(&folder.join(format!("part-{part}")))).collect()
}

/// The sum is the parts' sum, bucket for bucket: of calls, and of every key of the attempts.
fn assert_is_sum(sum: &Run, parts: &[Run]) {
    let calls = |run: &Run| run.sum().calls.remove("get").unwrap_or_default();
    let mut expected = Calls::default();
    for part in parts {
        expected.merge(&calls(part));
    }
    let told = calls(sum);
    assert_eq!((told.count, told.bytes, told.failed), (expected.count, expected.bytes, 0));
    let buckets = |calls: &Calls| calls.response.buckets().collect::<Vec<_>>();
    assert_eq!(buckets(&told), buckets(&expected));
    let mut attempts = parts[0].cells[0].attempts.clone();
    parts[1..].iter().for_each(|part| attempts.merge(&part.cells[0].attempts));
    let sum = &sum.cells[0].attempts;
    assert_eq!(sum.iter().count(), attempts.iter().count());
    for (key, told) in sum.iter() {
        let expected = attempts.get(key).unwrap_or_else(|| panic!("{key:?}"));
        assert!(told.buckets().eq(expected.buckets()), "{key:?}");
    }
}

#[test]
fn four_processes_are_their_sum_bucket_for_bucket() {
    let world = World::new(Api::Oci);
    world.object("in/x", &vec![7; 100_000]);
    let (url, out) = (world.url("in/"), world.path("run"));
    let out_text = out.to_str().unwrap();
    world.emulator.admin().clear_record();
    let load = ["bench", &url, "--size", "4KiB", "--count", "402", "--concurrency", "10"];
    let rest = ["--processes", "4", "--out", out_text, "--keep-parts", "--json"];
    let told = world.run(&[&load[..], &rest, &["--warmup", "8"]].concat()).well();
    let json: Value = serde_json::from_str(&told.out).expect(&told.out);
    assert_eq!((&json["requests"], &json["processes"]), (&402.into(), &4.into()));
    assert_eq!(json["concurrency"], 10);
    let (sum, parts) = (run_of(&out), parts(&out, 4));
    let counts: Vec<_> = parts.iter().map(|part| part.sum().calls["get"].count).collect();
    assert_eq!(counts, [101, 101, 100, 100]);
    let at_a_time: Vec<_> = parts.iter().map(|part| part.cells[0].setup.concurrency).collect();
    assert_eq!(at_a_time, [3, 3, 2, 2]);
    assert_is_sum(&sum, &parts);
    assert_eq!(sum.about.processes, 4);
    assert!(sum.about.command.iter().any(|word| word == "--processes"), "{:?}", sum.about.command);
    // The server saw as many; each process listed once.
    let record = world.emulator.record();
    let gets = record.iter().filter(|line| line.method == "GET" && line.bytes_out == 4_096).count();
    assert_eq!(gets, 402 + 8);
    // None was alone: each began before another ended.
    let spans: Vec<_> = parts.iter().map(|part| part.cells[0].attempts.started_at()).collect();
    let first = spans.iter().min().unwrap();
    let latest = spans.iter().max().unwrap().duration_since(*first).unwrap();
    assert!(latest < std::time::Duration::from_secs(1), "{latest:?}");
}

#[test]
fn one_emulator_serves_all_and_a_rate_is_shared() {
    let world = World::new(Api::Oci);
    let out = world.path("run");
    let load =
        ["bench", "--emulator", "none", "--rate", "200", "--duration", "2s", "--size", "4KiB"];
    let rest = ["--processes", "2", "--out", out.to_str().unwrap(), "--keep-parts"];
    let ran = world.run(&[&load[..], &rest].concat()).well();
    assert!(ran.out.contains("200/s"), "{ran:?}");
    let (sum, parts) = (run_of(&out), parts(&out, 2));
    assert_is_sum(&sum, &parts);
    assert_eq!(sum.cells[0].setup.rate, Some(200.0));
    assert_eq!(parts[0].cells[0].setup.rate, Some(100.0));
    assert_eq!(sum.sum().calls["get"].count, 400);
    assert_eq!(parts[0].about.url, parts[1].about.url, "one emulator");
}

#[test]
fn a_process_that_fails_is_told() {
    let world = World::new(Api::Oci);
    let url = world.url("nothing/");
    let ran = world.run(&["bench", &url, "--processes", "2", "--count", "10"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("process 1/2 failed: ") || ran.err.contains("process 2/2 failed: "));
    assert!(ran.err.contains("has no objects that are not empty"), "{ran:?}");
    let few = ["bench", &url, "--processes", "9", "--concurrency", "8"];
    world.run(&few).ended(2, "9 processes cannot share --concurrency 8");
    world.run(&["bench", &url, "--worker", "3/2"]).ended(2, "such as 2/4");
}

#[test]
fn an_interrupt_is_passed_on_and_what_ran_is_told() {
    let world = World::new(Api::Oci);
    world.object("in/x", &vec![7; 100_000]);
    let (url, out) = (world.url("in/"), world.path("run"));
    world.emulator.admin().clear_record();
    let load = ["bench", &url, "--size", "4KiB", "--duration", "10m", "--warmup", "8"];
    let rest = ["--processes", "2", "--out", out.to_str().unwrap(), "--keep-parts"];
    let child = world.command(&[&load[..], &rest].concat()).spawn().unwrap();
    until("both measure", || world.emulator.record().len() > 500);
    signal(&child, "INT");
    let ran = ended(child);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.out.contains("requests") && ran.out.contains("interrupted"), "{ran:?}");
    assert_is_sum(&run_of(&out), &parts(&out, 2));
}

/// The hosts of a bench: the same command with a number each, at one moment, merged afterwards.
#[test]
fn workers_of_several_hosts_are_merged_afterwards() {
    let world = World::new(Api::Oci);
    world.object("in/x", &vec![7; 100_000]);
    let url = world.url("in/");
    let workers = ["1/2", "2/2"].map(|worker| {
        let out = world.path(&worker.replace('/', "-of-"));
        let load = ["bench", &url, "--size", "4KiB", "--count", "101", "--concurrency", "4"];
        let rest = ["--worker", worker, "--start-at", "+2s", "--out", out.to_str().unwrap()];
        (out.clone(), world.command(&[&load[..], &rest].concat()).spawn().unwrap())
    });
    let parts = workers.map(|(out, child)| {
        ended(child).well();
        run_of(&out)
    });
    assert_eq!(parts.iter().map(|part| part.sum().calls["get"].count).sum::<u64>(), 101);
    let sum = world.path("sum");
    let merge = ["merge", "1-of-2", "2-of-2", "--out", sum.to_str().unwrap()];
    world.run(&merge).well();
    assert_is_sum(&run_of(&sum), &parts);
    let past = ["bench", &url, "--worker", "1/2", "--start-at", "2026-01-01T00:00:00Z"];
    world.run(&past).ended(2, "ago by this host's clock: give a later time");
    let soon = ["bench", &url, "--worker", "1/2", "--start-at", "+1us", "--count", "8"];
    world.run(&soon).ended(1, "after --start-at: give a later time");
}

#[test]
fn a_killed_process_is_named_and_the_others_end_with_what_they_have() {
    let world = World::new(Api::Oci);
    world.object("in/x", &vec![7; 100_000]);
    let (url, out) = (world.url("in/"), world.path("run"));
    world.emulator.admin().clear_record();
    let load = ["bench", &url, "--size", "4KiB", "--duration", "10m", "--warmup", "8"];
    let rest = ["--processes", "3", "--out", out.to_str().unwrap()];
    let child = world.command(&[&load[..], &rest].concat()).spawn().unwrap();
    until("they measure", || world.emulator.record().len() > 500);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let led = tasks.flat_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")));
    let led = led.collect::<String>();
    signal_by_id(led.split_whitespace().next().expect("a process that is led"), "KILL");
    let ran = ended(child);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.err.matches(" failed: ").count(), 1, "{ran:?}");
    assert!(ran.err.contains("failed: it ended with signal: 9"), "{ran:?}");
    let run = run_of(&out);
    let told = "the parts of 2 of 3 processes: the others left none";
    assert!(run.about.notes.iter().any(|note| note == told), "{:?}", run.about.notes);
    assert!(run.sum().calls["get"].count > 0);
}

/// A process that leads and is killed cannot stop the others: they end by themselves.
#[test]
fn no_process_outlives_the_one_that_leads() {
    let world = World::new(Api::Oci);
    world.object("in/x", &vec![7; 100_000]);
    let url = world.url("in/");
    world.emulator.admin().clear_record();
    let out = world.path("run");
    let load = ["bench", &url, "--size", "4KiB", "--duration", "10m", "--processes", "2"];
    let rest = ["--out", out.to_str().unwrap(), "--keep-parts"];
    let child = world.command(&[&load[..], &rest].concat()).spawn().unwrap();
    until("both measure", || world.emulator.record().len() > 500);
    signal(&child, "KILL");
    assert_eq!(ended(child).code, None);
    let parts = ["part-1", "part-2"].map(|part| out.join(part).join("run.json"));
    until("both have ended with what they have", || parts.iter().all(|part| part.exists()));
    assert!(!out.join("run.json").exists());
}
