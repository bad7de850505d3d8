// SPDX-License-Identifier: Apache-2.0
//! The 95 % interval of a quantile of calls that are not independent.
//!
//! Woodruff's interval with a variance by clusters. Let `x` be the quantile of all calls. Each block of time has its share
//! of calls below `x`; how much these shares differ between blocks tells how far the rank of `x` may be off, whatever
//! correlation there is within a block. The interval is what stands at the ranks on both sides. Blocks are joined by two,
//! four and so on, as long as [`BLOCKS`] are left, and the widest answer is taken: correlation that outlasts short blocks
//! shows in long ones. It is never narrower than that of independent calls.

use storescope::timing::Distribution;
use storescope_instrument::Point;

/// Points that are needed at least: two levels of blocks.
pub(super) const POINTS: usize = 24;
/// Blocks of a level, at least.
const BLOCKS: usize = 8;

/// Where a quantile lies with a confidence of 95 %, in ns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) at: f64,
    pub(super) high: f64,
}

impl Interval {
    /// Of the response times in these points; `None` where they are too few to tell.
    pub(super) fn of(points: &[Point], quantile: f64) -> Option<Interval> {
        let mut all = Distribution::nanoseconds();
        for point in points {
            all.merge(&point.response);
        }
        if points.len() < POINTS || all.count() == 0 {
            return None;
        }
        let at = value_at(&all, quantile);
        let shares: Vec<Share> = points.iter().map(|point| Share::of(point, at)).collect();
        let total = all.count() as f64;
        // The share below `at` is not quite `quantile` where many calls took as long.
        let below = shares.iter().map(|share| share.below).sum::<f64>() / total;
        let independent = 1.96 * (quantile * (1.0 - quantile) / total).sqrt();
        let half = levels(shares).map(|blocks| half_width(&blocks, below, total));
        let half = half.fold(independent, f64::max);
        if quantile - half <= 0.0 || quantile + half >= 1.0 {
            return None;
        }
        let (low, high) = (value_at(&all, quantile - half), value_at(&all, quantile + half));
        Some(Interval { low, at, high })
    }

    /// Its width, as a part of the quantile.
    pub(super) fn width(&self) -> f64 {
        (self.high - self.low) / self.at.max(1.0)
    }
}

/// Calls of a block, and how many of them were faster than some time.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    below: f64,
    count: f64,
}

impl Share {
    fn of(point: &Point, time: f64) -> Share {
        let part = |(low, high, count): (u64, u64, u64)| {
            let width = (high - low + 1) as f64;
            ((time - low as f64) / width).clamp(0.0, 1.0) * count as f64
        };
        let below = point.response.buckets().map(part).sum();
        Share { below, count: point.response.count() as f64 }
    }

    fn plus(self, other: &Share) -> Share {
        Share { below: self.below + other.below, count: self.count + other.count }
    }
}

/// The blocks, then blocks twice as long, and so on.
fn levels(shares: Vec<Share>) -> impl Iterator<Item = Vec<Share>> {
    std::iter::successors(Some(shares), |blocks| {
        (blocks.len() / 2 >= BLOCKS).then(|| {
            let join = |two: &[Share]| two.iter().fold(Share::default(), Share::plus);
            blocks.chunks(2).map(join).collect()
        })
    })
}

/// Half the 95 % interval of the share of calls below, from how it differs between blocks. Where a block is like the one
/// before, the blocks are worth fewer independent ones: by (1 - r) / (1 + r), if r is their correlation.
fn half_width(blocks: &[Share], below: f64, total: f64) -> f64 {
    let count = blocks.len() as f64;
    let apart: Vec<f64> = blocks.iter().map(|block| block.below - below * block.count).collect();
    let squares: f64 = apart.iter().map(|apart| apart.powi(2)).sum();
    let products: f64 = apart.windows(2).map(|two| two[0] * two[1]).sum();
    let alike =
        if blocks.len() >= POINTS { (products / squares.max(1e-9)).clamp(0.0, 0.9) } else { 0.0 };
    let variance = squares * count / (count - 1.0) * (1.0 + alike) / (1.0 - alike);
    student(count - 1.0) * variance.sqrt() / total
}

/// The 97.5th percentile of Student's t (Cornish and Fisher's expansion: within 0.3 % from 7 degrees of freedom on).
fn student(freedom: f64) -> f64 {
    let z: f64 = 1.959_964;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    z + first / freedom + second / freedom.powi(2)
}

/// The value at a quantile, its bucket's calls spread over the bucket: steps of buckets (0.78 %) would hide what is narrow.
pub(super) fn value_at(times: &Distribution, quantile: f64) -> f64 {
    let rank = quantile.clamp(0.0, 1.0) * times.count() as f64;
    let mut seen = 0.0;
    for (low, high, count) in times.buckets() {
        let count = count as f64;
        if seen + count >= rank {
            return low as f64 + (rank - seen) / count * (high - low + 1) as f64;
        }
        seen += count;
    }
    times.max() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rules::precise::tests::{Store, point};

    #[test]
    fn students_t_is_that_of_the_tables() {
        for (freedom, table) in [(7.0, 2.365), (20.0, 2.086), (60.0, 2.000), (1e9, 1.960)] {
            assert!((student(freedom) - table).abs() < 0.01, "{freedom}: {}", student(freedom));
        }
    }

    #[test]
    fn values_lie_between_the_edges_of_buckets() {
        let mut times = Distribution::nanoseconds();
        (1..=1_000_000u64).for_each(|time| times.record(time * 10));
        for quantile in [0.1, 0.5, 0.9, 0.99] {
            let (told, truth) = (value_at(&times, quantile), quantile * 1e7);
            assert!((told / truth - 1.0).abs() < 0.001, "{quantile}: {told}");
        }
    }

    /// The interval holds the truth in about 95 of 100 runs, also where a slow second follows a slow second.
    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        for correlation in [0.0, 0.6] {
            for quantile in [0.5, 0.99] {
                let truth = Store::new(1, correlation).truth(quantile);
                let holds = |seed: &u64| {
                    let mut store = Store::new(1_000 + seed, correlation);
                    let points: Vec<_> = (0..120).map(|at| point(at, store.second(100))).collect();
                    let interval = Interval::of(&points, quantile).unwrap();
                    (interval.low..=interval.high).contains(&truth)
                };
                let held = (0..200).filter(holds).count();
                assert!(held >= 180, "{held} of 200, p{quantile}, correlation {correlation}");
            }
        }
    }

    #[test]
    fn too_little_has_no_interval() {
        let mut store = Store::new(1, 0.0);
        let points: Vec<_> = (0..POINTS as u64).map(|at| point(at, store.second(10))).collect();
        assert!(Interval::of(&points, 0.5).is_some());
        assert!(Interval::of(&points[1..], 0.5).is_none());
        assert!(Interval::of(&points, 0.999).is_none(), "240 calls have no p99.9");
        let empty: Vec<_> = (0..40).map(|at| point(at, Vec::new())).collect();
        assert!(Interval::of(&empty, 0.5).is_none());
    }
}
