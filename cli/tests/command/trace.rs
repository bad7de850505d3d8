// SPDX-License-Identifier: Apache-2.0
//! `trace`, and the setting of that name: what a command did is told by the file.

use crate::world::{Api, World, by_both, ended};
use std::process::Command;

#[test]
fn what_a_command_did_is_told() {
    by_both(|world| {
        world.object("in/x", &vec![7; 100_000]);
        world.emulator.admin().clear_record();
        let bench = [
            "bench",
            &world.url("in/"),
            "--size",
            "4KiB",
            "--count",
            "40",
            "--hedge-at",
            "0",
            "--trace-out",
            "job.trace",
        ];
        world.run(&bench).well();
        let seen = world.emulator.record();
        let told = world.run(&["trace", "job.trace", "--json"]).well().json();
        let attempts = &told[0]["levels"]["attempt"];
        assert_eq!(attempts["count"], seen.len(), "{told:?}");
        let gets = seen.iter().filter(|line| line.range.is_some()).count();
        assert_eq!(attempts["operations"]["get"]["count"], gets, "{told:?}");
        assert_eq!(attempts["operations"]["get"]["bytes"], gets * 4096, "{told:?}");
        assert_eq!(
            (&told[0]["left_out"], &told[0]["ended_in_order"]),
            (&0.into(), &true.into()),
            "{told:?}"
        );
        let text = world.run(&["trace", "job.trace"]).well().out;
        assert!(
            text.contains("job.trace is a storescope capture") && text.contains("1 objects"),
            "{text}"
        );

        // As CSV, an attempt a line, plain and compressed; and read again.
        let csv = world.run(&["trace", "job.trace", "--csv", "-"]).well().out;
        assert_eq!(csv.lines().count(), seen.len() + 1);
        for line in &seen {
            assert!(csv.contains(line.client_request_id.as_deref().unwrap()), "{line:?}");
        }
        world.run(&["trace", "job.trace", "--csv", "a.csv.zst"]).well();
        let again = world.run(&["trace", "a.csv.zst", "--json"]).well().json();
        assert_eq!(again[0]["levels"]["attempt"]["count"], seen.len());
        let calls = world.run(&["trace", "job.trace", "--csv", "-", "--level", "call"]).well().out;
        assert!(calls.contains(",call,get,") && !calls.contains(",attempt,"), "{calls}");
    });
}

#[test]
fn the_requests_of_a_bench_are_a_trace() {
    let world = World::new(Api::Oci);
    world.object("in/x", &vec![7; 100_000]);
    let url = world.url("in/");
    let bench = ["bench", &url, "--size", "4KiB", "--count", "40", "--out", "run", "--requests"];
    world.run(&bench).well();
    let told = world.run(&["trace", "run/requests.jsonl", "--json"]).well().json();
    assert_eq!(told[0]["format"], "requests");
    assert_eq!(told[0]["levels"]["attempt"]["operations"]["get"]["count"], 40, "{told:?}");
    assert_eq!((&told[0]["objects"], told[0]["seconds"].as_f64() > Some(0.0)), (&1.into(), true));
}

#[test]
fn what_is_no_trace_says_so() {
    let world = World::new(Api::Oci);
    world.file("empty", b"");
    world.run(&["trace", "empty"]).ended(2, "is empty");
    world.run(&["trace", "missing"]).ended(2, "missing: cannot be read");
    world.file("other", b"<html>");
    world.run(&["trace", "other"]).ended(2, "other:1: is no trace");
    world
        .run(&["ls", &world.url(""), "--trace-out", "/no/such/folder/t"])
        .ended(2, "/no/such/folder/t");
}

/// The file reaches a limit of the system, as on a full disk: the command goes on, and what was written is read.
#[test]
fn a_full_disk_ends_the_trace_and_not_the_command() {
    let world = World::new(Api::Oci);
    world.object("in/x", &vec![7; 100_000]);
    let url = world.url("in/");
    let bench =
        ["bench", &url, "--size", "4KiB", "--count", "4000", "--trace-out", "job.trace", "--json"];
    let binary = world.command(&bench);
    let mut limited = Command::new("sh");
    // Blocks of 512 bytes; the signal that tells of it is ignored, as a full disk sends none.
    limited.args(["-c", "ulimit -f 128; trap '' XFSZ; exec \"$0\" \"$@\""]);
    limited.arg(binary.get_program()).args(binary.get_args());
    limited.env_clear().envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.current_dir(world.folder.path());
    limited.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ran = ended(limited.spawn().unwrap());
    assert!(ran.err.contains("cannot be written any more"), "{ran:?}");
    let ran = ran.well();
    let run: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(run["requests"], 4000);
    let told = world.run(&["trace", "job.trace", "--json"]).well().json();
    let kept = told[0]["levels"]["attempt"]["count"].as_u64().unwrap();
    assert!(kept > 100 && kept < 4000, "{told:?}");
}
