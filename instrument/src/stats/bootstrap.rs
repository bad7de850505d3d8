// SPDX-License-Identifier: Apache-2.0
//! What a figure could have been, had the run been made again: draws of it.

use super::blocks::Blocks;
use super::counts::Counts;
use super::normal::{normal_quantile, student_quantile};
use crate::series::{Point, Series};
use serde::Serialize;
use storescope::timing::Distribution;

/// Draws of each figure.
const DRAWS: usize = 2_000;
/// Below so many intervals, how they differ says too little: then values count as independent of each other.
const LEAST_INTERVALS: usize = 8;
/// The central share of the draws that tells their width. Other confidences are reached by Student's distribution, since
/// the far ends of a few thousand draws are noise.
const CENTRAL: f64 = 0.95;

/// A figure, and draws of what it could have been.
#[derive(Clone, Debug, PartialEq)]
pub struct Draws {
    estimate: f64,
    /// Logarithms of the draws.
    logs: Vec<f64>,
    degrees: f64,
}

/// How a figure of one run differs from that of another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// By so many per cent of the first.
    pub percent: f64,
    /// The lower end of its interval.
    pub low_percent: f64,
    /// The upper end of its interval.
    pub high_percent: f64,
    /// The smallest true change that such runs find (the interval excludes zero) in 19 of 20 tries.
    pub detectable_percent: f64,
}

impl Draws {
    /// The figure of the run: nanoseconds, or a second.
    pub fn estimate(&self) -> f64 {
        self.estimate
    }

    /// Between which values the true figure lies, with this confidence (such as 0.95).
    pub fn interval(&self, confidence: f64) -> (f64, f64) {
        let (below, above) = sides(&self.logs);
        let stretch = stretch(confidence, self.degrees);
        let at = |by: f64| self.estimate * by.exp();
        (at(-below * stretch), at(above * stretch))
    }

    /// How the other one differs from this one. The draws of both are independent.
    pub fn change(&self, other: &Draws, confidence: f64) -> Change {
        let ratios: Vec<_> = self.logs.iter().zip(&other.logs).map(|(a, b)| b - a).collect();
        let (below, above) = sides(&ratios);
        let degrees = welch(self, other);
        let by = (other.estimate / self.estimate).ln();
        let percent = |log: f64| log.exp_m1() * 100.0;
        let interval = stretch(confidence, degrees);
        // One-sided: that the interval of a true change excludes zero in 95 % of tries.
        let detectable = f64::midpoint(below, above) * (interval + stretch(0.9, degrees));
        Change {
            percent: percent(by),
            low_percent: percent(by - below * interval),
            high_percent: percent(by + above * interval),
            detectable_percent: percent(detectable),
        }
    }

    fn new(estimate: f64, draws: impl Iterator<Item = f64>, degrees: f64) -> Draws {
        let logs = draws.map(|draw| draw.max(f64::MIN_POSITIVE).ln()).collect();
        Draws { estimate: estimate.max(f64::MIN_POSITIVE), logs, degrees }
    }

    fn variance(&self) -> f64 {
        let (below, above) = sides(&self.logs);
        (f64::midpoint(below, above) / normal_quantile(f64::midpoint(1.0, CENTRAL))).powi(2)
    }

    fn widen(&mut self, by: f64) {
        let middle = self.logs.iter().sum::<f64>() / self.logs.len() as f64;
        self.logs.iter_mut().for_each(|log| *log = middle + (*log - middle) * by);
    }
}

/// How far the central draws reach below their median and above it.
fn sides(logs: &[f64]) -> (f64, f64) {
    let mut sorted = logs.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |quantile: f64| sorted[(quantile * (sorted.len() - 1) as f64).round() as usize];
    let (low, middle, high) = (at((1.0 - CENTRAL) / 2.0), at(0.5), at(f64::midpoint(1.0, CENTRAL)));
    (middle - low, high - middle)
}

/// By how much the reach of the central draws is to be multiplied.
fn stretch(confidence: f64, degrees: f64) -> f64 {
    let wanted = student_quantile(f64::midpoint(1.0, confidence), degrees);
    // What few draws tell of a variance is too small by as much.
    let small = if degrees.is_finite() { ((degrees + 1.0) / degrees).sqrt() } else { 1.0 };
    wanted * small / normal_quantile(f64::midpoint(1.0, CENTRAL))
}

/// The degrees of freedom of a difference, by Welch and Satterthwaite.
fn welch(a: &Draws, b: &Draws) -> f64 {
    let (va, vb) = (a.variance(), b.variance());
    let sum = va * va / a.degrees + vb * vb / b.degrees;
    if sum > 0.0 { (va + vb).powi(2) / sum } else { f64::INFINITY }
}

/// Draws of quantiles of a cell's times: `all` of them, and over time as `part` of each point. Where the series has too few
/// points (below 8) or lacks times, they are drawn as order statistics of independent values.
///
/// Equal for equal seeds; the two sides of a comparison need different ones. Empty without times.
pub fn quantile_draws(
    all: &Distribution,
    series: &Series,
    part: fn(&Point) -> &Distribution,
    quantiles: &[f64],
    seed: u64,
) -> Vec<Draws> {
    if all.count() == 0 {
        return Vec::new();
    }
    let points = series.points();
    let counted: u64 = points.iter().map(|point| part(point).count()).sum();
    // The last calls may have ended behind the last interval.
    if points.len() < LEAST_INTERVALS || (counted as f64) < 0.9 * all.count() as f64 {
        return independent(all, quantiles, seed);
    }
    let counts = Counts::new(points.iter().map(part));
    let mut sum = Vec::new();
    counts.sum(&vec![1; points.len()], &mut sum);
    let middle = |quantile| counts.quantile(&sum, quantile).unwrap_or_default();
    let blocks: Vec<_> =
        quantiles.iter().map(|q| Blocks::of(&counts.shares_above(middle(*q)))).collect();
    let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(DRAWS); quantiles.len()];
    for (at, same) in blocks.iter().enumerate() {
        // Figures whose blocks are as long share their draws.
        if blocks[..at].contains(same) {
            continue;
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut times, mut sum) = (Vec::new(), Vec::new());
        for _ in 0..DRAWS {
            same.draw(&mut random, &mut times);
            counts.sum(&times, &mut sum);
            for (other, draws) in drawn.iter_mut().enumerate() {
                if blocks[other] == *same {
                    draws.push(counts.quantile(&sum, quantiles[other]).unwrap_or_default());
                }
            }
        }
    }
    let whole = Whole::new(all);
    let with = |((draws, blocks), q): ((Vec<f64>, &Blocks), &f64)| {
        Draws::new(whole.quantile(*q), draws.into_iter(), blocks.degrees())
    };
    drawn.into_iter().zip(&blocks).zip(quantiles).map(with).collect()
}

/// Draws of calls a second: `rate` as told, and over time by the series. Where that has too few points, they are drawn from
/// the mean of `times`, which in a closed loop is the rate's reciprocal.
pub fn rate_draws(rate: f64, series: &Series, times: &Distribution, seed: u64) -> Option<Draws> {
    let (points, mut random) = (series.points(), fastrand::Rng::with_seed(seed));
    if rate <= 0.0 || times.count() == 0 {
        return None;
    }
    let wide = deviation(times) / times.mean().max(1.0) / (times.count() as f64).sqrt();
    if points.len() < LEAST_INTERVALS {
        let draws = (0..DRAWS).map(|_| rate * (wide * normal(&mut random)).exp());
        return Some(Draws::new(rate, draws, f64::INFINITY));
    }
    let calls = |point: &Point| point.calls.saturating_sub(point.failed) as f64;
    let seconds = |point: &Point| point.length.as_secs_f64().max(1e-9);
    let rates: Vec<_> = points.iter().map(|point| calls(point) / seconds(point)).collect();
    let (blocks, mut times) = (Blocks::of(&rates), Vec::new());
    let draws = (0..DRAWS).map(|_| {
        blocks.draw(&mut random, &mut times);
        let drawn = || points.iter().zip(&times).map(|(point, times)| (point, f64::from(*times)));
        // A draw of nothing but idle intervals: less than a call, and no rate of zero, which has no logarithm.
        drawn().map(|(point, times)| calls(point) * times).sum::<f64>().max(0.5)
            / drawn().map(|(point, times)| seconds(point) * times).sum::<f64>()
    });
    let draws: Vec<_> = draws.collect();
    let mut draws = Draws::new(rate, draws.into_iter(), blocks.degrees());
    // One call that stalls for a third of the run is one event; in blocks that are shorter it would be many.
    let short = wide / draws.variance().sqrt().max(f64::MIN_POSITIVE);
    if short > 1.0 && short.is_finite() {
        draws.widen(short);
    }
    Some(draws)
}

/// One histogram's quantiles inside its buckets.
struct Whole {
    counts: Counts,
    sum: Vec<f64>,
}

impl Whole {
    fn new(all: &Distribution) -> Whole {
        let counts = Counts::new(std::iter::once(all));
        let mut sum = Vec::new();
        counts.sum(&[1], &mut sum);
        Whole { counts, sum }
    }

    fn quantile(&self, quantile: f64) -> f64 {
        self.counts.quantile(&self.sum, quantile).unwrap_or_default()
    }
}

/// As order statistics: which share of the true distribution lies beyond the value of a rank is Beta distributed.
fn independent(all: &Distribution, quantiles: &[f64], seed: u64) -> Vec<Draws> {
    let (whole, count) = (Whole::new(all), all.count() as f64);
    let draws = |quantile: &f64| {
        let mut random = fastrand::Rng::with_seed(seed);
        let tail = quantile.min(1.0 - quantile);
        // By the cube root that makes a Gamma nearly normal (Wilson and Hilferty).
        let variance = (1.0 - tail) / (tail * count);
        let mut share = || {
            let cube = 1.0 - variance / 9.0 + normal(&mut random) * variance.sqrt() / 3.0;
            let share = (tail * cube.max(0.0).powi(3)).min(1.0);
            if *quantile > 0.5 { 1.0 - share } else { share }
        };
        let draws: Vec<_> = (0..DRAWS).map(|_| whole.quantile(share())).collect();
        Draws::new(whole.quantile(*quantile), draws.into_iter(), f64::INFINITY)
    };
    quantiles.iter().map(draws).collect()
}

/// The standard deviation, by the middles of the buckets.
fn deviation(times: &Distribution) -> f64 {
    let mean = times.mean();
    let square = |(low, high, count): (u64, u64, u64)| {
        (low.midpoint(high) as f64 - mean).powi(2) * count as f64
    };
    (times.buckets().map(square).sum::<f64>() / times.count().max(1) as f64).sqrt()
}

/// A draw from the standard normal distribution.
fn normal(random: &mut fastrand::Rng) -> f64 {
    normal_quantile(random.f64().max(f64::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Times between 1 and 2 ms, of intervals whose load is what the one before left of its own, and chance.
    fn cell(
        points: u64,
        calls: u64,
        kept: f64,
        random: &mut fastrand::Rng,
    ) -> (Distribution, Series) {
        let (mut all, mut series, mut load) = (Distribution::nanoseconds(), Series::default(), 0.0);
        for second in 0..points {
            let mut point = Point::new(Duration::from_secs(second), Duration::from_secs(1));
            load = kept * load + if kept > 0.0 { (random.f64() - 0.5) * 2e5 } else { 0.0 };
            for _ in 0..calls {
                let time = (1e6 + load + random.f64() * 1e6) as u64;
                point.calls += 1;
                point.response.record(time);
                all.record(time);
            }
            series.push(point);
        }
        (all, series)
    }

    fn response(point: &Point) -> &Distribution {
        &point.response
    }

    /// How often of 400 the interval of the p50 and of the p90 holds the true ones.
    fn held(points: u64, kept: f64, confidence: f64) -> [u32; 2] {
        let (mut random, mut held) = (fastrand::Rng::with_seed(3), [0; 2]);
        for seed in 0..400 {
            let (all, series) = cell(points, 100, kept, &mut random);
            let draws = quantile_draws(&all, &series, response, &[0.5, 0.9], seed);
            // With load, the distribution of times is that of the sum; its median is the middle by symmetry.
            for ((draws, truth), held) in draws.iter().zip([1.5e6, 1.9e6]).zip(&mut held) {
                let (low, high) = draws.interval(confidence);
                *held += u32::from(low <= truth && truth <= high);
            }
        }
        held
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_said() {
        for (points, what) in [(4, "order statistics"), (10, "few blocks"), (60, "blocks")] {
            let held = held(points, 0.0, 0.95);
            assert!(held.iter().all(|held| (368..=396).contains(held)), "{what}: {held:?}");
        }
    }

    #[test]
    fn what_lasts_widens_the_interval() {
        let held = held(100, 0.6, 0.95);
        // Of 95 %: a load that lasts for a tenth of the series is told from chance most of the time, and not always.
        assert!(held.iter().all(|held| *held >= 328), "{held:?} of 400");
        // Order statistics take the calls of one interval for independent, and are far off.
        let (mut random, mut fooled) = (fastrand::Rng::with_seed(3), 0);
        for _ in 0..400 {
            let (all, _) = cell(100, 100, 0.6, &mut random);
            let (low, high) = super::super::quantile_interval(&all, 0.5, 0.95).unwrap();
            fooled += u32::from(low > 1_500_000 || high < 1_500_000);
        }
        assert!(fooled > 100, "{fooled} of 400");
    }

    #[test]
    fn changes_are_found_and_their_intervals_are_right() {
        let mut random = fastrand::Rng::with_seed(5);
        let (mut found, mut held, mut detectable) = (0, 0, 0.0);
        for seed in 0..200 {
            let (a, b) = (cell(20, 50, 0.0, &mut random), cell(20, 50, 0.0, &mut random));
            let draws = |(all, series): &(Distribution, Series), seed| {
                quantile_draws(all, series, response, &[0.5], seed).remove(0)
            };
            let (a, b) = (draws(&a, seed * 2), draws(&b, seed * 2 + 1));
            let same = a.change(&b, 0.95);
            held += u32::from(same.low_percent <= 0.0 && same.high_percent >= 0.0);
            detectable += same.detectable_percent / 200.0;
            let slower = Draws {
                estimate: b.estimate * (1.0 + same.detectable_percent / 100.0),
                ..b.clone()
            };
            found += u32::from(a.change(&slower, 0.95).low_percent > 0.0);
        }
        assert!(held >= 184, "{held} of 200");
        assert!(found >= 180, "{found} of 200 of {detectable} %");
    }

    #[test]
    fn draws_are_those_of_their_seed() {
        let (all, series) = cell(20, 50, 0.0, &mut fastrand::Rng::with_seed(1));
        let draws = |seed| quantile_draws(&all, &series, response, &[0.5, 0.99], seed);
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1)[0].logs, draws(2)[0].logs);
        let nothing = Distribution::nanoseconds();
        assert!(quantile_draws(&nothing, &series, response, &[0.5], 1).is_empty());
        assert!(rate_draws(0.0, &series, &nothing, 1).is_none());
    }

    #[test]
    fn a_rate_is_as_wide_as_its_intervals_or_its_times_say() {
        let mut random = fastrand::Rng::with_seed(1);
        for points in [4, 40] {
            let mut wide = 0.0;
            for seed in 0..50 {
                let (all, series) = cell(points, 100, 0.0, &mut random);
                let (low, high) = rate_draws(100.0, &series, &all, seed).unwrap().interval(0.95);
                assert!(low <= 100.0 && high >= 100.0);
                wide += (high / low - 1.0) / 50.0;
            }
            // Each interval of the series has 100 calls; the mean of 400 times is known within 2 %.
            let range = if points == 4 { 0.03..0.05 } else { 0.0..1e-6 };
            assert!(range.contains(&wide), "{points}: {wide}");
        }
    }
}
