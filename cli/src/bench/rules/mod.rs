// SPDX-License-Identifier: Apache-2.0
//! When a warm-up is over, and when enough was measured: rules over the points of a series, without I/O and without a clock.
//!
//! * `steady.rs`: `--warmup stable`. `precise.rs`: `--until`. `interval.rs`: the 95 % interval of a quantile, by blocks of
//!   time, so that calls that are alike because they are near in time do not count as so many independent ones.

mod interval;
mod precise;
mod steady;

pub(super) use precise::{Precise, Until};
pub(super) use steady::MOST_WARMUP;

use super::phase::{Goal, Stop};
use std::str::FromStr;
use std::time::Duration;
use storescope::config::parse_duration;
use storescope_instrument::Series;

/// What ends the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warmup {
    /// So many calls.
    Count(u64),
    /// So long.
    Time(Duration),
    /// Until calls are steady (`steady.rs`), at most [`MOST_WARMUP`].
    Stable,
}

impl FromStr for Warmup {
    type Err = String;

    fn from_str(text: &str) -> Result<Warmup, String> {
        if text == "stable" {
            return Ok(Warmup::Stable);
        }
        if let Ok(count) = text.parse() {
            return Ok(Warmup::Count(count));
        }
        parse_duration(text).map(Warmup::Time).map_err(|_| {
            format!("{text:?} is no warm-up: expected a count, a time such as 5s, or `stable`")
        })
    }
}

impl Warmup {
    /// When it is over.
    pub(super) fn goal(self) -> Goal {
        match self {
            Warmup::Count(count) => Goal { count: Some(count), duration: None },
            Warmup::Time(duration) => Goal { count: None, duration: Some(duration) },
            Warmup::Stable => Goal { count: None, duration: Some(MOST_WARMUP) },
        }
    }

    /// What may end it before.
    pub(super) fn stop(self) -> Option<Box<dyn Stop>> {
        (self == Warmup::Stable).then(|| Box::new(Steady) as Box<dyn Stop>)
    }

    /// What a reader of the run must know of a warm-up that came to this.
    pub(super) fn note(self, series: &Series) -> Option<String> {
        if self != Warmup::Stable {
            return None;
        }
        let last = series.points().last().map_or(Duration::ZERO, |point| point.at + point.length);
        let seconds = last.as_secs_f64().round();
        if steady::is_steady(series.points()) {
            return Some(format!("the warm-up was stable after {seconds} s"));
        }
        Some(format!(
            "the warm-up ended after {seconds} s without being stable: what was measured may drift"
        ))
    }
}

/// Ends a warm-up that is stable.
struct Steady;

impl Stop for Steady {
    fn enough(&mut self, series: &Series) -> bool {
        steady::is_steady(series.points())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_ups_are_counts_times_and_stable() {
        assert_eq!("64".parse(), Ok(Warmup::Count(64)));
        assert_eq!("0".parse(), Ok(Warmup::Count(0)));
        assert_eq!("5s".parse(), Ok(Warmup::Time(Duration::from_secs(5))));
        assert_eq!("stable".parse(), Ok(Warmup::Stable));
        for wrong in ["", "steady", "-1", "5 apples"] {
            let told = wrong.parse::<Warmup>().unwrap_err();
            assert!(told.contains("a count, a time such as 5s, or `stable`"), "{told}");
        }
    }
}
