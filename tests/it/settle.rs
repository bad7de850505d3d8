// SPDX-License-Identifier: Apache-2.0
//! Answers that were lost: what became of the request is looked up before it is made again.

use crate::common::server::{reply, scripted};
use crate::common::{self, World, bucket_url, impatient, read, status, store_elsewhere};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use storescope::timing::Operation;
use storescope::{DeleteOptions, ErrorKind, PutMode, PutOptions, StoreOptions, StoreUrl};
use storescope_emulator::{Action, Fault};

fn create() -> PutOptions {
    PutOptions::new().mode(PutMode::Create)
}

fn update(etag: &str) -> PutOptions {
    PutOptions::new().mode(PutMode::Update(etag.to_owned()))
}

fn dropped(method: &str) -> Fault {
    Fault::new(Action::DropResponse).method(method).count(1)
}

fn reset(method: &str) -> Fault {
    Fault::new(Action::Reset).method(method).count(1)
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_has_succeeded() {
    let world = World::impatient(4);
    world.fault(dropped("PUT"));
    let meta = world.store.put("k", &b"mine"[..], create()).await.unwrap();
    assert_eq!((meta.key.as_str(), meta.size), ("k", 4));
    assert_eq!(meta.etag, world.store.head("k").await.unwrap().etag);
    let puts = world.record().iter().filter(|line| line.method == "PUT").count();
    assert_eq!(puts, 1, "{:?}", world.exchanges());
}

#[tokio::test]
async fn a_create_that_never_arrived_is_made_again() {
    let world = World::impatient(4);
    world.fault(reset("PUT"));
    world.store.put("k", &b"mine"[..], create()).await.unwrap();
    assert_eq!(read(&world.store, "k").await.unwrap(), b"mine");
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_does_not_succeed_for_another() {
    let world = World::impatient(4);
    world.store.put("k", &b"theirs"[..], PutOptions::new()).await.unwrap();
    for fault in [reset("PUT"), dropped("PUT"), status(500).method("PUT").count(1)] {
        world.fault(fault);
        let error = world.store.put("k", &b"mine, longer"[..], create()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        assert!(error.is_precondition());
    }
    assert_eq!(read(&world.store, "k").await.unwrap(), b"theirs");
}

/// Two who create a lock write the same bytes.
#[tokio::test]
async fn a_create_whose_answer_was_lost_does_not_succeed_for_anothers_same_bytes() {
    let world = World::impatient(4);
    world.store.put("lock", &b"locked"[..], create()).await.unwrap();
    for fault in [reset("PUT"), dropped("PUT")] {
        world.fault(fault);
        let outcome = world.store.put("lock", &b"locked"[..], create()).await;
        let error = outcome.expect_err("the lock was another's before");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    }
}

#[tokio::test]
async fn an_update_whose_answer_was_lost_has_succeeded() {
    let world = World::impatient(4);
    let before = world.store.put("k", &b"old"[..], PutOptions::new()).await.unwrap().etag.unwrap();
    world.emulator.admin().clear_record();
    world.fault(dropped("PUT"));
    let after = world.store.put("k", &b"new"[..], update(&before)).await.unwrap();
    assert_eq!(after.etag, world.store.head("k").await.unwrap().etag);
    let puts = world.record().iter().filter(|line| line.method == "PUT").count();
    assert_eq!(puts, 1, "{:?}", world.exchanges());
    assert_eq!(read(&world.store, "k").await.unwrap(), b"new");
}

#[tokio::test]
async fn an_update_that_never_arrived_is_made_again() {
    let world = World::impatient(4);
    let before = world.store.put("k", &b"old"[..], PutOptions::new()).await.unwrap().etag.unwrap();
    for fault in
        [reset("PUT"), status(500).method("PUT").count(1), status(503).method("PUT").count(1)]
    {
        let etag = world.store.head("k").await.unwrap().etag.unwrap();
        world.fault(fault);
        world.store.put("k", &b"new"[..], update(&etag)).await.unwrap();
        assert_eq!(read(&world.store, "k").await.unwrap(), b"new");
    }
    let error = world.store.put("k", &b"newer"[..], update(&before)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
}

#[tokio::test]
async fn an_update_whose_refusal_was_lost_is_refused() {
    let world = World::impatient(4);
    let first = world.store.put("k", &b"one"[..], PutOptions::new()).await.unwrap().etag.unwrap();
    world.store.put("k", &b"two"[..], PutOptions::new()).await.unwrap();
    world.fault(dropped("PUT"));
    let error = world.store.put("k", &b"three"[..], update(&first)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
    assert_eq!(read(&world.store, "k").await.unwrap(), b"two");
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_has_succeeded() {
    let world = World::impatient(4);
    let etag = world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap().etag.unwrap();
    world.fault(dropped("DELETE"));
    world.store.delete("k", DeleteOptions::new().if_match(etag)).await.unwrap();
    assert!(world.store.head("k").await.unwrap_err().is_not_found());

    world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    world.fault(dropped("DELETE"));
    world.store.delete("k", DeleteOptions::new()).await.unwrap();
    assert!(world.store.head("k").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_delete_that_never_arrived_is_made_again() {
    let world = World::impatient(4);
    for fault in [reset("DELETE"), status(500).method("DELETE").count(1)] {
        world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
        world.fault(fault);
        world.store.delete("k", DeleteOptions::new()).await.unwrap();
        assert!(world.store.head("k").await.unwrap_err().is_not_found());
    }
}

#[tokio::test]
async fn a_delete_whose_refusal_was_lost_is_refused() {
    let world = World::impatient(4);
    let first = world.store.put("k", &b"one"[..], PutOptions::new()).await.unwrap().etag.unwrap();
    world.store.put("k", &b"two"[..], PutOptions::new()).await.unwrap();
    world.fault(dropped("DELETE"));
    let options = DeleteOptions::new().if_match(first);
    let error = world.store.delete("k", options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
    assert_eq!(read(&world.store, "k").await.unwrap(), b"two");
}

/// A request may take effect after the look that did not find it: the refusal of the next one is no answer either.
#[tokio::test]
async fn a_create_that_landed_after_the_look_has_succeeded() {
    let world = World::impatient(4);
    world.fault(dropped("PUT"));
    world.fault(status(404).method("HEAD").count(1));
    let meta = world.store.put("k", &b"mine"[..], create()).await.unwrap();
    assert_eq!(meta.etag, world.store.head("k").await.unwrap().etag);
    assert_eq!(read(&world.store, "k").await.unwrap(), b"mine");
}

#[tokio::test]
async fn a_delete_that_landed_after_the_look_has_succeeded() {
    let emulator = common::emulator();
    let removals = AtomicUsize::new(0);
    let (endpoint, seen) = scripted(move |asked| match asked.method.as_str() {
        "HEAD" => reply("200 OK", "etag: e\r\n", ""),
        _ if removals.fetch_add(1, Relaxed) == 0 => None,
        _ => reply("404 Not Found", "", r#"{"code":"ObjectNotFound","message":"gone"}"#),
    });
    let store = store_elsewhere(&emulator, endpoint, |config| impatient(config, 4));
    store.delete("k", DeleteOptions::new()).await.unwrap();
    let asked: Vec<_> = seen.lock().unwrap().iter().map(|asked| asked.method.clone()).collect();
    assert_eq!(asked, ["DELETE", "HEAD", "DELETE"]);
}

#[tokio::test]
async fn an_unknown_outcome_is_told_as_a_failure() {
    let world = World::impatient(3);
    world.fault(dropped("PUT"));
    world.fault(status(503).method("HEAD"));
    let error = world.store.put("k", &b"mine"[..], create()).await.unwrap_err();
    // What the put failed with, and that it may have happened all the same.
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Reset, Some(Operation::Put)));
    assert!(error.to_string().contains("may have taken effect"), "{error}");
    assert!(error.to_string().contains("503"), "{error}");
}

/// Whose bucket it is that stands there cannot be seen, so what is not known is told as such, and not done twice.
#[tokio::test]
async fn a_bucket_made_or_removed_without_an_answer_is_told_as_unknown() {
    let world = World::impatient(4);
    let url: StoreUrl =
        bucket_url(&world.emulator).replacen("bucket", "second", 1).parse().unwrap();
    world.fault(dropped("POST"));
    let error = world.client.create_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 1), "{error}");
    let again = world.client.create_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists, "{again}");

    world.fault(dropped("DELETE"));
    let error = world.client.delete_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 1), "{error}");
    let again = world.client.delete_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::BucketNotFound, "{again}");
}
