// SPDX-License-Identifier: Apache-2.0
//! What a bench came to: tables for people. JSON for scripts holds the same numbers (`Run::to_json`).

use crate::escape;
use comfy_table::ColumnConstraint::LowerBoundary;
use comfy_table::{CellAlignment, Table, Width, presets};
use std::io::{self, Write};
use std::time::Duration;
use storescope::timing::{Outcome, Phase};
use storescope_instrument::{Cell, QUANTILES, Run, Setup};

/// The part of a rate that is all of it, but for the ends of the measured time.
const HELD: f64 = 0.99;

/// As JSON, to standard output.
pub(super) fn print_json(run: &Run) -> io::Result<()> {
    writeln!(io::stdout(), "{}", escape::json_lines(&run.to_json()))
}

/// What one call is called, and what several are.
type Words<'a> = (&'a str, &'a str);

/// As tables, to standard output.
pub(super) fn print(run: &Run, words: Words<'_>) -> io::Result<()> {
    let mut out = Vec::new();
    let url = escape::name(&run.about.url);
    let model =
        run.about.model.as_ref().map(|model| format!(", model {model}")).unwrap_or_default();
    match &run.cells[..] {
        [] => writeln!(out, "{url}{model}: nothing was measured")?,
        [cell] => {
            writeln!(out, "{url}{model}: {}\n", cell.setup)?;
            print_cell(&mut out, cell, words)?;
        }
        cells => {
            writeln!(out, "{url}{model}: {} cells\n", cells.len())?;
            writeln!(out, "{}\n", table_of_cells(cells))?;
            for cell in cells.iter().filter(|cell| cell.behind.is_some()) {
                writeln!(out, "{}: {}", cell.setup, rate_told(cell))?;
            }
            for cell in cells.iter().filter(|cell| cell.failed_calls > 0) {
                writeln!(out, "{}: {}", cell.setup, failures_told(cell, words))?;
            }
        }
    }
    for note in &run.about.notes {
        writeln!(out, "note: {}", escape::line(note))?;
    }
    io::stdout().write_all(&out)
}

fn print_cell(out: &mut impl Write, cell: &Cell, words: Words<'_>) -> io::Result<()> {
    writeln!(out, "{}\n", table_of_times(cell, words.0))?;
    writeln!(out, "{}", table_of_phases(cell))?;
    if let Some(share) = cell.attributed_in_99_percent {
        writeln!(
            out,
            "phases account for at least {:.1} % of the caller's wait in 99 % of {}",
            share * 100.0,
            words.1
        )?;
    }
    writeln!(out)?;
    if cell.setup.arrivals.is_some() {
        writeln!(out, "{}", rate_told(cell))?;
    }
    print_sums(out, cell, words)?;
    if let Some(verified) = cell.verified_bytes {
        writeln!(out, "{verified} bytes were read and compared with what had been written")?;
    }
    for (outcome, count) in
        cell.outcomes().into_iter().filter(|(outcome, _)| *outcome != Outcome::Ok)
    {
        writeln!(out, "errors: {count} {outcome}")?;
    }
    if cell.failed_calls > 0 {
        writeln!(out, "{}", failures_told(cell, words))?;
    }
    Ok(())
}

/// Calls as their callers saw them, then attempts.
fn table_of_times(cell: &Cell, word: &str) -> Table {
    let mut rows = Vec::new();
    for (name, calls) in &cell.calls {
        let name = if cell.calls.len() == 1 { word } else { name };
        if cell.setup.arrivals.is_some() {
            rows.push((format!("{name}, response"), calls.response.clone()));
            rows.push((format!("{name}, service"), calls.service.clone()));
        } else {
            rows.push((name.to_owned(), calls.response.clone()));
        }
    }
    for (name, phase) in [("first byte", Phase::Ttfb), ("whole", Phase::Total)] {
        rows.extend(cell.times(phase).map(|times| (name.to_owned(), times)));
    }
    let rows = rows.into_iter().map(|(name, times)| {
        let mut row = vec![name, times.count().to_string()];
        row.extend(QUANTILES.iter().map(|(_, at)| ms(times.quantile(*at).min(times.max()))));
        row.push(ms(times.max()));
        row
    });
    table(&["ms", "count", "p50", "p90", "p99", "p99.9", "max"], rows)
}

fn table_of_phases(cell: &Cell) -> Table {
    let whole = cell.times(Phase::Total).map_or(1, |total| total.sum()).max(1) as f64;
    let rows = Phase::PARTS.iter().filter_map(|phase| {
        let part = cell.times(*phase)?;
        let share = format!("{:.1}%", part.sum() as f64 / whole * 100.0);
        let (median, high) = (ms(part.quantile(0.5)), ms(part.quantile(0.99)));
        Some(vec![phase.to_string(), part.count().to_string(), share, median, high])
    });
    table(&["phase", "count", "share", "p50 ms", "p99 ms"], rows)
}

/// A part of a setup, as text.
type Part = fn(&Setup) -> String;

/// A row a cell: what differs between them, then what they came to. Times are responses.
fn table_of_cells(cells: &[Cell]) -> Table {
    let differs = |part: Part| cells.iter().any(|cell| part(&cell.setup) != part(&cells[0].setup));
    let size = |setup: &Setup| setup.size.map_or_else(String::new, |size| size.to_string());
    let concurrency = |setup: &Setup| setup.concurrency.to_string();
    let rate = |setup: &Setup| setup.rate.map_or_else(String::new, |rate| rate.to_string());
    let parts: [(&str, Part); 3] = [("size", size), ("at a time", concurrency), ("rate", rate)];
    let varied: Vec<_> = parts.into_iter().filter(|(_, part)| differs(*part)).collect();
    let mut header: Vec<_> = varied.iter().map(|(name, _)| *name).collect();
    if header.is_empty() {
        header.push("size");
    }
    header.extend(["calls", "failed", "calls/s", "MB/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms"]);
    header.push("max ms");
    header.push("ttfb p50");
    let rows = cells.iter().map(|cell| {
        let mut row: Vec<_> = varied.iter().map(|(_, part)| part(&cell.setup)).collect();
        if row.is_empty() {
            row.push(size(&cell.setup));
        }
        let (times, bytes) = (cell.response(), cell.bytes() as f64 / 1e6);
        row.push(times.count().to_string());
        row.push(cell.failed_calls.to_string());
        row.push(format!("{:.1}", cell.calls_per_second()));
        row.push(format!("{:.1}", bytes / seconds(cell.elapsed)));
        row.extend(QUANTILES.iter().map(|(_, at)| ms(times.quantile(*at).min(times.max()))));
        row.push(ms(times.max()));
        let first = cell.times(Phase::Ttfb);
        row.push(first.map_or_else(String::new, |first| ms(first.quantile(0.5))));
        row
    });
    table(&header, rows)
}

fn print_sums(out: &mut impl Write, cell: &Cell, (word, words): Words<'_>) -> io::Result<()> {
    let (requests, bytes): (u64, _) = (cell.outcomes().values().sum(), cell.bytes() as f64 / 1e6);
    writeln!(
        out,
        "{requests} requests, {} retries, {bytes:.1} MB in {:.2} s: {:.1} MB/s, {:.1} {words}/s, {:.2} s of CPU",
        cell.retries,
        cell.elapsed.as_secs_f64(),
        bytes / seconds(cell.elapsed),
        cell.calls_per_second(),
        cell.cpu.as_secs_f64(),
    )?;
    // Reads by the engine: what came, for what was wanted.
    let reads = cell.calls.get("get").filter(|_| cell.calls.len() == 1);
    if let Some(reads) = reads.filter(|reads| reads.bytes > 0 && reads.count != requests) {
        let wanted = reads.bytes as f64 / 1e6;
        writeln!(
            out,
            "{wanted:.1} MB wanted: {:.2} bytes received for each, {:.2} requests a {word}",
            bytes / wanted,
            requests as f64 / reads.count as f64
        )?;
    }
    Ok(())
}

/// Whether an open loop held its rate, and how late it was.
fn rate_told(cell: &Cell) -> String {
    let asked =
        cell.setup.rate.map_or_else(|| "the trace's times".to_owned(), |rate| format!("{rate}/s"));
    let late = &cell.lateness;
    let begun = format!(
        "calls began {} ms after their time (p50; p99 {}, max {})",
        ms(late.quantile(0.5)),
        ms(late.quantile(0.99)),
        ms(late.max())
    );
    let Some(behind) = &cell.behind else { return format!("{asked} held: {begun}") };
    let held = if behind.never_begun == 0
        && cell.setup.rate.is_some_and(|rate| behind.held_rate > rate * HELD)
    {
        format!("{asked} held on the whole, but not all the time: calls began")
    } else {
        format!("{asked} NOT held: {:.1}/s began,", behind.held_rate)
    };
    let never = match behind.never_begun {
        0 => String::new(),
        calls => format!("; {calls} calls never began, and are in no figure"),
    };
    format!(
        "{held} late by up to {:.0} ms, for {:.1} of {:.1} s{never}; {begun}",
        behind.most.as_secs_f64() * 1e3,
        behind.late_for.as_secs_f64(),
        cell.elapsed.as_secs_f64(),
    )
}

fn failures_told(cell: &Cell, (_, words): Words<'_>) -> String {
    let first = cell.first_error.as_deref().unwrap_or("no reason");
    format!("{} {words} failed, the first with: {}", cell.failed_calls, escape::line(first))
}

/// Columns without lines between them: names to the left, numbers to the right.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    for (at, column) in table.column_iter_mut().enumerate() {
        let least = match at {
            0 => 12,
            1 => 9,
            _ => 10,
        };
        column.set_padding((0, 0)).set_constraint(LowerBoundary(Width::Fixed(least)));
        if at > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Nanoseconds as milliseconds.
fn ms(nanoseconds: u64) -> String {
    format!("{:.3}", nanoseconds as f64 / 1e6)
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_left_and_numbers_right() {
        let row = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let rows = [row(&["first byte", "500", "26.345"]), row(&["whole", "1234567890", "1.000"])];
        let table = table(&["ms", "count", "p50"], rows.into_iter());
        let lines: Vec<_> = table.lines().collect();
        let expected = [
            "ms               count       p50",
            "first byte         500    26.345",
            "whole       1234567890     1.000",
        ];
        assert_eq!(lines, expected);
    }
}
