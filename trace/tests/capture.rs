// SPDX-License-Identifier: Apache-2.0
//! Captures: what is written is read again; hashed, bounded, cut off.

use std::path::Path;
use storescope_trace::{
    AttemptLine, CallLine, Connection, Entry, Format, Level, Line, Names, Op, Options, TraceReader,
    Writer, Written,
};

fn call(number: u64, key: &str, ranges: &[(u64, Option<u64>)]) -> Line {
    Line::Call(CallLine {
        call: number,
        at_ns: 1_000 - number,
        duration_ns: 50,
        operation: "read",
        bucket: "oci://lake@ns".into(),
        key: key.into(),
        to: None,
        ranges: ranges.to_vec(),
        length: None,
        bytes: Some(30),
        outcome: "ok",
    })
}

fn attempt(number: u64, key: &str) -> Line {
    Line::Attempt(AttemptLine {
        call: Some(number),
        at_ns: 2_000,
        duration_ns: 40,
        operation: "get",
        bucket: "oci://lake@ns".into(),
        key: key.into(),
        offset: Some(0),
        length: Some(30),
        bytes: 30,
        outcome: "ok",
        client_request_id: 0xabc,
        status: Some(206),
        connection: Some(Connection::New),
        hedge: true,
        phases_ns: vec![("prepare", 3), ("ttfb", 30)],
    })
}

fn entries(path: &Path, level: Level) -> Vec<Entry> {
    let trace = TraceReader::open_with(path, &Options::new().level(level)).unwrap();
    trace.map(Result::unwrap).collect()
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let mut writer = Writer::create(&path, 1 << 20, Names::Plain).unwrap();
    writer.write(&call(1, "a \"b\"\n", &[(5, Some(10)), (90, Some(20))])).unwrap();
    writer.write(&attempt(1, "a \"b\"\n")).unwrap();
    writer.write(&call(2, "c", &[(7, None)])).unwrap();
    writer.leave_out(4);
    assert_eq!(writer.end().unwrap(), Written::Yes);
    let calls = entries(&path, Level::Call);
    // By start: the second call began first.
    let told: Vec<_> = calls
        .iter()
        .map(|entry| (entry.call, entry.nth, entry.offset, entry.length, entry.bytes))
        .collect();
    let expected = [
        (Some(2), 0, Some(7), None, Some(30)),
        (Some(1), 0, Some(5), Some(10), Some(30)),
        (Some(1), 1, Some(90), Some(20), None),
    ];
    assert_eq!(told, expected);
    let entry = &calls[1];
    assert_eq!((&*entry.key, entry.operation, entry.reader), ("a \"b\"\n", Op::Get, true));
    assert_eq!(
        (entry.at_ns, entry.duration_ns, entry.bucket.as_deref()),
        (999, Some(50), Some("oci://lake@ns"))
    );
    let [attempt] = &entries(&path, Level::Attempt)[..] else { panic!("one attempt") };
    let more = attempt.attempt.as_ref().unwrap();
    assert_eq!(more.client_request_id.as_deref(), Some("00000000000000000000000000000abc"));
    assert_eq!(
        (more.status, more.connection, more.hedge),
        (Some(206), Some(Connection::New), true)
    );
    assert_eq!(more.phases_ns, [("prepare".to_owned(), 3), ("ttfb".to_owned(), 30)]);
    let mut trace = TraceReader::open(&path).unwrap();
    assert_eq!(
        (trace.format(), trace.has_hashed_names(), trace.by_ref().count()),
        (Format::Capture, false, 3)
    );
    let tally = trace.tally().unwrap();
    assert_eq!((tally.calls, tally.attempts, tally.left_out, tally.full), (2, 1, 4, false));
    assert!(Writer::create(&path, 1, Names::Plain).unwrap_err().to_string().contains("exists"));
}

/// Frame by frame: all of those before the cut are there.
#[test]
fn a_file_that_was_cut_off_is_read_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let mut writer = Writer::create(&path, 1 << 20, Names::Plain).unwrap();
    let mut ends = Vec::new();
    for number in 1..=5 {
        writer.write(&call(number, "k", &[(0, Some(1))])).unwrap();
        writer.flush().unwrap();
        ends.push(std::fs::metadata(&path).unwrap().len());
    }
    writer.end().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut");
    for end in ends[0]..whole.len() as u64 {
        std::fs::write(&cut, &whole[..end as usize]).unwrap();
        let mut trace = TraceReader::open(&cut).unwrap();
        let count = trace.by_ref().map(Result::unwrap).count();
        assert_eq!(count, ends.iter().filter(|frame| **frame <= end).count(), "cut at {end}");
        assert_eq!(trace.tally(), None, "cut at {end}");
        assert_eq!(trace.cut_off().is_none(), ends.contains(&end), "cut at {end}");
    }
}

#[test]
fn the_limit_ends_it_and_what_is_left_out_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let limit = 40_000;
    let mut writer = Writer::create(&path, limit, Names::Plain).unwrap();
    let mut full = 0;
    for number in 0..2_000 {
        // Not to be compressed away.
        let key = format!(
            "{:x}",
            u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        );
        writer.write(&attempt(number, &key)).unwrap();
        full += u32::from(writer.flush().unwrap() == Written::Full);
    }
    writer.end().unwrap();
    assert!(full > 0 && std::fs::metadata(&path).unwrap().len() <= limit);
    let written = entries(&path, Level::Attempt).len() as u64;
    let mut trace = TraceReader::open(&path).unwrap();
    assert_eq!(trace.by_ref().count(), 0, "no calls");
    let tally = trace.tally().unwrap();
    assert!(written > 50, "{written}");
    assert_eq!((tally.attempts, tally.left_out, tally.full), (written, 2_000 - written, true));
}

#[test]
fn hashed_names_hold_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let mut writer = Writer::create(&path, 1 << 20, Names::Hashed).unwrap();
    for (number, key) in ["secret/day=1/x", "secret/day=1/y", "secret/day=1/x"].iter().enumerate() {
        writer.write(&call(number as u64, key, &[(0, Some(1))])).unwrap();
    }
    writer.end().unwrap();
    let text = zstd::decode_all(std::fs::File::open(&path).unwrap()).unwrap();
    let text = String::from_utf8(text).unwrap();
    for name in ["secret", "day=1", "lake", "@ns"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
    let trace = TraceReader::open(&path).unwrap();
    assert!(trace.has_hashed_names());
    let keys: Vec<String> = trace.map(|entry| entry.unwrap().key).collect();
    assert!(keys[0] == keys[2] && keys[0] != keys[1], "{keys:?}");
    assert_eq!(keys[0].rsplit_once('/').unwrap().0, keys[1].rsplit_once('/').unwrap().0);
}

#[test]
fn a_folder_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/folder/t");
    let error = Writer::create(&missing, 1, Names::Plain).unwrap_err();
    assert!(error.to_string().contains("cannot be written"), "{error}");
    assert_eq!(error.io_kind(), Some(std::io::ErrorKind::NotFound));
}

/// Each range of a line is an entry of its own: with the names of all, a line of megabytes would take gigabytes.
#[test]
fn a_line_that_would_take_too_much_memory_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let read = |ranges: &[(u64, Option<u64>)]| {
        let _ = std::fs::remove_file(&path);
        let mut writer = Writer::create(&path, 1 << 20, Names::Plain).unwrap();
        writer.write(&call(1, &"k".repeat(17 << 10), ranges)).unwrap();
        writer.end().unwrap();
        TraceReader::open(&path).unwrap().collect::<Result<Vec<_>, _>>()
    };
    assert_eq!(read(&[(0, None)]).unwrap().len(), 1);
    let error = read(&[(0, None), (9, None)]).unwrap_err();
    assert!(error.to_string().contains("its names have 17"), "{error}");
    assert_eq!(error.line(), Some(2));
}
