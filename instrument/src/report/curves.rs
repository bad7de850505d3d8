// SPDX-License-Identifier: Apache-2.0
//! Percentile curves on an axis of nines.

use super::chart::{Frame, Line, Lines, STYLES, Scale};
use super::html::put;
use super::interval;
use super::measures::{Measured, What, longest};
use super::names::{Names, short, spread};
use super::units::{ms, number};
use crate::run::{Cell, Run};
use storescope::timing::{Distribution, Phase};

/// Points of a curve.
const POINTS: u32 = 90;
/// Beyond five nines a curve is one request.
const MOST_NINES: f64 = 5.0;
/// Bands of more lines than these hide each other.
const BANDS: usize = 3;

pub(super) fn draw(out: &mut String, runs: &[Run], measured: &[Measured], names: &Names) {
    if measured.is_empty() {
        return;
    }
    out.push_str("<section><h2>Percentiles</h2><div class=\"charts\">\n");
    let of = |what| measured.iter().filter(move |one| one.what == what).collect::<Vec<_>>();
    if What::ALL.iter().all(|what| of(*what).len() <= 1) {
        let named = measured.iter().map(|one| (one.what.name().to_owned(), &one.times)).collect();
        chart(out, "Time, ms", "", named);
    } else {
        for what in What::ALL {
            let (all, label) = (of(what), |one: &Measured| names.measured(runs, one));
            let (count, shown) = (all.len(), spread(all, STYLES));
            let note = match shown.len() {
                0 => continue,
                shown if shown < count => format!("{shown} of {count}; the table has all."),
                _ => String::new(),
            };
            let named = shown.into_iter().map(|one| (label(one), &one.times)).collect();
            chart(out, &format!("{}, ms", capital(what)), &note, named);
        }
    }
    if let [run] = runs {
        by_stage(out, run);
    }
    out.push_str("</div></section>\n");
}

/// First bytes of a job's stages, those that waited longest.
fn by_stage(out: &mut String, run: &Run) {
    let first_byte = |cell: &Cell| cell.times(Phase::Ttfb).filter(|times| times.count() > 0);
    let with_requests = |cell: &Cell| cell.tasks.is_some() && first_byte(cell).is_some();
    let all = run.cells.iter().filter(|cell| with_requests(cell)).count();
    if all < 2 {
        return;
    }
    let shown = longest(run, STYLES, with_requests);
    let note = if shown.len() < all {
        format!("{} of {all} stages, those that waited longest; the table has all.", shown.len())
    } else {
        String::new()
    };
    let times: Vec<_> = shown
        .into_iter()
        .filter_map(|cell| Some((short(&cell.setup.to_string()), first_byte(cell)?)))
        .collect();
    let named = times.iter().map(|(name, times)| (name.clone(), times)).collect();
    chart(out, "First byte by stage, ms", &note, named);
}

fn capital(what: What) -> &'static str {
    match what {
        What::Response => "Response",
        What::Service => "Service",
        What::Request => "Whole request",
        What::FirstByte => "First byte",
    }
}

fn chart(out: &mut String, caption: &str, note: &str, named: Vec<(String, &Distribution)>) {
    let most = named.iter().map(|(_, times)| times.count()).max().unwrap_or(1);
    let nines = (most as f64).log10().clamp(1.2, MOST_NINES);
    let ends = named.iter().map(|(_, times)| (times.min().max(1), times.max()));
    let (least, top) =
        ends.fold((u64::MAX, 1), |(least, top), (min, max)| (least.min(min), top.max(max)));
    let banded = named.len() <= BANDS;
    let lines =
        named.iter().enumerate().map(|(style, (name, times))| line(style, name, times, banded));
    let chart = Lines::one(
        Scale::nines(nines),
        "quantile",
        Scale::log(ms(least), ms(top)),
        lines.collect(),
    );
    let frame = Frame {
        caption: caption.to_owned(),
        alt: alt(caption, &named),
        legend: named.iter().enumerate().map(|(style, (name, _))| (style, name.clone())).collect(),
        note: note.to_owned(),
    };
    chart.draw(&frame, out);
}

fn alt(caption: &str, named: &[(String, &Distribution)]) -> String {
    let mut text = format!("Percentile curves. {caption}.");
    for (name, times) in named {
        let at = |quantile| number(ms(times.quantile(quantile).min(times.max())));
        put!(
            &mut text,
            " {name}: p50 {}, p90 {}, p99 {}, max {}.",
            at(0.5),
            at(0.9),
            at(0.99),
            number(ms(times.max()))
        );
    }
    text
}

fn line(style: usize, name: &str, times: &Distribution, banded: bool) -> Line {
    let end = (times.count() as f64).log10().clamp(0.0, MOST_NINES);
    let quantiles =
        (0..=POINTS).map(|n| 1.0 - 10_f64.powf(-end * f64::from(n) / f64::from(POINTS)));
    let value = |quantile: f64| {
        if quantile <= 0.0 { times.min() } else { times.quantile(quantile).min(times.max()) }
    };
    let points = quantiles.clone().map(|quantile| (quantile, ms(value(quantile))));
    let mut line = Line::new(style, name, thinned(points.collect()));
    if banded {
        let band =
            quantiles.filter_map(|q| interval(times, q).map(|(low, high)| (q, ms(low), ms(high))));
        line.band = band.step_by(2).collect();
    }
    line
}

/// Without points between two of the same value.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let last = points.len() - 1;
    let same = |one: usize, other: usize| (points[one].1 - points[other].1).abs() < f64::EPSILON;
    let kept =
        (0..=last).filter(|at| *at == 0 || *at == last || !same(at - 1, *at) || !same(*at, at + 1));
    kept.map(|at| points[at]).collect()
}
