// SPDX-License-Identifier: Apache-2.0
//! The distributions that a model draws from, as functions. Seconds, or bytes a second.

use std::time::Duration;
use storescope_model::{FirstByte, FirstByteSpread, Rate, Stream, StreamSpread, Tail};

/// A lognormal above a shift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lognormal {
    pub(super) shift: f64,
    pub(super) mu: f64,
    pub(super) sigma: f64,
}

/// A Pareto distribution from `scale` on; what is beyond `cap` is `cap`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pareto {
    pub(super) probability: f64,
    pub(super) scale: f64,
    pub(super) shape: f64,
    pub(super) cap: f64,
}

/// A distribution that a part of a model says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Law {
    /// Always the same.
    Constant(f64),
    /// The first byte: a lognormal, and rarely the tail instead.
    WithTail(Lognormal, Option<Pareto>),
    /// A stream: a lognormal, at most the cap.
    Capped(Lognormal, Option<f64>),
}

/// The share of a normal distribution above so many standard deviations.
fn beyond(z: f64) -> f64 {
    0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)
}

impl Lognormal {
    fn z(&self, value: f64) -> f64 {
        let above = value - self.shift;
        if above > 0.0 { (above.ln() - self.mu) / self.sigma } else { f64::NEG_INFINITY }
    }

    /// The share above a value.
    pub(super) fn above(&self, value: f64) -> f64 {
        beyond(self.z(value))
    }

    /// The share between two values, exact in both tails.
    pub(super) fn between(&self, low: f64, high: f64) -> f64 {
        let (low, high) = (self.z(low), self.z(high));
        if low > 0.0 { beyond(low) - beyond(high) } else { beyond(-high) - beyond(-low) }
    }
}

impl Pareto {
    /// The share of the tail (not of all) above a value.
    pub(super) fn above(&self, value: f64) -> f64 {
        if value >= self.cap {
            0.0
        } else if value <= self.scale {
            1.0
        } else {
            (self.scale / value).powf(self.shape)
        }
    }

    /// The share of the tail between two values.
    pub(super) fn between(&self, low: f64, high: f64) -> f64 {
        self.above(low) - self.above(high)
    }
}

impl Law {
    /// The share above a value.
    pub(super) fn above(&self, value: f64) -> f64 {
        match self {
            Law::Constant(constant) => f64::from(u8::from(value < *constant)),
            Law::WithTail(body, Some(tail)) => {
                (1.0 - tail.probability) * body.above(value) + tail.probability * tail.above(value)
            }
            Law::Capped(_, Some(cap)) if value >= *cap => 0.0,
            Law::WithTail(body, None) | Law::Capped(body, _) => body.above(value),
        }
    }

    /// Where values heap up.
    pub(super) fn heap(&self) -> Option<f64> {
        match self {
            Law::Constant(at) => Some(*at),
            Law::Capped(_, cap) => *cap,
            Law::WithTail(..) => None,
        }
    }

    /// The value at a quantile, by halving.
    pub(super) fn quantile(&self, quantile: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        while self.above(high) > 1.0 - quantile && high < 1e18 {
            high *= 2.0;
        }
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if self.above(middle) > 1.0 - quantile {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// As a model's first byte, to a microsecond.
    pub(super) fn first_byte(&self) -> FirstByte {
        match self {
            Law::Constant(seconds) => FirstByte::Constant(duration(*seconds)),
            Law::WithTail(body, tail) => FirstByte::Spread(FirstByteSpread {
                shift: duration(body.shift),
                median: duration(body.mu.exp()).max(Duration::from_micros(1)),
                sigma: digits(body.sigma, 4),
                cap: None,
                tail: tail.map(|tail| Tail {
                    probability: digits(tail.probability, 3),
                    scale: duration(tail.scale),
                    shape: digits(tail.shape, 3),
                    cap: Some(duration(tail.cap)),
                }),
            }),
            Law::Capped(..) => unreachable!("a stream is no first byte"),
        }
    }

    /// As a model's stream, to four digits.
    pub(super) fn stream(&self) -> Stream {
        match self {
            Law::Constant(rate) => Stream::Constant(rate_of(*rate)),
            Law::Capped(body, cap) => Stream::Spread(StreamSpread {
                median: rate_of(body.mu.exp()),
                sigma: digits(body.sigma, 4),
                cap: cap.map(rate_of),
            }),
            Law::WithTail(..) => unreachable!("a first byte is no stream"),
        }
    }
}

/// To a microsecond.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::from_micros((seconds * 1e6).round() as u64)
}

/// To four digits.
pub(super) fn rate_of(bytes_per_second: f64) -> Rate {
    Rate::from_bytes_per_second(digits(bytes_per_second, 4))
}

/// A number to so many digits.
pub(super) fn digits(number: f64, digits: usize) -> f64 {
    format!("{number:.*e}", digits - 1).parse().expect("a number that was printed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_quantiles_are_their_inverse() {
        let body = Lognormal { shift: 0.008, mu: 0.019_f64.ln(), sigma: 0.75 };
        let tail = Pareto { probability: 2e-4, scale: 0.4, shape: 1.1, cap: 10.0 };
        let laws = [
            Law::WithTail(body, Some(tail)),
            Law::Capped(Lognormal { shift: 0.0, mu: 60e6_f64.ln(), sigma: 0.35 }, Some(95e6)),
        ];
        for law in &laws {
            for quantile in [0.001, 0.5, 0.9] {
                let above = law.above(law.quantile(quantile));
                assert!((above - (1.0 - quantile)).abs() < 1e-9, "{law:?} {quantile}: {above}");
            }
        }
        // As the table of s3-standard: 27, 58, 117 ms.
        assert!((laws[0].quantile(0.99) - 0.117).abs() < 0.001);
        assert!((laws[1].quantile(0.99) - 95e6).abs() < 1.0, "the cap");
        assert!((body.between(0.0, 0.027) - 0.5).abs() < 1e-9);
        assert!((body.between(0.5, 1.0) - (body.above(0.5) - body.above(1.0))).abs() < 1e-15);
        assert!((tail.between(0.1, 20.0) - 1.0).abs() < 1e-12);
    }
}
