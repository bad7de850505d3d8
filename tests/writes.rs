// SPDX-License-Identifier: Apache-2.0
//! Writes, moves and removals when things go wrong: answers that are lost, requests that never arrive, tokens that end
//! in between; and access without a signature. What holds of every backend otherwise is in contract.rs.

mod common;

use common::{BUCKET, World, client, emulator, impatient, pattern, read, status, store_at, until};
use futures_util::{StreamExt, TryStreamExt};
use std::time::Duration;
use storescope::{
    Client, CopyOptions, ErrorKind, GetOptions, ListOptions, PutMode, PutOptions, RenameOptions,
    Store, StoreOptions, Upload, UploadedPart,
};
use storescope_emulator::{Action, Emulator, Fault};

const PART: usize = 5 << 20;

/// Method and target of an upload's last request, on both.
const COMMIT: (&str, &str) = ("POST", "uploadId=");

/// Either API of an emulator, in a hurry, with the smallest parts.
struct Side {
    store: Store,
    client: Client,
    emulator: Emulator,
    /// How a target of the API says that it is a part's, the end of an upload, and so on.
    s3: bool,
}

impl Side {
    fn oci() -> Side {
        let World { store, client, emulator } =
            World::with(|config| impatient(config, 4).part_size(PART as u64));
        Side { store, client, emulator, s3: false }
    }

    #[cfg(feature = "s3")]
    fn s3() -> Side {
        let emulator = emulator();
        let config = impatient(common::s3_config(&emulator), 4).part_size(PART as u64);
        let client = client(config);
        let store = store_at(&client, &format!("s3://{BUCKET}/"));
        Side { store, client, emulator, s3: true }
    }

    /// Does the next request of this kind, and loses the answer.
    fn lose(&self, method: &str, target: &str) {
        let fault = Fault::new(Action::DropResponse).method(method).contains(target);
        self.emulator.fault(fault.nth(1));
    }

    /// The next request of this kind never arrives.
    fn reset(&self, method: &str, target: &str) {
        self.emulator.fault(Fault::new(Action::Reset).method(method).contains(target).nth(1));
    }

    async fn write(&self, key: &str, bytes: &[u8], options: PutOptions) -> storescope::Result<()> {
        let mut writer = self.store.writer(key, options);
        writer.write(bytes.to_vec()).await?;
        writer.finish().await.map(|_| ())
    }

    fn part(&self) -> (&'static str, &'static str) {
        if self.s3 { ("PUT", "partNumber=") } else { ("PUT", "uploadPartNum=") }
    }

    async fn nothing_is_left(&self) {
        let uploads: Vec<_> = self.store.uploads("").try_collect().await.unwrap();
        assert!(uploads.is_empty(), "{uploads:?}");
    }

    fn count(&self, method: &str, target: &str) -> usize {
        let is_it = |line: &&storescope_emulator::RecordLine| {
            line.method == method && line.target.contains(target)
        };
        self.emulator.record().iter().filter(is_it).count()
    }
}

/// The same test of both APIs.
macro_rules! on_both {
    ($($name:ident,)+) => {
        mod oci {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Side::oci()).await;
            })+
        }

        #[cfg(feature = "s3")]
        mod s3 {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Side::s3()).await;
            })+
        }
    };
}

on_both! {
    a_part_whose_answer_was_lost_is_sent_again,
    a_commit_whose_answer_was_lost_has_succeeded,
    a_commit_that_never_arrived_is_made_again,
    a_conditional_commit_whose_answer_was_lost_has_succeeded,
    a_commit_of_others_bytes_is_no_success,
    a_commit_whose_upload_was_aborted_by_another_fails,
    a_copy_whose_answer_was_lost_has_succeeded,
    a_copy_that_never_arrived_is_made_again,
    a_rename_whose_answer_was_lost_has_succeeded,
    a_rename_that_never_arrived_is_made_again,
    a_rename_that_meets_another_change_is_made_again,
    removals_whose_answer_was_lost_have_succeeded,
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

#[tokio::test]
async fn a_public_bucket_is_read_unsigned() {
    let world = World::new();
    world.object("open/k", 1_000).await;
    let anybody = client(
        storescope::Config::default()
            .endpoint(world.emulator.ready().oci.endpoint.clone())
            .auth(storescope::config::Auth::None),
    );
    let url = common::bucket_url(&world.emulator);
    let unsigned = store_at(&anybody, &url);
    let refused = unsigned.head("open/k").await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::BucketNotFound | ErrorKind::NotFound), "{refused}");
    let write = unsigned.put("k", &b"x"[..], PutOptions::new()).await.unwrap_err();
    assert_eq!(write.kind(), ErrorKind::Unauthenticated, "{write}");
    assert!(write.hint().unwrap().contains("unsigned"), "{write}");
    let namespace = &world.emulator.ready().oci.namespace;
    let bucket = format!("/n/{namespace}/b/{BUCKET}");
    common::signed_post(&world.emulator, &bucket, r#"{"publicAccessType":"ObjectRead"}"#);
    assert_eq!(read(&unsigned, "open/k").await.unwrap(), pattern(1_000));
    let listed: Vec<_> = unsigned.list("open/", ListOptions::new()).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn a_pre_authenticated_request_is_a_source() {
    let world = World::new();
    let bytes = world.object("a b/é+", 1_000).await;
    let namespace = &world.emulator.ready().oci.namespace;
    let made = common::signed_post(
        &world.emulator,
        &format!("/n/{namespace}/b/{BUCKET}/p"),
        r#"{"name":"p","accessType":"ObjectRead","objectName":"a b/é+","timeExpires":"2100-01-01T00:00:00Z"}"#,
    );
    let par = made["accessUri"].as_str().unwrap();
    let url: storescope::StoreUrl =
        format!("{}{par}", world.emulator.ready().oci.endpoint).parse().unwrap();
    assert_eq!(url.key(), "a b/é+");
    let anybody = client(storescope::Config::default());
    let store = anybody.store(&url.with_key(""), StoreOptions::new()).unwrap();
    assert_eq!(read(&store, "a b/é+").await.unwrap(), bytes);
    let part = store.get("a b/é+", GetOptions::new().range(10..20)).await.unwrap();
    assert_eq!(part.bytes().await.unwrap(), bytes[10..20]);
    let other = store.head("other").await.unwrap_err();
    let token = par.split('/').nth(2).unwrap();
    assert!(!common::all_text(&other).contains(token), "{other}");
}

#[cfg(feature = "s3")]
mod s3_only {
    use super::*;
    use storescope::config::Secret;

    #[tokio::test]
    async fn a_bucket_in_another_region_is_named() {
        let emulator = Emulator::builder()
            .bucket(BUCKET)
            .s3_bucket_region(BUCKET, "eu-west-1")
            .start()
            .unwrap();
        let client = client(common::s3_config(&emulator));
        let store = store_at(&client, &format!("s3://{BUCKET}/"));
        for error in [
            store.get("k", GetOptions::new()).await.unwrap_err(),
            store.put("k", &b"x"[..], PutOptions::new()).await.unwrap_err(),
            store.list("", ListOptions::new()).next().await.unwrap().unwrap_err(),
        ] {
            assert!(error.to_string().contains("region=eu-west-1"), "{error}");
        }
    }

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

    #[tokio::test]
    async fn a_wrong_secret_and_no_credentials_are_told() {
        let emulator = emulator();
        let wrong = common::s3_config(&emulator).secret_access_key(Secret::from("wrong"));
        let store = store_at(&client(wrong), &format!("s3://{BUCKET}/"));
        for error in [
            store.get("k", GetOptions::new()).await.unwrap_err(),
            store.list("", ListOptions::new()).next().await.unwrap().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
            assert!(
                !common::all_text(&error)
                    .contains(&emulator.ready().s3.as_ref().unwrap().secret_access_key)
            );
        }
    }

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

    #[tokio::test]
    async fn one_signature_serves_many_ranged_reads() {
        let emulator = emulator();
        let client = client(common::s3_config(&emulator));
        let store = store_at(&client, &format!("s3://{BUCKET}/"));
        store.put("k", pattern(100_000), PutOptions::new()).await.unwrap();
        for n in 0..20_u64 {
            let got = store.get("k", GetOptions::new().range(n * 10..n * 10 + 10)).await.unwrap();
            assert_eq!(
                got.bytes().await.unwrap(),
                pattern(100_000)[n as usize * 10..n as usize * 10 + 10]
            );
        }
        let snapshot = client.metrics().snapshot();
        let signed: u64 = snapshot
            .iter()
            .filter(|(key, _)| key.to_string().starts_with("attempt/get/sign/"))
            .map(|(_, times)| times.count())
            .sum();
        assert_eq!(signed, 1);
    }
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
