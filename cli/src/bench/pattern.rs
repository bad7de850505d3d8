// SPDX-License-Identifier: Apache-2.0
//! What is read, in which order: plain ranged GETs anywhere, or one of the field's patterns through the reading engine.
//!
//! A worker of a pattern walks objects one after another, each through a reader of its own, so that nothing it reads is
//! there from before.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use storescope::{GetOptions, ReadOptions, ReadPolicy, Reader, Result, Store};

/// Where the reads go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Pattern {
    /// Anywhere, each read a plain GET of its own: what the store does.
    Random,
    /// Each worker reads an object from end to end.
    Sequential,
    /// Each worker reads the first --size bytes of every eight times as many.
    Strided,
    /// Each read a table: the footer, then 3 of 20 columns, a row group of 32 MiB at a time.
    Parquet,
    /// Each read a tree: 7 of 37 branches, told ahead, then basket by basket.
    Root,
}

/// Objects and what is read of them, shared by all workers.
#[derive(Debug)]
pub(super) struct Reads {
    pattern: Pattern,
    objects: Vec<(String, u64)>,
    size: u64,
    next: AtomicU64,
    random: Mutex<fastrand::Rng>,
}

/// One worker's way through the objects.
#[derive(Debug)]
pub(super) struct Walk {
    reads: Arc<Reads>,
    open: Option<(Reader, u64)>,
    at: u64,
}

/// Of how many bytes a strided read takes one.
const STRIDE: u64 = 8;
/// A row group, and what ends a table.
const ROW_GROUP: u64 = 32 << 20;
const FOOTER: u64 = 10 << 10;
const COLUMNS: u64 = 20;
const COLUMNS_READ: [u64; 3] = [2, 9, 15];
/// A cluster of a tree, and where the baskets of seven branches lie in it: place and length in ten-thousandths. Those of
/// a real one (`fixtures/patterns.json`).
const CLUSTER: u64 = 12_860_000;
const BASKETS: [(u64, u64); 7] =
    [(30, 43), (75, 370), (445, 377), (822, 377), (1292, 124), (1793, 377), (7276, 280)];

impl Pattern {
    pub(super) fn name(self) -> &'static str {
        match self {
            Pattern::Random => "random",
            Pattern::Sequential => "sequential",
            Pattern::Strided => "strided",
            Pattern::Parquet => "parquet",
            Pattern::Root => "root",
        }
    }

    /// Whether each read has as many bytes as was said.
    pub(super) fn is_sized(self) -> bool {
        !matches!(self, Pattern::Parquet | Pattern::Root)
    }

    /// Whether each read is one request.
    pub(super) fn is_plain(self) -> bool {
        self == Pattern::Random
    }
}

impl Reads {
    pub(super) fn new(
        pattern: Pattern,
        size: u64,
        seed: u64,
        objects: Vec<(String, u64)>,
    ) -> Arc<Reads> {
        Arc::new(Reads {
            pattern,
            objects,
            size: size.max(1),
            next: AtomicU64::new(0),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
        })
    }

    /// A read anywhere.
    fn anywhere(&self) -> (&str, Range<u64>) {
        let mut random = self.random.lock().expect("no holder panics");
        let (key, size) = &self.objects[random.usize(..self.objects.len())];
        let start = random.u64(..=size.saturating_sub(self.size));
        (key, start..(start + self.size).min(*size))
    }

    /// The next object, and then the first one again.
    fn object(&self) -> &(String, u64) {
        let number = self.next.fetch_add(1, Relaxed) % self.objects.len() as u64;
        &self.objects[number as usize]
    }
}

impl Walk {
    pub(super) fn new(reads: &Arc<Reads>) -> Walk {
        Walk { reads: Arc::clone(reads), open: None, at: 0 }
    }

    /// One read: its bytes.
    pub(super) async fn step(&mut self, store: &Store) -> Result<u64> {
        let reads = Arc::clone(&self.reads);
        match reads.pattern {
            Pattern::Random => {
                let (key, range) = reads.anywhere();
                let got = store.get(key, GetOptions::new().range(range)).await?;
                Ok(got.bytes().await?.len() as u64)
            }
            Pattern::Sequential => self.onward(store, reads.size).await,
            Pattern::Strided => self.onward(store, reads.size.saturating_mul(STRIDE)).await,
            Pattern::Parquet => table(store, reads.object()).await,
            Pattern::Root => tree(store, reads.object()).await,
        }
    }

    /// Reads where the last read ended, or as far on as the stride is; at the end of an object, the next one's front.
    async fn onward(&mut self, store: &Store, stride: u64) -> Result<u64> {
        let (reader, size) = match self.open.take() {
            Some(open) if self.at < open.1 => open,
            _ => {
                let (key, size) = self.reads.object();
                self.at = 0;
                (store.reader(key, ReadOptions::new().size(*size)), *size)
            }
        };
        let range = self.at..size.min(self.at.saturating_add(self.reads.size));
        let read = reader.read_at(range).await?.len() as u64;
        self.at = self.at.saturating_add(stride);
        self.open = Some((reader, size));
        Ok(read)
    }
}

/// Reads a table as a query of three columns does.
async fn table(store: &Store, (key, size): &(String, u64)) -> Result<u64> {
    let reader = store.reader(key, ReadOptions::new().size(*size).policy(ReadPolicy::Parquet));
    let mut bytes = reader.read_at(size.saturating_sub(FOOTER)..*size).await?.len() as u64;
    for group in columns(*size) {
        bytes += sum(&reader.read_ranges(&group).all().await?);
    }
    Ok(bytes)
}

/// Reads a tree as an analysis of seven branches does.
async fn tree(store: &Store, (key, size): &(String, u64)) -> Result<u64> {
    let reader = store.reader(key, ReadOptions::new().size(*size));
    let baskets = baskets(*size);
    reader.hint(&baskets);
    let mut bytes = 0;
    for basket in baskets {
        bytes += reader.read_at(basket).await?.len() as u64;
    }
    Ok(bytes)
}

/// The column chunks wanted of each row group.
fn columns(size: u64) -> Vec<Vec<Range<u64>>> {
    let data = size.saturating_sub(FOOTER);
    let groups = data.div_ceil(ROW_GROUP).max(1);
    let group = |number: u64| {
        let (start, end) = (data * number / groups, data * (number + 1) / groups);
        let column = (end - start) / COLUMNS;
        let chunks = COLUMNS_READ.map(|at| start + at * column..start + (at + 1) * column);
        chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect()
    };
    (0..groups).map(group).collect()
}

/// The baskets wanted, cluster by cluster.
fn baskets(size: u64) -> Vec<Range<u64>> {
    let clusters = size.div_ceil(CLUSTER).max(1);
    let part = |of: u64, share: u64| of * share / 10_000;
    let cluster = |number: u64| {
        let (start, end) = (size * number / clusters, size * (number + 1) / clusters);
        let length = end - start;
        BASKETS.map(|(at, share)| start + part(length, at)..start + part(length, at + share))
    };
    (0..clusters).flat_map(cluster).filter(|basket| !basket.is_empty()).collect()
}

fn sum(all: &[bytes::Bytes]) -> u64 {
    all.iter().map(|bytes| bytes.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the real ones: nothing overlaps, nothing lies outside, and the share that is read is theirs.
    #[test]
    fn patterns_fit_objects_of_any_size() {
        for size in [1, 100, 10_000, 64_315_021, 128_064_268, 3 << 30] {
            let tables: Vec<_> = columns(size).concat();
            for ranges in [tables, baskets(size)] {
                assert!(ranges.iter().all(|range| range.end <= size), "{size}");
                assert!(ranges.windows(2).all(|two| two[0].end <= two[1].start), "{size}");
            }
        }
        let share = |ranges: Vec<Range<u64>>, size: u64| {
            ranges.iter().map(|range| range.end - range.start).sum::<u64>() as f64 / size as f64
        };
        let tree = share(baskets(64_315_021), 64_315_021);
        assert!((tree - 12_494_471.0 / 64_315_021.0).abs() < 0.002, "{tree}");
        let table = share(columns(128_064_268).concat(), 128_064_268);
        assert!((table - 0.15).abs() < 0.001, "{table}");
    }
}
