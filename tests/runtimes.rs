// SPDX-License-Identifier: Apache-2.0
//! Runtimes. In a process of their own: they count the threads that clients have made in it.

#[path = "it/common/mod.rs"]
mod common;

use common::{
    World, all_calls, block_on, bucket_url, config, connections, distinct, emulator, pattern, read,
    store, until,
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use storescope::{
    Client, Config, DeleteOptions, ErrorKind, GetOptions, ListOptions, PutOptions, StoreOptions,
    blocking,
};
use storescope_emulator::{Action, Fault};
use tokio::runtime::{Builder, Runtime};

/// Held by the tests that count the threads of a client's own runtime.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads of this process that a client made.
fn own_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "storescope").count()
}

fn single() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn futures_without_a_runtime_run_on_the_clients_own() {
    let _alone = alone();
    let world = World::impatient(4);
    block_on(all_calls(&world.store));
    assert!(own_threads() > 0);
    // Retries sleep, bodies resume: both need a runtime's clock.
    block_on(world.store.put("k", pattern(100_000), PutOptions::new())).unwrap();
    world.fault(common::status(503).count(1));
    world.fault(Fault::new(Action::Truncate { after: 5_000 }).method("GET").nth(2));
    assert!(block_on(read(&world.store, "k")).unwrap() == pattern(100_000));
    block_on(world.client.shutdown(Duration::from_secs(10))).unwrap();
}

#[test]
fn no_thread_outlives_its_client() {
    let _alone = alone();
    let before = own_threads();
    let world = World::new();
    assert_eq!(own_threads(), before, "none is started before it is needed");
    block_on(world.store.put("k", &b"x"[..], PutOptions::new())).unwrap();
    assert!(own_threads() > before);
    let World { store, client, emulator } = world;
    drop((store, client));
    single().block_on(until("the client's threads end", || own_threads() == before));
    drop(emulator);
}

#[test]
fn a_client_runs_on_the_runtime_it_was_given() {
    let _alone = alone();
    let before = own_threads();
    let given = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let emulator = emulator();
    let client = Client::builder()
        .config(config(&emulator))
        .runtime(given.handle().clone())
        .build()
        .unwrap();
    let store = store(&client, &emulator);
    block_on(all_calls(&store));
    // And from within another runtime, which then may end.
    let other = single();
    other.block_on(all_calls(&store));
    drop(other);
    block_on(all_calls(&store));
    assert_eq!(own_threads(), before, "it needed none of its own");
    let used: Vec<u64> = emulator.record().into_iter().map(|line| line.connection).collect();
    // A body dropped unread closes its connection: so one more for each of the three rounds.
    assert!(distinct(used.clone()) <= 4, "one pool: {used:?}");
}

#[test]
fn a_runtime_that_ends_breaks_no_other() {
    let world = World::impatient(1);
    let (first, second) = (single(), single());
    first.block_on(all_calls(&world.store));
    first.block_on(world.store.put("k", pattern(1_000), PutOptions::new())).unwrap();
    second.block_on(read(&world.store, "k")).unwrap();
    world.emulator.admin().clear_record();
    let store = world.store.clone();
    world.fault(Fault::new(Action::Delay { ms: 300 }).count(1));
    let under_way = std::thread::spawn(move || {
        second.block_on(async {
            let first = read(&store, "k").await;
            (first, read(&store, "k").await)
        })
    });
    single().block_on(until("a request is under way", || {
        world.client.metrics().attempts_in_flight() == 1
    }));
    drop(first);
    let (one, two) = under_way.join().unwrap();
    assert_eq!((one.unwrap(), two.unwrap()), (pattern(1_000), pattern(1_000)));
    assert_eq!(distinct(connections(&world)), 1, "its own connection served it throughout");
    // A third finds nothing of theirs in its way.
    assert_eq!(single().block_on(read(&world.store, "k")).unwrap(), pattern(1_000));
    assert_eq!(world.client.metrics().retries(), 0);
}

#[test]
fn many_runtimes_leave_no_connections_behind() {
    let world = World::impatient(1);
    for _ in 0..10 {
        single().block_on(async {
            world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
            read(&world.store, "k").await.unwrap();
        });
    }
    assert_eq!(world.client.metrics().connections_open(), 0);
    assert_eq!(world.client.metrics().attempts_in_flight(), 0);
}

#[test]
fn blocking_calls_wait_on_a_plain_thread() {
    let _alone = alone();
    let world = World::impatient(2);
    let url = bucket_url(&world.emulator).parse().unwrap();
    let store = blocking::Store::open(&world.client, &url, StoreOptions::new()).unwrap();
    for key in ["a", "b", "c"] {
        store.put(key, pattern(1_000), PutOptions::new()).unwrap();
    }
    let (meta, bytes) = store.get("a", GetOptions::new().range(10..20)).unwrap();
    assert_eq!((meta.size, &bytes[..]), (1_000, &pattern(1_000)[10..20]));
    assert_eq!(store.head("b").unwrap().size, 1_000);
    store.delete("b", DeleteOptions::new()).unwrap();
    assert!(store.get("b", GetOptions::new()).unwrap_err().is_not_found());
    let entries: Vec<_> = store.list("", ListOptions::new().page_size(1)).collect();
    assert_eq!(entries.len(), 2);
    assert!(entries.into_iter().all(|entry| entry.is_ok()));

    // Many threads, one client.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope
                .spawn(|| assert_eq!(store.get("a", GetOptions::new()).unwrap().1, pattern(1_000)));
        }
    });

    world.fault(common::status(503));
    let mut failing = store.list("", ListOptions::new());
    assert!(failing.next().unwrap().is_err());
    assert!(failing.next().is_none(), "a listing ends with its error");
}

#[tokio::test]
async fn blocking_calls_on_a_runtimes_thread_are_misuse() {
    let _alone = alone();
    let world = World::new();
    let url = bucket_url(&world.emulator).parse().unwrap();
    let store = blocking::Store::open(&world.client, &url, StoreOptions::new()).unwrap();
    let mut listed = store.list("", ListOptions::new());
    for error in [
        store.put("k", &b"x"[..], PutOptions::new()).unwrap_err(),
        store.get("k", GetOptions::new()).unwrap_err(),
        store.head("k").unwrap_err(),
        store.delete("k", DeleteOptions::new()).unwrap_err(),
        listed.next().unwrap().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    }
    // `for entry in store.list(..)` must come to an end.
    assert!(listed.next().is_none(), "a listing ends with its error");
    let elsewhere = std::thread::spawn(move || store.head("k").unwrap_err().is_not_found());
    assert!(elsewhere.join().unwrap());
    // Nothing was sent by the misuse. A HEAD's first 404 is explained by a GET.
    let methods: Vec<_> = world.record().iter().map(|line| line.method.clone()).collect();
    assert_eq!(methods, ["HEAD", "GET"]);
}

/// What a child made by fork begins with, in this process: the parent's endpoint is there, and is none of its own.
#[test]
fn a_forked_child_has_an_endpoint_of_its_own_or_none() {
    let client = |at: &str| {
        let mut config = Config::default();
        config.set("metrics_endpoint", at).unwrap();
        Client::builder().config(config).build()
    };
    let parent = client("0").unwrap();
    let port = parent.metrics_address().unwrap().port();
    assert!(client(&port.to_string()).is_err(), "in the parent a taken port is an error");
    Client::forked();
    assert_eq!(client(&port.to_string()).unwrap().metrics_address(), None);
    let range = format!("{port}-{}", port.saturating_add(50));
    let child = client(&range).unwrap();
    assert!(child.metrics_address().is_some_and(|address| address.port() > port));
}
