// SPDX-License-Identifier: Apache-2.0
//! The data folder: what survives, and what does not come into being.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
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
fn one_emulator_at_a_time_uses_a_folder() {
    let data = tempfile::tempdir().unwrap();
    let (emulator, mut client) = start(data.path());
    client.put("a", b"hello");
    let second = Emulator::builder().data_dir(data.path()).start().unwrap_err();
    let why = std::error::Error::source(&second).unwrap().to_string();
    assert!(why.contains("another emulator uses the data folder"), "{why}");
    assert!(why.contains(data.path().to_str().unwrap()), "{why}");
    assert!(why.contains(&format!("(process {})", std::process::id())), "{why}");
    // The second has touched nothing.
    assert_eq!((client.get(&object("a")).text(), blobs(data.path())), ("hello", 1));
    emulator.stop();
    let (_emulator, mut client) = start(data.path());
    assert_eq!(client.get(&object("a")).text(), "hello");
}

/// As on a full disk: what cannot be made is the new journal.
#[test]
fn a_folder_without_room_for_a_new_journal_serves() {
    let data = tempfile::tempdir().unwrap();
    let (emulator, mut client) = start(data.path());
    client.put("a", b"hello");
    client.put("b", b"there");
    client.request("DELETE", &object("b"), &[], b"");
    emulator.stop();
    std::fs::create_dir(data.path().join("journal.new")).unwrap();
    let journal = data.path().join("journal");
    let whole = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, [&whole[..], b"torn in the mid"].concat()).unwrap();
    for number in 0..2 {
        let (emulator, mut client) = start(data.path());
        assert_eq!(client.get(&object("a")).text(), "hello");
        assert_eq!(client.get(&object("b")).status, 404);
        let name = format!("new{number}");
        client.put(&name, name.as_bytes());
        emulator.stop();
    }
    std::fs::remove_dir(data.path().join("journal.new")).unwrap();
    let (_emulator, mut client) = start(data.path());
    for (name, body) in [("a", "hello"), ("new0", "new0"), ("new1", "new1")] {
        assert_eq!(client.get(&object(name)).text(), body);
    }
    assert_eq!(blobs(data.path()), 3);
}

#[test]
fn the_journal_does_not_grow_for_ever() {
    let data = tempfile::tempdir().unwrap();
    let (emulator, mut client) = start(data.path());
    client.put("a", b"hello");
    let length = || std::fs::metadata(data.path().join("journal")).unwrap().len();
    let (mut longest, mut written) = (0, 0);
    for number in 0..50 {
        let tags = json!({"number": number.to_string(), "long": "x".repeat(900_000)});
        let body = json!({"freeformTags": tags}).to_string();
        assert_eq!(client.request("POST", BUCKET, &[], body.as_bytes()).status, 200);
        written += body.len() as u64;
        longest = longest.max(length());
    }
    // It is written anew at 16 MiB, and grows by a line before that is seen.
    assert!(written > 40_000_000 && longest < 18_000_000, "{longest} of {written}");
    emulator.stop();
    let (_emulator, mut client) = start(data.path());
    assert_eq!(client.get(BUCKET).json()["freeformTags"]["number"], "49");
    assert_eq!(client.get(&object("a")).text(), "hello");
}

/// The bytes of a copy that has ended are those of its objects, and go with them.
#[test]
fn a_copy_that_ended_holds_no_bytes() {
    let data = tempfile::tempdir().unwrap();
    let (emulator, mut client) = start(data.path());
    let copy = json!({
        "sourceObjectName": "a", "destinationRegion": "us-ashburn-1",
        "destinationNamespace": "emulator", "destinationBucket": "demo",
        "destinationObjectName": "b",
    })
    .to_string();
    for delay in [0, 3600] {
        emulator.admin().set_copy_delay(std::time::Duration::from_secs(delay));
        client.put("a", &vec![1; 60_000]);
        let target = format!("{BUCKET}/actions/copyObject");
        let accepted = client.request("POST", &target, &[], copy.as_bytes());
        let work = accepted.header("opc-work-request-id").unwrap().to_owned();
        client.request("DELETE", &object("a"), &[], b"");
        assert_eq!(blobs(data.path()), 1);
        if delay == 0 {
            client.request("DELETE", &object("b"), &[], b"");
        } else {
            let work = format!("/workRequests/{work}");
            assert_eq!(client.request("DELETE", &work, &[], b"").status, 202);
        }
        assert_eq!(blobs(data.path()), 0);
    }
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

/// Run by [`Server::start`] in a process of its own.
#[test]
#[ignore = "the child of other tests"]
fn serve_until_killed() {
    let mut builder = Emulator::builder().bucket("demo");
    if let Ok(data) = std::env::var("EMULATOR_DATA") {
        builder = builder.data_dir(data);
    }
    if let Ok(state) = std::env::var("EMULATOR_STATE") {
        builder = builder.state_dir(state);
    }
    let emulator = builder.start().unwrap();
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

/// A server in a process of its own, over a data folder.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) ready: Ready,
}

impl Server {
    pub(crate) fn start(data: Option<&Path>) -> Server {
        let data = data.map(|data| ("EMULATOR_DATA", data));
        Server::with_folders(data.as_slice())
    }

    /// With a state folder of this path.
    pub(crate) fn in_state(state: &Path) -> Server {
        Server::with_folders(&[("EMULATOR_STATE", state)])
    }

    fn with_folders(folders: &[(&str, &Path)]) -> Server {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "data::serve_until_killed", "--ignored", "--nocapture"]);
        command.envs(folders.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.map(Result::unwrap).find(|line| line.starts_with('{')).unwrap();
        Server { child, ready: serde_json::from_str(&line).unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that is gone already is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts from four threads until about a hundred were answered, and kills the server.
fn kill_in_the_middle(data: &Path, done: &mut BTreeMap<usize, Versions>) {
    let server = Server::start(Some(data));
    let (ready, answered) = (server.ready.clone(), AtomicU64::new(0));
    let (server, done) = (Mutex::new(server), Mutex::new(done));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (ready, answered, server, done) = (&ready, &answered, &server, &done);
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
                        server.lock().unwrap().child.kill().unwrap();
                    }
                }
            });
        }
    });
}

/// One version on its way: put by two parts, committed, and given its last name.
fn by_parts_and_rename(client: &mut Client, number: usize, version: u64) -> std::io::Result<()> {
    let mut post = |target: &str, body: serde_json::Value| {
        client.try_request("POST", target, &[], body.to_string().as_bytes())
    };
    let name = format!("m{number}");
    let begun = post(&format!("{BUCKET}/u"), json!({"object": name}))?;
    let upload =
        format!("{BUCKET}/u/{name}?uploadId={}", begun.json()["uploadId"].as_str().unwrap());
    let whole = body(number, version);
    let mut parts = Vec::new();
    for (part, bytes) in [(1, &whole[..100_000]), (2, &whole[100_000..])] {
        let target = format!("{upload}&uploadPartNum={part}");
        let put = client.try_request("PUT", &target, &[], bytes)?;
        assert_eq!(put.status, 200);
        parts.push(json!({"partNum": part, "etag": put.header("etag").unwrap()}));
    }
    let mut post = |target: &str, body: serde_json::Value| {
        let done = client.try_request("POST", target, &[], body.to_string().as_bytes())?;
        assert_eq!(done.status, 200, "{}", done.text());
        std::io::Result::Ok(())
    };
    post(&upload, json!({"partsToCommit": parts}))?;
    let rename = json!({"sourceName": name, "newName": format!("r{number}")});
    post(&format!("{BUCKET}/actions/renameObject"), rename)
}

#[test]
fn sigkill_leaves_uploads_commits_and_renames_whole() {
    const THREADS: usize = 4;
    let data = tempfile::tempdir().unwrap();
    // The version whose rename was answered last.
    let mut done = [0_u64; THREADS];
    for round in 1..=3_u64 {
        let server = Server::start(Some(data.path()));
        let (ready, count) = (server.ready.clone(), AtomicU64::new(0));
        let server = Mutex::new(server);
        std::thread::scope(|scope| {
            for (number, done) in done.iter_mut().enumerate() {
                let (ready, count, server) = (&ready, &count, &server);
                scope.spawn(move || {
                    let mut client = Client::of(ready, "DEFAULT");
                    while by_parts_and_rename(&mut client, number, *done + 1).is_ok() {
                        *done += 1;
                        if count.fetch_add(1, Ordering::Relaxed) == 20 + round {
                            server.lock().unwrap().child.kill().unwrap();
                        }
                    }
                });
            }
        });
        drop(server);
        let (_emulator, mut client) = start(data.path());
        let mut files = 0;
        for (number, done) in done.iter_mut().enumerate() {
            let [last, first] =
                ["r", "m"].map(|kind| client.get(&object(&format!("{kind}{number}"))));
            let next = body(number, *done + 1);
            // The next version has its last name, or its first, or is not there; never two names.
            let renamed = last.status == 200 && last.body == next;
            if renamed {
                *done += 1;
                assert_eq!(first.status, 404);
            } else {
                assert_eq!(last.status, if *done == 0 { 404 } else { 200 });
                assert!(*done == 0 || last.body == body(number, *done));
                assert!(first.status == 404 || first.body == next);
            }
            files += if last.status == 200 { 2 } else { 0 };
            client.request("DELETE", &object(&format!("m{number}")), &[], b"");
        }
        // What was on its way is listed, with whole parts, and can be aborted.
        let left = client.get(&format!("{BUCKET}/u")).json();
        for upload in left.as_array().unwrap() {
            let at = format!(
                "{BUCKET}/u/{}?uploadId={}",
                upload["object"].as_str().unwrap(),
                upload["uploadId"].as_str().unwrap()
            );
            for part in client.get(&at).json().as_array().unwrap() {
                let size = part["size"].as_u64().unwrap();
                assert!(size == 100_000 || part["partNumber"] == 2, "{part}");
            }
            assert_eq!(client.request("DELETE", &at, &[], b"").status, 204);
        }
        assert!(left.as_array().unwrap().len() <= THREADS);
        assert_eq!(blobs(data.path()), files);
    }
    assert!(done.iter().sum::<u64>() > 60);
}
