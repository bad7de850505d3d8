// SPDX-License-Identifier: Apache-2.0
//! `bench` by files: workloads of `--config`, and traces that are replayed.

use crate::world::{Api, World, by_both};
use serde_json::Value;
use std::time::{Duration, Instant};

fn measured(out: &str) -> Value {
    serde_json::from_str(out).expect(out)
}

const TOML: &str = r#"
[prepare]
objects = 20
prefix = "made/"
sizes = [{ size = "4KiB", weight = 3 }, { size = "1MiB", weight = 1 }]

[[stage]]
mix = { get = 3, put = 1 }
size = ["1KiB", "4KiB"]
concurrency = 2
count = 40
warmup = 0

[[stage]]
mix = { head = 1 }
rate = 100
count = 30
warmup = 5
"#;

const YAML: &str = r"
prepare: {objects: 20, prefix: made/, sizes: [{size: 4KiB, weight: 3}, {size: 1MiB, weight: 1}]}
stages:
  - {mix: {get: 3, put: 1}, size: [1KiB, 4KiB], concurrency: 2, count: 40, warmup: 0}
  - {mix: {head: 1}, rate: 100, count: 30, warmup: 5}
";

#[test]
fn a_workload_is_its_stages_cell_by_cell() {
    by_both(|world| {
        for (name, text) in [("w.toml", TOML), ("w.yaml", YAML)] {
            let file = world.file(name, text.as_bytes());
            world.emulator.admin().clear_record();
            let run = world.run(&["bench", "--config", &file, &world.url("b/"), "--json"]).well();
            let run = measured(&run.out);
            let cells = run["cells"].as_array().unwrap();
            assert_eq!(cells.len(), 3, "two sizes, then heads");
            for (cell, size) in cells.iter().zip([1_024, 4_096]) {
                assert_eq!(
                    (&cell["setup"]["size"], &cell["setup"]["concurrency"]),
                    (&size.into(), &2.into())
                );
                assert_eq!(cell["calls"]["get"]["count"], 30, "{cell}");
                assert_eq!(cell["calls"]["put"]["count"], 10);
            }
            assert_eq!(cells[2]["calls"]["head"]["count"], 30);
            assert_eq!(cells[2]["setup"]["rate"], 100.0);
            let record = world.emulator.record();
            let puts = |size| {
                record.iter().filter(|line| line.method == "PUT" && line.bytes_in == size).count()
            };
            assert_eq!((puts(1 << 20), puts(4_096), puts(1_024)), (5, 15 + 10, 10));
            assert!(
                record
                    .iter()
                    .filter(|line| line.method == "PUT")
                    .all(|line| line.target.replace("%2F", "/").contains("b/made/"))
            );
            assert_eq!(world.names(), Vec::<String>::new(), "what was made is removed");
        }
    });
}

#[test]
fn the_command_line_goes_before_the_file() {
    let world = World::new(Api::Oci);
    let file = world.file("w.toml", TOML.as_bytes());
    let args = ["bench", "--config", &file, "--emulator", "none", "--json"];
    let more = ["--op", "get", "--size", "2KiB", "--count", "12", "--prepare", "3"];
    let run = measured(&world.run(&[&args[..], &more].concat()).well().out);
    let cells = run["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2, "a size each");
    for cell in cells {
        assert_eq!(cell["calls"]["get"]["count"], 12, "{cell}");
        assert_eq!(cell["setup"]["size"], 2_048);
    }
    let wrong = world.file("x.toml", b"[[stage]]\nsise = 1\n");
    let args = ["bench", "--emulator", "none", "--config"];
    let refused = world.run(&[&args[..], &[&wrong]].concat());
    refused.ended(2, "x.toml:2: unknown field `sise`, expected one of");
    let nowhere = world.file("y.yaml", b"stages: [{}]\n");
    world.run(&["bench", "--config", &nowhere]).ended(2, "names no url");
    world.run(&["bench", "--config", "no.toml", "--emulator", "none"]).ended(2, "no.toml");
}

const TRACE: &str = "offset,length,time_s,key,operation
0,1000,0.0,a,get
500,1000,0.4,b/c,get
0,3000,0.8,new,put
0,3000,1.2,new,get
";

#[test]
fn a_trace_is_replayed_on_an_emulator_at_its_times() {
    let world = World::new(Api::Oci);
    let file = world.file("job.csv", TRACE.as_bytes());
    for (speed, least) in
        [(&[][..], 1_200), (&["--speed", "2"], 600), (&["--as-fast-as-it-goes"], 0)]
    {
        let args = ["bench", "--trace", &file, "--emulator", "none", "--json"];
        let run = measured(&world.run(&[&args[..], speed].concat()).well().out);
        let cell = &run["cells"][0];
        assert_eq!(
            (&cell["calls"]["get"]["count"], &cell["calls"]["put"]["count"]),
            (&3.into(), &1.into()),
            "{run}"
        );
        assert_eq!(
            (&cell["calls"]["get"]["bytes"], &cell["failed_calls"]),
            (&5_000.into(), &0.into())
        );
        let elapsed = cell["elapsed_ms"].as_f64().unwrap();
        assert!(elapsed >= f64::from(least), "{elapsed} ms at {speed:?}");
        let arrivals = if least == 0 { Value::Null } else { "trace".into() };
        assert_eq!(cell["setup"]["arrivals"], arrivals);
    }
}

#[test]
fn a_trace_is_replayed_below_a_prefix_and_leaves_what_was_there() {
    by_both(|world| {
        let file = world.file("job.csv", TRACE.as_bytes());
        let url = world.url("in/");
        let args = ["bench", "--trace", &file, &url, "--speed", "4", "--json"];
        world.run(&args).ended(2, "the trace reads what is not below");
        world.object("in/a", &vec![7; 1_000]);
        world.object("in/b/c", &vec![7; 1_499]);
        world.run(&args).ended(2, "behind the end of what is below");
        world.object("in/b/c", &vec![7; 1_500]);
        let run = measured(&world.run(&args).well().out);
        assert_eq!(run["cells"][0]["calls"]["get"]["bytes"], 5_000);
        assert_eq!(world.names(), ["in/a", "in/b/c"], "what the replay wrote is removed");
        world.object("in/new", b"precious");
        world.run(&args).ended(2, "would replace what is below");
        assert_eq!(world.cat("in/new"), "precious");
        world.run(&["bench", "--trace", &file, &world.url("in/a")]).ended(2, "ending in /");
    });
}

#[test]
fn traces_that_cannot_be_replayed_are_told_before() {
    let world = World::new(Api::Oci);
    let back = world.file("back.csv", b"offset,length,time_s\n0,1,5\n0,1,4\n");
    let empty = world.file("empty.csv", b"offset,length,time_s\n");
    for (file, told) in
        [(&back, "back.csv:3: time goes backwards"), (&empty, "has no call to replay")]
    {
        world.run(&["bench", "--trace", file, "--emulator", "none"]).ended(2, told);
    }
    world.run(&["bench", "--trace", &back, "--emulator", "none", "--rate", "3"]).ended(2, "--rate");
    world.run(&["bench", "--emulator", "none", "--speed", "3"]).ended(2, "--trace");
}

/// What a program did is captured, and done again: as many calls, and as many bytes.
#[test]
fn a_capture_is_replayed_by_its_calls_and_by_its_attempts() {
    let world = World::new(Api::Oci);
    let trace = world.path("job.trace");
    let trace = trace.to_str().unwrap();
    let recorded =
        ["bench", "--emulator", "none", "--size", "4KiB", "--count", "50", "--warmup", "0"];
    world.run(&[&recorded[..], &["--trace-out", trace]].concat()).well();
    for level in ["call", "attempt"] {
        let replay =
            ["bench", "--emulator", "none", "--trace", trace, "--trace-level", level, "--json"];
        let run = measured(&world.run(&replay).well().out);
        let calls = &run["cells"][0]["calls"];
        assert_eq!(
            (&calls["get"]["count"], &calls["get"]["bytes"]),
            (&50.into(), &204_800.into()),
            "{run}"
        );
        assert_eq!(run["cells"][0]["failed_calls"], 0);
    }
}

#[test]
fn warm_ups_and_ends_by_rules() {
    let world = World::new(Api::Oci);
    let bench = |args: &[&str]| {
        let base = ["bench", "--emulator", "none", "--size", "4KiB", "--json"];
        let begun = Instant::now();
        (world.run(&[&base[..], args].concat()), begun)
    };
    let (ran, begun) = bench(&["--warmup", "2s", "--count", "10"]);
    assert_eq!(measured(&ran.well().out)["requests"], 10);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let (ran, _) = bench(&["--warmup", "0", "--until", "p50:90%", "--duration", "1s"]);
    let notes = measured(&ran.well().out)["notes"].to_string();
    assert!(notes.contains("p50 is not known: too few calls (asked: 90 %)"), "{notes}");
    for (wrong, told) in [("--until=p50", "such as p99:5%"), ("--warmup=warm", "or `stable`")] {
        let (ran, _) = bench(&[wrong]);
        ran.ended(2, told);
    }
}

/// A rule ends a measurement that would take ten minutes, and a warm-up that may take one.
#[test]
fn a_steady_store_ends_by_rules() {
    let world = World::new(Api::Oci);
    let model = world.file("m.toml", b"name = \"m\"\nttfb = \"5ms\"\n");
    let base = ["bench", "--emulator", &model, "--size", "4KiB", "--json", "--processes", "2"];
    let rules = ["--warmup", "stable", "--until", "p50:20%"];
    let run = measured(&world.run(&[&base[..], &rules].concat()).well().out);
    let elapsed = run["elapsed_ms"].as_f64().unwrap();
    assert!((24_000.0..120_000.0).contains(&elapsed), "{elapsed} ms");
    let notes = run["notes"].to_string();
    assert!(
        notes.contains("the warm-up was stable after") && notes.contains("% wide (asked: 20 %)"),
        "{notes}"
    );
}
