// SPDX-License-Identifier: Apache-2.0
//! Bad input and bad weather: an error or the right bytes, and nothing held afterwards.

use super::*;
use crate::read::buffer::COPIED;
use futures_util::FutureExt;
use proptest::prelude::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Lets every task that can run do so.
async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn held(world: &World) -> u64 {
    world.client.context().admission().held().0
}

#[tokio::test(start_paused = true)]
async fn ranges_at_and_past_the_end_are_cut_or_refused() {
    for known in [false, true] {
        let reader = || {
            let world = World::new(1);
            world.sim.object("k", 1_000);
            let options = if known { ReadOptions::new().size(1_000) } else { ReadOptions::new() };
            (world.store.reader("k", options), world)
        };
        let (fresh, world) = reader();
        assert_eq!(fresh.read_at(990..2_000).await.unwrap(), SimBackend::bytes(990..1_000));
        let past = fresh.read_at(1_000..1_001).await.unwrap_err();
        assert_eq!(past.kind(), ErrorKind::InvalidRange, "{past}");
        assert!(past.to_string().contains("sim://k"), "{past}");
        assert_eq!(world.requests(), 1, "what is known to be past the end is not asked for");

        let (fresh, _world) = reader();
        let past = fresh.read_at(5_000..6_000).await.unwrap_err();
        assert_eq!(past.kind(), ErrorKind::InvalidRange, "{past}");
        assert_eq!(fresh.read_at(0..u64::MAX).await.unwrap(), SimBackend::bytes(0..1_000));

        let (fresh, world) = reader();
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is asked")]
        let reversed = fresh.read_at(10..5).await.unwrap_err();
        assert_eq!(reversed.kind(), ErrorKind::InvalidInput);
        assert_eq!(fresh.read_at(7..7).await.unwrap(), Bytes::new());
        assert!(fresh.read_ranges(&[]).all().await.unwrap().is_empty());
        assert_eq!(world.requests(), 0, "what needs no byte costs no request");

        let (fresh, _world) = reader();
        let mut into = [0; 100];
        assert_eq!(fresh.read_into(950, &mut into).await.unwrap(), 50);
        assert_eq!(into[..50], SimBackend::bytes(950..1_000));
        assert_eq!(fresh.read_into(1_000, &mut into).await.unwrap(), 0);
        assert_eq!(fresh.read_into(0, &mut []).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_many_ranges_has_its_own_end() {
    let world = World::new(1);
    world.sim.object("k", 1_000);
    let reader = world.reader(ReadPolicy::Adaptive);
    let mut ranges = reader.read_ranges(&[900..1_100, 5..5, 2_000..2_001, 0..10]);
    let mut ends = vec![None; 4];
    while let Some((number, bytes)) = ranges.next().await {
        assert!(ends[number].replace(bytes.map_err(|e| e.kind())).is_none(), "told twice");
    }
    let right = |range| Some(Ok(Bytes::from(SimBackend::bytes(range))));
    assert_eq!(ends[0], right(900..1_000));
    assert_eq!(ends[1], Some(Ok(Bytes::new())));
    assert_eq!(ends[2], Some(Err(ErrorKind::InvalidRange)));
    assert_eq!(ends[3], right(0..10));
}

#[tokio::test(start_paused = true)]
async fn an_empty_object_is_empty() {
    let world = World::new(1);
    world.sim.object("k", 0);
    assert_eq!(world.reader(ReadPolicy::Adaptive).read_at(0..10).await.unwrap(), Bytes::new());
    assert!(world.reader(ReadPolicy::Adaptive).stream(..).next().await.is_none());
    assert_eq!(world.reader(ReadPolicy::Adaptive).meta().await.unwrap().size, 0);
    let past = world.reader(ReadPolicy::Adaptive).read_at(1..10).await.unwrap_err();
    assert_eq!(past.kind(), ErrorKind::InvalidRange);
}

/// A refusal of bytes that are there is not the object's end: no read comes short of it.
#[tokio::test(start_paused = true)]
async fn a_refused_range_inside_the_object_is_not_its_end() {
    const SIZE: u64 = 64 * MIB;
    for (from, known) in [(0, false), (1, false), (1, true), (32 * MIB, false), (32 * MIB, true)] {
        let world = World::new(1);
        world.sim.object("k", SIZE);
        // A HEAD asks for no byte.
        world.sim.faults(move |_, range| {
            (range.start >= from && !range.is_empty()).then_some(Fault::Status(416))
        });
        let fresh = || {
            let options = ReadOptions::new();
            world.store.reader("k", if known { options.size(SIZE) } else { options })
        };
        let is_changed =
            |error: crate::Error| assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
        is_changed(fresh().read_at(from..from + 10).await.unwrap_err());
        is_changed(fresh().read_at(0..SIZE).await.unwrap_err());
        is_changed(fresh().read_into(from, &mut [0; 10]).await.unwrap_err());
        is_changed(
            fresh()
                .read_ranges(&[0..10, from + 16 * MIB..from + 16 * MIB + 10])
                .all()
                .await
                .unwrap_err(),
        );
        let past = fresh().read_at(SIZE..SIZE + 1).await.unwrap_err();
        assert_eq!(past.kind(), ErrorKind::InvalidRange, "{past}");
        settled().await;
        assert_eq!(held(&world), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_object_is_not_found() {
    let world = World::new(1);
    let reader = world.reader(ReadPolicy::Adaptive);
    assert!(reader.read_at(0..10).await.unwrap_err().is_not_found());
    assert!(reader.stream(..).next().await.unwrap().unwrap_err().is_not_found());
    assert!(reader.meta().await.unwrap_err().is_not_found());
    assert_eq!(held(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn a_million_ranges_are_read() {
    let world = World::new(1);
    world.sim.object("k", 64 * MIB);
    let mut random = fastrand::Rng::with_seed(3);
    let ranges: Vec<_> = (0..1_000_000)
        .map(|_| {
            let start = random.u64(0..64 * MIB);
            start..(start + random.u64(1..64)).min(64 * MIB)
        })
        .collect();
    let all = world.reader(ReadPolicy::Adaptive).read_ranges(&ranges).all().await.unwrap();
    let bytes = SimBackend::bytes(0..64 * MIB);
    for (got, range) in all.iter().zip(ranges) {
        assert_eq!(got, &bytes[range.start as usize..range.end as usize]);
    }
    assert!(world.requests() <= 32 && world.bytes_sent() <= 64 * MIB);
    assert_eq!(held(&world), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    /// Against the plainest model there is: the bytes of the object, sliced.
    #[test]
    fn any_reads_in_any_order_are_the_right_bytes(
        calls in prop::collection::vec(
            prop::collection::vec((0u64..3_000_000, 0u64..400_000), 1..6), 1..12
        ),
        budget in prop::sample::select(vec![1u64 << 20, 4 << 20, 64 << 20]),
        policy in prop::sample::select(vec![
            ReadPolicy::Adaptive, ReadPolicy::Sequential, ReadPolicy::Parquet, ReadPolicy::WholeFile,
        ]),
        seed in 0u64..1000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            const SIZE: u64 = 3_000_000;
            let world = World::with(&model(), seed, |config| config.read_budget(budget));
            world.sim.object("k", SIZE);
            world.sim.faults(|number, _| (number % 7 == 3).then_some(Fault::BreakAfter(1_000)));
            let reader = world.reader(policy);
            let bytes = Bytes::from(SimBackend::bytes(0..SIZE));
            for call in calls {
                let ranges: Vec<_> = call.iter().map(|(start, length)| *start..start + length).collect();
                reader.hint(&ranges[ranges.len() / 2..]);
                let one = reader.read_at(ranges[0].clone()).await.unwrap();
                assert_eq!(one, bytes.slice(ranges[0].start as usize..ranges[0].end.min(SIZE) as usize));
                for (got, range) in reader.read_ranges(&ranges).all().await.unwrap().iter().zip(ranges) {
                    assert_eq!(got, &bytes.slice(range.start as usize..range.end.min(SIZE) as usize));
                }
            }
            let mut at = 0;
            let mut stream = reader.stream(..);
            while let Some(piece) = stream.next().await.transpose().unwrap() {
                assert_eq!(piece, bytes.slice(at..at + piece.len()));
                at += piece.len();
            }
            assert_eq!(at as u64, SIZE);
            let (_, most) = world.client.context().admission().held();
            assert!(most <= budget);
            drop((stream, reader));
            settled().await;
            assert_eq!(held(&world), 0);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_want_the_same_bytes_share_one_request() {
    let world = World::new(1);
    world.sim.object("k", 10 * MIB);
    let reader = world.reader(ReadPolicy::Random);
    let reads = (0..50u64).map(|number| {
        let reader = reader.clone();
        let range = number * KIB..MIB;
        async move { (reader.read_at(range.clone()).await.unwrap(), range) }
    });
    let all = reader.read_at(0..MIB);
    let (first, others) = futures_util::future::join(all, join_all(reads)).await;
    assert!(is_right(&first.unwrap(), 0..MIB));
    for (bytes, range) in others {
        assert!(is_right(&bytes, range));
    }
    assert_eq!(world.requests(), 1);
    let seen = world.client.metrics().snapshot();
    assert_eq!(seen.outcomes(Level::Call, Operation::Get)[&Outcome::Ok], 51);
    assert_eq!(seen.outcomes(Level::Attempt, Operation::Get)[&Outcome::Ok], 1);
    let waits = seen.select(|key| key.level == Level::Call && key.phase == Phase::Wait).unwrap();
    assert_eq!(waits.count(), 51, "those who join record their wait");
}

#[tokio::test(start_paused = true)]
async fn one_error_is_handed_to_all_who_joined() {
    let world = World::new(1);
    world.sim.object("k", 10 * MIB);
    world.sim.faults(|_, _| Some(Fault::Status(404)));
    let reader = world.reader(ReadPolicy::Random);
    let reads = (0..5).map(|_| reader.read_at(0..MIB));
    assert!(join_all(reads).await.into_iter().all(|read| read.unwrap_err().is_not_found()));
    assert_eq!(world.requests(), 1);
    world.sim.faults(|_, _| None);
    assert!(is_right(&reader.read_at(0..MIB).await.unwrap(), 0..MIB), "an error is not kept");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_dropped_stops_its_requests_and_holds_nothing() {
    let world = World::new(1);
    world.sim.object("k", 1_024 * MIB);
    let reader = world.reader(ReadPolicy::Random);
    for mid in [0, 10, 60, 100] {
        let read = reader.read_at(0..100 * MIB);
        assert!(tokio::time::timeout(ms(mid), read).await.is_err());
        settled().await;
        assert_eq!(held(&world), 0, "after {mid} ms");
        assert_eq!(world.client.metrics().calls_in_flight(), 0);
    }
    let mut stream = reader.stream(..);
    stream.next().await.unwrap().unwrap();
    let mut ranges = reader.read_ranges(&[500 * MIB..600 * MIB, 700 * MIB..701 * MIB]);
    assert!(ranges.next().now_or_never().is_none());
    assert!(held(&world) > 0);
    drop((stream, ranges));
    settled().await;
    let sent = world.bytes_sent();
    tokio::time::sleep(ms(5_000)).await;
    assert_eq!((held(&world), world.bytes_sent()), (0, sent), "nothing goes on");
    let seen = world.client.metrics().snapshot();
    assert_eq!(seen.outcomes(Level::Call, Operation::Get)[&Outcome::Cancelled], 6);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_dropped_takes_its_readahead_with_it() {
    let world = World::new(1);
    world.sim.object("k", 1_024 * MIB);
    let reader = world.reader(ReadPolicy::Sequential);
    reader.read_at(0..MIB).await.unwrap();
    settled().await;
    assert!(held(&world) > 100 * MIB);
    tokio::time::sleep(ms(40)).await;
    drop(reader);
    settled().await;
    assert_eq!(held(&world), 0);
    assert!(world.client.metrics().readahead().wasted_bytes > 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_read_in_its_middle() {
    let world = World::new(1);
    world.sim.object("k", 1_024 * MIB);
    let options = ReadOptions::new().deadline(ms(150)).policy(ReadPolicy::Random);
    let reader = world.store.reader("k", options);
    let begun = Instant::now();
    let late = reader.read_at(0..400 * MIB).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout, "{late}");
    assert!(begun.elapsed() >= ms(150) && begun.elapsed() < ms(153));
    settled().await;
    assert_eq!(held(&world), 0);
    // Some of many may have come in time.
    let mut ranges = reader.read_ranges(&[0..KIB, 500 * MIB..1_000 * MIB]);
    let mut ends = Vec::new();
    while let Some((number, bytes)) = ranges.next().await {
        ends.push((number, bytes.map(|bytes| bytes.len()).map_err(|e| e.kind())));
    }
    assert_eq!(ends, [(0, Ok(KIB as usize)), (1, Err(ErrorKind::Timeout))]);
    let mut stream = reader.stream(..);
    let ended = loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            other => break other,
        }
    };
    assert_eq!(ended.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_object_replaced_between_two_parts_is_an_error_and_never_mixed() {
    for replaced_at in 1..12 {
        let world = World::new(replaced_at as u64);
        world.sim.object("k", 100 * MIB);
        world.sim.faults(move |number, _| (number == replaced_at).then_some(Fault::Replace));
        let reader = world.reader(ReadPolicy::Adaptive);
        assert!(is_right(&reader.read_at(0..MIB).await.unwrap(), 0..MIB));
        let changed = reader.read_at(MIB..90 * MIB).await.unwrap_err();
        assert!(changed.is_changed(), "{changed}");
        assert!(reader.read_at(0..10).await.unwrap_err().is_changed(), "it stays so");
        assert!(reader.stream(..).next().await.unwrap().unwrap_err().is_changed());
        // Opened anew, it is the new one.
        assert_eq!(
            world.reader(ReadPolicy::Adaptive).read_at(0..MIB).await.unwrap().len(),
            1 << 20
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_knows_must_be_so() {
    let world = World::new(1);
    world.sim.object("k", 1_000);
    let options = || ReadOptions::new();
    for wrong in [options().size(999), options().etag("v7")] {
        let error = world.store.reader("k", wrong).read_at(0..10).await.unwrap_err();
        assert!(error.is_changed(), "{error}");
    }
    let right = options().size(1_000).etag("v1");
    assert!(is_right(&world.store.reader("k", right).read_at(5..10).await.unwrap(), 5..10));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_store_is_asked_less_and_everything_arrives() {
    let world = World::new(1);
    world.sim.object("k", 200 * MIB);
    world.sim.faults(|number, _| (number % 5 == 1).then_some(Fault::Status(429)));
    let ranges = random_ranges(5, 300, 64 * KIB, 200 * MIB);
    let reader = world.reader(ReadPolicy::Random);
    for (bytes, range) in reader.read_ranges(&ranges).all().await.unwrap().iter().zip(ranges) {
        assert!(is_right(bytes, range));
    }
    assert!(world.client.metrics().retries() > 0);
}

#[tokio::test(start_paused = true)]
async fn bodies_that_break_go_on_where_they_broke() {
    let world = World::new(1);
    world.sim.object("k", 50 * MIB);
    world.sim.faults(|number, _| (number % 3 == 0).then_some(Fault::BreakAfter(700_000)));
    let bytes = world.reader(ReadPolicy::Random).read_at(0..50 * MIB).await.unwrap();
    assert!(is_right(&bytes, 0..50 * MIB));
    assert!(world.bytes_sent() < 51 * MIB);
}

#[tokio::test(start_paused = true)]
async fn a_range_of_many_requests_is_copied_once_and_pinned_by_nobody() {
    for (budget, size_known) in [(256 * MIB, true), (256 * MIB, false), (4 * MIB, true)] {
        let world = World::with(&model(), 1, |config| config.read_budget(budget));
        world.sim.object("k", 100 * MIB);
        world.sim.faults(|number, _| (number % 3 == 0).then_some(Fault::BreakAfter(300_000)));
        let options = ReadOptions::new().policy(ReadPolicy::Random);
        let options = if size_known { options.size(100 * MIB) } else { options };
        let reader = world.store.reader("k", options);
        COPIED.set(0);
        let long = 3..30 * MIB + 5;
        let bytes = reader.read_at(long.clone()).await.unwrap();
        assert!(world.requests() > 2 && is_right(&bytes, long));
        let ranges = [40 * MIB..61 * MIB, 61 * MIB..70 * MIB, 90 * MIB..200 * MIB];
        let many = reader.read_ranges(&ranges).all().await.unwrap();
        assert_eq!(COPIED.get(), 0);
        let overlapping = [75 * MIB..85 * MIB, 81 * MIB..87 * MIB];
        let some = reader.read_ranges(&overlapping).all().await.unwrap();
        for (bytes, range) in many.iter().chain(&some).zip(ranges.iter().chain(&overlapping)) {
            assert!(is_right(bytes, range.start..range.end.min(100 * MIB)));
        }
        settled().await;
        let all = many.iter().chain(&some).chain([&bytes]);
        assert!(all.into_iter().all(Bytes::is_unique));
    }
}

#[tokio::test(start_paused = true)]
async fn who_shares_a_part_of_a_long_read_gets_it_whatever_becomes_of_that() {
    let sizes = [None, Some(100 * MIB)];
    for (ms_left, size) in [10, 60, 90, 100_000].into_iter().flat_map(|ms| sizes.map(|s| (ms, s))) {
        let world = World::new(1);
        world.sim.object("k", 100 * MIB);
        let options = ReadOptions { size, ..ReadOptions::new().policy(ReadPolicy::Random) };
        let reader = world.store.reader("k", options);
        let long = tokio::time::timeout(ms(ms_left), reader.read_at(0..90 * MIB));
        let shares = (0..90).map(|at| {
            let range = at * MIB + 5..at * MIB + 700_000;
            let reader = reader.clone();
            async move { is_right(&reader.read_at(range.clone()).await.unwrap(), range) }
        });
        let (long, shares) = futures_util::future::join(long, join_all(shares)).await;
        assert!(shares.into_iter().all(|right| right));
        let long = long.map(Result::unwrap).unwrap_or_default();
        assert!(is_right(&long, 0..long.len() as u64));
        assert_eq!(long.is_empty(), ms_left < 1_000);
        drop(reader);
        settled().await;
        assert!(long.is_empty() || long.is_unique());
        assert_eq!(held(&world), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_polls_holds_its_window_and_asks_for_no_more() {
    let world = World::with(&model(), 1, |config| config.read_budget(64 * MIB));
    world.sim.object("k", 1_024 * MIB);
    let reader = world.reader(ReadPolicy::Sequential);
    let mut stream = reader.stream(..);
    let mut at = 0;
    for _ in 0..5 {
        let bytes = stream.next().await.unwrap().unwrap();
        at += bytes.len() as u64;
        tokio::time::sleep(ms(100_000)).await;
        assert!(held(&world) <= 64 * MIB);
    }
    // Others are not shut out for ever: a demand finds the room that readahead may not take.
    let other = world.reader(ReadPolicy::Random);
    assert!(is_right(&other.read_at(0..MIB).await.unwrap(), 0..MIB));
    while let Some(bytes) = stream.next().await {
        at += bytes.unwrap().len() as u64;
    }
    assert_eq!(at, 1_024 * MIB);
}

#[tokio::test(start_paused = true)]
async fn strides_are_prefetched_and_cost_no_byte_more() {
    let world = World::new(1);
    world.sim.object("k", 1_024 * MIB);
    let reader = world.reader(ReadPolicy::Adaptive);
    let begun = Instant::now();
    for number in 0..100u64 {
        let start = number * 8 * MIB;
        assert!(is_right(
            &reader.read_at(start..start + 64 * KIB).await.unwrap(),
            start..start + 64 * KIB
        ));
    }
    let (time, ahead) = (seconds(begun), world.client.metrics().readahead());
    println!("100 strided reads: {time:.3} s, {} requests, {ahead:?}", world.requests());
    assert!(time < 1.0, "one by one they take 100 × 30 ms");
    drop(reader);
    assert!(world.bytes_sent() <= 120 * 64 * KIB);
}
