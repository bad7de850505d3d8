// SPDX-License-Identifier: Apache-2.0
//! What a store could not find out is never told as "it is not there"; a HEAD's refusal says why; entity tags and
//! metadata come back in any form in which servers have them.

mod common;

use common::server::{Asked, answering};
use common::{
    BUCKET, Log, World, client, config, emulator, impatient, pattern, read, status, store,
    store_at, store_elsewhere,
};
use futures_util::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use storescope::{
    CopyOptions, DeleteOptions, ErrorKind, GetOptions, ListOptions, PutMode, PutOptions,
    ReadOptions, RenameOptions, Store,
};
use storescope_emulator::{Action, Fault};

fn refused(status: u16, code: &str) -> Fault {
    let code = Some(code.to_owned());
    Fault::new(Action::Status { status, code, message: None, retry_after: None })
}

/// Stores of an emulator's bucket by each API.
fn stores(emulator: &storescope_emulator::Emulator) -> Vec<(&'static str, Store)> {
    vec![
        ("oci", store(&client(impatient(config(emulator), 3)), emulator)),
        #[cfg(feature = "s3")]
        (
            "s3",
            store_at(
                &client(impatient(common::s3_config(emulator), 3)),
                &format!("s3://{BUCKET}/"),
            ),
        ),
    ]
}

fn methods(emulator: &storescope_emulator::Emulator) -> Vec<String> {
    emulator.record().into_iter().map(|line| line.method).collect()
}

// ---- what is not there, and what could not be looked for ---------------------------------------------------------

#[tokio::test]
async fn an_absence_is_believed_once_the_bucket_was_seen() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        emulator.admin().clear_record();
        for asked in [&["HEAD", "GET"][..], &["HEAD"], &["HEAD"]] {
            emulator.admin().clear_record();
            let absent = store.head("absent").await.unwrap_err();
            assert!(absent.is_not_found(), "{api}: {absent}");
            assert_eq!(absent.attempts() as usize, asked.len(), "{api}: {absent}");
            assert_eq!(methods(&emulator), asked, "{api}");
        }
    }
    // However many ask at once.
    for (api, store) in stores(&emulator) {
        emulator.admin().clear_record();
        let heads = (0..8).map(|_| store.head("absent"));
        for absent in futures_util::future::join_all(heads).await {
            assert!(absent.unwrap_err().is_not_found(), "{api}");
        }
        let asked = methods(&emulator);
        assert_eq!(asked.iter().filter(|method| *method == "GET").count(), 1, "{api}: {asked:?}");
    }
    // A read shows it, too.
    for (api, store) in stores(&emulator) {
        store.put("k", pattern(10), PutOptions::new()).await.unwrap();
        read(&store, "k").await.unwrap();
        emulator.admin().clear_record();
        assert!(store.head("absent").await.unwrap_err().is_not_found(), "{api}");
        assert_eq!(methods(&emulator), ["HEAD"], "{api}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_removed_meanwhile_is_not_an_absence() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        assert!(store.head("absent").await.unwrap_err().is_not_found(), "{api}");
        // Any answer that says so counts, by whichever request.
        let gone = if api == "oci" { "BucketNotFound" } else { "NoSuchBucket" };
        emulator.fault(refused(404, gone).method("GET").count(2));
        let listed = store.list("", ListOptions::new()).next().await.unwrap().unwrap_err();
        assert_eq!(listed.kind(), ErrorKind::BucketNotFound, "{api}: {listed}");
        emulator.fault(status(404).method("HEAD").count(1));
        let head = store.head("absent").await.unwrap_err();
        assert_eq!(head.kind(), ErrorKind::BucketNotFound, "{api}: {head}");
        assert_eq!(head.code(), Some(gone), "{api}: {head}");
        emulator.admin().clear_faults();
    }
}

/// A proxy, or an endpoint that is no object store.
#[tokio::test]
async fn anothers_404_is_no_absence() {
    let page = |_: &Asked| {
        let body = "<html>Not Found</html>";
        format!(
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let emulator = emulator();
    let stores = [
        store_elsewhere(&emulator, answering(page), |config| config),
        #[cfg(feature = "s3")]
        store_at(&client(common::s3_elsewhere(answering(page))), &format!("s3://{BUCKET}/")),
    ];
    for store in stores {
        for error in [
            store.head("k").await.unwrap_err(),
            store.get("k", GetOptions::new()).await.unwrap_err(),
            store.list("", ListOptions::new()).next().await.unwrap().unwrap_err(),
            store.reader("k", ReadOptions::new()).read_at(0..1).await.unwrap_err(),
            store.copy("k", (&store, "to"), CopyOptions::new()).await.unwrap_err(),
        ] {
            assert!(!error.is_not_found(), "{error}");
            assert_eq!(error.status(), Some(404), "{error}");
            assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::InvalidData);
        }
    }
}

/// Looking at what became of a request whose answer was lost must not take a missing bucket for a missing object.
#[tokio::test]
async fn a_bucket_that_cannot_be_seen_settles_nothing() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        let gone = if api == "oci" { "BucketNotFound" } else { "NoSuchBucket" };
        emulator.fault(Fault::new(Action::DropResponse).method("DELETE").count(1));
        emulator.fault(refused(404, gone).method("HEAD"));
        emulator.fault(refused(404, gone).method("GET"));
        let error = store.delete("k", DeleteOptions::new()).await.unwrap_err();
        assert!(!error.is_not_found(), "{api}: {error}");
        assert!(error.to_string().contains("it may have taken effect"), "{api}: {error}");
        emulator.admin().clear_faults();
    }
}

// ---- errors without a body ---------------------------------------------------------------------------------------

#[tokio::test]
async fn a_refused_head_says_why() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        store.put("k", pattern(10), PutOptions::new()).await.unwrap();
        let cases: &[_] = if api == "oci" {
            &[
                (409, "NotRestored", ErrorKind::Archived, "restore"),
                (403, "NotAllowed", ErrorKind::PermissionDenied, "policy"),
                (400, "InvalidParameter", ErrorKind::Rejected, "InvalidParameter"),
            ]
        } else {
            &[
                (403, "InvalidObjectState", ErrorKind::Archived, "restore"),
                (403, "AccessDenied", ErrorKind::PermissionDenied, "policy"),
                (403, "SignatureDoesNotMatch", ErrorKind::Unauthenticated, "secret"),
                (403, "InvalidAccessKeyId", ErrorKind::Unauthenticated, "secret"),
                (400, "ExpiredToken", ErrorKind::Unauthenticated, "token"),
                (400, "InvalidArgument", ErrorKind::Rejected, "InvalidArgument"),
            ]
        };
        for (status, code, kind, said) in cases {
            for method in ["HEAD", "GET"] {
                emulator.fault(refused(*status, code).method(method));
            }
            for error in [
                store.head("k").await.unwrap_err(),
                store.reader("k", ReadOptions::new()).meta().await.unwrap_err(),
                store.get("k", GetOptions::new()).await.unwrap_err(),
                store.copy("k", (&store, "to"), CopyOptions::new()).await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), *kind, "{api} {code}: {error}");
                assert_eq!(error.code(), Some(*code), "{api} {code}: {error}");
                assert!(error.to_string().contains(said), "{api} {code}: {error}");
                assert!(!error.is_not_found());
            }
            emulator.admin().clear_faults();
        }
    }
}

#[tokio::test]
async fn a_head_that_passes_by_its_code_is_tried_again() {
    let world = World::impatient(3);
    world.object("k", 10).await;
    for method in ["HEAD", "GET"] {
        world.fault(refused(409, "LockConflict").method(method).count(1));
    }
    assert_eq!(world.store.head("k").await.unwrap().size, 10);
    let methods: Vec<_> = world.exchanges().into_iter().map(|(method, _)| method).collect();
    assert_eq!(methods, ["HEAD", "GET", "HEAD"]);
}

#[tokio::test]
async fn where_head_alone_is_refused_a_get_tells_the_object() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        let options = PutOptions::new().content_type("text/csv").metadata("a", "b");
        let put = store.put("k", pattern(1_000), options).await.unwrap();
        store.put("empty", &b""[..], PutOptions::new()).await.unwrap();
        emulator.fault(status(403).method("HEAD"));
        let head = store.head("k").await.unwrap();
        assert_eq!((head.key.as_str(), head.size, &head.etag), ("k", 1_000, &put.etag), "{api}");
        assert_eq!(head.metadata["a"], "b", "{api}");
        assert_eq!(store.head("empty").await.unwrap().size, 0, "{api}");
        let reader = store.reader("k", ReadOptions::new());
        assert_eq!(reader.meta().await.unwrap().size, 1_000, "{api}");
        assert_eq!(reader.read_at(0..1_000).await.unwrap(), pattern(1_000), "{api}");
        emulator.admin().clear_faults();
    }
}

/// A server that refuses HEAD and takes no part of an object.
#[tokio::test]
async fn where_head_is_refused_a_whole_get_tells_the_object() {
    let server = |asked: &Asked| {
        if asked.method == "HEAD" {
            return b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec();
        }
        let line = match asked.header("range") {
            Some(_) => "206 Partial Content\r\ncontent-range: bytes 0-4/5",
            None => "200 OK",
        };
        format!("HTTP/1.1 {line}\r\netag: \"e\"\r\ncontent-length: 5\r\n\r\nhello").into_bytes()
    };
    let emulator = emulator();
    for store in stores_of(&emulator, &answering(server)) {
        assert_eq!(store.head("k").await.unwrap().size, 5);
        assert_eq!(read(&store, "k").await.unwrap(), b"hello");
    }
    let refusing = |_: &Asked| b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec();
    for store in stores_of(&emulator, &answering(refusing)) {
        let error = store.head("k").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("its HEAD was refused (403)"), "{error}");
    }
}

#[cfg(feature = "s3")]
mod s3_only {
    use super::*;
    use std::time::{Duration, SystemTime};

    /// A server an hour ahead; its HEADs have no body.
    fn ahead(bodies: bool) -> String {
        answering(move |asked| {
            let now = SystemTime::now() + Duration::from_hours(1);
            let date = httpdate::fmt_http_date(now);
            let signed = asked.header("x-amz-date").unwrap();
            let signed = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", signed)
                .and_then(|date| date.to_datetime())
                .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC))
                .unwrap();
            let signed = SystemTime::from(signed.timestamp());
            let off = now.duration_since(signed).unwrap_or_default();
            let good = off < Duration::from_mins(15);
            let body = match (good, asked.method.as_str(), bodies) {
                (false, "GET", true) => "<Error><Code>RequestTimeTooSkewed</Code></Error>",
                (true, "GET", _) => "hello",
                _ => "",
            };
            let length = if good { 5 } else { body.len() };
            let ranged = good && asked.header("range").is_some();
            let line = match (good, ranged) {
                (false, _) => "403 Forbidden",
                (true, false) => "200 OK",
                (true, true) => "206 Partial Content",
            };
            let range = if ranged { "content-range: bytes 0-4/5\r\n" } else { "" };
            format!(
                "HTTP/1.1 {line}\r\ndate: {date}\r\netag: \"e\"\r\n{range}content-length: {length}\r\n\r\n{body}"
            )
            .into_bytes()
        })
    }

    #[tokio::test]
    async fn a_skewed_clock_is_made_up_for_whichever_request_is_first() {
        for bodies in [true, false] {
            for first in ["head", "get", "reader"] {
                let (log, _guard) = Log::listen();
                let store = store_at(
                    &client(common::s3_elsewhere(ahead(bodies))),
                    &format!("s3://{BUCKET}/"),
                );
                match first {
                    "head" => assert_eq!(store.head("k").await.unwrap().size, 5),
                    "get" => assert_eq!(read(&store, "k").await.unwrap(), b"hello"),
                    _ => {
                        let reader = store.reader("k", ReadOptions::new());
                        assert_eq!(reader.meta().await.unwrap().size, 5);
                        assert_eq!(reader.read_at(0..5).await.unwrap(), b"hello"[..]);
                    }
                }
                assert_eq!(log.count("WARN", "set the clock"), 1, "{first} {bodies}");
                assert_eq!(store.head("k").await.unwrap().size, 5);
                assert_eq!(log.count("WARN", "set the clock"), 1, "{first} {bodies}");
            }
        }
    }

    #[tokio::test]
    async fn a_skewed_clock_that_is_not_adjusted_is_told() {
        for bodies in [true, false] {
            let config = common::s3_elsewhere(ahead(bodies)).adjust_clock(false);
            let store = store_at(&client(config), &format!("s3://{BUCKET}/"));
            let error = store.head("k").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
            assert!(error.to_string().contains("the server's"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_wrong_secret_is_told_by_a_head() {
        let emulator = emulator();
        let wrong = common::s3_config(&emulator)
            .secret_access_key(storescope::config::Secret::from("wrong"));
        let store = store_at(&client(wrong), &format!("s3://{BUCKET}/"));
        let error = store.head("k").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
        assert_eq!(error.code(), Some("SignatureDoesNotMatch"), "{error}");
    }

    #[tokio::test]
    async fn a_bucket_elsewhere_is_named_by_a_head() {
        let emulator = storescope_emulator::Emulator::builder()
            .bucket(BUCKET)
            .s3_bucket_region(BUCKET, "eu-west-1")
            .start()
            .unwrap();
        let store = store_at(&client(common::s3_config(&emulator)), &format!("s3://{BUCKET}/"));
        let error = store.head("k").await.unwrap_err();
        assert!(error.to_string().contains("region=eu-west-1"), "{error}");
        // Signed for a region that is not the server's: 400 without a code.
        let emulator = common::emulator();
        let config = common::s3_config(&emulator).region("eu-central-9".to_owned());
        let store = store_at(&client(config), &format!("s3://{BUCKET}/"));
        let error = store.head("k").await.unwrap_err();
        let region = &emulator.ready().s3.as_ref().unwrap().region;
        assert!(error.to_string().contains(&format!("region={region}")), "{error}");
    }
}

// ---- entity tags -------------------------------------------------------------------------------------------------

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

/// By each API; the emulator is there for its keys.
fn stores_of(emulator: &storescope_emulator::Emulator, endpoint: &str) -> Vec<Store> {
    vec![
        store_elsewhere(emulator, endpoint.to_owned(), |config| impatient(config, 4)),
        #[cfg(feature = "s3")]
        store_at(
            &client(impatient(common::s3_elsewhere(endpoint.to_owned()), 4)),
            &format!("s3://{BUCKET}/"),
        ),
    ]
}

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

// ---- metadata ----------------------------------------------------------------------------------------------------

/// Values that no header can hold as they are, or that look as if they were encoded.
const ODD: [(&str, &str); 8] = [
    ("umlaut", "\u{fc}ber"),
    (
        "long",
        "\u{65e5}\u{672c}\u{8a9e} \u{1f980} \u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}",
    ),
    ("control", "a\tb\nc\u{7f}"),
    ("blanks", "  a  "),
    ("encoded", "=?UTF-8?B?w7w=?="),
    ("half", "=?UTF-8?Q?x"),
    ("empty", ""),
    ("plain", "a b; c=\"d\""),
];

fn odd() -> PutOptions {
    ODD.iter().fold(PutOptions::new(), |options, (name, value)| options.metadata(*name, *value))
}

async fn is_odd(store: &Store, key: &str, how: &str) {
    let head = store.head(key).await.unwrap();
    let got = store.get(key, GetOptions::new()).await.unwrap();
    for meta in [&head, got.meta()] {
        for (name, value) in ODD {
            let told = meta.metadata.get(name).map(String::as_str);
            // Some servers drop a header without a value.
            let dropped = value.is_empty() && told.is_none();
            assert!(told == Some(value) || dropped, "{how} {name}: {told:?}");
        }
    }
}

#[tokio::test]
async fn metadata_comes_back_as_it_was_given() {
    let emulator = emulator();
    let stores = stores(&emulator);
    for (api, store) in &stores {
        store.put("put", pattern(10), odd()).await.unwrap();
        is_odd(store, "put", api).await;
        let mut writer = store.writer("parts", odd());
        writer.write(pattern((16 << 20) + 1)).await.unwrap();
        writer.finish().await.unwrap();
        is_odd(store, "parts", api).await;
        store.copy("put", (store, "copy"), CopyOptions::new()).await.unwrap();
        is_odd(store, "copy", api).await;
        // Changed: what was read goes with what is new.
        let meta = store.head("copy").await.unwrap();
        let more = PutOptions::new().like(&meta).metadata("more", "\u{fc}");
        store.put("more", pattern(10), more).await.unwrap();
        is_odd(store, "more", api).await;
        assert_eq!(store.head("more").await.unwrap().metadata["more"], "\u{fc}", "{api}");
        store.rename("more", "renamed", RenameOptions::new()).await.unwrap();
        is_odd(store, "renamed", api).await;
    }
    // Both APIs of one service, and from one service to the other.
    for (from_api, from) in &stores {
        for (to_api, to) in &stores {
            is_odd(to, "put", &format!("{from_api} seen by {to_api}")).await;
            if from_api != to_api {
                let key = format!("{from_api}-to-{to_api}");
                from.copy("put", (to, &key), CopyOptions::new()).await.unwrap();
                is_odd(to, &key, &key).await;
            }
        }
    }
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn a_copy_by_parts_keeps_its_metadata() {
    let emulator = emulator();
    let config = common::s3_config(&emulator).copy_part_size(5_u64 << 20);
    let store = store_at(&client(config), &format!("s3://{BUCKET}/"));
    store.put("k", pattern((5 << 20) + 1), odd()).await.unwrap();
    store.copy("k", (&store, "to"), CopyOptions::new()).await.unwrap();
    is_odd(&store, "to", "by parts").await;
}

/// Servers that answer what AWS does, and servers that answer the bytes.
#[tokio::test]
async fn metadata_of_others_is_read() {
    let head = |prefix: &'static str| {
        move |_: &Asked| {
            let mut head = b"HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 0\r\n".to_vec();
            for (name, value) in [
                ("word", &b"=?UTF-8?B?w7xiZXI=?="[..]),
                ("quoted", b"=?utf-8?Q?=C3=BCber?="),
                ("utf8", "\u{fc}ber".as_bytes()),
                ("latin1", b"\xfcber"),
            ] {
                head.extend(format!("{prefix}{name}: ").into_bytes());
                head.extend(value);
                head.extend(b"\r\n");
            }
            head.extend(b"content-disposition: attachment; filename=\"\xc3\xbcber\"\r\n\r\n");
            head
        }
    };
    let emulator = emulator();
    let stores = [
        store_elsewhere(&emulator, answering(head("opc-meta-")), |config| config),
        #[cfg(feature = "s3")]
        store_at(
            &client(common::s3_elsewhere(answering(head("x-amz-meta-")))),
            &format!("s3://{BUCKET}/"),
        ),
    ];
    for store in stores {
        let meta = store.head("k").await.unwrap();
        for name in ["word", "quoted", "utf8", "latin1"] {
            assert_eq!(meta.metadata.get(name).map(String::as_str), Some("\u{fc}ber"), "{name}");
        }
        let disposition = meta.content_disposition.as_deref();
        assert_eq!(disposition, Some("attachment; filename=\"\u{fc}ber\""));
    }
}

#[tokio::test]
async fn metadata_that_cannot_come_back_is_refused_unsent() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        // By parts the bytes would be sent first.
        for by_parts in [false, true] {
            for (options, said) in [
                (PutOptions::new().metadata("a b", "v"), "\"a b\" cannot name"),
                (PutOptions::new().metadata("", "v"), "\"\" cannot name"),
                (PutOptions::new().metadata("\u{fc}", "v"), "cannot name"),
                (PutOptions::new().metadata("a", "1").metadata("A", "2"), "twice"),
                (PutOptions::new().metadata("storescope-write", "v"), "reserved"),
                (PutOptions::new().metadata("a", "x".repeat(9_000)), "2,048 bytes"),
                (
                    PutOptions::new().content_disposition("attachment; filename=\u{fc}"),
                    "filename*=",
                ),
                (PutOptions::new().content_type(" text/plain"), "content-type"),
                (PutOptions::new().cache_control("a\nb"), "cache-control"),
            ] {
                let error = if by_parts {
                    let mut writer = store.writer("k", options);
                    writer.write(pattern((16 << 20) + 1)).await.unwrap_err()
                } else {
                    store.put("k", pattern(10), options).await.unwrap_err()
                };
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{api}: {error}");
                assert!(error.to_string().contains(said), "{api} {said}: {error}");
            }
        }
        assert!(emulator.record().iter().all(|line| line.method != "PUT"), "{api}");
    }
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn too_much_metadata_is_told_by_the_service() {
    let emulator = emulator();
    let store = store_at(&client(common::s3_config(&emulator)), &format!("s3://{BUCKET}/"));
    let much = || PutOptions::new().metadata("a", "x".repeat(2_100));
    let error = store.put("k", pattern(10), much()).await.unwrap_err();
    assert_eq!(error.code(), Some("MetadataTooLarge"), "{error}");
    assert!(error.to_string().contains("2,048 bytes"), "{error}");
    let mut writer = store.writer("k", much());
    let error = writer.write(pattern((16 << 20) + 1)).await.unwrap_err();
    assert_eq!(error.code(), Some("MetadataTooLarge"), "{error}");
}
