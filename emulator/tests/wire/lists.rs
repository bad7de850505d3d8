// SPDX-License-Identifier: Apache-2.0
//! ListObjects against a plain sorted map.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::client::{BUCKET, Client, start};

/// Percent-encodes everything: it must mean the same as nothing encoded.
fn encode(text: &str) -> String {
    let encoded: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    encoded.concat()
}

#[derive(Clone, Debug)]
struct Query {
    prefix: String,
    start: Option<String>,
    start_after: Option<String>,
    end: Option<String>,
    limit: usize,
    delimited: bool,
}

impl Query {
    fn target(&self, start: Option<&str>) -> String {
        let mut target = format!("{BUCKET}/o?prefix={}&limit={}", encode(&self.prefix), self.limit);
        let after = self.start_after.as_deref();
        for (name, value) in [("start", start), ("startAfter", after), ("end", self.end.as_deref())]
        {
            if let Some(value) = value {
                target.extend(["&", name, "=", &encode(value)]);
            }
        }
        if self.delimited {
            target += "&delimiter=%2F";
        }
        target
    }

    /// What the whole list is: objects and prefixes, by the words of the specification.
    fn expected(&self, all: &BTreeMap<String, usize>) -> (Vec<(String, usize)>, Vec<String>) {
        let names = all.iter().filter(|(name, _)| {
            name.starts_with(&self.prefix)
                && self.start.as_ref().is_none_or(|start| *name >= start)
                && self.start_after.as_ref().is_none_or(|after| *name > after)
                && self.end.as_ref().is_none_or(|end| *name < end)
        });
        let mut objects = Vec::new();
        let mut prefixes = BTreeSet::new();
        for (name, size) in names {
            match name[self.prefix.len()..].split_once('/').filter(|_| self.delimited) {
                Some((below, _)) => {
                    prefixes.insert(format!("{}{below}/", self.prefix));
                }
                None => objects.push((name.clone(), *size)),
            }
        }
        (objects, prefixes.into_iter().collect())
    }

    /// All pages, by `nextStartWith`; each holds no more than the limit, and all but the last
    /// exactly that.
    fn paged(&self, client: &mut Client) -> (Vec<(String, usize)>, Vec<String>) {
        let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
        let mut start = self.start.clone();
        loop {
            assert!(objects.len() + prefixes.len() < 100, "the pages do not end");
            let page = client.get(&(self.target(start.as_deref()) + "&fields=name%2CsIze")).json();
            let (some, rolled) =
                (page["objects"].as_array().unwrap(), page["prefixes"].as_array().unwrap());
            let count = some.len() + rolled.len();
            objects.extend(some.iter().map(|object| {
                let size = object["size"].as_u64().unwrap() as usize;
                (object["name"].as_str().unwrap().to_owned(), size)
            }));
            prefixes.extend(rolled.iter().map(|prefix| prefix.as_str().unwrap().to_owned()));
            match page.get("nextStartWith") {
                None => {
                    assert!(count <= self.limit);
                    return (objects, prefixes);
                }
                Some(next) => {
                    assert_eq!(count, self.limit, "a page that is cut is full");
                    start = Some(next.as_str().unwrap().to_owned());
                }
            }
        }
    }
}

fn names() -> impl Strategy<Value = String> {
    // Few letters, so that prefixes, bounds and names meet often; `/` and its neighbours in
    // byte order, and a letter of two bytes.
    proptest::collection::vec(prop_oneof!["[ab]", Just("/".into()), Just("0".into()), "[.ü]"], 1..6)
        .prop_map(|letters: Vec<String>| letters.concat())
}

fn queries() -> impl Strategy<Value = Query> {
    let bound = || proptest::option::weighted(0.4, names());
    let prefix = prop_oneof![2 => Just(String::new()), 3 => names().prop_map(|n| n.chars().take(2).collect())];
    (prefix, bound(), bound(), bound(), 1..6_usize, any::<bool>()).prop_map(
        |(prefix, start, start_after, end, limit, delimited)| Query {
            prefix,
            start,
            start_after,
            end,
            limit,
            delimited,
        },
    )
}

#[test]
fn lists_are_those_of_a_sorted_map() {
    let (_emulator, client) = start();
    let client = std::cell::RefCell::new(client);
    let mut runner =
        TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let cases = (
        proptest::collection::btree_map(names(), 0..4_usize, 0..25),
        proptest::collection::vec(queries(), 8),
    );
    runner
        .run(&cases, |(all, queries)| {
            let client = &mut *client.borrow_mut();
            for (name, size) in &all {
                client.put(&encode(name), &vec![1; *size]);
            }
            for query in queries {
                prop_assert_eq!(query.paged(client), query.expected(&all), "{:?}", query);
            }
            for name in all.keys() {
                let deleted =
                    client.request("DELETE", &crate::client::object(&encode(name)), &[], b"");
                prop_assert_eq!(deleted.status, 204);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn fields_are_those_asked_for() {
    let (_emulator, mut client) = start();
    client.put("a", b"hello");
    let list = |client: &mut Client, query: &str| client.get(&format!("{BUCKET}/o?{query}"));
    let plain = list(&mut client, "prefix=&delimiter=").json();
    assert_eq!(plain["objects"], serde_json::json!([{"name": "a"}]));
    assert_eq!(plain["prefixes"], serde_json::json!([]));
    assert_eq!(plain.get("nextStartWith"), None);
    let fields = "name,size,etag,md5,timeCreated,timeModified,storageTier,archivalState";
    let full = list(&mut client, &format!("fields={}", encode(fields))).json();
    let object = &full["objects"][0];
    assert_eq!(object["size"], 5);
    assert_eq!(object["md5"], "XUFAKrxLKna5cZ2REBfFkg==");
    assert_eq!(object["etag"].as_str().unwrap().len(), 36);
    assert!(object["timeCreated"].as_str().unwrap().ends_with('Z'));
    for (query, status, code) in [
        ("limit=0", 400, "InvalidLimit"),
        ("limit=x", 400, "InvalidLimit"),
        ("limit=1001", 412, "LimitTooHigh"),
        ("delimiter=x", 400, "InvalidParameter"),
        ("fields=colour", 400, "InvalidParameter"),
    ] {
        assert_eq!(list(&mut client, query).code(), (status, code.to_owned()), "{query}");
    }
    let missing = client.get("/n/emulator/b/none/o");
    assert_eq!(missing.code(), (404, "BucketNotFound".to_owned()));
}
