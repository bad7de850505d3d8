// SPDX-License-Identifier: Apache-2.0
//! What a sweep tells: latency by size with a line through it, throughput and p99 by load.

use super::chart::{Frame, Line, Lines, STYLES, Scale};
use super::html::put;
use super::measures::{payload, succeeded, waits};
use super::names::{Axis, Names, spread};
use super::units::{ms, number, size};
use crate::fit::line;
use crate::run::{Cell, Run, Setup};
use std::collections::BTreeMap;

/// Cells that differ in one thing only: their common name, and where each stands.
struct Group<'a> {
    name: String,
    cells: Vec<(f64, &'a Cell)>,
}

/// Cells by what they have in common, each at its place.
fn groups<'a>(
    runs: &'a [Run],
    names: &Names,
    axis: Axis,
    place: fn(&Setup) -> Option<f64>,
) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    for (number, run) in runs.iter().enumerate() {
        for cell in &run.cells {
            let Some(place) = place(&cell.setup) else { continue };
            let name = names.cell(number, &cell.setup, Some(axis));
            let at = *by_name.entry(name.clone()).or_insert(groups.len());
            if at == groups.len() {
                groups.push(Group { name, cells: Vec::new() });
            }
            groups[at].cells.push((place, cell));
        }
    }
    groups.retain(|group| group.cells.len() > 1);
    for group in &mut groups {
        group.cells.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    groups
}

pub(super) fn draw(out: &mut String, runs: &[Run], names: &Names) {
    let mut figures = String::new();
    if names.vary(Axis::Size) {
        by_size(&mut figures, runs, names);
    }
    if names.vary(Axis::Load) {
        by_load(&mut figures, runs, names);
    }
    if !figures.is_empty() {
        put!(
            out,
            "<section><h2>Size and load</h2><div class=\"charts\">\n{figures}</div></section>\n"
        );
    }
}

fn by_size(out: &mut String, runs: &[Run], names: &Names) {
    let groups = groups(runs, names, Axis::Size, |setup| {
        setup.size.filter(|size| *size > 0).map(|size| size as f64)
    });
    let (all, groups) = (groups.len(), spread(groups, STYLES - 1));
    let Some((from, to)) = ends(&groups) else { return };
    let mut lines = lines(&groups, |cell| Some(ms(waits(cell)?.quantile(0.5))));
    let mut note = shown(groups.len(), all);
    if let Some((line, told)) = groups.first().and_then(|group| fitted(group, (from, to))) {
        note = format!("{told} {note}");
        lines.push(line);
    }
    let values = || lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let (least, most) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
    let mut alt = "Median response by size.".to_owned();
    for line in &lines {
        let told: Vec<_> = line
            .points
            .iter()
            .map(|(x, y)| format!("{}: {}", size(*x as u64), number(*y)))
            .collect();
        put!(&mut alt, " {}: {} ms.", line.name, spread(told, 6).join(", "));
    }
    let places: Vec<f64> =
        groups.iter().flat_map(|group| &group.cells).map(|(place, _)| *place).collect();
    let frame =
        Frame { caption: "Response p50 by size, ms".to_owned(), alt, legend: legend(&lines), note };
    Lines::one(Scale::log_exactly(from / 1.3, to * 1.3), "size", Scale::log(least, most), lines)
        .with_x_ticks(ticks(places, |place| size(place as u64)))
        .draw(&frame, out);
}

/// The line through the medians of the least load, its differences being relative: a base and a time a MiB.
fn fitted(group: &Group<'_>, (from, to): (f64, f64)) -> Option<(Line, String)> {
    let medians = group
        .cells
        .iter()
        .filter_map(|(size, cell)| Some((*size as u64, waits(cell)?.quantile(0.5) as f64 / 1e9)));
    let medians: Vec<_> = medians.collect();
    let line = line(&medians).filter(|line| medians.len() > 2 && line.per_byte > 0.0)?;
    let places = (0..=40).map(|n| from * (to / from).powf(f64::from(n) / 40.0));
    let points = places
        .map(|place| (place, (line.base + line.per_byte * place) * 1e3))
        .filter(|(_, y)| *y > 0.0);
    let drawn = Line::new(STYLES - 1, "fit", points.collect());
    let of = if group.name.is_empty() { String::new() } else { format!(" of {}", group.name) };
    let told = format!(
        "Fit{of}: {} ms + {} ms a MiB, a stream of {} MB/s.",
        number(line.base * 1e3),
        number(line.ms_per_mib()),
        number(1e-6 / line.per_byte)
    );
    Some((drawn, told))
}

fn by_load(out: &mut String, runs: &[Run], names: &Names) {
    let closed = groups(runs, names, Axis::Load, |setup| {
        let closed = setup.arrivals.is_none() && setup.name.is_none();
        closed.then(|| f64::from(setup.concurrency))
    });
    let open = groups(runs, names, Axis::Load, |setup| setup.rate);
    load(out, closed, "calls at a time");
    load(out, open, "calls a second asked for");
}

fn load(out: &mut String, groups: Vec<Group<'_>>, title: &str) {
    let (all, groups) = (groups.len(), spread(groups, STYLES));
    let Some((from, to)) = ends(&groups) else { return };
    let seconds = |cell: &Cell| cell.elapsed.as_secs_f64().max(1e-9);
    let bytes = groups.iter().flat_map(|group| &group.cells).any(|(_, cell)| payload(cell) > 0);
    let rates = lines(&groups, |cell| {
        let amount = if bytes { payload(cell) as f64 / 1e6 } else { succeeded(cell) as f64 };
        Some(amount / seconds(cell))
    });
    let p99s = lines(&groups, |cell| Some(ms(waits(cell)?.quantile(0.99))));
    let values = |lines: &[Line]| {
        let all = lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).collect::<Vec<_>>();
        (all.iter().copied().fold(f64::MAX, f64::min), all.iter().copied().fold(0.0, f64::max))
    };
    let (rate_ends, p99_ends) = (values(&rates), values(&p99s));
    let unit = if bytes { "MB/s" } else { "calls a second" };
    let mut alt = format!("Throughput and p99 by {title}.");
    for (rate, p99) in rates.iter().zip(&p99s) {
        let told: Vec<_> = rate
            .points
            .iter()
            .zip(&p99.points)
            .map(|((x, rate), (_, p99))| {
                format!("{}: {} {unit}, {} ms", number(*x), number(*rate), number(*p99))
            })
            .collect();
        put!(&mut alt, " {}: {}.", rate.name, spread(told, 6).join("; "));
    }
    let places: Vec<f64> =
        groups.iter().flat_map(|group| &group.cells).map(|(place, _)| *place).collect();
    let frame = Frame {
        caption: format!("Throughput and p99 by {title}"),
        alt,
        legend: legend(&rates),
        note: shown(groups.len(), all),
    };
    let x = Scale::log_exactly(from / 1.15, to * 1.15);
    let mut chart = Lines::stacked(x, title, 84.0).with_x_ticks(ticks(places, number));
    chart.panel(unit, Scale::log(rate_ends.0, rate_ends.1), rates);
    chart.panel("response p99, ms", Scale::log(p99_ends.0, p99_ends.1), p99s);
    chart.draw(&frame, out);
}

/// The least and the greatest place.
fn ends(groups: &[Group<'_>]) -> Option<(f64, f64)> {
    let places = || groups.iter().flat_map(|group| &group.cells).map(|(place, _)| *place);
    let (from, to) = (places().fold(f64::MAX, f64::min), places().fold(0.0, f64::max));
    (from < to).then_some((from.max(1e-3), to))
}

fn lines(groups: &[Group<'_>], figure: impl Fn(&Cell) -> Option<f64>) -> Vec<Line> {
    let line = |(style, group): (usize, &Group<'_>)| {
        let points = group
            .cells
            .iter()
            .filter_map(|(place, cell)| Some((*place, figure(cell).filter(|y| *y > 0.0)?)));
        Line { marked: true, ..Line::new(style, &group.name, points.collect()) }
    };
    groups.iter().enumerate().map(line).collect()
}

fn legend(lines: &[Line]) -> Vec<(usize, String)> {
    lines
        .iter()
        .map(|line| {
            (
                line.style,
                if line.name.is_empty() { "measured".to_owned() } else { line.name.clone() },
            )
        })
        .collect()
}

fn shown(shown: usize, all: usize) -> String {
    if shown < all { format!("{shown} of {all} lines; the table has all.") } else { String::new() }
}

/// A mark at each place, as many as have room.
fn ticks(mut places: Vec<f64>, name: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    places.sort_by(f64::total_cmp);
    places.dedup();
    spread(places, 6).into_iter().map(|place| (place, name(place))).collect()
}
