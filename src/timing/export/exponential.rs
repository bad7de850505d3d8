// SPDX-License-Identifier: Apache-2.0
//! Base-2 exponential buckets, the layout of Prometheus' native histograms and of OTLP's exponential ones.
//!
//! Bucket `i` of scale `s` holds the values in `(2^(i/2^s), 2^((i+1)/2^s)]` seconds, OTLP's numbering; Prometheus counts
//! from the upper bound, so its index is one higher. Our buckets are at most 0.78 % wide and these 4.4 %: each of ours goes
//! where its middle lies, so a bound is off by half of one of ours at most.

use crate::timing::Distribution;

/// Scale (OTLP) and schema (Prometheus): 16 buckets for each doubling.
pub(super) const SCALE: i32 = 4;

/// What is not longer counts as zero: the narrowest of our buckets is 256 ns wide.
pub(super) const ZERO_THRESHOLD_SECONDS: f64 = 256e-9;

const NANOSECONDS: f64 = 1e9;

/// The counts of one distribution of times, in exponential buckets of seconds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exponential {
    pub(super) zero: u64,
    /// Bucket numbers as OTLP counts them, ascending, each with its count; none is empty.
    pub(super) buckets: Vec<(i32, u64)>,
}

impl Exponential {
    /// The counts of a distribution of nanoseconds. None is lost.
    pub(super) fn of(distribution: &Distribution) -> Exponential {
        let mut counted = Exponential::default();
        for (lowest, highest, count) in distribution.buckets() {
            let middle = lowest.midpoint(highest) as f64 / NANOSECONDS;
            if middle <= ZERO_THRESHOLD_SECONDS {
                counted.zero += count;
                continue;
            }
            let index = index_of(middle);
            match counted.buckets.last_mut() {
                Some((last, sum)) if *last == index => *sum += count,
                _ => counted.buckets.push((index, count)),
            }
        }
        counted
    }

    /// The buckets from the first to the last, empty ones included, and the number of the first.
    pub(super) fn dense(&self) -> (i32, Vec<u64>) {
        let Some(&(first, _)) = self.buckets.first() else { return (0, Vec::new()) };
        let mut counts = Vec::new();
        for &(index, count) in &self.buckets {
            counts.resize((index - first) as usize, 0);
            counts.push(count);
        }
        (first, counts)
    }
}

/// The bucket that a value in seconds falls into.
fn index_of(seconds: f64) -> i32 {
    (seconds.log2() * f64::from(1 << SCALE)).ceil() as i32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::{Operation, Outcome, Phase, Scope};
    use proptest::prelude::*;

    fn recorded(values: &[u64]) -> Distribution {
        let scope = Scope::new("test");
        for value in values {
            scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, *value);
        }
        scope.snapshot().attempts(Operation::Get, Phase::Send, Outcome::Ok).unwrap()
    }

    fn bounds(index: i32) -> (f64, f64) {
        let bound = |index: i32| 2f64.powf(f64::from(index) / f64::from(1 << SCALE));
        (bound(index), bound(index + 1))
    }

    #[test]
    fn powers_of_two_are_upper_bounds() {
        assert_eq!((index_of(1.0), index_of(0.5)), (-1, -17));
        assert_eq!((index_of(1.0001), index_of(2.0)), (0, 15));
    }

    #[test]
    fn nothing_is_an_empty_histogram() {
        let nothing = Exponential::default();
        assert_eq!(nothing.dense(), (0, vec![]));
        let zero = Exponential::of(&recorded(&[0, 255]));
        assert_eq!((zero.zero, zero.buckets.len()), (2, 0));
    }

    proptest! {
        #[test]
        fn every_value_is_counted_within_half_a_bucket_of_where_it_lies(
            values in prop::collection::vec(0u64..10_000_000_000, 1..200),
        ) {
            let counted = Exponential::of(&recorded(&values));
            let (first, dense) = counted.dense();
            prop_assert_eq!(counted.zero + dense.iter().sum::<u64>(), values.len() as u64);
            let known: Vec<_> = counted.buckets.iter().map(|(index, _)| *index).collect();
            prop_assert!(known.is_sorted() && known.first().is_none_or(|index| *index == first));
            for value in values.iter().filter(|value| **value > 1_000) {
                let seconds = *value as f64 / 1e9;
                // Half of one of our buckets to either side.
                let (low, high) = (seconds * (1.0 - 1.0 / 256.0) - 128e-9, seconds * (1.0 + 1.0 / 256.0) + 128e-9);
                let held = known.iter().any(|index| bounds(*index).0 < high && bounds(*index).1 >= low);
                prop_assert!(held, "{} s in none of {:?}", seconds, known);
            }
        }
    }
}
