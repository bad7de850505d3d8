// SPDX-License-Identifier: Apache-2.0
//! An emulator, a folder, and the binary with an environment of its own.

use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use storescope::config::Secret;
use storescope::{Client, Config, PutOptions, StoreOptions, blocking};
use storescope_emulator::{Builder, Emulator};

/// By which API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Oci,
    S3,
}

/// Runs a test by both APIs, each with an emulator of its own.
pub(crate) fn by_both(test: impl Fn(World)) {
    for api in [Api::Oci, Api::S3] {
        test(World::new(api));
    }
}

pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) emulator: Emulator,
    pub(crate) folder: tempfile::TempDir,
}

/// What a run of the binary ended with.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// It ended well.
    pub(crate) fn well(self) -> Ran {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It ended with this code, and said so.
    pub(crate) fn ended(self, code: i32, said: &str) -> Ran {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(said), "{said:?} in {self:?}");
        self
    }

    /// The JSON lines on standard output.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Counts of copied (or removed, …), skipped and failed things.
    pub(crate) fn sum(&self, verb: &str) -> (u64, u64, u64) {
        let lines = self.json();
        let sum = lines.iter().find(|line| line["result"] == "summary").expect("a sum");
        let count = |name: &str| sum[name].as_u64().expect(name);
        (count(verb), count("skipped"), count("failed"))
    }
}

impl World {
    pub(crate) fn new(api: Api) -> World {
        World::on(api, Emulator::builder())
    }

    pub(crate) fn on(api: Api, builder: Builder) -> World {
        let emulator = builder.bucket("bucket").bucket("other").start().unwrap();
        World { api, emulator, folder: tempfile::tempdir().unwrap() }
    }

    /// Whether a fault was done to any request.
    pub(crate) fn is_fired(&self, fault: u64) -> bool {
        self.emulator.admin().fault_counts(fault).is_some_and(|(_, fired)| fired > 0)
    }

    /// The URL of an object of `bucket`.
    pub(crate) fn url(&self, key: &str) -> String {
        self.url_in("bucket", key)
    }

    pub(crate) fn url_in(&self, bucket: &str, key: &str) -> String {
        match self.api {
            Api::Oci => format!("oci://{bucket}@emulator/{key}"),
            Api::S3 => format!("s3://{bucket}/{key}"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a file, and the folders above it.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// The binary with these arguments, and nothing of this machine's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_storescope"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let ready = self.emulator.ready();
        match self.api {
            Api::Oci => command
                .env("STORESCOPE_ENDPOINT", &ready.oci.endpoint)
                .env("STORESCOPE_CONFIG_FILE", &ready.oci.config_file),
            Api::S3 => {
                let s3 = ready.s3.as_ref().unwrap();
                command
                    .env("STORESCOPE_ENDPOINT", &s3.endpoint)
                    .env("STORESCOPE_REGION", &s3.region)
                    .env("STORESCOPE_ACCESS_KEY_ID", &s3.access_key_id)
                    .env("STORESCOPE_SECRET_ACCESS_KEY", &s3.secret_access_key)
            }
        };
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ended(self.command(args).spawn().unwrap())
    }

    /// With these bytes on standard input.
    pub(crate) fn run_with(&self, input: &[u8], args: &[&str]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        ended(child)
    }

    /// Makes an object.
    pub(crate) fn object(&self, key: &str, bytes: &[u8]) {
        self.run_with(bytes, &["cp", "-", &self.url(key)]).well();
    }

    /// Makes an object whose name no command takes for one.
    pub(crate) fn literal(&self, key: &str, bytes: &str) {
        let ready = self.emulator.ready();
        let config = match (self.api, &ready.s3) {
            (Api::S3, Some(s3)) => Config::default()
                .endpoint(s3.endpoint.clone())
                .region(s3.region.clone())
                .access_key_id(s3.access_key_id.clone())
                .secret_access_key(Secret::from(s3.secret_access_key.clone())),
            _ => Config::default()
                .endpoint(ready.oci.endpoint.clone())
                .config_file(PathBuf::from(&ready.oci.config_file)),
        };
        let client = Client::builder().config(config).build().unwrap();
        let url = self.url("").parse().unwrap();
        let store = blocking::Store::open(&client, &url, StoreOptions::new()).unwrap();
        store.put(key, bytes.to_owned(), PutOptions::new()).unwrap();
    }

    pub(crate) fn cat(&self, key: &str) -> String {
        self.run(&["cat", &self.url(key)]).well().out
    }

    pub(crate) fn stat(&self, key: &str) -> Value {
        let stat = self.run(&["stat", "--json", &self.url(key)]).well();
        serde_json::from_str(&stat.out).unwrap()
    }

    /// All names of `bucket`.
    pub(crate) fn names(&self) -> Vec<String> {
        let listed = self.run(&["ls", "-r", "--json", &self.url("")]).well();
        listed.json().iter().map(|line| line["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Uploads that are left, as `storescope uploads` tells them.
    pub(crate) fn uploads(&self) -> Vec<Value> {
        self.run(&["uploads", "--json", &self.url("")]).well().json()
    }
}

pub(crate) fn ended(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(child: &Child, name: &str) {
    signal_by_id(&child.id().to_string(), name);
}

/// Sends a signal to the process of this id.
pub(crate) fn signal_by_id(id: &str, name: &str) {
    let kill = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status();
    assert!(kill.unwrap().success());
}

/// Waits until something holds, or fails after a minute.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "waited for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Bytes that do not repeat soon.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i % 251) as u8 ^ (i >> 12) as u8).collect()
}
