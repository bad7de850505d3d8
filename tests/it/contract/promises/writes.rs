// SPDX-License-Identifier: Apache-2.0
//! Writes by parts, copies, renames, removals of many.

use super::{Dialect, Fixture, keys, put, whole};
use crate::common::pattern;
use futures_util::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::time::Duration;
use storescope::{
    CopyOptions, Error, ErrorKind, ListOptions, Payload, PutMode, PutOptions, RenameOptions, Store,
    StoreOptions, StoreUrl, Writer,
};

/// The least that a part of a write may be, on S3 and in object_store.
const PART: usize = 5 << 20;

/// A writer whose parts are as small as they may be.
fn writer(on: &Fixture, key: &str, options: PutOptions) -> (Store, Writer) {
    let store = match &on.handed {
        Some(store) => store.clone(),
        None => {
            let options = StoreOptions::new().set("part_size", PART.to_string());
            on.client.store(&on.url, options).unwrap()
        }
    };
    let writer = store.writer(key, options);
    (store, writer)
}

async fn no_uploads(store: &Store) -> bool {
    store.uploads("").try_collect::<Vec<_>>().await.unwrap().is_empty()
}

pub(crate) async fn pieces_are_one_object(on: Fixture) {
    let store = on.store();
    let bytes = pattern(100_000);
    let pieces: Payload = bytes.chunks(7_001).map(bytes::Bytes::copy_from_slice).collect();
    let put = store.put("k", pieces, PutOptions::new()).await.unwrap();
    assert_eq!(put.size, 100_000);
    assert_eq!(whole(&store, "k").await.unwrap(), bytes);
    store.put("none", std::iter::empty().collect::<Payload>(), PutOptions::new()).await.unwrap();
    assert_eq!(store.head("none").await.unwrap().size, 0);
}

pub(crate) async fn a_write_by_parts_is_one_object(on: Fixture) {
    let bytes = pattern(2 * PART + 12_345);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = std::sync::Arc::clone(&seen);
    let options = PutOptions::new()
        .content_type("application/x-root")
        .metadata("run", "42")
        .progress(move |bytes| told.lock().unwrap().push(bytes));
    let options = if on.dialect == Dialect::Wrapped { PutOptions::new() } else { options };
    let (store, mut writer) = writer(&on, "dir/big", options);
    for chunk in bytes.chunks(1_000_003) {
        writer.write(bytes::Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    for byte in [b"a", b"b"] {
        writer.write(&byte[..]).await.unwrap();
    }
    let written = [&bytes[..], b"ab"].concat();
    assert_eq!(writer.written(), written.len() as u64);
    let before = store.head("dir/big").await.unwrap_err();
    assert!(before.is_not_found(), "nobody sees it before it is finished");
    let put = writer.finish().await.unwrap();
    assert_eq!((put.key.as_str(), put.size), ("dir/big", written.len() as u64));
    let head = store.head("dir/big").await.unwrap();
    assert_eq!((head.size, &head.etag), (put.size, &put.etag));
    assert!(whole(&store, "dir/big").await.unwrap() == written);
    if on.dialect != Dialect::Wrapped {
        assert_eq!(head.checksum, put.checksum);
        let crc = crc32c::crc32c(&written);
        assert_eq!(head.checksum, Some(storescope::Checksum::Crc32c(crc)));
        assert_eq!(head.content_type.as_deref(), Some("application/x-root"));
        assert_eq!(head.metadata["run"], "42");
        assert_eq!(*seen.lock().unwrap().last().unwrap(), put.size);
        assert!(no_uploads(&store).await);
    }
}

pub(crate) async fn a_small_write_goes_by_one_request(on: Fixture) {
    let (store, mut writer) = writer(&on, "small", PutOptions::new());
    let before = (on.requests)();
    for _ in 0..1000 {
        writer.write(&b"0123456789"[..]).await.unwrap();
    }
    writer.finish().await.unwrap();
    assert_eq!((on.requests)() - before, 1);
    assert_eq!(whole(&store, "small").await.unwrap(), b"0123456789".repeat(1000));
}

pub(crate) async fn a_write_by_parts_may_be_conditional(on: Fixture) {
    let bytes = pattern(PART + 1);
    let create = || PutOptions::new().mode(PutMode::Create);
    let (store, mut first) = writer(&on, "k", create());
    first.write(bytes.clone()).await.unwrap();
    let (_, mut second) = writer(&on, "k", create());
    let second_began = second.write(pattern(PART + 2)).await;
    let made = first.finish().await.unwrap();
    let refused = match second_began {
        Ok(()) => second.finish().await.unwrap_err(),
        Err(refused) => refused,
    };
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists, "{refused}");
    assert!(whole(&store, "k").await.unwrap() == bytes);
    let update = PutOptions::new().mode(PutMode::Update(made.etag.clone().unwrap()));
    let (_, mut third) = writer(&on, "k", update.clone());
    third.write(pattern(PART + 3)).await.unwrap();
    third.finish().await.unwrap();
    assert_eq!(store.head("k").await.unwrap().size, PART as u64 + 3);
    let (_, mut fourth) = writer(&on, "k", update);
    let refused = match fourth.write(pattern(PART + 4)).await {
        Ok(()) => fourth.finish().await.unwrap_err(),
        Err(refused) => refused,
    };
    assert_eq!(refused.kind(), ErrorKind::Precondition, "{refused}");
    assert!(no_uploads(&store).await);
}

pub(crate) async fn a_writer_that_is_dropped_leaves_nothing(on: Fixture) {
    let (store, mut dropped) = writer(&on, "k", PutOptions::new());
    dropped.write(pattern(3 * PART)).await.unwrap();
    drop(dropped);
    let client = on.client.clone();
    crate::common::until("the abort has ended", move || client.metrics().calls_in_flight() == 0)
        .await;
    assert!(no_uploads(&store).await);
    let (_, mut aborted) = writer(&on, "k", PutOptions::new());
    aborted.write(pattern(2 * PART)).await.unwrap();
    aborted.abort().await.unwrap();
    assert!(no_uploads(&store).await);
    assert_eq!(whole(&store, "k").await, Err(ErrorKind::NotFound));
    // One that ended well leaves nothing either, and a shutdown waits for what is being cleared away.
    let (_, mut last) = writer(&on, "k", PutOptions::new());
    last.write(pattern(2 * PART)).await.unwrap();
    drop(last);
    on.client.shutdown(Duration::from_secs(10)).await.unwrap();
}

pub(crate) async fn a_source_that_fails_writes_nothing(on: Fixture) {
    let store = on.store();
    put(&store, "k", b"before").await;
    let (store, _) = writer(&on, "k", PutOptions::new());
    let pieces = vec![
        Ok(bytes::Bytes::from(pattern(PART + 1))),
        Err(std::io::Error::other("the disk is gone")),
    ];
    let source = futures_util::stream::iter(pieces);
    let error = store.put_stream("k", source, PutOptions::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert_eq!(whole(&store, "k").await.unwrap(), b"before");
    assert!(on.dialect == Dialect::Wrapped || no_uploads(&store).await);
}

pub(crate) async fn a_source_of_another_size_writes_nothing(on: Fixture) {
    for (said, came) in [(10, 20), (30, 20), (PART + 10, PART + 20), (PART + 30, PART + 20)] {
        let (store, mut writer) = writer(&on, "k", PutOptions::new().size(said as u64));
        let error = match writer.write(pattern(came)).await {
            Ok(()) => writer.finish().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Source, "{error}");
        assert_eq!(whole(&store, "k").await, Err(ErrorKind::NotFound));
        assert!(on.dialect == Dialect::Wrapped || no_uploads(&store).await);
    }
}

pub(crate) async fn a_file_goes_up(on: Fixture) {
    let (store, _) = writer(&on, "k", PutOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let bytes = pattern(PART + 77);
    let path = folder.path().join("data");
    std::fs::write(&path, &bytes).unwrap();
    let put = store.put_file("k", &path, PutOptions::new()).await.unwrap();
    assert_eq!(put.size, bytes.len() as u64);
    assert!(whole(&store, "k").await.unwrap() == bytes);
    let missing = store.put_file("k", folder.path().join("none"), PutOptions::new()).await;
    let missing = missing.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Source);
    assert!(missing.to_string().contains("none"), "{missing}");
    // A file that another cuts short while it goes up.
    let cut = path.clone();
    let shrink = PutOptions::new().progress(move |_| {
        std::fs::OpenOptions::new().write(true).open(&cut).unwrap().set_len(1_000).unwrap();
    });
    let long = pattern(12 * PART);
    std::fs::write(&path, &long).unwrap();
    let error = store.put_file("shrinks", &path, shrink).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    assert_eq!(whole(&store, "shrinks").await, Err(ErrorKind::NotFound));
    // One that another writes anew, of the same size: what was there stays.
    std::fs::write(&path, &long).unwrap();
    store.put("stays", "old", PutOptions::new()).await.unwrap();
    let rewritten = path.clone();
    let rewrite = PutOptions::new().progress(move |_| {
        let file = std::fs::OpenOptions::new().write(true).open(&rewritten).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"torn", 11 * PART as u64).unwrap();
    });
    let error = store.put_file("stays", &path, rewrite).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    assert!(error.to_string().contains("changed while it was read"), "{error}");
    assert_eq!(whole(&store, "stays").await.unwrap(), b"old");
    assert!(on.dialect == Dialect::Wrapped || no_uploads(&store).await);
}

pub(crate) async fn uploads_that_were_left_are_found_and_aborted(on: Fixture) {
    let (store, mut left) = writer(&on, "a/left é+", PutOptions::new());
    left.write(pattern(PART + 1)).await.unwrap();
    // As a process that was killed leaves it.
    std::mem::forget(left);
    let uploads: Vec<_> = store.uploads("").try_collect().await.unwrap();
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0].key, "a/left é+");
    assert!(uploads[0].begun.is_some());
    let below: Vec<_> = on.below("a/").uploads("left").try_collect().await.unwrap();
    assert_eq!(below[0].key, "left é+");
    assert!(store.uploads("b").next().await.is_none());
    on.below("a/").abort_upload(&below[0]).await.unwrap();
    assert!(no_uploads(&store).await);
    let again = store.abort_upload(&uploads[0]).await.unwrap_err();
    assert!(again.is_not_found(), "{again}");
}

pub(crate) async fn a_rename_moves_what_was_there(on: Fixture) {
    let store = on.store();
    let options = PutOptions::new().content_type("text/plain").metadata("a", "b");
    let options = if on.dialect == Dialect::Wrapped { PutOptions::new() } else { options };
    store.put("from", &b"bytes"[..], options).await.unwrap();
    let moved = store.rename("from", "to/é+ x", RenameOptions::new()).await.unwrap();
    assert_eq!((moved.key.as_str(), moved.size), ("to/é+ x", 5));
    let head = store.head("to/é+ x").await.unwrap();
    assert_eq!(head.etag, moved.etag);
    if on.dialect != Dialect::Wrapped {
        assert_eq!(head.content_type.as_deref(), Some("text/plain"));
        assert_eq!(head.metadata["a"], "b");
    }
    assert_eq!(whole(&store, "from").await, Err(ErrorKind::NotFound));
    let gone = store.rename("from", "other", RenameOptions::new()).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
    let same = store.rename("x", "x", RenameOptions::new()).await.unwrap_err();
    assert_eq!(same.kind(), ErrorKind::InvalidInput);
    put(&store, "from", b"second").await;
    let create = RenameOptions::new().mode(PutMode::Create);
    let there = store.rename("from", "to/é+ x", create.clone()).await.unwrap_err();
    assert_eq!(there.kind(), ErrorKind::AlreadyExists, "{there}");
    assert_eq!(whole(&store, "from").await.unwrap(), b"second");
    store.rename("from", "free", create.clone()).await.unwrap();
    let known = store.head("free").await.unwrap();
    if on.dialect != Dialect::Wrapped {
        put(&store, "free", b"third").await;
        for options in [RenameOptions::new(), create] {
            let stale = store.rename("free", "x", options.source(known.clone())).await.unwrap_err();
            assert_eq!(
                stale.kind(),
                ErrorKind::Precondition,
                "the source is another by now, and the target is free: {stale}"
            );
        }
    }
    let before = (on.requests)();
    let known = store.head("free").await.unwrap();
    store.rename("free", "last", RenameOptions::new().source(known)).await.unwrap();
    if on.dialect == Dialect::Oci {
        assert_eq!((on.requests)() - before, 2, "a source that is known is not asked for");
    }
}

pub(crate) async fn a_copy_is_what_its_source_is(on: Fixture) {
    let store = on.store();
    let options = PutOptions::new().content_type("text/plain").metadata("a", "b");
    let options = if on.dialect == Dialect::Wrapped { PutOptions::new() } else { options };
    store.put("from é", &b"bytes"[..], options).await.unwrap();
    let copied = store.copy("from é", (&store, "a/copy+"), CopyOptions::new()).await.unwrap();
    assert_eq!((copied.key.as_str(), copied.size), ("a/copy+", 5));
    let head = store.head("a/copy+").await.unwrap();
    assert_eq!(head.etag, copied.etag);
    if on.dialect != Dialect::Wrapped {
        assert_eq!(head.content_type.as_deref(), Some("text/plain"));
        assert_eq!(head.metadata["a"], "b");
    }
    for key in ["from é", "a/copy+"] {
        assert_eq!(whole(&store, key).await.unwrap(), b"bytes");
    }
    let create = CopyOptions::new().mode(PutMode::Create);
    let there = store.copy("from é", (&store, "a/copy+"), create).await.unwrap_err();
    assert_eq!(there.kind(), ErrorKind::AlreadyExists, "{there}");
    let gone = store.copy("none", (&store, "x"), CopyOptions::new()).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
}

pub(crate) async fn a_copy_reaches_another_bucket(on: Fixture) {
    let url = on.url.to_string().replacen(on.url.bucket().unwrap(), "other-bucket", 1);
    let url: StoreUrl = url.parse().unwrap();
    on.client.create_bucket(&url, StoreOptions::new()).await.unwrap();
    let other = on.client.store(&url.with_key("below/"), StoreOptions::new()).unwrap();
    let store = on.store();
    let bytes = pattern(100_000);
    put(&store, "k", &bytes).await;
    let got = (on.requests)();
    let copied = store.copy("k", (&other, "k"), CopyOptions::new()).await.unwrap();
    assert_eq!((copied.key.as_str(), copied.size), ("k", 100_000));
    assert!((on.requests)() - got <= 4, "the bytes stay inside the service");
    assert_eq!(whole(&other, "k").await.unwrap(), bytes);
    let missing = on.missing();
    let nowhere = store.copy("k", (&missing, "k"), CopyOptions::new()).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::BucketNotFound, "{nowhere}");
}

pub(crate) async fn many_are_removed_at_once(on: Fixture) {
    let store = on.below("dir/");
    let names: Vec<String> = (0..1203).map(|n| format!("é {n:04}+")).collect();
    let put_all = futures_util::stream::iter(names.clone())
        .map(|name| {
            let store = store.clone();
            async move { put(&store, &name, b"x").await }
        })
        .buffer_unordered(16);
    put_all.collect::<Vec<_>>().await;
    put(&on.store(), "stays", b"x").await;
    let mut asked = names.clone();
    asked.insert(7, "never there".to_owned());
    let before = (on.requests)();
    let stream = futures_util::stream::iter(asked.clone()).boxed();
    let results: Vec<_> = store.delete_many(stream).collect().await;
    let told: Vec<&String> = results.iter().map(|(key, _)| key).collect();
    assert_eq!(told, asked.iter().collect::<Vec<_>>(), "one result a key, in their order");
    for (key, result) in &results {
        let missing = key == "never there" && on.dialect == Dialect::Oci;
        assert_eq!(result.as_ref().err().map(Error::kind), missing.then_some(ErrorKind::NotFound));
    }
    assert_eq!((on.requests)() - before, 2, "1,204 names by batches of 1,000");
    assert_eq!(keys(&on.store(), "", ListOptions::new()).await, ["stays"]);
    let none = store.delete_many(futures_util::stream::empty().boxed());
    assert!(none.collect::<Vec<_>>().await.is_empty());
}

pub(crate) async fn what_readers_are_told_comes_back(on: Fixture) {
    let options = || {
        PutOptions::new()
            .content_type("text/csv")
            .content_encoding("br")
            .content_language("de")
            .content_disposition("attachment; filename=x")
            .cache_control("no-store")
            .metadata("k", "v")
    };
    let (store, mut by_parts) = writer(&on, "parts", options());
    by_parts.write(pattern(PART + 1)).await.unwrap();
    by_parts.finish().await.unwrap();
    store.put("one", &b"x"[..], options()).await.unwrap();
    for key in ["one", "parts"] {
        let meta = store.head(key).await.unwrap();
        let told = (
            meta.content_type.as_deref(),
            meta.content_encoding.as_deref(),
            meta.content_language.as_deref(),
            meta.content_disposition.as_deref(),
            meta.cache_control.as_deref(),
        );
        let wanted = (
            Some("text/csv"),
            Some("br"),
            Some("de"),
            Some("attachment; filename=x"),
            Some("no-store"),
        );
        assert_eq!(told, wanted, "{key}");
        assert_eq!(meta.metadata, BTreeMap::from([("k".to_owned(), "v".to_owned())]), "{key}");
        let again = PutOptions::new().like(&meta);
        store.put("again", &b"y"[..], again).await.unwrap();
        assert_eq!(store.head("again").await.unwrap().content_language.as_deref(), Some("de"));
    }
}
