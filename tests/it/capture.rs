// SPDX-License-Identifier: Apache-2.0
//! Traces (setting `trace`): what a program asked for, compared with what the server saw.

use crate::common::{World, client, config, emulator, pattern, status, store, until};
use futures_util::TryStreamExt;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storescope::config::TraceNames;
use storescope::{
    Client, Config, DeleteOptions, ErrorKind, GetOptions, ListEntry, ListOptions, PutOptions,
    ReadOptions, RenameOptions,
};
use storescope_trace::{Entry, Level, Op, Options, TraceReader};
use tempfile::TempDir;

struct Traced {
    world: World,
    folder: TempDir,
    path: PathBuf,
}

impl Traced {
    fn new(settings: impl FnOnce(Config) -> Config) -> Traced {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        let world = World::with(|config| {
            settings(
                config.trace(path.clone()).hedge_at(0_u32).backoff_base(Duration::from_millis(1)),
            )
        });
        Traced { world, folder, path }
    }

    /// What was traced by now, from the store's first request on.
    fn entries(&self, level: Level) -> Vec<Entry> {
        Client::flush_traces(Duration::from_secs(10));
        entries(&self.path, level)
    }
}

fn entries(path: &Path, level: Level) -> Vec<Entry> {
    let trace = TraceReader::open_with(path, &Options::new().level(level)).unwrap();
    trace.map(Result::unwrap).collect()
}

/// Operation in its own words, key, offset, length, bytes.
type Told<'a> = (&'a str, &'a str, Option<u64>, Option<u64>, Option<u64>);

fn told(entry: &Entry) -> Told<'_> {
    (&entry.detail, &entry.key, entry.offset, entry.length, entry.bytes)
}

#[tokio::test]
async fn what_a_program_asks_for_is_what_the_server_saw() {
    let traced = Traced::new(|config| config);
    let store = &traced.world.store;
    let bytes = pattern(3_000_000);
    store.put("dir/k", bytes.clone(), PutOptions::new()).await.unwrap();
    let reader = store.reader("dir/k", ReadOptions::new());
    reader.read_at(100..4_196).await.unwrap();
    reader.read_ranges(&[0..10, 2_000_000..2_000_100]).all().await.unwrap();
    let mut stream = reader.stream(2_900_000..);
    while let Some(piece) = stream.next().await {
        piece.unwrap();
    }
    store.get("dir/k", GetOptions::new().range(5..10)).await.unwrap().bytes().await.unwrap();
    store.head("dir/k").await.unwrap();
    let _: Vec<ListEntry> = store.list("dir/", ListOptions::new()).try_collect().await.unwrap();
    store.rename("dir/k", "dir/l", RenameOptions::new()).await.unwrap();
    store.delete("dir/l", DeleteOptions::new()).await.unwrap();
    store.get("missing", GetOptions::new()).await.unwrap_err();

    let calls = traced.entries(Level::Call);
    let calls_told: Vec<Told<'_>> = calls.iter().map(told).collect();
    let expected: &[Told<'_>] = &[
        ("put", "dir/k", None, Some(3_000_000), Some(3_000_000)),
        ("read", "dir/k", Some(100), Some(4_096), Some(4_096)),
        ("read", "dir/k", Some(0), Some(10), Some(110)),
        ("read", "dir/k", Some(2_000_000), Some(100), None),
        ("stream", "dir/k", Some(2_900_000), None, Some(100_000)),
        ("get", "dir/k", Some(5), Some(5), Some(5)),
        ("head", "dir/k", None, None, None),
        ("list", "dir/", None, None, None),
        ("rename", "dir/k", None, None, None),
        ("delete", "dir/l", None, None, None),
        ("get", "missing", None, None, Some(0)),
    ];
    assert_eq!(calls_told, expected);
    assert_eq!(calls[8].to.as_deref(), Some("dir/l"));
    assert_eq!(calls[10].outcome.as_deref(), Some("not_found"));
    assert!(
        calls.iter().all(|call| call.duration_ns > Some(0)
            && call.bucket.as_deref() == calls[0].bucket.as_deref())
    );
    assert!(calls[0].bucket.as_deref().unwrap().starts_with("oci://bucket@"), "{calls:?}");
    assert_eq!(calls.iter().filter(|call| call.reader).count(), 4);

    // Every request that the server saw is an attempt of the trace, under its id, with its range, bytes and status.
    let attempts = traced.entries(Level::Attempt);
    until("the record has them all", || traced.world.record().len() == attempts.len()).await;
    let by_id: HashMap<&str, &Entry> = attempts
        .iter()
        .map(|entry| (entry.attempt.as_ref().unwrap().client_request_id.as_deref().unwrap(), entry))
        .collect();
    assert_eq!(by_id.len(), attempts.len(), "no id stands twice");
    for line in traced.world.record() {
        let entry = by_id[line.client_request_id.as_deref().unwrap()];
        let attempt = entry.attempt.as_ref().unwrap();
        assert_eq!(attempt.status, line.status, "{line:?}");
        if entry.is_ok() && entry.operation == Op::Get {
            assert_eq!(entry.bytes, Some(line.bytes_out), "{line:?}");
            let asked = entry
                .offset
                .zip(entry.length)
                .map(|(offset, length)| format!("bytes={offset}-{}", offset + length - 1));
            assert_eq!(asked, line.range, "{line:?}");
        }
        let phases: u64 = attempt.phases_ns.iter().map(|(_, time)| time).sum();
        assert!(phases > 0 && phases <= entry.duration_ns.unwrap() + 1_000, "{entry:?}");
    }
    // Those that one call made alone tell it.
    let head = calls.iter().find(|call| call.detail == "head").unwrap();
    assert!(attempts.iter().any(|attempt| attempt.detail == "head" && attempt.call == head.call));
}

/// A retry is another attempt of the same call.
#[tokio::test]
async fn attempts_tell_their_call() {
    let traced = Traced::new(|config| config.timing(false));
    traced.world.store.put("k", pattern(10), PutOptions::new()).await.unwrap();
    traced.world.fault(status(503).count(1));
    traced.world.store.get("k", GetOptions::new()).await.unwrap().bytes().await.unwrap();
    let calls = traced.entries(Level::Call);
    let get = calls.iter().find(|call| call.detail == "get").unwrap();
    let attempts = traced.entries(Level::Attempt);
    let of_get: Vec<_> = attempts.iter().filter(|attempt| attempt.call == get.call).collect();
    let statuses: Vec<_> =
        of_get.iter().map(|entry| entry.attempt.as_ref().unwrap().status).collect();
    assert_eq!(statuses, [Some(503), Some(200)], "timing is off, and the trace is whole");
    assert_eq!(get.bytes, Some(10));
    assert!(traced.world.client.metrics().snapshot().is_empty());
}

#[tokio::test]
async fn clients_of_a_process_share_the_file_and_the_last_line_is_a_tally() {
    let traced = Traced::new(|config| config.trace_names(TraceNames::Hashed));
    let another = client(config(&traced.world.emulator).trace(traced.path.clone()));
    let second = store(&another, &traced.world.emulator);
    traced.world.store.head("secret/a").await.unwrap_err();
    second.head("secret/a").await.unwrap_err();
    // The end of a client writes what it traced.
    drop(second);
    drop(another);
    let mut trace = TraceReader::open(&traced.path).unwrap();
    let calls: Vec<Entry> = trace.by_ref().map(Result::unwrap).collect();
    assert_eq!(calls.len(), 2);
    assert!(calls[0].key == calls[1].key && !calls[0].key.contains("secret"), "{calls:?}");
    let tally = trace.tally().unwrap();
    assert_eq!((tally.calls, tally.attempts >= 2, tally.left_out), (2, true, 0));
    let files = std::fs::read_dir(traced.folder.path()).unwrap().count();
    assert_eq!(files, 1);
    // And the other goes on.
    traced.world.store.head("secret/b").await.unwrap_err();
    traced.world.client.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!(entries(&traced.path, Level::Call).len(), 3);
}

/// What stands there may be another process's.
#[tokio::test]
async fn a_file_that_is_there_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    std::fs::write(&path, "mine").unwrap();
    let emulator = emulator();
    let first = client(config(&emulator).trace(path.clone()));
    store(&first, &emulator).head("k").await.unwrap_err();
    drop(first);
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    let process = std::process::id();
    assert_eq!(entries(&folder.path().join(format!("trace.{process}")), Level::Call).len(), 1);
    let named = client(config(&emulator).trace(folder.path().join("by-%p")));
    store(&named, &emulator).head("k").await.unwrap_err();
    drop(named);
    assert_eq!(entries(&folder.path().join(format!("by-{process}")), Level::Call).len(), 1);
}

#[test]
fn a_file_that_cannot_be_made_is_told_when_the_client_is_built() {
    let missing = Config::default().trace(PathBuf::from("/no/such/folder/trace"));
    let error = Client::builder().config(missing).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let told = error.to_string();
    assert!(told.contains("/no/such/folder/trace") && told.contains("STORESCOPE_TRACE"), "{told}");
    assert!(
        Config::default()
            .set("trace_names", "upside-down")
            .unwrap_err()
            .to_string()
            .contains("hashed")
    );
}
