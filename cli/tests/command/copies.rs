// SPDX-License-Identifier: Apache-2.0
//! `cp`: up, down, between; trees; what is skipped; what fails.

use crate::world::{Api, World, by_both, pattern};
use std::os::unix::fs::PermissionsExt;
use storescope_emulator::{Action, Fault};

#[test]
fn a_file_goes_up_and_comes_down_whole() {
    by_both(|world| {
        let bytes = pattern(40 << 20);
        let file = world.file("a table.parquet", &bytes);
        world.run(&["cp", &file, &world.url("2026/")]).well();
        world.run(&["cp", &world.url("2026/a table.parquet"), "new/folder/back"]).well();
        assert_eq!(world.read("new/folder/back"), bytes);
        let made = world.path("new/folder/back").metadata().unwrap().permissions().mode();
        assert_eq!(made & 0o600, 0o600);
        assert_ne!(made & 0o044, 0, "a download is readable as any new file is: {made:o}");
        assert_eq!(std::fs::read_dir(world.path("new/folder")).unwrap().count(), 1);
        assert!(world.uploads().is_empty());
    });
}

#[test]
fn standard_input_and_output() {
    by_both(|world| {
        world.object("from stdin.txt", b"hello");
        assert_eq!(world.run(&["cp", &world.url("from stdin.txt"), "-"]).well().out, "hello");
        let parts = pattern(17 << 20);
        world.run_with(&parts, &["cp", "-", &world.url("large")]).well();
        world.run(&["cp", &world.url("large"), "large"]).well();
        assert_eq!(world.read("large"), parts);
        world.run(&["cp", "-", &world.url("")]).ended(2, "no name");
        world.run(&["cp", "-", "file"]).ended(2, "neither is in a store");
    });
}

#[test]
fn content_type_and_metadata() {
    by_both(|world| {
        let file = world.file("page.html", b"<html>");
        world
            .run(&["cp", &file, &world.url(""), "--metadata", "run=17", "--metadata", "x=a=b"])
            .well();
        let stat = world.stat("page.html");
        assert_eq!(stat["content_type"], "text/html");
        assert_eq!(
            (&stat["metadata"]["run"], &stat["metadata"]["x"]),
            (&"17".into(), &"a=b".into())
        );
        // Kept between buckets, changed where that is asked for.
        world.run(&["cp", &world.url("page.html"), &world.url_in("other", "kept")]).well();
        let kept = world.run(&["stat", "--json", &world.url_in("other", "kept")]).well();
        assert!(kept.out.contains("text/html") && kept.out.contains("\"run\": \"17\""), "{kept:?}");
        let (from, to) = (world.url("page.html"), world.url("changed"));
        let changes = ["--content-type", "text/plain", "--metadata", "run=18"];
        let args = [&["cp", &from, &to][..], &changes].concat();
        world.run(&args).well();
        let stat = world.stat("changed");
        assert_eq!(
            (&stat["content_type"], &stat["metadata"]["run"]),
            (&"text/plain".into(), &"18".into())
        );
        assert_eq!(stat["metadata"]["x"], "a=b");
        world.run(&["cp", &file, &world.url(""), "--metadata", "nothing"]).ended(2, "NAME=VALUE");
    });
}

#[test]
fn a_second_run_copies_what_has_changed() {
    by_both(|world| {
        for (name, bytes) in
            [("t/a.txt", "aaaa"), ("t/b/c.txt", "cccc"), ("t/b/d", ""), ("t/é x", "1")]
        {
            world.file(name, bytes.as_bytes());
        }
        let (up, down) = (world.url("runs/17"), "back");
        let first = world.run(&["cp", "-r", "t", &up, "--json"]).well();
        assert_eq!(first.sum("copied"), (4, 0, 0));
        assert!(first.err.contains("4 copied, 0 skipped, 0 failed"), "{first:?}");
        assert_eq!(world.run(&["cp", "-r", "t", &up, "--json"]).well().sum("copied"), (0, 4, 0));
        // The same size, other bytes.
        world.file("t/a.txt", b"AAAA");
        assert_eq!(world.run(&["cp", "-r", "t", &up, "--json"]).well().sum("copied"), (1, 3, 0));
        assert_eq!(world.cat("runs/17/a.txt"), "AAAA");
        assert_eq!(
            world.run(&["cp", "-r", "t", &up, "--json", "--force"]).well().sum("copied"),
            (4, 0, 0)
        );

        assert_eq!(world.run(&["cp", "-r", &up, down, "--json"]).well().sum("copied"), (4, 0, 0));
        assert_eq!(world.read("back/b/c.txt"), b"cccc");
        assert_eq!(world.run(&["cp", "-r", &up, down, "--json"]).well().sum("copied"), (0, 4, 0));
        world.file("back/b/c.txt", b"CCCC");
        assert_eq!(world.run(&["cp", "-r", &up, down, "--json"]).well().sum("copied"), (1, 3, 0));
        assert_eq!(world.read("back/b/c.txt"), b"cccc");

        let other = world.url_in("other", "copy/");
        assert_eq!(world.run(&["cp", "-r", &up, &other, "--json"]).well().sum("copied"), (4, 0, 0));
        assert_eq!(world.run(&["cp", "-r", &up, &other, "--json"]).well().sum("copied"), (0, 4, 0));
    });
}

#[test]
fn a_large_file_that_was_written_by_parts_is_skipped_by_its_checksum() {
    by_both(|world| {
        let mut bytes = pattern(20 << 20);
        world.file("t/large", &bytes);
        world.run(&["cp", "-r", "t", &world.url("")]).well();
        let again = world.run(&["cp", "-r", "t", &world.url(""), "--json"]).well();
        assert_eq!(again.sum("copied"), (0, 1, 0));
        *bytes.last_mut().unwrap() ^= 1;
        world.file("t/large", &bytes);
        let changed = world.run(&["cp", "-r", "t", &world.url(""), "--json"]).well();
        assert_eq!(changed.sum("copied"), (1, 0, 0));
    });
}

#[test]
fn what_exists_is_left_with_no_clobber() {
    by_both(|world| {
        let file = world.file("x", b"new");
        world.object("x", b"old");
        let ran = world.run(&["cp", "-n", &file, &world.url(""), "--json"]).well();
        assert_eq!(ran.json()[0]["why"], "exists");
        assert_eq!(world.cat("x"), "old");
        world.run(&["cp", "-n", &world.url("x"), "x"]).well();
        assert_eq!(world.read("x"), b"new");
        world.run(&["cp", "-n", &file, &world.url("y")]).well();
        assert_eq!(world.cat("y"), "new");
    });
}

#[test]
fn one_that_fails_in_the_middle_does_not_stop_the_rest() {
    by_both(|world| {
        for name in ["t/a", "t/broken", "t/c"] {
            world.file(name, name.as_bytes());
        }
        let refused = Action::Status { status: 403, code: None, message: None, retry_after: None };
        let id = world.emulator.fault(Fault::new(refused).method("PUT").contains("broken"));
        let ran = world.run(&["cp", "-r", "t", &world.url("up"), "--json"]);
        assert_eq!(ran.sum("copied"), (2, 0, 1));
        ran.ended(1, "2 copied, 0 skipped, 1 failed").ended(1, "up/broken");
        assert_eq!(world.names(), ["up/a", "up/c"]);

        world.emulator.admin().remove_fault(id);
        world.run(&["cp", "-r", "t", &world.url("up")]).well();
        let broken = Action::Corrupt { offset: 1 };
        world.emulator.fault(Fault::new(broken).method("GET").contains("broken"));
        let ran = world.run(&["cp", "-r", &world.url("up"), "back", "--json"]);
        assert_eq!(ran.sum("copied"), (2, 0, 1));
        ran.ended(1, "up/broken").ended(1, "checksum");
        let mut there: Vec<_> = std::fs::read_dir(world.path("back"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        there.sort();
        assert_eq!(there, ["a", "c"], "no half file, and none beside it");
    });
}

#[test]
fn names_that_lead_elsewhere_are_not_written() {
    by_both(|world| {
        let unfit = ["t/../../escaped", "t//x", "t/a/../b", "t/.", "t/./y"];
        let fit = ["t/a b", "t/100%", "t/x?y#z", "t/\u{e9}/\u{1f980}", "t/...", "t/-", "t/a\\b"];
        for name in unfit.iter().chain(&fit) {
            world.object(name, name.as_bytes());
        }
        let ran = world.run(&["cp", "-r", &world.url("t"), "in/here", "--json"]);
        assert_eq!(ran.sum("copied"), (fit.len() as u64, 0, unfit.len() as u64));
        for name in unfit {
            let shown = format!("{:?}", &name[2..]);
            assert!(ran.err.contains(&shown), "{shown} in {ran:?}");
        }
        for name in fit {
            assert_eq!(world.read(&format!("in/here/{}", &name[2..])), name.as_bytes());
        }
        assert!(!world.path("escaped").exists() && !world.path("in/escaped").exists());
        assert_eq!(std::fs::read_dir(world.path("in")).unwrap().count(), 1);
        // All of them are names to another bucket, and back they came as they were.
        let other = world.url_in("other", "");
        let ran = world.run(&["cp", "-r", &world.url(""), &other, "--json"]).well();
        assert_eq!(ran.sum("copied").0, 12);
        let ran = world.run(&["cp", "-r", "in/here", &world.url("t"), "--json"]).well();
        assert_eq!(ran.sum("copied"), (0, fit.len() as u64, 0));
    });
}

#[test]
fn markers_become_folders() {
    by_both(|world| {
        for (name, bytes) in [("t/", ""), ("t/empty/", ""), ("t/full/", "bytes")] {
            world.literal(name, bytes);
        }
        world.object("t/full/x", b"x");
        let ran = world.run(&["cp", "-r", &world.url("t/"), "t", "--json"]);
        assert_eq!(ran.sum("copied"), (3, 0, 1));
        ran.ended(1, "that of a folder, but it has 5 bytes");
        assert!(world.path("t/empty").is_dir());
        assert_eq!(world.read("t/full/x"), b"x");
    });
}

#[test]
fn what_makes_no_sense_is_told_before_anything_is_done() {
    by_both(|world| {
        let url = world.url("k");
        world.run(&["cp", "a", "b"]).ended(2, "neither is in a store");
        world.run(&["cp", &url, &url]).ended(2, "the target is the source");
        world.run(&["cp", "-r", &world.url("a"), &world.url("a/b")]).ended(2, "lies within it");
        world.run(&["cp", &world.url(""), "x"]).ended(2, "-r");
        world.run(&["cp", "-r", &url, "-"]).ended(2, "standard output");
        world.file("t/x", b"");
        world.run(&["cp", "t", &url]).ended(2, "-r");
        world.run(&["cp", "t/x", "t/y", &url]).ended(2, "several sources");
        world.run(&["cp", "missing", &url]).ended(1, "missing");
        world.run(&["cp", &world.url("missing"), "x"]).ended(3, "not found");
        world.run(&["cp", "-r", &world.url("missing"), "x"]).ended(1, "not found");
        assert!(world.emulator.record().iter().all(|line| line.method != "PUT"));
    });
}

#[test]
fn several_sources_keep_their_names() {
    by_both(|world| {
        world.file("one.txt", b"1");
        world.file("tree/two.txt", b"2");
        world.run(&["cp", "-r", "one.txt", "tree", &world.url("in")]).well();
        assert_eq!(world.names(), ["in/one.txt", "in/tree/two.txt"]);
        world.run(&["cp", "-r", &world.url("in/one.txt"), &world.url("in/tree"), "back/"]).well();
        assert_eq!(world.read("back/one.txt"), b"1");
        assert_eq!(world.read("back/tree/two.txt"), b"2");
    });
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let world = World::new(Api::Oci);
    world.object("x", b"x");
    world.run(&["cp", &world.url("x"), "/dev/null"]).well();
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn nobody_known_is_told_once() {
    let world = World::new(Api::Oci);
    for number in 0..100 {
        world.file(&format!("t/{number}"), b"x");
    }
    let ran = world.run(&["cp", "-r", "t", &world.url(""), "--profile", "WRONG", "--json"]);
    let (copied, _, failed) = ran.sum("copied");
    assert_eq!(copied, 0);
    assert!(failed < 20, "the others would fail alike: {failed} were tried");
    assert_eq!(ran.code, Some(1));
}
