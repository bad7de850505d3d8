// SPDX-License-Identifier: Apache-2.0
//! `--warmup stable`.
//!
//! The rule: of the last ten windows, the first five and the last five have medians and rates within 5 % of each other and
//! 90th percentiles within 10 %, and none of the three goes up or down through the ten (Mann and Kendall's test, 17 of 45).
//! A window is 2 s; where fewer than 50 calls end in it, or the rule is not met, 4 s. The rule must have been met at the
//! last two ends of windows, so that one quiet moment is not enough: a warm-up takes 22 s at least. Shorter windows would
//! miss what creeps. A change that takes longer than the windows is not seen by the rule.

use super::interval::value_at;
use std::time::Duration;
use storescope::timing::Distribution;
use storescope_instrument::Point;

/// A warm-up `stable` ends after so long, whatever it has come to.
pub(crate) const MOST_WARMUP: Duration = Duration::from_mins(1);

const WINDOWS: usize = 10;
/// Ends of windows at which the rule must have been met.
const TIMES: usize = 2;
/// Seconds of a window.
const LENGTHS: [u64; 2] = [2, 4];
/// Calls of a window, at least.
const CALLS: u64 = 50;
/// Pairs in time order less those against it, of 45: as many are there by chance in 1 of 6 series without a trend.
const TREND: i32 = 17;

/// Whether the end of these points is steady.
pub(crate) fn is_steady(points: &[Point]) -> bool {
    LENGTHS.iter().any(|seconds| {
        let windows = windows(points, Duration::from_secs(*seconds));
        windows.len() == WINDOWS + TIMES - 1 && windows.windows(WINDOWS).all(is_level)
    })
}

/// What is looked at of a window: median, 90th percentile, calls a second.
type Figures = [f64; 3];

/// How far apart the halves may be.
const APART: Figures = [0.05, 0.1, 0.05];

/// The last windows of this length that have enough calls, the earliest first; fewer where one has not.
fn windows(points: &[Point], length: Duration) -> Vec<Figures> {
    let Some(last) = points.last() else { return Vec::new() };
    let end = last.at + last.length;
    let mut found: Vec<_> = (0..(WINDOWS + TIMES - 1) as u32)
        .map_while(|back| {
            let to = end.checked_sub(length * back)?;
            figures(points, to.checked_sub(length)?, length)
        })
        .collect();
    found.reverse();
    found
}

fn figures(points: &[Point], from: Duration, length: Duration) -> Option<Figures> {
    let to = from + length;
    let mut times = Distribution::nanoseconds();
    let mut seconds = 0.0;
    for point in points {
        let middle = point.at + point.length / 2;
        if from <= middle && middle < to {
            times.merge(&point.response);
            seconds += point.length.as_secs_f64();
        }
    }
    let whole = seconds > length.as_secs_f64() * 0.75;
    (whole && times.count() >= CALLS).then(|| {
        let rate = times.count() as f64 / seconds;
        [value_at(&times, 0.5), value_at(&times, 0.9), rate]
    })
}

fn is_level(windows: &[Figures]) -> bool {
    APART.iter().enumerate().all(|(number, apart)| {
        let values: Vec<f64> = windows.iter().map(|figures| figures[number]).collect();
        let (first, last) = values.split_at(values.len() / 2);
        let (first, last) = (first.iter().sum::<f64>(), last.iter().sum::<f64>());
        (first - last).abs() <= apart * first.min(last) && trend(&values).abs() < TREND
    })
}

/// Pairs that rise less pairs that fall.
fn trend(values: &[f64]) -> i32 {
    let mut sum = 0;
    for (at, one) in values.iter().enumerate() {
        for later in &values[at + 1..] {
            sum += i32::from(later > one) - i32::from(later < one);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::precise::tests::{Store, point};
    use super::*;

    /// Seconds until a store is called steady, which answers `calls` a second with the times that `at` draws.
    fn steady_after(mut at: impl FnMut(u64) -> Vec<u64>) -> Option<u64> {
        let mut points = Vec::new();
        (0..60).find(|second| {
            points.push(point(*second, at(*second)));
            is_steady(&points)
        })
    }

    /// Calls of a closed loop of eight in a second, of two kinds: 10 ms, and 30 ms for a share of them.
    fn two_modes(store: &mut Store, random: &mut fastrand::Rng, share: f64) -> Vec<u64> {
        let (mut calls, mut spent) = (Vec::new(), 0.0);
        while spent < 8e9 {
            let mode = if random.f64() < share { 3e7 } else { 1e7 };
            let time = mode * (0.1 * store.normal()).exp();
            spent += time;
            calls.push(time as u64);
        }
        calls
    }

    #[test]
    fn a_steady_store_is_called_so_soon() {
        for calls in [20, 100, 1_000] {
            let mut after: Vec<_> = (0..40)
                .map(|seed| {
                    let mut store = Store::new(seed, 0.0);
                    steady_after(|_| store.second(calls)).unwrap_or(60)
                })
                .collect();
            after.sort_unstable();
            let slowest = if calls == 20 { 60 } else { 40 };
            assert!(after[30] < slowest, "{calls} a second: {after:?}");
        }
    }

    #[test]
    fn a_cold_start_is_waited_for() {
        for seed in 0..40 {
            let mut store = Store::new(seed, 0.0);
            let cold = |second: u64| 1.0 + 2.0 * (-(second as f64) / 4.0).exp();
            let after = steady_after(|second| {
                let slow = cold(second);
                let calls = store.second((1_000.0 / slow) as u64);
                calls.into_iter().map(|time| (time as f64 * slow) as u64).collect()
            });
            // The first of the ten windows must be within a few per cent of the end.
            assert!(after.is_none_or(|after| after >= 22), "{after:?}");
        }
    }

    /// A store of two modes whose slow one becomes more frequent: the median hardly moves, and the store is not steady.
    #[test]
    fn a_drift_between_two_modes_is_not_called_stable() {
        let called = |drift: &dyn Fn(f64) -> f64| {
            let steady = |seed: &u64| {
                let mut store = Store::new(*seed, 0.0);
                let mut random = fastrand::Rng::with_seed(99 + seed);
                steady_after(|second| {
                    two_modes(&mut store, &mut random, drift(second as f64 / 60.0))
                })
                .is_some()
            };
            (0..40).filter(steady).count()
        };
        let drifting = called(&|part| 0.1 + 0.35 * part);
        assert!(drifting <= 2, "{drifting} of 40 drifting stores were called stable");
        let standing = called(&|_| 0.25);
        assert!(standing >= 38, "{standing} of 40 standing stores were called stable");
        let switched = called(&|part| if part * 60.0 < 40.0 { 0.05 } else { 0.3 });
        assert!(switched >= 38, "it was steady for 40 s");
        let switched = called(&|part| {
            if (10.0..50.0).contains(&(part * 60.0)) { 0.05 + part / 2.0 } else { 0.05 }
        });
        assert!(switched <= 2, "{switched} of 40 were called stable in a change");
    }

    #[test]
    fn few_calls_are_no_evidence() {
        let mut store = Store::new(3, 0.0);
        assert_eq!(steady_after(|_| store.second(5)), None);
        assert!(!is_steady(&[]));
    }
}
