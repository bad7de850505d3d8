// SPDX-License-Identifier: Apache-2.0
//! Which phases made an attempt as slow as it was: sums of the phases of all attempts whose whole time was alike.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use storescope::timing::Phase;

const PARTS: usize = Phase::PARTS.len();

/// Sums of the phases of attempts that ended well, by their whole time. Sums are added by a merge, so bands of percentiles
/// are exact for any number of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bands {
    buckets: BTreeMap<u32, Band>,
}

/// Attempts of one width of whole times, or of a band of percentiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Band {
    /// How many attempts.
    pub count: u64,
    /// The sum of each phase of [`Phase::PARTS`], in its order, in nanoseconds.
    pub phases_ns: [u64; PARTS],
}

impl Bands {
    /// Counts an attempt: its whole time, and each of its phases.
    pub fn record(&mut self, total_ns: u64, phase: impl Fn(Phase) -> Option<u64>) {
        let band = self.buckets.entry(bucket(total_ns)).or_default();
        band.count += 1;
        for (sum, part) in band.phases_ns.iter_mut().zip(Phase::PARTS) {
            *sum += phase(*part).unwrap_or(0);
        }
    }

    /// Adds what others counted.
    pub fn merge(&mut self, other: &Bands) {
        for (bucket, theirs) in &other.buckets {
            self.buckets.entry(*bucket).or_default().add(theirs);
        }
    }

    /// How many attempts were counted.
    pub fn count(&self) -> u64 {
        self.buckets.values().map(|band| band.count).sum()
    }

    /// The attempts whose whole time lies between these quantiles (0 to 1), widened to whole buckets (3 % of a time).
    pub fn between(&self, from: f64, to: f64) -> Band {
        let all = self.count() as f64;
        let (from, to) = ((from * all).floor() as u64, (to * all).ceil() as u64);
        let (mut before, mut sum) = (0, Band::default());
        for band in self.buckets.values() {
            if before < to && before + band.count > from {
                sum.add(band);
            }
            before += band.count;
        }
        sum
    }
}

impl Band {
    fn add(&mut self, other: &Band) {
        self.count += other.count;
        for (mine, theirs) in self.phases_ns.iter_mut().zip(other.phases_ns) {
            *mine += theirs;
        }
    }

    /// The mean of a phase, in nanoseconds; 0 for a phase that is no part, and without attempts.
    pub fn mean_ns(&self, phase: Phase) -> f64 {
        let at = Phase::PARTS.iter().position(|part| *part == phase);
        at.map_or(0.0, |at| self.phases_ns[at] as f64 / self.count.max(1) as f64)
    }
}

/// 32 buckets an octave.
fn bucket(total_ns: u64) -> u32 {
    const STEPS: u32 = 5;
    let value = total_ns.max(1 << STEPS);
    let octave = value.ilog2();
    ((octave - STEPS) << STEPS) + (value >> (octave - STEPS)) as u32 - (1 << STEPS)
}

/// As a list: the count, then the sums.
impl Serialize for Band {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut numbers = vec![self.count];
        numbers.extend(self.phases_ns);
        numbers.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Band {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Band, D::Error> {
        let numbers = Vec::<u64>::deserialize(from)?;
        let (count, rest) = numbers
            .split_first()
            .ok_or_else(|| serde::de::Error::custom("a band of phases is a count and sums"))?;
        // A phase that came later than the file was written has no sum in it.
        let mut phases_ns = [0; PARTS];
        phases_ns.iter_mut().zip(rest).for_each(|(sum, read)| *sum = *read);
        Ok(Band { count: *count, phases_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_tell_fast_from_slow() {
        let mut bands = Bands::default();
        for number in 1..=1_000_u64 {
            let slow = number > 990;
            let (queue, ttfb) =
                if slow { (900_000_000, 0) } else { (0, 1_000_000 + number * 1_000) };
            bands.record(queue + ttfb, |phase| match phase {
                Phase::Queue => Some(queue),
                Phase::Ttfb => Some(ttfb),
                _ => None,
            });
        }
        let median = bands.between(0.45, 0.55);
        assert!(median.mean_ns(Phase::Queue) < 1.0 && median.mean_ns(Phase::Ttfb) > 1e6);
        let slowest = bands.between(0.995, 1.0);
        assert!(slowest.mean_ns(Phase::Queue) > 8e8, "{slowest:?}");
        let text = serde_json::to_string(&bands).unwrap();
        assert_eq!(serde_json::from_str::<Bands>(&text).unwrap(), bands);
    }

    #[test]
    fn buckets_ascend_and_are_narrow() {
        let mut before = 0;
        for value in (0..20_000).chain((15..60).flat_map(|n| [(1 << n) - 1, 1 << n, (1 << n) + 1]))
        {
            let bucket = bucket(value);
            assert!(bucket >= before, "{value}");
            before = bucket;
        }
        assert_ne!(bucket(1_000_000), bucket(1_032_000));
    }
}
