// SPDX-License-Identifier: Apache-2.0
//! Listings of something else, of pages without the next one, and of pages that do not go on.

use crate::common::scripted::{APIS, Api, At};
use crate::common::server::reply;
use crate::common::{self, emulator, raw_server, read_head, store_elsewhere};
use futures_util::{StreamExt, TryStreamExt};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use storescope::{Error, ErrorKind, ListEntry, ListOptions, Result, Upload};
use storescope_emulator::Emulator;

/// A page of a listing: names, prefixes, and where the next one begins.
#[derive(Clone, Debug, Default)]
struct Page {
    names: Vec<String>,
    prefixes: Vec<String>,
    next: Option<String>,
}

fn page(names: &[&str], prefixes: &[&str], next: Option<&str>) -> Page {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Page { names: owned(names), prefixes: owned(prefixes), next: next.map(str::to_owned) }
}

impl Page {
    fn document(&self, api: Api) -> String {
        match api {
            Api::Oci => {
                let objects: Vec<_> =
                    self.names.iter().map(|name| serde_json::json!({ "name": name })).collect();
                let mut page = serde_json::json!({ "objects": objects, "prefixes": self.prefixes });
                if let Some(next) = &self.next {
                    page["nextStartWith"] = serde_json::json!(next);
                }
                page.to_string()
            }
            Api::S3 => {
                let truncated = self.next.is_some();
                let mut page = format!("<ListBucketResult><IsTruncated>{truncated}</IsTruncated>");
                if let Some(next) = self.next.as_deref().filter(|next| !next.is_empty()) {
                    write!(page, "<NextContinuationToken>{next}</NextContinuationToken>").unwrap();
                }
                for name in &self.names {
                    write!(page, "<Contents><Key>{name}</Key><Size>1</Size></Contents>").unwrap();
                }
                for prefix in &self.prefixes {
                    write!(page, "<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>")
                        .unwrap();
                }
                page + "</ListBucketResult>"
            }
        }
    }
}

/// A server that answers with the pages that `pages` gives by their number.
fn listing(
    api: Api,
    emulator: &Emulator,
    pages: impl Fn(usize) -> Page + Send + Sync + 'static,
) -> At {
    let turn = AtomicUsize::new(0);
    At::new(api, emulator, move |_| {
        reply("200 OK", "", &pages(turn.fetch_add(1, Relaxed)).document(api))
    })
}

/// The same pages in turn, the last of them for ever.
fn pages(api: Api, emulator: &Emulator, pages: &[Page]) -> At {
    let pages = pages.to_vec();
    listing(api, emulator, move |turn| pages[turn.min(pages.len() - 1)].clone())
}

fn refused(listed: Result<Vec<String>>, why: &str) -> Error {
    let error = listed.expect_err(why);
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains(why), "{why:?} in {error}");
    error
}

#[tokio::test]
async fn names_that_were_not_asked_for_are_errors() {
    let emulator = emulator();
    let plain = ListOptions::new;
    let rolled = || ListOptions::new().delimiter(true);
    for api in APIS {
        for (prefix, options, listed, why) in [
            ("longprefix/", plain(), page(&["x"], &[], None), "does not begin so"),
            ("longprefix/", plain(), page(&["\u{e9}"], &[], None), "does not begin so"),
            ("longprefix/", plain(), page(&["longprefix"], &[], None), "does not begin so"),
            ("a/", plain(), page(&["a/1", "zzz/other"], &[], None), "does not begin so"),
            ("a/", rolled(), page(&[], &["b/"], None), "does not begin so"),
            ("", plain().start_after("m"), page(&["a", "n"], &[], None), "does not come after"),
            ("", plain().start_after("m"), page(&["m"], &[], None), "does not come after"),
            ("", rolled().start_after("m"), page(&[], &["d/"], None), "does not come after"),
            ("", rolled(), page(&["d/x"], &[], None), "is not rolled up, as was asked for"),
            ("", rolled(), page(&[], &["d/e/"], None), "not rolled up at its first /"),
            ("d/", rolled(), page(&[], &["d/"], None), "not rolled up at its first /"),
            ("", plain(), page(&[], &["d/"], None), "which was not asked for"),
            ("", plain(), page(&["a", "a"], &[], None), "twice"),
        ] {
            let at = pages(api, &emulator, &[listed]);
            let error = refused(at.names(prefix, options).await, why);
            assert_eq!(error.attempts(), 1, "{error}");
        }
    }
    let at = pages(Api::Oci, &emulator, &[page(&["a", "n"], &[], None)]);
    refused(at.names("", plain().end("m")).await, "does not come before the end");
}

#[tokio::test]
async fn names_that_were_asked_for_are_listed() {
    let emulator = emulator();
    let plain = ListOptions::new;
    let rolled = || ListOptions::new().delimiter(true);
    for api in APIS {
        for (prefix, options, listed, names) in [
            ("", plain(), page(&[], &[], None), &[][..]),
            ("d/", rolled(), page(&["d/", "d/x"], &["d/e/"], None), &["d/", "d/e/", "d/x"]),
            // Of a prefix, some name lies behind the start.
            ("", rolled().start_after("d/m"), page(&["e"], &["d/"], None), &["d/", "e"]),
            // UTF-8's order of bytes, which is not that of UTF-16.
            (
                "",
                plain(),
                page(&["z", "\u{e9}", "\u{fffd}", "\u{1f980}"], &[], Some("\u{1f981}")),
                &["z", "\u{e9}", "\u{fffd}", "\u{1f980}"],
            ),
            // One page is put in order here.
            ("", plain(), page(&["c", "a", "b"], &[], None), &["a", "b", "c"]),
        ] {
            let last = page(&[], &[], None);
            let at = pages(api, &emulator, &[listed.clone(), last]);
            let listed = at.names(prefix, options).await;
            assert_eq!(listed.unwrap_or_else(|error| panic!("{error}")), names, "{api:?}");
        }
    }
}

#[tokio::test]
async fn pages_that_do_not_go_on_are_errors() {
    let emulator = emulator();
    for api in APIS {
        for (listed, why) in [
            // Out of order within a page, and from one to the next.
            (vec![page(&["b", "a"], &[], Some("c"))], "not in the order of names"),
            (vec![page(&["\u{1f980}", "\u{fffd}"], &[], Some("z"))], "not in the order of names"),
            (
                vec![page(&["a", "b"], &[], Some("c")), page(&["b"], &[], None)],
                if api == Api::Oci { "comes before the start" } else { "the page before it" },
            ),
            // The same page again.
            (
                vec![page(&["a"], &[], Some("b")), page(&["a"], &[], Some("c"))],
                if api == Api::Oci { "comes before the start" } else { "the page before it" },
            ),
            // The same place again.
            (vec![page(&[], &[], Some("b")), page(&[], &[], Some("b"))], "told twice"),
            (
                vec![
                    page(&[], &[], Some("b")),
                    page(&[], &[], Some("c")),
                    page(&[], &[], Some("b")),
                ],
                "told twice",
            ),
        ] {
            let at = pages(api, &emulator, &listed);
            refused(at.names("", ListOptions::new()).await, why);
        }
    }
    let at = pages(Api::Oci, &emulator, &[page(&["a", "b"], &[], Some("a"))]);
    refused(at.names("", ListOptions::new()).await, "the next page begins at");
}

#[tokio::test]
async fn empty_pages_come_to_an_end() {
    let emulator = emulator();
    for api in APIS {
        let at = listing(api, &emulator, |turn| page(&[], &[], Some(&format!("{turn:08}"))));
        refused(at.names("", ListOptions::new()).await, "pages in a row name nothing new");
        assert_eq!(at.asked("GET", ""), 1_000);
        // As many as S3 may well answer are passed over.
        let at = listing(api, &emulator, |turn| match turn {
            0..500 => page(&[], &[], Some(&format!("{turn:08}"))),
            _ => page(&["z"], &[], None),
        });
        assert_eq!(at.names("", ListOptions::new()).await.unwrap(), ["z"]);
    }
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn truncated_without_a_token_is_an_error() {
    let emulator = emulator();
    let at = pages(Api::S3, &emulator, &[page(&["k"], &[], Some(""))]);
    refused(at.names("", ListOptions::new()).await, "truncated");
    let uploads =
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>";
    let at = At::new(Api::S3, &emulator, move |_| reply("200 OK", "", uploads));
    let error = at.perform("ListMultipartUploads").await.unwrap_err();
    assert!(error.to_string().contains("truncated"), "{error}");
}

/// Names are decoded only where the answer says that they are encoded; and they are checked afterwards.
#[cfg(feature = "s3")]
#[tokio::test]
async fn names_are_decoded_before_they_are_checked() {
    let emulator = emulator();
    let document = |encoding: &str| {
        format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{encoding}\
             <Contents><Key>d/a+b%2Fc</Key><Size>1</Size></Contents></ListBucketResult>"
        )
    };
    for (encoding, name) in [("", "d/a+b%2Fc"), ("<EncodingType>url</EncodingType>", "d/a b/c")] {
        let document = document(encoding);
        let at = At::new(Api::S3, &emulator, move |_| reply("200 OK", "", &document));
        assert_eq!(at.names("d/", ListOptions::new()).await.unwrap(), [name]);
        let rolled_up = at.names("d/", ListOptions::new().delimiter(true)).await;
        assert_eq!(rolled_up.is_ok(), encoding.is_empty(), "{rolled_up:?}");
    }
}

#[tokio::test]
async fn uploads_and_buckets_come_once_and_to_an_end() {
    let emulator = emulator();
    let uploads = |at: At| async move {
        let uploads: Result<Vec<Upload>> = at.store.uploads("d/").try_collect().await;
        uploads.map(|uploads| uploads.into_iter().map(|upload| upload.id).collect::<Vec<_>>())
    };
    // The service knows no prefix here: what lies elsewhere is left out, not refused.
    let of_oci = |answer: fn(usize) -> (&'static str, &'static str)| {
        let turn = AtomicUsize::new(0);
        At::new(Api::Oci, &emulator, move |_| {
            let (next, body) = answer(turn.fetch_add(1, Relaxed));
            reply("200 OK", next, body)
        })
    };
    let at = of_oci(|turn| match turn {
        0 => (
            "opc-next-page: p\r\n",
            r#"[{"object":"d/k","uploadId":"1"},{"object":"e","uploadId":"2"}]"#,
        ),
        _ => ("", r#"[{"object":"d/k","uploadId":"1"},{"object":"d/k","uploadId":"3"}]"#),
    });
    assert_eq!(uploads(at).await.unwrap(), ["1", "3"]);
    let at = of_oci(|_| ("opc-next-page: p\r\n", "[]"));
    assert!(uploads(at).await.unwrap_err().to_string().contains("told twice"));
    let at = of_oci(|turn| match turn {
        0 => ("opc-next-page: p\r\n", r#"[{"object":"d/k","uploadId":"1"}]"#),
        _ => ("opc-next-page: q\r\n", r#"[{"object":"d/k","uploadId":"1"}]"#),
    });
    assert!(uploads(at).await.unwrap_err().to_string().contains("repeats"));
    let at = of_oci(|_| ("opc-next-page: p\r\n", r#"[{"name":"b"}]"#));
    let error = at.perform("ListBuckets").await.unwrap_err();
    assert!(error.to_string().contains("repeats"), "{error}");
    if APIS.contains(&Api::S3) {
        let at = At::new(Api::S3, &emulator, |_| {
            let upload = "<Upload><Key>\u{e9}</Key><UploadId>1</UploadId></Upload>";
            let body = format!("<ListMultipartUploadsResult>{upload}</ListMultipartUploadsResult>");
            reply("200 OK", "", &body)
        });
        let error = uploads(at).await.unwrap_err();
        assert!(error.to_string().contains("does not begin so"), "{error}");
    }
}

/// A server that answers its requests with these documents in turn, the last of them for ever.
fn documents(pages: &'static [&'static str]) -> String {
    let turn = AtomicUsize::new(0);
    let address = raw_server(move |mut stream| {
        while read_head(&mut stream) {
            let page = pages[turn.fetch_add(1, Relaxed).min(pages.len() - 1)];
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", page.len());
            if stream.write_all((head + page).as_bytes()).is_err() {
                return;
            }
        }
    });
    format!("http://{address}")
}

/// What rolls up into one prefix may be parted by a page's end.
#[tokio::test]
async fn a_prefix_named_on_two_pages_is_listed_once() {
    let emulator = common::emulator();
    let pages = &[
        r#"{"objects":[{"name":"a"}],"prefixes":["b/"],"nextStartWith":"b/2"}"#,
        r#"{"objects":[],"prefixes":["b/"],"nextStartWith":"b/3"}"#,
        r#"{"objects":[{"name":"c"}],"prefixes":["b/","d/"]}"#,
    ];
    let store = store_elsewhere(&emulator, documents(pages), |config| config);
    let entries: Vec<ListEntry> =
        store.list("", ListOptions::new().delimiter(true)).try_collect().await.unwrap();
    let names = entries.into_iter().map(|entry| match entry {
        ListEntry::Object(meta) => meta.key,
        ListEntry::Prefix(prefix) => prefix,
        other => panic!("{other:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b/", "c", "d/"]);
}

#[tokio::test]
async fn a_listing_that_does_not_move_on_is_an_error() {
    let emulator = common::emulator();
    for page in [
        &[r#"{"objects":[],"nextStartWith":"a"}"#],
        &[r#"{"objects":[{"name":"a"}],"nextStartWith":"a"}"#],
    ] {
        let store = store_elsewhere(&emulator, documents(page), |config| config);
        let entries: Vec<_> = store.list("", ListOptions::new()).take(20).collect().await;
        let error = entries.into_iter().find_map(Result::err).expect("it ends");
        assert_eq!(error.kind(), ErrorKind::Protocol, "{page:?}: {error}");
    }
}

/// Names as tables, caches and logs have them.
fn shapes() -> Vec<(&'static str, Vec<String>)> {
    let counters = (0..1200).map(|number| format!("part-{number:05}.parquet"));
    let hashed =
        (0..1200_u32).map(|number| format!("{:08x}/object", number.wrapping_mul(2_654_435_761)));
    let days = (0..1200).map(|number| {
        let (month, day) = (1 + number / 100, 1 + number % 28);
        format!("year=2026/month={month}/day={day:02}/{number}.orc")
    });
    let words = (0..1200).map(|number| {
        let letter = |at: u32| char::from(b'a' + (number / 26_u32.pow(at) * 7 % 26) as u8);
        format!("{}{}{}\u{e9}", letter(2), letter(1), letter(0))
    });
    let one_word = (0..1200).map(|number| "a".repeat(1 + number % 900) + &"z".repeat(number / 900));
    vec![
        ("counters", counters.collect()),
        ("hashes", hashed.collect()),
        ("days", days.collect()),
        ("words", words.collect()),
        ("one word", one_word.collect()),
    ]
}

async fn keys(store: &storescope::Store, prefix: &str, options: ListOptions) -> Vec<String> {
    let name = |entry| match entry {
        ListEntry::Object(meta) => meta.key,
        other => panic!("{other:?}"),
    };
    store.list(prefix, options).map_ok(name).try_collect().await.unwrap()
}

#[tokio::test]
async fn a_long_listing_is_asked_for_in_ranges_and_told_in_order() {
    let world = common::World::new();
    let mut stores = vec![("oci", world.store.clone())];
    #[cfg(feature = "s3")]
    {
        let client = common::client(common::s3_config(&world.emulator));
        stores.push(("s3", common::store_at(&client, &format!("s3://{}/", common::BUCKET))));
    }
    for (shape, names) in shapes() {
        let mut names: Vec<String> =
            names.into_iter().map(|name| format!("{shape}/{name}")).collect();
        let put = |name: &String| {
            let (store, name) = (world.store.clone(), name.clone());
            async move { store.put(&name, Vec::new(), storescope::PutOptions::new()).await }
        };
        futures_util::stream::iter(&names)
            .map(put)
            .buffer_unordered(32)
            .try_collect::<Vec<_>>()
            .await
            .unwrap();
        names.sort();
        for (api, store) in &stores {
            world.emulator.admin().clear_record();
            let prefix = format!("{shape}/");
            let listed = keys(store, &prefix, ListOptions::new().page_size(10)).await;
            assert_eq!(listed, names, "{api} {shape}");
            let (pages, requests) = (names.len() / 10, world.record().len());
            println!("{api} {shape}: {requests} requests for {pages} pages");
            assert!(
                requests <= pages * 5 / 4 + 32,
                "{api} {shape}: {requests} requests for {pages} pages"
            );
            let within = ListOptions::new().page_size(10).start_after(&names[100]).end(&names[900]);
            assert_eq!(keys(store, &prefix, within).await, names[101..900], "{api} {shape}");
        }
    }
}

/// Who stops early has asked for what was told.
#[tokio::test]
async fn a_listing_asks_ahead_once_it_is_long() {
    let world = common::World::new();
    for number in 0..100 {
        world.object(&format!("{number:02}"), 0).await;
    }
    for (taken, requests) in [(10, 1), (11, 2), (20, 2)] {
        world.emulator.admin().clear_record();
        let listing = world.store.list("", ListOptions::new().page_size(10));
        let some: Vec<_> = listing.take(taken).try_collect().await.unwrap();
        common::until("they are recorded", || world.record().len() >= requests).await;
        assert_eq!((some.len(), world.record().len()), (taken, requests));
    }
}
