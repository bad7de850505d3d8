// SPDX-License-Identifier: Apache-2.0
//! What a scope held at one moment: distributions by key, to read, merge, subtract and export.

use super::encoded;
use super::histogram::{Histogram, Unit};
use super::key::{Connection, Key, Level, Operation, Outcome, Phase, SizeClass};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// All that was recorded in a scope up to one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    started_at: SystemTime,
    elapsed: Duration,
    dropped: u64,
    cut_short: bool,
    distributions: BTreeMap<Key, Distribution>,
}

impl Snapshot {
    pub(super) fn new(started_at: SystemTime, elapsed: Duration, dropped: u64) -> Snapshot {
        let distributions = BTreeMap::new();
        Snapshot { started_at, elapsed, dropped, cut_short: false, distributions }
    }

    pub(crate) fn insert(&mut self, key: Key, distribution: Distribution) {
        self.distributions.insert(key, distribution);
    }

    /// What the buckets tell within their width only.
    pub(super) fn set_exact(&mut self, key: Key, sum: u64, min: u64, max: u64) {
        if let Some(distribution) = self.distributions.get_mut(&key) {
            (distribution.sum, distribution.min, distribution.max) = (sum, min, max);
        }
    }

    /// When recording began.
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// How long was recorded.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Values that were dropped because the scope's memory was spent. Never failures.
    pub fn dropped_keys(&self) -> u64 {
        self.dropped
    }

    /// Whether the log that it was read from ends in the middle of a line, which was left out.
    pub fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    pub(super) fn set_cut_short(&mut self) {
        self.cut_short = true;
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.distributions.is_empty()
    }

    /// Every key that has values, with its distribution, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Distribution)> {
        self.distributions.iter()
    }

    /// The distribution of one key.
    pub fn get(&self, key: &Key) -> Option<&Distribution> {
        self.distributions.get(key)
    }

    /// The distributions of all keys that `want` picks, added up. `None` where there are none.
    pub fn select(&self, want: impl Fn(&Key) -> bool) -> Option<Distribution> {
        let mut sum: Option<Distribution> = None;
        for (_, distribution) in self.iter().filter(|(key, _)| want(key)) {
            match &mut sum {
                None => sum = Some(distribution.clone()),
                Some(sum) => sum.merge(distribution),
            }
        }
        sum
    }

    /// One phase of the attempts of an operation that ended so, over all sizes and connections.
    pub fn attempts(
        &self,
        operation: Operation,
        phase: Phase,
        outcome: Outcome,
    ) -> Option<Distribution> {
        self.select(|key| {
            key.level == Level::Attempt
                && key.operation == operation
                && key.phase == phase
                && key.outcome == outcome
        })
    }

    /// How many attempts or calls of an operation ended, by outcome.
    pub fn outcomes(&self, level: Level, operation: Operation) -> BTreeMap<Outcome, u64> {
        let mut counts = BTreeMap::new();
        for (key, distribution) in self.iter() {
            if key.level == level && key.operation == operation && key.phase == Phase::Total {
                *counts.entry(key.outcome).or_insert(0) += distribution.count();
            }
        }
        counts
    }

    /// A quantile of successful attempts' phase in nanoseconds (bytes for the byte phases); `None` without values.
    pub fn quantile(&self, operation: Operation, phase: Phase, quantile: f64) -> Option<u64> {
        self.attempts(operation, phase, Outcome::Ok).map(|d| d.quantile(quantile))
    }

    /// Adds what another snapshot holds, exactly: counts are added, never percentiles averaged. The time is that from the
    /// first beginning to the last end; a snapshot of no time and no values has neither.
    pub fn merge(&mut self, other: &Snapshot) {
        (self.started_at, self.elapsed) = match (self.span(), other.span()) {
            (Some(mine), Some(theirs)) => {
                let (start, end) = (mine.0.min(theirs.0), mine.1.max(theirs.1));
                (start, end.duration_since(start).unwrap_or_default())
            }
            (None, Some(_)) => (other.started_at, other.elapsed),
            (_, None) => (self.started_at, self.elapsed),
        };
        self.dropped += other.dropped;
        self.cut_short |= other.cut_short;
        for (key, distribution) in other.iter() {
            self.distributions
                .entry(*key)
                .and_modify(|mine| mine.merge(distribution))
                .or_insert_with(|| distribution.clone());
        }
    }

    fn span(&self) -> Option<(SystemTime, SystemTime)> {
        let nothing = self.is_empty() && self.elapsed.is_zero();
        (!nothing).then(|| (self.started_at, self.started_at + self.elapsed))
    }

    /// What was recorded after `earlier`, a snapshot of the same scope. Smallest and largest values are those of the
    /// buckets, since the exact ones may have come before.
    #[must_use]
    pub fn since(&self, earlier: &Snapshot) -> Snapshot {
        let mut rest = Snapshot::new(
            earlier.started_at + earlier.elapsed,
            self.elapsed.saturating_sub(earlier.elapsed),
            self.dropped.saturating_sub(earlier.dropped),
        );
        for (key, distribution) in self.iter() {
            let rest_of_key = match earlier.get(key) {
                None => distribution.clone(),
                Some(before) => distribution.since(before),
            };
            if rest_of_key.count() > 0 {
                rest.insert(*key, rest_of_key);
            }
        }
        rest
    }
}

/// Nothing, recorded for no time.
impl Default for Snapshot {
    fn default() -> Snapshot {
        Snapshot::new(SystemTime::UNIX_EPOCH, Duration::ZERO, 0)
    }
}

/// One histogram at one moment: HdrHistogram's layout at two significant digits, and exact count, sum, min and max.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    unit: Unit,
    counts: Vec<u64>,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Distribution {
    pub(super) fn read(histogram: &Histogram) -> Distribution {
        let mut counts = Vec::new();
        let (sum, min, max) = histogram.read_into(&mut counts);
        trim(&mut counts);
        Distribution { unit: histogram.unit(), count: counts.iter().sum(), counts, sum, min, max }
    }

    pub(crate) fn from_hdr(phase: Phase, hdr: &hdrhistogram::Histogram<u64>) -> Distribution {
        let unit = if phase.is_bytes() { Unit::Bytes } else { Unit::Nanoseconds };
        Distribution::of_hdr(unit, hdr)
    }

    fn of_hdr(unit: Unit, hdr: &hdrhistogram::Histogram<u64>) -> Distribution {
        let mut counts: Vec<u64> = Vec::new();
        for step in hdr.iter_recorded() {
            let index = unit.index_of(step.value_iterated_to());
            if counts.len() <= index {
                counts.resize(index + 1, 0);
            }
            counts[index] = counts[index].saturating_add(step.count_at_value());
        }
        Distribution::of_counts(unit, counts)
    }

    /// With smallest, largest and sum taken from the buckets.
    fn of_counts(unit: Unit, mut counts: Vec<u64>) -> Distribution {
        trim(&mut counts);
        let filled = || counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let middle = |index| unit.lowest_of(index).midpoint(unit.highest_of(index));
        Distribution {
            unit,
            count: counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count)),
            sum: filled().fold(0, |sum: u64, (index, count)| {
                sum.saturating_add(middle(index).saturating_mul(*count))
            }),
            min: filled().next().map_or(u64::MAX, |(index, _)| unit.lowest_of(index)),
            max: filled().next_back().map_or(0, |(index, _)| unit.highest_of(index)),
            counts,
        }
    }

    /// Whether the values are bytes; otherwise they are nanoseconds.
    pub(super) fn is_bytes(&self) -> bool {
        self.unit == Unit::Bytes
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The exact sum of the values.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The exact smallest value; 0 without values.
    pub fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// The exact largest value; 0 without values.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The exact mean; 0 without values.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The value at a quantile (0 to 1) by the rule of HdrHistogram's readers: the highest equivalent value of the
    /// bucket that holds the value of that rank. Within 0.78 % above the true one. 0 without values.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let rank = (quantile.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen = count.saturating_add(seen);
            if seen >= rank {
                return self.unit.highest_of(index);
            }
        }
        0
    }

    /// The buckets that hold values: lowest value, highest value, count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(index, &count)| (self.unit.lowest_of(index), self.unit.highest_of(index), count))
    }

    /// Adds another distribution's counts.
    pub fn merge(&mut self, other: &Distribution) {
        debug_assert_eq!(self.unit, other.unit, "times and bytes are never added");
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*theirs);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// One of times in nanoseconds, without values.
    pub fn nanoseconds() -> Distribution {
        Distribution::of_counts(Unit::Nanoseconds, Vec::new())
    }

    /// One of bytes, or of bytes a second, without values.
    pub fn bytes() -> Distribution {
        Distribution::of_counts(Unit::Bytes, Vec::new())
    }

    /// Counts one value. For many threads at a time there is [`Scope`](super::Scope).
    pub fn record(&mut self, value: u64) {
        let index = self.unit.index_of(value);
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn since(&self, earlier: &Distribution) -> Distribution {
        let before = |index| earlier.counts.get(index).copied().unwrap_or(0);
        let counts = self.counts.iter().enumerate();
        let rest = counts.map(|(index, count)| count.saturating_sub(before(index))).collect();
        Distribution {
            sum: self.sum.wrapping_sub(earlier.sum),
            ..Distribution::of_counts(self.unit, rest)
        }
    }

    /// As one line: `ns` or `bytes`, sum, min, max, and the histogram as HdrHistogram V2 (zlib, base64). Without values, the
    /// unit alone. [`Distribution::decode`] reads it back to the same.
    pub fn encode(&self) -> String {
        let unit = self.unit.name();
        if self.count == 0 {
            return unit.to_owned();
        }
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.to_hdr(), &mut bytes)
            .expect("a histogram of ours serialises, and memory takes it");
        format!("{unit} {} {} {} {}", self.sum, self.min(), self.max, BASE64.encode(bytes))
    }

    /// Reads what [`Distribution::encode`] wrote.
    pub fn decode(text: &str) -> Result<Distribution, DecodeError> {
        let failed = |why: &str| DecodeError { why: why.to_owned() };
        let mut words = text.split(' ');
        let unit = Unit::from_name(words.next().unwrap_or_default())
            .ok_or_else(|| failed("it begins with neither `ns` nor `bytes`"))?;
        let Some(sum) = words.next() else { return Ok(Distribution::of_counts(unit, Vec::new())) };
        let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
        let (sum, min, max) = (number(Some(sum)), number(words.next()), number(words.next()));
        let (Some(sum), Some(min), Some(max)) = (sum, min, max) else {
            return Err(failed("sum, min or max is no number"));
        };
        let bytes = BASE64
            .decode(words.next().unwrap_or_default())
            .map_err(|error| failed(&error.to_string()))?;
        let hdr = encoded::histogram(&bytes).map_err(|why| failed(&why))?;
        Ok(Distribution { sum, min, max, ..Distribution::of_hdr(unit, &hdr) })
    }

    /// As the `hdrhistogram` crate's, bucket for bucket: no count is lost or moved.
    pub fn to_hdr(&self) -> hdrhistogram::Histogram<u64> {
        let mut hdr =
            hdrhistogram::Histogram::new_with_bounds(self.unit.lowest(), self.unit.highest(), 2)
                .expect("the bounds are constants that hdrhistogram takes");
        for (lowest, _, count) in self.buckets() {
            // The encoding has no larger counts.
            hdr.saturating_record_n(lowest, count.min(i64::MAX as u64));
        }
        hdr
    }
}

/// Counts end with the last bucket that holds a value, so that equal distributions are equal.
fn trim(counts: &mut Vec<u64>) {
    counts.truncate(counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
}

/// A text that is no histogram.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the text is no histogram: {why}")]
pub struct DecodeError {
    why: String,
}

/// What a key that was never split says of size and connection.
impl Key {
    /// The key of a call's phase.
    pub fn call(operation: Operation, phase: Phase, outcome: Outcome) -> Key {
        Key {
            level: Level::Call,
            operation,
            phase,
            outcome,
            size: SizeClass::None,
            connection: Connection::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::Scope;
    use proptest::prelude::*;

    fn recorded(values: &[u64]) -> Distribution {
        let scope = Scope::new("test");
        for value in values {
            scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, *value);
        }
        scope.snapshot().attempts(Operation::Get, Phase::Send, Outcome::Ok).unwrap()
    }

    proptest! {
        #[test]
        fn quantiles_are_the_readers_and_within_a_bucket_of_the_true_ones(
            mut values in prop::collection::vec(0u64..10_000_000_000, 1..400),
            quantile in 0.0..=1.0f64,
        ) {
            let distribution = recorded(&values);
            let hdr = distribution.to_hdr();
            let ours = distribution.quantile(quantile);
            prop_assert_eq!(ours, hdr.value_at_quantile(quantile));
            values.sort_unstable();
            let rank = (quantile * values.len() as f64).ceil().max(1.0) as usize;
            let truth = values[rank - 1];
            // A bucket is 1/128 wide, and never narrower than the unit of 256 ns.
            prop_assert!(ours >= truth && ours - truth <= (truth / 128).max(256));
        }

        #[test]
        fn a_line_is_read_back_to_the_same(values in prop::collection::vec(0u64..1 << 41, 0..100)) {
            for mut distribution in [Distribution::nanoseconds(), Distribution::bytes()] {
                for value in &values {
                    distribution.record(*value);
                }
                let line = distribution.encode();
                prop_assert_eq!(Distribution::decode(&line).unwrap(), distribution);
                prop_assert!(line.len() < 5 || Distribution::decode(&line[..line.len() - 5]).is_err());
            }
        }

        #[test]
        fn merging_is_exact_and_associative(
            a in prop::collection::vec(0u64..1 << 40, 1..50),
            b in prop::collection::vec(0u64..1 << 40, 1..50),
            c in prop::collection::vec(0u64..1 << 40, 1..50),
        ) {
            let (one, two, three) = (recorded(&a), recorded(&b), recorded(&c));
            let mut left = one.clone();
            left.merge(&two);
            left.merge(&three);
            let mut right = two;
            right.merge(&three);
            let mut right_first = one;
            right_first.merge(&right);
            prop_assert_eq!(&left, &right_first);
            prop_assert_eq!(left, recorded(&[a, b, c].concat()));
        }

        #[test]
        fn since_holds_what_came_after(
            before in prop::collection::vec(0u64..1 << 40, 0..50),
            after in prop::collection::vec(0u64..1 << 40, 1..50),
        ) {
            let scope = Scope::new("test");
            let send = |value| scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, value);
            before.iter().copied().for_each(send);
            let earlier = scope.snapshot();
            after.iter().copied().for_each(send);
            let rest = scope.snapshot().since(&earlier);
            let rest = rest.attempts(Operation::Get, Phase::Send, Outcome::Ok).unwrap();
            prop_assert_eq!(rest.sum(), after.iter().sum::<u64>());
            prop_assert_eq!(rest.buckets().collect::<Vec<_>>(), recorded(&after).buckets().collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_empty_snapshot_adds_no_time() {
        let scope = Scope::new("test");
        scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, 1);
        let snapshot = scope.snapshot();
        // That of an empty log: it began at the epoch and took no time.
        let empty = Snapshot::from_hlog("").unwrap();
        let merged = |one: &Snapshot, other: &Snapshot| {
            let mut sum = one.clone();
            sum.merge(other);
            (sum.started_at(), sum.elapsed())
        };
        let expected = (snapshot.started_at(), snapshot.elapsed());
        assert_eq!(merged(&snapshot, &empty), expected);
        assert_eq!(merged(&empty, &snapshot), expected);
        assert_eq!(merged(&empty, &empty), (empty.started_at(), Duration::ZERO));
        // One that recorded nothing for a while has that while.
        let idle = Snapshot::new(snapshot.started_at(), Duration::from_secs(5), 0);
        assert_eq!(merged(&idle, &empty).1, Duration::from_secs(5));
    }

    #[test]
    fn a_snapshot_survives_the_hlog() {
        let scope = Scope::new("test");
        for value in [1, 300, 27_000_000, 10_000_000_000] {
            scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, value);
            scope.record_value(Operation::Put, Phase::Send, Outcome::Reset, value);
        }
        let snapshot = scope.snapshot();
        let back = Snapshot::from_hlog(&snapshot.to_hlog()).unwrap();
        assert_eq!(back.iter().count(), 2);
        let exact = |snapshot: &Snapshot| -> Vec<_> {
            snapshot.iter().map(|(key, d)| (*key, d.sum(), d.min(), d.max())).collect()
        };
        assert_eq!(exact(&back), exact(&snapshot));
        let twice = [snapshot.to_hlog(), snapshot.to_hlog()].concat();
        let sum = |snapshot: &Snapshot| snapshot.select(|_| true).unwrap().sum();
        assert_eq!(sum(&Snapshot::from_hlog(&twice).unwrap()), 2 * sum(&snapshot));
        for (key, distribution) in snapshot.iter() {
            let read = back.get(key).unwrap();
            assert_eq!(
                read.buckets().collect::<Vec<_>>(),
                distribution.buckets().collect::<Vec<_>>(),
                "{key}"
            );
        }
    }
}
