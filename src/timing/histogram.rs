// SPDX-License-Identifier: Apache-2.0
//! One histogram, recorded into by many threads.
//!
//! Layout: HdrHistogram's, two significant digits (256 sub-buckets, bucket error at most 1/128 = 0.78 %), split into
//! pages of 128 counters that are allocated when a value first falls into them. Each thread writes a shard of its own
//! with plain loads and stores of relaxed atomics; threads beyond the exclusive shards share one with `fetch_add`.

use super::sync::{AtomicU64, AtomicUsize, Mutex, OnceLock, PoisonError};
use std::array;
use std::sync::atomic::Ordering::Relaxed;

const SUB_BUCKET_BITS: u32 = 8;
const PAGE: usize = 1 << (SUB_BUCKET_BITS - 1);
/// Pages enough for 2^42 (73 minutes in ns; 4 TiB) at a unit of one.
const PAGES: usize = 36;
/// Values above are counted as this one: one hour in nanoseconds.
pub(super) const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Values above are counted as this one: 4 TiB.
pub(super) const HIGHEST_BYTES: u64 = (1 << 42) - 1;

/// Which values a histogram holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unit {
    /// 500 ns to one hour: the lowest discernible value makes the unit 2^8 ns, as `hdrhistogram` computes it.
    Nanoseconds,
    /// One byte to 4 TiB.
    Bytes,
}

impl Unit {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::Bytes => "bytes",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Unit> {
        [Unit::Nanoseconds, Unit::Bytes].into_iter().find(|unit| unit.name() == name)
    }

    pub(super) const fn lowest(self) -> u64 {
        match self {
            Unit::Nanoseconds => 500,
            Unit::Bytes => 1,
        }
    }

    pub(super) const fn highest(self) -> u64 {
        match self {
            Unit::Nanoseconds => HIGHEST_NS,
            Unit::Bytes => HIGHEST_BYTES,
        }
    }

    const fn magnitude(self) -> u32 {
        match self {
            Unit::Nanoseconds => const { Unit::Nanoseconds.lowest().ilog2() },
            Unit::Bytes => const { Unit::Bytes.lowest().ilog2() },
        }
    }

    /// The counter a value belongs to.
    pub(super) fn index_of(self, value: u64) -> usize {
        let value = value.min(self.highest());
        let mask = ((1u64 << SUB_BUCKET_BITS) - 1) << self.magnitude();
        let bucket = 64 - (value | mask).leading_zeros() - self.magnitude() - SUB_BUCKET_BITS;
        let sub_bucket = (value >> (bucket + self.magnitude())) as usize;
        ((bucket as usize) << (SUB_BUCKET_BITS - 1)) + sub_bucket
    }

    /// The lowest value of a counter.
    pub(super) fn lowest_of(self, index: usize) -> u64 {
        let bucket = (index / PAGE).saturating_sub(1);
        let sub_bucket = (index - bucket * PAGE) as u64;
        sub_bucket << (bucket as u32 + self.magnitude())
    }

    /// The highest value of a counter: what stock readers answer for a quantile that falls into it.
    pub(super) fn highest_of(self, index: usize) -> u64 {
        let bucket = (index / PAGE).saturating_sub(1);
        self.lowest_of(index) + (1u64 << (bucket as u32 + self.magnitude())) - 1
    }
}

/// The memory a scope's histograms may take, and what was turned away.
#[derive(Debug)]
pub(super) struct Allowance {
    cap: usize,
    used: AtomicUsize,
    dropped: AtomicU64,
}

impl Allowance {
    pub(super) fn new(cap: usize) -> Allowance {
        Allowance { cap, used: AtomicUsize::new(0), dropped: AtomicU64::new(0) }
    }

    /// Takes `bytes`; a `vital` taker (a failure) is never refused.
    pub(super) fn take(&self, bytes: usize, vital: bool) -> bool {
        let before = self.used.fetch_add(bytes, Relaxed);
        if vital || before + bytes <= self.cap {
            return true;
        }
        self.used.fetch_sub(bytes, Relaxed);
        false
    }

    /// What is in the cell; where it is empty, it is made if `bytes` are left. `None` where they are not.
    pub(super) fn made<'a, T>(
        &self,
        cell: &'a OnceLock<T>,
        bytes: usize,
        vital: bool,
        make: impl FnOnce() -> T,
    ) -> Option<&'a T> {
        if let Some(there) = cell.get() {
            return Some(there);
        }
        if !self.take(bytes, vital) {
            return None;
        }
        let mut is_ours = false;
        let there = cell.get_or_init(|| {
            is_ours = true;
            make()
        });
        if !is_ours {
            // Another thread made it meanwhile, and took the bytes.
            self.used.fetch_sub(bytes, Relaxed);
        }
        Some(there)
    }

    pub(super) fn note_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    pub(super) fn cap(&self) -> usize {
        self.cap
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

/// A histogram that threads record into and anybody may read while they do.
#[derive(Debug)]
pub(super) struct Histogram {
    unit: Unit,
    vital: bool,
    shards: [OnceLock<Box<Shard>>; ShardIndex::COUNT],
}

impl Histogram {
    pub(super) const BYTES: usize = size_of::<Histogram>();

    pub(super) fn new(unit: Unit, vital: bool) -> Histogram {
        Histogram { unit, vital, shards: array::from_fn(|_| OnceLock::new()) }
    }

    pub(super) fn unit(&self) -> Unit {
        self.unit
    }

    /// Counts one value. Where the allowance is spent, the value is dropped and the drop counted.
    #[inline]
    pub(super) fn record(&self, value: u64, shard: ShardIndex, allowance: &Allowance) {
        let index = self.unit.index_of(value);
        // Nothing here may need a call that comes back: so few instructions are left that it would show.
        if shard.is_exclusive()
            && let Some(shard) = self.shards[shard.0].get()
            && let Some(page) = shard.pages[index / PAGE].get()
        {
            let counter = &page[index % PAGE];
            counter.store(counter.load(Relaxed) + 1, Relaxed);
            shard.sum.store(shard.sum.load(Relaxed).wrapping_add(value), Relaxed);
            if value < shard.min.load(Relaxed) {
                shard.min.store(value, Relaxed);
            }
            if value > shard.max.load(Relaxed) {
                shard.max.store(value, Relaxed);
            }
        } else {
            self.record_shared_or_first(index, value, shard, allowance);
        }
    }

    /// By atomic additions, which are right in any shard.
    #[cold]
    fn record_shared_or_first(
        &self,
        index: usize,
        value: u64,
        shard: ShardIndex,
        allowance: &Allowance,
    ) {
        let Some(shard) = self.shard(shard, allowance) else { return allowance.note_dropped() };
        let Some(page) = shard.page(index / PAGE, self.vital, allowance) else {
            return allowance.note_dropped();
        };
        page[index % PAGE].fetch_add(1, Relaxed);
        shard.sum.fetch_add(value, Relaxed);
        shard.min.fetch_min(value, Relaxed);
        shard.max.fetch_max(value, Relaxed);
    }

    fn shard(&self, shard: ShardIndex, allowance: &Allowance) -> Option<&Shard> {
        let cell = &self.shards[shard.0];
        allowance.made(cell, size_of::<Shard>(), self.vital, Box::default).map(Box::as_ref)
    }

    /// All values added up, modulo 2^64.
    pub(super) fn sum(&self) -> u64 {
        let shards = self.shards.iter().filter_map(OnceLock::get);
        shards.fold(0, |sum, shard| sum.wrapping_add(shard.sum.load(Relaxed)))
    }

    /// Adds what has been recorded so far to `counts` (indexed as `Unit::index_of` says); returns sum, min and max.
    /// Values recorded meanwhile may be in the counts and not yet in the sum.
    pub(super) fn read_into(&self, counts: &mut Vec<u64>) -> (u64, u64, u64) {
        let (mut sum, mut min, mut max) = (0u64, u64::MAX, 0u64);
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            sum = sum.wrapping_add(shard.sum.load(Relaxed));
            min = min.min(shard.min.load(Relaxed));
            max = max.max(shard.max.load(Relaxed));
            for (number, page) in shard.pages.iter().enumerate() {
                let Some(page) = page.get() else { continue };
                if counts.len() < (number + 1) * PAGE {
                    counts.resize((number + 1) * PAGE, 0);
                }
                for (total, counter) in counts[number * PAGE..].iter_mut().zip(page.iter()) {
                    *total += counter.load(Relaxed);
                }
            }
        }
        (sum, min, max)
    }
}

type Page = [AtomicU64; PAGE];

#[derive(Debug)]
struct Shard {
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    pages: [OnceLock<Box<Page>>; PAGES],
}

impl Default for Shard {
    fn default() -> Shard {
        Shard {
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            pages: array::from_fn(|_| OnceLock::new()),
        }
    }
}

impl Shard {
    fn page(&self, number: usize, vital: bool, allowance: &Allowance) -> Option<&Page> {
        let make = || Box::new(array::from_fn(|_| AtomicU64::new(0)));
        allowance.made(&self.pages[number], size_of::<Page>(), vital, make).map(Box::as_ref)
    }
}

/// The shard a thread writes: one of its own while there are any, else the shared one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShardIndex(pub(super) usize);

impl ShardIndex {
    const EXCLUSIVE: usize = 32;
    const COUNT: usize = ShardIndex::EXCLUSIVE + 1;
    pub(super) const SHARED: ShardIndex = ShardIndex(ShardIndex::EXCLUSIVE);

    #[inline]
    fn is_exclusive(self) -> bool {
        self.0 < ShardIndex::EXCLUSIVE
    }
}

/// Which threads have which shards (`lease.rs` has those of the process). A shard that is given back passes to another thread by the
/// lock of `free`, so that its new owner sees all that the one before has stored.
#[derive(Debug)]
pub(super) struct Leases {
    /// Exclusive shards that were given back.
    pub(super) free: Mutex<Vec<usize>>,
    pub(super) handed_out: AtomicUsize,
}

impl Leases {
    pub(super) fn take(&self) -> ShardIndex {
        let freed = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let shard = freed.unwrap_or_else(|| self.handed_out.fetch_add(1, Relaxed));
        if shard < ShardIndex::EXCLUSIVE { ShardIndex(shard) } else { ShardIndex::SHARED }
    }

    pub(super) fn give_back(&self, shard: ShardIndex) {
        if shard.is_exclusive() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(shard.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stock(unit: Unit) -> hdrhistogram::Histogram<u64> {
        hdrhistogram::Histogram::new_with_bounds(unit.lowest(), unit.highest(), 2).unwrap()
    }

    proptest! {
        #[test]
        fn the_layout_is_that_of_hdrhistogram(value in 0..HIGHEST_NS, bytes: bool) {
            let unit = if bytes { Unit::Bytes } else { Unit::Nanoseconds };
            let index = unit.index_of(value);
            prop_assert_eq!(unit.lowest_of(index), stock(unit).lowest_equivalent(value));
            prop_assert_eq!(unit.highest_of(index), stock(unit).highest_equivalent(value));
            prop_assert!(index < PAGES * PAGE);
        }
    }

    #[test]
    fn values_past_the_end_are_counted_as_the_highest() {
        for unit in [Unit::Nanoseconds, Unit::Bytes] {
            assert_eq!(unit.index_of(u64::MAX), unit.index_of(unit.highest()));
            assert!(unit.index_of(u64::MAX) < PAGES * PAGE);
        }
    }

    #[test]
    fn more_threads_than_shards_lose_no_count() {
        let histogram = Histogram::new(Unit::Nanoseconds, false);
        let allowance = Allowance::new(usize::MAX >> 1);
        std::thread::scope(|scope| {
            for thread in 0..(ShardIndex::EXCLUSIVE as u64 + 16) {
                let (histogram, allowance) = (&histogram, &allowance);
                scope.spawn(move || {
                    for value in 0..1000 {
                        let shard = ShardIndex::of_this_thread();
                        histogram.record(value * 1_000 + thread, shard, allowance);
                    }
                });
            }
        });
        let mut counts = Vec::new();
        let (_, min, max) = histogram.read_into(&mut counts);
        assert_eq!(counts.iter().sum::<u64>(), (ShardIndex::EXCLUSIVE as u64 + 16) * 1000);
        assert_eq!((min, max), (0, 999_000 + ShardIndex::EXCLUSIVE as u64 + 15));
    }

    #[test]
    fn a_spent_allowance_drops_and_counts_but_never_a_failure() {
        let allowance = Allowance::new(0);
        let shard = ShardIndex::of_this_thread();
        let (plain, vital) =
            (Histogram::new(Unit::Nanoseconds, false), Histogram::new(Unit::Nanoseconds, true));
        plain.record(1_000, shard, &allowance);
        vital.record(1_000, shard, &allowance);
        let (mut nothing, mut one) = (Vec::new(), Vec::new());
        plain.read_into(&mut nothing);
        vital.read_into(&mut one);
        assert_eq!((nothing.iter().sum::<u64>(), one.iter().sum::<u64>()), (0, 1));
        assert_eq!(allowance.dropped(), 1);
    }
}
