// SPDX-License-Identifier: Apache-2.0
//! What must not be lost: two sources with one target, files that change, links, what a killed download leaves; and what
//! works without permission to look.

use crate::world::{Api, World, by_both, ended, pattern, signal, until};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use storescope_emulator::{Action, Emulator, Fault, RecordLine};
use storescope_model::Model;

fn refused() -> Action {
    Action::Status { status: 403, code: None, message: None, retry_after: None }
}

/// Whether a line is that of a listing.
fn lists(line: &RecordLine) -> bool {
    line.method == "GET" && (line.target.contains("list-type=") || line.target.contains("/o?"))
}

#[test]
fn two_sources_with_one_target_are_refused_before_anything_is_copied() {
    by_both(|world| {
        for name in ["x/a", "y/a", "x/data/in/a", "x/data/only x", "y/data/in/a"] {
            world.file(name, name.as_bytes());
            world.object(&format!("from/{name}"), name.as_bytes());
        }
        let of = |name: &str| world.url(&format!("from/{name}"));
        let before = world.names();
        let (to, other) = (world.url("t/"), world.url_in("other", "t/"));
        let cases = [
            // Up, down, across; by name, and by tree.
            (vec!["x/a".to_owned(), "y/a".to_owned(), to.clone()], "x/a and y/a"),
            (vec![of("x/a"), of("y/a"), "down/".to_owned()], "down/a"),
            (vec![of("x/a"), of("y/a"), other.clone()], "from/y/a would both become"),
            (
                vec!["-r".to_owned(), "x/data".to_owned(), "y/data".to_owned(), to.clone()],
                "data/in/a",
            ),
            (vec!["-r".to_owned(), of("x/data"), of("y/data/"), "down/".to_owned()], "data/in/a"),
            (vec!["-r".to_owned(), of("x/data"), of("y/data"), other.clone()], "data/in/a"),
            // By a bucket, whose names land beside the others; and the same one twice.
            (vec!["x/a".to_owned(), "./x/a".to_owned(), to.clone()], "would"),
            (vec![of("x/a"), of("x/a"), other.clone()], "named twice"),
        ];
        for command in ["cp", "mv"] {
            for (args, said) in &cases {
                world.emulator.admin().clear_record();
                let args: Vec<&str> =
                    std::iter::once(command).chain(args.iter().map(String::as_str)).collect();
                world.run(&args).ended(2, said);
                let record = world.emulator.record();
                assert!(
                    record.iter().all(|line| line.method == "GET" || line.method == "HEAD"),
                    "{args:?}"
                );
                assert!(!world.path("down").exists(), "{args:?}");
            }
        }
        assert_eq!(world.names(), before);
        assert_eq!(world.read("x/a"), b"x/a");
        assert_eq!(world.read("y/a"), b"y/a");
    });
}

#[test]
fn sources_of_one_name_that_do_not_meet_are_copied() {
    by_both(|world| {
        world.file("x/data/a", b"1");
        world.file("y/data/b", b"2");
        world.run(&["cp", "-r", "x/data", "y/data", &world.url("t")]).well();
        assert_eq!(world.names(), ["t/data/a", "t/data/b"]);
        // Two names of one file are two sources.
        std::fs::hard_link(world.path("x/data/a"), world.path("hard")).unwrap();
        symlink(world.path("x/data/a"), world.path("soft")).unwrap();
        world.run(&["cp", "x/data/a", "hard", "soft", &world.url("links/")]).well();
        assert_eq!(world.names()[..3], ["links/a", "links/hard", "links/soft"]);
        // An object and what is below it are two names in a store.
        world.object("up/a", b"file");
        world.object("up/a/b", b"below");
        world.run(&["cp", "-r", &world.url("up"), &world.url("again")]).well();
        assert_eq!(world.cat("again/a/b"), "below");
    });
}

#[test]
fn what_lands_where_another_source_is_read_is_refused() {
    by_both(|world| {
        world.object("x/data/sub/f", b"new");
        world.object("data/sub/f", b"old");
        let args = ["mv", "-r", &world.url("x/data"), &world.url("data/sub"), &world.url("")];
        world.run(&args).ended(2, "one after the other");
        assert_eq!(world.names(), ["data/sub/f", "x/data/sub/f"]);
        // And one that has its name already.
        for command in ["cp", "mv"] {
            let args = [command, &world.url("data/sub/f"), &world.url("data/sub/")];
            world.run(&args).ended(2, "the target is the source");
            let args = [command, "-r", &world.url("data/sub/f"), &world.url("data/sub/")];
            world.run(&args).ended(1, "the target is the source");
        }
        assert_eq!(world.cat("data/sub/f"), "old");
    });
}

#[test]
fn an_object_and_a_folder_of_one_name_are_told_both() {
    by_both(|world| {
        for name in ["t/a", "t/a!", "t/a/b", "t/c/d"] {
            world.object(name, name.as_bytes());
        }
        let ran = world.run(&["mv", "-r", &world.url("t"), "down", "--json"]);
        assert_eq!(ran.sum("moved"), (3, 0, 1));
        ran.ended(1, "t/a/b: ").ended(1, "t/a is an object, too");
        assert_eq!(world.read("down/a"), b"t/a");
        assert_eq!(world.names(), ["t/a/b"], "what could not be moved is still there");
        // Two folders of the target that are one.
        world.object("u/in/x", b"1");
        world.object("u/link/x", b"2");
        std::fs::create_dir_all(world.path("linked/in")).unwrap();
        symlink("in", world.path("linked/link")).unwrap();
        let ran =
            world.run(&["mv", "-r", &world.url("u"), "linked", "--json", "--concurrency", "1"]);
        assert_eq!(ran.sum("moved"), (1, 0, 1));
        ran.ended(1, "are one folder");
        assert_eq!(world.read("linked/in/x"), b"1");
        assert_eq!(world.names(), ["t/a/b", "u/link/x"]);
    });
}

#[test]
fn a_download_goes_through_a_linked_folder_of_its_target_and_replaces_a_linked_file() {
    let world = World::new(Api::Oci);
    world.object("t/in/x", b"new");
    world.object("t/file", b"new");
    world.file("elsewhere/other", b"old");
    std::fs::create_dir(world.path("down")).unwrap();
    symlink(world.path("elsewhere"), world.path("down/in")).unwrap();
    symlink(world.path("elsewhere/other"), world.path("down/file")).unwrap();
    world.run(&["cp", "-r", &world.url("t"), "down"]).well();
    assert_eq!(world.read("elsewhere/x"), b"new");
    assert_eq!(world.read("elsewhere/other"), b"old");
    assert_eq!(world.read("down/file"), b"new");
}

#[test]
fn a_file_that_is_rewritten_while_it_goes_up_is_not_stored() {
    for api in [Api::Oci, Api::S3] {
        let model = Model::from_toml("name = \"slow\"\nttfb = \"100ms\"\n").unwrap();
        let world = World::on(api, Emulator::builder().model(model));
        world.object("large", b"old");
        for command in ["cp", "mv"] {
            let file = world.file("large", &pattern(200 << 20));
            world.emulator.admin().clear_record();
            let child = world.command(&[command, &file, &world.url("large")]).spawn().unwrap();
            until("a part that is there", || {
                let record = world.emulator.record();
                record.iter().any(|line| line.method == "PUT" && line.status == Some(200))
            });
            let file = std::fs::File::options().write(true).open(world.path("large")).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, b"torn", 199 << 20).unwrap();
            ended(child).ended(1, "changed while it was read");
            assert_eq!(world.cat("large"), "old", "{command}");
            assert!(world.path("large").exists() && world.uploads().is_empty(), "{command}");
        }
    }
}

#[test]
fn a_move_follows_no_link() {
    by_both(|world| {
        world.file("outside/precious", b"precious");
        world.file("t/in/file", b"file");
        symlink(world.path("outside"), world.path("t/folder")).unwrap();
        symlink(world.path("outside/precious"), world.path("t/in/link")).unwrap();
        let ran = world.run(&["mv", "-r", "t", &world.url("t"), "--json"]);
        assert_eq!(ran.sum("moved"), (1, 0, 2));
        ran.ended(1, "t/folder").ended(1, "symbolic link");
        assert_eq!(world.names(), ["t/in/file"]);
        assert_eq!(world.read("outside/precious"), b"precious");
        assert!(world.path("t/folder").is_symlink() && world.path("t/in/link").is_symlink());
        // Named by itself, with and without a `/` behind it.
        symlink(world.path("outside"), world.path("named")).unwrap();
        for named in ["named", "named/"] {
            world.run(&["mv", "-r", named, &world.url("n")]).ended(2, "symbolic link");
        }
        world.run(&["mv", "t/in/link", &world.url("n")]).ended(2, "symbolic link");
        assert_eq!(world.read("outside/precious"), b"precious");
        // A copy follows them.
        let ran = world.run(&["cp", "-r", "t", &world.url("c"), "--json"]).well();
        assert_eq!(ran.sum("copied"), (2, 0, 0));
        assert_eq!(world.cat("c/folder/precious"), "precious");
    });
}

#[test]
fn a_pipe_is_copied_and_not_moved() {
    let world = World::new(Api::Oci);
    std::fs::create_dir(world.path("t")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(world.path("t/pipe")).status().unwrap();
    assert!(made.success());
    world.run(&["mv", "t/pipe", &world.url("pipe")]).ended(1, "it is no file");
    assert!(world.path("t/pipe").exists());
    let child = world.command(&["cp", "t/pipe", &world.url("pipe")]).spawn().unwrap();
    std::fs::write(world.path("t/pipe"), b"streamed").unwrap();
    ended(child).well();
    assert_eq!(world.cat("pipe"), "streamed");
}

/// A download into `folder` that was killed in its middle; the name of what it left.
fn killed(world: &World, folder: &str) -> String {
    let bytes = pattern(60 << 20);
    let file = world.file("large", &bytes);
    world.run(&["cp", &file, &world.url("large")]).well();
    let to = format!("{folder}/large");
    let child = world.command(&["cp", &world.url("large"), &to]).spawn().unwrap();
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let grown = entries.filter(|entry| entry.metadata().is_ok_and(|file| file.len() > 0));
        grown.map(|entry| entry.file_name().into_string().unwrap()).collect()
    };
    let folder = world.path(folder);
    until("a file that grows", || {
        names(&folder).iter().any(|name| name.starts_with(".storescope-"))
    });
    signal(&child, "KILL");
    ended(child);
    names(&folder).into_iter().find(|name| name.starts_with(".storescope-")).unwrap()
}

#[test]
fn what_a_killed_download_leaves_is_not_data() {
    let model = Model::from_toml("name = \"slow\"\nstream = \"20MB/s\"\n").unwrap();
    let world = World::on(Api::Oci, Emulator::builder().model(model));
    let left = killed(&world, "t");
    world.file("t/a", b"a");
    world.file("t/.storescope-notes.part", b"data");
    let ran = world.run(&["cp", "-r", "t", &world.url("up"), "--json"]).well();
    assert_eq!(ran.sum("copied"), (2, 1, 0));
    assert!(ran.err.contains(&left) && ran.err.contains("is not copied"), "{ran:?}");
    assert_eq!(world.names(), ["large", "up/.storescope-notes.part", "up/a"]);
    let ran = world.run(&["mv", "-r", "t", &world.url("up"), "--json"]).well();
    assert_eq!(ran.sum("moved"), (2, 1, 0));
    assert!(world.path("t").join(&left).exists());
    assert_eq!(world.names(), ["large", "up/.storescope-notes.part", "up/a"]);
}

#[test]
fn a_tree_goes_up_without_permission_to_look() {
    by_both(|world| {
        for name in ["t/a", "t/b", "t/c/d"] {
            world.file(name, name.as_bytes());
        }
        world.object("up/a", b"old");
        world.emulator.fault(Fault::new(refused()).method("HEAD"));
        let reads = world.emulator.fault(Fault::new(refused()).method("GET"));
        let ran = world.run(&["cp", "-r", "t", &world.url("up"), "--json"]).well();
        assert_eq!(ran.sum("copied"), (3, 0, 0));
        assert!(ran.err.contains("cannot be compared, and is written"), "{ran:?}");
        let heads = || world.emulator.record().iter().filter(|line| line.method == "HEAD").count();
        assert!(heads() <= 8, "one refusal is enough: {}", heads());
        // Where all is copied anyway, nothing is looked at.
        world.emulator.admin().clear_record();
        world.run(&["cp", "-r", "-f", "t", &world.url("up")]).well();
        let record = world.emulator.record();
        assert!(record.iter().all(|line| line.method == "PUT"), "{record:?}");
        // What exists stays, by the condition of the write.
        let ran = world.run(&["cp", "-r", "-n", "t", &world.url("up"), "--json"]).well();
        assert_eq!(ran.sum("copied"), (0, 3, 0));
        world.run(&["cp", "-n", "t/a", &world.url("new")]).well();
        world.run(&["cp", "-n", "t/b", &world.url("new")]).well();
        world.run(&["mv", "t/a", &world.url("moved")]).well();
        assert!(!world.path("t/a").exists());
        world.emulator.admin().remove_fault(reads);
        assert_eq!((world.cat("up/a"), world.cat("new")), ("t/a".to_owned(), "t/a".to_owned()));
        assert!(world.names().contains(&"moved".to_owned()));
    });
}

#[test]
fn objects_are_read_and_copied_without_permission_to_look() {
    let world = World::new(Api::S3);
    let bytes = pattern(9 << 20);
    let file = world.file("large", &bytes);
    world.run(&["cp", &file, &world.url("large")]).well();
    world.emulator.fault(Fault::new(refused()).method("HEAD"));
    world.run(&["cp", &world.url("large"), "down"]).well();
    assert!(world.read("down") == bytes);
    world.run(&["cp", &world.url("large"), &world.url("copy")]).well();
    world.run(&["mv", &world.url("copy"), &world.url("again")]).well();
    world.run(&["mv", &world.url("again"), &world.url("copy")]).well();
    world.run(&["mv", &world.url("large"), &world.url_in("other", "moved")]).well();
    world.run(&["cp", "-n", &world.url("copy"), &world.url_in("other", "moved")]).well();
    world.run(&["cp", &world.url_in("other", "moved"), "down"]).well();
    assert!(world.read("down") == bytes);
    assert_eq!(world.names(), ["copy"]);
    // Its checksum is compared although nothing but the answer tells it.
    world.emulator.fault(Fault::new(Action::Corrupt { offset: 1 }).method("GET").contains("copy"));
    world.run(&["cp", &world.url("copy"), "down"]).ended(1, "checksum");
    assert!(world.read("down") == bytes);
}

#[test]
fn an_object_that_is_replaced_while_it_is_moved_stays() {
    by_both(|world| {
        let model = Model::from_toml("name = \"slow\"\nstream = \"5MB/s\"\n").unwrap();
        world.object("x", &pattern(2 << 20));
        world.emulator.admin().set_model(&model).unwrap();
        world.emulator.admin().clear_record();
        let child = world.command(&["mv", "-r", &world.url("x"), "x"]).spawn().unwrap();
        until("a file that grows", || {
            let entries = std::fs::read_dir(world.folder.path()).unwrap().flatten();
            let mut partial =
                entries.filter(|e| e.file_name().to_string_lossy().starts_with(".storescope-"));
            partial.any(|partial| partial.metadata().is_ok_and(|meta| meta.len() > 0))
        });
        world.literal("x", "newer");
        let ran = ended(child);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert_eq!(world.cat("x"), "newer");
    });
}

#[test]
fn names_reach_a_terminal_escaped() {
    const EVIL: &str = "e\u{1b}[31m\u{7}\u{202e}\\";
    const SHOWN: &str = "e\\033[31m\\a\\342\\200\\256\\\\";
    by_both(|world| {
        world.literal(&format!("t/{EVIL}"), "x");
        let (top, below) = (world.url("t/"), world.url("t"));
        assert_eq!(world.run(&["ls", &top]).well().out, format!("t/{SHOWN}\n"));
        assert!(world.run(&["ls", "-l", &top]).well().out.contains(SHOWN));
        let raw = world.run(&["ls", "--print0", &top]).well().out;
        assert_eq!(raw, format!("t/{EVIL}\0"));
        let json = world.run(&["ls", "--json", &top]).well();
        assert_eq!(json.json()[0]["name"], format!("t/{EVIL}"));
        assert!(!json.out.contains('\u{202e}') && !json.out.contains('\u{1b}'), "{json:?}");
        let dry = world.run(&["rm", "-r", "--dry-run", &below]).well().out;
        assert_eq!(dry.lines().count(), 1);
        assert!(dry.contains(SHOWN) && !dry.contains('\u{1b}'), "{dry:?}");
        let evil = world.url(&format!("t/{EVIL}"));
        assert!(world.run(&["stat", &evil]).well().out.contains(SHOWN));
        // Errors: a name, and what a server says.
        let missing = world.run(&["cat", &world.url(&format!("missing{EVIL}"))]);
        assert!(
            !missing.err.contains('\u{1b}') && missing.err.contains("\\033[31m"),
            "{missing:?}"
        );
        let said = Action::Status {
            status: 400,
            code: Some("Bad".to_owned()),
            message: Some("said \u{202e}so\u{9b}".to_owned()),
            retry_after: None,
        };
        world.emulator.fault(Fault::new(said).method("PUT").contains("said"));
        let refused = world.run_with(b"x", &["cp", "-", &world.url("said")]);
        assert!(refused.err.contains("\\342\\200\\256so\\302\\233"), "{refused:?}");
        let ran = world.run(&["cp", "-r", &below, &world.url_in("other", "")]).well();
        assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
        let file = world.file(&format!("f{EVIL}"), b"x");
        symlink(&file, world.path(&format!("l{EVIL}"))).unwrap();
        let told = world.run(&["mv", &format!("l{EVIL}"), &top]).ended(2, "symbolic link");
        assert!(!told.err.contains('\u{1b}') && !told.err.contains('\u{202e}'), "{told:?}");
    });
}

#[test]
fn a_second_run_asks_for_listings_alone() {
    by_both(|world| {
        for number in 0..1100 {
            world.file(&format!("t/{number}"), format!("file {number}").as_bytes());
        }
        let (up, other) = (world.url("up"), world.url_in("other", "up"));
        let again = |from: &str, to: &str, more: &[&str]| {
            world.emulator.admin().clear_record();
            let ran = world.run(&[&["cp", "-r", from, to, "--json"], more].concat()).well();
            let record = world.emulator.record();
            assert!(
                record.iter().all(lists),
                "only listings: {:?}",
                record.iter().find(|line| !lists(line))
            );
            (ran.sum("copied"), record.len())
        };
        world.run(&["cp", "-r", "t", &up]).well();
        assert_eq!(again("t", &up, &[]), ((0, 1100, 0), 2));
        assert_eq!(again("t", &up, &["--checksum"]), ((0, 1100, 0), 2));
        world.run(&["cp", "-r", &up, "down"]).well();
        assert_eq!(again(&up, "down", &[]), ((0, 1100, 0), 2));
        world.run(&["cp", "-r", &up, &other]).well();
        assert_eq!(again(&up, &other, &[]), ((0, 1100, 0), 4));
        // The same size, other bytes.
        world.file("t/7", b"FILE 7");
        assert_eq!(again("t", &up, &["--size-only"]), ((0, 1100, 0), 2));
        let changed = world.run(&["cp", "-r", "t", &up, "--json"]).well();
        assert_eq!(changed.sum("copied"), (1, 1099, 0));
        assert_eq!(world.cat("up/7"), "FILE 7");
    });
}

#[test]
fn time_decides_only_where_there_is_no_checksum_to_compare() {
    let world = World::new(Api::S3);
    // Of parts, and without a checksum of the whole: as other tools write it.
    let bytes = pattern(12 << 20);
    let file = world.file("t/large", &bytes);
    let no_checksum = ["--verify", "false", "--part-size", "5MiB"];
    world.run(&[&["cp", &file, &world.url("up/large")][..], &no_checksum].concat()).well();
    let again = |more: &[&str]| {
        let up = world.url("up");
        let args = [&["cp", "-r", "t", &up, "--json"][..], more, &no_checksum].concat();
        world.run(&args).well().sum("copied")
    };
    assert_eq!(again(&[]), (0, 1, 0), "the file is no newer than its copy");
    assert_eq!(again(&["--checksum"]), (1, 0, 0), "there is none to compare");
    // Stores tell whole seconds.
    let now = std::time::SystemTime::now();
    let (later, long_ago) = (now + Duration::from_mins(1), now - Duration::from_hours(1));
    let touch = |file: &str, time| {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    };
    touch(&file, later);
    assert_eq!(again(&[]), (1, 0, 0), "the file is newer");
    touch(&file, long_ago);
    // An ETag that has the form of an MD5, and is another: older, but not equal.
    let small = world.file("t/small", b"new");
    world.run(&["cp", &small, &world.url("up/small"), "--verify", "false"]).well();
    world.file("t/small", b"old");
    touch(&small, long_ago);
    assert_eq!(again(&[]), (1, 1, 0));
    assert_eq!(world.cat("up/small"), "old");
}
