// SPDX-License-Identifier: Apache-2.0
//! Readers against real sockets: the emulator, and servers that answer wrongly. An error or the right bytes.
#![expect(clippy::single_range_in_vec_init, reason = "one range is a list of ranges, too")]

use crate::common::{
    BUCKET, World, block_on, client, emulator, impatient, pattern, raw_server, read_head,
    s3_config, status, store_at, store_elsewhere, until,
};
use std::io::Write as _;
use std::time::Duration;
use storescope::blocking;
use storescope::timing::{Level, Operation, Scope};
use storescope::{ErrorKind, Piece, PutOptions, ReadOptions, ReadPolicy, StoreOptions};
use storescope_emulator::{Action, Fault};

#[tokio::test]
async fn a_reader_reads_what_was_written_in_every_way() {
    let world = World::new();
    let bytes = world.object("k", 9_000_000).await;
    let reader = world.store.reader("k", ReadOptions::new());
    assert_eq!(reader.read_at(100..5_000_000).await.unwrap(), bytes[100..5_000_000]);
    assert_eq!(reader.meta().await.unwrap().size, 9_000_000);
    assert_eq!(reader.meta().await.unwrap().key, "k");
    let mut into = vec![0; 1_000];
    assert_eq!(reader.read_into(8_999_500, &mut into).await.unwrap(), 500);
    assert_eq!(into[..500], bytes[8_999_500..]);
    let ranges = [5..10, 8_000_000..8_999_999, 7..2_000_000];
    for (got, range) in reader.read_ranges(&ranges).all().await.unwrap().iter().zip(ranges) {
        assert_eq!(got, &bytes[range.start as usize..range.end as usize]);
    }
    let (mut stream, mut all) = (reader.stream(..), Vec::new());
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(all, bytes);
    assert!(world.record().iter().all(|line| line.method == "GET"), "no HEAD is needed");
    assert_eq!(world.client.metrics().attempts_in_flight(), 0);
}

/// Ranges cannot be checked; all of them together can, where the store tells what they must come to.
#[tokio::test]
async fn a_stream_of_the_whole_is_checked() {
    let world = World::new();
    let on_s3 = client(s3_config(&world.emulator));
    let on_s3 = store_at(&on_s3, &format!("s3://{BUCKET}/"));
    on_s3.put("k", pattern(20_000_000), PutOptions::new()).await.unwrap();
    let head = on_s3.head("k").await.unwrap();
    for (store, options) in [
        (&world.store, ReadOptions::new()),
        (&world.store, ReadOptions::new().policy(ReadPolicy::WholeFile)),
        (&on_s3, ReadOptions::new().meta(&head)),
    ] {
        let end = async |range: std::ops::RangeFrom<u64>, options: ReadOptions| {
            let mut stream = store.reader("k", options).stream(range);
            while let Some(piece) = stream.next().await {
                piece?;
            }
            Ok::<_, storescope::Error>(())
        };
        end(0.., options.clone()).await.unwrap();
        // From now on the byte there of each body is another.
        world.fault(Fault::new(Action::Corrupt { offset: 77 }).method("GET"));
        let broken = end(0.., options.clone()).await.unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::Integrity, "{broken}");
        end(0.., options.clone().verify(false)).await.unwrap();
        end(1.., options).await.unwrap();
        world.emulator.admin().clear_faults();
    }
}

#[tokio::test]
async fn a_reader_records_in_the_scope_it_is_used_with() {
    let world = World::new();
    let bytes = world.object("k", 3_000_000).await;
    let (before, inside) = (Scope::new("before"), Scope::new("inside"));
    let reader = world.store.with_scope(&before).reader("k", ReadOptions::new());
    assert_eq!(reader.read_at(0..10).await.unwrap(), bytes[..10]);
    let reader_inside = reader.with_scope(&inside);
    assert_eq!(
        reader_inside.read_at(1_000_000..1_000_010).await.unwrap()[..],
        bytes[1_000_000..1_000_010]
    );
    reader_inside.hint(&[2_000_000..2_000_010]);
    assert_eq!(
        reader_inside.read_at(2_000_000..2_000_010).await.unwrap()[..],
        bytes[2_000_000..2_000_010]
    );
    let counted = |scope: &Scope, level| {
        scope.snapshot().outcomes(level, Operation::Get).values().sum::<u64>()
    };
    assert_eq!((counted(&before, Level::Call), counted(&before, Level::Attempt)), (1, 1));
    assert_eq!((counted(&inside, Level::Call), counted(&inside, Level::Attempt)), (2, 2));
    let beside = Scope::new("beside");
    reader_inside.also_in(&beside).read_at(500_000..500_010).await.unwrap();
    assert_eq!((counted(&beside, Level::Call), counted(&inside, Level::Call)), (1, 3));
    assert_eq!((counted(&beside, Level::Attempt), counted(&inside, Level::Attempt)), (1, 3));
}

/// A small answer that nobody wants any more is read to its end, so that its connection serves the next; a large one costs it.
#[tokio::test]
async fn a_small_answer_that_is_left_keeps_its_connection() {
    let world = World::new();
    world.object("k", 3_000_000).await;
    // Which connection a HEAD takes now.
    let connection = async || {
        let heads = || {
            world
                .record()
                .iter()
                .filter(|line| line.method == "HEAD")
                .map(|l| l.connection)
                .collect::<Vec<_>>()
        };
        let before = heads().len();
        world.store.head("k").await.unwrap();
        until("the HEAD is recorded", || heads().len() > before).await;
        *heads().last().unwrap()
    };
    let first = connection().await;
    for (range, kept) in [(0..100_000, true), (0..2_000_000, false)] {
        world.fault(Fault::new(Action::Delay { ms: 200 }).method("GET").nth(1));
        let read = world.store.get("k", storescope::GetOptions::new().range(range));
        tokio::time::timeout(Duration::from_millis(50), read).await.expect_err("it is left");
        assert_eq!(world.client.metrics().attempts_in_flight(), 0);
        if kept {
            // The server sees an answer read to its end, with nobody asking for it.
            let whole =
                || world.record().iter().any(|l| l.method == "GET" && l.bytes_out == 100_000);
            until("the answer is read to its end", whole).await;
            // It lies in this process's socket now: what reads it runs on this thread, too.
            for _ in 0..10_000 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(connection().await == first, kept);
    }
}

/// The end of an object tells what it is, and is there for the reads to come.
#[tokio::test]
async fn a_tail_tells_what_the_object_is_and_stays() {
    let world = World::new();
    let bytes = world.object("large", 3_000_000).await;
    let small = world.object("small", 70_000).await;
    world.object("empty", 0).await;
    let before = world.record().len();
    let reader = world.store.reader("large", ReadOptions::new().policy(ReadPolicy::Parquet));
    assert!(reader.known().is_none() && !reader.holds(2_999_000..3_000_000));
    let meta = reader.tail(100_000).await.unwrap().clone();
    assert_eq!((meta.size, meta.key.as_str()), (3_000_000, "large"));
    assert!(reader.holds(2_900_000..3_000_000) && !reader.holds(2_899_999..3_000_000));
    assert_eq!(reader.read_at(2_999_992..3_000_000).await.unwrap(), bytes[2_999_992..]);
    assert_eq!(reader.read_at(2_900_000..2_990_000).await.unwrap(), bytes[2_900_000..2_990_000]);
    let whole = world.store.reader("small", ReadOptions::new());
    assert_eq!(whole.tail(1 << 20).await.unwrap().size, 70_000);
    assert_eq!(whole.read_at(0..70_000).await.unwrap(), small);
    let requests: Vec<_> = world.record()[before..]
        .iter()
        .map(|line| (line.method.clone(), line.range.clone()))
        .collect();
    assert_eq!(
        requests,
        [("GET", "bytes=-100000"), ("GET", "bytes=-1048576")]
            .map(|(method, range)| (method.to_owned(), Some(range.to_owned())))
    );
    let empty = world.store.reader("empty", ReadOptions::new());
    assert_eq!(empty.tail(1000).await.unwrap().size, 0);
    let absent = world.store.reader("absent", ReadOptions::new()).tail(1000).await.unwrap_err();
    assert!(absent.is_not_found(), "{absent}");
    // The tail is of one version: a later read of another is told.
    world.object("large", 2_000_000).await;
    let changed = reader.read_at(0..10).await.unwrap_err();
    assert!(changed.is_changed(), "{changed}");
}

/// Pieces lie where they say, and are each byte once.
#[tokio::test]
async fn pieces_fill_what_they_are_asked_for() {
    let world = World::new();
    let bytes = world.object("k", 5_000_000).await;
    let reader = world.store.reader("k", ReadOptions::new());
    let ranges = [10..20, 1_000_000..4_900_000, 15..2_000, 4_999_990..5_000_010];
    let mut filled = ranges.clone().map(|range| vec![0; (range.end - range.start) as usize]);
    let (mut counts, mut ends) = ([0; 4], Vec::new());
    let mut pieces = reader.pieces(&ranges);
    while let Some(piece) = pieces.next().await {
        match piece {
            Piece::Bytes(number, at, bytes) => {
                let place = (at - ranges[number].start) as usize;
                filled[number][place..place + bytes.len()].copy_from_slice(&bytes);
                counts[number] += bytes.len();
            }
            Piece::End(number, ended) => ends.push((number, ended.unwrap())),
            _ => unreachable!(),
        }
    }
    ends.sort_by_key(|(number, _)| *number);
    let clipped = [10..20, 1_000_000..4_900_000, 15..2_000, 4_999_990..5_000_000];
    assert_eq!(ends, clipped.clone().into_iter().enumerate().collect::<Vec<_>>());
    for (number, range) in clipped.into_iter().enumerate() {
        assert_eq!(counts[number] as u64, range.end - range.start);
        let range = range.start as usize..range.end as usize;
        assert!(filled[number][..range.len()] == bytes[range], "{number}");
    }
}

#[tokio::test]
async fn an_object_that_is_replaced_or_deleted_meanwhile_has_changed() {
    for delete in [false, true] {
        let world = World::new();
        let bytes = world.object("k", 20_000_000).await;
        let reader = world.store.reader("k", ReadOptions::new().policy(ReadPolicy::Random));
        assert_eq!(reader.read_at(0..100).await.unwrap(), bytes[..100]);
        if delete {
            world.store.delete("k", storescope::DeleteOptions::new()).await.unwrap();
        } else {
            world.store.put("k", pattern(20_000_000 - 1), PutOptions::new()).await.unwrap();
        }
        let changed = reader.read_at(1_000_000..15_000_000).await.unwrap_err();
        assert!(changed.is_changed(), "{changed}");
        assert!(changed.to_string().contains("open the object anew"), "{changed}");
    }
}

#[tokio::test]
async fn short_and_broken_bodies_go_on_where_they_ended() {
    let world = World::impatient(4);
    let bytes = world.object("k", 3_000_000).await;
    for action in [Action::Truncate { after: 10_000 }, Action::Reset] {
        world.fault(Fault::new(action).method("GET").count(1));
        let reader = world.store.reader("k", ReadOptions::new());
        assert_eq!(reader.read_at(5..2_999_999).await.unwrap(), bytes[5..2_999_999]);
    }
    world.fault(status(503).method("GET"));
    let reader = world.store.reader("k", ReadOptions::new());
    assert_eq!(reader.read_at(0..10).await.unwrap_err().kind(), ErrorKind::Server);
}

/// A server that answers every GET so.
fn answers(answer: &'static str, body: usize) -> String {
    let address = raw_server(move |mut stream| {
        while read_head(&mut stream) {
            let sent = stream.write_all(answer.as_bytes());
            if sent.and_then(|()| stream.write_all(&pattern(body))).is_err() {
                return;
            }
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn answers_that_are_not_what_was_asked_for_are_errors() {
    let emulator = emulator();
    for (what, answer, body) in [
        ("Range ignored", "HTTP/1.1 200 OK\r\netag: e\r\ncontent-length: 5000\r\n\r\n", 5_000),
        (
            "another Content-Range",
            "HTTP/1.1 206 Partial Content\r\netag: e\r\ncontent-length: 100\r\ncontent-range: bytes 101-200/5000\r\n\r\n",
            100,
        ),
        (
            "a shorter Content-Range",
            "HTTP/1.1 206 Partial Content\r\netag: e\r\ncontent-length: 50\r\ncontent-range: bytes 100-149/5000\r\n\r\n",
            50,
        ),
        (
            "no Content-Range",
            "HTTP/1.1 206 Partial Content\r\netag: e\r\ncontent-length: 100\r\n\r\n",
            100,
        ),
    ] {
        let store =
            store_elsewhere(&emulator, answers(answer, body), |config| impatient(config, 2));
        let reader = store.reader("k", ReadOptions::new().deadline(Duration::from_secs(20)));
        let wrong = reader.read_at(100..200).await.unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::Protocol, "{what}: {wrong}");
        let mut ranges = reader.read_ranges(&[100..200, 4_000..4_100]);
        while let Some((_, bytes)) = ranges.next().await {
            assert_eq!(bytes.unwrap_err().kind(), ErrorKind::Protocol, "{what}");
        }
    }
    // All of it was asked for: a server that ignores the Range answers rightly.
    let whole = "HTTP/1.1 200 OK\r\netag: e\r\ncontent-length: 5000\r\n\r\n";
    let store = store_elsewhere(&emulator, answers(whole, 5_000), |config| impatient(config, 2));
    let reader = store.reader("k", ReadOptions::new());
    assert_eq!(reader.read_at(0..10_000).await.unwrap(), pattern(5_000));
}

#[test]
fn readers_need_no_runtime_of_the_callers() {
    let world = World::new();
    let bytes = block_on(world.object("k", 6_000_000));
    let reader = world.store.reader("k", ReadOptions::new());
    assert_eq!(block_on(reader.read_at(0..5_000_000)).unwrap(), bytes[..5_000_000]);
    let mut stream = reader.stream(1..);
    let mut at = 1;
    while let Some(piece) = block_on(stream.next()) {
        let piece = piece.unwrap();
        assert_eq!(piece, bytes[at..at + piece.len()]);
        at += piece.len();
    }
    assert_eq!(at, bytes.len());
}

#[test]
fn blocking_twins_read_the_same() {
    let world = World::new();
    let bytes = block_on(world.object("k", 6_000_000));
    let store =
        blocking::Store::open(&world.client, world.store.url(), StoreOptions::new()).unwrap();
    let reader = store.reader("k", ReadOptions::new());
    reader.hint(&[0..1_000]);
    assert_eq!(reader.read_at(0..1_000).unwrap(), bytes[..1_000]);
    assert_eq!(reader.meta().unwrap().size, 6_000_000);
    let mut into = vec![0; 10];
    assert_eq!(reader.read_into(5, &mut into).unwrap(), 10);
    assert_eq!(into, bytes[5..15]);
    let mut seen = 0;
    for (number, piece) in reader.read_ranges(&[0..5, 3_000_000..3_000_010]) {
        assert_eq!(piece.unwrap(), [&bytes[0..5], &bytes[3_000_000..3_000_010]][number]);
        seen += 1;
    }
    assert_eq!(seen, 2);
    assert_eq!(reader.read_all(&[7..9]).unwrap()[0], bytes[7..9]);
    let streamed: Vec<u8> = reader.stream(10..).flat_map(|piece| piece.unwrap()).collect();
    assert_eq!(streamed, bytes[10..]);
    let there = tokio::runtime::Runtime::new().unwrap();
    let refused = there.block_on(async { reader.read_at(0..1) }).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse);
}

/// A runtime that ends takes its fetches with it; who waits for them elsewhere asks again.
#[test]
fn a_runtime_that_ends_breaks_no_reader_of_another() {
    let world = World::new();
    let bytes = block_on(world.object("k", 1_000_000));
    let stall = Action::Delay { ms: 5_000 };
    world.fault(Fault::new(stall).method("GET").count(1));
    let reader = world.store.reader("k", ReadOptions::new().size(1_000_000));
    let ending =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let theirs = reader.clone();
    let begun = ending.spawn(async move { theirs.read_at(0..500_000).await });
    let metrics = world.client.metrics();
    ending.block_on(until("a request is under way", || metrics.attempts_in_flight() == 1));
    let ours = std::thread::spawn(move || block_on(reader.read_at(0..400_000)));
    ending.block_on(until("two reads wait for it", || metrics.calls_in_flight() == 2));
    ending.shutdown_background();
    drop(begun);
    assert_eq!(ours.join().unwrap().unwrap(), bytes[..400_000]);
}
