// SPDX-License-Identifier: Apache-2.0
//! What a store's answers were like lately: the quantiles that reads are planned by.
//!
//! A scope's histograms never forget, and a hedge's loser is in none of them as what it would have been; so the last
//! few hundred answers are kept apart, the losers with the time that they were given. Quantiles are made anew every few
//! answers and read without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Answers remembered.
const REMEMBERED: usize = 512;
/// Answers before which the default model speaks.
const ENOUGH: usize = 16;
/// The quantiles are made anew after so many answers.
const PERIOD: usize = 16;

/// Before measurements: a first byte after 27 ms, 97 of 100 within 90 ms, and 60 MB/s a stream (an object store in the
/// same region).
const FIRST_BYTE_NS: u64 = 27_000_000;
const LATE_FIRST_BYTE_NS: u64 = 90_000_000;
const BYTES_PER_SECOND: u64 = 60_000_000;

/// The last answers of one store.
#[derive(Debug)]
pub(crate) struct Live {
    first_byte: Recent,
    rate: Recent,
}

impl Live {
    /// Knows nothing yet. `late` is the quantile, in percent, that a first byte is late beyond.
    pub(crate) fn new(late: u32) -> Live {
        Live {
            first_byte: Recent::new(FIRST_BYTE_NS, LATE_FIRST_BYTE_NS, late),
            rate: Recent::new(BYTES_PER_SECOND, BYTES_PER_SECOND, late),
        }
    }

    /// An answer's first byte came after so many nanoseconds, or had not come by then.
    pub(crate) fn first_byte(&self, nanoseconds: u64) {
        self.first_byte.note(nanoseconds);
    }

    /// A body of so many bytes took so many nanoseconds.
    pub(crate) fn body(&self, bytes: u64, nanoseconds: u64) {
        /// Less than this comes with the head, and says nothing of the stream.
        const TELLING: u64 = 256 << 10;
        if bytes >= TELLING {
            self.rate.note((bytes as f64 * 1e9 / nanoseconds.max(1) as f64) as u64);
        }
    }

    /// The median time to the first byte, in nanoseconds.
    pub(crate) fn median_first_byte(&self) -> u64 {
        self.first_byte.median.load(Relaxed)
    }

    /// After so many nanoseconds a first byte is late.
    pub(crate) fn late_first_byte(&self) -> u64 {
        self.first_byte.late.load(Relaxed)
    }

    /// The median rate of a stream, in bytes a second.
    pub(crate) fn bytes_per_second(&self) -> u64 {
        self.rate.median.load(Relaxed)
    }
}

#[derive(Debug)]
struct Recent {
    late_percent: u32,
    ring: Mutex<Ring>,
    median: AtomicU64,
    late: AtomicU64,
}

#[derive(Debug, Default)]
struct Ring {
    values: Vec<u64>,
    /// All values ever noted.
    count: usize,
}

impl Recent {
    fn new(median: u64, late: u64, late_percent: u32) -> Recent {
        Recent { late_percent, ring: Mutex::default(), median: median.into(), late: late.into() }
    }

    fn note(&self, value: u64) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let count = ring.count;
        if ring.values.len() < REMEMBERED {
            ring.values.push(value);
        } else {
            ring.values[count % REMEMBERED] = value;
        }
        ring.count += 1;
        if ring.count >= ENOUGH && ring.count.is_multiple_of(PERIOD) {
            let mut sorted = ring.values.clone();
            drop(ring);
            self.median.store(at(&mut sorted, 50), Relaxed);
            self.late.store(at(&mut sorted, self.late_percent), Relaxed);
        }
    }
}

fn at(values: &mut [u64], percent: u32) -> u64 {
    let rank = (values.len() * percent as usize).div_ceil(100).clamp(1, values.len()) - 1;
    *values.select_nth_unstable(rank).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_speak_until_there_are_measurements_and_old_ones_are_forgotten() {
        let live = Live::new(97);
        (1..16).for_each(|_| live.first_byte(1_000));
        assert_eq!(live.median_first_byte(), FIRST_BYTE_NS);
        (0..100).for_each(|value| live.first_byte(value));
        assert!(live.median_first_byte() < 1_000 && live.late_first_byte() <= 1_000);
        (0..REMEMBERED as u64).for_each(|value| live.first_byte(1_000_000 + value));
        assert!(live.median_first_byte() >= 1_000_000);
        live.body(1, 1);
        assert_eq!(live.bytes_per_second(), BYTES_PER_SECOND);
    }
}
