// SPDX-License-Identifier: Apache-2.0
//! Histograms that are added with weights, and their quantiles inside a bucket: values of one bucket count as evenly spread
//! over it, so that small differences of two runs are not rounded to the width of buckets.

use std::collections::BTreeSet;
use storescope::timing::Distribution;

/// Several histograms over the buckets that any of them has.
#[derive(Debug)]
pub(super) struct Counts {
    /// The lowest value of each bucket, and of the value behind its highest.
    edges: Vec<(f64, f64)>,
    /// By histogram: places in `edges`, and counts.
    parts: Vec<Vec<(usize, f64)>>,
}

impl Counts {
    pub(super) fn new<'a>(parts: impl Iterator<Item = &'a Distribution> + Clone) -> Counts {
        let edges: BTreeSet<_> = parts
            .clone()
            .flat_map(|part| part.buckets().map(|(low, high, _)| (low, high)))
            .collect();
        let edges: Vec<_> = edges.into_iter().collect();
        let place = |low: u64| edges.partition_point(|edge| edge.0 < low);
        let part = |part: &Distribution| {
            part.buckets().map(|(low, _, count)| (place(low), count as f64)).collect()
        };
        Counts {
            parts: parts.map(part).collect(),
            edges: edges.iter().map(|(low, high)| (*low as f64, *high as f64 + 1.0)).collect(),
        }
    }

    /// Their sum, each as often as said.
    pub(super) fn sum(&self, times: &[u32], sum: &mut Vec<f64>) {
        sum.clear();
        sum.resize(self.edges.len(), 0.0);
        for (part, times) in self.parts.iter().zip(times).filter(|(_, times)| **times > 0) {
            for (at, count) in part {
                sum[*at] += count * f64::from(*times);
            }
        }
    }

    /// The quantile of a sum; `None` of nothing.
    pub(super) fn quantile(&self, sum: &[f64], quantile: f64) -> Option<f64> {
        let rank = quantile * sum.iter().sum::<f64>();
        let mut before = 0.0;
        for ((low, high), count) in self.edges.iter().zip(sum) {
            if *count > 0.0 && before + count >= rank {
                return Some(low + (high - low) * (rank - before) / count);
            }
            before += count;
        }
        None
    }

    /// Of each histogram, the share of values above this one; the share of all together for one without values.
    pub(super) fn shares_above(&self, value: f64) -> Vec<f64> {
        let above = |part: &[(usize, f64)]| {
            part.iter().filter(|(at, _)| self.edges[*at].0 >= value).map(|part| part.1).sum::<f64>()
        };
        let all = |part: &[(usize, f64)]| part.iter().map(|part| part.1).sum::<f64>();
        let sums = self
            .parts
            .iter()
            .fold((0.0, 0.0), |sums, part| (sums.0 + above(part), sums.1 + all(part)));
        let share = |part: &Vec<(usize, f64)>| match all(part) {
            0.0 => sums.0 / f64::max(sums.1, 1.0),
            all => above(part) / all,
        };
        self.parts.iter().map(share).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_inside_buckets() {
        let (mut one, mut other) = (Distribution::nanoseconds(), Distribution::nanoseconds());
        (0..1_000_u64).for_each(|n| one.record(1_000_000 + n * 1_000));
        (0..1_000_u64).for_each(|n| other.record(2_000_000 + n * 1_000));
        let counts = Counts::new([&one, &other].into_iter());
        let quantile = |times: &[u32], quantile| {
            let mut sum = Vec::new();
            counts.sum(times, &mut sum);
            counts.quantile(&sum, quantile)
        };
        for (times, at, truth) in [
            ([1, 0], 0.5, 1_500_000.0),
            ([0, 1], 0.1, 2_100_000.0),
            ([1, 1], 0.75, 2_500_000.0),
            ([3, 1], 0.25, 1_333_333.0),
        ] {
            let ours = quantile(&times, at).unwrap();
            assert!((ours / truth - 1.0).abs() < 0.001, "{times:?}: {ours} and {truth}");
        }
        assert_eq!(quantile(&[0, 0], 0.5), None);
        let shares = counts.shares_above(1_500_000.0);
        assert!((shares[0] - 0.5).abs() < 0.02 && (shares[1] - 1.0).abs() < 1e-9, "{shares:?}");
    }
}
