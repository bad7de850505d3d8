// SPDX-License-Identifier: Apache-2.0
//! Which phases make the attempts of a percentile as slow as they are.

use super::chart::{Bar, Bars, Frame};
use super::html::{Escaped, put};
use super::names::Names;
use super::units::{count, number};
use crate::bands::{Band, Bands};
use crate::run::Run;
use std::collections::BTreeMap;
use storescope::timing::Phase;

/// Bands of percentiles: their names, from and to, and how many attempts one must have in all.
const BANDS: [(&str, f64, f64, u64); 4] = [
    ("p50", 0.45, 0.55, 1),
    ("p90", 0.85, 0.95, 10),
    ("p99", 0.985, 0.995, 100),
    ("p99.9+", 0.999, 1.0, 1_000),
];

/// Phases with less than this share of every band are told as one.
const SMALL: f64 = 0.01;

/// A figure each: more than these are one page too many.
const FIGURES: usize = 4;

/// Colours, by phase in the order of [`Phase::PARTS`]; the last is of what is left.
const CLASSES: [&str; Phase::PARTS.len()] =
    ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10"];
const REST: &str = "p11";

pub(super) fn draw(out: &mut String, runs: &[Run], names: &Names) {
    let mut figures: Vec<(String, Bands)> = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        for (operation, bands) in by_operation(run) {
            let run = names.run(number);
            let separator = if run.is_empty() { "" } else { ", " };
            figures.push((format!("{run}{separator}{operation}"), bands));
        }
    }
    if figures.is_empty() {
        return;
    }
    figures.sort_by_key(|(_, bands)| std::cmp::Reverse(bands.count()));
    out.push_str(
        "<section><h2>What makes the p50, what makes the p99</h2>\n<p class=\"note\">Mean phases of the attempts \
         whose whole time lies around each percentile, all cells together.</p><div class=\"charts\">\n",
    );
    for (name, bands) in figures.iter().take(FIGURES) {
        figure(out, name, bands);
    }
    out.push_str("</div>");
    if figures.len() > FIGURES {
        put!(
            out,
            "<p class=\"note\">{FIGURES} of {}, those of the most attempts.</p>",
            figures.len()
        );
    }
    out.push_str("</section>\n");
}

fn by_operation(run: &Run) -> BTreeMap<String, Bands> {
    let mut sums: BTreeMap<String, Bands> = BTreeMap::new();
    for (operation, bands) in run.cells.iter().flat_map(|cell| &cell.bands) {
        sums.entry(operation.clone()).or_default().merge(bands);
    }
    sums.retain(|_, bands| bands.count() > 0);
    sums
}

/// A phase that is shown: its class, name, and mean of each band in ms.
type Part = (&'static str, String, Vec<f64>);

fn figure(out: &mut String, name: &str, bands: &Bands) {
    let all = bands.count();
    let shown: Vec<(&str, Band)> = BANDS
        .into_iter()
        .filter(|(.., needed)| all >= *needed)
        .map(|(name, from, to, _)| (name, bands.between(from, to)))
        .collect();
    let totals: Vec<f64> = shown.iter().map(|(_, band)| total(band)).collect();
    let parts = parts(&shown, &totals);
    let bars = shown.iter().zip(&totals).enumerate().map(|(at, ((name, _), total))| Bar {
        name: (*name).to_owned(),
        total: format!("{} ms", number(*total)),
        parts: parts
            .iter()
            .map(|(class, name, means)| part(class, name, means[at], *total))
            .collect(),
    });
    let mut alt = format!("Phases of {name} by percentile.");
    for (at, (band, _)) in shown.iter().enumerate() {
        let most = parts.iter().max_by(|one, other| one.2[at].total_cmp(&other.2[at]));
        if let Some((_, phase, means)) = most {
            put!(
                &mut alt,
                " {band}: {} ms, most of it {phase} with {} ms.",
                number(totals[at]),
                number(means[at])
            );
        }
    }
    let frame = Frame { caption: format!("{name}: share of each phase"), alt, ..Frame::default() };
    out.push_str("<div>");
    Bars(bars.collect()).draw(&frame, out);
    table(out, &shown, &totals, &parts);
    out.push_str("</div>\n");
}

fn part(class: &'static str, name: &str, mean: f64, total: f64) -> (&'static str, String, f64) {
    let share = if total > 0.0 { mean / total } else { 0.0 };
    (class, format!("{name} {} ms, {} %", number(mean), number(share * 100.0)), share)
}

fn total(band: &Band) -> f64 {
    Phase::PARTS.iter().map(|phase| band.mean_ns(*phase)).sum::<f64>() / 1e6
}

fn parts(shown: &[(&str, Band)], totals: &[f64]) -> Vec<Part> {
    let (mut parts, mut rest): (Vec<Part>, _) = (Vec::new(), vec![0.0; shown.len()]);
    for (phase, class) in Phase::PARTS.iter().zip(CLASSES) {
        let means: Vec<f64> = shown.iter().map(|(_, band)| band.mean_ns(*phase) / 1e6).collect();
        if means.iter().zip(totals).any(|(mean, total)| *mean >= SMALL * total && *mean > 0.0) {
            parts.push((class, phase.to_string(), means));
        } else {
            rest.iter_mut().zip(means).for_each(|(sum, mean)| *sum += mean);
        }
    }
    if rest.iter().any(|mean| *mean > 0.0) {
        parts.push((REST, "others".to_owned(), rest));
    }
    parts
}

fn table(out: &mut String, shown: &[(&str, Band)], totals: &[f64], parts: &[Part]) {
    out.push_str("<table class=\"phases\"><thead><tr><th>mean, ms</th>");
    for (name, _) in shown {
        put!(out, "<th>{name}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for (class, name, means) in parts {
        put!(
            out,
            "<tr><th><svg class=\"key\" viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"10\" height=\"10\"/></svg>{}</th>",
            Escaped(name)
        );
        for mean in means {
            put!(out, "<td>{}</td>", number(*mean));
        }
        out.push_str("</tr>");
    }
    out.push_str("<tr class=\"sum\"><th>all</th>");
    for total in totals {
        put!(out, "<td>{}</td>", number(*total));
    }
    out.push_str("</tr><tr><th>attempts</th>");
    for (_, band) in shown {
        put!(out, "<td>{}</td>", count(band.count));
    }
    out.push_str("</tr></tbody></table>");
}
