// SPDX-License-Identifier: Apache-2.0
//! The phases of a request, and the scopes that they are recorded in.

use crate::common::{
    BUCKET, World, all_calls, connections, distinct, impatient, ms, read, read_range,
};
use futures_util::future::join_all;
use std::sync::{Arc, Mutex};
use storescope::ErrorKind;
use storescope::timing::{Level, Operation, Outcome, Phase, Scope};
use storescope_emulator::{Action, Emulator, Fault};

#[tokio::test]
async fn the_phases_are_the_request() {
    const READS: usize = 200;
    let model = storescope_model::Model::from_toml("ttfb = \"20ms\"").unwrap();
    let emulator = Emulator::builder().bucket(BUCKET).model(model).start().unwrap();
    let world = World::on(emulator, |config| config);
    world.object("k", 65_536).await;
    let attempts: Arc<Mutex<Vec<(u64, u64, u64)>>> = Arc::default();
    let seen = Arc::clone(&attempts);
    let observed = world.client.metrics().scope().observe(move |attempt| {
        let parts = Phase::PARTS.iter().filter_map(|phase| attempt.phase_ns(*phase)).sum();
        seen.lock().unwrap().push((attempt.total_ns, parts, attempt.bytes));
    });
    assert!(observed);
    let four = (0..4).map(|_| async {
        for _ in 0..READS / 4 {
            read_range(&world.store, "k", 0..65_536).await.unwrap();
        }
    });
    join_all(four).await;

    let snapshot = world.client.metrics().snapshot();
    let ttfb = snapshot.attempts(Operation::Get, Phase::Ttfb, Outcome::Ok).unwrap();
    assert_eq!(ttfb.count(), READS as u64);
    let median = ttfb.quantile(0.5);
    assert!((20_000_000..30_000_000).contains(&median), "{median} ns");
    // The wait begins where the write returned to us, which a busy machine may put off: not for one in ten.
    assert!(ttfb.quantile(0.1) >= 19_500_000, "{ttfb:?}");
    let attempts = attempts.lock().unwrap();
    assert_eq!(attempts.len(), READS);
    let told = attempts.iter().filter(|(total, parts, _)| parts * 100 >= total * 99).count();
    assert!(told * 100 >= READS * 99, "{told} of {READS}: {attempts:?}");
    assert!(attempts.iter().all(|(total, parts, bytes)| parts <= total && *bytes == 65_536));
    let delivered = snapshot.attempts(Operation::Get, Phase::BytesDelivered, Outcome::Ok).unwrap();
    assert_eq!(delivered.sum(), READS as u64 * 65_536);
}

#[tokio::test]
async fn a_slow_body_is_body_and_a_slow_reader_is_paused() {
    let model = storescope_model::Model::from_toml("stream = \"10MB/s\"").unwrap();
    let emulator = Emulator::builder().bucket(BUCKET).model(model).start().unwrap();
    let world = World::on(emulator, |config| config);
    world.object("k", 1_000_000).await;
    read(&world.store, "k").await.unwrap();
    let times =
        |phase| world.client.metrics().snapshot().attempts(Operation::Get, phase, Outcome::Ok);
    let body = times(Phase::Body).unwrap();
    // A tenth of a second is what the model takes.
    assert!((80_000_000..400_000_000).contains(&body.max()), "{body:?}");
    let paused = times(Phase::Paused).map_or(0, |paused| paused.sum());
    assert!(paused < 50_000_000, "{paused} ns");
}

#[tokio::test]
async fn a_scope_and_its_parents_have_what_ran_in_them() {
    let world = World::new();
    world.object("k", 1_000).await;
    let (job, other) = (Scope::new("job"), Scope::new("other"));
    let stage = world.store.with_scope(&job.child("stage"));
    for _ in 0..3 {
        read(&stage, "k").await.unwrap();
    }
    read(&world.store.with_scope(&other), "k").await.unwrap();
    read(&world.store, "k").await.unwrap();
    for level in [Level::Attempt, Level::Call] {
        let count = |scope: &Scope| scope.snapshot().outcomes(level, Operation::Get);
        assert_eq!(count(&job), [(Outcome::Ok, 3)].into());
        assert_eq!(count(&other), [(Outcome::Ok, 1)].into());
        assert_eq!(count(world.client.metrics().scope()), [(Outcome::Ok, 5)].into());
    }
    let task = Scope::new("task");
    read(&stage.also_in(&task), "k").await.unwrap();
    for (scope, reads) in [(&task, 1), (&job, 4), (world.client.metrics().scope(), 6)] {
        let seen = scope.snapshot().outcomes(Level::Attempt, Operation::Get);
        assert_eq!(seen, [(Outcome::Ok, reads)].into(), "{}", scope.name());
    }
    assert_eq!(distinct(connections(&world)), 1, "a scope is no pool of its own");
}

#[tokio::test]
async fn without_timing_everything_works_and_nothing_is_recorded() {
    let world = World::with(|config| {
        impatient(config, 2).timing(false).first_byte_timeout(ms(200)).stall_timeout(ms(200))
    });
    all_calls(&world.store).await;
    let bytes = world.object("k", 100_000).await;
    world.fault(Fault::new(Action::Reset).method("GET").reused(true).count(1));
    assert!(read(&world.store, "k").await.unwrap() == bytes, "a dead connection");
    world.fault(Fault::new(Action::Truncate { after: 5_000 }).method("GET").count(1));
    assert!(read(&world.store, "k").await.unwrap() == bytes, "a broken body");
    world.fault(Fault::new(Action::Stall { after: 5_000, ms: None }).method("GET").count(1));
    assert!(read(&world.store, "k").await.unwrap() == bytes, "a stalled body");
    world.fault(Fault::new(Action::Delay { ms: 600_000 }).method("GET"));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 2), "{error}");
    assert!(error.elapsed() >= ms(400), "{error}");
    assert!(world.client.metrics().snapshot().is_empty());
    assert_eq!(world.client.metrics().attempts_in_flight(), 0);
}
