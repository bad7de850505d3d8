// SPDX-License-Identifier: Apache-2.0
//! Limits of time, and of bytes a second.

use crate::common::{
    self, FOR_EVER, World, impatient, ms, raw_server, read, store_elsewhere, until,
};
use std::time::{Duration, Instant};
use storescope::timing::{Level, Operation, Outcome};
use storescope::{Error, ErrorKind, GetOptions, PutOptions};
use storescope_emulator::{Action, Emulator, Fault};

/// Ended by the limit it was to be ended by, and soon after: the machine may be busy for a second.
fn assert_ended_near(error: &Error, limit: Duration, began: Instant) {
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(began.elapsed() >= limit && began.elapsed() < limit + ms(1_500), "{error}");
    assert!(error.elapsed() >= limit && error.elapsed() <= began.elapsed(), "{error}");
}

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
