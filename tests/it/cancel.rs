// SPDX-License-Identifier: Apache-2.0
//! What is dropped, refused half-way or shut down.

use crate::common::{FOR_EVER, World, bucket_url, impatient, ms, pattern, read, store_at, until};
use futures_util::{FutureExt, StreamExt};
use std::path::Path;
use std::time::Duration;
use storescope::timing::{Level, Operation, Outcome, Phase};
use storescope::{DeleteOptions, ErrorKind, GetOptions, ListOptions, PutOptions};
use storescope_emulator::{Action, Fault};

#[tokio::test]
async fn a_dropped_body_frees_its_connection_at_once() {
    let world = World::with(|config| config.max_connections(1_u32));
    world.object("big", 32 << 20).await;
    world.object("small", 10).await;
    let metrics = world.client.metrics();
    let mut body = world.store.get("big", GetOptions::new()).await.unwrap().into_stream();
    body.next().await.unwrap().unwrap();
    assert_eq!((metrics.attempts_in_flight(), metrics.connections_open()), (1, 1));
    let mut waiting = Box::pin(world.store.head("small"));
    assert!(waiting.as_mut().now_or_never().is_none(), "there is one connection, and it is in use");
    let mut waiting_too = Box::pin(world.store.head("small"));
    assert!(waiting_too.as_mut().now_or_never().is_none());

    drop(body);
    assert_eq!(metrics.attempts_in_flight(), 0);
    // One that waits for the permit and is dropped leaves it to the other.
    drop(waiting);
    assert_eq!(waiting_too.await.unwrap().size, 10);
    until("the connection of the dropped body is closed", || metrics.connections_open() == 1).await;
    until("its request has ended", || world.record().len() == 2).await;
    let big = world.record().into_iter().find(|line| line.target.ends_with("/big")).unwrap();
    assert!(big.bytes_out < 32 << 20 && big.last_byte_ns.is_none(), "{big:?}");
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_recorded() {
    let world = World::new();
    world.object("k", 10).await;
    world.fault(Fault::new(Action::Delay { ms: FOR_EVER }).method("GET"));
    let metrics = world.client.metrics();
    let mut call = Box::pin(world.store.get("k", GetOptions::new()));
    while metrics.attempts_in_flight() == 0 {
        assert!(call.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(call);
    assert_eq!(metrics.attempts_in_flight(), 0);
    until("its connection is closed", || metrics.connections_open() == 1).await;
    let seen = metrics.snapshot();
    for level in [Level::Attempt, Level::Call] {
        let outcomes = seen.outcomes(level, Operation::Get);
        assert_eq!(outcomes.get(&Outcome::Cancelled), Some(&1), "{level:?}: {outcomes:?}");
        assert_eq!(outcomes.get(&Outcome::Ok), None);
    }
}

/// The largest of a kernel's socket buffers, in bytes.
fn largest_buffer(name: &str) -> u64 {
    let text = std::fs::read_to_string(Path::new("/proc/sys/net/ipv4").join(name)).unwrap();
    text.split_whitespace().last().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_held_back_and_does_not_time_out() {
    const SIZE: usize = 64 << 20;
    let world = World::with(|config| impatient(config, 1).stall_timeout(ms(100)));
    let bytes = world.object("k", SIZE).await;
    for read_on in [true, false] {
        let mut body = world.store.get("k", GetOptions::new()).await.unwrap().into_stream();
        let first = body.next().await.unwrap().unwrap();
        // Thinking, for longer than the stall timeout: this time is what is tested.
        tokio::time::sleep(ms(400)).await;
        if read_on {
            let mut reached = first.len();
            assert!(bytes.starts_with(&first));
            while let Some(more) = body.next().await {
                let more = more.unwrap();
                assert!(bytes[reached..].starts_with(&more));
                reached += more.len();
            }
            assert_eq!(reached, SIZE);
            let seen = world.client.metrics().snapshot();
            let paused = seen.attempts(Operation::Get, Phase::Paused, Outcome::Ok).unwrap();
            assert!(paused.max() >= 300_000_000, "the caller's own time is told: {paused:?}");
        }
    }
    until("the dropped body's request has ended", || world.record().len() == 2).await;
    let sent =
        world.record().into_iter().find(|line| line.last_byte_ns.is_none()).unwrap().bytes_out;
    // Both kernels' buffers, and a megabyte for hyper's own window and what was read.
    let window = largest_buffer("tcp_wmem") + largest_buffer("tcp_rmem") + (1 << 20);
    assert!(
        sent <= window && window < SIZE as u64,
        "{sent} bytes were sent; the window has {window}"
    );
}

#[tokio::test]
async fn shutdown_waits_for_what_is_under_way_and_takes_nothing_new() {
    let world = World::new();
    let bytes = world.object("k", 8 << 20).await;
    let held = world.store.get("k", GetOptions::new()).await.unwrap();
    let error = world.client.shutdown(ms(50)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    for refused in [
        world.store.get("k", GetOptions::new()).await.map(drop),
        world.store.head("k").await.map(drop),
        world.store.put("k", &b"x"[..], PutOptions::new()).await.map(drop),
        world.store.delete("k", DeleteOptions::new()).await,
        world.store.list("", ListOptions::new()).next().await.unwrap().map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Misuse);
    }
    let client = world.client.clone();
    let shutdown = tokio::spawn(async move { client.shutdown(Duration::from_secs(30)).await });
    tokio::task::yield_now().await;
    assert!(!shutdown.is_finished());
    assert!(held.bytes().await.unwrap() == bytes);
    shutdown.await.unwrap().unwrap();
    until("all connections are closed", || world.client.metrics().connections_open() == 0).await;
}

#[tokio::test]
async fn shutdown_waits_for_a_call_between_two_attempts() {
    let world = World::impatient(3);
    world.object("k", 10).await;
    world.fault(Fault::new(Action::Throttle { requests: 1, retry_after: Some(1) }));
    let store = world.store.clone();
    let call = tokio::spawn(async move { read(&store, "k").await });
    until("the first attempt has ended", || world.record().len() == 1).await;
    until("its answer is read", || world.client.metrics().attempts_in_flight() == 0).await;
    world.client.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!(world.record().len(), 2, "the call had its second attempt before shutdown returned");
    assert_eq!(call.await.unwrap().unwrap(), pattern(10));
}

/// A server that refuses a long upload does not read it to its end.
#[tokio::test]
async fn a_refusal_in_the_middle_of_an_upload_is_told() {
    let world = World::impatient(2);
    let url = bucket_url(&world.emulator).replacen("bucket", "no-such-bucket", 1);
    let store = store_at(&world.client, &url);
    let error = store.put("k", vec![0; 80 << 20], PutOptions::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::BucketNotFound, Some(404)), "{error}");
    assert_eq!(error.attempts(), 1);
}
