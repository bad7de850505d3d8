// SPDX-License-Identifier: Apache-2.0
//! `compare` and `merge`: what they print, how they end, and what they refuse.

use crate::world::{Api, World};
use std::time::{Duration, SystemTime};
use storescope_instrument::{About, Calls, Cell, Environment, Point, Run, Setup};

/// A run of calls of 20 to 40 ms times the slowness, written into a folder of the world.
fn recorded(world: &World, name: &str, calls: u64, slowness: f64) -> Run {
    let setup = Setup {
        name: None,
        mix: [("get".to_owned(), 1)].into(),
        pattern: "random".into(),
        size: Some(65_536),
        concurrency: 8,
        rate: None,
        arrivals: None,
        new_connections: false,
    };
    let (mut cell, mut sum) = (Cell::new(setup), Calls::default());
    let elapsed = 30.0 * slowness * calls as f64 / 8_000.0;
    // Every hundredth of them ends in each interval; the golden ratio spreads them evenly.
    for part in 0..100 {
        let length = Duration::from_secs_f64(elapsed / 100.0);
        let mut point = Point::new(length * part, length);
        for number in (u64::from(part)..calls).step_by(100) {
            let share = (number as f64 * 0.618_033_988_75).fract();
            let time = ((20.0 + 20.0 * share) * 1e6 * slowness) as u64;
            (point.calls, sum.count) = (point.calls + 1, sum.count + 1);
            point.response.record(time);
            sum.response.record(time);
            sum.service.record(time);
        }
        cell.series.push(point);
    }
    sum.bytes = sum.count * 65_536;
    cell.elapsed = Duration::from_secs_f64(elapsed);
    cell.calls.insert("get".into(), sum);
    let about = About {
        version: "0.1.0".into(),
        command: Vec::new(),
        url: "oci://demo@ns/object".into(),
        model: None,
        seed: 1,
        started_at: SystemTime::UNIX_EPOCH + Duration::from_hours(500_000),
        environment: Environment::default(),
        processes: 1,
        notes: Vec::new(),
    };
    let run = Run { about, cells: vec![cell] };
    run.write(&world.path(name)).unwrap();
    run
}

#[test]
fn the_exit_code_tells_a_regression() {
    let world = World::new(Api::Oci);
    recorded(&world, "a", 8_000, 1.0);
    recorded(&world, "b", 8_000, 1.1);
    recorded(&world, "few", 20, 1.1);
    let told = world.run(&["compare", "a", "a"]).well().out;
    assert!(told.starts_with("same: no change of 5 % or more"), "{told}");
    assert!(told.contains("note: A and B are the same run"), "{told}");
    let slower = world.run(&["compare", "a", "b"]);
    assert!(slower.code == Some(1) && slower.err.is_empty(), "{slower:?}");
    assert!(slower.out.starts_with("slower: p50 +10.0 % ("), "{slower:?}");
    let told = world.run(&["compare", "b", "a"]).well().out;
    assert!(told.starts_with("faster: p50 -9.1 % ("), "{told}");
    let told = world.run(&["compare", "a", "b", "--threshold", "15%"]).well().out;
    assert!(told.starts_with("same"), "{told}");
    let told = world.run(&["compare", "a", "few"]).well().out;
    assert!(told.starts_with("cannot tell: p50"), "{told}");
}

#[test]
fn comparisons_are_printed_for_programs_and_for_pull_requests() {
    let world = World::new(Api::Oci);
    recorded(&world, "a", 8_000, 1.0);
    recorded(&world, "b", 8_000, 1.1);
    let told = world.run(&["compare", "a/run.json", "b/run.hlog", "--json"]);
    assert_eq!(told.code, Some(1));
    let json: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(json["verdict"], "slower");
    let p50 = &json["cells"][0]["figures"][0];
    assert_eq!(
        (&p50["name"], &p50["unit"], &p50["verdict"]),
        (&"p50".into(), &"ms".into(), &"slower".into())
    );
    let change = &p50["change"];
    let part = |name: &str| change[name].as_f64().expect(name);
    assert!(part("low_percent") < 10.0 && part("high_percent") > 10.0, "{change}");
    assert!((part("percent") - 10.0).abs() < 0.5, "{change}");
    let told = world.run(&["compare", "a", "b", "--markdown"]);
    assert_eq!(told.code, Some(1));
    assert!(told.out.starts_with("**storescope compare: slower: p50 +10.0 % ("), "{told:?}");
    assert!(told.out.contains("\n|---|---:|---:|---:|---|\n| p50 (ms) | "), "{told:?}");
}

#[test]
fn runs_that_cannot_be_compared_are_told() {
    let world = World::new(Api::Oci);
    let mut run = recorded(&world, "a", 100, 1.0);
    world.run(&["compare", "a", "nowhere"]).ended(2, "cannot read nowhere");
    world.run(&["compare", "a"]).ended(2, "required");
    world.run(&["compare", "a", "a", "--threshold", "0"]).ended(2, "above 0");
    let text = String::from_utf8(world.read("a/run.json")).unwrap();
    world.file("cut/run.json", &text.as_bytes()[..text.len() / 2]);
    world.run(&["compare", "a", "cut"]).ended(2, "cut/run.json is no run of storescope bench: EOF");
    let newer = text.replacen("\"schema\": 1", "\"schema\": 9", 1);
    world.file("newer/run.json", newer.as_bytes());
    world.run(&["compare", "newer", "a"]).ended(2, "has schema 9, and this version reads 1");
    run.cells[0].setup.concurrency = 9;
    run.write(&world.path("other")).unwrap();
    let ended = world.run(&["compare", "a", "other"]).ended(2, "have no setup in common");
    assert!(ended.err.contains("only in B: get 65536 bytes, random, 9 at a time"), "{ended:?}");
    run.cells.clear();
    run.write(&world.path("empty")).unwrap();
    world.run(&["compare", "a", "empty"]).ended(2, "empty has measured nothing");
    world.run(&["merge", "a", "empty", "--out", "sum"]).ended(2, "empty has measured nothing");
    world.run(&["merge", "a", "cut", "--out", "sum"]).ended(2, "is no run of storescope bench");
    assert!(!world.path("sum").exists());
}

#[test]
fn runs_are_merged_and_none_is_lost() {
    let world = World::new(Api::Oci);
    let a = recorded(&world, "a", 1_000, 1.0);
    let mut b = recorded(&world, "b", 3_000, 1.1);
    assert_eq!(world.run(&["merge", "a", "b", "--out", "sum"]).well().out, "sum\n");
    let sum = Run::read(&world.path("sum")).unwrap();
    assert_eq!(sum.cells[0].calls["get"].count, 4_000);
    assert_eq!((sum.cells[0].setup.concurrency, sum.about.processes), (16, 2));
    let mut times = a.cells[0].response();
    times.merge(&b.cells[0].response());
    assert_eq!(sum.cells[0].response(), times);
    let twice = world.run(&["merge", "a", "a/run.json", "--out", "twice"]).well();
    assert!(twice.err.contains("a/run.json is the same run as a: it counts twice"), "{twice:?}");

    let before = world.read("a/run.json");
    world.run(&["merge", "a", "b", "--out", "a"]).ended(2, "a would be replaced by the sum");
    world.run(&["merge", "b", "a/run.hlog", "--out", "./a/"]).ended(2, "would be replaced");
    assert_eq!(world.read("a/run.json"), before);
    world.file("file", b"no folder");
    world.run(&["merge", "a", "b", "--out", "file/sum"]).ended(1, "cannot write file/sum");
    b.cells[0].setup.size = Some(1);
    b.write(&world.path("b")).unwrap();
    let ended = world
        .run(&["merge", "a", "b", "--out", "none"])
        .ended(2, "a and b, by their clocks made beside each other");
    assert!(ended.err.contains("“get 65536 bytes") && ended.err.contains("“get 1 bytes"));
    assert!(!world.path("none").exists());
}
