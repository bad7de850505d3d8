// SPDX-License-Identifier: Apache-2.0
//! What an error says, also one whose answer had no body.

use crate::common::server::{Asked, answering};
use crate::common::{
    self, BUCKET, Log, World, bucket_url, client, config, emulator, impatient, ms, pattern, read,
    read_range, refused, status, store, store_at, store_elsewhere, stores, stores_of,
};
use futures_util::StreamExt;
use std::time::Instant;
use storescope::timing::Operation;
use storescope::{
    CopyOptions, DeleteOptions, ErrorKind, GetOptions, ListOptions, PutOptions, ReadOptions,
    StoreOptions, StoreUrl,
};
use storescope_emulator::Emulator;

#[tokio::test]
async fn an_error_says_what_is_needed_to_act() {
    let world = World::impatient(3);
    world.object("k", 10).await;
    let key_url = |key: &str| format!("{}{key}", bucket_url(&world.emulator));

    let began = Instant::now();
    let error = read_range(&world.store, "a b/absent?", 0..1).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::NotFound, Some(Operation::Get)));
    assert_eq!(error.object(), Some(key_url("a b/absent?").as_str()));
    assert_eq!((error.status(), error.code()), (Some(404), Some("ObjectNotFound")));
    assert!(error.request_id().unwrap().starts_with("iad-1:"), "{error:?}");
    assert_eq!(error.attempts(), 1);
    assert!(!error.elapsed().is_zero() && error.elapsed() <= began.elapsed());
    assert!(error.hint().is_some());
    let line = world.line_of(&error);
    assert_eq!((line.status, line.range.as_deref()), (Some(404), Some("bytes=0-0")));
    assert!(line.user_agent.unwrap().starts_with("storescope/"));
    let text = error.to_string();
    for part in ["a b/absent?", "404", "ObjectNotFound", "1 attempt", error.request_id().unwrap()] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    assert!(!text.contains('\n'));

    world.fault(status(503));
    for (operation, outcome) in [
        (Operation::Get, read(&world.store, "k").await.map(drop)),
        (Operation::Head, world.store.head("k").await.map(drop)),
        (Operation::Put, world.store.put("k", &b"x"[..], PutOptions::new()).await.map(drop)),
        (Operation::Delete, world.store.delete("k", DeleteOptions::new()).await),
        (Operation::List, world.store.list("", ListOptions::new()).next().await.unwrap().map(drop)),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!((error.operation(), error.attempts()), (Some(operation), 3), "{error}");
        assert_eq!((error.kind(), error.status()), (ErrorKind::Server, Some(503)));
        assert!(error.object().unwrap().starts_with(&bucket_url(&world.emulator)));
        assert!(error.request_id().is_some() && error.hint().is_some(), "{error:?}");
        assert_eq!(world.line_of(&error).status, Some(503));
        // HEAD has no body, hence no code.
        assert_eq!(error.code().is_some(), operation != Operation::Head, "{error}");
    }
}

#[tokio::test]
async fn every_attempt_has_a_name_of_its_own() {
    let world = World::impatient(4);
    world.object("k", 10).await;
    world.fault(status(503).count(3));
    read(&world.store, "k").await.unwrap();
    let mut ids: Vec<String> =
        world.record().into_iter().map(|line| line.client_request_id.unwrap()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn a_principal_without_permission_is_told_so() {
    let world = World::impatient(3);
    world.fault(status(403));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::PermissionDenied, Some(403)));
    assert!(error.hint().unwrap().contains("policy"), "{error}");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told_quickly() {
    let emulator = common::emulator();
    let vacant = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let store =
        store_elsewhere(&emulator, format!("http://{vacant}"), |config| impatient(config, 3));
    let began = Instant::now();
    let error = read(&store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 3), "{error}");
    assert!(began.elapsed() < ms(1_500), "{:?}", began.elapsed());
    assert!(error.to_string().contains(&vacant.to_string()) && error.hint().is_some(), "{error}");
    assert_eq!((error.status(), error.request_id()), (None, None));

    let nowhere = "http://no-such-host.invalid".to_owned();
    let store = store_elsewhere(&emulator, nowhere, |config| impatient(config, 2));
    let error = read(&store, "k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_before_it_is() {
    let world = World::new();
    for text in ["bucket/key", "gs://bucket/", "oci://b@/k", "oci:///k"] {
        let error = text.parse::<StoreUrl>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(text), "{error}");
    }
    let kind = |url: &str| {
        world.client.store(&url.parse().unwrap(), StoreOptions::new()).unwrap_err().kind()
    };
    assert_eq!(kind("oci://@ns"), ErrorKind::InvalidInput);
    assert_eq!(
        "http://bucket/key".parse::<StoreUrl>().unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    if cfg!(not(feature = "s3")) {
        assert_eq!(kind("s3://bucket/"), ErrorKind::Unsupported);
    }
    let options = StoreOptions::new().set("no_such_setting", "1");
    let url = bucket_url(&world.emulator).parse().unwrap();
    let error = world.client.store(&url, options).unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("no_such_setting"));
}

#[tokio::test]
async fn a_profile_that_is_wrong_says_file_profile_and_mend() {
    let emulator = common::emulator();
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(&emulator.ready().oci.config_file).unwrap();
    let file = folder.path().join("config");
    let no_key = good.replace("/key.pem", "/no-such-key.pem");
    for (text, profile, parts) in [
        (&good, "NONE", &["[NONE]", "DEFAULT"][..]),
        (&no_key, "DEFAULT", &["[DEFAULT]", "no-such-key.pem", "key_file"]),
        (&good.replace("user = ", "nobody = "), "DEFAULT", &["[DEFAULT]", "user"]),
    ] {
        std::fs::write(&file, text).unwrap();
        let config = config(&emulator).config_file(file.clone()).profile(profile.to_owned());
        let error = read(&store(&client(config), &emulator), "k").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        for part in parts.iter().chain(&[file.to_str().unwrap()]) {
            assert!(error.to_string().contains(part), "{part:?} in {error}");
        }
        assert_eq!(
            (error.attempts(), emulator.record().len()),
            (0, 0),
            "nothing was sent: {error}"
        );
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
}
