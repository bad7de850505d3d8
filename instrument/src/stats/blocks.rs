// SPDX-License-Identifier: Apache-2.0
//! The stationary bootstrap of Politis and Romano (1994): intervals that follow each other are drawn together, so that what
//! lasts longer than an interval (load of others, a cold cache) is in the draws as long as it was.

/// Draws of blocks of intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Blocks {
    /// Intervals that are there, and that are drawn.
    count: usize,
    /// Intervals in a block, on average; 1 where they do not depend on each other.
    length: f64,
}

impl Blocks {
    /// Blocks as long as a series of one figure an interval asks for.
    pub(super) fn of(series: &[f64]) -> Blocks {
        // Whole intervals, so that figures of one cell mostly share their draws.
        Blocks { count: series.len(), length: length(series).round().max(1.0) }
    }

    /// Blocks that are there to draw from, less one: the degrees of freedom of what is made of the draws.
    pub(super) fn degrees(&self) -> f64 {
        (self.count as f64 / self.length - 1.0).max(2.0)
    }

    /// How often each interval is in a draw.
    pub(super) fn draw(&self, random: &mut fastrand::Rng, times: &mut Vec<u32>) {
        times.clear();
        times.resize(self.count, 0);
        let mut at = 0;
        for number in 0..self.count {
            let begins = number == 0 || self.length <= 1.0 || random.f64() * self.length < 1.0;
            at = if begins { random.usize(..self.count) } else { (at + 1) % self.count };
            times[at] += 1;
        }
    }
}

/// The best mean length of a block, by Politis and White (2004, corrected 2009).
fn length(series: &[f64]) -> f64 {
    let count = series.len() as f64;
    let covariance = covariances(series);
    if covariance[0] <= 0.0 {
        return 1.0;
    }
    // The lag from which on nothing is significant any more, five lags in a row.
    let bound = 2.0 * (count.log10() / count).sqrt() * covariance[0];
    let most = (count.sqrt().ceil() as usize + 5).min(series.len() - 1);
    let quiet = |lag: usize| covariance[lag + 1..].iter().take(5).all(|it| it.abs() < bound);
    let lag = (0..most).find(|lag| quiet(*lag)).unwrap_or(most);
    if lag == 0 {
        return 1.0;
    }
    let window = (2 * lag).min(series.len() - 1);
    let weight = |lag: usize| (2.0 * (1.0 - lag as f64 / window as f64)).min(1.0);
    let (mut spectrum, mut slope) = (covariance[0], 0.0);
    for (lag, covariance) in covariance.iter().enumerate().take(window + 1).skip(1) {
        spectrum += 2.0 * weight(lag) * covariance;
        slope += 2.0 * weight(lag) * covariance * lag as f64;
    }
    let length = (slope * slope / (spectrum * spectrum) * count).cbrt();
    length.clamp(1.0, (3.0 * count.sqrt()).min(count / 3.0).max(1.0))
}

/// By lag.
fn covariances(series: &[f64]) -> Vec<f64> {
    let count = series.len();
    let mean = series.iter().sum::<f64>() / count as f64;
    let pairs = |lag: usize| series.iter().zip(&series[lag..]);
    let of = |lag| pairs(lag).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / count as f64;
    (0..count).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each value keeps so much of the one before it.
    fn series(count: usize, kept: f64, random: &mut fastrand::Rng) -> Vec<f64> {
        let mut value = 0.0;
        let mut next = || {
            value = kept * value + random.f64() - 0.5;
            value
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn blocks_are_as_long_as_what_lasts() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut mean =
            |kept| (0..100).map(|_| length(&series(100, kept, &mut random))).sum::<f64>() / 100.0;
        let (independent, some, much) = (mean(0.0), mean(0.5), mean(0.9));
        assert!(independent < 1.7, "{independent}");
        assert!(some > 3.0 && much > 1.5 * some, "{some}, {much}");
        assert!((length(&[3.0; 20]) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn draws_are_as_large_as_the_series_and_uniform() {
        let mut random = fastrand::Rng::with_seed(1);
        for length in [1.0, 4.0] {
            let blocks = Blocks { count: 20, length };
            let (mut times, mut sums) = (Vec::new(), [0; 20]);
            for _ in 0..2_000 {
                blocks.draw(&mut random, &mut times);
                assert_eq!(times.iter().sum::<u32>(), 20);
                sums.iter_mut().zip(&times).for_each(|(sum, times)| *sum += times);
            }
            assert!(sums.iter().all(|sum| (1_700..2_300).contains(sum)), "{sums:?}");
        }
    }
}
