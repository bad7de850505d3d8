// SPDX-License-Identifier: Apache-2.0
//! Entity tags in any form in which servers write them.

use crate::common::server::answering;
use crate::common::{emulator, pattern, read, stores, stores_of};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use storescope::{
    DeleteOptions, ErrorKind, GetOptions, PutMode, PutOptions, ReadOptions, RenameOptions,
};

const SIZE: usize = 3 << 20;

/// A server of one object, whose tag it writes in this form and judges as RFC 9110 has it. The first whole body and
/// the first long range break off in the middle. A third of the requests may be asked of another version.
fn tagged(tag: &'static str, changes: bool, conditions: Arc<AtomicUsize>) -> String {
    let (broken, asked_before) = (AtomicUsize::new(0), AtomicUsize::new(0));
    answering(move |asked| {
        let now = if changes && asked_before.fetch_add(1, Relaxed) > 0 {
            tag.replace("abc", "xyz")
        } else {
            tag.to_owned()
        };
        if let Some(wanted) = asked.header("if-match") {
            conditions.fetch_add(1, Relaxed);
            if wanted != now || now.starts_with("W/") {
                return b"HTTP/1.1 412 Precondition Failed\r\ncontent-length: 0\r\n\r\n".to_vec();
            }
        }
        let bytes = pattern(SIZE);
        let (line, range, body) = match asked.range(SIZE) {
            Some((first, last)) => (
                "206 Partial Content",
                format!("content-range: bytes {first}-{last}/{SIZE}\r\n"),
                &bytes[first..=last],
            ),
            None => ("200 OK", String::new(), &bytes[..]),
        };
        let mut answer =
            format!("HTTP/1.1 {line}\r\netag: {now}\r\n{range}content-length: {}\r\n", body.len())
                .into_bytes();
        if asked.method == "HEAD" {
            answer.extend(b"\r\n");
        } else if body.len() > SIZE / 4 && broken.fetch_add(1, Relaxed) == 0 {
            answer.extend(b"connection: close\r\n\r\n");
            answer.extend(&body[..body.len() / 2]);
        } else {
            answer.extend(b"\r\n");
            answer.extend(body);
        }
        answer
    })
}

const TAGS: [&str; 7] = [
    "\"abc\"",
    "abc",
    "W/\"abc\"",
    "W/abc",
    "\"abc d,e\"",
    "\"abc\"def\"",
    "\"0123456789ABCDEF0123456789abcdef-2\"",
];

#[tokio::test]
async fn an_object_reads_whatever_the_form_of_its_tag() {
    let emulator = emulator();
    for tag in TAGS {
        for n in 0..stores_of(&emulator, "http://127.0.0.1:9").len() {
            let conditions = Arc::new(AtomicUsize::new(0));
            let fresh = || {
                let endpoint = tagged(tag, false, Arc::clone(&conditions));
                stores_of(&emulator, &endpoint).remove(n)
            };
            assert!(
                read(&fresh(), "k").await.unwrap() == pattern(SIZE),
                "{tag}: a body that broke"
            );
            let store = fresh();
            let meta = store.head("k").await.unwrap();
            assert_eq!(meta.etag.as_deref(), Some(tag), "as the server writes it");
            let asked = GetOptions::new().if_match(meta.etag.clone().unwrap());
            let got = store.get("k", asked).await.unwrap().bytes().await.unwrap();
            assert!(got == pattern(SIZE), "{tag}");
            // A listing of S3 may have quotes where the header has none.
            let mut forms = vec![tag.to_owned()];
            if n == 1 && !tag.starts_with("W/") {
                forms.push(format!("\"{}\"", tag.trim_matches('"')));
            }
            for told in forms {
                let reader = store.reader("k", ReadOptions::new().etag(told.clone()));
                let some =
                    reader.read_at(5..50).await.unwrap_or_else(|e| panic!("{tag} {told}: {e}"));
                assert_eq!(some, pattern(SIZE)[5..50]);
                let mut stream = reader.stream(..);
                let mut all = Vec::new();
                while let Some(bytes) = stream.next().await {
                    all.extend(bytes.unwrap_or_else(|e| panic!("{tag} {told}: {e}")));
                }
                assert!(all == pattern(SIZE), "{tag} {told}");
            }
            let sent = conditions.load(Relaxed);
            assert_eq!(sent == 0, tag.starts_with("W/"), "{tag}: {sent} conditions");
        }
    }
}

#[tokio::test]
async fn another_version_is_noticed_whatever_the_form_of_its_tag() {
    let emulator = emulator();
    for tag in TAGS.into_iter().filter(|tag| tag.contains("abc")) {
        for n in 0..stores_of(&emulator, "http://127.0.0.1:9").len() {
            let endpoint = tagged(tag, true, Arc::default());
            let store = stores_of(&emulator, &endpoint).remove(n);
            let reader = store.reader("k", ReadOptions::new());
            reader.read_at(0..10).await.unwrap();
            let changed = reader.read_at(SIZE as u64 - 10..SIZE as u64).await.unwrap_err();
            assert!(changed.is_changed(), "{tag}: {changed}");
            let endpoint = tagged(tag, true, Arc::default());
            let store = stores_of(&emulator, &endpoint).remove(n);
            let broken = read(&store, "k").await.unwrap_err();
            assert!(broken.is_changed(), "{tag}: {broken}");
        }
    }
}

/// Without its condition a write could replace another version.
#[tokio::test]
async fn a_weak_tag_is_no_condition_of_a_write() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        store.put("k", pattern(10), PutOptions::new()).await.unwrap();
        emulator.admin().clear_record();
        let update = || PutMode::Update("W/\"abc\"".to_owned());
        for error in [
            store.put("k", &b"x"[..], PutOptions::new().mode(update())).await.unwrap_err(),
            store.delete("k", DeleteOptions::new().if_match("W/\"abc\"")).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{api}: {error}");
            assert!(error.to_string().contains("is weak"), "{api}: {error}");
        }
        assert!(emulator.record().is_empty(), "{api}: nothing was sent");
        if api == "oci" {
            let rename = RenameOptions::new().mode(update());
            let error = store.rename("k", "to", rename).await.unwrap_err();
            assert!(error.to_string().contains("is weak"), "{error}");
        }
        assert_eq!(read(&store, "k").await.unwrap(), pattern(10), "{api}");
    }
}
