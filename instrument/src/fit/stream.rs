// SPDX-License-Identifier: Apache-2.0
//! Bandwidth of a stream: a lognormal, and the cap where streams heap up.

use super::law::{Law, Lognormal};
use super::sample::Sample;
use super::simplex::least;

/// Bodies that tell a bandwidth's distribution.
pub(super) const FEWEST: u64 = 30;
/// A spread from p10 to p90 of less than this is measuring's own.
const NARROW: f64 = 0.02;
/// The heap at a cap reaches so far below it: bodies end a little late.
const HEAP: f64 = 0.95;

/// Fits bandwidths of at least [`FEWEST`] bodies.
pub(super) fn fit(sample: &Sample) -> Law {
    let median = sample.quantile(0.5);
    if sample.quantile(0.9) - sample.quantile(0.1) < NARROW * median {
        return Law::Constant(median);
    }
    // A body whose first byte was read late looks faster than it was: few of them are no end of the heap.
    let top = if sample.count() < 200 { sample.max() } else { sample.quantile(0.995) };
    let below = lognormal(sample, HEAP * top);
    let past = 1.03 * top;
    let expected = sample.count() as f64 * below.above(past);
    let seen = sample.above(past) as f64;
    if expected - seen > 4.0 * expected.sqrt() + 3.0 && seen < expected / 4.0 {
        return Law::Capped(below, Some(heap(sample, HEAP * top)));
    }
    Law::Capped(lognormal(sample, f64::INFINITY), None)
}

/// The middle of what lies above a value.
fn heap(sample: &Sample, from: f64) -> f64 {
    let share = sample.above(from) as f64 / sample.count() as f64;
    sample.quantile(1.0 - share / 2.0)
}

/// A lognormal by the greatest likelihood; of values above `cut` only their number counts.
fn lognormal(sample: &Sample, cut: f64) -> Lognormal {
    let beyond = sample.above(cut) as f64;
    let of = |at: &[f64]| Lognormal { shift: 0.0, mu: at[0], sigma: at[1].exp() };
    let value = |at: &[f64]| {
        let law = of(at);
        let bins = sample.bins().iter().filter(|bin| bin.low < cut);
        // As for the first byte: no single body can pull the whole along.
        let share = |low, high| (0.9999 * law.between(low, high) + 1e-6_f64).ln();
        let below: f64 = bins.map(|bin| bin.count as f64 * share(bin.low, bin.high)).sum();
        let above = if beyond > 0.0 { beyond * law.above(cut).max(1e-300).ln() } else { 0.0 };
        -(below + above)
    };
    let (p20, p50) = (sample.quantile(0.2).ln(), sample.quantile(0.5).ln());
    let sigma = ((p50 - p20) / 0.8416).clamp(1e-3, 5.0);
    of(&least(value, &[p50, sigma.ln()], &[0.05, 0.1]).0)
}
