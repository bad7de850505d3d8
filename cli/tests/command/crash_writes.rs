// SPDX-License-Identifier: Apache-2.0
//! Writes whose process is killed (SIGKILL), in each stage: the object is the older one or the new one, and whole; what is
//! left is listed, and swept by the command line; the next run succeeds.
//!
//! The server says where a write stands: a fault holds one of its requests, before it acts or after, and the process is
//! killed once that request has arrived, or has acted.

use crate::world::{Api, World, ended, pattern, signal, until};
use std::io::Write;
use std::process::{Child, Stdio};
use storescope_emulator::{Action, Fault};

/// Longer than any test takes.
const FOR_EVER: u64 = 600_000;
/// The least that S3 takes for a part.
const PART: usize = 5 << 20;
const OLDER: &[u8] = b"older";

/// What a request is held at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    /// It has arrived, and never acts.
    Before,
    /// It has acted, and is never answered.
    After,
}

/// What stands under the name when the process is gone.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stands {
    Older,
    New,
}

/// A stage of a write: the request that is held, and what is there afterwards.
struct Stage {
    name: &'static str,
    /// Method and a part of the target, by each API.
    oci: (&'static str, &'static str),
    s3: (&'static str, &'static str),
    /// The first such request that is held, counted from 1.
    nth: u64,
    held: Held,
    stands: Stands,
    uploads: usize,
}

/// The stages of a write of three parts, one after another.
const STAGES: [Stage; 7] = [
    Stage {
        name: "the begin is on its way",
        oci: ("POST", "/u"),
        s3: ("POST", "?uploads"),
        nth: 1,
        held: Held::Before,
        stands: Stands::Older,
        uploads: 0,
    },
    Stage {
        name: "begun, and nobody was told",
        oci: ("POST", "/u"),
        s3: ("POST", "?uploads"),
        nth: 1,
        held: Held::After,
        stands: Stands::Older,
        uploads: 1,
    },
    Stage {
        name: "before the first part",
        oci: ("PUT", "uploadPartNum="),
        s3: ("PUT", "partNumber="),
        nth: 1,
        held: Held::Before,
        stands: Stands::Older,
        uploads: 1,
    },
    Stage {
        name: "between two parts",
        oci: ("PUT", "uploadPartNum="),
        s3: ("PUT", "partNumber="),
        nth: 2,
        held: Held::Before,
        stands: Stands::Older,
        uploads: 1,
    },
    Stage {
        name: "before the last part",
        oci: ("PUT", "uploadPartNum="),
        s3: ("PUT", "partNumber="),
        nth: 3,
        held: Held::Before,
        stands: Stands::Older,
        uploads: 1,
    },
    Stage {
        name: "all parts are there, the commit is on its way",
        oci: ("POST", "uploadId="),
        s3: ("POST", "uploadId="),
        nth: 1,
        held: Held::Before,
        stands: Stands::Older,
        uploads: 1,
    },
    Stage {
        name: "committed, and nobody was told",
        oci: ("POST", "uploadId="),
        s3: ("POST", "uploadId="),
        nth: 1,
        held: Held::After,
        stands: Stands::New,
        uploads: 0,
    },
];

/// Holds the requests that a fault matches; the id of the fault.
fn hold(world: &World, (method, target): (&str, &str), nth: u64, held: Held) -> u64 {
    let fault =
        |action| Fault::new(action).method(method).contains(target).nth(nth).count(u64::MAX);
    let id = world.emulator.fault(fault(Action::Delay { ms: FOR_EVER }));
    if held == Held::Before {
        let refused = Action::Status { status: 503, code: None, message: None, retry_after: None };
        world.emulator.fault(fault(refused));
    }
    id
}

/// Kills a process once the held request has arrived, and what it does, if anything, has come true.
fn kill(world: &World, child: Child, held: u64, acted: impl Fn() -> bool) {
    until("the held request", || world.is_fired(held));
    until("what the held request does", acted);
    signal(&child, "KILL");
    ended(child);
    world.emulator.admin().clear_faults();
}

/// `cp` by parts of 5 MiB, one at a time.
fn copying(world: &World, from: &str, to: &str) -> Child {
    let mut command = world.command(&["cp", from, to]);
    command.env("STORESCOPE_PART_SIZE", "5MiB").env("STORESCOPE_PART_CONCURRENCY", "1");
    command.stdin(Stdio::piped()).spawn().unwrap()
}

/// The object is what stands there, the uploads are as many, and both are swept; then the command is run again.
fn swept(world: &World, stage: &str, stands: &[u8], uploads: usize) {
    let shown = format!("{:?}, {stage}", world.api);
    assert!(is(world, "large", stands), "{shown}: another object");
    let left = world.uploads();
    assert_eq!(left.len(), uploads, "{shown}: {left:?}");
    assert!(left.iter().all(|upload| upload["name"] == "large"), "{shown}: {left:?}");
    assert_eq!(world.names(), ["large"], "{shown}");
    let sweep = ["uploads", &world.url(""), "--abort", "--older-than", "0s"];
    assert_eq!(world.run(&sweep).well().out.lines().count(), uploads, "{shown}");
    assert!(world.uploads().is_empty(), "{shown}");
    assert!(is(world, "large", stands), "{shown}: another object after the sweep");
}

/// Whether an object holds these bytes.
fn is(world: &World, key: &str, bytes: &[u8]) -> bool {
    let cat = world.command(&["cat", &world.url(key)]).output().unwrap();
    cat.status.success() && cat.stdout == bytes
}

#[test]
fn a_write_by_parts_that_is_killed_leaves_the_older_object_or_the_new_one() {
    for api in [Api::Oci, Api::S3] {
        let world = World::new(api);
        let bytes = pattern(2 * PART + 1000);
        let file = world.file("large", &bytes);
        for stage in STAGES {
            world.object("large", OLDER);
            let target = if api == Api::Oci { stage.oci } else { stage.s3 };
            let held = hold(&world, target, stage.nth, stage.held);
            let child = copying(&world, &file, &world.url("large"));
            kill(&world, child, held, || match (stage.held, stage.stands) {
                (Held::Before, _) => true,
                (Held::After, Stands::New) => is(&world, "large", &bytes),
                (Held::After, Stands::Older) => !world.uploads().is_empty(),
            });
            let stands = if stage.stands == Stands::New { &bytes[..] } else { OLDER };
            swept(&world, stage.name, stands, stage.uploads);
        }
        ended(copying(&world, &file, &world.url("large"))).well();
        swept(&world, "run again", &bytes, 0);
    }
}

/// The server has the head of a part, and some of its bytes: the client sends a megabyte a second.
#[test]
fn a_write_that_is_killed_within_a_part_or_a_body_leaves_the_older_object() {
    for api in [Api::Oci, Api::S3] {
        let world = World::new(api);
        let part = if api == Api::Oci { "uploadPartNum=" } else { "partNumber=" };
        for (size, target, uploads) in [(2 * PART, part, 1), (PART - 1, "large", 0)] {
            let file = world.file("large", &pattern(size));
            world.object("large", OLDER);
            world.emulator.admin().clear_record();
            let seen = Fault::new(Action::Delay { ms: 0 }).method("PUT").contains(target);
            let seen = world.emulator.fault(seen);
            let mut command = world.command(&["cp", &file, &world.url("large")]);
            command.env("STORESCOPE_PART_SIZE", "5MiB").env("STORESCOPE_BWLIMIT", "1MB");
            kill(&world, command.spawn().unwrap(), seen, || true);
            let torn = || {
                let record = world.emulator.record();
                let line = record.iter().find(|line| line.method == "PUT" && line.status.is_none());
                line.map(|line| line.bytes_in)
            };
            until("the end of the torn request", || torn().is_some());
            assert!(torn().unwrap() < size.min(PART) as u64, "{torn:?} of {size}", torn = torn());
            swept(&world, "within a part", OLDER, uploads);
        }
    }
}

/// Bytes of a pipe: the writer waits for more of them, all parts so far are there.
#[test]
fn a_write_of_a_stream_that_is_killed_between_its_parts_leaves_the_older_object() {
    for api in [Api::Oci, Api::S3] {
        let world = World::new(api);
        world.object("large", OLDER);
        let mut child = copying(&world, "-", &world.url("large"));
        let mut pipe = child.stdin.take().unwrap();
        // A part is sent when more bytes follow; they are read by MiBs.
        pipe.write_all(&pattern(2 * PART + (1 << 20))).unwrap();
        until("two parts", || {
            let record = world.emulator.record();
            let is_part = |target: &str| target.contains("artNum");
            record.iter().filter(|line| line.status == Some(200) && is_part(&line.target)).count()
                == 2
        });
        signal(&child, "KILL");
        ended(child);
        drop(pipe);
        swept(&world, "between the parts of a stream", OLDER, 1);
    }
}

#[test]
fn a_write_by_one_request_that_is_killed_leaves_the_older_object_or_the_new_one() {
    for api in [Api::Oci, Api::S3] {
        let world = World::new(api);
        let bytes = pattern(100_000);
        let file = world.file("small", &bytes);
        for (held, stands) in [(Held::Before, OLDER), (Held::After, &bytes[..])] {
            world.object("large", OLDER);
            let id = hold(&world, ("PUT", "large"), 1, held);
            let child = copying(&world, &file, &world.url("large"));
            kill(&world, child, id, || is(&world, "large", stands));
            swept(&world, "by one request", stands, 0);
        }
    }
}

/// A copy from the other service passes through the process, by parts.
#[test]
fn a_copy_between_services_that_is_killed_leaves_its_target_as_it_was() {
    let world = World::new(Api::Oci);
    let bytes = pattern(2 * PART + 1000);
    let file = world.file("file", &bytes);
    world.run(&["cp", &file, &world.url_in("other", "source")]).well();
    for held in [Held::Before, Held::After] {
        world.object("large", OLDER);
        let id = hold(&world, ("POST", "uploadId="), 1, held);
        let mut command = world.command(&["cp", "s3://other/source", &world.url("large")]);
        let s3 = world.emulator.ready().s3.as_ref().unwrap();
        command
            .env("STORESCOPE_PART_SIZE", "5MiB")
            .env("STORESCOPE_S3_ENDPOINT", &s3.endpoint)
            .env("STORESCOPE_S3_REGION", &s3.region)
            .env("STORESCOPE_ACCESS_KEY_ID", &s3.access_key_id)
            .env("STORESCOPE_SECRET_ACCESS_KEY", &s3.secret_access_key);
        let stands = if held == Held::After { &bytes[..] } else { OLDER };
        kill(&world, command.spawn().unwrap(), id, || is(&world, "large", stands));
        swept(&world, "between services", stands, usize::from(held == Held::Before));
    }
}

/// A move that was killed has its object under the old name, the new one or both, and whole wherever it is.
#[test]
fn a_move_that_is_killed_loses_nothing() {
    for api in [Api::Oci, Api::S3] {
        let world = World::new(api);
        let bytes = pattern(300_000);
        let file = world.file("file", &bytes);
        // The request that moves, held before and after it acts, and the names that hold the bytes then.
        let moves: &[(&str, &str, Held, &[&str])] = match api {
            Api::Oci => &[
                ("POST", "/actions/renameObject", Held::Before, &["from"]),
                ("POST", "/actions/renameObject", Held::After, &["to"]),
            ],
            Api::S3 => &[
                ("PUT", "/to", Held::Before, &["from"]),
                ("PUT", "/to", Held::After, &["from", "to"]),
                ("DELETE", "/from", Held::Before, &["from", "to"]),
                ("DELETE", "/from", Held::After, &["to"]),
            ],
        };
        for &(method, target, held, names) in moves {
            world.run(&["cp", &file, &world.url("from")]).well();
            let id = hold(&world, (method, target), 1, held);
            let command = world.command(&["mv", &world.url("from"), &world.url("to")]).spawn();
            kill(&world, command.unwrap(), id, || world.names() == names);
            let shown = format!("{api:?} {method} {target} {held:?}");
            assert_eq!(world.names(), names, "{shown}");
            assert!(names.iter().all(|name| is(&world, name, &bytes)), "{shown}");
            // The next run ends it.
            let again = world.run(&["mv", &world.url("from"), &world.url("to")]);
            assert_eq!(again.code, Some(if names == ["to"] { 3 } else { 0 }), "{shown}: {again:?}");
            assert_eq!(world.names(), ["to"], "{shown}");
            assert!(is(&world, "to", &bytes), "{shown}");
            world.run(&["rm", &world.url("to")]).well();
        }
    }
}

/// Of a move from this machine the file is removed last: killed before, both are there.
#[test]
fn a_move_from_this_machine_that_is_killed_keeps_its_file() {
    for api in [Api::Oci, Api::S3] {
        let world = World::new(api);
        let bytes = pattern(300_000);
        for (held, names) in [(Held::Before, &[][..]), (Held::After, &["to"][..])] {
            let file = world.file("file", &bytes);
            let id = hold(&world, ("PUT", "to"), 1, held);
            let command = world.command(&["mv", &file, &world.url("to")]).spawn();
            kill(&world, command.unwrap(), id, || world.names() == names);
            assert_eq!(world.read("file"), bytes);
            assert!(names.iter().all(|name| is(&world, name, &bytes)));
            world.run(&["mv", &file, &world.url("to")]).well();
            assert!(is(&world, "to", &bytes) && !world.path("file").exists());
            world.run(&["rm", &world.url("to")]).well();
        }
    }
}
