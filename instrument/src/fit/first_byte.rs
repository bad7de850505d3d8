// SPDX-License-Identifier: Apache-2.0
//! The first byte: a shifted lognormal by the greatest likelihood of the counts, and a Pareto tail where the data ask for
//! one.

use super::law::{Law, Lognormal, Pareto};
use super::sample::Sample;
use super::simplex::least;

/// Fewer samples than these are told as a constant, their median.
pub(super) const FEWEST: u64 = 30;
/// A spread from p10 to p90 of less than this is the histogram's own: two buckets.
const NARROW: f64 = 0.016;
/// What any distribution is thought to be mixed with, so that no single count can pull it along.
const BACKGROUND: f64 = 1e-4;
/// Without a tail, the body is fitted to the values below this quantile; above it, only how many there are counts.
const BODY: f64 = 0.995;
/// Requests beyond the body that make a tail.
const TAIL: f64 = 5.0;
/// The most that is a tail and no body.
const RARE: f64 = 0.05;

/// What was fitted, and what must be said of it.
pub(super) struct Fitted {
    pub(super) law: Law,
    pub(super) notes: Vec<String>,
}

/// Fits a sample that is not empty.
pub(super) fn fit(sample: &Sample) -> Fitted {
    let median = sample.quantile(0.5);
    if sample.count() < FEWEST {
        let note = format!("not enough samples for a distribution: {FEWEST} needed");
        return Fitted { law: Law::Constant(median), notes: vec![note] };
    }
    if sample.quantile(0.9) - sample.quantile(0.1) < NARROW * median {
        return Fitted { law: Law::Constant(median), notes: Vec::new() };
    }
    let alone = body(sample, None);
    let Some(tail) = tail(sample, &alone).filter(|tail| is_told(sample, &alone, tail)) else {
        let notes = beyond(sample, &alone).into_iter().collect();
        return Fitted { law: Law::WithTail(alone, None), notes };
    };
    let beside = body(sample, Some(&tail));
    let tail = self::tail(sample, &beside).unwrap_or(tail);
    let requests = (tail.probability * sample.count() as f64).round();
    let note =
        format!("the tail is made of {requests} requests; its cap is the slowest that was seen");
    Fitted { law: Law::WithTail(beside, Some(tail)), notes: vec![note] }
}

/// How much later than `law` a sample comes: the offset of the greatest likelihood, in seconds.
pub(super) fn offset(sample: &Sample, law: &Law) -> f64 {
    let unlikely = |offset: f64| -> f64 {
        let share = |low: f64, high: f64| law.above(low - offset) - law.above(high - offset);
        unlikely(sample, share)
    };
    let most = sample.quantile(0.9);
    let steps = 400_u32;
    let grid = (0..=steps).map(|n| most * f64::from(n) / f64::from(steps));
    let start = grid.min_by(|a, b| unlikely(*a).total_cmp(&unlikely(*b))).unwrap_or(0.0);
    let step = most / f64::from(steps);
    least(|at| unlikely(at[0]), &[start], &[step]).0[0].max(0.0)
}

/// Minus the logarithm of the likelihood of a sample.
fn unlikely(sample: &Sample, share: impl Fn(f64, f64) -> f64) -> f64 {
    let (min, max) = (sample.min().max(1e-9), sample.max());
    let width = (max / min).ln().max(1e-3);
    let bin = |low: f64, high: f64, count: u64| {
        let background = (high / low.max(1e-9)).ln() / width;
        let share = (1.0 - BACKGROUND) * share(low, high).max(0.0) + BACKGROUND * background;
        -(count as f64) * share.max(1e-300).ln()
    };
    sample.bins().iter().map(|it| bin(it.low, it.high, it.count)).sum()
}

/// The body: beside a tail, or of all but the slowest.
fn body(sample: &Sample, tail: Option<&Pareto>) -> Lognormal {
    let cut = match tail {
        Some(_) => f64::INFINITY,
        None => sample.quantile(BODY),
    };
    let beyond = sample.above(cut) as f64;
    // No shift is above what one request in a thousand was faster than.
    let least_seen = sample.quantile(1e-3).max(sample.min());
    let of = |at: &[f64]| Lognormal {
        shift: least_seen / (1.0 + (-at[0]).exp()),
        mu: at[1],
        sigma: at[2].exp(),
    };
    let value = |at: &[f64]| {
        let body = of(at);
        let weight = 1.0 - tail.map_or(0.0, |tail| tail.probability);
        let share = |low: f64, high: f64| match tail {
            _ if low >= cut => 1.0,
            None => body.between(low, high),
            Some(tail) => {
                weight * body.between(low, high) + tail.probability * tail.between(low, high)
            }
        };
        // Few samples do not tell a shift from a spread: it is then a plausible one.
        let prior = (at[0] / 4.0).powi(2) + (at[2] - 0.6_f64.ln()).powi(2) / 4.0;
        let slowest = if beyond > 0.0 { -beyond * body.above(cut).max(1e-300).ln() } else { 0.0 };
        unlikely(sample, share) + slowest + prior
    };
    let starts = [0.3, 0.7, 0.9, 0.97].map(|share: f64| {
        let above = |quantile: f64| (sample.quantile(quantile) - share * least_seen).max(1e-9).ln();
        let (p50, p90) = (above(0.5), above(0.9));
        let sigma = ((p90 - p50) / 1.2816).clamp(1e-3, 5.0);
        least(value, &[(share / (1.0 - share)).ln(), p50, sigma.ln()], &[0.5, 0.1, 0.1])
    });
    let best = starts.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).expect("four starts");
    of(&best.0)
}

/// The tail that explains the slow ones best, beside this body.
fn tail(sample: &Sample, body: &Lognormal) -> Option<Pareto> {
    let from = sample.quantile(1.0 - RARE);
    let scales: Vec<f64> =
        sample.bins().iter().map(|bin| bin.low).filter(|low| *low > from).collect();
    let step = scales.len().div_ceil(60).max(1);
    let candidates = scales.into_iter().rev().step_by(step);
    let fitted = candidates.map(|scale| {
        let tail = tail_from(sample, body, scale);
        (unlikely_beside(sample, body, &tail), tail)
    });
    fitted.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, tail)| tail)
}

/// Probability and shape of a tail that begins at `scale`, by expectation and maximization.
fn tail_from(sample: &Sample, body: &Lognormal, scale: f64) -> Pareto {
    let all = sample.count() as f64;
    let excess = sample.above(scale) as f64 / all - body.above(scale);
    let cap = sample.max();
    let mut tail = Pareto { probability: excess.clamp(1.0 / all, RARE), scale, shape: 1.5, cap };
    for _ in 0..30 {
        let (mut count, mut uncapped, mut logarithms) = (0.0, 0.0, 0.0);
        for bin in sample.bins().iter().filter(|bin| bin.low >= scale) {
            let slow = tail.probability * tail.between(bin.low, bin.high);
            let usual = (1.0 - tail.probability) * body.between(bin.low, bin.high);
            let share = bin.count as f64 * slow / (slow + usual).max(1e-300);
            count += share;
            // The slowest one is the cap: it only tells that it was not less.
            uncapped += if bin.high >= cap { 0.0 } else { share };
            logarithms += share * ((bin.low * bin.high).sqrt() / scale).ln();
        }
        tail.probability = (count / all).clamp(1e-9, RARE);
        tail.shape = (uncapped.max(0.5) / logarithms.max(1e-9)).clamp(0.2, 20.0);
    }
    tail
}

fn unlikely_beside(sample: &Sample, body: &Lognormal, tail: &Pareto) -> f64 {
    unlikely(sample, |low, high| {
        (1.0 - tail.probability) * body.between(low, high)
            + tail.probability * tail.between(low, high)
    })
}

/// Whether the data ask for a tail: enough requests, and by far more likely than the background (three more numbers, by
/// the Bayesian information criterion).
fn is_told(sample: &Sample, body: &Lognormal, tail: &Pareto) -> bool {
    let all = sample.count() as f64;
    let alone = unlikely(sample, |low, high| body.between(low, high));
    let gain = 2.0 * (alone - unlikely_beside(sample, body, tail));
    tail.probability * all >= TAIL && gain > 3.0 * all.ln()
}

/// What to say of requests that are slower than the body explains, and too few for a tail.
fn beyond(sample: &Sample, body: &Lognormal) -> Option<String> {
    let all = sample.count() as f64;
    let slow = sample.bins().iter().rev().take_while(|bin| all * body.above(bin.low) < 0.05);
    let slow: u64 = slow.map(|bin| bin.count).sum();
    (slow > 0).then(|| {
        let needed = (all * TAIL * 2.0 / slow as f64).ceil();
        format!(
            "{slow} of {} were slower than this explains, up to {:.0} ms: not enough samples for a tail, about {needed} \
             needed",
            sample.count(),
            sample.max() * 1e3
        )
    })
}
