// SPDX-License-Identifier: Apache-2.0
//! Copies, renames and removals when things go wrong: answers that are lost, requests that never arrive, objects that are
//! replaced meanwhile.

use crate::common::side::{PART, Side, on_both};
use crate::common::{self, BUCKET, client, emulator, pattern, read, store_at};
use futures_util::StreamExt;
use std::time::Duration;
use storescope::{CopyOptions, ErrorKind, ListOptions, PutMode, PutOptions, RenameOptions};
use storescope_emulator::{Action, Fault};

on_both! {
    a_copy_whose_answer_was_lost_has_succeeded,
    a_copy_that_never_arrived_is_made_again,
    a_rename_whose_answer_was_lost_has_succeeded,
    a_rename_that_never_arrived_is_made_again,
    a_rename_that_meets_another_change_is_made_again,
    removals_whose_answer_was_lost_have_succeeded,
}

async fn copied(on: &Side) {
    on.store.put("from", pattern(1_000), PutOptions::new().metadata("a", "b")).await.unwrap();
    on.store.copy("from", (&on.store, "to"), CopyOptions::new()).await.unwrap();
    assert_eq!(read(&on.store, "to").await.unwrap(), pattern(1_000));
    assert_eq!(on.store.head("to").await.unwrap().metadata["a"], "b");
    let create = CopyOptions::new().mode(PutMode::Create);
    let there = on.store.copy("from", (&on.store, "to"), create).await.unwrap_err();
    assert_eq!(there.kind(), ErrorKind::AlreadyExists);
}

/// The request that copies.
fn copying(on: &Side) -> (&'static str, &'static str) {
    if on.s3 { ("PUT", "/to") } else { ("POST", "copyObject") }
}

async fn a_copy_whose_answer_was_lost_has_succeeded(on: Side) {
    let (method, target) = copying(&on);
    on.lose(method, target);
    copied(&on).await;
}

async fn a_copy_that_never_arrived_is_made_again(on: Side) {
    let (method, target) = copying(&on);
    on.reset(method, target);
    copied(&on).await;
}

async fn renamed(on: &Side) {
    on.store.put("from", pattern(1_000), PutOptions::new()).await.unwrap();
    let create = RenameOptions::new().mode(PutMode::Create);
    on.store.rename("from", "to", create).await.unwrap();
    assert_eq!(read(&on.store, "to").await.unwrap(), pattern(1_000));
    assert!(read(&on.store, "from").await.unwrap_err().is_not_found());
}

async fn a_rename_whose_answer_was_lost_has_succeeded(on: Side) {
    if on.s3 {
        on.lose("PUT", "/to");
        on.lose("DELETE", "/from");
    } else {
        on.lose("POST", "renameObject");
    }
    renamed(&on).await;
}

async fn a_rename_that_never_arrived_is_made_again(on: Side) {
    if on.s3 {
        on.reset("PUT", "/to");
        on.reset("DELETE", "/from");
    } else {
        on.reset("POST", "renameObject");
    }
    renamed(&on).await;
}

/// Nothing happened, and the conditions decide when the other change is over.
async fn a_rename_that_meets_another_change_is_made_again(on: Side) {
    let (method, target, code) = if on.s3 {
        ("PUT", "/to", "ConditionalRequestConflict")
    } else {
        ("POST", "renameObject", "ConcurrentObjectUpdate")
    };
    let refusal = Action::Status {
        status: 409,
        code: Some(code.to_owned()),
        message: None,
        retry_after: None,
    };
    let fault = Fault::new(refusal).method(method).contains(target);
    on.emulator.fault(fault.nth(1));
    renamed(&on).await;
    assert_eq!(on.count(method, target), 2);
}

async fn removals_whose_answer_was_lost_have_succeeded(on: Side) {
    let names: Vec<String> = (0..5).map(|n| format!("k{n}")).collect();
    for name in &names {
        on.store.put(name, &b"x"[..], PutOptions::new()).await.unwrap();
    }
    on.lose("POST", if on.s3 { "delete" } else { "batchDeleteObjects" });
    let removed: Vec<_> =
        on.store.delete_many(futures_util::stream::iter(names).boxed()).collect().await;
    assert_eq!(removed.len(), 5);
    for (key, result) in removed {
        result.unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    assert!(on.store.list("", ListOptions::new()).next().await.is_none());
}

#[tokio::test]
async fn a_copy_that_takes_its_time_is_followed_to_its_end() {
    let on = Side::oci();
    on.store.put("from", pattern(1_000), PutOptions::new()).await.unwrap();
    on.emulator.admin().set_copy_delay(Duration::from_millis(300));
    let copied = on.store.copy("from", (&on.store, "to"), CopyOptions::new()).await.unwrap();
    assert_eq!(copied.etag, on.store.head("to").await.unwrap().etag);
    assert!(on.count("GET", "/workRequests/") >= 2, "it was asked how far it is");
    // What its target demands is judged when it is done.
    let create = CopyOptions::new().mode(PutMode::Create);
    let error = on.store.copy("from", (&on.store, "to"), create).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
}

#[cfg(feature = "s3")]
mod s3_only {
    use super::*;

    /// Between the copy and the removal of a rename.
    #[tokio::test]
    async fn a_source_that_is_replaced_during_its_rename_is_kept() {
        let on = Side::s3();
        on.store.put("from", &b"first"[..], PutOptions::new()).await.unwrap();
        let busy = Action::Status { status: 503, code: None, message: None, retry_after: Some(1) };
        on.emulator.fault(Fault::new(busy).method("DELETE").contains("/from"));
        let store = on.store.clone();
        let renaming = tokio::spawn(async move {
            store.rename("from", "to", RenameOptions::new()).await.unwrap_err()
        });
        while on.count("DELETE", "/from") == 0 {
            tokio::task::yield_now().await;
        }
        on.store.put("from", &b"second"[..], PutOptions::new()).await.unwrap();
        on.emulator.admin().clear_faults();
        let kept = renaming.await.unwrap();
        assert_eq!(kept.kind(), ErrorKind::Precondition, "{kept}");
        assert!(kept.to_string().contains("another replaced it"), "{kept}");
        assert_eq!(read(&on.store, "from").await.unwrap(), b"second");
        assert_eq!(read(&on.store, "to").await.unwrap(), b"first");
    }

    /// Two of one size, as two commits of a log may be. The first look says that the name is free, the copy never arrives.
    #[tokio::test]
    async fn anothers_object_of_the_same_size_is_no_copy() {
        let on = Side::s3();
        on.store.put("from", &b"ours"[..], PutOptions::new()).await.unwrap();
        on.store.put("to", &b"them"[..], PutOptions::new()).await.unwrap();
        let from = on.store.list("from", ListOptions::new()).next().await.unwrap().unwrap();
        let storescope::ListEntry::Object(source) = from else { panic!("{from:?}") };
        on.emulator.fault(common::status(404).method("HEAD").contains("/to").nth(1));
        on.reset("PUT", "/to");
        let create = RenameOptions::new().mode(PutMode::Create).source(source);
        let there = on.store.rename("from", "to", create).await.unwrap_err();
        assert_eq!(there.kind(), ErrorKind::AlreadyExists, "{there}");
        assert_eq!(read(&on.store, "to").await.unwrap(), b"them");
        assert_eq!(read(&on.store, "from").await.unwrap(), b"ours");
    }

    #[tokio::test]
    async fn a_server_without_conditional_removals_renames_all_the_same() {
        let on = Side::s3();
        on.store.put("from", &b"bytes"[..], PutOptions::new()).await.unwrap();
        let refusal = Action::Status {
            status: 501,
            code: Some("NotImplemented".to_owned()),
            message: None,
            retry_after: None,
        };
        on.emulator.fault(Fault::new(refusal).method("DELETE").contains("/from").nth(1));
        on.store.rename("from", "to", RenameOptions::new()).await.unwrap();
        assert_eq!(read(&on.store, "to").await.unwrap(), b"bytes");
        assert!(read(&on.store, "from").await.unwrap_err().is_not_found());
    }

    #[tokio::test]
    async fn large_objects_are_copied_by_parts() {
        let emulator = emulator();
        let config = common::s3_config(&emulator).copy_part_size(PART as u64);
        let client = client(config);
        let store = store_at(&client, &format!("s3://{BUCKET}/"));
        let bytes = pattern(3 * PART + 7);
        let options = PutOptions::new().content_type("text/csv").metadata("a", "b");
        store.put("from é", bytes.clone(), options).await.unwrap();
        let copied = store.copy("from é", (&store, "to"), CopyOptions::new()).await.unwrap();
        assert_eq!(copied.size, bytes.len() as u64);
        assert!(read(&store, "to").await.unwrap() == bytes);
        let head = store.head("to").await.unwrap();
        assert_eq!((head.content_type.as_deref(), &*head.metadata["a"]), (Some("text/csv"), "b"));
        let parts =
            emulator.record().iter().filter(|line| line.target.contains("partNumber=")).count();
        assert_eq!(parts, 4);
        assert!(store.uploads("").next().await.is_none());
    }
}
