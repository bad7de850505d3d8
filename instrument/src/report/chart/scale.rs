// SPDX-License-Identifier: Apache-2.0
//! From values to places on an axis.

use crate::report::units::number;

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::report) enum Spread {
    /// Evenly.
    Linear,
    /// By their logarithm.
    Log,
    /// Quantiles by their nines: 0.9, 0.99 and 0.999 are equally far apart.
    Nines,
}

/// The values that an axis shows. Where they are drawn is the plot's.
#[derive(Clone, Debug)]
pub(in crate::report) struct Scale {
    spread: Spread,
    /// The ends, as `spread` bends them.
    from: f64,
    to: f64,
}

/// A mark of an axis: a value, and what stands beside it (nothing for a line of the grid alone).
pub(in crate::report) type Tick = (f64, String);

impl Scale {
    /// From `from` to `to` evenly; never of no width.
    pub(in crate::report) fn linear(from: f64, to: f64) -> Scale {
        Scale { spread: Spread::Linear, from, to: if to > from { to } else { from + 1.0 } }
    }

    /// From 0 to a round number that is not below `most`.
    pub(in crate::report) fn from_zero(most: f64) -> Scale {
        const TOPS: [f64; 8] = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0];
        if most <= 0.0 {
            return Scale::linear(0.0, 1.0);
        }
        let ten = 10_f64.powf(most.log10().floor());
        let top = TOPS.into_iter().find(|top| most / ten <= top * 1.000_1).unwrap_or(10.0);
        Scale::linear(0.0, top * ten)
    }

    /// By logarithm between round numbers around these; at least a factor of four.
    pub(in crate::report) fn log(least: f64, most: f64) -> Scale {
        let least = least.max(1e-6);
        let (mut from, mut to) = (below(least), above(most.max(least)));
        while to / from < 3.9 {
            (from, to) = (below(from * 0.99), above(to * 1.01));
        }
        Scale { spread: Spread::Log, from: from.log10(), to: to.log10() }
    }

    /// Exactly these ends, by logarithm.
    pub(in crate::report) fn log_exactly(from: f64, to: f64) -> Scale {
        Scale { spread: Spread::Log, from: from.log10(), to: to.log10() }
    }

    /// Quantiles from 0 to the one with so many nines.
    pub(in crate::report) fn nines(nines: f64) -> Scale {
        Scale { spread: Spread::Nines, from: 0.0, to: nines }
    }

    /// The share of the axis that lies below a value: 0 at its beginning, 1 at its end.
    pub(in crate::report) fn share(&self, value: f64) -> f64 {
        let bent = match self.spread {
            Spread::Linear => value,
            Spread::Log => value.max(1e-9).log10(),
            Spread::Nines => -(1.0 - value).max(1e-12).log10(),
        };
        ((bent - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// The largest value.
    pub(in crate::report) fn end(&self) -> f64 {
        match self.spread {
            Spread::Linear => self.to,
            Spread::Log => 10_f64.powf(self.to),
            Spread::Nines => 1.0 - 10_f64.powf(-self.to),
        }
    }

    /// Marks at round values, by number; about so many.
    pub(in crate::report) fn ticks(&self, about: usize) -> Vec<Tick> {
        match self.spread {
            Spread::Linear => self.even_ticks(about),
            Spread::Log => self.log_ticks(about),
            Spread::Nines => self.nines_ticks(),
        }
    }

    fn even_ticks(&self, about: usize) -> Vec<Tick> {
        let step = round((self.to - self.from) / about as f64, |rest, step| rest <= step * 1.000_1);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step * 1.000_001).floor() as i64;
        (first..=last).map(|n| n as f64 * step).map(|value| (value, number(value))).collect()
    }

    /// 1, 2 and 5 of each decade where there are few, else decades.
    fn log_ticks(&self, about: usize) -> Vec<Tick> {
        let few = (self.to - self.from) * 2.0 <= about as f64;
        let steps: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = (self.from.floor() as i32)..=(self.to.ceil() as i32);
        let values = decades.flat_map(|ten| steps.iter().map(move |step| step * 10_f64.powi(ten)));
        values
            .filter(|value| (self.from - 1e-9..=self.to + 1e-9).contains(&value.log10()))
            .map(|value| (value, number(value)))
            .collect()
    }

    fn nines_ticks(&self) -> Vec<Tick> {
        let named =
            [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];
        // Beside p50 there is room for it on a short axis only.
        let least = if self.to < 4.2 { "min" } else { "" };
        let shown = named.into_iter().filter(|(quantile, _)| self.share(*quantile) < 0.999);
        std::iter::once((0.0, least)).chain(shown).map(|(q, name)| (q, name.to_owned())).collect()
    }

    /// The spread and its ends for the script that shows values under the pointer.
    pub(in crate::report) fn told(&self) -> String {
        let spread = match self.spread {
            Spread::Linear => "linear",
            Spread::Log => "log",
            Spread::Nines => "nines",
        };
        format!("{spread} {:.6} {:.6}", self.from, self.to)
    }
}

/// The first of 1, 2, 5, 10 times a power of ten that `fits`.
fn round(value: f64, fits: impl Fn(f64, f64) -> bool) -> f64 {
    let ten = 10_f64.powf(value.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| fits(value / ten, *step)).unwrap_or(10.0);
    step * ten
}

fn above(value: f64) -> f64 {
    round(value, |rest, step| rest <= step * 1.000_1)
}

fn below(value: f64) -> f64 {
    let ten = 10_f64.powf((value.log10() + 1e-9).floor());
    let step = [5.0, 2.0, 1.0].into_iter().find(|step| value / ten >= step * 0.999_9);
    step.unwrap_or(1.0) * ten
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(scale: &Scale) -> Vec<String> {
        scale.ticks(5).into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn ends_and_ticks_are_round() {
        assert_eq!(names(&Scale::from_zero(87.0)), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(names(&Scale::log(9.0, 380.0)), ["5", "10", "20", "50", "100", "200", "500"]);
        assert_eq!(
            names(&Scale::log(0.9, 90_000.0)),
            ["1", "10", "100", "1,000", "10,000", "100,000"]
        );
        assert_eq!(names(&Scale::log(3.0, 3.0)), ["1", "2", "5", "10"]);
        assert_eq!(names(&Scale::nines(3.5)), ["min", "p50", "p90", "p99", "p99.9"]);
        assert_eq!(names(&Scale::from_zero(0.0)).first().unwrap(), "0");
    }

    #[test]
    fn values_have_their_share() {
        assert!((Scale::linear(0.0, 8.0).share(2.0) - 0.25).abs() < 1e-9);
        assert!((Scale::log(1.0, 100.0).share(10.0) - 0.5).abs() < 1e-9);
        let nines = Scale::nines(3.0);
        assert!((nines.share(0.9) * 3.0 - 1.0).abs() < 1e-9);
        assert!((nines.share(0.99) * 3.0 - 2.0).abs() < 1e-9);
        assert!((nines.share(nines.end()) - 1.0).abs() < 1e-6);
        assert!(Scale::linear(1.0, 1.0).share(1.0).is_finite());
    }
}
