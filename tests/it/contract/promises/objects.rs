// SPDX-License-Identifier: Apache-2.0
//! Objects: reads, writes by one request, removals, names; and buckets.

use super::{Dialect, Fixture, keys, put, read, whole};
use crate::common::pattern;
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};
use storescope::{
    ChecksumMode, CopyOptions, DeleteOptions, Error, ErrorKind, GetOptions, GetRange, ListEntry,
    ListOptions, PutMode, PutOptions, ReadOptions, RenameOptions, StoreOptions, StoreUrl,
};

pub(crate) async fn an_object_comes_back_with_what_was_told_of_it(on: Fixture) {
    let store = on.store();
    let bytes = pattern(100_000);
    let options = PutOptions::new()
        .content_type("application/x-root")
        .metadata("run", "42")
        .metadata("Detector", "tracker a/b");
    let before = SystemTime::now();
    let put = store.put("dir/events.root", bytes.clone(), options).await.unwrap();
    assert_eq!((put.key.as_str(), put.size), ("dir/events.root", 100_000));

    let head = store.head("dir/events.root").await.unwrap();
    let got = store.get("dir/events.root", GetOptions::new()).await.unwrap();
    assert_eq!(got.range(), 0..100_000);
    for meta in [&head, got.meta()] {
        assert_eq!((meta.key.as_str(), meta.size), ("dir/events.root", 100_000));
        assert!(meta.etag.is_some() && meta.etag == put.etag, "{meta:?}");
        assert_eq!(meta.content_type.as_deref(), Some("application/x-root"));
        assert_eq!(meta.content_encoding, None);
        let told = BTreeMap::from([("run", "42"), ("detector", "tracker a/b")]);
        let told = told.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(meta.metadata, told.collect());
        // Whole seconds, on the server's clock, which is this machine's.
        let modified = meta.last_modified.unwrap();
        assert!(modified + Duration::from_secs(1) >= before, "{modified:?} {before:?}");
        assert!(modified <= SystemTime::now());
    }
    assert_eq!(got.bytes().await.unwrap(), bytes);

    let listed: Vec<ListEntry> = store.list("", ListOptions::new()).try_collect().await.unwrap();
    let [ListEntry::Object(listed)] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((listed.key.as_str(), listed.size), ("dir/events.root", 100_000));
    assert_eq!(listed.etag, put.etag);

    let plain = store.put("plain", &b"x"[..], PutOptions::new()).await.unwrap();
    assert_ne!(plain.etag, put.etag);
    let plain = store.head("plain").await.unwrap();
    assert_eq!(plain.content_type.as_deref(), Some("application/octet-stream"));
    assert!(plain.metadata.is_empty());
}

pub(crate) async fn an_empty_object_reads_as_empty(on: Fixture) {
    let store = on.store();
    put(&store, "empty", b"").await;
    assert_eq!(store.head("empty").await.unwrap().size, 0);
    for options in [
        GetOptions::new(),
        GetOptions::new().range(0..10),
        GetOptions::new().range(0..),
        GetOptions::new().range(GetRange::Last(5)),
    ] {
        let got = store.get("empty", options.clone()).await.unwrap();
        assert_eq!((got.meta().size, got.range()), (0, 0..0), "{options:?}");
        assert!(got.bytes().await.unwrap().is_empty(), "{options:?}");
        let mut stream = store.get("empty", options).await.unwrap().into_stream();
        assert!(stream.next().await.is_none());
    }
    assert_eq!(
        read(&store, "empty", GetOptions::new().range(1..10)).await,
        Err(ErrorKind::InvalidRange)
    );
}

pub(crate) async fn ranges_are_exact(on: Fixture) {
    let store = on.store();
    let bytes = pattern(10_000);
    put(&store, "k", &bytes).await;
    let bounded = |from, to| GetRange::Bounded(from..to);
    for (range, from, to) in [
        (bounded(0, 1), 0, 1),
        (bounded(0, 4096), 0, 4096),
        (bounded(4096, 8192), 4096, 8192),
        (bounded(9_999, 10_000), 9_999, 10_000),
        (bounded(0, 10_000), 0, 10_000),
        (bounded(9_000, 20_000), 9_000, 10_000),
        (bounded(0, u64::MAX), 0, 10_000),
        (GetRange::From(0), 0, 10_000),
        (GetRange::From(9_990), 9_990, 10_000),
        (GetRange::Last(1), 9_999, 10_000),
        (GetRange::Last(10_000), 0, 10_000),
        (GetRange::Last(50_000), 0, 10_000),
    ] {
        let got = store.get("k", GetOptions::new().range(range.clone())).await.unwrap();
        assert_eq!((got.range(), got.meta().size), (from..to, 10_000), "{range:?}");
        let read = got.bytes().await.unwrap();
        assert_eq!(read, bytes[from as usize..to as usize], "{range:?}");
    }
}

pub(crate) async fn a_range_past_the_end_is_invalid(on: Fixture) {
    let store = on.store();
    put(&store, "k", &pattern(100)).await;
    for range in [GetRange::Bounded(100..101), GetRange::Bounded(5_000..6_000), GetRange::From(100)]
    {
        let error = store.get("k", GetOptions::new().range(range.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRange, "{range:?}");
        assert_eq!(error.status(), (on.dialect != Dialect::Wrapped).then_some(416), "{range:?}");
    }
    let missing = store.get("absent", GetOptions::new().range(0..1)).await.unwrap_err();
    assert!(missing.is_not_found());
}

#[expect(clippy::reversed_empty_ranges, reason = "what is tested")]
pub(crate) async fn a_range_of_nothing_asks_for_nothing(on: Fixture) {
    let store = on.store();
    put(&store, "k", &pattern(100)).await;
    let before = (on.requests)();
    for range in [GetRange::Bounded(5..5), GetRange::Bounded(9..3), GetRange::Last(0)] {
        let read = read(&store, "k", GetOptions::new().range(range.clone())).await;
        assert_eq!(read, Err(ErrorKind::InvalidInput), "{range:?}");
    }
    assert_eq!((on.requests)(), before);
}

pub(crate) async fn a_read_may_ask_for_an_etag(on: Fixture) {
    let store = on.store();
    let first = put(&store, "k", b"one").await;
    let asked = |etag: &str| GetOptions::new().if_match(etag);
    assert_eq!(read(&store, "k", asked(&first)).await.unwrap(), b"one");
    let second = put(&store, "k", b"two").await;
    assert_ne!(first, second);
    for options in [asked(&first), asked(&first).range(0..2)] {
        assert_eq!(read(&store, "k", options).await, Err(ErrorKind::Precondition));
    }
    assert_eq!(read(&store, "k", asked(&second)).await.unwrap(), b"two");
}

pub(crate) async fn create_writes_once(on: Fixture) {
    let store = on.store();
    let create = || PutOptions::new().mode(PutMode::Create);
    store.put("k", &b"one"[..], create()).await.unwrap();
    let error = store.put("k", &b"two"[..], create()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.is_precondition());
    assert_eq!(whole(&store, "k").await.unwrap(), b"one");
    store.put("k", &b"three"[..], PutOptions::new().mode(PutMode::Overwrite)).await.unwrap();
    assert_eq!(whole(&store, "k").await.unwrap(), b"three");
}

pub(crate) async fn update_replaces_what_it_names(on: Fixture) {
    let store = on.store();
    let update = |etag: &str| PutOptions::new().mode(PutMode::Update(etag.to_owned()));
    let first = put(&store, "k", b"one").await;
    let second = store.put("k", &b"two"[..], update(&first)).await.unwrap().etag.unwrap();
    let error = store.put("k", &b"three"[..], update(&first)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert!(error.is_precondition());
    assert_eq!(whole(&store, "k").await.unwrap(), b"two");
    store.put("k", &b"four"[..], update(&second)).await.unwrap();
    let absent = store.put("absent", &b"x"[..], update(&second)).await.unwrap_err();
    assert!(absent.is_precondition() || absent.is_not_found(), "{absent}");
    assert_eq!(whole(&store, "absent").await, Err(ErrorKind::NotFound));
}

pub(crate) async fn of_many_creators_one_succeeds(on: Fixture) {
    let store = on.store();
    let created =
        join_all(
            (0..8_u8).map(|n| {
                let store = store.clone();
                async move {
                    store.put("lock", vec![n; 10], PutOptions::new().mode(PutMode::Create)).await
                }
            }),
        );
    let created = created.await;
    let winner = created.iter().position(Result::is_ok).expect("one succeeds");
    for (n, outcome) in created.iter().enumerate().filter(|(n, _)| *n != winner) {
        let kind = outcome.as_ref().map_err(Error::kind).unwrap_err();
        assert_eq!(kind, ErrorKind::AlreadyExists, "writer {n}");
    }
    assert_eq!(whole(&store, "lock").await.unwrap(), [winner as u8; 10]);
}

pub(crate) async fn a_store_below_a_prefix_sees_nothing_else(on: Fixture) {
    let (root, store) = (on.store(), on.below("a b/c+"));
    put(&root, "outside", b"no").await;
    put(&store, "one", b"1").await;
    put(&store, "/two", b"2").await;
    assert_eq!(whole(&root, "a b/c+one").await.unwrap(), b"1");
    assert_eq!(whole(&store, "one").await.unwrap(), b"1");
    assert_eq!(store.head("/two").await.unwrap().key, "/two");
    assert_eq!(keys(&store, "", ListOptions::new()).await, ["/two", "one"]);
    assert_eq!(keys(&store, "", ListOptions::new().start_after("/two")).await, ["one"]);
    assert_eq!(keys(&store, "", ListOptions::new().delimiter(true)).await, ["/", "one"]);
    assert_eq!(whole(&store, "outside").await, Err(ErrorKind::NotFound));
    store.delete("one", DeleteOptions::new()).await.unwrap();
    assert_eq!(keys(&root, "", ListOptions::new()).await, ["a b/c+/two", "outside"]);
}

pub(crate) async fn deleting_removes_and_says_what_was_missing(on: Fixture) {
    let store = on.store();
    put(&store, "k", b"x").await;
    store.delete("k", DeleteOptions::new()).await.unwrap();
    let again = store.delete("k", DeleteOptions::new()).await;
    assert_eq!(again.is_err(), on.dialect != Dialect::S3, "S3 does not say what was missing");
    for error in [
        again.err().unwrap_or(store.head("k").await.unwrap_err()),
        store.head("k").await.unwrap_err(),
        store.get("k", GetOptions::new()).await.unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{error}");
        if on.dialect == Dialect::Wrapped {
            continue;
        }
        assert_eq!(error.status(), Some(404));
        assert_eq!(error.object(), Some(on.url.with_key("k").to_string().as_str()));
    }
}

pub(crate) async fn a_conditional_delete_spares_what_changed(on: Fixture) {
    let store = on.store();
    let first = put(&store, "k", b"one").await;
    let second = put(&store, "k", b"two").await;
    let error = store.delete("k", DeleteOptions::new().if_match(first)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!(whole(&store, "k").await.unwrap(), b"two");
    store.delete("k", DeleteOptions::new().if_match(second)).await.unwrap();
    assert_eq!(whole(&store, "k").await, Err(ErrorKind::NotFound));
}

pub(crate) async fn a_missing_bucket_is_not_a_missing_object(on: Fixture) {
    let store = on.missing();
    for error in [
        store.get("k", GetOptions::new()).await.unwrap_err(),
        store.put("k", &b"x"[..], PutOptions::new()).await.unwrap_err(),
        store.delete("k", DeleteOptions::new()).await.unwrap_err(),
        store.list("", ListOptions::new()).next().await.unwrap().unwrap_err(),
        // A HEAD's answer does not say which of the two is missing.
        store.head("k").await.unwrap_err(),
        store.reader("k", ReadOptions::new()).meta().await.unwrap_err(),
        store.reader("k", ReadOptions::new()).read_at(0..1).await.unwrap_err(),
        store.copy("k", (&on.store(), "k"), CopyOptions::new()).await.unwrap_err(),
        store.rename("k", "l", RenameOptions::new()).await.unwrap_err(),
        store.begin_upload("k", PutOptions::new()).await.unwrap_err(),
        store.put("k", &b"x"[..], PutOptions::new().mode(PutMode::Create)).await.unwrap_err(),
        store.uploads("").next().await.unwrap().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::BucketNotFound, "{error}");
        assert!(!error.is_not_found() && error.object().unwrap().contains("no-such-bucket"));
        assert!(error.hint().is_some());
    }
}

pub(crate) async fn names_have_at_most_1024_bytes(on: Fixture) {
    let store = on.store();
    // 1,024 bytes of two-byte characters: it is bytes that count.
    let (longest, longer) = ("é".repeat(512), "é".repeat(512) + "x");
    put(&store, &longest, b"long").await;
    assert_eq!(whole(&store, &longest).await.unwrap(), b"long");
    assert_eq!(keys(&store, "", ListOptions::new()).await, [longest]);
    let before = (on.requests)();
    let error = store.put(&longer, &b"x"[..], PutOptions::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("1025"), "{error}");
    assert_eq!(whole(&store, &longer).await, Err(ErrorKind::InvalidInput));
    assert_eq!((on.requests)(), before);
}

pub(crate) async fn names_the_service_does_not_take_are_refused_unsent(on: Fixture) {
    let store = on.store();
    put(&store, "k", b"x").await;
    let before = (on.requests)();
    // S3 takes any; but what XML cannot name is no good in its listings.
    let refused = if on.dialect == Dialect::S3 { &[""][..] } else { &["", "a\nb", "a\rb", "a\0b"] };
    for name in refused {
        for error in [
            store.get(name, GetOptions::new()).await.unwrap_err(),
            store.head(name).await.unwrap_err(),
            store.put(name, &b"x"[..], PutOptions::new()).await.unwrap_err(),
            store.delete(name, DeleteOptions::new()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}: {error}");
        }
    }
    assert_eq!((on.requests)(), before);
    assert_eq!(keys(&store, "", ListOptions::new()).await, ["k"], "the bucket stands");
}

pub(crate) async fn content_encoding_is_never_decoded(on: Fixture) {
    let store = on.store();
    // The beginning of a gzip stream, and no more of one.
    let bytes = [&[0x1f, 0x8b, 8, 0][..], &pattern(1_000)].concat();
    store.put("k.gz", bytes.clone(), PutOptions::new().content_encoding("gzip")).await.unwrap();
    let got = store.get("k.gz", GetOptions::new()).await.unwrap();
    assert_eq!(got.meta().content_encoding.as_deref(), Some("gzip"));
    assert_eq!(got.bytes().await.unwrap(), bytes);
    assert_eq!(read(&store, "k.gz", GetOptions::new().range(2..9)).await.unwrap(), bytes[2..9]);
    assert_eq!(store.head("k.gz").await.unwrap().size, bytes.len() as u64);
}

pub(crate) async fn every_checksum_mode_writes(on: Fixture) {
    let store = on.store();
    let bytes = pattern(5_000);
    for mode in [ChecksumMode::Auto, ChecksumMode::Crc32c, ChecksumMode::Md5, ChecksumMode::Off] {
        store.put("k", bytes.clone(), PutOptions::new().checksum(mode)).await.unwrap();
        assert_eq!(whole(&store, "k").await.unwrap(), bytes, "{mode:?}");
        store.delete("k", DeleteOptions::new()).await.unwrap();
    }
}

pub(crate) async fn corrupt_bytes_are_never_a_whole_object(on: Fixture) {
    let store = on.store();
    let bytes = pattern(300_000);
    put(&store, "k", &bytes).await;
    (on.corrupt)(200_001);
    let error = store.get("k", GetOptions::new()).await.unwrap().bytes().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.object().is_some() && error.hint().is_some(), "{error}");

    let mut stream = store.get("k", GetOptions::new()).await.unwrap().into_stream();
    let mut last = None;
    while let Some(item) = stream.next().await {
        assert!(last.is_none(), "nothing follows an error");
        last = item.err();
    }
    assert_eq!(last.unwrap().kind(), ErrorKind::Integrity);

    // Who asks not to be checked gets what came.
    let unchecked = read(&store, "k", GetOptions::new().verify(false)).await.unwrap();
    let wrong: Vec<usize> = (0..bytes.len()).filter(|&i| unchecked[i] != bytes[i]).collect();
    assert_eq!(wrong, [200_001]);
}

pub(crate) async fn buckets_come_and_go(on: Fixture) {
    let Fixture { client, service, .. } = &on;
    let url = on.url.to_string().replacen(on.url.bucket().unwrap(), "made-here", 1);
    let url: StoreUrl = url.parse().unwrap();
    let names = || async {
        let buckets: Vec<_> =
            client.buckets(service, StoreOptions::new()).try_collect().await.unwrap();
        buckets.into_iter().map(|bucket| bucket.name).collect::<BTreeSet<_>>()
    };
    assert!(!names().await.contains("made-here"));
    client.create_bucket(&url, StoreOptions::new()).await.unwrap();
    assert!(names().await.contains("made-here"));
    let again = client.create_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists, "{again}");

    let store = client.store(&url, StoreOptions::new()).unwrap();
    put(&store, "k", b"x").await;
    let full = client.delete_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!((full.kind(), full.status()), (ErrorKind::Rejected, Some(409)), "{full}");
    store.delete("k", DeleteOptions::new()).await.unwrap();
    client.delete_bucket(&url, StoreOptions::new()).await.unwrap();
    assert!(!names().await.contains("made-here"));
    let gone = client.delete_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::BucketNotFound, "{gone}");
}
