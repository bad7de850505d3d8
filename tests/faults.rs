// SPDX-License-Identifier: Apache-2.0
//! What goes wrong, and what becomes of it: typed errors that say enough, answers that were lost settled by looking,
//! bodies that broke resumed, every wait ended. Never wrong or short bytes, never a hang.

mod common;

use common::server::{reply, scripted};
use common::{
    Log, World, all_text, bucket_url, client, config, impatient, pattern, raw_server, read,
    read_head, read_range, status, store, store_at, store_elsewhere, until,
};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use storescope::timing::{Level, Operation, Outcome, Phase};
use storescope::{
    DeleteOptions, Error, ErrorKind, GetOptions, ListEntry, ListOptions, PutMode, PutOptions,
    RenameOptions, StoreOptions, StoreUrl,
};
use storescope_emulator::{Action, Emulator, Fault};

/// Longer than any test may take: what waits so long waits for ever.
const FOR_EVER: u64 = 600_000;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn create() -> PutOptions {
    PutOptions::new().mode(PutMode::Create)
}

fn update(etag: &str) -> PutOptions {
    PutOptions::new().mode(PutMode::Update(etag.to_owned()))
}

fn dropped(method: &str) -> Fault {
    Fault::new(Action::DropResponse).method(method).count(1)
}

fn reset(method: &str) -> Fault {
    Fault::new(Action::Reset).method(method).count(1)
}

/// Ended by the limit it was to be ended by, and soon after: the machine may be busy for a second.
fn assert_ended_near(error: &Error, limit: Duration, began: Instant) {
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(began.elapsed() >= limit && began.elapsed() < limit + ms(1_500), "{error}");
    assert!(error.elapsed() >= limit && error.elapsed() <= began.elapsed(), "{error}");
}

// ---- what is retried (contracts 3.1) -----------------------------------------------------------------------------

#[tokio::test]
async fn what_passes_is_retried() {
    let world = World::impatient(2);
    let bytes = world.object("k", 1_000).await;
    let coded = |status: u16, code: &str| {
        let code = Some(code.to_owned());
        Fault::new(Action::Status { status, code, message: None, retry_after: None })
    };
    let statuses = [408, 425, 429, 500, 502, 503, 504, 509].into_iter().chain(520..=529);
    let others = [
        coded(400, "RequestTimeout"),
        coded(409, "IncorrectState"),
        coded(409, "LockConflict"),
        coded(409, "ConcurrentObjectUpdate"),
        Fault::new(Action::Reset),
        Fault::new(Action::DropResponse),
    ];
    for fault in statuses.map(status).chain(others) {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            world.store.put("k", bytes.clone(), PutOptions::new()).await.unwrap();
            world.emulator.admin().clear_record();
            // A client with no connection yet: a reset of a reused one would be repeated free of charge.
            let client = client(impatient(config(&world.emulator), 2));
            let store = store(&client, &world.emulator);
            let told = format!("{method} {:?}", fault.action);
            if method == "HEAD" && (told.contains("409") || told.contains("400")) {
                // Which of them it is stands in the body, and a HEAD's answer has none.
                continue;
            }
            world.fault(fault.clone().method(method).count(1));
            match method {
                "GET" => assert_eq!(read(&store, "k").await.expect(&told), bytes),
                "HEAD" => assert_eq!(store.head("k").await.expect(&told).size, 1_000),
                "PUT" => {
                    store.put("k", bytes.clone(), PutOptions::new()).await.expect(&told);
                }
                _ => {
                    store.delete("k", DeleteOptions::new()).await.expect(&told);
                    assert!(store.head("k").await.unwrap_err().is_not_found(), "{told}");
                }
            }
            assert!(world.record().len() >= 2, "{told}: {:?}", world.exchanges());
            // A delete that was done is found out by looking, not by another delete.
            let done = method == "DELETE" && fault.action == Action::DropResponse;
            assert_eq!(client.metrics().retries(), u64::from(!done), "{told}");
            world.emulator.admin().clear_faults();
        }
    }
}

#[tokio::test]
async fn what_does_not_pass_is_not_retried() {
    // A reused signature that is refused is another matter.
    let world = World::with(|config| impatient(config, 5).signature_reuse(Duration::ZERO));
    world.object("k", 10).await;
    for (code, kind) in [
        (400, ErrorKind::Rejected),
        (401, ErrorKind::Unauthenticated),
        (403, ErrorKind::PermissionDenied),
        (404, ErrorKind::BucketNotFound),
        (412, ErrorKind::Precondition),
        (501, ErrorKind::Unsupported),
    ] {
        world.emulator.admin().clear_faults();
        world.emulator.admin().clear_record();
        world.fault(status(code));
        let error = read(&world.store, "k").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.status(), error.attempts()),
            (kind, Some(code), 1),
            "{error}"
        );
        assert_eq!(world.record().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_store_that_fails_for_ever_is_given_up() {
    for (code, kind) in
        [(503, ErrorKind::Server), (500, ErrorKind::Server), (429, ErrorKind::Throttled)]
    {
        let world = World::impatient(4);
        world.object("k", 10).await;
        world.fault(status(code));
        let (log, _listening) = Log::listen();
        let error = read(&world.store, "k").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.status(), error.attempts()),
            (kind, Some(code), 4),
            "{error}"
        );
        assert_eq!(world.record().len(), 4);
        assert_eq!((log.count("DEBUG", "retrying"), log.count("WARN", "gave up")), (3, 1));
        let outcome = Outcome::of_status(code);
        let seen = world.client.metrics().snapshot();
        assert_eq!(seen.outcomes(Level::Attempt, Operation::Get).get(&outcome), Some(&4));
        assert_eq!(seen.outcomes(Level::Call, Operation::Get).get(&outcome), Some(&1));
    }
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let world = World::impatient(3);
    let bytes = world.object("k", 10).await;
    world.fault(Fault::new(Action::Throttle { requests: 1, retry_after: Some(1) }));
    let began = Instant::now();
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);
    assert!(began.elapsed() >= ms(1_000), "{:?}", began.elapsed());
    let [first, second] = &world.record()[..] else { panic!("{:?}", world.exchanges()) };
    assert_eq!((first.status, second.status), (Some(429), Some(200)));
    assert!(second.head_read_ns - first.last_byte_ns.unwrap() >= 1_000_000_000);
    let seen = world.client.metrics().snapshot();
    let backoff = seen
        .select(|key| key.level == Level::Call && key.phase == Phase::Backoff)
        .expect("the call slept");
    assert!(backoff.sum() >= 1_000_000_000, "{backoff:?}");
}

#[tokio::test]
async fn the_process_has_a_budget_of_retries() {
    let world = World::with(|config| impatient(config, 10_000).retry_budget(0_u32));
    world.object("k", 10).await;
    world.fault(status(503));
    let error = read(&world.store, "k").await.unwrap_err();
    // A hundred retries are free, and this call had them all.
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Server, 101), "{error}");
    assert!(error.to_string().contains("retry_budget"), "{error}");
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!(error.attempts(), 1, "none is left for another call");
    assert_eq!(world.record().len(), 102);
}

#[tokio::test]
async fn a_call_that_gets_nowhere_ends() {
    let world = World::with(|config| {
        config.attempts(1_000_u32).backoff_base(ms(20)).backoff_cap(ms(20)).call_timeout(ms(200))
    });
    world.object("k", 10).await;
    world.fault(status(503));
    let began = Instant::now();
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert!(error.attempts() > 2 && began.elapsed() < ms(1_700), "{error}");
    assert!(error.to_string().contains("call_timeout"), "{error}");
}

// ---- bodies that break (contracts 3.2, 4.2) -----------------------------------------------------------------------

#[tokio::test]
async fn a_broken_body_resumes_at_the_byte_reached() {
    let world = World::impatient(3);
    let bytes = world.object("k", 400_000).await;
    for (truncated, asked, resumed) in [
        (100_000, None, "bytes=100000-399999"),
        (0, None, "bytes=0-399999"),
        (399_999, None, "bytes=399999-399999"),
        (70_000, Some(1_000..301_000), "bytes=71000-300999"),
    ] {
        world.emulator.admin().clear_record();
        world.fault(Fault::new(Action::Truncate { after: truncated }).method("GET").count(1));
        let whole = 0..400_000;
        let (from, to) =
            (asked.clone().unwrap_or(whole.clone()).start, asked.clone().unwrap_or(whole).end);
        let got = match asked.clone() {
            Some(range) => read_range(&world.store, "k", range).await,
            None => read(&world.store, "k").await,
        };
        assert!(got.unwrap() == bytes[from as usize..to as usize], "cut after {truncated}");
        let ranges: Vec<_> = world.record().into_iter().map(|line| line.range).collect();
        let first = asked.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        assert_eq!(ranges, [first, Some(resumed.to_owned())]);
    }
}

#[tokio::test]
async fn a_body_that_breaks_again_and_again_is_whole_in_the_end() {
    let world = World::impatient(2);
    let bytes = world.object("k", 200_000).await;
    // Ten thousand bytes a request: more breaks than a call has attempts, each with something gained.
    world.fault(Fault::new(Action::Truncate { after: 10_000 }).method("GET"));
    assert!(read(&world.store, "k").await.unwrap() == bytes);
    assert_eq!(world.record().len(), 20);
}

#[tokio::test]
async fn a_server_that_closes_at_once_for_ever_is_given_up() {
    let world = World::impatient(3);
    world.object("k", 200_000).await;
    world.fault(Fault::new(Action::Truncate { after: 0 }).method("GET"));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Reset, Some(Operation::Get)),
        "{error}"
    );
    assert!((3..=9).contains(&error.attempts()), "{error}");
    assert_eq!(world.record().len(), error.attempts() as usize);
    assert!(error.object().is_some() && !error.elapsed().is_zero());
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_body_names_its_request() {
    let world = World::impatient(1);
    world.object("k", 200_000).await;
    world.fault(Fault::new(Action::Truncate { after: 1_000 }).method("GET").count(1));
    let mut stream = world.store.get("k", GetOptions::new()).await.unwrap().into_stream();
    let mut got = Vec::new();
    let error = loop {
        match stream.next().await.expect("no end before the error") {
            Ok(bytes) => got.extend_from_slice(&bytes),
            Err(error) => break error,
        }
    };
    assert!(got.len() == 1_000 && got == pattern(200_000)[..1_000], "{} bytes", got.len());
    assert!(stream.next().await.is_none());
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 1), "{error}");
    assert_eq!(world.line_of(&error).bytes_out, 1_000);
}

#[tokio::test]
async fn a_stalled_body_is_given_up_and_resumed() {
    let world = World::with(|config| impatient(config, 3).stall_timeout(ms(150)));
    let bytes = world.object("k", 300_000).await;
    world.fault(Fault::new(Action::Stall { after: 50_000, ms: None }).method("GET").count(1));
    assert!(read(&world.store, "k").await.unwrap() == bytes);
    until("both requests recorded", || world.record().len() == 2).await;
    let ranges: Vec<_> = world.record().into_iter().filter_map(|line| line.range).collect();
    assert_eq!(ranges, ["bytes=50000-299999"]);
    let seen = world.client.metrics().snapshot();
    let outcomes = seen.outcomes(Level::Attempt, Operation::Get);
    assert_eq!((outcomes.get(&Outcome::Timeout), outcomes.get(&Outcome::Ok)), (Some(&1), Some(&1)));
}

/// A hundred bytes an answer are no progress: a read of any length would make requests for ever.
#[tokio::test]
async fn a_body_that_breaks_after_few_bytes_again_and_again_is_given_up() {
    let world = World::impatient(4);
    world.object("k", 200_000).await;
    world.fault(Fault::new(Action::Truncate { after: 100 }).method("GET"));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 4), "{error}");
    assert_eq!(world.record().len(), 4);

    // Each answer stalls after so few: each is waited for once.
    let world =
        World::with(|config| impatient(config, 3).stall_timeout(ms(100)).stall_rate(10_000_u64));
    world.object("k", 200_000).await;
    world.fault(Fault::new(Action::Stall { after: 900, ms: None }).method("GET"));
    let began = Instant::now();
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 3), "{error}");
    assert!(began.elapsed() >= ms(300), "{:?}", began.elapsed());

    // What came before the stall is progress where it is enough.
    world.emulator.admin().clear_faults();
    let bytes = world.object("k", 200_000).await;
    world.fault(Fault::new(Action::Stall { after: 40_000, ms: None }).method("GET"));
    assert!(read(&world.store, "k").await.unwrap() == bytes);
    until("all requests recorded", || world.record().len() == 5).await;
}

#[tokio::test]
async fn an_object_replaced_in_the_middle_of_a_broken_read_is_changed() {
    let world = World::impatient(3);
    world.object("k", 400_000).await;
    for deleted in [false, true] {
        world.fault(Fault::new(Action::Truncate { after: 100_000 }).method("GET").count(1));
        let got = world.store.get("k", GetOptions::new()).await.unwrap();
        if deleted {
            world.store.delete("k", DeleteOptions::new()).await.unwrap();
        } else {
            world.store.put("k", vec![7; 400_000], PutOptions::new()).await.unwrap();
        }
        let error = got.bytes().await.unwrap_err();
        assert!(error.is_changed() && error.kind() == ErrorKind::Changed, "{error}");
        assert!(error.hint().is_some() && error.object().is_some());
        assert_eq!(error.attempts(), 2, "{error}");
    }
}

#[tokio::test]
async fn a_range_that_is_not_the_one_asked_for_is_an_error() {
    let world = World::impatient(2);
    let bytes = world.object("k", 100_000).await;
    for action in [Action::IgnoreRange, Action::WrongContentRange] {
        world.emulator.admin().clear_faults();
        world.fault(Fault::new(action.clone()).method("GET"));
        for range in [1_000..2_000, 0..1_000, 50_000..150_000] {
            let error = read_range(&world.store, "k", range).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{action:?}: {error}");
            assert!(world.line_of(&error).status.is_some());
        }
    }
    world.emulator.admin().clear_faults();
    world.fault(Fault::new(Action::IgnoreRange).method("GET"));
    // All of it by a range: what came is what was asked for.
    assert!(read_range(&world.store, "k", 0..100_000).await.unwrap() == bytes);
}

/// An answer that is not what was asked for is counted as that, not as a connection that broke.
#[tokio::test]
async fn answers_that_are_not_what_was_asked_for_are_counted_as_invalid() {
    let world = World::impatient(2);
    world.object("k", 100_000).await;
    let count = |level, outcome| {
        let seen = world.client.metrics().snapshot();
        seen.outcomes(level, Operation::Get).get(&outcome).copied().unwrap_or(0)
    };
    for (number, action) in [Action::IgnoreRange, Action::WrongContentRange].into_iter().enumerate()
    {
        world.fault(Fault::new(action).method("GET").count(1));
        read_range(&world.store, "k", 1_000..2_000).await.unwrap_err();
        for level in [Level::Attempt, Level::Call] {
            assert_eq!(count(level, Outcome::Invalid), number as u64 + 1, "{level}");
        }
    }
    // All bytes came, and they are not the object's: the exchange was a good one, the call was not.
    world.fault(Fault::new(Action::Corrupt { offset: 5 }).method("GET").count(1));
    assert_eq!(read(&world.store, "k").await.unwrap_err().kind(), ErrorKind::Integrity);
    assert_eq!(count(Level::Call, Outcome::Invalid), 3);
    world.fault(Fault::new(Action::Truncate { after: 10 }).method("GET").count(1));
    read(&world.store, "k").await.unwrap();
    assert_eq!((count(Level::Attempt, Outcome::Reset), count(Level::Call, Outcome::Reset)), (1, 0));
}

#[tokio::test]
async fn a_wrong_range_in_the_answer_to_a_resumption_is_no_bytes() {
    let world = World::impatient(2);
    world.object("k", 100_000).await;
    world.fault(Fault::new(Action::Truncate { after: 10_000 }).method("GET").count(1));
    world.fault(Fault::new(Action::IgnoreRange).method("GET").nth(2));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

/// A server that answers every request alike.
fn answering(head: &'static str, body: &'static [u8]) -> String {
    let address = raw_server(move |mut stream| {
        while read_head(&mut stream) {
            if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
                return;
            }
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn md5_checks_where_there_is_no_crc32c() {
    let emulator = common::emulator();
    // MD5 of "hello world", by md5sum.
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\netag: e\r\ncontent-md5: XrY7u+Ae7tCTyyK7j1rNww==\r\n\r\n";
    let good = store_elsewhere(&emulator, answering(head, b"hello world"), |config| config);
    assert_eq!(read(&good, "k").await.unwrap(), b"hello world");
    let bad = store_elsewhere(&emulator, answering(head, b"hello worle"), |config| config);
    assert_eq!(read(&bad, "k").await.unwrap_err().kind(), ErrorKind::Integrity);
}

#[tokio::test]
async fn what_is_no_answer_is_a_protocol_error() {
    let emulator = common::emulator();
    for (head, body) in [
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", &b""[..]),
        ("HTTP/1.1 206 Partial Content\r\ncontent-length: 4\r\n\r\n", b"abcd"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\n", b"abcd"),
    ] {
        let store =
            store_elsewhere(&emulator, answering(head, body), |config| impatient(config, 2));
        let error = read(&store, "k").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{head:?}: {error}");
        assert!(error.object().is_some() && error.client_request_id().is_some(), "{head:?}");
    }
    let listing = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n";
    let store = store_elsewhere(&emulator, answering(listing, b"{\"obj\":"), |config| config);
    let error = store.list("", ListOptions::new()).next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.client_request_id().is_some(), "{error}");
}

#[tokio::test]
async fn a_write_stored_otherwise_is_an_integrity_error() {
    let emulator = common::emulator();
    let head =
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\netag: e\r\nopc-content-crc32c: AAAAAA==\r\n\r\n";
    let store = store_elsewhere(&emulator, answering(head, b""), |config| impatient(config, 2));
    let error = store.put("k", &b"hello"[..], PutOptions::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
}

/// A server that answers its requests with these documents in turn, the last of them for ever.
fn listing(pages: &'static [&'static str]) -> String {
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
    let store = store_elsewhere(&emulator, listing(pages), |config| config);
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
        let store = store_elsewhere(&emulator, listing(page), |config| config);
        let entries: Vec<_> = store.list("", ListOptions::new()).take(20).collect().await;
        let error = entries.into_iter().find_map(Result::err).expect("it ends");
        assert_eq!(error.kind(), ErrorKind::Protocol, "{page:?}: {error}");
    }
}

// ---- answers that were lost (contracts 3.3) -----------------------------------------------------------------------

#[tokio::test]
async fn a_create_whose_answer_was_lost_has_succeeded() {
    let world = World::impatient(4);
    world.fault(dropped("PUT"));
    let meta = world.store.put("k", &b"mine"[..], create()).await.unwrap();
    assert_eq!((meta.key.as_str(), meta.size), ("k", 4));
    assert_eq!(meta.etag, world.store.head("k").await.unwrap().etag);
    let puts = world.record().iter().filter(|line| line.method == "PUT").count();
    assert_eq!(puts, 1, "{:?}", world.exchanges());
}

#[tokio::test]
async fn a_create_that_never_arrived_is_made_again() {
    let world = World::impatient(4);
    world.fault(reset("PUT"));
    world.store.put("k", &b"mine"[..], create()).await.unwrap();
    assert_eq!(read(&world.store, "k").await.unwrap(), b"mine");
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_does_not_succeed_for_another() {
    let world = World::impatient(4);
    world.store.put("k", &b"theirs"[..], PutOptions::new()).await.unwrap();
    for fault in [reset("PUT"), dropped("PUT"), status(500).method("PUT").count(1)] {
        world.fault(fault);
        let error = world.store.put("k", &b"mine, longer"[..], create()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        assert!(error.is_precondition());
    }
    assert_eq!(read(&world.store, "k").await.unwrap(), b"theirs");
}

/// Two who create a lock write the same bytes.
#[tokio::test]
async fn a_create_whose_answer_was_lost_does_not_succeed_for_anothers_same_bytes() {
    let world = World::impatient(4);
    world.store.put("lock", &b"locked"[..], create()).await.unwrap();
    for fault in [reset("PUT"), dropped("PUT")] {
        world.fault(fault);
        let outcome = world.store.put("lock", &b"locked"[..], create()).await;
        let error = outcome.expect_err("the lock was another's before");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    }
}

#[tokio::test]
async fn an_update_whose_answer_was_lost_has_succeeded() {
    let world = World::impatient(4);
    let before = world.store.put("k", &b"old"[..], PutOptions::new()).await.unwrap().etag.unwrap();
    world.emulator.admin().clear_record();
    world.fault(dropped("PUT"));
    let after = world.store.put("k", &b"new"[..], update(&before)).await.unwrap();
    assert_eq!(after.etag, world.store.head("k").await.unwrap().etag);
    let puts = world.record().iter().filter(|line| line.method == "PUT").count();
    assert_eq!(puts, 1, "{:?}", world.exchanges());
    assert_eq!(read(&world.store, "k").await.unwrap(), b"new");
}

#[tokio::test]
async fn an_update_that_never_arrived_is_made_again() {
    let world = World::impatient(4);
    let before = world.store.put("k", &b"old"[..], PutOptions::new()).await.unwrap().etag.unwrap();
    for fault in
        [reset("PUT"), status(500).method("PUT").count(1), status(503).method("PUT").count(1)]
    {
        let etag = world.store.head("k").await.unwrap().etag.unwrap();
        world.fault(fault);
        world.store.put("k", &b"new"[..], update(&etag)).await.unwrap();
        assert_eq!(read(&world.store, "k").await.unwrap(), b"new");
    }
    let error = world.store.put("k", &b"newer"[..], update(&before)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
}

#[tokio::test]
async fn an_update_whose_refusal_was_lost_is_refused() {
    let world = World::impatient(4);
    let first = world.store.put("k", &b"one"[..], PutOptions::new()).await.unwrap().etag.unwrap();
    world.store.put("k", &b"two"[..], PutOptions::new()).await.unwrap();
    world.fault(dropped("PUT"));
    let error = world.store.put("k", &b"three"[..], update(&first)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
    assert_eq!(read(&world.store, "k").await.unwrap(), b"two");
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_has_succeeded() {
    let world = World::impatient(4);
    let etag = world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap().etag.unwrap();
    world.fault(dropped("DELETE"));
    world.store.delete("k", DeleteOptions::new().if_match(etag)).await.unwrap();
    assert!(world.store.head("k").await.unwrap_err().is_not_found());

    world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    world.fault(dropped("DELETE"));
    world.store.delete("k", DeleteOptions::new()).await.unwrap();
    assert!(world.store.head("k").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_delete_that_never_arrived_is_made_again() {
    let world = World::impatient(4);
    for fault in [reset("DELETE"), status(500).method("DELETE").count(1)] {
        world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
        world.fault(fault);
        world.store.delete("k", DeleteOptions::new()).await.unwrap();
        assert!(world.store.head("k").await.unwrap_err().is_not_found());
    }
}

#[tokio::test]
async fn a_delete_whose_refusal_was_lost_is_refused() {
    let world = World::impatient(4);
    let first = world.store.put("k", &b"one"[..], PutOptions::new()).await.unwrap().etag.unwrap();
    world.store.put("k", &b"two"[..], PutOptions::new()).await.unwrap();
    world.fault(dropped("DELETE"));
    let options = DeleteOptions::new().if_match(first);
    let error = world.store.delete("k", options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
    assert_eq!(read(&world.store, "k").await.unwrap(), b"two");
}

/// A request may take effect after the look that did not find it: the refusal of the next one is no answer either.
#[tokio::test]
async fn a_create_that_landed_after_the_look_has_succeeded() {
    let world = World::impatient(4);
    world.fault(dropped("PUT"));
    world.fault(status(404).method("HEAD").count(1));
    let meta = world.store.put("k", &b"mine"[..], create()).await.unwrap();
    assert_eq!(meta.etag, world.store.head("k").await.unwrap().etag);
    assert_eq!(read(&world.store, "k").await.unwrap(), b"mine");
}

#[tokio::test]
async fn a_delete_that_landed_after_the_look_has_succeeded() {
    let emulator = common::emulator();
    let removals = AtomicUsize::new(0);
    let (endpoint, seen) = scripted(move |asked| match asked.method.as_str() {
        "HEAD" => reply("200 OK", "etag: e\r\n", ""),
        _ if removals.fetch_add(1, Relaxed) == 0 => None,
        _ => reply("404 Not Found", "", r#"{"code":"ObjectNotFound","message":"gone"}"#),
    });
    let store = store_elsewhere(&emulator, endpoint, |config| impatient(config, 4));
    store.delete("k", DeleteOptions::new()).await.unwrap();
    let asked: Vec<_> = seen.lock().unwrap().iter().map(|asked| asked.method.clone()).collect();
    assert_eq!(asked, ["DELETE", "HEAD", "DELETE"]);
}

#[tokio::test]
async fn an_unknown_outcome_is_told_as_a_failure() {
    let world = World::impatient(3);
    world.fault(dropped("PUT"));
    world.fault(status(503).method("HEAD"));
    let error = world.store.put("k", &b"mine"[..], create()).await.unwrap_err();
    // What the put failed with, and that it may have happened all the same.
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Reset, Some(Operation::Put)));
    assert!(error.to_string().contains("may have taken effect"), "{error}");
    assert!(error.to_string().contains("503"), "{error}");
}

/// Whose bucket it is that stands there cannot be seen, so what is not known is told as such, and not done twice.
#[tokio::test]
async fn a_bucket_made_or_removed_without_an_answer_is_told_as_unknown() {
    let world = World::impatient(4);
    let url: StoreUrl =
        bucket_url(&world.emulator).replacen("bucket", "second", 1).parse().unwrap();
    world.fault(dropped("POST"));
    let error = world.client.create_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 1), "{error}");
    let again = world.client.create_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists, "{again}");

    world.fault(dropped("DELETE"));
    let error = world.client.delete_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 1), "{error}");
    let again = world.client.delete_bucket(&url, StoreOptions::new()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::BucketNotFound, "{again}");
}

// ---- what is dropped (contracts 3.4, 6.1, 6.3) --------------------------------------------------------------------

#[tokio::test]
async fn a_dropped_body_frees_its_connection_at_once() {
    let world = World::with(|config| config.max_connections(1_u32));
    world.object("big", 32 << 20).await;
    world.object("small", 10).await;
    let metrics = world.client.metrics();
    let mut body = world.store.get("big", GetOptions::new()).await.unwrap().into_stream();
    body.next().await.unwrap().unwrap();
    assert_eq!((metrics.attempts_in_flight(), metrics.connections_open()), (1, 1));
    let mut waiting = Box::pin(world.store.head("small"));
    assert!(waiting.as_mut().now_or_never().is_none(), "there is one connection, and it is in use");
    let mut waiting_too = Box::pin(world.store.head("small"));
    assert!(waiting_too.as_mut().now_or_never().is_none());

    drop(body);
    assert_eq!(metrics.attempts_in_flight(), 0);
    // One that waits for the permit and is dropped leaves it to the other.
    drop(waiting);
    assert_eq!(waiting_too.await.unwrap().size, 10);
    until("the connection of the dropped body is closed", || metrics.connections_open() == 1).await;
    until("its request has ended", || world.record().len() == 2).await;
    let big = world.record().into_iter().find(|line| line.target.ends_with("/big")).unwrap();
    assert!(big.bytes_out < 32 << 20 && big.last_byte_ns.is_none(), "{big:?}");
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_recorded() {
    let world = World::new();
    world.object("k", 10).await;
    world.fault(Fault::new(Action::Delay { ms: FOR_EVER }).method("GET"));
    let metrics = world.client.metrics();
    let mut call = Box::pin(world.store.get("k", GetOptions::new()));
    while metrics.attempts_in_flight() == 0 {
        assert!(call.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(call);
    assert_eq!(metrics.attempts_in_flight(), 0);
    until("its connection is closed", || metrics.connections_open() == 1).await;
    let seen = metrics.snapshot();
    for level in [Level::Attempt, Level::Call] {
        let outcomes = seen.outcomes(level, Operation::Get);
        assert_eq!(outcomes.get(&Outcome::Cancelled), Some(&1), "{level:?}: {outcomes:?}");
        assert_eq!(outcomes.get(&Outcome::Ok), None);
    }
}

/// The largest of a kernel's socket buffers, in bytes.
fn largest_buffer(name: &str) -> u64 {
    let text = std::fs::read_to_string(Path::new("/proc/sys/net/ipv4").join(name)).unwrap();
    text.split_whitespace().last().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_held_back_and_does_not_time_out() {
    const SIZE: usize = 64 << 20;
    let world = World::with(|config| impatient(config, 1).stall_timeout(ms(100)));
    let bytes = world.object("k", SIZE).await;
    for read_on in [true, false] {
        let mut body = world.store.get("k", GetOptions::new()).await.unwrap().into_stream();
        let first = body.next().await.unwrap().unwrap();
        // Thinking, for longer than the stall timeout: this time is what is tested.
        tokio::time::sleep(ms(400)).await;
        if read_on {
            let mut reached = first.len();
            assert!(bytes.starts_with(&first));
            while let Some(more) = body.next().await {
                let more = more.unwrap();
                assert!(bytes[reached..].starts_with(&more));
                reached += more.len();
            }
            assert_eq!(reached, SIZE);
            let seen = world.client.metrics().snapshot();
            let paused = seen.attempts(Operation::Get, Phase::Paused, Outcome::Ok).unwrap();
            assert!(paused.max() >= 300_000_000, "the caller's own time is told: {paused:?}");
        }
    }
    until("the dropped body's request has ended", || world.record().len() == 2).await;
    let sent =
        world.record().into_iter().find(|line| line.last_byte_ns.is_none()).unwrap().bytes_out;
    // Both kernels' buffers, and a megabyte for hyper's own window and what was read.
    let window = largest_buffer("tcp_wmem") + largest_buffer("tcp_rmem") + (1 << 20);
    assert!(
        sent <= window && window < SIZE as u64,
        "{sent} bytes were sent; the window has {window}"
    );
}

#[tokio::test]
async fn shutdown_waits_for_what_is_under_way_and_takes_nothing_new() {
    let world = World::new();
    let bytes = world.object("k", 8 << 20).await;
    let held = world.store.get("k", GetOptions::new()).await.unwrap();
    let error = world.client.shutdown(ms(50)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    for refused in [
        world.store.get("k", GetOptions::new()).await.map(drop),
        world.store.head("k").await.map(drop),
        world.store.put("k", &b"x"[..], PutOptions::new()).await.map(drop),
        world.store.delete("k", DeleteOptions::new()).await,
        world.store.list("", ListOptions::new()).next().await.unwrap().map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Misuse);
    }
    let client = world.client.clone();
    let shutdown = tokio::spawn(async move { client.shutdown(Duration::from_secs(30)).await });
    tokio::task::yield_now().await;
    assert!(!shutdown.is_finished());
    assert!(held.bytes().await.unwrap() == bytes);
    shutdown.await.unwrap().unwrap();
    until("all connections are closed", || world.client.metrics().connections_open() == 0).await;
}

#[tokio::test]
async fn shutdown_waits_for_a_call_between_two_attempts() {
    let world = World::impatient(3);
    world.object("k", 10).await;
    world.fault(Fault::new(Action::Throttle { requests: 1, retry_after: Some(1) }));
    let store = world.store.clone();
    let call = tokio::spawn(async move { read(&store, "k").await });
    until("the first attempt has ended", || world.record().len() == 1).await;
    until("its answer is read", || world.client.metrics().attempts_in_flight() == 0).await;
    world.client.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!(world.record().len(), 2, "the call had its second attempt before shutdown returned");
    assert_eq!(call.await.unwrap().unwrap(), pattern(10));
}

/// A server that refuses a long upload does not read it to its end.
#[tokio::test]
async fn a_refusal_in_the_middle_of_an_upload_is_told() {
    let world = World::impatient(2);
    let url = bucket_url(&world.emulator).replacen("bucket", "no-such-bucket", 1);
    let store = store_at(&world.client, &url);
    let error = store.put("k", vec![0; 80 << 20], PutOptions::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::BucketNotFound, Some(404)), "{error}");
    assert_eq!(error.attempts(), 1);
}

// ---- limits of time (contracts 1.4) -------------------------------------------------------------------------------

#[tokio::test]
async fn an_answer_that_does_not_begin_ends_by_the_first_byte_timeout() {
    let world = World::with(|config| impatient(config, 1).first_byte_timeout(ms(150)));
    world.object("k", 10).await;
    world.fault(Fault::new(Action::Delay { ms: FOR_EVER }));
    let began = Instant::now();
    let error = read(&world.store, "k").await.unwrap_err();
    assert_ended_near(&error, ms(150), began);
    assert!(error.to_string().contains("first_byte_timeout"), "{error}");
    until("the request has ended", || world.record().len() == 1).await;
    assert_eq!(world.line_of(&error).status, None);
    let seen = world.client.metrics().snapshot();
    assert_eq!(seen.outcomes(Level::Attempt, Operation::Get).get(&Outcome::Timeout), Some(&1));
}

#[tokio::test]
async fn a_body_that_stops_ends_by_the_stall_timeout() {
    let world = World::with(|config| impatient(config, 1).stall_timeout(ms(150)));
    world.object("k", 100_000).await;
    world.fault(Fault::new(Action::Stall { after: 1_000, ms: None }));
    let began = Instant::now();
    let error = read(&world.store, "k").await.unwrap_err();
    assert_ended_near(&error, ms(150), began);
    assert!(error.to_string().contains("stall_timeout"), "{error}");
    until("the request has ended", || world.record().len() == 1).await;
    assert_eq!(world.line_of(&error).bytes_out, 1_000);
}

#[tokio::test]
async fn a_slow_body_is_no_stalled_one() {
    let model = storescope_model::Model::from_toml("stream = \"400kB/s\"").unwrap();
    let emulator = Emulator::builder().bucket(common::BUCKET).model(model).start().unwrap();
    // Half a second of body, a byte each few milliseconds.
    let world = World::on(emulator, |config| impatient(config, 1).stall_timeout(ms(250)));
    let bytes = world.object("k", 200_000).await;
    let began = Instant::now();
    assert!(read(&world.store, "k").await.unwrap() == bytes);
    assert!(began.elapsed() >= ms(450), "{:?}", began.elapsed());
}

/// A body that trickles has stalled, although never `stall_timeout` passes without a byte.
#[tokio::test]
async fn a_body_that_trickles_ends_by_the_stall_timeout() {
    let model = storescope_model::Model::from_toml("stream = \"20kB/s\"").unwrap();
    let emulator = Emulator::builder().bucket(common::BUCKET).model(model).start().unwrap();
    let world = World::on(emulator, |config| {
        impatient(config, 1).stall_timeout(ms(250)).stall_rate(100_000_u64)
    });
    world.object("k", 400_000).await;
    let began = Instant::now();
    let error = read(&world.store, "k").await.unwrap_err();
    assert_ended_near(&error, ms(250), began);
    assert!(error.to_string().contains("stall_rate"), "{error}");
    let seen = world.client.metrics().snapshot();
    assert_eq!(seen.outcomes(Level::Attempt, Operation::Get).get(&Outcome::Timeout), Some(&1));

    // A reader that takes its time is no stall: what it does not wait for is not counted.
    let slow = World::on(Emulator::builder().bucket(common::BUCKET).start().unwrap(), |config| {
        impatient(config, 1).stall_timeout(ms(100)).stall_rate(10_000_000_u64)
    });
    let bytes = slow.object("k", 4 << 20).await;
    let mut body = slow.store.get("k", GetOptions::new()).await.unwrap().into_stream();
    let mut got = Vec::new();
    while let Some(data) = body.next().await {
        got.extend_from_slice(&data.unwrap());
        if got.len() % 3 == 0 {
            // The reader's own time is what is tested.
            tokio::time::sleep(ms(20)).await;
        }
    }
    assert!(got == bytes);
}

#[tokio::test]
async fn an_upload_that_trickles_ends_by_the_stall_timeout() {
    let emulator = common::emulator();
    let address = raw_server(|mut stream| {
        let mut taken = vec![0; 64 << 10];
        while matches!(std::io::Read::read(&mut stream, &mut taken), Ok(1..)) {
            std::thread::sleep(ms(50));
        }
    });
    let store = store_elsewhere(&emulator, format!("http://{address}"), |config| {
        let config = impatient(config, 1).first_byte_timeout(ms(5_000));
        config.stall_timeout(ms(400)).stall_rate(100_000_000_u64)
    });
    let error = store.put("k", vec![0; 256 << 20], PutOptions::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1), "{error}");
    assert!(error.to_string().contains("stall_rate"), "{error}");
    assert!(error.elapsed() < ms(5_000), "{error}");
}

/// What is slow by the client's own limit has not stalled.
#[tokio::test]
async fn a_limit_of_bytes_a_second_holds_and_is_no_stall() {
    let world = World::with(|config| {
        impatient(config, 1).bwlimit(500_000_u64).stall_timeout(ms(60)).stall_rate(1_000_000_u64)
    });
    let began = Instant::now();
    let bytes = world.object("k", 200_000).await;
    assert!(began.elapsed() >= ms(350), "{:?}", began.elapsed());
    let began = Instant::now();
    assert!(read(&world.store, "k").await.unwrap() == bytes);
    assert!(began.elapsed() >= ms(350), "{:?}", began.elapsed());
    // Two readers share one limit.
    let began = Instant::now();
    let two = futures_util::future::join(read(&world.store, "k"), read(&world.store, "k")).await;
    assert!(two.0.unwrap() == bytes && two.1.unwrap() == bytes);
    assert!(began.elapsed() >= ms(750), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_upload_that_nobody_reads_ends_by_the_stall_timeout() {
    let emulator = common::emulator();
    let address = raw_server(|stream| {
        std::thread::sleep(ms(FOR_EVER));
        drop(stream);
    });
    let store = store_elsewhere(&emulator, format!("http://{address}"), |config| {
        impatient(config, 1).stall_timeout(ms(150)).first_byte_timeout(ms(5_000))
    });
    let began = Instant::now();
    let error = store.put("k", vec![0; 64 << 20], PutOptions::new()).await.unwrap_err();
    assert_ended_near(&error, ms(150), began);
    assert!(error.to_string().contains("stall_timeout"), "{error}");
}

#[tokio::test]
async fn a_call_ends_by_its_deadline() {
    let world = World::impatient(8);
    world.object("k", 100_000).await;
    let within = |limit| GetOptions::new().deadline(limit);

    world.fault(Fault::new(Action::Delay { ms: FOR_EVER }));
    let began = Instant::now();
    let error = world.store.get("k", within(ms(150))).await.unwrap_err();
    assert_ended_near(&error, ms(150), began);
    until("the request has ended", || world.record().len() == 1).await;
    assert_eq!(world.line_of(&error).status, None, "the error names the request that was cut off");
    let began = Instant::now();
    let put = PutOptions::new().deadline(ms(150));
    let error = world.store.put("k", &b"x"[..], put).await.unwrap_err();
    assert_ended_near(&error, ms(150), began);

    world.emulator.admin().clear_faults();
    world.object("k", 100_000).await;
    world.fault(Fault::new(Action::Stall { after: 1_000, ms: None }));
    let began = Instant::now();
    let got = world.store.get("k", within(ms(150))).await.unwrap();
    let error = got.bytes().await.unwrap_err();
    assert_ended_near(&error, ms(150), began);

    world.emulator.admin().clear_faults();
    world.fault(Fault::new(Action::Throttle { requests: 100, retry_after: Some(60) }));
    let began = Instant::now();
    let error = world.store.get("k", within(Duration::from_secs(20))).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Throttled, 1), "{error}");
    assert!(began.elapsed() < ms(5_000), "a minute does not fit: given up at once");
}

// ---- what an error says (contracts 3.5, 2.6) ----------------------------------------------------------------------

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

// ---- who asks (contracts 2.2 to 2.4, 2.6) -------------------------------------------------------------------------

/// Signatures made for successful reads so far.
fn signatures(world: &World) -> u64 {
    let seen = world.client.metrics().snapshot();
    seen.select(|key| key.operation == Operation::Get && key.phase == Phase::Sign)
        .map_or(0, |times| times.count())
}

#[tokio::test]
async fn one_signature_serves_many_ranged_reads() {
    let world = World::new();
    let bytes = world.object("k", 1_000).await;
    for n in 0..20_u64 {
        assert_eq!(
            read_range(&world.store, "k", n..n + 50).await.unwrap(),
            bytes[n as usize..][..50]
        );
    }
    assert_eq!((signatures(&world), world.record().len()), (1, 20));

    let afresh = World::with(|config| config.signature_reuse(Duration::ZERO));
    afresh.object("k", 1_000).await;
    for _ in 0..20 {
        read_range(&afresh.store, "k", 0..50).await.unwrap();
    }
    assert_eq!(signatures(&afresh), 20);
}

#[tokio::test]
async fn a_reused_signature_that_is_refused_is_made_afresh_and_reused_no_more() {
    let world = World::impatient(1);
    let bytes = world.object("k", 100).await;
    let (log, _listening) = Log::listen();
    read(&world.store, "k").await.unwrap();
    world.fault(Fault::new(Action::UnauthorizedOnce));
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);
    assert_eq!(signatures(&world), 2);
    let statuses: Vec<_> = world.record().into_iter().map(|line| line.status.unwrap()).collect();
    assert_eq!(statuses, [200, 401, 200]);
    for _ in 0..3 {
        read(&world.store, "k").await.unwrap();
    }
    assert_eq!(signatures(&world), 5, "each read is signed from now on");
    assert_eq!(log.count("WARN", "signature_reuse"), 1, "{:?}", log.lines());

    // A fresh signature that is refused is refused.
    world.fault(Fault::new(Action::UnauthorizedOnce));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthenticated, 1), "{error}");
}

#[tokio::test]
async fn reads_that_shared_a_refused_signature_all_recover() {
    let world = World::impatient(1);
    let bytes = world.object("k", 100).await;
    read(&world.store, "k").await.unwrap();
    // All four are there before the first is refused: no second try takes a refusal that is another's.
    world.fault(Fault::new(Action::Delay { ms: 200 }).method("GET").count(4));
    world.fault(status(401).method("GET").count(4));
    let reads = join_all((0..4).map(|_| read(&world.store, "k"))).await;
    for read in reads {
        assert_eq!(read.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_clock_six_minutes_off_is_made_up_for_with_a_warning() {
    for offset in [-360, 360] {
        let emulator =
            Emulator::builder().bucket(common::BUCKET).clock_offset(offset).start().unwrap();
        let world = World::on(emulator, |config| impatient(config, 1));
        let (log, _listening) = Log::listen();
        world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
        assert_eq!(log.count("WARN", "clock"), 1, "{:?}", log.lines());
        assert_eq!(read(&world.store, "k").await.unwrap(), b"x");
        let statuses: Vec<_> =
            world.record().into_iter().map(|line| line.status.unwrap()).collect();
        assert_eq!(statuses, [401, 200, 200]);
        assert_eq!(log.count("WARN", "clock"), 1, "{:?}", log.lines());
    }
}

#[tokio::test]
async fn calls_at_once_under_a_wrong_clock_all_recover() {
    let emulator = Emulator::builder().bucket(common::BUCKET).clock_offset(-360).start().unwrap();
    let world = World::on(emulator, |config| impatient(config, 1));
    let puts = join_all((0..8).map(|n| {
        let store = world.store.clone();
        async move { store.put(&format!("k{n}"), &b"x"[..], PutOptions::new()).await }
    }));
    for put in puts.await {
        put.unwrap();
    }
}

#[tokio::test]
async fn a_clock_six_minutes_off_is_told_where_it_is_not_adjusted() {
    let emulator = Emulator::builder().bucket(common::BUCKET).clock_offset(-360).start().unwrap();
    let world = World::on(emulator, |config| impatient(config, 3).adjust_clock(false));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthenticated, 1), "{error}");
    let hint = error.hint().unwrap();
    assert_eq!(hint.matches(" GMT").count(), 2, "both clocks: {hint}");
    assert!(hint.contains("adjust_clock"), "{hint}");
    assert_eq!(world.line_of(&error).status, Some(401));
}

fn with_profile(emulator: Emulator, profile: &str) -> World {
    World::on(emulator, |config| impatient(config, 2).profile(profile.to_owned()))
}

#[tokio::test]
async fn a_wrong_key_is_told_with_its_file_and_fingerprint() {
    let world = with_profile(common::emulator(), "WRONG");
    let (log, _listening) = Log::listen();
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthenticated, Some(401)));
    assert_eq!((error.attempts(), world.record().len()), (1, 1));
    let told = error.to_string();
    for part in ["wrong_key.pem", "fingerprint", "[WRONG]", &world.emulator.ready().oci.config_file]
    {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert_eq!(world.line_of(&error).status, Some(401));
    drop(log);
}

#[tokio::test]
async fn a_fingerprint_that_is_not_the_keys_is_told_with_the_one_that_is() {
    let emulator = common::emulator();
    let text = std::fs::read_to_string(&emulator.ready().oci.config_file).unwrap();
    let actual = text.lines().find_map(|line| line.strip_prefix("fingerprint = ")).unwrap();
    let other = "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, text.replacen(actual, other, 1)).unwrap();
    let world = World::on(emulator, |config| impatient(config, 2).config_file(file.clone()));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthenticated, Some(401)));
    let told = error.to_string();
    for part in [actual, other, "key.pem", file.to_str().unwrap()] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}

#[tokio::test]
async fn a_session_token_signs_and_an_expired_one_is_told() {
    let world = with_profile(common::emulator(), "SESSION");
    let bytes = world.object("k", 100).await;
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);

    let world = with_profile(common::emulator(), "EXPIRED");
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthenticated, Some(401)));
    let told = error.to_string();
    for part in ["expired", "expired_token", "oci session", " GMT"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}

fn state_folder(emulator: &Emulator) -> PathBuf {
    Path::new(&emulator.ready().oci.config_file).parent().unwrap().to_owned()
}

#[tokio::test]
async fn a_renewed_token_is_read_again() {
    let world = with_profile(common::emulator(), "EXPIRED");
    read(&world.store, "k").await.unwrap_err();
    let folder = state_folder(&world.emulator);
    std::fs::copy(folder.join("token"), folder.join("expired_token")).unwrap();
    // At once, and all: each was signed with the old token, and hears of it.
    let puts = join_all((0..4).map(|n| {
        let store = world.store.clone();
        async move { store.put(&format!("k{n}"), &b"x"[..], PutOptions::new()).await }
    }));
    for put in puts.await {
        put.unwrap();
    }
}

/// The values of the emulator's DEFAULT profile, as settings.
fn by_settings(emulator: &Emulator) -> storescope::Config {
    let oci = &emulator.ready().oci;
    let text = std::fs::read_to_string(&oci.config_file).unwrap();
    let default = text.split("\n\n").next().unwrap();
    let mut config = storescope::Config::default().endpoint(oci.endpoint.clone());
    for line in default.lines().skip(1) {
        let (name, value) = line.split_once(" = ").unwrap();
        config.set(name, value).unwrap();
    }
    config.config_file(PathBuf::from("/nowhere/config"))
}

#[tokio::test]
async fn settings_sign_without_a_configuration_file() {
    let emulator = common::emulator();
    let config = by_settings(&emulator);
    let world = World::on(emulator, |_| impatient(config.clone(), 2));
    let bytes = world.object("k", 100).await;
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);

    // The same by a store's own options, with the key itself; then without a part of it.
    let client = client(impatient(storescope::Config::default(), 2));
    let key = std::fs::read_to_string(state_folder(&world.emulator).join("key.pem")).unwrap();
    let text = std::fs::read_to_string(&world.emulator.ready().oci.config_file).unwrap();
    let value = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_once(" = ").unwrap().1.to_owned()
    };
    let options = |user: &str| {
        StoreOptions::new()
            .set("endpoint", &world.emulator.ready().oci.endpoint)
            .set("config_file", "/nowhere/config")
            .set("tenancy", value("tenancy"))
            .set("user", user)
            .set("fingerprint", value("fingerprint"))
            .set("key_content", &key)
    };
    let url = bucket_url(&world.emulator).parse().unwrap();
    let store = client.store(&url, options(&value("user"))).unwrap();
    assert_eq!(read(&store, "k").await.unwrap(), bytes);
    let error = read(&client.store(&url, options("")).unwrap(), "k").await.unwrap_err();
    let told = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Config, "{told}");
    assert!(told.contains("/nowhere/config"), "{told}");
    // Another's user: the 401 says where each value came from, and nothing of the key.
    let error = read(&client.store(&url, options("ocid1.user.oc1..x")).unwrap(), "k").await;
    let told = all_text(&error.unwrap_err());
    for part in ["401", "setting user", "setting key_content"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert!(!key.lines().any(|line| told.contains(line)), "{told}");
}

#[tokio::test]
async fn a_delegation_token_is_signed_with_every_request_and_read_again() {
    let world = with_profile(common::emulator(), "DELEGATED");
    let bytes = world.object("k", 100).await;
    // A listing, a ranged read twice (the second by a signature that is reused), a rename (its body is signed, too).
    let listed: Vec<_> = world.store.list("", ListOptions::new()).collect().await;
    assert_eq!(listed.len(), 1);
    for _ in 0..2 {
        assert_eq!(read_range(&world.store, "k", 10..20).await.unwrap(), bytes[10..20]);
    }
    world.store.rename("k", "l", RenameOptions::new()).await.unwrap();
    assert!(world.exchanges().iter().all(|(_, status)| status.unwrap() < 300));

    // A token that the emulator did not make is refused wherever it is sent: it was sent above.
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("token");
    std::fs::write(&bad, "bad.token.here").unwrap();
    let refused = World::on(common::emulator(), |config| {
        impatient(config, 2).delegation_token_file(bad.clone())
    });
    let error = read(&refused.store, "k").await.unwrap_err();
    let told = all_text(&error);
    assert_eq!(error.status(), Some(401), "{told}");
    assert!(told.contains(bad.to_str().unwrap()) && !told.contains("token.here"), "{told}");
    // Renewed by another, it is read again, and the 401 was the last word no longer.
    let theirs = state_folder(&refused.emulator).join("delegation_token");
    std::fs::copy(theirs, &bad).unwrap();
    assert!(read(&refused.store, "k").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn no_secret_is_told() {
    let (log, _listening) = Log::listen();
    let mut told = String::new();
    let mut secrets = Vec::new();
    for profile in ["DEFAULT", "WRONG", "SESSION", "EXPIRED", "DELEGATED"] {
        let world = with_profile(common::emulator(), profile);
        let folder = state_folder(&world.emulator);
        for name in [
            "key.pem",
            "wrong_key.pem",
            "session_key.pem",
            "token",
            "expired_token",
            "delegation_token",
        ] {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            let body: Vec<&str> = text.lines().filter(|line| !line.starts_with('-')).collect();
            // Any line of it, and any part of a token, would be one too many.
            secrets.extend(body.iter().flat_map(|line| line.split('.')).map(str::to_owned));
        }
        for outcome in [
            read(&world.store, "absent").await.map(drop),
            world.store.put("k", &b"x"[..], PutOptions::new()).await.map(drop),
        ] {
            told += &outcome.err().map(|error| all_text(&error)).unwrap_or_default();
        }
        world.fault(status(503));
        told += &all_text(&read(&world.store, "k").await.unwrap_err());
        let World { client, store, .. } = &world;
        writeln!(told, "{client:?} {store:?} {:?}", client.metrics()).unwrap();
    }
    told += &log.lines().join("\n");
    assert!(told.len() > 1_000 && secrets.len() > 100);
    secrets.retain(|secret| secret.len() >= 16);
    for secret in secrets {
        assert!(!told.contains(&secret), "{secret} is told");
    }
    for sign in ["Signature version", "rsa-sha256", "PRIVATE KEY"] {
        assert!(!told.contains(sign), "{sign} is told");
    }
}

#[tokio::test]
async fn a_namespace_that_is_not_said_is_asked_for_once() {
    let world = World::new();
    world.object("k", 10).await;
    let store = store_at(&world.client, &format!("oci://{}/", common::BUCKET));
    for read in join_all((0..3).map(|_| read(&store, "k"))).await {
        assert_eq!(read.unwrap(), pattern(10));
    }
    let targets: Vec<String> = world.record().into_iter().map(|line| line.target).collect();
    let asked = targets.iter().filter(|target| matches!(target.as_str(), "/n" | "/n/")).count();
    assert_eq!((asked, targets.len()), (1, 4), "{targets:?}");

    let world = World::impatient(2);
    world.fault(status(503));
    let store = store_at(&world.client, &format!("oci://{}/", common::BUCKET));
    let error = read(&store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Server, Some(503)), "{error}");
    assert_eq!(world.record().len(), 2);
}
