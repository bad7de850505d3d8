// SPDX-License-Identifier: Apache-2.0
//! What is read: ranges of one object, in steps, those of a step wanted together; and whether the right bytes came.

use serde_json::Value;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use storescope_benches::content::is_content;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Reads that are made while others are waited for.
pub(crate) const AT_A_TIME: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Scan,
    InARow,
    Random,
    RandomByEight,
    Strided,
    BasketsAtOnce,
    BasketsOneByOne,
    Columns,
}

impl Pattern {
    pub(crate) const ALL: [Pattern; 8] = [
        Pattern::Scan,
        Pattern::InARow,
        Pattern::Random,
        Pattern::RandomByEight,
        Pattern::Strided,
        Pattern::BasketsAtOnce,
        Pattern::BasketsOneByOne,
        Pattern::Columns,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Pattern::Scan => "scan",
            Pattern::InARow => "1 MiB after 1 MiB",
            Pattern::Random => "random 64 KiB",
            Pattern::RandomByEight => "random 64 KiB, 8 at a time",
            Pattern::Strided => "strided",
            Pattern::BasketsAtOnce => "ROOT, at once",
            Pattern::BasketsOneByOne => "ROOT, one by one",
            Pattern::Columns => "parquet",
        }
    }

    /// What it reads, in a smaller size if the run is to be quick.
    pub(crate) fn steps(self, quick: bool) -> (u64, Vec<Vec<Range<u64>>>) {
        let shrink = if quick { 8 } else { 1 };
        let alone = |ranges: Vec<Range<u64>>| ranges.into_iter().map(|range| vec![range]).collect();
        match self {
            Pattern::Scan => {
                let size = 512 * MIB / shrink;
                (size, vec![vec![0..size]])
            }
            Pattern::InARow => {
                let size = 128 * MIB / shrink;
                (size, alone((0..size).step_by(MIB as usize).map(|at| at..at + MIB).collect()))
            }
            Pattern::Random => (512 * MIB, alone(random(1, 96 / shrink))),
            Pattern::RandomByEight => (512 * MIB, vec![random(2, 256 / shrink)]),
            Pattern::Strided => {
                let starts = (0..64 / shrink).map(|number| number * 8 * MIB);
                (512 * MIB, alone(starts.map(|at| at..at + 256 * KIB).collect()))
            }
            Pattern::BasketsAtOnce => (baskets().0, vec![baskets().1]),
            Pattern::BasketsOneByOne => (baskets().0, alone(baskets().1)),
            Pattern::Columns => columns(),
        }
    }
}

/// Ranges of 64 KiB in an object of 512 MiB.
fn random(seed: u64, count: u64) -> Vec<Range<u64>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let starts = (0..count).map(|_| random.u64(0..512 * MIB - 64 * KIB));
    starts.map(|start| start..start + 64 * KIB).collect()
}

/// The baskets of 7 branches, branch by branch.
fn baskets() -> (u64, Vec<Range<u64>>) {
    let root = &patterns()["root"];
    let branches = root["branches"].as_object().expect("branches by name").values();
    (number(&root["size"]), branches.flat_map(ranges).collect())
}

/// The footer, then 3 columns of 20, row group by row group.
fn columns() -> (u64, Vec<Vec<Range<u64>>>) {
    let parquet = &patterns()["parquet"];
    let groups = parquet["row_groups"].as_array().expect("row groups").iter().map(ranges);
    let footer = vec![range(&parquet["footer"])];
    (number(&parquet["size"]), std::iter::once(footer).chain(groups).collect())
}

fn patterns() -> Value {
    let text = include_str!("../../../fixtures/patterns.json");
    serde_json::from_str(text).expect("the fixture is JSON")
}

fn ranges(pairs: &Value) -> Vec<Range<u64>> {
    pairs.as_array().expect("pairs").iter().map(range).collect()
}

/// A pair of start and length.
fn range(pair: &Value) -> Range<u64> {
    let start = number(&pair[0]);
    start..start + number(&pair[1])
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// A pattern to be read once. Bytes are told as they come; in full they are compared in a round that does not count,
/// in the others by both ends of every piece, which costs all rows alike, and next to nothing.
pub(crate) struct Task {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) steps: Vec<Vec<Range<u64>>>,
    in_full: bool,
    took: AtomicU64,
}

impl Task {
    pub(crate) fn new(pattern: Pattern, quick: bool, in_full: bool) -> Task {
        let (size, steps) = pattern.steps(quick);
        Task { key: key(size), size, steps, in_full, took: AtomicU64::new(0) }
    }

    pub(crate) fn ranges(&self) -> Vec<Range<u64>> {
        self.steps.concat()
    }

    /// Bytes that are asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.steps.iter().flatten().map(|range| range.end - range.start).sum()
    }

    /// The client has handed over these bytes, which stand at `at`.
    pub(crate) fn took(&self, at: u64, bytes: &[u8]) {
        const END: usize = 64;
        self.took.fetch_add(bytes.len() as u64, Relaxed);
        let right = if self.in_full || bytes.len() < 2 * END {
            is_content(at, bytes)
        } else {
            let last = bytes.len() - END;
            is_content(at, &bytes[..END]) && is_content(at + last as u64, &bytes[last..])
        };
        assert!(right, "{}: wrong bytes at {at}", self.key);
    }

    /// A range that was asked for has come in one piece.
    pub(crate) fn took_range(&self, range: &Range<u64>, bytes: &[u8]) {
        assert_eq!(bytes.len() as u64, range.end - range.start, "{}: {range:?}", self.key);
        self.took(range.start, bytes);
    }

    /// Panics unless as many bytes have come as were asked for.
    pub(crate) fn check(&self) {
        assert_eq!(self.took.load(Relaxed), self.asked(), "{}: bytes are missing", self.key);
    }
}

/// The name of the object of that size; the plain server knows the size from it.
pub(crate) fn key(size: u64) -> String {
    format!("lake/2026/11/22/events-{size}")
}
