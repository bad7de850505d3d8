// SPDX-License-Identifier: Apache-2.0
//! How well a fitted distribution tells what was measured.

use super::law::Law;
use super::sample::Sample;

/// A quantile, measured and fitted, in seconds or bytes a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// Such as `p99`.
    pub name: &'static str,
    /// As measured.
    pub measured: f64,
    /// As the model draws it.
    pub fitted: f64,
}

impl Quantile {
    /// The difference in percent of the measured one.
    pub fn percent(&self) -> f64 {
        (self.fitted / self.measured - 1.0) * 100.0
    }
}

/// How well a part of the model tells what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Goodness {
    /// Values that were fitted.
    pub samples: u64,
    /// Kolmogorov and Smirnov's distance: the greatest difference of the two cumulative shares, 0 to 1. `None` for a constant.
    pub distance: Option<f64>,
    /// Those quantiles that the samples are enough for.
    pub quantiles: Vec<Quantile>,
    /// What the samples are not enough for.
    pub missing: Vec<String>,
}

/// Values above a quantile that make it known.
const ABOVE: f64 = 10.0;
/// Values near a heap are not looked at: measuring smears it.
const NEAR: f64 = 0.06;

impl Goodness {
    pub(super) fn of(law: &Law, sample: &Sample) -> Goodness {
        let mut quantiles = Vec::new();
        let mut missing = Vec::new();
        for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
            let needed = (ABOVE / (1.0 - quantile)).round() as u64;
            if sample.count() < needed {
                missing.push(format!("not enough samples for {name}: {needed} needed"));
                continue;
            }
            let (measured, fitted) = (sample.quantile(quantile), law.quantile(quantile));
            quantiles.push(Quantile { name, measured, fitted });
        }
        let distance = (!matches!(law, Law::Constant(_))).then(|| distance(law, sample));
        Goodness { samples: sample.count(), distance, quantiles, missing }
    }

    /// What a distance of 95 of 100 samples of the very same distribution stays below.
    pub fn expected_distance(&self) -> f64 {
        1.36 / (self.samples.max(1) as f64).sqrt()
    }
}

fn distance(law: &Law, sample: &Sample) -> f64 {
    let all = sample.count() as f64;
    let (mut seen, mut most) = (0, 0.0_f64);
    for bin in sample.bins() {
        seen += bin.count;
        if law.heap().is_some_and(|heap| (bin.high / heap - 1.0).abs() < NEAR) {
            continue;
        }
        let measured = 1.0 - seen as f64 / all;
        most = most.max((law.above(bin.high) - measured).abs());
    }
    most
}
