// SPDX-License-Identifier: Apache-2.0
//! What the adapter promises beside what object_store's own functions judge.

use super::ScopedStore;
use super::object_store::path::Path;
use super::object_store::{
    Attribute, Attributes, Error, GetOptions, GetRange, MultipartUpload, ObjectStore,
    ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use crate::world::{Api, Key, World};
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use std::error::Error as _;
use std::time::Duration;
use storescope::ErrorKind;

const MIB: usize = 1 << 20;

/// Each promise by either API.
macro_rules! promises {
    ($($name:ident)+) => {
        mod oci {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                super::$name(World::new(Api::Oci)).await;
            })+
        }

        mod s3 {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                super::$name(World::new(Api::S3)).await;
            })+
        }
    };
}

promises! {
    names_that_path_cannot_hold_are_errors_that_name_them
    a_store_below_a_prefix_sees_nothing_else
    failures_keep_their_kind_and_their_source
    a_missing_bucket_is_not_a_missing_object
    conditions_are_judged
    ranges_begin_within_the_object
    near_ranges_are_one_request
    what_cannot_be_asked_is_not_implemented
    an_update_needs_what_it_replaces
    removals_are_told_in_their_order
    parts_of_any_size_are_in_the_order_of_their_hand_over
    a_part_that_nobody_waits_for_is_written_all_the_same
    an_upload_that_is_dropped_leaves_nothing
    an_upload_is_aborted_under_its_parts
    an_upload_that_failed_says_why_and_leaves_nothing
    texts_tell_the_bucket_and_no_secret
}

fn scoped(world: &World) -> ScopedStore {
    ScopedStore::new(world.store(Key::Right))
}

async fn put(store: &ScopedStore, path: &str, bytes: &'static [u8]) {
    store.put(&Path::from(path), PutPayload::from_static(bytes)).await.unwrap();
}

/// Our error beneath one of object_store's.
fn ours(error: &Error) -> &storescope::Error {
    let source = error.source().unwrap_or_else(|| panic!("no source: {error:?}"));
    source.downcast_ref().unwrap_or_else(|| panic!("not ours: {source:?}"))
}

async fn names_that_path_cannot_hold_are_errors_that_name_them(world: World) {
    let (plain, store) = (world.store(Key::Right), scoped(&world));
    let mut unfit = vec!["a//b", "folder/", "tab\there"];
    if world.api == Api::Oci {
        unfit.extend(["..", "a/./b", "/rooted"]);
    }
    for name in unfit.iter().chain(&["a/fits", "z"]) {
        plain.put(name, "bytes", storescope::PutOptions::new()).await.unwrap();
    }

    let listed: Vec<_> = store.list(None).collect().await;
    let (fit, errors): (Vec<_>, Vec<_>) = listed.into_iter().partition(Result::is_ok);
    let fit: Vec<_> = fit.into_iter().map(|meta| meta.unwrap().location.to_string()).collect();
    assert_eq!(fit, ["a/fits", "z"]);
    let told: Vec<_> = errors.into_iter().map(Result::unwrap_err).collect();
    assert_eq!(told.len(), unfit.len(), "{told:?}");
    for name in unfit {
        let names_it = |error: &Error| {
            matches!(error, Error::InvalidPath { .. }) && error.to_string().contains(name)
        };
        assert!(told.iter().any(names_it), "{name:?} in {told:?}");
    }

    let rolled = store.list_with_delimiter(Some(&Path::from("a"))).await.unwrap_err();
    assert!(rolled.to_string().contains("a//") || rolled.to_string().contains("a/./"), "{rolled}");
    let fine = store.list_with_delimiter(Some(&Path::from("z"))).await.unwrap();
    assert!(fine.objects.is_empty() && fine.common_prefixes.is_empty());
}

async fn a_store_below_a_prefix_sees_nothing_else(world: World) {
    let whole = scoped(&world);
    for name in ["p/one", "p/deep/two", "q/three"] {
        put(&whole, name, b"bytes").await;
    }
    let below = ScopedStore::new(world.below("p/", Key::Right));
    let names = |listed: Vec<super::object_store::ObjectMeta>| -> Vec<String> {
        listed.into_iter().map(|meta| meta.location.to_string()).collect()
    };
    assert_eq!(names(below.list(None).try_collect().await.unwrap()), ["deep/two", "one"]);
    let after = below.list_with_offset(None, &Path::from("deep/two"));
    assert_eq!(names(after.try_collect().await.unwrap()), ["one"]);
    let rolled = below.list_with_delimiter(None).await.unwrap();
    assert_eq!(rolled.common_prefixes, [Path::from("deep")]);
    assert_eq!(below.head(&Path::from("one")).await.unwrap().location, Path::from("one"));

    // The prefix itself, as consoles make folders, is not an object that a path names.
    let plain = world.store(Key::Right);
    plain.put("p/", "", storescope::PutOptions::new()).await.unwrap();
    let told: Vec<_> = below.list(None).filter_map(async |meta| meta.err()).collect().await;
    assert_eq!(told.len(), 1);
    assert!(told[0].to_string().contains("\"p/\""), "{}", told[0]);
}

async fn failures_keep_their_kind_and_their_source(world: World) {
    let (store, path) = (scoped(&world), Path::from("missing"));
    let missing = store.get(&path).await.unwrap_err();
    assert!(matches!(&missing, Error::NotFound { path, .. } if path == "missing"), "{missing}");
    assert_eq!(ours(&missing).kind(), ErrorKind::NotFound);
    assert_eq!(ours(&missing).attempts(), 1);
    let io = std::io::Error::from(missing);
    assert_eq!(io.kind(), std::io::ErrorKind::NotFound);

    put(&store, "there", b"bytes").await;
    let wrong = ScopedStore::new(world.store(Key::Wrong));
    let refused = wrong.get(&Path::from("there")).await.unwrap_err();
    match world.api {
        Api::Oci => assert!(matches!(refused, Error::Unauthenticated { .. }), "{refused}"),
        Api::S3 => assert!(
            matches!(refused, Error::Unauthenticated { .. } | Error::PermissionDenied { .. }),
            "{refused}"
        ),
    }
    assert_eq!(ours(&refused).status(), Some(world.refusal()));

    let mut listed = wrong.list(Some(&Path::from("folder")));
    let refused = listed.next().await.unwrap().unwrap_err();
    assert_eq!(ours(&refused).status(), Some(world.refusal()));
    assert!(listed.next().await.is_none());

    let exists = store.copy_if_not_exists(&Path::from("there"), &Path::from("there")).await;
    assert!(exists.is_err());
    put(&store, "too", b"bytes").await;
    let exists = store.rename_if_not_exists(&Path::from("there"), &Path::from("too")).await;
    assert!(matches!(exists, Err(Error::AlreadyExists { path, .. }) if path == "too"));
    assert!(store.head(&Path::from("there")).await.is_ok(), "a rename that failed moved nothing");
}

async fn a_missing_bucket_is_not_a_missing_object(world: World) {
    let store = world.store(Key::Right);
    let url = store.url().to_string().replacen("bucket", "no-such-bucket", 1);
    let client = world.client(Key::Right);
    let missing = client.store(&url.parse().unwrap(), storescope::StoreOptions::new()).unwrap();
    let (missing, key) = (ScopedStore::new(missing), Path::from("key"));
    for told in [
        missing.head(&key).await.unwrap_err(),
        missing.get(&key).await.unwrap_err(),
        missing.get_ranges(&key, &[0..1]).await.unwrap_err(),
        missing.list(None).try_collect::<Vec<_>>().await.unwrap_err(),
        missing.list_with_delimiter(None).await.unwrap_err(),
        missing.copy(&key, &Path::from("to")).await.unwrap_err(),
        missing.rename(&key, &Path::from("to")).await.unwrap_err(),
        missing.put(&key, "x".into()).await.unwrap_err(),
    ] {
        assert!(matches!(told, Error::Generic { store: "storescope", .. }), "{told}");
        assert_eq!(ours(&told).kind(), ErrorKind::BucketNotFound);
    }
}

async fn conditions_are_judged(world: World) {
    let (store, path) = (scoped(&world), Path::from("key"));
    put(&store, "key", b"bytes").await;
    let meta = store.head(&path).await.unwrap();
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let tag = meta.e_tag.clone().unwrap();
    assert_eq!(listed[0].e_tag.as_deref(), Some(&*tag), "a listing tells the tag as a read does");
    let hour = Duration::from_hours(1);
    let ask = |options: GetOptions| {
        let (store, path) = (store.clone(), path.clone());
        async move { store.get_opts(&path, options).await }
    };

    let several = format!("\"other\", {tag}");
    for passes in [
        GetOptions::new().with_if_match(Some(&*tag)),
        GetOptions::new().with_if_match(Some("*")),
        GetOptions::new().with_if_match(Some(&*several)),
        GetOptions::new().with_if_none_match(Some("\"other\"")),
        GetOptions::new()
            .with_if_match(Some(&*tag))
            .with_if_unmodified_since(Some(meta.last_modified - hour)),
        GetOptions::new().with_if_modified_since(Some(meta.last_modified - hour)),
        GetOptions::new().with_if_match(Some(&*tag)).with_head(true),
    ] {
        ask(passes.clone()).await.unwrap_or_else(|error| panic!("{passes:?}: {error}"));
    }
    for (fails, modified) in [
        (GetOptions::new().with_if_match(Some("\"other\"")), true),
        (GetOptions::new().with_if_match(Some("\"other\", \"third\"")), true),
        (GetOptions::new().with_if_match(Some("\"other\"")).with_head(true), true),
        (GetOptions::new().with_if_unmodified_since(Some(meta.last_modified - hour)), true),
        (GetOptions::new().with_if_none_match(Some("*")), false),
        (GetOptions::new().with_if_none_match(Some(&*several)), false),
        (GetOptions::new().with_if_none_match(Some(&*tag)).with_head(true), false),
        (GetOptions::new().with_if_modified_since(Some(meta.last_modified)), false),
    ] {
        let told = ask(fails.clone()).await.unwrap_err();
        match told {
            Error::Precondition { .. } if modified => {}
            Error::NotModified { .. } if !modified => {}
            other => panic!("{fails:?}: {other}"),
        }
    }
}

async fn ranges_begin_within_the_object(world: World) {
    let store = scoped(&world);
    put(&store, "full", b"0123456789").await;
    put(&store, "empty", b"").await;
    let ask = |path: &str, range: GetRange| {
        let (store, path) = (store.clone(), Path::from(path));
        let options = GetOptions { range: Some(range), ..GetOptions::new() };
        async move { store.get_opts(&path, options).await?.bytes().await }
    };
    assert_eq!(ask("full", GetRange::Bounded(8..20)).await.unwrap(), "89");
    assert_eq!(ask("full", GetRange::Suffix(3)).await.unwrap(), "789");
    assert_eq!(ask("full", GetRange::Suffix(30)).await.unwrap(), "0123456789");
    assert_eq!(ask("full", GetRange::Offset(9)).await.unwrap(), "9");
    assert_eq!(ask("empty", GetRange::Suffix(3)).await.unwrap(), "");
    for (path, range) in [
        ("full", GetRange::Bounded(10..11)),
        ("full", GetRange::Bounded(4..4)),
        ("full", GetRange::Offset(10)),
        ("empty", GetRange::Bounded(0..1)),
        ("empty", GetRange::Offset(0)),
    ] {
        let told = ask(path, range.clone()).await.unwrap_err();
        assert!(matches!(told, Error::Generic { .. }), "{path} {range:?}: {told}");
    }
}

async fn near_ranges_are_one_request(world: World) {
    let (store, path) = (scoped(&world), Path::from("key"));
    let bytes: Vec<u8> = (0..4 * MIB).map(|at| (at / 4096) as u8).collect();
    store.put(&path, bytes.clone().into()).await.unwrap();
    world.take_record();
    let at = |kib: u64| kib * 1024..(kib + 64) * 1024;
    // In no order, one twice; holes of 16 and 880 KiB, and one of more than 1 MiB.
    let ranges = [at(3072), at(0), at(80), at(0), at(1024)];
    let got = store.get_ranges(&path, &ranges).await.unwrap();
    for (range, got) in ranges.iter().zip(&got) {
        let range = range.start as usize..range.end as usize;
        assert!(*got == bytes[range.clone()], "{range:?}");
    }
    let mut asked: Vec<_> = world.take_record().into_iter().filter_map(|line| line.range).collect();
    asked.sort();
    assert_eq!(asked, ["bytes=0-1114111", "bytes=3145728-3211263"]);
    assert!(store.get_ranges(&path, &[]).await.unwrap().is_empty());
    assert!(store.get_ranges(&path, &[at(0), at(5 * 1024)]).await.is_err());
}

async fn what_cannot_be_asked_is_not_implemented(world: World) {
    let (store, path) = (scoped(&world), Path::from("key"));
    let version = store.get_opts(&path, GetOptions::new().with_version(Some("1"))).await;
    assert!(matches!(version, Err(Error::NotImplemented { .. })));
    let attributes = Attributes::from_iter([(Attribute::StorageClass, "cold")]);
    let put = store.put_opts(&path, "bytes".into(), attributes.clone().into()).await.unwrap_err();
    assert!(put.to_string().contains("StorageClass"), "{put}");
    let upload = store.put_multipart_opts(&path, attributes.into()).await.unwrap_err();
    assert!(matches!(upload, Error::NotImplemented { .. }), "{upload}");
    assert!(world.take_record().is_empty(), "nothing was sent");
}

async fn an_update_needs_what_it_replaces(world: World) {
    let (store, path) = (scoped(&world), Path::from("key"));
    let update = |e_tag| PutOptions::from(PutMode::Update(UpdateVersion { e_tag, version: None }));
    let untagged = store.put_opts(&path, "bytes".into(), update(None)).await.unwrap_err();
    assert!(matches!(untagged, Error::Generic { .. }), "{untagged}");
    let gone = store.put_opts(&path, "bytes".into(), update(Some("\"tag\"".into()))).await;
    assert!(matches!(gone, Err(Error::Precondition { .. })), "{gone:?}");
}

async fn removals_are_told_in_their_order(world: World) {
    let store = scoped(&world);
    put(&store, "one", b"bytes").await;
    put(&store, "two", b"bytes").await;
    let unlisted = || Err(Error::NotSupported { source: "a listing's error".into() });
    let names = vec![
        unlisted(),
        Ok(Path::from("two")),
        unlisted(),
        Ok(Path::from("missing")),
        Ok(Path::from("one")),
        unlisted(),
    ];
    world.take_record();
    let told: Vec<_> = store.delete_stream(stream::iter(names).boxed()).collect().await;
    assert_eq!(told.len(), 6);
    for error in [0, 2, 5] {
        assert!(matches!(told[error], Err(Error::NotSupported { .. })), "{told:?}");
    }
    assert_eq!(told[1].as_ref().unwrap(), &Path::from("two"));
    assert_eq!(told[4].as_ref().unwrap(), &Path::from("one"));
    match (world.api, &told[3]) {
        (Api::Oci, Err(Error::NotFound { path, .. })) => assert_eq!(path, "missing"),
        (Api::S3, Ok(path)) => assert_eq!(path, &Path::from("missing")),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.take_record().len(), 1, "one batch");
    assert_eq!(store.list(None).count().await, 0);
}

async fn begun(store: &ScopedStore, path: &Path) -> Box<dyn MultipartUpload> {
    store.put_multipart(path).await.unwrap()
}

async fn parts_of_any_size_are_in_the_order_of_their_hand_over(world: World) {
    let (store, path) = (scoped(&world), Path::from("key"));
    let sizes = [1, 7 * MIB, 3, 0, 12 * MIB, 9 * MIB + 1, 100];
    let parts = sizes.iter().enumerate().map(|(n, size)| vec![b'a' + n as u8; *size]);
    let parts: Vec<Vec<u8>> = parts.collect();
    let mut upload = begun(&store, &path).await;
    let mut futures: Vec<_> =
        parts.iter().map(|part| upload.put_part(part.clone().into())).collect();
    futures.reverse();
    for future in futures.drain(..2) {
        future.await.unwrap();
    }
    join_all(futures).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let written = upload.complete().await.unwrap();
    let read = store.get(&path).await.unwrap();
    assert_eq!(read.meta.e_tag, written.e_tag);
    assert!(read.bytes().await.unwrap() == parts.concat());
    let late = upload.put_part("late".into()).await.unwrap_err();
    assert!(late.to_string().contains("completed or aborted"), "{late}");
}

async fn a_part_that_nobody_waits_for_is_written_all_the_same(world: World) {
    let (store, path) = (scoped(&world), Path::from("key"));
    let parts: Vec<Bytes> = (0..4).map(|n| vec![n; 18 * MIB].into()).collect();
    let mut upload = begun(&store, &path).await;
    // Polled once and dropped; never polled; polled to the end.
    assert!(upload.put_part(parts[0].clone().into()).now_or_never().is_none());
    drop(upload.put_part(parts[1].clone().into()));
    let third = upload.put_part(parts[2].clone().into());
    let mut held = upload.put_part(parts[3].clone().into());
    assert!((&mut held).now_or_never().is_none());
    third.await.unwrap();
    upload.complete().await.unwrap();
    held.await.unwrap();
    assert!(store.get(&path).await.unwrap().bytes().await.unwrap() == parts.concat());
}

async fn no_upload_is_left(world: &World) {
    let store = world.store(Key::Right);
    for _ in 0..100 {
        let left: Vec<_> = store.uploads("").try_collect().await.unwrap();
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("an upload was left");
}

async fn some_upload_is_there(world: &World) {
    let left: Vec<_> = world.store(Key::Right).uploads("").try_collect().await.unwrap();
    assert_eq!(left.len(), 1);
}

async fn an_upload_that_is_dropped_leaves_nothing(world: World) {
    let (store, path) = (scoped(&world), Path::from("key"));
    let mut upload = begun(&store, &path).await;
    upload.put_part(vec![1; 40 * MIB].into()).await.unwrap();
    some_upload_is_there(&world).await;
    let pending = upload.put_part(vec![1; 40 * MIB].into());
    drop(upload);
    drop(pending);
    no_upload_is_left(&world).await;
    assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })));
}

async fn an_upload_is_aborted_under_its_parts(world: World) {
    let (store, path) = (scoped(&world), Path::from("key"));
    let mut upload = begun(&store, &path).await;
    upload.put_part(vec![1; 40 * MIB].into()).await.unwrap();
    // Polled once, and held: it holds nothing up.
    let mut held = upload.put_part(vec![2; 400 * MIB].into());
    assert!((&mut held).now_or_never().is_none());
    tokio::time::timeout(Duration::from_secs(20), upload.abort()).await.unwrap().unwrap();
    assert!(held.await.is_err());
    no_upload_is_left(&world).await;
    assert!(upload.complete().await.is_err());
    assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })));
}

async fn an_upload_that_failed_says_why_and_leaves_nothing(world: World) {
    let path = Path::from("key");
    let mut upload = begun(&ScopedStore::new(world.store(Key::Wrong)), &path).await;
    let parts: Vec<_> = (0..3).map(|_| upload.put_part(vec![1; 20 * MIB].into())).collect();
    let told = join_all(parts).await;
    assert!(told.iter().any(Result::is_err));
    let failed = upload.complete().await.unwrap_err();
    assert_eq!(ours(&failed).status(), Some(world.refusal()), "{failed}");
    upload.abort().await.unwrap();
    no_upload_is_left(&world).await;
}

async fn texts_tell_the_bucket_and_no_secret(world: World) {
    let store = scoped(&world);
    let url = match world.api {
        Api::Oci => "oci://bucket@emulator/",
        Api::S3 => "s3://bucket/",
    };
    assert_eq!(store.to_string(), format!("storescope({url})"));
    assert_eq!(format!("{store:?}"), format!("ScopedStore({url})"));
}
