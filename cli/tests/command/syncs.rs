// SPDX-License-Identifier: Apache-2.0
//! `sync`, and `--dry-run` of whatever writes.

use crate::world::{Ran, World, by_both};
use storescope_emulator::{Action, Fault};

/// No request that writes was made since the record was cleared.
fn nothing_was_written(world: &World) {
    for line in world.emulator.record() {
        assert!(matches!(&*line.method, "GET" | "HEAD"), "{} {}", line.method, line.target);
    }
}

/// Copied, removed, skipped, failed.
fn sums(ran: &Ran, would: &str) -> (u64, u64, u64, u64) {
    let lines = ran.json();
    let sum = lines.iter().find(|line| line["result"] == "summary").expect("a sum");
    let count = |name: &str| sum[name].as_u64().unwrap_or_else(|| panic!("{name} in {sum}"));
    (
        count(&format!("{would}copied")),
        count(&format!("{would}removed")),
        count("skipped"),
        count("failed"),
    )
}

fn tree(world: &World) {
    for name in ["t/a", "t/b/c", "t/b/d.tmp"] {
        world.file(name, name.as_bytes());
    }
}

#[test]
fn a_target_becomes_its_source_up_down_and_across() {
    by_both(|world| {
        tree(&world);
        let (up, other) = (world.url("site"), world.url_in("other", "site/"));
        for name in ["site/a", "site/gone", "site/b/gone", "site2", "sit"] {
            world.object(name, b"old");
        }
        let plain = world.run(&["sync", "t", &up, "--json"]).well();
        assert_eq!(plain.sum("copied"), (3, 0, 0));
        assert_eq!(world.names().len(), 7, "without --delete nothing is removed");
        assert_eq!(world.cat("site/a"), "t/a");
        let ran = world.run(&["sync", "t", &up, "--delete", "--json"]).well();
        assert_eq!(sums(&ran, ""), (0, 2, 3, 0));
        assert!(ran.err.contains("0 copied, 2 removed, 3 skipped, 0 failed"), "{ran:?}");
        assert_eq!(world.names(), ["sit", "site/a", "site/b/c", "site/b/d.tmp", "site2"]);

        world.run_with(b"x", &["cp", "-", &world.url_in("other", "site/gone")]).well();
        world.run_with(b"x", &["cp", "-", &world.url_in("other", "kept")]).well();
        let ran = world.run(&["sync", &up, &other, "--delete", "--json"]).well();
        assert_eq!(sums(&ran, ""), (3, 1, 0, 0));
        let there = world.run(&["ls", "-r", &world.url_in("other", "")]).well().out;
        assert_eq!(there, "kept\nsite/a\nsite/b/c\nsite/b/d.tmp\n");

        for name in ["down/gone", "down/deep/er/gone", "beside"] {
            world.file(name, b"x");
        }
        let ran = world.run(&["sync", &other, "down", "--delete", "--json"]).well();
        assert_eq!(sums(&ran, ""), (3, 2, 0, 0));
        assert!(!world.path("down/gone").exists() && !world.path("down/deep").exists());
        assert_eq!(world.read("down/b/c"), b"t/b/c");
        assert!(world.path("beside").exists());
        let again = world.run(&["sync", &other, "down", "--delete", "--json"]).well();
        assert_eq!(sums(&again, ""), (0, 0, 3, 0));
    });
}

#[test]
fn a_dry_run_tells_all_and_writes_nothing() {
    by_both(|world| {
        tree(&world);
        world.file("t/b/c", b"other bytes");
        let (up, gone) = (world.url("site"), world.url("site/gone"));
        world.object("site/gone", b"x");
        world.object("site/a", b"t/a");
        world.file("down/left", b"x");
        world.emulator.admin().clear_record();

        let ran = world.run(&["sync", "t", &up, "--delete", "--dry-run"]).well();
        let copies = [world.url("site/b/c"), world.url("site/b/d.tmp")];
        assert_eq!(ran.out.lines().count(), 3, "{ran:?}");
        for copy in &copies {
            assert!(ran.out.contains(&format!(" -> {copy}\n")), "{ran:?}");
        }
        assert!(ran.out.contains(&format!("remove {gone}\n")), "{ran:?}");
        assert!(ran.err.contains("2 would be copied, 1 would be removed, 1 skipped"), "{ran:?}");
        let json = world.run(&["sync", "t", &up, "--delete", "--dry-run", "--json"]).well();
        assert_eq!(sums(&json, "would_be_"), (2, 1, 1, 0));
        let down = world.run(&["sync", &up, "down", "--delete", "--dry-run", "--json"]).well();
        assert_eq!(sums(&down, "would_be_"), (2, 1, 0, 0));

        let cp = world.run(&["cp", "-r", "t", &up, "--dry-run"]).well();
        assert_eq!(cp.out.lines().count(), 2, "{cp:?}");
        let mv = world.run(&["mv", "-r", "t", &up, "--dry-run"]).well();
        assert_eq!(mv.out.lines().count(), 3, "{mv:?}");
        world.run(&["mv", &gone, &world.url("new"), "--dry-run"]).well();
        world.run(&["cp", &gone, "down/new", "--dry-run"]).well();
        world.run(&["cp", "-r", &up, &world.url_in("other", ""), "--dry-run"]).well();
        world.run(&["rm", "-r", &up, "--dry-run"]).well();
        nothing_was_written(&world);
        assert!(world.path("t/a").exists() && world.path("down/left").exists());
        assert!(!world.path("down/new").exists() && !world.path("down/a").exists());
    });
}

#[test]
fn a_dry_run_refuses_what_the_run_would() {
    by_both(|world| {
        tree(&world);
        let url = world.url("x");
        world.object("missing/../x", b"x");
        world.file("file", b"x");
        for args in [
            &["cp", "absent", &url][..],
            &["cp", &world.url("absent"), "down"],
            &["cp", &world.url("absent"), &world.url_in("other", "")],
            &["cp", "t", &url],
            &["cp", "a", "b"],
            &["cp", "t/a", "file", &url],
            &["cp", "-r", &world.url("missing"), "down"],
            &["cp", &world.url("missing/../x"), "file/x"],
            &["mv", "-r", &world.url("a"), &world.url("a/b")],
            &["mv", &world.url("absent"), &world.url("new")],
            &["sync", "absent", &url],
            &["sync", &world.url("a"), &world.url("a/b"), "--delete"],
        ] {
            world.emulator.admin().clear_record();
            let dry = world.run(&[args, &["--dry-run"]].concat());
            nothing_was_written(&world);
            let real = world.run(args);
            assert_ne!(real.code, Some(0), "{args:?}: {real:?}");
            assert_eq!(dry.code, real.code, "{args:?}: {dry:?} and {real:?}");
        }
    });
}

#[test]
fn nothing_is_removed_unless_every_copy_went_well() {
    by_both(|world| {
        tree(&world);
        world.object("site/gone", b"x");
        let refused = Action::Status { status: 403, code: None, message: None, retry_after: None };
        let id = world.emulator.fault(Fault::new(refused).method("PUT").contains("b%2Fc"));
        let slashed = Action::Status { status: 403, code: None, message: None, retry_after: None };
        let other = world.emulator.fault(Fault::new(slashed).method("PUT").contains("b/c"));
        let ran = world.run(&["sync", "t", &world.url("site"), "--delete", "--json"]);
        assert_eq!(sums(&ran, ""), (2, 0, 0, 1));
        ran.ended(1, "stay");
        assert_eq!(world.cat("site/gone"), "x");
        world.emulator.admin().remove_fault(id);
        world.emulator.admin().remove_fault(other);

        // A source that cannot be listed to its end.
        let broken = Action::Status { status: 403, code: None, message: None, retry_after: None };
        let source = world.url("site/");
        world.file("down/gone", b"x");
        let id = world.emulator.fault(Fault::new(broken).method("GET").contains("prefix=site"));
        let ran = world.run(&["sync", &source, "down", "--delete", "--allow-empty"]);
        assert_ne!(ran.code, Some(0));
        assert!(world.path("down/gone").exists());
        world.emulator.admin().remove_fault(id);

        // What cannot be a file here is no reason to remove what is.
        world.object("odd/../x", b"x");
        let ran = world.run(&["sync", &world.url("odd"), "down", "--delete", "--allow-empty"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(world.path("down/gone").exists());
    });
}

#[test]
fn an_empty_source_removes_nothing_unless_that_is_said() {
    by_both(|world| {
        std::fs::create_dir(world.path("empty")).unwrap();
        world.object("site/a", b"x");
        world.object("site", b"an object, not a tree");
        let site = world.url("site/");
        for source in ["empty", &world.url("nothing/"), &world.url("nothing")] {
            world.run(&["sync", source, &site, "--delete"]).ended(2, "--allow-empty");
            world.run(&["sync", source, &site, "--delete", "--dry-run"]).ended(2, "--allow-empty");
        }
        // All of it left out is empty, too.
        world.file("t/b", b"x");
        let filtered = ["sync", "t", &site, "--delete", "--include", "a"];
        world.run(&filtered).ended(2, "--allow-empty");
        world.run(&["sync", "absent", &site, "--delete", "--allow-empty"]).ended(2, "no folder");
        let most = ["sync", "t", &site, "--delete", "--max-delete", "0"];
        world.run(&most).ended(2, "--max-delete");
        assert_eq!(world.names(), ["site", "site/a", "site/b"]);
        world.run(&["sync", &world.url("nothing"), &site, "--delete", "--allow-empty"]).well();
        assert_eq!(world.names(), ["site"]);
        // The object of that name is no tree.
        world.run(&["sync", &world.url("site"), "down"]).well();
        assert!(!world.path("down/site").exists() && !world.path("down").is_file());
    });
}

#[test]
fn what_filters_leave_out_is_neither_copied_nor_removed() {
    by_both(|world| {
        tree(&world);
        for name in ["site/old.tmp", "site/keep/x", "site/gone"] {
            world.object(name, b"x");
        }
        let filters = ["--exclude", "*.tmp", "--exclude", "/keep/"];
        let site = world.url("site");
        world.run(&[&["sync", "t", &site, "--delete"][..], &filters].concat()).well();
        assert_eq!(world.names(), ["site/a", "site/b/c", "site/keep/x", "site/old.tmp"]);
        for name in ["down/old.tmp", "down/keep/y", "down/gone"] {
            world.file(name, b"x");
        }
        world.run(&[&["sync", &site, "down", "--delete"][..], &filters].concat()).well();
        assert!(world.path("down/old.tmp").exists() && world.path("down/keep/y").exists());
        assert!(!world.path("down/gone").exists() && !world.path("down/keep/x").exists());
    });
}

#[test]
fn a_file_of_the_source_by_another_path_is_not_too_much() {
    by_both(|world| {
        world.object("site/link/x", b"x");
        world.object("site/y", b"y");
        world.file("down/real/x", b"x");
        world.file("down/real/gone", b"x");
        std::os::unix::fs::symlink("real", world.path("down/link")).unwrap();
        let ran = world.run(&["sync", &world.url("site"), "down", "--delete", "--json"]).well();
        assert_eq!(sums(&ran, ""), (1, 1, 1, 0));
        assert_eq!(world.read("down/real/x"), b"x");
        assert!(!world.path("down/real/gone").exists());
    });
}

#[test]
fn what_counts_as_equal_is_what_cp_says() {
    by_both(|world| {
        world.file("t/a", b"one");
        let site = world.url("site");
        world.run(&["sync", "t", &site]).well();
        world.file("t/a", b"two");
        let ran = world.run(&["sync", "t", &site, "--size-only", "--json"]).well();
        assert_eq!(ran.sum("copied"), (0, 1, 0));
        let ran = world.run(&["sync", "t", &site, "--checksum", "--json"]).well();
        assert_eq!(ran.sum("copied"), (1, 0, 0));
    });
}

#[test]
fn downloads_under_way_are_neither_data_nor_too_much() {
    by_both(|world| {
        let partial = ".storescope-abcdefghij0123456789.part";
        world.file(&format!("t/{partial}"), b"half");
        world.file("t/a", b"x");
        world.file(&format!("down/{partial}"), b"half");
        world.run(&["sync", "t", &world.url("site"), "--delete"]).well();
        assert_eq!(world.names(), ["site/a"]);
        world.run(&["sync", &world.url("site"), "down", "--delete"]).well();
        assert!(world.path(&format!("down/{partial}")).exists());
    });
}

#[test]
fn trees_that_overlap_and_links_are_left_alone() {
    by_both(|world| {
        for name in ["a/b/x", "a/y"] {
            world.object(name, b"x");
        }
        let (outer, inner) = (world.url("a"), world.url("a/b/"));
        world.run(&["sync", &inner, &outer, "--delete"]).ended(2, "overlap");
        world.run(&["sync", &outer, &inner, "--delete"]).ended(2, "within");
        assert_eq!(world.names(), ["a/b/x", "a/y"]);
        world.file("elsewhere/file", b"x");
        std::fs::create_dir(world.path("down")).unwrap();
        let link = world.path("down/link");
        std::os::unix::fs::symlink(world.path("elsewhere"), &link).unwrap();
        world.run(&["sync", &outer, "down", "--delete"]).well();
        assert!(world.path("elsewhere/file").exists() && link.is_symlink());
        // The mark of a folder that is there is nothing to remove.
        world.literal("marked/", "");
        world.literal("marked/b/", "");
        world.literal("marked/gone/", "");
        world.file("up/b/x", b"x");
        world.run(&["sync", "up", &world.url("marked"), "--delete"]).well();
        let left = world.run(&["ls", "-r", &world.url("marked/")]).well().out;
        assert_eq!(left, "marked/\nmarked/b/\nmarked/b/x\n");
    });
}
