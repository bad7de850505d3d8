// SPDX-License-Identifier: Apache-2.0
//! Reads an object by one of three patterns, and tells how long each round took: what the jar's streams are compared with
//! (`benches/jni/run.py`).
//!
//! ```text
//! cargo run --profile ci --example read_patterns -- oci://lake@ns/object in-order 8          # or vectored, scattered; rounds
//! ```

use std::time::Instant;
use storescope::blocking::{Reader, Store};
use storescope::{Client, ReadOptions, ReadPolicy, StoreOptions, StoreUrl};

const PIECE: u64 = 64 << 10;
const THREADS: u64 = 16;
/// Ranges of a vectored read, one in four pieces.
const RANGES: u64 = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, pattern, rounds] = &arguments[..] else {
        return Err("expected: URL PATTERN ROUNDS".into());
    };
    let url: StoreUrl = url.parse()?;
    let store = Store::open(Client::global()?, &url.with_key(""), StoreOptions::new())?;
    let size = store.head(url.key())?.size;
    for _ in 0..rounds.parse::<u32>()? {
        let begun = Instant::now();
        let open = |policy| store.reader(url.key(), ReadOptions::new().size(size).policy(policy));
        let read = match pattern.as_str() {
            "in-order" => in_order(&open(ReadPolicy::Sequential), 0, size)?,
            "vectored" => vectored(&open(ReadPolicy::Vector), size)?,
            "scattered" => scattered(&open(ReadPolicy::Random), size)?,
            _ => return Err("the patterns are in-order, vectored and scattered".into()),
        };
        println!("{} {read}", begun.elapsed().as_secs_f64());
    }
    Ok(())
}

fn in_order(reader: &Reader, from: u64, size: u64) -> storescope::Result<u64> {
    let mut piece = vec![0; PIECE as usize];
    let mut at = from;
    while at < size {
        at += reader.read_into(at, &mut piece)? as u64;
    }
    Ok(at - from)
}

fn vectored(reader: &Reader, size: u64) -> storescope::Result<u64> {
    let starts: Vec<u64> = (0..size / PIECE / 4).map(|number| number * PIECE * 4).collect();
    let mut read = 0;
    for starts in starts.chunks(RANGES as usize) {
        let ranges: Vec<_> = starts.iter().map(|start| *start..start + PIECE).collect();
        read += reader.read_all(&ranges)?.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
    }
    Ok(read)
}

/// Places that repeat from run to run: a step that has no factor in common with the number of pieces.
fn scattered(reader: &Reader, size: u64) -> storescope::Result<u64> {
    let pieces = size / PIECE;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let mut piece = vec![0; PIECE as usize];
                    let mut read = 0;
                    for number in (thread..pieces / 2).step_by(THREADS as usize) {
                        let at = number * 7919 % pieces * PIECE;
                        read += reader.read_into(at, &mut piece)? as u64;
                    }
                    Ok(read)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).sum()
    })
}
