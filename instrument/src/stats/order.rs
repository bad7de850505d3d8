// SPDX-License-Identifier: Apache-2.0
//! Intervals of quantiles by order statistics: of n values, as many lie below the true quantile q as the binomial
//! distribution of n and q says, whatever the values' own distribution is.

use storescope::timing::Distribution;

/// Between which values the true quantile (0 to 1) lies, with this confidence (such as 0.95), in the distribution's unit.
///
/// `None` where there are too few values for that quantile: below [`least_count`], even the smallest or the largest value
/// says nothing with that confidence. The ranks are exact at any count (no normal approximation); both ends are widened to
/// their whole buckets (0.78 %), so that the interval holds what [`Distribution::quantile`] tells. Values that depend on
/// each other (a stall slows many calls) make the true interval wider than this one.
pub fn quantile_interval(
    values: &Distribution,
    quantile: f64,
    confidence: f64,
) -> Option<(u64, u64)> {
    let (low, high) = ranks(values.count(), quantile, confidence)?;
    let (mut before, mut lowest) = (0, None);
    for (from, to, count) in values.buckets() {
        before += count;
        if lowest.is_none() && before >= low {
            lowest = Some(from.max(values.min()));
        }
        if before >= high {
            return Some((lowest?, to));
        }
    }
    None
}

/// The least number of values for which [`quantile_interval`] knows an interval.
pub fn least_count(quantile: f64, confidence: f64) -> u64 {
    let tail = (1.0 - confidence) / 2.0;
    // Below it, all values lie on one side of the quantile with more than the tail's probability.
    let side = quantile.max(1.0 - quantile);
    (tail.ln() / side.ln()).ceil() as u64
}

/// The ranks (from 1) of the values between which the quantile lies: at most half of what the confidence leaves is on
/// either side.
fn ranks(count: u64, quantile: f64, confidence: f64) -> Option<(u64, u64)> {
    if count == 0 || quantile <= 0.0 || quantile >= 1.0 {
        return None;
    }
    let tail = (1.0 - confidence) / 2.0;
    let (first, weights) = binomial(count, quantile);
    let sum: f64 = weights.iter().sum();
    // The largest rank with P(fewer values below the quantile) <= tail, and the smallest with P(as many, or more) <= tail.
    let within = |weights: &mut dyn Iterator<Item = &f64>| {
        let mut below = 0.0;
        weights
            .take_while(|weight| {
                below += **weight / sum;
                below <= tail
            })
            .count() as u64
    };
    let low = first + within(&mut weights.iter());
    let last = first + weights.len() as u64 - 1;
    let high = last + 1 - within(&mut weights.iter().rev());
    (low >= 1 && high <= count).then_some((low, high))
}

/// The binomial probabilities, each as a multiple of the greatest: from the first number of successes that is not
/// negligible on. What is left out is below 1e-18 of the greatest.
fn binomial(count: u64, chance: f64) -> (u64, Vec<f64>) {
    const NEGLIGIBLE: f64 = 1e-18;
    let odds = chance / (1.0 - chance);
    let mode = (((count + 1) as f64 * chance) as u64).min(count);
    let (mut below, mut weight, mut at) = (Vec::new(), 1.0, mode);
    while at > 0 && weight > NEGLIGIBLE {
        weight *= at as f64 / ((count - at + 1) as f64 * odds);
        at -= 1;
        below.push(weight);
    }
    let mut weights: Vec<f64> = below.into_iter().rev().collect();
    weights.push(1.0);
    (weight, at) = (1.0, mode);
    while at < count && weight > NEGLIGIBLE {
        weight *= (count - at) as f64 * odds / (at + 1) as f64;
        at += 1;
        weights.push(weight);
    }
    (at + 1 - weights.len() as u64, weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_tables() {
        // Conover, Practical Nonparametric Statistics; R: qbinom(c(.025, .975), n, q).
        assert_eq!(ranks(10, 0.5, 0.95), Some((2, 9)));
        assert_eq!(ranks(100, 0.5, 0.95), Some((40, 61)));
        assert_eq!(ranks(6, 0.5, 0.95), Some((1, 6)));
        assert_eq!(ranks(5, 0.5, 0.95), None);
        assert_eq!(ranks(0, 0.5, 0.95), None);
    }

    #[test]
    fn the_least_count_is_where_intervals_begin() {
        for (quantile, confidence) in [(0.5, 0.95), (0.9, 0.95), (0.99, 0.99), (0.999, 0.998)] {
            let least = least_count(quantile, confidence);
            assert!(ranks(least, quantile, confidence).is_some(), "{quantile}: {least}");
            assert!(ranks(least - 1, quantile, confidence).is_none(), "{quantile}: {least}");
        }
    }

    #[test]
    fn many_values_have_the_ranks_of_the_normal_approximation() {
        let (low, high) = ranks(1_000_000_000, 0.99, 0.95).unwrap();
        let sigma = (1e9_f64 * 0.99 * 0.01).sqrt();
        assert!((low as f64 - (9.9e8 - 1.96 * sigma)).abs() < 3.0, "{low}");
        assert!((high as f64 - (9.9e8 + 1.96 * sigma)).abs() < 3.0, "{high}");
    }

    #[test]
    fn the_true_quantile_is_held_as_often_as_said() {
        let mut random = fastrand::Rng::with_seed(1);
        for (quantile, count) in [(0.5, 30), (0.9, 200), (0.99, 2_000)] {
            let mut held = 0;
            for _ in 0..1_000 {
                let mut values = Distribution::nanoseconds();
                (0..count).for_each(|_| values.record(1_000_000 + random.u64(..1_000_000)));
                let truth = 1_000_000 + (quantile * 1e6) as u64;
                let (low, high) = quantile_interval(&values, quantile, 0.95).unwrap();
                let told = values.quantile(quantile);
                assert!(low <= told && told <= high);
                held += u32::from(low <= truth && truth <= high);
            }
            assert!(held >= 935, "{quantile} of {count}: {held} of 1000");
        }
    }

    #[test]
    fn few_values_have_no_interval() {
        let mut values = Distribution::nanoseconds();
        assert_eq!(quantile_interval(&values, 0.5, 0.95), None);
        values.record(1_000);
        assert_eq!(quantile_interval(&values, 0.5, 0.95), None);
        (0..1_000).for_each(|_| values.record(1_000));
        assert_eq!(quantile_interval(&values, 0.999, 0.95), None);
        let (low, high) = quantile_interval(&values, 0.5, 0.95).unwrap();
        assert!(low <= 1_000 && high >= 1_000);
    }
}
