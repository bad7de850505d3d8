// SPDX-License-Identifier: Apache-2.0
//! Listings, and names in them.

use super::{Dialect, Fixture, keys, name, put, whole};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::Config as Cases;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::collections::BTreeSet;
use storescope::{DeleteOptions, ErrorKind, ListEntry, ListOptions};

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
    let vectors = include_str!("../../../../fixtures/oci-signing.json");
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
