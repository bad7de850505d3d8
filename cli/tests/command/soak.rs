// SPDX-License-Identifier: Apache-2.0
//! `soak`: a sound client passes a short one, and what it must find it finds.

use crate::world::{Api, Ran, World};
use serde_json::Value;
use storescope_emulator::{Action, Fault};

/// A soak of this world's emulator.
fn soak(world: &World) -> (Ran, Value) {
    let ready = serde_json::to_string(world.emulator.ready()).unwrap();
    let ready = world.file("ready.json", ready.as_bytes());
    let args = ["soak", "--ready", &ready, "--duration", "4s", "--workers", "3", "--json"];
    let ran = world.run(&args);
    let told = ran.json().pop().unwrap_or_else(|| panic!("{ran:?}"));
    (ran, told)
}

fn wrong(told: &Value) -> String {
    told["wrong_told"].to_string()
}

#[test]
fn a_sound_client_passes() {
    let world = World::new(Api::Oci);
    let args = ["soak", "--duration", "15s", "--seed", "3", "--workers", "4", "--json"];
    let ran = world.run(&args).well();
    let told = ran.json().pop().unwrap();
    assert_eq!((&told["wrong"], &told["stores"]), (&0.into(), &serde_json::json!(["oci", "s3"])));
    for figure in [
        "requests",
        "faults_injected",
        "operations",
        "retries",
        "bytes_checked",
        "bytes_written",
        "states_checked",
    ] {
        assert!(told[figure].as_u64() > Some(10), "{figure} in {told}");
    }
    for process in ["client", "emulator"] {
        for moment in ["first", "last", "largest"] {
            let sample = &told[process][moment];
            assert!(sample["memory_bytes"].as_u64() > Some(1 << 20), "{process} {moment}: {told}");
            assert!(sample["descriptors"].as_u64() > Some(3), "{process} {moment}: {told}");
        }
    }
    // Nearly each kind of operation was drawn, and many faults.
    assert!(told["operation"].as_object().unwrap().len() >= 18, "{told}");
    let faults = told["faults"].as_object().unwrap();
    assert!(faults.values().filter(|fired| fired.as_u64() > Some(0)).count() >= 6, "{told}");
}

/// A range has no checksum: only what was written tells that a byte of it is wrong.
#[test]
fn a_wrong_byte_is_found() {
    let world = World::new(Api::Oci);
    let flipped = Fault::new(Action::Corrupt { offset: 0 }).method("GET").contains("common");
    world.emulator.fault(flipped.probability(0.2, 1));
    let (ran, told) = soak(&world);
    ran.ended(1, "things are wrong");
    assert!(wrong(&told).contains("wrong bytes"), "{told}");
    // What it was given is left as it was: its own faults and buckets are gone.
    assert!(
        world.run(&["ls", "oci://@emulator"]).well().out.lines().all(|it| !it.contains("soak"))
    );
}

/// Removals are answered, and not made.
#[test]
fn an_object_that_should_be_gone_is_found() {
    let world = World::new(Api::Oci);
    let status = Action::Status { status: 204, code: None, message: None, retry_after: None };
    world.emulator.fault(Fault::new(status).method("DELETE").contains("/o/w").probability(0.5, 1));
    let (ran, told) = soak(&world);
    ran.ended(1, "things are wrong");
    assert!(wrong(&told).contains("no object"), "{told}");
}

/// An error that the soak does not inject.
#[test]
fn an_unexpected_error_is_found() {
    let world = World::new(Api::Oci);
    let status = Action::Status { status: 403, code: None, message: None, retry_after: None };
    world.emulator.fault(Fault::new(status).method("PUT").contains("/w").probability(0.1, 1));
    let (ran, told) = soak(&world);
    ran.ended(1, "things are wrong");
    assert!(wrong(&told).contains("an unexpected error"), "{told}");
}
