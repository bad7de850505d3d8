// SPDX-License-Identifier: Apache-2.0
//! Bodies that break, stall or are another's: reads go on where they ended, or end with an error.

use crate::common::{World, impatient, ms, pattern, read, read_range, until};
use std::time::Instant;
use storescope::timing::{Level, Operation, Outcome};
use storescope::{DeleteOptions, ErrorKind, GetOptions, PutOptions};
use storescope_emulator::{Action, Fault};

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
