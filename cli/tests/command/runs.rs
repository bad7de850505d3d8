// SPDX-License-Identifier: Apache-2.0
//! `run`: a file of commands.

use crate::world::{Api, World, by_both, pattern};
use std::time::{Duration, Instant};

fn connections(world: &World) -> usize {
    let record = world.emulator.record();
    let mut seen: Vec<_> = record.iter().map(|line| line.connection).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len()
}

#[test]
fn lines_are_run_side_by_side_over_one_client() {
    by_both(|world| {
        let lines = (0..60).map(|number| {
            world.file(&format!("in/it's {number}"), b"x");
            format!("cp \"in/it's {number}\" '{}'", world.url(&format!("a b/{number}")))
        });
        let lines: Vec<_> = lines.collect();
        let text = format!("\u{feff}# what is to be done\r\n\n{}\n", lines.join("\n"));
        world.file("todo", text.as_bytes());
        world.emulator.admin().clear_record();
        let ran = world.run(&["run", "todo", "--json", "--concurrency", "4"]).well();
        assert_eq!(ran.sum("done"), (60, 0, 0));
        assert!(ran.err.contains("60 done, 0 skipped, 0 failed"), "{ran:?}");
        assert_eq!(world.names().len(), 60);
        let used = connections(&world);
        assert!(used <= 12, "four at a time share connections: {used} for 60 files");
        let lines = ran.json();
        let first = lines.iter().find(|line| line["line"] == 3).unwrap();
        assert_eq!(first["result"], "done");
        assert!(first["command"].as_str().unwrap().starts_with("cp \"in/it's 0\""), "{first}");
    });
}

#[test]
fn a_line_that_fails_is_told_by_its_number_and_the_others_go_on() {
    by_both(|world| {
        world.file("x", b"x");
        let todo = format!(
            "cp x {}\ncp absent {}\nrm {}\ndu -s {}\ncp -r absent {}\n",
            world.url("x"),
            world.url("y"),
            world.url("none*"),
            world.url_in("missing", ""),
            world.url("z"),
        );
        let ran = world.run_with(todo.as_bytes(), &["run", "-", "--json"]);
        assert_eq!(ran.sum("done"), (1, 0, 4));
        for line in ["line 2: ", "line 3: ", "line 4: ", "line 5: "] {
            assert!(ran.err.contains(line), "{line} in {ran:?}");
        }
        assert!(!ran.err.contains("line 1: absent") && ran.err.contains("no name matches"));
        ran.ended(1, "absent");
        assert_eq!(world.names(), ["x"]);
    });
}

#[test]
fn nothing_is_run_if_a_line_cannot_be() {
    let world = World::new(Api::Oci);
    world.file("x", b"x");
    let url = world.url("x");
    let todo = format!(
        "cp x {url}\ncp 'x {url}\nfrobnicate\nserve\nrm {}\nls {url} --endpoint http://x\ncp - {url}\n",
        world.url("")
    );
    world.file("todo", todo.as_bytes());
    let ran = world.run(&["run", "todo"]).ended(2, "6 lines cannot be run; none was");
    for told in ["todo:2: ", "todo:3: ", "todo:4: ", "todo:5: ", "todo:6: ", "todo:7: "] {
        assert!(ran.err.contains(told), "{told} in {ran:?}");
    }
    assert!(!ran.err.contains("todo:1:"));
    assert!(world.emulator.record().is_empty());
    world.run(&["run", "absent"]).ended(1, "absent");
    world.run_with(b"# nothing\n", &["run", "-"]).well();
}

#[test]
fn a_rehearsal_writes_nothing() {
    by_both(|world| {
        world.file("t/x", b"x");
        world.object("old/1", b"x");
        let todo = format!(
            "cp t/x {}\nmv {} {}\nrm '{}'\nsync t {} --delete\nmb {}\nrb {}\nls {}\nrm '{}'\n",
            world.url("new"),
            world.url("old/1"),
            world.url("old/2"),
            world.url("old/*"),
            world.url("old"),
            world.url_in("fresh", ""),
            world.url_in("other", ""),
            world.url(""),
            world.url("**"),
        );
        world.emulator.admin().clear_record();
        let ran = world.run_with(todo.as_bytes(), &["run", "--dry-run", "-"]).well();
        for line in world.emulator.record() {
            assert!(matches!(&*line.method, "GET" | "HEAD"), "{} {}", line.method, line.target);
        }
        for told in [
            format!("copy t/x -> {}\n", world.url("new")),
            format!("move {} -> {}\n", world.url("old/1"), world.url("old/2")),
            format!("remove {}\n", world.url("old/1")),
            format!("make {}\n", world.url_in("fresh", "")),
        ] {
            assert!(ran.out.contains(&told), "{told} in {ran:?}");
        }
        assert_eq!(world.names(), ["old/1"]);
        assert!(world.path("t/x").exists());
    });
}

#[test]
fn a_limit_of_bandwidth_and_two_endpoints_are_options_of_cp() {
    by_both(|world| {
        let bytes = pattern(600_000);
        let file = world.file("large", &bytes);
        // A limit is a bound from below on the time; how fast it goes without one is not told here.
        let limited = |args: &[&str]| {
            let begun = Instant::now();
            world.run(&[args, &["--bwlimit", "1MB"]].concat()).well();
            assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
        };
        limited(&["cp", &file, &world.url("large")]);
        limited(&["cp", &world.url("large"), "down"]);
        assert_eq!(world.read("down"), bytes);
        world.run(&["cp", &file, &world.url("x"), "--bwlimit", "fast"]).ended(2, "bwlimit");
        let help = world.run(&["cp", "--help"]).well().out;
        for option in ["bwlimit", "oci-endpoint", "s3-endpoint", "s3-region"] {
            assert!(help.contains(&format!("\n      --{option} <")), "{option} in {help}");
        }
    });
}

#[test]
fn short_help_has_the_commands_own_options_and_long_help_the_settings() {
    let world = World::new(Api::Oci);
    for command in ["cp", "mv", "rm", "ls", "du", "sync", "run", "stat", "cat", "bench", "uploads"]
    {
        let (short, long) =
            (world.run(&[command, "-h"]).well().out, world.run(&[command, "--help"]).well().out);
        for setting in ["endpoint", "region", "config-file", "profile", "auth", "scope-out"] {
            let setting = format!("\n      --{setting} <");
            let setting = setting.as_str();
            assert!(!short.contains(setting), "{setting} in {short}");
            assert!(long.contains(setting), "{setting} in {long}");
        }
        assert!(short.contains("see more with '--help'"), "{short}");
        assert!(long.contains("Example"), "{long}");
        let json = command == "cat" || short.contains("--json");
        assert!(json, "{short}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let completions = world.run(&["completions", shell]).well().out;
        for word in ["sync", "du", "max-delete", "allow-empty", "include", "dry-run", "raw"] {
            assert!(completions.contains(word), "{word} for {shell}");
        }
    }
}
