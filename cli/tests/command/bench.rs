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
