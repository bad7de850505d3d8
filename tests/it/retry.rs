// SPDX-License-Identifier: Apache-2.0
//! What is retried, how often, and when a call is given up.

use crate::common::{Log, World, client, config, impatient, ms, read, status, store};
use std::time::{Duration, Instant};
use storescope::timing::{Level, Operation, Outcome, Phase};
use storescope::{DeleteOptions, ErrorKind, PutOptions};
use storescope_emulator::{Action, Fault};

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
