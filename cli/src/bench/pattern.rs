// SPDX-License-Identifier: Apache-2.0
//! What is read, in which order: plain ranged GETs anywhere (`sources.rs`), or one of the field's patterns through the
//! reading engine.
//!
//! A worker of a pattern walks objects one after another, each through a reader of its own, so that nothing it reads is
//! there from before.

use super::stock::Object;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use storescope::{ReadOptions, ReadPolicy, Reader, Result, Store};

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

/// The walks of all workers through the objects. A worker takes one for each read, and gives it back.
#[derive(Debug)]
pub(super) struct Walks {
    pattern: Pattern,
    objects: Arc<Vec<Object>>,
    size: u64,
    next: AtomicU64,
    resting: Mutex<Vec<Walk>>,
}

/// A way through the objects.
#[derive(Debug, Default)]
struct Walk {
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
}

impl Walks {
    pub(super) fn new(pattern: Pattern, size: u64, objects: Arc<Vec<Object>>) -> Walks {
        let (next, resting) = (AtomicU64::new(0), Mutex::default());
        Walks { pattern, objects, size: size.max(1), next, resting }
    }

    /// One read: its bytes. A walk whose read failed does not go on.
    pub(super) async fn step(&self, store: &Store) -> Result<u64> {
        let rested = self.resting.lock().expect("no holder panics").pop();
        let mut walk = rested.unwrap_or_default();
        let read = match self.pattern {
            Pattern::Sequential => walk.onward(self, store, self.size).await?,
            Pattern::Strided => walk.onward(self, store, self.size.saturating_mul(STRIDE)).await?,
            Pattern::Parquet => table(store, self.object()).await?,
            Pattern::Root => tree(store, self.object()).await?,
            Pattern::Random => unreachable!("random reads are plain GETs"),
        };
        self.resting.lock().expect("no holder panics").push(walk);
        Ok(read)
    }

    /// The next object, and then the first one again.
    fn object(&self) -> &Object {
        let number = self.next.fetch_add(1, Relaxed) % self.objects.len() as u64;
        &self.objects[number as usize]
    }
}

impl Walk {
    /// Reads where the last read ended, or as far on as the stride is; at the end of an object, the next one's front.
    async fn onward(&mut self, walks: &Walks, store: &Store, stride: u64) -> Result<u64> {
        let (reader, size) = match self.open.take() {
            Some(open) if self.at < open.1 => open,
            _ => {
                let Object { key, size } = walks.object();
                self.at = 0;
                (store.reader(key, ReadOptions::new().size(*size)), *size)
            }
        };
        let range = self.at..size.min(self.at.saturating_add(walks.size));
        let read = reader.read_at(range).await?.len() as u64;
        self.at = self.at.saturating_add(stride);
        self.open = Some((reader, size));
        Ok(read)
    }
}

/// Reads a table as a query of three columns does.
async fn table(store: &Store, Object { key, size }: &Object) -> Result<u64> {
    let reader = store.reader(key, ReadOptions::new().size(*size).policy(ReadPolicy::Parquet));
    let mut bytes = reader.read_at(size.saturating_sub(FOOTER)..*size).await?.len() as u64;
    for group in columns(*size) {
        bytes += sum(&reader.read_ranges(&group).all().await?);
    }
    Ok(bytes)
}

/// Reads a tree as an analysis of seven branches does.
async fn tree(store: &Store, Object { key, size }: &Object) -> Result<u64> {
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
