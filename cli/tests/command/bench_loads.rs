// SPDX-License-Identifier: Apache-2.0
//! `bench`: open loops, sweeps, operations, verified data, and runs that are cut short.

use crate::world::{Api, World, by_both, ended, signal, until};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use storescope_emulator::{Action, Emulator, Fault};
use storescope_model::Model;

fn measured(out: &str) -> Value {
    serde_json::from_str(out).expect(out)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// An emulator that takes so long for each request.
fn slow(api: Api, ttfb: &str) -> World {
    let model = Model::from_toml(&format!("name = \"slow\"\nttfb = \"{ttfb}\"\n")).unwrap();
    World::on(api, Emulator::builder().model(model))
}

/// `storescope serve` in a process that can be stopped.
struct Served {
    process: Child,
    ready: Value,
}

impl Served {
    fn start(world: &World) -> Served {
        let args = ["serve", "--bucket", "bucket", "--until-stdin-ends"];
        let mut process = world.command(&args).stdin(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Served { process, ready: measured(&line) }
    }

    /// The binary, as a client of this server.
    fn client(&self, world: &World, args: &[&str]) -> Command {
        let mut command = world.command(args);
        command
            .env("STORESCOPE_ENDPOINT", self.ready["oci"]["endpoint"].as_str().unwrap())
            .env("STORESCOPE_CONFIG_FILE", self.ready["oci"]["config_file"].as_str().unwrap());
        command
    }

    /// Requests that it has recorded.
    fn requests(&self) -> usize {
        let record = std::fs::read_to_string(self.ready["record"].as_str().unwrap());
        record.unwrap_or_default().lines().count()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

/// A server that stalls for 1.5 s of 6: a quarter of the calls should have been made in that time, and each waits for what
/// is left of it. One worker sees one of them.
#[test]
fn an_open_loop_counts_the_wait_of_a_stall() {
    let world = World::new(Api::Oci);
    let server = Served::start(&world);
    let file = world.file("x", &vec![7; 100_000]);
    let put = server.client(&world, &["cp", &file, "oci://bucket@emulator/x"]).spawn().unwrap();
    ended(put).well();
    let args = ["bench", "oci://bucket@emulator/x", "--rate", "50", "--duration", "6s", "--size"];
    let rest = ["4KiB", "--concurrency", "1", "--warmup", "5", "--json"];
    let before = server.requests();
    let child = server.client(&world, &[&args[..], &rest].concat()).spawn().unwrap();
    until("calls that are measured", || server.requests() > before + 60);
    signal(&server.process, "STOP");
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(1_500));
    signal(&server.process, "CONT");
    let stall = begun.elapsed().as_secs_f64() * 1e3;
    let run = measured(&ended(child).well().out);
    assert_eq!(run["response"]["count"], 300, "as many as the rate says: {run}");
    // Of the calls that wait, evenly from 0 to the whole stall, 1 % of all are above the 99th percentile.
    let expected = stall * (1.0 - 0.01 / (stall / 6_000.0));
    let (response, service) = (&run["response"]["p99_ms"], &run["service"]["p99_ms"]);
    let ratio = number(response) / expected;
    assert!((0.95..1.05).contains(&ratio), "{response} and {expected} ms");
    assert!(number(service) < stall / 5.0, "one call in 300 has seen it: {service}");
    let behind = &run["cells"][0]["behind"];
    assert_eq!(behind["never_begun"], 0);
    assert!((number(&behind["late_for_ms"]) / stall - 1.0).abs() < 0.2, "{behind}");
    let note = run["notes"][0].as_str().unwrap();
    assert!(note.contains("as many calls were under way as may be (1)"), "{note}");
}

#[test]
fn calls_that_never_began_are_told() {
    let world = slow(Api::Oci, "200ms");
    world.object("in/x", &[7; 10_000]);
    let url = world.url("in/");
    let args = ["bench", &url, "--rate", "100", "--concurrency", "2", "--duration", "1s"];
    let args = [&args[..], &["--warmup", "0", "--out", "run"]].concat();
    let ran = world.run(&args).well();
    assert!(ran.out.contains("100/s NOT held: "), "{ran:?}");
    let run = measured(&String::from_utf8(world.read("run/run.json")).unwrap());
    let (cell, behind) = (&run["cells"][0], &run["cells"][0]["behind"]);
    let begun = cell["lateness"]["count"].as_u64().unwrap();
    let never = behind["never_begun"].as_u64().unwrap();
    assert_eq!(begun + never, 100, "none is forgotten");
    assert!((5..=20).contains(&begun), "two at a time, 200 ms each: {begun}");
    assert!(ran.out.contains(&format!("{never} calls never began")), "{ran:?}");
    assert!(number(&behind["held_rate"]) < 25.0, "{behind}");
    assert_eq!(run["response"]["count"], begun, "those that began are in the figures");
}

#[test]
fn arrivals_at_random_are_all_made() {
    let world = World::new(Api::Oci);
    world.object("in/x", &[7; 10_000]);
    let url = world.url("in/");
    let args =
        ["bench", &url, "--rate", "400", "--arrivals", "poisson", "--count", "200", "--json"];
    let run = measured(&world.run(&args).well().out);
    assert_eq!(run["response"]["count"], 200);
    let setup = &run["cells"][0]["setup"];
    assert_eq!((&setup["arrivals"], &setup["rate"]), (&"poisson".into(), &400.0.into()));
    world.run(&["bench", &url, "--arrivals", "poisson"]).ended(2, "--rate");
}

#[test]
fn a_sweep_is_every_size_by_every_concurrency() {
    let world = World::new(Api::Oci);
    world.object("in/x", &[7; 10_000]);
    let url = world.url("in/");
    let args = ["bench", &url, "--size", "1KiB,2KiB..8KiB", "--concurrency", "1..2"];
    let args = [&args[..], &["--count", "10", "--out", "run"]].concat();
    let ran = world.run(&args).well();
    let run = measured(&String::from_utf8(world.read("run/run.json")).unwrap());
    let cells = run["cells"].as_array().unwrap();
    let setups: Vec<_> = cells
        .iter()
        .map(|cell| (cell["setup"]["size"].as_u64().unwrap(), cell["setup"]["concurrency"].clone()))
        .collect();
    let expected: Vec<_> = [1_024, 2_048, 4_096, 8_192]
        .into_iter()
        .flat_map(|size| [(size, Value::from(1)), (size, Value::from(2))])
        .collect();
    assert_eq!(setups, expected);
    for cell in cells {
        let get = &cell["calls"]["get"];
        assert_eq!(get["count"], 10);
        assert_eq!(get["bytes"], cell["setup"]["size"].as_u64().unwrap() * 10);
    }
    assert_eq!(run["response"]["count"], 80);
    let rows = ran.out.lines().filter(|line| line.starts_with(char::is_numeric)).count();
    assert_eq!(rows, 8, "a row a cell: {}", ran.out);
}

/// Parts of 5 MiB: cells of one size are refused, and the other ones are measured.
#[test]
fn what_fails_in_one_cell_does_not_lose_the_others() {
    let world = World::new(Api::Oci);
    let url = world.url("out");
    let args = ["bench", &url, "--op", "multipart", "--size", "1MiB,11MiB", "--part-size", "5MiB"];
    let args = [&args[..], &["--count", "2", "--warmup", "0", "--out", "run"]].concat();
    world.run(&args).ended(2, "cell 1 of 2").ended(2, "1048576 bytes are no more than one part");
    let run = measured(&String::from_utf8(world.read("run/run.json")).unwrap());
    assert_eq!(run["cells"].as_array().unwrap().len(), 1);
    assert_eq!(run["cells"][0]["calls"]["upload"]["count"], 2);
    assert!(run["notes"][0].as_str().unwrap().contains("cell 1 of 2"), "{run}");
    assert!(world.names().is_empty() && world.uploads().is_empty());
}

#[test]
fn every_operation_is_measured_by_either_api() {
    by_both(|world| {
        let part = ["--size", "11MiB", "--part-size", "5MiB"];
        let small = ["--size", "4KiB", "--prepare", "20"];
        for (op, call, requests, rest) in [
            ("head", "head", 12, &small),
            ("list", "list", 12, &small),
            ("delete", "delete", 12, &small),
            ("copy", "copy", 12, &small),
            ("multipart", "upload", 12, &part),
        ] {
            let url = world.url("out");
            let args = ["bench", &url, "--op", op, "--count", "12", "--warmup", "1", "--json"];
            let run = measured(&world.run(&[&args[..], rest].concat()).well().out);
            let calls = &run["cells"][0]["calls"][call];
            assert_eq!((&calls["count"], &calls["failed"]), (&12.into(), &0.into()), "{op}: {run}");
            assert!(run["requests"].as_u64().unwrap() >= requests, "{op}: {run}");
            assert!(world.names().is_empty(), "what {op} needed is removed");
        }
        assert!(world.uploads().is_empty());
    });
}

#[test]
fn a_mix_keeps_its_proportions() {
    let world = World::new(Api::Oci);
    world.object("in/other", b"not the bench's");
    let url = world.url("in/");
    let args = ["bench", &url, "--op", "get=70,put=20,head=10", "--count", "200", "--prepare", "5"];
    let args = [&args[..], &["--size", "1KiB", "--warmup", "0", "--json"]].concat();
    world.emulator.admin().clear_record();
    let run = measured(&world.run(&args).well().out);
    let count = |call: &str| run["cells"][0]["calls"][call]["count"].as_u64().unwrap();
    assert_eq!([count("get"), count("put"), count("head")], [140, 40, 20]);
    let record = world.emulator.record();
    let seen = |method: &str| record.iter().filter(|line| line.method == method).count();
    assert_eq!([seen("GET"), seen("PUT"), seen("HEAD")], [140, 40 + 5, 20]);
    assert_eq!(world.names(), ["in/other"], "what was there is left alone");
}

#[test]
fn a_flipped_byte_is_a_failed_call() {
    let world = World::new(Api::Oci);
    let url = world.url("in/");
    let args = ["bench", &url, "--prepare", "3", "--object-size", "100kB", "--size", "4KiB"];
    let args = [&args[..], &["--count", "40", "--warmup", "0", "--verify-data"]].concat();
    let run = measured(&world.run(&[&args[..], &["--json"]].concat()).well().out);
    assert_eq!(run["cells"][0]["verified_bytes"], 40 * 4_096);
    let flip = Fault::new(Action::Corrupt { offset: 77 }).method("GET").contains("object").nth(9);
    world.emulator.admin().fault(flip);
    let ran = world.run(&[&args[..], &["--out", "run"]].concat()).ended(1, "1 reads failed");
    assert!(
        ran.err.contains("in/storescope-bench-") && ran.err.contains("(--verify-data, seed 1)")
    );
    let cell = &measured(&String::from_utf8(world.read("run/run.json")).unwrap())["cells"][0];
    assert_eq!((&cell["failed_calls"], &cell["calls"]["get"]["count"]), (&1.into(), &39.into()));
    assert_eq!(cell["verified_bytes"], 39 * 4_096);
}

#[test]
fn kept_objects_are_verified_by_their_seed_and_others_refused() {
    let world = World::new(Api::Oci);
    let put = ["bench", &world.url("out"), "--op", "put", "--keep", "--seed", "9", "--count", "3"];
    let ran = world.run(&[&put[..], &["--warmup", "0", "--size", "70kB"]].concat()).well();
    assert!(ran.err.contains("kept: what was written below oci://"), "{ran:?}");
    let names = world.names();
    assert_eq!(names.len(), 3);
    let folder = world.url(&names[0][..=names[0].rfind('/').unwrap()]);
    let get = |url: &str, seed: &str| {
        let args = ["bench", url, "--verify-data", "--seed", seed, "--count", "20", "--json"];
        world.run(&args)
    };
    assert!(
        measured(&get(&folder, "9").well().out)["cells"][0]["verified_bytes"].as_u64() > Some(0)
    );
    get(&folder, "8").ended(2, "does not hold what the bench writes with seed 8");
    world.object("other/x", &[7; 1_000]);
    get(&world.url("other/"), "9").ended(2, "--prepare");
}

#[test]
fn new_connections_are_one_a_request() {
    let world = World::new(Api::Oci);
    world.object("in/x", &[7; 10_000]);
    let url = world.url("in/");
    for (kept, expected) in [("new", 30..=30), ("reused", 0..=8)] {
        let args = ["bench", &url, "--connections", kept, "--count", "30", "--json"];
        let run = measured(&world.run(&args).well().out);
        let opened = run["phases"]["connect"]["count"].as_u64().unwrap_or(0);
        assert!(expected.contains(&opened), "{kept}: {opened}");
        assert_eq!(run["cells"][0]["setup"]["new_connections"], kept == "new");
    }
}

/// Begins a bench of writes that would take a minute, and waits until some of them were measured.
fn writing(world: &World, rest: &[&str]) -> Child {
    let url = world.url("out");
    let args = ["bench", &url, "--op", "put", "--size", "1KiB", "--duration", "60s"];
    let mut command = world.command(&[&args[..], rest].concat());
    let child = command.env("TMPDIR", world.folder.path()).spawn().unwrap();
    until("writes that are measured", || world.emulator.record().len() > 64 + 100);
    child
}

#[test]
fn an_interrupt_tells_what_ran_and_removes_what_was_written() {
    for name in ["INT", "TERM"] {
        let world = slow(Api::Oci, "2ms");
        let child = writing(&world, &["--out", "run"]);
        signal(&child, name);
        let ran = ended(child).ended(130, "interrupted");
        assert!(ran.out.contains(" writes/s"), "{ran:?}");
        let run = measured(&String::from_utf8(world.read("run/run.json")).unwrap());
        assert!(run["cells"][0]["calls"]["put"]["count"].as_u64() > Some(0), "{run}");
        assert!(run["notes"][0].as_str().unwrap().starts_with("interrupted"), "{run}");
        assert!(world.names().is_empty(), "SIG{name}");
    }
}

#[test]
fn a_run_is_kept_elsewhere_where_its_folder_is_gone() {
    let world = slow(Api::Oci, "2ms");
    let child = writing(&world, &["--out", "run"]);
    std::fs::remove_dir(world.path("run")).unwrap();
    world.file("run", b"in its place");
    signal(&child, "INT");
    let ran = ended(child).ended(1, "the run is in ");
    let place = ran.err.split("the run is in ").nth(1).unwrap().lines().next().unwrap();
    let run = std::fs::read_to_string(format!("{place}/run.json")).unwrap();
    assert!(measured(&run)["requests"].as_u64() > Some(0));
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let world = World::new(Api::Oci);
    let (url, file) = (world.url("in/"), world.file("file", b""));
    for (args, told) in [
        (&["--out", &file][..], "(--out)"),
        (&["--op", "put", "--pattern", "root"], "--pattern"),
        (&["--op", "put", "--verify-data"], "--verify-data"),
        (&["--op", "put", "--prepare", "5"], "--prepare is nothing to writes"),
        (&["--object-size", "1MiB"], "--object-size"),
        (&["--op", "get,put"], "has no weight"),
        (&["--size", "8KiB..4KiB"], "ends below its begin"),
        (&["--size", "1..1GiB", "--concurrency", "1..1024"], "cells are more than the 256"),
        (&["--rate", "fast"], "is no rate"),
    ] {
        world.run(&[&["bench", &url][..], args].concat()).ended(2, told);
    }
    assert!(world.emulator.record().is_empty());
}
