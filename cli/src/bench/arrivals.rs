// SPDX-License-Identifier: Apache-2.0
//! When the calls of an open loop are to begin: computed from rate and seed alone, never from how calls went.

use std::time::Duration;
use storescope_instrument::Arrivals;

/// Intended starts, one after another, since the phase began.
#[derive(Debug)]
pub(super) struct Schedule {
    rate: f64,
    arrivals: Arrivals,
    random: fastrand::Rng,
    number: u64,
    /// Of the arrival before, in seconds.
    last: f64,
}

impl Schedule {
    /// So many a second.
    pub(super) fn new(rate: f64, arrivals: Arrivals, seed: u64) -> Schedule {
        let random = fastrand::Rng::with_seed(seed);
        Schedule { rate, arrivals, random, number: 0, last: 0.0 }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let seconds = match self.arrivals {
            Arrivals::Poisson => {
                // From (0, 1]: its logarithm is finite.
                self.last -= (1.0 - self.random.f64()).ln() / self.rate;
                self.last
            }
            _ => self.number as f64 / self.rate,
        };
        self.number += 1;
        Some(Duration::from_secs_f64(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_arrivals_do_not_drift() {
        let times: Vec<_> = Schedule::new(3.0, Arrivals::Constant, 1).take(3_001).collect();
        assert_eq!(times[0], Duration::ZERO);
        assert_eq!(times[3_000], Duration::from_secs(1_000));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_its_spread() {
        let times: Vec<_> = Schedule::new(200.0, Arrivals::Poisson, 1).take(100_000).collect();
        assert!(times.is_sorted());
        let mean = times.last().unwrap().as_secs_f64() / times.len() as f64;
        assert!((mean - 0.005).abs() < 0.000_1, "{mean}");
        let gaps = times.windows(2).map(|two| two[1].as_secs_f64() - two[0].as_secs_f64());
        let spread = gaps.map(|gap| (gap - mean).powi(2)).sum::<f64>() / times.len() as f64;
        assert!(
            (spread.sqrt() / mean - 1.0).abs() < 0.02,
            "an exponential's deviation is its mean"
        );
        let again = Schedule::new(200.0, Arrivals::Poisson, 1).take(100_000);
        assert!(again.eq(times), "a seed gives the same times");
    }
}
