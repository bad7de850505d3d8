// SPDX-License-Identifier: Apache-2.0
//! Every format, as others write it and as it comes broken.

use std::path::{Path, PathBuf};
use storescope_trace::{
    Connection, CsvWriter, Entry, Format, Level, Op, Options, Order, TraceReader,
};
use tempfile::TempDir;

fn file(folder: &TempDir, name: &str, text: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn read(path: &Path) -> (TraceReader, Vec<Entry>) {
    let mut trace = TraceReader::open(path).unwrap();
    let entries = trace.by_ref().map(Result::unwrap).collect();
    (trace, entries)
}

/// What is wrong with a text, whether at its opening or later.
fn wrong(text: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "trace.csv", text);
    let error = match TraceReader::open(&path) {
        Ok(mut trace) => {
            let error = trace.find_map(Result::err).unwrap_or_else(|| panic!("{text:?} is fine"));
            assert!(trace.next().is_none(), "an error is the end");
            error
        }
        Err(error) => error,
    };
    let told = error.to_string();
    assert!(told.contains("trace.csv"), "{told}");
    told
}

/// Written by s3dlio 0.10.0 from PyPI against the emulator (trace/tests/data/README.md).
#[test]
fn an_op_log_of_s3dlio() {
    let (trace, entries) = read("tests/data/s3dlio-0.10.0.tsv.zst".as_ref());
    assert_eq!((trace.format(), trace.cut_off(), trace.tally()), (Format::OpLog, None, None));
    assert_eq!(entries.len(), 14);
    let of = |op: Op| entries.iter().filter(|entry| entry.operation == op).count();
    assert_eq!([Op::Put, Op::Get, Op::Head, Op::List, Op::Delete].map(of), [2, 9, 1, 1, 1]);
    let first = &entries[0];
    assert_eq!((first.at_ns, first.duration_ns), (0, Some(1_081_777)));
    assert_eq!((first.bucket.as_deref(), &*first.key), (Some("s3://lake"), "data/a"));
    assert_eq!((first.offset, first.length, first.bytes), (None, Some(100_000), Some(100_000)));
    assert!(entries.iter().any(|entry| entry.key == "data/b cé"));
    // All of an object has no range; the place of a range is not told.
    assert_eq!((entries[2].length, entries[2].bytes), (None, Some(100_000)));
    let range = &entries[3];
    assert_eq!((&*range.detail, range.offset, range.length), ("GET_RANGE", None, Some(4096)));
    assert_eq!(range.at_ns, 619_668_182 - 617_070_113);
    // Of many at once the log has the service's URL, and names without the bucket.
    assert!(entries.iter().any(|entry| entry.bucket.is_none() && entry.key == "data/a"));
    let failed: Vec<_> = entries.iter().filter(|entry| !entry.is_ok()).collect();
    assert_eq!(failed.len(), 1);
    assert!(
        failed[0].outcome.as_deref().unwrap().contains("NoSuchKey")
            && failed[0].key == "data/missing"
    );
    assert!(entries.is_sorted_by_key(|entry| entry.at_ns));
}

/// s3dlio ends neither the line nor the frame where the process ends without `finalize_op_log`.
#[test]
fn an_op_log_that_was_cut_off() {
    let whole = std::fs::read("tests/data/s3dlio-0.10.0.tsv.zst").unwrap();
    let text = zstd::decode_all(&whole[..]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // In the middle of the fifth line's last number: what is left of it would be a number, too.
    let end: usize = text.split_inclusive(|byte| *byte == b'\n').take(5).map(<[u8]>::len).sum();
    let (trace, entries) = read(&file(&folder, "cut.tsv", &text[..end - 3]));
    assert_eq!((entries.len(), trace.cut_off()), (3, Some(5)));
    let (trace, entries) = read(&file(&folder, "whole.tsv", &text[..end]));
    assert_eq!((entries.len(), trace.cut_off()), (4, None));
}

#[test]
fn requests_of_a_bench() {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: &str, start: u64, more: &str| {
        format!(
            r#"{{"client_request_id":"{id}","outcome":"ok","ttfb_ns":7,"total_ns":9,"start_unix_ns":{start}{more}}}"#
        )
    };
    let text = [
        line(
            "a",
            1_000_000_500,
            r#","warmup":false,"operation":"get","key":"x","offset":5,"length":10,"bytes":10"#,
        ),
        line(
            "b",
            1_000_000_200,
            r#","warmup":false,"operation":"put","key":"y","length":20,"bytes":20"#,
        ),
        line("w", 1_000_000_000, r#","warmup":true"#),
    ];
    let (trace, entries) =
        read(&file(&folder, "requests.jsonl", (text.join("\n") + "\n").as_bytes()));
    assert_eq!(trace.format(), Format::Requests);
    // By start, from the first that was measured on.
    let told: Vec<_> =
        entries.iter().map(|entry| (entry.at_ns, entry.operation, &*entry.key)).collect();
    assert_eq!(told, [(0, Op::Put, "y"), (300, Op::Get, "x")]);
    assert_eq!(
        (entries[1].offset, entries[1].length, entries[1].duration_ns),
        (Some(5), Some(10), Some(9))
    );
    let attempt = entries[1].attempt.as_ref().unwrap();
    assert_eq!(attempt.client_request_id.as_deref(), Some("a"));
    let cut = text.join("\n");
    let (trace, entries) = read(&file(&folder, "cut.jsonl", &cut.as_bytes()[..cut.len() - 4]));
    assert_eq!((entries.len(), trace.cut_off()), (2, Some(3)));
    let old =
        br#"{"client_request_id":"a","outcome":"ok","ttfb_ns":7,"total_ns":9,"warmup":false}"#;
    assert!(wrong(&[&old[..], b"\n"].concat()).contains("trace.csv:1: has no start_unix_ns"));
}

#[test]
fn a_csv_of_offset_length_time() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, entries) =
        read(&file(&folder, "t", b"offset,length,time\n0,4096,5.0\n8192,100,5.25"));
    assert_eq!((trace.format(), trace.cut_off()), (Format::Csv, None));
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.at_ns, entry.operation, entry.offset, entry.length))
        .collect();
    assert_eq!(
        told,
        [(0, Op::Get, Some(0), Some(4096)), (250_000_000, Op::Get, Some(8192), Some(100))]
    );
    // Other columns, other units, names that are quoted, a comment, and a compressed file.
    let text = "# by hand\ntime_ms, op, object, size\r\n1,put,\"a,b\",7\r\n2.5,head,c,\r\n1s,delete,c,\r\n";
    let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let (_, entries) = read(&file(&folder, "packed", &packed));
    let told: Vec<_> =
        entries.iter().map(|entry| (entry.at_ns, entry.operation, &*entry.key)).collect();
    let expected =
        [(0, Op::Put, "a,b"), (1_500_000, Op::Head, "c"), (999_000_000, Op::Delete, "c")];
    assert_eq!(told, expected);
    assert_eq!(entries[0].length, Some(7));
    // A last line that is not whole.
    let (trace, entries) = read(&file(&folder, "cut", b"offset,length,time\n0,4096,1\n8192,1"));
    assert_eq!((entries.len(), trace.cut_off()), (1, Some(3)));
}

#[test]
fn time_that_goes_backwards() {
    let text = b"offset,length,time\n0,1,1\n1,1,3\n2,1,2.5\n3,1,4\n";
    let told = wrong(text);
    assert!(told.contains("trace.csv:4: time goes backwards by 500ms (line 3 is later)"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "t.csv", text);
    let offsets = |order: Order| -> Vec<_> {
        let trace = TraceReader::open_with(&path, &Options::new().order(order)).unwrap();
        trace.map(|entry| entry.unwrap().offset.unwrap()).collect()
    };
    assert_eq!(offsets(Order::Sorted), [0, 2, 1, 3]);
    assert_eq!(offsets(Order::AsWritten), [0, 1, 2, 3]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, told) in [
        (&b""[..], "is empty"),
        (b"\n", "is no trace"),
        (b"hello world\n", "is no trace"),
        (b"\xff\xfe\x00\x01", "is no trace"),
        (b"{\"a\":1}\n", "is no trace"),
        (b"a\tb\n1\t2\n", "is no trace"),
        (b"{\"storescope_trace\":99}\n", ":1: is of schema 99"),
        (b"{\"storescope_trace\":1", "cut off in its first line"),
        (b"0,4096,1\n", "has no header"),
        (b"offset,length\n0,1\n", "no column time"),
        (b"offset,length,time,time_ms\n", "names time twice"),
        (b"offset,length,time,colour\n0,1,1,red\n", "the column \"colour\" is not known; those that are: offset"),
        (b"offset,length,time\n0,1,1\n0,x,2\n", ":3: length: \"x\" is no whole number"),
        (b"offset,length,time\n0,1,1\n-5,1,2\n", ":3: offset: \"-5\""),
        (b"offset,length,time\n0,1,soon\n", ":2: \"soon\" is no time"),
        (b"offset,length,time\n0,1\n0,1,1\n", ":2: has 2 columns, and the header 3"),
        (b"op,offset,length,time\nburn,0,1,1\n", ":2: operation \"burn\""),
        (b"{\"storescope_trace\":1}\n{\"level\":\"call\"}\n", ":2: missing field `at_ns`"),
        (b"{\"storescope_trace\":1}\nnonsense\n", ":2: "),
        (
            b"idx\tthread\top\tclient_id\tn_objects\tbytes\tendpoint\tfile\terror\tstart\tfirst_byte\tend\tduration_ns\n\
              0\t1\tGET\t\t1\t5\ts3://b\tb/k\t\tyesterday\t\t\t7\n",
            ":2: \"yesterday\" is no time",
        ),
    ] {
        let said = wrong(text);
        assert!(said.contains(told), "{told:?} in {said:?}");
    }
    let missing = TraceReader::open("no/such/file".as_ref()).unwrap_err();
    assert!(
        missing.to_string().starts_with("no/such/file: cannot be read: No such file"),
        "{missing}"
    );
}

#[test]
fn bytes_that_are_damaged_are_an_error_behind_what_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let good = zstd::encode_all(&b"{\"storescope_trace\":1}\n"[..], 1).unwrap();
    let call =
        b"{\"level\":\"call\",\"call\":1,\"at_ns\":1,\"operation\":\"head\",\"key\":\"k\"}\n";
    let mut bad = zstd::encode_all(&call[..], 1).unwrap();
    bad[4] ^= 0xff;
    let path = file(&folder, "bad", &[good, zstd::encode_all(&call[..], 1).unwrap(), bad].concat());
    let mut trace = TraceReader::open(&path).unwrap();
    assert_eq!(trace.next().unwrap().unwrap().operation, Op::Head);
    let error = trace.next().unwrap().unwrap_err();
    assert_eq!(error.line(), Some(3));
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// What is written as CSV is read again as it was.
#[test]
fn csv_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (_, entries) = read("tests/data/s3dlio-0.10.0.tsv.zst".as_ref());
    for name in ["out.csv", "out.csv.zst"] {
        let path = folder.path().join(name);
        let mut csv = CsvWriter::create(&path).unwrap();
        for entry in &entries {
            csv.write(entry).unwrap();
        }
        csv.finish().unwrap();
        let (trace, again) = read(&path);
        assert_eq!(trace.format(), Format::Csv);
        assert_eq!(again, entries);
    }
    let (_, back) = read(&file(
        &folder,
        "attempts.csv",
        b"at_ns,level,operation,key,client_request_id,status,connection,hedge,ttfb_ns\n5,attempt,get,\"a\nb\",ff,206,reused,true,77\n",
    ));
    assert!(back.is_empty(), "calls are asked for, and there are none");
    let attempts = Options::new().level(Level::Attempt);
    let mut trace = TraceReader::open_with(&folder.path().join("attempts.csv"), &attempts).unwrap();
    let entry = trace.next().unwrap().unwrap();
    let attempt = entry.attempt.unwrap();
    assert_eq!((&*entry.key, attempt.status, attempt.hedge), ("a\nb", Some(206), true));
    assert_eq!(
        (attempt.connection, &attempt.phases_ns[..]),
        (Some(Connection::Reused), &[("ttfb".to_owned(), 77)][..])
    );
}
