// SPDX-License-Identifier: Apache-2.0
//! `bench`: by both APIs, of reads and of writes.

use crate::world::{Api, World, by_both};
use serde_json::Value;

fn measured(out: &str) -> Value {
    serde_json::from_str(out).expect(out)
}

#[test]
fn reads_and_writes_are_measured() {
    by_both(|world| {
        world.object("in/x", &vec![7; 100_000]);
        let args = ["bench", &world.url("in/"), "--size", "4KiB", "--count", "40", "--json"];
        let run = measured(&world.run(&args).well().out);
        assert_eq!((&run["requests"], &run["bytes"]), (&40.into(), &163_840.into()));

        world.emulator.admin().clear_record();
        let (to, put) =
            (world.url("out"), ["--op", "put", "--size", "10KB", "--count", "30", "--json"]);
        let args = [&["bench", &to][..], &put].concat();
        let run = measured(&world.run(&args).well().out);
        assert_eq!((&run["requests"], &run["bytes"]), (&30.into(), &300_000.into()));
        assert_eq!((&run["operation"], &run["ttfb"]["count"]), (&"put".into(), &30.into()));
        let record = world.emulator.record();
        let puts =
            record.iter().filter(|line| line.method == "PUT" && line.bytes_in == 10_000).count();
        assert_eq!(puts, 30 + 64, "the server saw those measured, and the warm-up");
        assert_eq!(world.names(), ["in/x"], "what was written is removed");
    });
}

#[test]
fn an_emulator_of_its_own_by_either_api() {
    let world = World::new(Api::Oci);
    for api in [&[][..], &["--s3"]] {
        for op in ["get", "put"] {
            let rest = ["--op", op, "--count", "20", "--object-size", "1MiB"];
            let args = [&["bench", "--emulator", "none"][..], api, &rest].concat();
            let ran = world.run(&args).well();
            assert!(ran.out.contains("20 requests, 0 retries"), "{ran:?}");
        }
    }
    world.run(&["bench", &world.url("x"), "--s3"]).ended(2, "--emulator");
}

#[test]
fn patterns_are_few_requests() {
    const SIZE: usize = 40_000_000;
    let world = World::new(Api::Oci);
    world.object("in/x", &vec![7; SIZE]);
    let run = |pattern: &str, count: &str| {
        world.emulator.admin().clear_record();
        let url = world.url("in/");
        let args = ["bench", &url, "--pattern", pattern, "--count", count, "--size", "1MB"];
        let args = [&args[..], &["--concurrency", "1", "--warmup", "0", "--json"]].concat();
        let run = measured(&world.run(&args).well().out);
        let record = world.emulator.record();
        let gets: Vec<_> = record.iter().filter(|line| line.method == "GET").collect();
        // The first is the listing.
        let sent: u64 = gets[1..].iter().map(|line| line.bytes_out).sum();
        let reads = &run["cells"][0]["calls"]["get"];
        let wanted = reads["bytes"].as_u64().expect(pattern);
        assert_eq!(reads["count"], count.parse::<u64>().unwrap(), "{pattern}");
        assert_eq!(run["requests"], gets.len() - 1, "{pattern}");
        (wanted, gets.len() - 1, sent as f64 / wanted as f64)
    };
    // From end to end: fewer requests than reads, each byte once.
    let (wanted, requests, ratio) = run("sequential", "40");
    assert_eq!(wanted, SIZE as u64);
    assert!(requests < 30 && ratio < 1.01, "{requests} requests, {ratio}");
    let (wanted, requests, ratio) = run("strided", "5");
    assert_eq!(wanted, 5_000_000);
    assert!(requests <= 5 && ratio < 1.01, "{requests} requests, {ratio}");
    // Footer and row groups of three chunks each; a fifth of the tree's branches, holes of up to a quarter among them.
    let (_, requests, ratio) = run("parquet", "1");
    assert!(requests <= 7 && ratio < 1.05, "{requests} requests, {ratio}");
    let (_, requests, ratio) = run("root", "1");
    assert!(requests <= 12 && ratio < 1.3, "{requests} requests, {ratio}");
}

#[test]
fn what_was_measured_is_reported() {
    let world = World::new(Api::Oci);
    world.object("in/x", &vec![7; 100_000]);
    let (out, url) = (world.path("run"), world.url("in/"));
    let out = out.to_str().unwrap();
    for scope in ["one.hlog", "two.hlog"] {
        let scope = world.path(scope);
        let scope = scope.to_str().unwrap();
        let args = ["bench", &url, "--size", "4KiB", "--count", "50", "--warmup", "0"];
        world.run(&[&args[..], &["--out", out, "--scope-out", scope]].concat()).well();
    }
    assert!(world.read("run/report.html").starts_with(b"<!doctype html>"));
    let told = world.run(&["report", out]).well().out;
    assert_eq!(told.trim_end(), format!("{out}/report.html"));
    let page = String::from_utf8(world.read("run/report.html")).unwrap();
    assert!(page.contains("50 calls in") && page.contains("<svg"), "{page}");
    // Logs of several processes are added up; the listing of either is in them, too.
    let (one, two) = (world.path("one.hlog"), world.path("two.hlog"));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let sum = world.run(&["report", one, two, "--out", "-", "--title", "a <sum>"]).well().out;
    assert!(sum.contains("<td>100</td>") && sum.contains("a &lt;sum&gt;"), "{sum}");
    let keys = measured(&world.run(&["report", one, two, "--json"]).well().out);
    assert_eq!(keys["keys"]["call/get/total/ok/-/-"]["count"], 100, "{keys}");
    // Runs are overlaid, and a report is read as the run that it holds.
    let html = format!("{out}/report.html");
    let both = world.run(&["report", out, &html, "--out", "-"]).well().out;
    assert!(both.contains("<b>Run 2.</b>"), "{both}");
    assert!(measured(&world.run(&["report", &html, "--json"]).well().out).is_object());
    world.run(&["report", &html]).ended(2, "is read: say by --out where the page goes");
    let nowhere = world.path("no/such/x.html");
    world.run(&["report", out, "--out", nowhere.to_str().unwrap()]).ended(1, "cannot write");
    world.run(&["report", "no-such-run"]).ended(2, "no-such-run");
    world.file("bad.hlog", b"not a log");
    world.run(&["report", world.path("bad.hlog").to_str().unwrap()]).ended(2, "does not parse");
}
