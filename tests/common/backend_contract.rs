// SPDX-License-Identifier: Apache-2.0
//! What every backend promises, written once over the public face. A backend's tests are made from it by
//! `backend_contract!`, given a function that sets up a [`Fixture`].

use crate::common::pattern;
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestCaseError, TestRunner};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};
use storescope::{
    ChecksumMode, Client, CopyOptions, DeleteOptions, Error, ErrorKind, GetOptions, GetRange,
    ListEntry, ListOptions, Payload, PutMode, PutOptions, ReadOptions, RenameOptions, Store,
    StoreOptions, StoreUrl, Writer,
};

/// Which protocol a backend speaks, where they promise different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Oci,
    /// Does not say whether what was deleted had been there.
    S3,
    /// object_store: no status, no request of ours.
    Wrapped,
}

/// An empty bucket of some backend, and what a test cannot do through it.
pub(crate) struct Fixture {
    pub(crate) client: Client,
    pub(crate) dialect: Dialect,
    /// A store that is handed over, where no URL names it.
    pub(crate) handed: Option<Store>,
    /// The bucket.
    pub(crate) url: StoreUrl,
    /// The service that the bucket belongs to.
    pub(crate) service: StoreUrl,
    /// From now on the byte at this place of every body is another.
    pub(crate) corrupt: Box<dyn Fn(u64)>,
    /// Requests that reached the server so far.
    pub(crate) requests: Box<dyn Fn() -> usize>,
    /// What has to live as long.
    pub(crate) _server: Box<dyn Any>,
}

impl Fixture {
    fn store(&self) -> Store {
        if let Some(store) = &self.handed {
            return store.clone();
        }
        self.client.store(&self.url, StoreOptions::new()).unwrap()
    }

    /// The part of the bucket below a prefix.
    fn below(&self, prefix: &str) -> Store {
        self.client.store(&self.url.with_key(prefix), StoreOptions::new()).unwrap()
    }

    fn missing(&self) -> Store {
        let bucket = self.url.bucket().unwrap();
        let url = self.url.to_string().replacen(bucket, "no-such-bucket", 1);
        self.client.store(&url.parse().unwrap(), StoreOptions::new()).unwrap()
    }
}

/// One `#[tokio::test]` for each function below.
macro_rules! backend_contract {
    ($fixture:path) => {
        backend_contract! { @each $fixture:
            an_object_comes_back_with_what_was_told_of_it,
            an_empty_object_reads_as_empty,
            ranges_are_exact,
            a_range_past_the_end_is_invalid,
            a_range_of_nothing_asks_for_nothing,
            a_read_may_ask_for_an_etag,
            create_writes_once,
            update_replaces_what_it_names,
            of_many_creators_one_succeeds,
            listings_are_those_of_a_sorted_map,
            a_listing_pages_through_what_was_put,
            awkward_names_are_exact,
            a_store_below_a_prefix_sees_nothing_else,
            deleting_removes_and_says_what_was_missing,
            a_conditional_delete_spares_what_changed,
            a_missing_bucket_is_not_a_missing_object,
            names_have_at_most_1024_bytes,
            names_the_service_does_not_take_are_refused_unsent,
            content_encoding_is_never_decoded,
            every_checksum_mode_writes,
            corrupt_bytes_are_never_a_whole_object,
            buckets_come_and_go,
            pieces_are_one_object,
            a_write_by_parts_is_one_object,
            a_small_write_goes_by_one_request,
            a_write_by_parts_may_be_conditional,
            a_writer_that_is_dropped_leaves_nothing,
            a_source_that_fails_writes_nothing,
            a_source_of_another_size_writes_nothing,
            a_file_goes_up,
            uploads_that_were_left_are_found_and_aborted,
            a_rename_moves_what_was_there,
            a_copy_is_what_its_source_is,
            a_copy_reaches_another_bucket,
            many_are_removed_at_once,
            what_readers_are_told_comes_back,
        }
    };
    (@each $fixture:path: $($name:ident,)+) => {
        $(#[tokio::test]
        async fn $name() {
            crate::backend_contract::$name($fixture()).await;
        })+
    };
}
pub(crate) use backend_contract;

async fn put(store: &Store, key: &str, bytes: &[u8]) -> String {
    let meta = store.put(key, bytes.to_vec(), PutOptions::new()).await.unwrap();
    meta.etag.expect("a write answers an ETag")
}

async fn read(store: &Store, key: &str, options: GetOptions) -> Result<Vec<u8>, ErrorKind> {
    let got = store.get(key, options).await.map_err(|e| e.kind())?;
    let range = got.range();
    let bytes = got.bytes().await.map_err(|e| e.kind())?;
    assert_eq!(range.end - range.start, bytes.len() as u64);
    Ok(bytes.to_vec())
}

async fn whole(store: &Store, key: &str) -> Result<Vec<u8>, ErrorKind> {
    read(store, key, GetOptions::new()).await
}

async fn keys(store: &Store, prefix: &str, options: ListOptions) -> Vec<String> {
    let entries: Vec<ListEntry> = store.list(prefix, options).try_collect().await.unwrap();
    entries.into_iter().map(name).collect()
}

fn name(entry: ListEntry) -> String {
    match entry {
        ListEntry::Object(meta) => meta.key,
        ListEntry::Prefix(prefix) => prefix,
        other => panic!("{other:?}"),
    }
}

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

#[derive(Clone, Debug)]
struct Listed {
    keys: BTreeSet<String>,
    prefix: String,
    delimiter: bool,
    start_after: Option<String>,
    end: Option<String>,
    page_size: Option<u32>,
}

fn listed() -> impl Strategy<Value = Listed> {
    let key = "[ab/+é]{1,5}";
    (
        prop::collection::btree_set(key, 0..14),
        "[ab/]{0,2}",
        any::<bool>(),
        prop::option::of("[ab/]{1,3}"),
        prop::option::of("[b/é]{1,3}"),
        prop::option::of(1_u32..5),
    )
        .prop_map(|(keys, prefix, delimiter, start_after, end, page_size)| Listed {
            keys,
            prefix,
            delimiter,
            start_after,
            end,
            page_size,
        })
}

impl Listed {
    /// What a sorted map answers.
    fn expected(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for key in &self.keys {
            let Some(rest) = key.strip_prefix(&self.prefix) else { continue };
            if self.start_after.as_ref().is_some_and(|start| key <= start)
                || self.end.as_ref().is_some_and(|end| key >= end)
            {
                continue;
            }
            let name = match rest.find('/').filter(|_| self.delimiter) {
                Some(at) => key[..=self.prefix.len() + at].to_owned(),
                None => key.clone(),
            };
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The prefix that `end` lies below: S3 tells it without saying whether what it holds comes before `end`.
    fn around_end(&self) -> Option<&str> {
        let end = self.end.as_deref().filter(|_| self.delimiter)?;
        let slash = end.strip_prefix(&self.prefix)?.find('/')?;
        let prefix = &end[..=self.prefix.len() + slash];
        (prefix != end).then_some(prefix)
    }

    /// The prefix that `start_after` lies below, or is: not every S3 server tells it for what comes after (botocore's model:
    /// "filtered out from results if it is not lexicographically greater than the StartAfter value").
    fn around_start(&self) -> Option<&str> {
        let start = self.start_after.as_deref().filter(|_| self.delimiter)?;
        let slash = start.strip_prefix(&self.prefix)?.find('/')?;
        Some(&start[..=self.prefix.len() + slash])
    }

    fn options(&self) -> ListOptions {
        let mut options = ListOptions::new().delimiter(self.delimiter);
        if let Some(key) = &self.start_after {
            options = options.start_after(key);
        }
        if let Some(key) = &self.end {
            options = options.end(key);
        }
        match self.page_size {
            Some(names) => options.page_size(names),
            None => options,
        }
    }
}

pub(crate) async fn listings_are_those_of_a_sorted_map(on: Fixture) {
    let mut runner = TestRunner::new(Cases { cases: 24, ..Cases::default() });
    let mut case = 0;
    // The runner wants a plain function: cases are drawn by it, and run here.
    let drawn = std::cell::RefCell::new(Vec::new());
    runner
        .run(&listed(), |listed| {
            drawn.borrow_mut().push(listed);
            Ok::<(), TestCaseError>(())
        })
        .unwrap();
    // All that lies below a prefix may come after an `end` below the same prefix.
    drawn.borrow_mut().push(Listed {
        keys: ["+", "/b", "a"].map(str::to_owned).into(),
        prefix: String::new(),
        delimiter: true,
        start_after: None,
        end: Some("//".to_owned()),
        page_size: None,
    });
    for listed in drawn.into_inner() {
        case += 1;
        let store = on.below(&format!("case-{case:02}/"));
        for key in &listed.keys {
            put(&store, key, key.as_bytes()).await;
        }
        let entries: Vec<ListEntry> =
            store.list(&listed.prefix, listed.options()).try_collect().await.unwrap();
        for entry in &entries {
            match entry {
                ListEntry::Object(meta) => assert_eq!(meta.size, meta.key.len() as u64),
                ListEntry::Prefix(prefix) => assert!(listed.delimiter && prefix.ends_with('/')),
                other => panic!("{other:?}"),
            }
        }
        let mut names: Vec<String> = entries.into_iter().map(name).collect();
        let mut expected = listed.expected();
        if on.dialect == Dialect::S3
            && let Some(around) = listed.around_start()
        {
            names.retain(|name| name != around);
            expected.retain(|name| name != around);
        }
        if on.dialect == Dialect::S3
            && let Some(around) = listed.around_end()
            && !expected.iter().any(|name| name == around)
        {
            names.retain(|name| name != around);
        }
        assert_eq!(names, expected, "{listed:?}");
    }
}

pub(crate) async fn a_listing_pages_through_what_was_put(on: Fixture) {
    let store = on.store();
    let names: Vec<String> = (0..23).map(|n| format!("part-{n:05}")).collect();
    join_all(names.iter().map(|name| put(&store, name, b"x"))).await;
    let before = (on.requests)();
    assert_eq!(keys(&store, "part-", ListOptions::new().page_size(5)).await, names);
    assert!((on.requests)() - before >= 5, "23 names by pages of 5");
    let some = ListOptions::new().start_after(&names[3]).end(&names[9]).page_size(2);
    assert_eq!(keys(&store, "", some).await, names[4..9]);
    assert!(keys(&store, "none", ListOptions::new()).await.is_empty());
}

/// Those of the protocol's table of encodings, of the signing vectors, and some that URL libraries mend.
fn awkward_names() -> BTreeSet<String> {
    let vectors = include_str!("../../fixtures/oci-signing.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let mut names = BTreeSet::new();
    collect_names(&vectors, &mut names);
    assert!(names.len() >= 35, "{} names in the vectors", names.len());
    let more = [
        ".",
        "..",
        "...",
        "/",
        "//",
        "/..",
        "../",
        "a/..",
        "a/../b",
        "a/./b",
        "//lead",
        "a//b",
        "a/",
        " ",
        " lead",
        "trail ",
        "a+b",
        "100%",
        "%",
        "%2F",
        "%2f",
        "%zz",
        "%00",
        "~",
        "a&b=c;d:e@f,$",
        "(a)'b'",
        "!*",
        "?",
        "?a=b",
        "#",
        "a#b",
        "\"",
        "<>",
        "{}",
        "`",
        "[]^|\\",
        "é",
        "e\u{301}",
        "日本語",
        "🦀",
        "\u{7f}",
        "\t",
        "\u{a0}",
        "\u{feff}bom",
        "CON",
        "a\u{2028}b",
    ];
    names.extend(more.into_iter().map(str::to_owned));
    names
}

fn collect_names(value: &serde_json::Value, into: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::String(name)) = members.get("object_name") {
                into.insert(name.clone());
            }
            members.values().for_each(|member| collect_names(member, into));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_names(item, into)),
        _ => {}
    }
}

pub(crate) async fn awkward_names_are_exact(on: Fixture) {
    let store = on.store();
    let names = awkward_names();
    for name in &names {
        put(&store, name, name.as_bytes()).await;
    }
    let listed: BTreeSet<String> = keys(&store, "", ListOptions::new()).await.into_iter().collect();
    assert_eq!(listed, names);
    for name in &names {
        assert_eq!(store.head(name).await.unwrap().key, *name);
        assert_eq!(whole(&store, name).await.unwrap(), name.as_bytes(), "{name:?}");
        assert!(keys(&store, name, ListOptions::new()).await.contains(name), "{name:?} as prefix");
    }
    for (deleted, name) in names.iter().enumerate() {
        store.delete(name, DeleteOptions::new()).await.unwrap();
        assert_eq!(whole(&store, name).await, Err(ErrorKind::NotFound), "{name:?}");
        let left = keys(&store, "", ListOptions::new()).await.len();
        assert_eq!(left, names.len() - deleted - 1, "{name:?} and nothing else is gone");
    }
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
