// SPDX-License-Identifier: Apache-2.0
//! The data folder: what survives, and what does not come into being.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use storescope_emulator::{Emulator, Ready};

use crate::client::{BUCKET, Client, object};
use crate::conditions::refused;
use crate::uploads::{create, put_part};

fn start(data: &Path) -> (Emulator, Client) {
    let emulator = Emulator::builder().bucket("demo").data_dir(data).start().unwrap();
    let client = Client::new(&emulator, "DEFAULT");
    (emulator, client)
}

fn blobs(data: &Path) -> usize {
    std::fs::read_dir(data.join("blobs")).unwrap().count()
}

#[test]
fn everything_is_there_again_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let (emulator, mut client) = start(data.path());
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    client.request("PUT", &object("a"), &[("opc-meta-x", "\u{fc}"), ("content-type", "c/t")], &big);
    client.put("gone", b"x");
    client.request("DELETE", &object("gone"), &[], b"");
    client.put("old", b"renamed");
    let rename = json!({"sourceName": "old", "newName": "new"}).to_string();
    client.request("POST", &format!("{BUCKET}/actions/renameObject"), &[], rename.as_bytes());
    client.put("empty", b"");
    let id = create(&mut client, "parts");
    let one = put_part(&mut client, ("parts", &id), 1, b"one");
    let head = client.request("HEAD", &object("a"), &[], b"");
    let list = |client: &mut Client| {
        client.get(&format!("{BUCKET}/o?fields=name,size,etag,md5,timeCreated,timeModified")).json()
    };
    let before = list(&mut client);
    emulator.stop();

    let (emulator, mut client) = start(data.path());
    assert_eq!(list(&mut client), before);
    let got = client.get(&object("a"));
    assert!(got.body == big);
    for name in ["etag", "content-md5", "opc-meta-x", "content-type", "version-id"] {
        assert_eq!(got.header(name), head.header(name), "{name}");
    }
    let part = client.request("GET", &object("a"), &[("range", "bytes=1000000-2000000")], b"");
    assert!(part.body == big[1_000_000..=2_000_000]);
    let two = put_part(&mut client, ("parts", &id), 2, b"two");
    let parts = json!([{"partNum": 1, "etag": one}, {"partNum": 2, "etag": two}]);
    let body = json!({"partsToCommit": parts}).to_string();
    let target = format!("{BUCKET}/u/parts?uploadId={id}");
    assert_eq!(client.request("POST", &target, &[], body.as_bytes()).status, 200);
    emulator.stop();

    let (_emulator, mut client) = start(data.path());
    assert_eq!(client.get(&object("parts")).text(), "onetwo");
    assert_eq!(client.get(&object("new")).text(), "renamed");
    assert_eq!(client.get(&object("empty")).body, b"");
    // a, new, and the two parts: an empty object has no file.
    assert_eq!(blobs(data.path()), 4);
}

#[test]
fn a_full_disk_refuses_and_leaves_nothing() {
    let data = tempfile::tempdir().unwrap();
    let builder = Emulator::builder().bucket("demo").data_dir(data.path()).data_limit(100_000);
    let emulator = builder.start().unwrap();
    let mut client = Client::new(&emulator, "DEFAULT");
    client.put("a", &vec![1; 60_000]);
    let refusal = client.request("PUT", &object("b"), &[], &vec![2; 60_000]);
    assert_eq!(refusal.code(), refused(507, "InsufficientStorage"));
    assert_eq!(client.get(&object("b")).status, 404);
    assert_eq!(blobs(data.path()), 1);
    // What was there is untouched, and room that was freed can be used.
    let refusal = client.request("PUT", &object("a"), &[], &vec![2; 60_000]);
    assert_eq!(refusal.status, 507);
    assert_eq!(client.get(&object("a")).body, vec![1; 60_000]);
    client.request("DELETE", &object("a"), &[], b"");
    client.put("b", &vec![2; 60_000]);
    let id = create(&mut client, "c");
    let target = format!("{BUCKET}/u/c?uploadId={id}&uploadPartNum=1");
    assert_eq!(client.request("PUT", &target, &[], &vec![3; 60_000]).status, 507);
}

#[test]
fn a_body_that_breaks_off_leaves_nothing() {
    let data = tempfile::tempdir().unwrap();
    let (emulator, client) = start(data.path());
    let mut half = client.another();
    let head = half.head("PUT", &object("a"), &[], &vec![7; 3_000_000]);
    half.send(&[head.as_bytes(), &vec![7; 2_000_000]].concat()).unwrap();
    drop(half);
    // The line of the record comes when the connection is over.
    while emulator.record().is_empty() {
        std::thread::yield_now();
    }
    let mut client = client;
    assert_eq!(client.get(&object("a")).status, 404);
    emulator.stop();
    drop(start(data.path()));
    assert_eq!(blobs(data.path()), 0);
}

/// Run by [`sigkill_leaves_each_object_old_or_new`] in a process of its own.
#[test]
#[ignore = "the child of another test"]
fn serve_until_killed() {
    let data = std::env::var("EMULATOR_DATA").unwrap();
    let emulator = Emulator::builder().bucket("demo").data_dir(data).start().unwrap();
    println!("\n{}", serde_json::to_string(emulator.ready()).unwrap());
    loop {
        std::thread::park();
    }
}

/// The latest versions of an object.
#[derive(Clone, Copy)]
struct Versions {
    answered: u64,
    sent: u64,
}

/// The body of an object's nth version: it says itself what it must be.
fn body(object: usize, version: u64) -> Vec<u8> {
    let text = format!("{object} {version} ");
    let length = 200_000 + (object * 7 + version as usize * 13) % 50_000;
    text.bytes().cycle().take(length).collect()
}

#[test]
fn sigkill_leaves_each_object_old_or_new() {
    let data = tempfile::tempdir().unwrap();
    let mut done = BTreeMap::new();
    for _ in 0..3 {
        kill_in_the_middle(data.path(), &mut done);
    }
    let (_emulator, mut client) = start(data.path());
    let mut seen = 0;
    for (number, Versions { answered, sent }) in done {
        let got = client.get(&object(&format!("o{number}")));
        assert_eq!(got.status, 200);
        // The version that was answered, or one that was on its way when the process was killed.
        assert!((answered..=sent).any(|version| got.body == body(number, version)));
        seen += 1;
    }
    assert_eq!(seen, 4);
    assert_eq!(blobs(data.path()), 4);
}

/// Puts from four threads until about a hundred were answered, and kills the server.
fn kill_in_the_middle(data: &Path, done: &mut BTreeMap<usize, Versions>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "data::serve_until_killed", "--ignored", "--nocapture"])
        .env("EMULATOR_DATA", data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.starts_with('{')).unwrap();
    let ready: Ready = serde_json::from_str(&line).unwrap();
    let answered = AtomicU64::new(0);
    let (child, done) = (Mutex::new(child), Mutex::new(done));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (ready, answered, child, done) = (&ready, &answered, &child, &done);
            scope.spawn(move || {
                let mut client = Client::of(ready, "DEFAULT");
                let target = object(&format!("o{number}"));
                let known = done.lock().unwrap().get(&number).copied();
                for sent in known.map_or(0, |known| known.sent + 1).. {
                    if let Some(known) = done.lock().unwrap().get_mut(&number) {
                        known.sent = sent;
                    }
                    match client.try_request("PUT", &target, &[], &body(number, sent)) {
                        Ok(response) => assert_eq!(response.status, 200),
                        Err(_) => break,
                    }
                    done.lock().unwrap().insert(number, Versions { answered: sent, sent });
                    if answered.fetch_add(1, Ordering::Relaxed) == 100 {
                        child.lock().unwrap().kill().unwrap();
                    }
                }
            });
        }
    });
    child.lock().unwrap().wait().unwrap();
}
