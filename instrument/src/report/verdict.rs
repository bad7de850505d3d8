// SPDX-License-Identifier: Apache-2.0
//! A run in a few sentences, and what a reader must know before believing them.

use super::html::{Escaped, put};
use super::interval;
use super::measures::{dropped, failed_attempts, payload, succeeded, waits};
use super::names::{self, Names};
use super::units::{bytes, count, counted, number, time};
use crate::run::{Behind, Cell, Run};
use storescope::timing::{Distribution, Phase};

/// One paragraph a run, and a list of what limits its figures.
pub(super) fn draw(out: &mut String, runs: &[Run], names: &Names) {
    for (at, run) in runs.iter().enumerate() {
        out.push_str("<div class=\"verdict\"><p>");
        if runs.len() > 1 {
            put!(out, "<b>Run {}.</b> ", at + 1);
        }
        put!(out, "{}</p>", Escaped(&sentences(run, names)));
        let caveats = caveats(run);
        if !caveats.is_empty() {
            out.push_str("<ul>");
            for caveat in &caveats {
                put!(out, "<li>{}</li>", Escaped(caveat));
            }
            out.push_str("</ul>");
        }
        out.push_str("</div>\n");
    }
}

fn sentences(run: &Run, names: &Names) -> String {
    if run.is_job() {
        return super::job::sentences(run);
    }
    match &run.cells[..] {
        [] => format!("Nothing was measured of {}.", run.about.url),
        [cell] => one_cell(run, cell),
        cells => sweep(run, cells, names),
    }
}

fn one_cell(run: &Run, cell: &Cell) -> String {
    let mut text =
        format!("{}, on {}: {}.", names::setup(&cell.setup), run.about.url, throughput(cell));
    let quantiles = |name: &str, times: &Distribution| {
        format!("{name} p50 {}, p99 {}", time(times.quantile(0.5)), time(times.quantile(0.99)))
    };
    let whole = if cell.calls.is_empty() { "whole request" } else { "response" };
    let parts = [
        cell.times(Phase::Ttfb)
            .filter(|times| times.count() > 0)
            .map(|t| quantiles("first byte", &t)),
        waits(cell).map(|times| quantiles(whole, &times)),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        put!(&mut text, " {}.", capital(&parts.join("; ")));
    }
    if let Some(held) = rate(cell) {
        put!(&mut text, " {held}");
    }
    put!(&mut text, " {}", failures(cell));
    text
}

fn throughput(cell: &Cell) -> String {
    let seconds = cell.elapsed.as_secs_f64();
    let noun = if cell.calls.is_empty() { "request" } else { "call" };
    let ended = succeeded(cell);
    let mut text = format!("{} in {} s", counted(ended, noun), number(seconds));
    if seconds > 0.0 && ended > 0 {
        put!(&mut text, ", {} a second", number(ended as f64 / seconds));
        let payload = payload(cell);
        if payload > 0 {
            put!(&mut text, ", {}/s", bytes(payload as f64 / seconds));
        }
    }
    text
}

/// Whether an open loop began its calls in time.
fn rate(cell: &Cell) -> Option<String> {
    let asked = cell.setup.rate.map(|rate| format!("The rate of {}/s", number(rate)));
    let asked = asked.or(cell.setup.arrivals.map(|_| "The trace's rate".to_owned()))?;
    Some(match &cell.behind {
        None if cell.lateness.count() > 0 => {
            format!(
                "{asked} was held; calls began {} late at p99.",
                time(cell.lateness.quantile(0.99))
            )
        }
        None => format!("{asked} was held."),
        Some(behind) => format!("{asked} was not held: {}.", late(behind)),
    })
}

fn late(behind: &Behind) -> String {
    let mut text = format!(
        "{}/s were begun, up to {} late, and late for {} s in all",
        number(behind.held_rate),
        time(behind.most.as_nanos() as u64),
        number(behind.late_for.as_secs_f64())
    );
    if behind.never_begun > 0 {
        put!(&mut text, "; {} never began", counted(behind.never_begun, "call"));
    }
    text
}

fn failures(cell: &Cell) -> String {
    let attempts = failed_attempts(cell);
    let mut text = match cell.failed_calls {
        0 if attempts == 0 => return "Nothing failed.".to_owned(),
        0 if cell.calls.is_empty() => String::new(),
        0 => "No call failed; ".to_owned(),
        failed => format!("{} failed; ", counted(failed, "call")),
    };
    put!(&mut text, "{} failed", counted(attempts, "attempt"));
    if cell.retries > 0 {
        put!(&mut text, ", {} were made again", count(cell.retries));
    }
    text + "."
}

fn sweep(run: &Run, cells: &[Cell], names: &Names) -> String {
    let sum = run.sum();
    let mut text =
        format!("A sweep of {} cells on {}: {}.", cells.len(), run.about.url, throughput(&sum));
    let seconds = |cell: &Cell| cell.elapsed.as_secs_f64().max(1e-9);
    let by_bytes = payload(&sum) > 0;
    let of = if by_bytes { payload } else { succeeded };
    let figure = |rate: f64| {
        if by_bytes {
            format!("{}/s", bytes(rate))
        } else {
            format!("{} calls a second", number(rate))
        }
    };
    let rate = |cell: &Cell| of(cell) as f64 / seconds(cell);
    let fastest = cells.iter().max_by(|one, other| rate(one).total_cmp(&rate(other)));
    let name = |cell: &Cell| names.cell(0, &cell.setup, None).replace("run 1, ", "");
    if let Some(cell) = fastest.filter(|cell| of(cell) > 0) {
        put!(&mut text, " The most was {} ({}).", figure(rate(cell)), name(cell));
    }
    let p99 =
        |cell: &Cell| cell.times(Phase::Ttfb).filter(|t| t.count() > 0).map(|t| t.quantile(0.99));
    let timed = || cells.iter().filter_map(|cell| Some((p99(cell)?, cell)));
    if let (Some((least, quick)), Some((most, slow))) =
        (timed().min_by_key(|(p99, _)| *p99), timed().max_by_key(|(p99, _)| *p99))
    {
        put!(
            &mut text,
            " First byte p99 from {} ({}) to {} ({}).",
            time(least),
            name(quick),
            time(most),
            name(slow)
        );
    }
    let behind = cells.iter().filter(|cell| cell.behind.is_some()).count();
    match cells.iter().filter(|cell| cell.setup.rate.is_some()).count() {
        0 => {}
        _ if behind == 0 => text.push_str(" Every rate was held."),
        open => put!(&mut text, " {behind} of {open} rates were not held."),
    }
    put!(&mut text, " {}", failures(&sum));
    text
}

fn caveats(run: &Run) -> Vec<String> {
    let mut caveats = run.about.notes.clone();
    caveats.extend(few(run));
    let failed = run.cells.iter().find_map(|cell| cell.first_error.as_ref());
    caveats.extend(failed.map(|error| format!("The first failure: {error}")));
    if dropped(run) > 0 {
        caveats.push(format!(
            "{} were not kept: the scope was at its limit of memory.",
            counted(dropped(run), "value")
        ));
    }
    caveats
}

/// Quantiles that have no upper bound, since too few values lie above them.
fn few(run: &Run) -> Option<String> {
    // Most stages of most jobs make few requests; the table says where that matters.
    if run.is_job() {
        return None;
    }
    let all: Vec<_> = run.cells.iter().filter_map(waits).collect();
    for (quantile, name) in [(0.99, "p99"), (0.999, "p99.9")] {
        let short = all.iter().filter(|times| interval(times, quantile).is_none());
        let counts: Vec<_> = short.map(Distribution::count).collect();
        if let Some(fewest) = counts.iter().min() {
            let cells = match all.len() {
                1 => String::new(),
                all => format!(" in {} of {all} cells", counts.len()),
            };
            let higher = if quantile < 0.999 { " and what is above it" } else { "" };
            return Some(format!(
                "Too few samples for {name}{higher}{cells}: {}, and an interval needs {}.",
                count(*fewest),
                count(crate::stats::least_count(quantile, super::CONFIDENCE))
            ));
        }
    }
    None
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
