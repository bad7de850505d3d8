// SPDX-License-Identifier: Apache-2.0
//! The record: its fields, its times, its file, and the line that announces it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use storescope_emulator::{Emulator, Ready, RecordLine};

use crate::client::{Client, object, start};
use crate::data::Server;

#[test]
fn lines_hold_what_was_asked_and_answered() {
    let (emulator, mut client) = start();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    client.put("a%20b", b"0123456789");
    let headers = [
        ("range", "bytes=2-4"),
        ("opc-client-request-id", "me/7"),
        ("user-agent", "storescope/0 (test)"),
    ];
    client.request("GET", &object("a%20b?httpResponseCacheControl=x"), &headers, b"");
    client.request("HEAD", &object("a%20b"), &[], b"");
    client.another().get(&object("none"));
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let lines = emulator.record();
    assert_eq!(lines.iter().map(|line| line.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let get = &lines[1];
    assert_eq!(get.method, "GET");
    assert_eq!(get.target, object("a%20b?httpResponseCacheControl=x"));
    assert_eq!(get.range.as_deref(), Some("bytes=2-4"));
    assert_eq!(get.client_request_id.as_deref(), Some("me/7"));
    assert_eq!(get.user_agent.as_deref(), Some("storescope/0 (test)"));
    assert_eq!((get.status, get.bytes_in, get.bytes_out), (Some(206), 0, 3));
    let put = &lines[0];
    assert_eq!((put.status, put.bytes_in, put.bytes_out), (Some(200), 10, 0));
    assert_eq!((put.range.as_ref(), put.client_request_id.as_ref()), (None, None));
    assert_eq!((lines[2].status, lines[2].bytes_out), (Some(200), 0));
    assert_eq!(lines[3].status, Some(404));
    assert_eq!(lines[0].connection, lines[2].connection);
    assert_ne!(lines[0].connection, lines[3].connection);
    for line in &lines {
        let (first, last) = (line.first_byte_ns.unwrap(), line.last_byte_ns.unwrap());
        // The anchor is read beside the wall clock: a millisecond is room for both.
        assert!(before - 1_000_000 <= line.head_read_ns && last <= after + 1_000_000);
        assert!(line.head_read_ns < first && first <= last);
    }
}

#[test]
fn the_file_holds_the_same_lines_when_the_record_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::builder().bucket("demo").state_dir(folder.path()).start().unwrap();
    let mut client = Client::new(&emulator, "DEFAULT");
    for _ in 0..20 {
        client.get("/n");
    }
    let read = || -> Vec<RecordLine> {
        std::fs::read_to_string(folder.path().join("record.jsonl"))
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let lines = emulator.record();
    assert_eq!(lines.len(), 20);
    assert_eq!(read(), lines);
    client.get("/n");
    emulator.stop();
    assert_eq!(read().len(), 21, "stopping completes the file");
}

#[test]
fn a_large_body_is_counted_to_its_last_byte() {
    let (emulator, mut client) = start();
    let body: Vec<u8> = (0..20_000_000_u32).map(|n| (n * 7) as u8).collect();
    client.put("big", &body);
    assert_eq!(client.get(&object("big")).body, body);
    let lines = emulator.record();
    assert_eq!((lines[0].bytes_in, lines[1].bytes_out), (20_000_000, 20_000_000));
}

#[test]
fn a_client_that_leaves_ends_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::builder().bucket("demo").state_dir(folder.path()).start().unwrap();
    let mut client = Client::new(&emulator, "DEFAULT");
    let head = client.head("PUT", &object("x"), &[], &[0; 1000]);
    client.send(&[head.as_bytes(), &[0; 10]].concat()).unwrap();
    drop(client);
    let line =
        std::iter::repeat_with(|| emulator.record()).find_map(|mut lines| lines.pop()).unwrap();
    assert_eq!((line.status, line.bytes_in, line.first_byte_ns), (None, 10, None));
}

#[test]
fn the_ready_line_is_the_one_promised() {
    let (emulator, _) = start();
    let json = serde_json::to_value(emulator.ready()).unwrap();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&json), ["admin", "identity", "oci", "record", "s3"]);
    if cfg!(feature = "s3") {
        assert_eq!(
            keys(&json["s3"]),
            [
                "access_key_id",
                "endpoint",
                "region",
                "secret_access_key",
                "session_token",
                "tls_endpoint"
            ]
        );
    } else {
        assert!(json["s3"].is_null());
    }
    assert_eq!(
        keys(&json["oci"]),
        [
            "ca_bundle",
            "compartment",
            "config_file",
            "endpoint",
            "namespace",
            "profile",
            "region",
            "tls_endpoint"
        ]
    );
    assert_eq!(
        keys(&json["identity"]),
        [
            "domain",
            "endpoint",
            "environment",
            "instance",
            "resource",
            "service_account_token_file",
            "tenancy",
            "tls_endpoint"
        ]
    );
    assert_eq!(
        keys(&json["identity"]["environment"]),
        [
            "instance",
            "resource_1.1",
            "resource_2.1",
            "resource_2.1.1",
            "resource_2.1.2",
            "resource_2.2",
            "resource_3.0",
            "workload"
        ]
    );
    assert_eq!(&serde_json::from_value::<Ready>(json).unwrap(), emulator.ready());
}

/// Files of a folder and of those below it, with their modes.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(modes(&entry.path()));
        }
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        found.push((entry.file_name().into_string().unwrap(), mode));
    }
    found.sort();
    found
}

#[test]
fn only_the_ca_is_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    // Left by an earlier version, for everybody.
    std::fs::write(folder.path().join("record.jsonl"), "").unwrap();
    for _ in 0..2 {
        // A second start in the same folder replaces them.
        let emulator = Emulator::builder().state_dir(folder.path()).start().unwrap();
        emulator.stop();
        let modes = modes(folder.path());
        let names: Vec<_> = modes.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "ca.pem",
            "config",
            "delegation_token",
            "expired_token",
            "key.pem",
            "record.jsonl",
            "resource_key.pem",
            "rpst",
            "service_account_token",
            "session_key.pem",
            "state.lock",
            "subject_token",
            "token",
            "wrong_key.pem",
        ];
        assert_eq!(names, expected);
        for (name, mode) in modes.into_iter().filter(|(name, _)| name != "ca.pem") {
            assert_eq!(mode, 0o600, "{name}");
        }
    }
}

#[test]
fn the_data_folder_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let emulator = Emulator::builder().bucket("demo").data_dir(&data).start().unwrap();
    Client::new(&emulator, "DEFAULT").put("a", b"hello");
    emulator.stop();
    // Blobs are within a folder that others cannot enter.
    let of =
        |wanted: &str| modes(folder.path()).into_iter().find(|(name, _)| name == wanted).unwrap().1;
    assert_eq!((of("data"), of("blobs")), (0o700, 0o700));
    assert_eq!((of("journal"), of("lock")), (0o600, 0o600));
}

#[test]
fn one_emulator_at_a_time_uses_a_state_folder() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::in_state(state.path());
    let key = || std::fs::read(state.path().join("key.pem")).unwrap();
    let before = key();
    Client::of(&server.ready, "DEFAULT").get("/n");
    let second = Emulator::builder().state_dir(state.path()).start().unwrap_err();
    let why = std::error::Error::source(&second).unwrap().to_string();
    assert!(why.contains("another emulator uses the state folder"), "{why}");
    assert!(why.contains(state.path().to_str().unwrap()), "{why}");
    assert!(why.contains(&format!("(process {})", server.child.id())), "{why}");
    // The second has touched nothing.
    assert_eq!(key(), before);
    assert_eq!(Client::of(&server.ready, "DEFAULT").get("/n").status, 200);
    // Killed (SIGKILL), it holds nothing.
    drop(server);
    let emulator = Emulator::builder().state_dir(state.path()).start().unwrap();
    assert_ne!(key(), before);
    // A folder may be both.
    let both = tempfile::tempdir().unwrap();
    let builder = Emulator::builder().state_dir(both.path()).data_dir(both.path());
    builder.start().unwrap().stop();
    emulator.stop();
}
