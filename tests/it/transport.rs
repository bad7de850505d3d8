// SPDX-License-Identifier: Apache-2.0
//! Connections: reuse, caps and ages; names on the wire.

use crate::common::{
    self, BUCKET, World, bucket_url, client, config, connections, distinct, emulator, having,
    impatient, ms, raw_server, read, read_head, read_range, store, store_at, store_elsewhere,
    until,
};
use futures_util::StreamExt;
use futures_util::future::join_all;
use std::io::Write as _;
use std::net::{Ipv6Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;
use storescope::timing::{Operation, Outcome, Phase};
use storescope::{DeleteOptions, ErrorKind, GetOptions, ListOptions, PutMode, PutOptions};
use storescope_emulator::{Action, Emulator, Fault};

#[tokio::test]
async fn requests_in_turn_share_a_connection() {
    let world = World::impatient(3);
    world.object("k", 100_000).await;
    for n in 0..5 {
        read(&world.store, "k").await.unwrap();
        read_range(&world.store, "k", n..n + 10).await.unwrap();
        world.store.head("k").await.unwrap();
        world.store.list("", ListOptions::new()).next().await.unwrap().unwrap();
        assert!(world.store.head("absent").await.unwrap_err().is_not_found());
        assert!(read(&world.store, "absent").await.unwrap_err().is_not_found());
    }
    world.fault(common::status(503).count(1));
    read(&world.store, "k").await.unwrap();
    let used = connections(&world);
    assert_eq!(
        (distinct(used.clone()), used.len()),
        (1, 32),
        "answers of all kinds leave it usable"
    );
    assert_eq!(world.client.metrics().connections_open(), 1);
}

#[tokio::test]
async fn two_stores_of_a_client_share_its_connections() {
    let world = World::new();
    world.object("a/k", 10).await;
    let below = store_at(&world.client, &(bucket_url(&world.emulator) + "a/"));
    read(&world.store, "a/k").await.unwrap();
    read(&below, "k").await.unwrap();
    assert_eq!(distinct(connections(&world)), 1);
}

#[tokio::test]
async fn the_connection_used_last_is_used_next() {
    let world = World::new();
    for key in ["a", "b", "c"] {
        world.object(key, 1_000).await;
    }
    // Three answers held at once are three connections; they go back in the order a, b, c.
    let get = |key| world.store.get(key, GetOptions::new());
    let (a, b, c) = (get("a").await.unwrap(), get("b").await.unwrap(), get("c").await.unwrap());
    for held in [a, b, c] {
        held.bytes().await.unwrap();
    }
    let held = connections(&world);
    assert_eq!(distinct(held.clone()), 3);
    world.emulator.admin().clear_record();
    for _ in 0..3 {
        read(&world.store, "a").await.unwrap();
    }
    assert_eq!(connections(&world), [connection_of(&world, "a"); 3]);
    // c went back last; then it alone was used, and the one below it is b's.
    let (first, second) = (get("a").await.unwrap(), get("b").await.unwrap());
    first.bytes().await.unwrap();
    second.bytes().await.unwrap();
    let used = connections(&world);
    assert_eq!((used[0], used[3], used[4]), (held[2], held[2], held[1]));
}

fn connection_of(world: &World, key: &str) -> u64 {
    let line = world.record().into_iter().find(|line| line.target.ends_with(&format!("/o/{key}")));
    line.unwrap().connection
}

#[tokio::test]
async fn a_connection_idle_for_too_long_is_not_used_again() {
    let world = World::with(|config| config.idle_timeout(ms(50)));
    world.object("k", 10).await;
    read(&world.store, "k").await.unwrap();
    // Idleness is what is tested.
    tokio::time::sleep(ms(120)).await;
    read(&world.store, "k").await.unwrap();
    assert_eq!(distinct(connections(&world)), 2);
    until("the old one is closed", || world.client.metrics().connections_open() == 1).await;
}

#[tokio::test]
async fn there_are_no_more_connections_than_the_cap() {
    let world = World::with(|config| config.max_connections(2_u32));
    world.object("k", 10).await;
    world.fault(Fault::new(Action::Delay { ms: 30 }));
    let began = Instant::now();
    for read in join_all((0..8).map(|_| read(&world.store, "k"))).await {
        read.unwrap();
    }
    assert_eq!(distinct(connections(&world)), 2);
    assert!(began.elapsed() >= ms(4 * 30), "two at a time");
    // Requests that overlap, as the server saw them: at most two at any moment.
    let lines = world.record();
    for line in &lines {
        let during = lines.iter().filter(|other| {
            other.head_read_ns <= line.head_read_ns
                && line.head_read_ns < other.first_byte_ns.unwrap()
        });
        assert!(during.count() <= 2);
    }
    let seen = world.client.metrics().snapshot();
    let waited = seen.attempts(Operation::Get, Phase::Pool, Outcome::Ok).unwrap();
    assert!(waited.max() >= 60_000_000, "the wait for a connection is told: {waited:?}");
}

#[tokio::test]
async fn a_reused_connection_that_was_dead_costs_no_retry() {
    // One attempt, and no budget: what is repeated here is repeated free of charge.
    let world = World::with(|config| impatient(config, 1).retry_budget(0_u32));
    let bytes = world.object("k", 100).await;
    for method in ["GET", "HEAD", "PUT"] {
        world.emulator.admin().clear_record();
        world.fault(Fault::new(Action::Reset).method(method).reused(true).count(1));
        match method {
            "GET" => assert_eq!(read(&world.store, "k").await.unwrap(), bytes),
            "HEAD" => assert_eq!(world.store.head("k").await.unwrap().size, 100),
            _ => {
                world.store.put("k", bytes.clone(), PutOptions::new()).await.unwrap();
            }
        }
        let lines = world.record();
        assert_eq!(lines.iter().map(|line| line.status).collect::<Vec<_>>(), [None, Some(200)]);
        assert_ne!(lines[0].connection, lines[1].connection);
    }
    assert_eq!(world.client.metrics().retries(), 0);

    // Once: a new connection that dies, too, is no stale one.
    world.fault(Fault::new(Action::Reset).method("GET"));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 2), "{error}");
}

#[tokio::test]
async fn a_new_connection_that_dies_costs_a_retry() {
    let world = World::impatient(2);
    world.emulator.fault(Fault::new(Action::Reset).reused(false).count(1));
    world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    assert_eq!(world.client.metrics().retries(), 1);
}

#[tokio::test]
async fn conditional_writes_survive_a_dead_connection() {
    let world = World::impatient(3);
    world.object("k", 10).await;
    for (method, n) in [("PUT", 0), ("DELETE", 1)] {
        world.fault(Fault::new(Action::Reset).method(method).reused(true).count(1));
        match n {
            0 => {
                let create = PutOptions::new().mode(PutMode::Create);
                world.store.put("new", &b"x"[..], create).await.unwrap();
            }
            _ => world.store.delete("new", DeleteOptions::new()).await.unwrap(),
        }
    }
    assert!(world.store.head("new").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_is_no_trouble() {
    let emulator = emulator();
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let address = raw_server(move |mut stream| {
        if read_head(&mut stream) {
            count.fetch_add(1, Relaxed);
            // Closed without a word of it.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\netag: e\r\n\r\nabc");
        }
    });
    let store =
        store_elsewhere(&emulator, format!("http://{address}"), |config| impatient(config, 1));
    for _ in 0..20 {
        assert_eq!(read(&store, "k").await.unwrap(), b"abc");
    }
    assert_eq!(served.load(Relaxed), 20);
}

// ---- names on the wire --------------------------------------------------------------------------------------------

#[tokio::test]
async fn reads_that_share_a_signature_share_neither_range_nor_id() {
    let world = World::new();
    world.object("k", 100).await;
    for range in [0..100, 10..20, 0..5] {
        read_range(&world.store, "k", range).await.unwrap();
        read(&world.store, "k").await.unwrap();
        world.store.head("k").await.unwrap();
    }
    let reads: Vec<_> = world.record().into_iter().filter(|line| line.method != "PUT").collect();
    let ranges: Vec<_> = reads.iter().map(|line| line.range.as_deref()).collect();
    let sent = ["bytes=0-99", "bytes=10-19", "bytes=0-4"].map(|range| [Some(range), None, None]);
    assert_eq!(ranges, sent.concat());
    let mut ids: Vec<_> = reads.into_iter().map(|line| line.client_request_id.unwrap()).collect();
    assert!(ids.iter().all(|id| id.len() == 32), "{ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 9);
}

#[tokio::test]
async fn names_reach_the_server_byte_for_byte() {
    let world = World::new();
    for (name, encoded) in [
        ("..", ".."),
        (".", "."),
        ("a/../b", "a%2F..%2Fb"),
        ("//lead", "%2F%2Flead"),
        ("a//b/", "a%2F%2Fb%2F"),
        ("100% +~é?#", "100%25%20%2B~%C3%A9%3F%23"),
    ] {
        world.emulator.admin().clear_record();
        world.store.put(name, name.as_bytes().to_vec(), PutOptions::new()).await.unwrap();
        assert_eq!(read(&world.store, name).await.unwrap(), name.as_bytes());
        world.store.head(name).await.unwrap();
        world.store.delete(name, DeleteOptions::new()).await.unwrap();
        let target = format!("/n/{}/b/{BUCKET}/o/{encoded}", world.emulator.ready().oci.namespace);
        let lines = world.record();
        assert_eq!(lines.iter().map(|line| &line.target).collect::<Vec<_>>(), [&target; 4]);
        assert!(lines.iter().all(|line| line.status.is_some_and(|status| status < 300)));
    }
    // The DELETE of `..` was of an object, not of the bucket.
    world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
}

#[tokio::test]
async fn an_ipv6_literal_stands_in_endpoint_host_and_signature() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    }
    let emulator =
        Emulator::builder().bucket(BUCKET).address(Ipv6Addr::LOCALHOST.into()).start().unwrap();
    assert!(emulator.ready().oci.endpoint.starts_with("http://[::1]:"));
    let tls = emulator.ready().oci.clone();
    let world = World::on(emulator, |config| config);
    let bytes = world.object("k", 100).await;
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);

    let over_tls = store_elsewhere(&world.emulator, tls.tls_endpoint, |config| {
        config.ca_bundle(Path::new(&tls.ca_bundle).to_owned())
    });
    assert_eq!(read(&over_tls, "k").await.unwrap(), bytes);
    assert!(world.record().last().unwrap().tls);
}

#[tokio::test]
async fn a_name_is_resolved_and_stands_in_the_signature() {
    let emulator = emulator();
    let named = emulator.ready().oci.endpoint.replace("127.0.0.1", "localhost");
    let client = client(config(&emulator).endpoint(named));
    let store = store(&client, &emulator);
    // Where localhost is ::1, too, nothing listens there: the next address is tried.
    store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    read(&store, "k").await.unwrap();
    let seen = client.metrics().snapshot();
    assert_eq!((having(&seen, Phase::Dns), having(&seen, Phase::Connect)), (1, 1));
}
