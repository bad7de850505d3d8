// SPDX-License-Identifier: Apache-2.0
//! Signals: what was begun is aborted; what could not be is listed.

use crate::world::{Api, World, ended, pattern, signal, until};
use std::process::{Child, Stdio};
use storescope_emulator::Emulator;
use storescope_model::Model;

/// An emulator that takes its time, a large file on its way to it, and a part there.
fn uploading(api: Api) -> (World, Child) {
    let model = Model::from_toml("name = \"slow\"\nttfb = \"150ms\"\n").unwrap();
    let world = World::on(api, Emulator::builder().model(model));
    let file = world.file("large", &pattern(200 << 20));
    let child = world.command(&["cp", "-r", &file, &world.url("large")]).spawn().unwrap();
    until("a part that is there", || {
        let record = world.emulator.record();
        record.iter().any(|line| line.method == "PUT" && line.status == Some(200))
    });
    (world, child)
}

#[test]
fn sigterm_and_sigint_abort_uploads() {
    for (api, name) in [(Api::Oci, "TERM"), (Api::S3, "TERM"), (Api::Oci, "INT")] {
        let (world, child) = uploading(api);
        signal(&child, name);
        let ran = ended(child);
        assert_eq!(ran.code, Some(130), "{ran:?}");
        assert!(ran.err.contains("0 copied, 0 skipped, 0 failed"), "it tells what ran: {ran:?}");
        assert!(ran.err.contains("interrupted"), "{ran:?}");
        assert!(world.uploads().is_empty(), "{api:?} after SIG{name}");
        assert!(world.names().is_empty());
    }
}

#[test]
fn what_sigkill_leaves_is_listed_and_aborted() {
    for api in [Api::Oci, Api::S3] {
        let (world, child) = uploading(api);
        signal(&child, "KILL");
        ended(child);
        let left = world.uploads();
        assert_eq!(left.len(), 1, "{api:?}");
        assert_eq!(left[0]["name"], "large");
        let young = ["uploads", &world.url(""), "--abort", "--older-than", "1d"];
        assert_eq!(world.run(&young).well().out, "");
        world.run(&["uploads", &world.url(""), "--abort"]).ended(2, "--older-than");
        let all = ["uploads", &world.url(""), "--abort", "--older-than", "0s"];
        assert!(world.run(&all).well().out.starts_with("aborted"));
        assert!(world.uploads().is_empty());
    }
}

#[test]
fn a_download_that_is_interrupted_leaves_no_file() {
    let world = World::on(
        Api::Oci,
        Emulator::builder()
            .model(Model::from_toml("name = \"slow\"\nstream = \"20MB/s\"\n").unwrap()),
    );
    let bytes = pattern(60 << 20);
    let file = world.file("large", &bytes);
    world.run(&["cp", &file, &world.url("large")]).well();
    let child = world.command(&["cp", &world.url("large"), "down/large"]).spawn().unwrap();
    let down = world.path("down");
    until("a file that grows", || {
        let entries = std::fs::read_dir(&down).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).any(|file| file.len() > 0)
    });
    signal(&child, "TERM");
    assert_eq!(ended(child).code, Some(130));
    assert_eq!(std::fs::read_dir(&down).unwrap().count(), 0);
}

#[test]
fn a_reader_that_has_had_enough_ends_a_cat_quietly() {
    let world = World::new(Api::Oci);
    world.object("large", &pattern(8 << 20));
    let mut child =
        world.command(&["cat", &world.url("large")]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = ended(child);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}
