// SPDX-License-Identifier: Apache-2.0
//! `fit`: a model of what `bench` measured, which `bench --emulator` and `serve` take.

use crate::world::{Api, World};
use serde_json::Value;
use storescope_emulator::{Action, Fault};
use storescope_model::{FirstByte, Model, Stream};

const GIVEN: &str = "name = \"given\"\nstream = { median = \"40MB/s\", sigma = 0.2 }\n\
                     [ttfb]\nshift = \"8ms\"\nmedian = \"10ms\"\nsigma = 0.4\n";

#[test]
fn a_fitted_model_is_replayed() {
    let world = World::new(Api::Oci);
    let given = world.file("given.toml", GIVEN.as_bytes());
    let (run, fitted) = (world.path("run"), world.path("fitted.toml"));
    let (run, fitted) = (run.to_str().unwrap(), fitted.to_str().unwrap());
    let bench = |model: &str, more: &[&str]| -> Value {
        let args = ["bench", "--emulator", model, "--count", "300", "--json"];
        serde_json::from_str(&world.run(&[&args[..], more].concat()).well().out).unwrap()
    };
    bench(&given, &["--size", "64KiB,1MiB", "--object-size", "4MiB", "--out", run]);

    let told = world.run(&["fit", run, "--out", fitted, "--target", "1GB/s", "--size", "1MiB"]);
    let told = told.well().out;
    for part in ["ttfb ", "stream ", "time by size", "not fitted: nic", "under way at a time"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let text = String::from_utf8(world.read("fitted.toml")).unwrap();
    let model = Model::from_toml(&text).unwrap();
    assert_eq!(model.name, "run");
    // A busy machine makes requests later, never sooner; how close it is on a quiet one: benches/instrument/fit.py.
    let Some(FirstByte::Spread(first_byte)) = &model.ttfb else { panic!("{text}") };
    let median = (first_byte.shift + first_byte.median).as_secs_f64();
    assert!((0.017..0.1).contains(&median), "{text}");
    let Some(Stream::Spread(stream)) = &model.stream else { panic!("{text}") };
    assert!((4e6..48e6).contains(&stream.median.bytes_per_second()), "{text}");

    let again = bench(fitted, &[]);
    assert!(again["ttfb"]["p50_ms"].as_f64().unwrap() > 15.0, "{again:#}");

    let json =
        world.run(&["fit", run, "--json", "--name", "mine", "--price-per-10000-gets", "0.004"]);
    let json: Value = serde_json::from_str(&json.well().out).unwrap();
    assert_eq!((&json["schema"], &json["model"]["name"]), (&1.into(), &"mine".into()));
    assert_eq!(json["price"]["per_million_requests"], 0.4);
    let printed = world.run(&["fit", run]).well().out;
    assert_eq!(Model::from_toml(&printed).unwrap(), model, "without --out, the model is printed");
    let lost = world.path("no/such/folder.toml");
    world.run(&["fit", run, "--out", lost.to_str().unwrap()]).ended(1, "cannot write");
}

#[test]
fn what_is_no_run_or_no_model_is_said() {
    let world = World::new(Api::Oci);
    world.run(&["fit", world.path("nothing").to_str().unwrap()]).ended(2, "cannot read");
    let empty = world
        .file("empty/run.json", br#"{"schema":1,"version":"0","url":"u","seed":1,"cells":[]}"#);
    world.run(&["fit", &empty]).ended(1, "ended before anything was measured");
    let newer = world.file("newer/run.json", br#"{"schema":9}"#);
    world.run(&["fit", &newer]).ended(2, "use a newer storescope");
    let model = world.file("model.toml", GIVEN.replace("0.4", "-0.4").as_bytes());
    world.run(&["bench", "--emulator", &model]).ended(2, "ttfb.sigma");
    world.run(&["serve", "--model", &model]).ended(2, "ttfb.sigma");
    let stall = world.file("stall.toml", b"stall = { every = \"1s\", lasts = \"2s\" }\n");
    world.run(&["serve", "--model", &stall]).ended(2, "stall.lasts");
    world.run(&["fit", &empty, "--target", "fast"]).ended(2, "25Gbit/s");
    std::fs::create_dir(world.path("bare")).unwrap();
    world.run(&["fit", "bare"]).ended(2, "bare holds no run");
}

#[test]
fn a_run_of_failures_is_kept_and_is_no_model() {
    let world = World::new(Api::Oci);
    let refused = Action::Status { status: 404, code: None, message: None, retry_after: None };
    world.emulator.admin().fault(Fault::new(refused).method("GET").contains("storescope-bench-"));
    let url = world.url("in/");
    let args = ["bench", &url, "--prepare", "3", "--object-size", "100kB", "--size", "4KiB"];
    let args = [&args[..], &["--count", "10", "--warmup", "0", "--out", "run"]].concat();
    world.run(&args).ended(3, "bucket not found");
    let json: Value = serde_json::from_slice(&world.read("run/run.json")).unwrap();
    assert_eq!(json["cells"][0]["failed_calls"], 10, "{json:#}");
    let told = world.run(&["fit", "run", "--out", "fitted.toml"]);
    let told = told.ended(1, "there is nothing to fit: all 10 attempts failed (not_found 10)");
    assert!(told.err.contains("run: "), "{}", told.err);
    assert!(!world.path("fitted.toml").exists());
}
