// SPDX-License-Identifier: Apache-2.0
//! Stalls of a whole store: intervals in which nothing ends, and then all that waited at once.

use super::sample::Sample;
use crate::run::Cell;
use crate::series::Point;
use storescope_model::Stall;

/// A stall's requests are slower than this many times the usual p99 of an interval.
const SLOW: f64 = 2.0;
/// Of the calls under way, so many must have met the stall: a rare slow request is none.
const ALL: f64 = 0.75;
/// And so many at least.
const FEWEST: u64 = 4;
/// And for this share of an interval: shorter ones are told from a busy machine's pauses by nothing.
const LONG: f64 = 0.2;

/// One stall, in seconds from its cell's begin.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    at: f64,
    lasts: f64,
}

/// What the cells' series tell.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    pub(super) stall: Option<(Stall, String)>,
    pub(super) missing: Option<String>,
    /// The first byte of all intervals in which nothing had met a stall; only where there were stalls.
    pub(super) usual: Option<Sample>,
}

pub(super) fn find(cells: &[&Cell]) -> Stalls {
    if cells.iter().all(|cell| cell.series.points().is_empty()) {
        let missing = "stall: the run tells nothing over time: stalls are not fitted";
        return Stalls { missing: Some(missing.to_owned()), ..Stalls::default() };
    }
    let mut usual = Sample::default();
    let mut lengths = Vec::new();
    let mut periods = Vec::new();
    for cell in cells {
        let seen = of_cell(cell, &mut usual);
        periods.extend(seen.windows(2).map(|two| two[1].at - two[0].at));
        lengths.extend(seen.iter().map(|one| one.lasts));
    }
    if lengths.is_empty() {
        return Stalls::default();
    }
    let lasts = middle(&mut lengths);
    let usual = Some(usual);
    if periods.is_empty() {
        let missing = format!(
            "stall: {} of {lasts:.2} s, and never two in one cell: a longer one is needed to tell how often",
            lengths.len()
        );
        return Stalls { missing: Some(missing), usual, ..Stalls::default() };
    }
    let every = periods.iter().sum::<f64>() / periods.len() as f64;
    let text = format!(
        "{} stalls, {:.2} to {:.2} s long, {:.1} to {:.1} s apart",
        lengths.len(),
        lengths[0],
        lengths[lengths.len() - 1],
        periods.iter().copied().fold(f64::INFINITY, f64::min),
        periods.iter().copied().fold(0.0, f64::max)
    );
    let rounded = |seconds: f64| std::time::Duration::from_millis((seconds * 1e3).round() as u64);
    let stall = Stall { every: rounded(every.max(lasts + 1e-3)), lasts: rounded(lasts) };
    Stalls { stall: Some((stall, text)), missing: None, usual }
}

fn middle(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The stalls of a cell; `usual` gets the first byte of the other intervals.
fn of_cell(cell: &Cell, usual: &mut Sample) -> Vec<Seen> {
    let points = cell.series.points();
    let filled = || points.iter().filter(|point| point.first_byte.count() > 0);
    let mut p99: Vec<f64> = filled().map(|point| point.first_byte.quantile(0.99) as f64).collect();
    let mut p50: Vec<f64> = filled().map(|point| point.first_byte.quantile(0.5) as f64).collect();
    if p99.is_empty() {
        return Vec::new();
    }
    let (slow, median) = (SLOW * middle(&mut p99), middle(&mut p50));
    let mut seen: Vec<Seen> = Vec::new();
    for (number, point) in points.iter().enumerate() {
        match of_point(cell, point, slow) {
            Some(length) => {
                let lasts = (length - median) * 1e-9;
                // The interval in which it ended is known, not the moment: all are taken at the same one.
                let at = point.at.as_secs_f64() - lasts;
                // What met the end of one stall may be counted in the interval after it.
                let same = seen.last().is_some_and(|last| {
                    at - last.at < last.lasts.max(2.0 * point.length.as_secs_f64())
                });
                if !same {
                    seen.push(Seen { at, lasts });
                }
            }
            None if !after_none(points, number) => usual.add(&Sample::seconds(&point.first_byte)),
            None => {}
        }
    }
    seen
}

/// Whether nothing had ended in the interval before.
fn after_none(points: &[Point], number: usize) -> bool {
    number > 0 && points[number - 1].calls == 0
}

/// How long the requests that met a stall took, in ns, if a stall ended in this interval.
fn of_point(cell: &Cell, point: &Point, slow: f64) -> Option<f64> {
    let longest = point.first_byte.max() as f64;
    if longest <= slow || longest < LONG * point.length.as_nanos() as f64 {
        return None;
    }
    // Those that met it whole lie near the longest; in an open loop those that came later waited less.
    let from = slow.max(longest / 2.0);
    let met: Vec<_> = point.first_byte.buckets().filter(|(low, ..)| *low as f64 >= from).collect();
    let count: u64 = met.iter().map(|(_, _, count)| count).sum();
    let open = cell.setup.arrivals.is_some() || cell.setup.rate.is_some();
    let expected = match cell.setup.rate {
        Some(rate) => rate * (longest - from) * 1e-9,
        None if open => FEWEST as f64,
        None => f64::from(cell.setup.concurrency),
    };
    if count < FEWEST || (count as f64) < ALL * expected {
        return None;
    }
    if open {
        return Some(longest);
    }
    let mut before = 0;
    let half = met.iter().find(|(_, _, count_of)| {
        before += count_of;
        before * 2 >= count
    })?;
    Some(half.0.midpoint(half.1) as f64)
}
