// SPDX-License-Identifier: Apache-2.0
//! The verdict on a figure of two cells.

use super::{Figure, Verdict, first_byte, response};
use crate::run::Cell;
use crate::stats::{self, Change};
use storescope::timing::{Distribution, Phase};

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// By which rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge {
    pub(super) threshold_percent: f64,
    /// Of the interval of each figure.
    pub(super) confidence: f64,
}

impl Judge {
    /// Of the response times.
    pub(super) fn quantiles(
        self,
        times: &[Distribution; 2],
        cells: [&Cell; 2],
        seed: u64,
    ) -> Vec<Figure> {
        let quantiles = QUANTILES.map(|(_, quantile)| quantile);
        let draws = |at: usize, seed| {
            stats::quantile_draws(&times[at], &cells[at].series, response, &quantiles, seed)
        };
        let (a, b) = (draws(0, seed), draws(1, seed + 1));
        let figure = |(at, (name, quantile)): (usize, &(&'static str, f64))| {
            let figure = quantile_figure(name, times, *quantile);
            let least = stats::least_count(*quantile, self.confidence);
            let count = times[0].count().min(times[1].count());
            if count < least {
                let needs_calls = Some(round_up(least));
                return Figure { verdict: Some(Verdict::CannotTell), needs_calls, ..figure };
            }
            let change = a[at].change(&b[at], self.confidence);
            self.judged(Figure { change: Some(change), ..figure }, count)
        };
        QUANTILES.iter().enumerate().map(figure).collect()
    }

    /// Of the attempts' first bytes: shown, since a response holds them.
    pub(super) fn first_bytes(self, cells: [&Cell; 2], seed: u64) -> Vec<Figure> {
        let [a, b] = cells.map(|cell| cell.times(Phase::Ttfb));
        let (Some(a), Some(b)) = (a, b) else { return Vec::new() };
        let times = [a, b];
        let quantiles = [0.5, 0.99];
        let draws = |at: usize, seed| {
            stats::quantile_draws(&times[at], &cells[at].series, first_byte, &quantiles, seed)
        };
        let (a, b) = (draws(0, seed), draws(1, seed + 1));
        let figure = |(at, name): (usize, &'static str)| {
            let enough = |times: &Distribution| {
                times.count() >= stats::least_count(quantiles[at], self.confidence)
            };
            let change = times.iter().all(enough).then(|| a[at].change(&b[at], self.confidence));
            Figure { change, ..quantile_figure(name, &times, quantiles[at]) }
        };
        ["first byte p50", "first byte p99"].into_iter().enumerate().map(figure).collect()
    }

    /// Calls a second. In an open loop they are what was asked for: whether that was held is judged.
    pub(super) fn throughput(
        self,
        times: &[Distribution; 2],
        cells: [&Cell; 2],
        seed: u64,
    ) -> Figure {
        let rates = cells.map(Cell::calls_per_second);
        let [a, b] = rates.map(|rate| (rate > 0.0).then_some(rate));
        let figure = Figure { name: "throughput", unit: "calls/s", a, b, ..Figure::default() };
        let behind = cells.map(|cell| cell.behind.is_some());
        if cells[0].setup.arrivals.is_some() && behind != [true, true] {
            return self.held(figure, rates, cells);
        }
        let draws =
            |at: usize, seed| stats::rate_draws(rates[at], &cells[at].series, &times[at], seed);
        let (Some(a), Some(b)) = (draws(0, seed), draws(1, seed + 1)) else {
            return Figure { verdict: Some(Verdict::CannotTell), ..figure };
        };
        let figure = Figure { change: Some(a.change(&b, self.confidence)), ..figure };
        // A log of a program that did other things, too, has no throughput to judge.
        if cells[0].setup.concurrency == 0 && cells[0].setup.arrivals.is_none() {
            return figure;
        }
        let count = times[0].count().min(times[1].count());
        let figure = self.judged(figure, count);
        // More calls a second are faster.
        let verdict = figure.verdict.map(|verdict| match verdict {
            Verdict::Slower => Verdict::Faster,
            Verdict::Faster => Verdict::Slower,
            other => other,
        });
        Figure { verdict, ..figure }
    }

    /// That one run held the rate and the other did not is counted, no matter of chance.
    fn held(self, figure: Figure, rates: [f64; 2], cells: [&Cell; 2]) -> Figure {
        let least = 1.0 - self.threshold_percent / 100.0;
        let short = |one: usize, other: usize| {
            cells[one].behind.is_some() && rates[one] <= rates[other] * least
        };
        let verdict = match (short(0, 1), short(1, 0)) {
            (_, true) => Verdict::Slower,
            (true, _) => Verdict::Faster,
            _ => Verdict::Same,
        };
        let told = |name: &str, cell: &Cell| match (&cell.behind, cell.setup.rate) {
            (None, Some(rate)) => format!("{name} held {rate}/s"),
            (None, None) => format!("{name} held its times"),
            (Some(behind), Some(rate)) => {
                format!("{name} began {:.1}/s of {rate}/s", behind.held_rate)
            }
            (Some(behind), None) => format!("{name} began {:.1}/s, too few", behind.held_rate),
        };
        let note = Some(format!("{}, {}", told("A", cells[0]), told("B", cells[1])));
        Figure { verdict: Some(verdict), note, ..figure }
    }

    /// The share of calls that failed for good. They have no times: a store that fails fast would look fast.
    pub(super) fn failures(self, cells: [&Cell; 2]) -> Figure {
        let failed = cells.map(|cell| cell.failed_calls as f64);
        let count = |cell: &Cell| cell.calls.values().map(|calls| calls.count).sum::<u64>() as f64;
        let well = cells.map(count);
        let all = [0, 1].map(|at: usize| f64::max(failed[at] + well[at], 1.0));
        let shares = [failed[0] / all[0], failed[1] / all[1]];
        let both = (failed[0] + failed[1]) / (all[0] + all[1]);
        let wide = (both * (1.0 - both) * (1.0 / all[0] + 1.0 / all[1])).sqrt();
        let surely = stats::normal_quantile(f64::midpoint(1.0, self.confidence)) * wide;
        // Below ten failures, the normal distribution is none of theirs.
        let differ = failed[0] + failed[1] >= 10.0 && (shares[1] - shares[0]).abs() > surely;
        let verdict = match differ {
            true if shares[1] > shares[0] => Verdict::Slower,
            true => Verdict::Faster,
            false => Verdict::Same,
        };
        let [a, b] = shares.map(|share| Some(share * 100.0));
        let verdict = Some(verdict);
        Figure { name: "failed calls", unit: "%", a, b, verdict, ..Figure::default() }
    }

    /// With the verdict on a change to more, as *slower*. `count` is the smaller number of calls of the two.
    fn judged(self, figure: Figure, count: u64) -> Figure {
        let Some(change) = figure.change else { return figure };
        let threshold = self.threshold_percent;
        let verdict = match change {
            Change { low_percent, percent, .. } if low_percent > 0.0 && percent >= threshold => {
                Verdict::Slower
            }
            Change { high_percent, percent, .. } if high_percent < 0.0 && percent <= -threshold => {
                Verdict::Faster
            }
            change if change.detectable_percent > 2.0 * threshold => Verdict::CannotTell,
            // Beyond the threshold, but by chance as it seems: not the same either.
            change if change.percent.abs() >= threshold => Verdict::CannotTell,
            _ => Verdict::Same,
        };
        let short = change.detectable_percent.max(2.0 * threshold) / (2.0 * threshold);
        // At least twice as many, where what is there is nearly enough.
        let enough = count as f64 * (short * short).max(2.0);
        // Of a handful of calls nothing can be foretold.
        let known = verdict == Verdict::CannotTell && enough < 1e9;
        let needs_calls = known.then(|| round_up(enough as u64));
        Figure { verdict: Some(verdict), needs_calls, ..figure }
    }
}

fn quantile_figure(name: &'static str, times: &[Distribution; 2], quantile: f64) -> Figure {
    let told =
        |times: &Distribution| (times.count() > 0).then(|| times.quantile(quantile) as f64 / 1e6);
    Figure { name, a: told(&times[0]), b: told(&times[1]), ..Figure::default() }
}

/// To two digits: it is an estimate.
fn round_up(count: u64) -> u64 {
    let step = 10_u64.pow(count.max(1).ilog10().saturating_sub(1));
    count.div_ceil(step) * step
}
