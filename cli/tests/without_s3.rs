// SPDX-License-Identifier: Apache-2.0
//! The binary built without the feature `s3`, as `make demo` builds it.
#![cfg(not(feature = "s3"))]

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary in a folder, with nothing of this machine's environment.
fn storescope(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storescope"));
    command.args(args).env_clear().env("HOME", folder).current_dir(folder).stdin(Stdio::null());
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    storescope(folder, args).output().unwrap()
}

#[test]
fn the_version_tells_the_features() {
    let folder = tempfile::tempdir().unwrap();
    let version = String::from_utf8(run(folder.path(), &["--version"]).stdout).unwrap();
    let features = version.split("features: ").nth(1).unwrap().trim_end().trim_end_matches(')');
    let file = if cfg!(feature = "object-store") { "oci, object-store" } else { "oci" };
    assert_eq!(features, file);
}

#[test]
fn each_command_says_that_there_is_no_s3() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "bytes").unwrap();
    for args in [
        &["ls", "s3://"][..],
        &["ls", "s3://b/"],
        &["cat", "s3://b/k"],
        &["stat", "s3://b/k"],
        &["cp", "file", "s3://b/k"],
        &["cp", "-r", "s3://b/", "out"],
        &["mv", "file", "s3://b/k"],
        &["rm", "s3://b/k"],
        &["rm", "-r", "--yes", "s3://b/"],
        &["mb", "s3://b"],
        &["rb", "s3://b"],
        &["uploads", "s3://b/"],
        &["bench", "s3://b/k"],
        &["bench", "--emulator", "none", "--s3"],
        &["serve", "--s3-port", "1"],
        &["serve", "--s3-dialect", "oci"],
        &["serve", "--s3-bucket-region", "far=eu-frankfurt-1"],
    ] {
        let ended = run(folder.path(), args);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("built without S3"), "{args:?}: {said}");
        assert!(ended.stdout.is_empty(), "{args:?}");
    }
    assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"bytes");
}

#[test]
fn the_server_has_no_s3_and_the_bench_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = storescope(folder.path(), &["serve", "--until-stdin-ends"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert!(ready["s3"].is_null(), "{ready}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let by_oci = |args: &[&str]| {
        let mut command = storescope(folder.path(), args);
        command.env("STORESCOPE_ENDPOINT", text(&ready["oci"]["endpoint"]));
        command.env("STORESCOPE_CONFIG_FILE", text(&ready["oci"]["config_file"]));
        command.output().unwrap()
    };
    std::fs::write(folder.path().join("file"), "bytes").unwrap();
    assert!(by_oci(&["cp", "file", "oci://demo@emulator/k"]).status.success());
    assert_eq!(by_oci(&["cat", "oci://demo@emulator/k"]).stdout, b"bytes");
    drop(server.stdin.take());
    assert!(server.wait().unwrap().success());

    let args = ["bench", "--emulator", "none", "--size", "4KiB", "--count", "20", "--json"];
    let bench = run(folder.path(), &args);
    assert!(bench.status.success(), "{bench:?}");
    let told: Value = serde_json::from_slice(&bench.stdout).unwrap();
    assert_eq!(told["ttfb"]["count"], 20, "{told}");
}
