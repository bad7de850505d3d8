// SPDX-License-Identifier: Apache-2.0
//! Downloads whose process is killed (SIGKILL), in each stage: the file is the older one or the new one, and whole; what is
//! left is listed by `downloads`, and swept by it, but for what is under way.

use crate::world::{Api, World, by_both, ended, pattern, signal, until};
use std::path::PathBuf;
use std::process::Child;
use storescope_emulator::{Action, Fault};

/// Longer than any test takes.
const FOR_EVER: u64 = 600_000;
const OLDER: &[u8] = b"older";

/// The files of unfinished downloads below `down`, as `downloads` tells them.
fn partials(world: &World) -> Vec<serde_json::Value> {
    world.run(&["downloads", "--json", "down"]).well().json()
}

/// All files of `down`, however they are named.
fn files(world: &World) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(world.path("down")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// By one request, since a listing tells the size.
fn downloading(world: &World) -> Child {
    world.command(&["cp", "-r", &world.url("tree"), "down"]).spawn().unwrap()
}

/// An object, and an older file where it is to go.
fn object(world: &World, size: usize) -> Vec<u8> {
    let bytes = pattern(size);
    let file = world.file("source", &bytes);
    world.run(&["cp", &file, &world.url("tree/large")]).well();
    world.file("down/large", OLDER);
    bytes
}

#[test]
fn a_download_that_is_killed_before_its_first_byte_leaves_the_older_file() {
    by_both(|world| {
        object(&world, 300_000);
        let held = Fault::new(Action::Delay { ms: FOR_EVER }).method("GET");
        let held = world.emulator.fault(held.contains("large"));
        let child = downloading(&world);
        until("the read", || world.is_fired(held));
        signal(&child, "KILL");
        ended(child);
        world.emulator.admin().clear_faults();
        assert_eq!(world.read("down/large"), OLDER);
        assert!(partials(&world).iter().all(|partial| partial["size"] == 0));
    });
}

/// Killed when some of the bytes are there, and when all are there but the last.
#[test]
fn a_download_that_is_killed_before_its_rename_leaves_the_older_file_and_what_is_listed() {
    by_both(|world| {
        let size = 4 << 20;
        let bytes = object(&world, size);
        for after in [size as u64 / 2, size as u64 - 1] {
            let stall = Fault::new(Action::Stall { after, ms: None }).method("GET");
            world.emulator.fault(stall.contains("large"));
            let child = downloading(&world);
            // Somewhat more than a MiB waits in memory.
            let least = after - (3 << 19);
            until("a file that grows", || {
                partials(&world).iter().any(|partial| partial["size"].as_u64() >= Some(least))
            });
            let under_way = partials(&world);
            assert_eq!(under_way[0]["under_way"], true, "{under_way:?}");
            let sweep = ["downloads", "down", "--remove", "--older-than", "0s"];
            assert_eq!(world.run(&sweep).well().out, "", "one under way is not removed");
            assert_eq!(partials(&world).len(), 1);
            signal(&child, "KILL");
            ended(child);
            world.emulator.admin().clear_faults();
            assert_eq!(world.read("down/large"), OLDER);
            let left = partials(&world);
            assert_eq!((left.len(), &left[0]["under_way"]), (1, &false.into()), "{left:?}");
            world.run(&["downloads", "down", "--remove"]).ended(2, "--older-than");
            let young = ["downloads", "down", "--remove", "--older-than", "1d"];
            assert_eq!(world.run(&young).well().out, "");
            // Another copy does not take it for a file, nor does it stand in its way.
            world.run(&["cp", "-r", "down", &world.url("up")]).well();
            assert_eq!(world.names(), ["tree/large", "up/large"]);
            world.run(&["rm", "-r", &world.url("up")]).well();
            assert!(world.run(&sweep).well().out.starts_with("removed"));
            assert!(partials(&world).is_empty());
            assert_eq!(files(&world), [world.path("down/large")]);
        }
        ended(downloading(&world)).well();
        assert_eq!(world.read("down/large"), bytes);
        assert_eq!(files(&world), [world.path("down/large")]);
    });
}

/// Of a move the object is removed after the file has its name.
#[test]
fn a_move_to_this_machine_that_is_killed_after_its_rename_has_the_whole_file() {
    by_both(|world| {
        let bytes = object(&world, 300_000);
        let held = |action| Fault::new(action).method("DELETE");
        let id = world.emulator.fault(held(Action::Delay { ms: FOR_EVER }));
        let refused = Action::Status { status: 503, code: None, message: None, retry_after: None };
        world.emulator.fault(held(refused));
        let child = world.command(&["mv", &world.url("tree/large"), "down/large"]).spawn().unwrap();
        until("the removal", || world.is_fired(id));
        signal(&child, "KILL");
        ended(child);
        world.emulator.admin().clear_faults();
        assert_eq!(world.read("down/large"), bytes);
        assert_eq!(files(&world), [world.path("down/large")]);
        assert_eq!(world.names(), ["tree/large"], "the object is still there");
        world.run(&["mv", &world.url("tree/large"), "down/large"]).well();
        assert_eq!((world.read("down/large"), world.names().len()), (bytes, 0));
    });
}

#[test]
fn downloads_tells_folders_that_it_cannot_read_and_follows_no_link() {
    let world = World::new(Api::Oci);
    let partial = ".storescope-abcdefghij0123456789.part";
    world.file(&format!("elsewhere/{partial}"), b"x");
    world.file(&format!("down/deep/{partial}"), b"xx");
    world.file("down/.storescope-notes.part", b"data");
    std::os::unix::fs::symlink(world.path("elsewhere"), world.path("down/link")).unwrap();
    let told = world.run(&["downloads", "down"]).well().out;
    assert!(told.lines().count() == 1 && told.trim_end().ends_with(partial), "{told}");
    world.run(&["downloads", "missing", "down"]).ended(1, "missing");
    let all = ["downloads", ".", "--remove", "--older-than", "0s", "--json"];
    assert_eq!(world.run(&all).well().json().len(), 2);
    assert!(world.path("down/.storescope-notes.part").exists());
    assert!(partials(&world).is_empty());
}
