// SPDX-License-Identifier: Apache-2.0
//! The record: its fields, its times, its file, and the line that announces it.

use std::time::{SystemTime, UNIX_EPOCH};

use storescope_emulator::{Emulator, Ready, RecordLine};

use crate::client::{Client, object, start};

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
    client.request("GET", &object("a%20b?x=1"), &headers, b"");
    client.request("HEAD", &object("a%20b"), &[], b"");
    client.another().get(&object("none"));
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let lines = emulator.record();
    assert_eq!(lines.iter().map(|line| line.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let get = &lines[1];
    assert_eq!(get.method, "GET");
    assert_eq!(get.target, object("a%20b?x=1"));
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
    assert_eq!(keys(&json), ["admin", "oci", "record", "s3"]);
    assert_eq!(
        keys(&json["s3"]),
        ["access_key_id", "endpoint", "region", "secret_access_key", "tls_endpoint"]
    );
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
    assert_eq!(&serde_json::from_value::<Ready>(json).unwrap(), emulator.ready());
}

#[test]
fn key_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        // A second start in the same folder replaces them.
        Emulator::builder().state_dir(folder.path()).start().unwrap().stop();
        for name in ["config", "key.pem", "wrong_key.pem", "session_key.pem", "token"] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
