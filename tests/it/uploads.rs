// SPDX-License-Identifier: Apache-2.0
//! Writes by parts when things go wrong: answers that are lost, requests that never arrive, tokens that end in between.
//! What holds of every backend otherwise is in contract/.

use crate::common::side::{PART, Side, on_both};
use crate::common::{
    self, BUCKET, World, client, emulator, impatient, pattern, read, status, store_at, until,
};
use futures_util::{StreamExt, TryStreamExt};
use storescope::{ErrorKind, GetOptions, PutMode, PutOptions, StoreOptions, Upload, UploadedPart};
use storescope_emulator::{Action, Emulator, Fault};

/// Method and target of an upload's last request, on both.
const COMMIT: (&str, &str) = ("POST", "uploadId=");

on_both! {
    a_part_whose_answer_was_lost_is_sent_again,
    a_begin_whose_answer_was_lost_leaves_nothing,
    a_begin_that_never_arrived_aborts_nobodys_upload,
    uploads_of_several_writers_are_left_alone,
    a_begin_without_any_answer_says_what_may_be_left,
    a_failed_write_leaves_no_upload_of_a_lost_begin,
    a_write_that_is_dropped_while_it_begins_leaves_no_upload,
    a_commit_whose_answer_was_lost_has_succeeded,
    a_commit_that_never_arrived_is_made_again,
    a_conditional_commit_whose_answer_was_lost_has_succeeded,
    a_commit_of_others_bytes_is_no_success,
    a_commit_whose_upload_was_aborted_by_another_fails,
    an_abort_whose_answer_was_lost_has_succeeded,
    a_part_that_is_refused_for_good_ends_the_write,
    a_store_that_fails_for_ever_leaves_no_upload,
    an_unknown_end_is_told_as_one,
}

async fn a_part_whose_answer_was_lost_is_sent_again(on: Side) {
    let bytes = pattern(2 * PART + 5);
    let (method, target) = on.part();
    on.lose(method, target);
    on.write("k", &bytes, PutOptions::new()).await.unwrap();
    assert_eq!(on.count(method, target), 4, "three parts, one of them twice");
    assert!(read(&on.store, "k").await.unwrap() == bytes);
    on.nothing_is_left().await;
}

async fn a_begin_whose_answer_was_lost_leaves_nothing(on: Side) {
    let bytes = pattern(2 * PART + 5);
    let (method, target) = on.begin();
    on.lose(method, target);
    on.write("k", &bytes, PutOptions::new()).await.unwrap();
    assert!(read(&on.store, "k").await.unwrap() == bytes);
    on.nothing_is_left().await;
    assert_eq!(on.count("DELETE", "uploadId="), 1, "the stray");
    // Its bucket can be removed.
    on.store.delete("k", storescope::DeleteOptions::new()).await.unwrap();
    on.client.delete_bucket(on.store.url(), StoreOptions::new()).await.unwrap();
}

/// The request was lost, not its answer; the one upload that was begun meanwhile is another's.
async fn a_begin_that_never_arrived_aborts_nobodys_upload(on: Side) {
    let bytes = pattern(2 * PART + 5);
    let others = on.store.begin_upload("k", PutOptions::new()).await.unwrap();
    let part = on.store.put_part(&others, 1, pattern(PART)).await.unwrap();
    let (method, target) = on.begin();
    on.reset(method, target);
    on.write("k", &bytes, PutOptions::new()).await.unwrap();
    on.store.complete_upload(&others, vec![part]).await.unwrap();
    assert!(read(&on.store, "k").await.unwrap() == pattern(PART));
}

/// Which of them is a stray is not known.
async fn uploads_of_several_writers_are_left_alone(on: Side) {
    let bytes = pattern(PART + 5);
    let others = on.store.begin_upload("k", PutOptions::new()).await.unwrap();
    let (method, target) = on.begin();
    on.lose(method, target);
    let (log, _guard) = common::Log::listen();
    on.write("k", &bytes, PutOptions::new()).await.unwrap();
    let part = on.store.put_part(&others, 1, pattern(PART)).await.unwrap();
    on.store.complete_upload(&others, vec![part]).await.unwrap();
    // What is left is told. (On a slow machine the other was begun long before, and the stray is known.)
    let left: Vec<_> = on.store.uploads("").try_collect().await.unwrap();
    for upload in &left {
        assert_eq!(log.count("WARN", &upload.id), 1, "{:?}", log.lines());
    }
    assert!(left.len() <= 1, "{left:?}");
}

async fn a_begin_without_any_answer_says_what_may_be_left(on: Side) {
    let (method, target) = on.begin();
    on.emulator.fault(Fault::new(Action::DropResponse).method(method).contains(target));
    let error = on.write("k", &pattern(PART + 5), PutOptions::new()).await.unwrap_err();
    assert!(error.to_string().contains("an upload may have been begun"), "{error}");
}

async fn a_failed_write_leaves_no_upload_of_a_lost_begin(on: Side) {
    let (method, target) = on.begin();
    on.lose(method, target);
    let (method, target) = on.part();
    on.emulator.fault(status(403).method(method).contains(target));
    on.write("k", &pattern(2 * PART), PutOptions::new()).await.unwrap_err();
    on.nothing_is_left().await;
}

async fn a_write_that_is_dropped_while_it_begins_leaves_no_upload(on: Side) {
    let (method, target) = on.begin();
    let late = Fault::new(Action::Delay { ms: 200 }).method(method).contains(target);
    let late = on.emulator.admin().fault(late);
    let is_asked = || on.emulator.admin().fault_counts(late).is_some_and(|(_, done)| done > 0);
    let bytes = pattern(2 * PART);
    let mut writing = Box::pin(on.write("k", &bytes, PutOptions::new()));
    tokio::select! {
        ended = &mut writing => panic!("{ended:?}"),
        () = until("its begin is there", is_asked) => {}
    }
    drop(writing);
    until("what was begun is aborted", || on.count("DELETE", "uploadId=") == 1).await;
    on.nothing_is_left().await;
}

async fn a_commit_whose_answer_was_lost_has_succeeded(on: Side) {
    let bytes = pattern(PART + 5);
    let (method, target) = COMMIT;
    on.lose(method, target);
    on.write("k", &bytes, PutOptions::new()).await.unwrap();
    assert!(read(&on.store, "k").await.unwrap() == bytes);
    on.nothing_is_left().await;
}

async fn a_commit_that_never_arrived_is_made_again(on: Side) {
    let bytes = pattern(PART + 5);
    let (method, target) = COMMIT;
    on.reset(method, target);
    on.write("k", &bytes, PutOptions::new()).await.unwrap();
    assert!(read(&on.store, "k").await.unwrap() == bytes);
    on.nothing_is_left().await;
}

async fn a_conditional_commit_whose_answer_was_lost_has_succeeded(on: Side) {
    let bytes = pattern(PART + 5);
    let (method, target) = COMMIT;
    on.lose(method, target);
    on.write("k", &bytes, PutOptions::new().mode(PutMode::Create)).await.unwrap();
    let meta = on.store.head("k").await.unwrap();
    assert!(meta.metadata.is_empty(), "our mark is not shown: {meta:?}");
    on.lose(method, target);
    let update = PutOptions::new().mode(PutMode::Update(meta.etag.unwrap()));
    let longer = pattern(PART + 6);
    on.write("k", &longer, update).await.unwrap();
    assert!(read(&on.store, "k").await.unwrap() == longer);
    on.nothing_is_left().await;
}

async fn a_commit_of_others_bytes_is_no_success(on: Side) {
    let create = || PutOptions::new().mode(PutMode::Create);
    let mut writer = on.store.writer("k", create());
    writer.write(pattern(PART + 5)).await.unwrap();
    // The same bytes of another, who was first.
    on.write("k", &pattern(PART + 5), create()).await.unwrap();
    let (method, target) = COMMIT;
    on.lose(method, target);
    let error = writer.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    on.nothing_is_left().await;
}

async fn a_commit_whose_upload_was_aborted_by_another_fails(on: Side) {
    let mut writer = on.store.writer("k", PutOptions::new());
    writer.write(pattern(PART + 5)).await.unwrap();
    let uploads: Vec<_> = on.store.uploads("").try_collect().await.unwrap();
    let (method, target) = COMMIT;
    on.reset(method, target);
    on.store.abort_upload(&uploads[0]).await.unwrap();
    let error = writer.finish().await.unwrap_err();
    assert!(!error.to_string().is_empty());
    assert!(read(&on.store, "k").await.unwrap_err().is_not_found());
    on.nothing_is_left().await;
}

async fn an_abort_whose_answer_was_lost_has_succeeded(on: Side) {
    let mut writer = on.store.writer("k", PutOptions::new());
    writer.write(pattern(PART + 5)).await.unwrap();
    on.lose("DELETE", "uploadId=");
    writer.abort().await.unwrap();
    on.nothing_is_left().await;
    let mut again = on.store.writer("k", PutOptions::new());
    again.write(pattern(PART + 5)).await.unwrap();
    let uploads: Vec<_> = on.store.uploads("").try_collect().await.unwrap();
    on.lose("DELETE", "uploadId=");
    on.store.abort_upload(&uploads[0]).await.unwrap();
    on.nothing_is_left().await;
    drop(again);
    until("the abort of what is gone", || on.client.metrics().calls_in_flight() == 0).await;
}

async fn a_part_that_is_refused_for_good_ends_the_write(on: Side) {
    let (method, target) = on.part();
    on.emulator.fault(status(403).method(method).contains(target).nth(2));
    let mut writer = on.store.writer("k", PutOptions::new());
    let mut failed = None;
    for _ in 0..8 {
        if let Err(error) = writer.write(pattern(PART)).await {
            failed = Some(error);
            break;
        }
    }
    let again = writer.write(&b"more"[..]).await.err();
    let ended = writer.finish().await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::PermissionDenied, "{ended}");
    if let (Some(failed), Some(again)) = (failed, again) {
        assert_eq!((failed.kind(), again.kind()), (ended.kind(), ended.kind()));
    }
    on.nothing_is_left().await;
    assert!(read(&on.store, "k").await.unwrap_err().is_not_found());
}

async fn a_store_that_fails_for_ever_leaves_no_upload(on: Side) {
    let (method, target) = on.part();
    on.emulator.fault(status(503).method(method).contains(target));
    let error = on.write("k", &pattern(PART + 5), PutOptions::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error}");
    assert_eq!(error.attempts(), 4);
    on.nothing_is_left().await;
}

/// A commit whose answers are all lost, and an object that cannot be looked at: not told as a success, nor as one that
/// surely failed.
async fn an_unknown_end_is_told_as_one(on: Side) {
    let (method, target) = COMMIT;
    on.emulator.fault(Fault::new(Action::Reset).method(method).contains(target));
    on.emulator.fault(status(500).method("HEAD"));
    let error = on.write("k", &pattern(PART + 5), PutOptions::new()).await.unwrap_err();
    assert!(error.to_string().contains("may have taken effect"), "{error}");
}

#[tokio::test]
async fn a_token_that_ends_between_two_parts_is_read_again() {
    let emulator = emulator();
    let state =
        std::path::Path::new(&emulator.ready().oci.config_file).parent().unwrap().to_owned();
    let world = World::on(emulator, |config| {
        impatient(config, 4)
            .part_size(PART as u64)
            .part_concurrency(1u32)
            .profile("SESSION".to_owned())
    });
    let mut writer = world.store.writer("k", PutOptions::new());
    writer.write(pattern(PART)).await.unwrap();
    writer.write(pattern(PART)).await.unwrap();
    // As if it had ended: the token in use is refused once, and another tool has renewed it.
    let token = std::fs::read(state.join("token")).unwrap();
    std::fs::write(state.join("token"), &token).unwrap();
    world.fault(Fault::new(Action::UnauthorizedOnce).method("PUT").nth(1));
    let ended = async {
        writer.write(pattern(PART)).await?;
        writer.finish().await
    };
    // The same token again is no mend: the error says whose it was, and nothing is left.
    let error = ended.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    assert!(error.hint().unwrap().contains("session token"), "{error}");
    let uploads: Vec<_> = world.store.uploads("").try_collect().await.unwrap();
    assert!(uploads.is_empty());
}

/// Parts of many hands: one begins, others write and end it, each knowing its names alone.
#[tokio::test]
async fn an_upload_is_gone_on_with_by_others() {
    let bytes = pattern(11 << 20);
    for on in [
        Side::oci(),
        #[cfg(feature = "s3")]
        Side::s3(),
    ] {
        let store = &on.store;
        let begun = store.begin_upload("k", PutOptions::new()).await.unwrap();
        let named = || Upload::new(begun.key.clone(), begun.id.clone());
        let (first, second) = bytes.split_at(6 << 20);
        // In any order, and one of them twice: the later one counts.
        let last = store.put_part(&named(), 2, second.to_vec()).await.unwrap();
        store.put_part(&named(), 1, second.to_vec()).await.unwrap();
        let part = store.put_part(&named(), 1, first.to_vec()).await.unwrap();
        assert_eq!((part.number, part.size), (1, 6 << 20));
        let part = UploadedPart::new(part.number, part.etag, part.crc32c, part.size);
        let made = store.complete_upload(&named(), vec![last, part]).await.unwrap();
        assert_eq!((made.key.as_str(), made.size), ("k", bytes.len() as u64));
        let read = store.get("k", GetOptions::new()).await.unwrap().bytes().await.unwrap();
        assert!(read == bytes);
        let gone = store.put_part(&named(), 3, vec![0]).await.unwrap_err();
        assert!(gone.is_not_found(), "{gone}");
        let left = store.begin_upload("left", PutOptions::new()).await.unwrap();
        store.abort_upload(&left).await.unwrap();
        let gone = store.abort_upload(&left).await.unwrap_err();
        assert!(gone.is_not_found(), "{gone}");
        assert!(store.uploads("").next().await.is_none());
    }
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn the_dialect_of_ocis_s3_is_spoken() {
    let emulator = Emulator::builder().bucket(BUCKET).s3_dialect_oci(true).start().unwrap();
    for endpoint in [None, Some(emulator.ready().s3.as_ref().unwrap().tls_endpoint.clone())] {
        let mut config = common::s3_config(&emulator)
            .part_size(PART as u64)
            .ca_bundle(std::path::PathBuf::from(&emulator.ready().oci.ca_bundle));
        if let Some(endpoint) = endpoint {
            config = config.endpoint(endpoint);
        }
        let store = store_at(&client(config), &format!("s3://{BUCKET}/"));
        let mut writer = store.writer("big", PutOptions::new());
        writer.write(pattern(PART + 9)).await.unwrap();
        writer.finish().await.unwrap();
        store.put("small", pattern(10), PutOptions::new()).await.unwrap();
        store
            .put("md5", pattern(10), PutOptions::new().checksum(storescope::ChecksumMode::Md5))
            .await
            .unwrap();
        assert!(read(&store, "big").await.unwrap() == pattern(PART + 9));
        let names = ["big", "small", "md5"].map(str::to_owned);
        let removed: Vec<_> =
            store.delete_many(futures_util::stream::iter(names).boxed()).collect().await;
        for (key, result) in removed {
            result.unwrap_or_else(|error| panic!("{key}: {error}"));
        }
    }
}
