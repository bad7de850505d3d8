// SPDX-License-Identifier: Apache-2.0
//! Counts by bins, in seconds or bytes a second.

use storescope::timing::Distribution;

/// Values from `low` up to `high`, and how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bin {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) count: u64,
}

/// What was measured, in ascending bins that are not empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample {
    bins: Vec<Bin>,
    count: u64,
}

impl Sample {
    /// Seconds, of nanoseconds.
    pub(super) fn seconds(times: &Distribution) -> Sample {
        Sample::scaled(times, 1e-9)
    }

    /// Bytes a second.
    pub(super) fn rates(rates: &Distribution) -> Sample {
        Sample::scaled(rates, 1.0)
    }

    /// Bytes a second, of the nanoseconds that bodies of one size took.
    pub(super) fn rates_of(bytes: u64, times: &Distribution) -> Sample {
        let rate = |ns: u64| bytes as f64 * 1e9 / ns.max(1) as f64;
        let bin = |(low, high, count): (u64, u64, u64)| Bin {
            low: rate(high + 1),
            high: rate(low),
            count,
        };
        let mut bins: Vec<_> = times.buckets().map(bin).collect();
        bins.reverse();
        Sample { bins, count: times.count() }
    }

    fn scaled(values: &Distribution, unit: f64) -> Sample {
        let bin = |(low, high, count): (u64, u64, u64)| Bin {
            low: low as f64 * unit,
            high: (high + 1) as f64 * unit,
            count,
        };
        Sample { bins: values.buckets().map(bin).collect(), count: values.count() }
    }

    /// Adds another sample's bins.
    pub(super) fn add(&mut self, other: &Sample) {
        self.bins.extend(&other.bins);
        self.bins.sort_by(|a, b| a.low.total_cmp(&b.low));
        self.count += other.count;
    }

    pub(super) fn bins(&self) -> &[Bin] {
        &self.bins
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The lowest edge; 0 without values.
    pub(super) fn min(&self) -> f64 {
        self.bins.first().map_or(0.0, |bin| bin.low)
    }

    /// The highest edge; 0 without values.
    pub(super) fn max(&self) -> f64 {
        self.bins.iter().map(|bin| bin.high).fold(0.0, f64::max)
    }

    /// The value at a quantile, within its bin by a straight line; 0 without values.
    pub(super) fn quantile(&self, quantile: f64) -> f64 {
        let rank = quantile * self.count as f64;
        let mut before = 0.0;
        for bin in &self.bins {
            let count = bin.count as f64;
            if before + count >= rank {
                return bin.low + (bin.high - bin.low) * ((rank - before) / count).clamp(0.0, 1.0);
            }
            before += count;
        }
        self.max()
    }

    /// How many lie above a value, whole bins.
    pub(super) fn above(&self, value: f64) -> u64 {
        self.bins.iter().filter(|bin| bin.low >= value).map(|bin| bin.count).sum()
    }
}
