// SPDX-License-Identifier: Apache-2.0
//! What a bench came to: as a table for people, as JSON for scripts. Both print the same numbers.

use crate::exit::{Ended, Exit};
use comfy_table::ColumnConstraint::LowerBoundary;
use comfy_table::{CellAlignment, Table, Width, presets};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use storescope::timing::{Distribution, Level, Operation, Outcome, Phase, Snapshot};

/// A measured run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) url: String,
    pub(super) model: Option<String>,
    pub(super) operation: Operation,
    /// What one of it is called.
    pub(super) word: &'static str,
    /// Bytes of a read or write, where all have as many.
    pub(super) size: Option<u64>,
    pub(super) concurrency: u32,
    pub(super) pattern: &'static str,
    pub(super) seed: u64,
    pub(super) elapsed: Duration,
    pub(super) failed_calls: u64,
    pub(super) first_error: Option<storescope::Error>,
    pub(super) retries: u64,
    /// The reads as their callers saw them, where they are not one request each.
    pub(super) reads: Option<Reads>,
    pub(super) attributed: Attributed,
    pub(super) snapshot: Snapshot,
}

/// Reads that are not one request each.
#[derive(Debug)]
pub(super) struct Reads {
    bytes: u64,
    /// In seconds.
    sorted: Vec<f64>,
}

impl Reads {
    /// Reads of so many bytes in all, and how many seconds each took.
    pub(super) fn new(bytes: u64, mut times: Vec<f64>) -> Reads {
        times.sort_by(f64::total_cmp);
        Reads { bytes, sorted: times }
    }

    /// The time in milliseconds that this share of the reads did not exceed.
    fn quantile(&self, quantile: f64) -> f64 {
        let rank = (self.sorted.len() as f64 * quantile).ceil() as usize;
        self.sorted.get(rank.max(1) - 1).map_or(0.0, |seconds| seconds * 1e3)
    }

    fn json(&self) -> Value {
        let mut figures = Map::new();
        figures.insert("count".into(), self.sorted.len().into());
        figures.insert("bytes".into(), self.bytes.into());
        for (name, quantile) in QUANTILES.into_iter().chain([("max_ms", 1.0)]) {
            figures.insert(name.into(), rounded(self.quantile(quantile)));
        }
        Value::Object(figures)
    }
}

/// How much of the callers' wall time the phases account for, a share for each request.
#[derive(Debug)]
pub(super) struct Attributed {
    sorted: Vec<f32>,
}

impl Attributed {
    pub(super) fn new(mut shares: Vec<f32>) -> Attributed {
        shares.sort_by(f32::total_cmp);
        Attributed { sorted: shares }
    }

    /// The share that 99 % of the requests reach or exceed.
    fn in_99_percent(&self) -> Option<f32> {
        self.sorted.get(self.sorted.len() / 100).copied()
    }
}

const QUANTILES: [(&str, f64); 4] =
    [("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p999_ms", 0.999)];

impl Run {
    fn times(&self, phase: Phase) -> Option<Distribution> {
        self.snapshot.attempts(self.operation, phase, Outcome::Ok)
    }

    fn attempts(&self) -> BTreeMap<Outcome, u64> {
        self.snapshot.outcomes(Level::Attempt, self.operation)
    }

    fn requests(&self) -> u64 {
        self.attempts().values().sum()
    }

    fn bytes(&self) -> u64 {
        let delivered = self.snapshot.select(|key| {
            key.level == Level::Attempt
                && key.operation == self.operation
                && key.phase == Phase::BytesDelivered
        });
        delivered.map_or(0, |bytes| bytes.sum())
    }

    fn mb_per_s(&self) -> f64 {
        self.bytes() as f64 / 1e6 / self.elapsed.as_secs_f64()
    }

    /// Each phase of the successful attempts with its share of their whole time.
    fn phases(&self) -> Vec<(Phase, Distribution, f64)> {
        let Some(total) = self.times(Phase::Total) else { return Vec::new() };
        let parts = Phase::PARTS.iter().filter_map(|phase| {
            let part = self.times(*phase)?;
            let share = part.sum() as f64 / total.sum() as f64;
            Some((*phase, part, share))
        });
        parts.collect()
    }

    pub(super) fn json(&self) -> Value {
        let errors: Map<String, Value> = self
            .attempts()
            .into_iter()
            .filter(|(outcome, _)| *outcome != Outcome::Ok)
            .map(|(outcome, count)| (outcome.to_string(), count.into()))
            .collect();
        let phases: Map<String, Value> = self
            .phases()
            .into_iter()
            .map(|(phase, part, share)| {
                let mut figures = figures(Some(&part));
                figures.insert("share".into(), rounded(share));
                (phase.to_string(), Value::Object(figures))
            })
            .collect();
        json!({
            "schema": 1,
            "url": self.url,
            "model": self.model,
            "operation": self.operation.as_str(),
            "size": self.size,
            "concurrency": self.concurrency,
            "pattern": self.pattern,
            "seed": self.seed,
            "ttfb": figures(self.times(Phase::Ttfb).as_ref()),
            "total": figures(self.times(Phase::Total).as_ref()),
            "phases": phases,
            "attributed_in_99_percent": self.attributed.in_99_percent().map(|share| rounded(f64::from(share))),
            "errors": errors,
            "failed_calls": self.failed_calls,
            "reads": self.reads.as_ref().map(Reads::json),
            "retries": self.retries,
            "requests": self.requests(),
            "bytes": self.bytes(),
            "mb_per_s": rounded(self.mb_per_s()),
            "elapsed_ms": rounded(self.elapsed.as_secs_f64() * 1e3),
            "version": env!("CARGO_PKG_VERSION"),
        })
    }

    /// Writes `run.json` and `run.hlog`.
    pub(super) fn write(&self, folder: &Path) -> Ended {
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text)
                .map_err(|e| Exit::failed(format!("cannot write {}: {e}", path.display())))
        };
        put("run.json", format!("{:#}\n", self.json()))?;
        put("run.hlog", self.snapshot.to_hlog())
    }

    pub(super) fn print_table(&self, out: &mut impl Write) -> io::Result<()> {
        let Run { url, size, concurrency, pattern, word, .. } = self;
        let model = self.model.as_ref().map(|model| format!(", model {model}")).unwrap_or_default();
        let size = size.map(|size| format!("{size} bytes a {word}, ")).unwrap_or_default();
        let url = crate::escape::name(url);
        writeln!(out, "{url}{model}: {size}{pattern}, {concurrency} at a time\n")?;
        writeln!(out, "{}\n", self.table_of_times())?;
        writeln!(out, "{}", self.table_of_phases())?;
        if let Some(share) = self.attributed.in_99_percent() {
            writeln!(
                out,
                "phases account for at least {:.1} % of the caller's wait in 99 % of {word}s",
                share * 100.0
            )?;
        }
        writeln!(out)?;
        self.print_sums(out)
    }

    fn table_of_times(&self) -> Table {
        let mut rows = Vec::new();
        if let Some(reads) = &self.reads {
            let times = QUANTILES.map(|(_, quantile)| reads.quantile(quantile));
            rows.push((self.word, reads.sorted.len() as u64, times, reads.quantile(1.0)));
        }
        for (name, phase) in [("first byte", Phase::Ttfb), ("whole", Phase::Total)] {
            let Some(times) = self.times(phase) else { continue };
            let quantiles = QUANTILES.map(|(_, quantile)| milliseconds(times.quantile(quantile)));
            rows.push((name, times.count(), quantiles, milliseconds(times.max())));
        }
        let rows = rows.into_iter().map(|(name, count, quantiles, max)| {
            let times = quantiles.into_iter().chain([max]).map(|time| format!("{time:.3}"));
            [name.to_owned(), count.to_string()].into_iter().chain(times).collect()
        });
        table(&["ms", "count", "p50", "p90", "p99", "p99.9", "max"], rows)
    }

    fn table_of_phases(&self) -> Table {
        let rows = self.phases().into_iter().map(|(phase, part, share)| {
            let time = |quantile| format!("{:.3}", milliseconds(part.quantile(quantile)));
            let share = format!("{:.1}%", share * 100.0);
            vec![phase.to_string(), part.count().to_string(), share, time(0.5), time(0.99)]
        });
        table(&["phase", "count", "share", "p50 ms", "p99 ms"], rows)
    }

    fn print_sums(&self, out: &mut impl Write) -> io::Result<()> {
        let word = self.word;
        writeln!(
            out,
            "{} requests, {} retries, {:.1} MB in {:.2} s: {:.1} MB/s",
            self.requests(),
            self.retries,
            self.bytes() as f64 / 1e6,
            self.elapsed.as_secs_f64(),
            self.mb_per_s()
        )?;
        if let Some(reads) = self.reads.as_ref().filter(|reads| reads.bytes > 0) {
            let (wanted, got) = (reads.bytes as f64 / 1e6, self.bytes() as f64 / 1e6);
            let per_read = self.requests() as f64 / reads.sorted.len() as f64;
            writeln!(
                out,
                "{wanted:.1} MB wanted: {:.2} bytes received for each, {per_read:.2} requests a {word}",
                got / wanted
            )?;
        }
        for (outcome, count) in
            self.attempts().into_iter().filter(|(outcome, _)| *outcome != Outcome::Ok)
        {
            writeln!(out, "errors: {count} {outcome}")?;
        }
        Ok(())
    }

    /// A run with reads that failed for good is not a success.
    pub(super) fn verdict(&self) -> Ended {
        match &self.first_error {
            Some(error) if self.requests() > 0 && !self.attempts().contains_key(&Outcome::Ok) => {
                Err(error.clone().into())
            }
            Some(error) => Err(Exit::failed(format!(
                "{} {}s failed, the first with: {error}",
                self.failed_calls, self.word
            ))),
            None => Ok(()),
        }
    }
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

fn figures(times: Option<&Distribution>) -> Map<String, Value> {
    let mut figures = Map::new();
    figures.insert("count".into(), times.map_or(0, Distribution::count).into());
    if let Some(times) = times {
        for (name, quantile) in QUANTILES {
            figures.insert(name.into(), rounded(milliseconds(times.quantile(quantile))));
        }
        figures.insert("max_ms".into(), rounded(milliseconds(times.max())));
        figures.insert("mean_ms".into(), rounded(times.mean() / 1e6));
    }
    figures
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Six decimals: a nanosecond, for milliseconds.
fn rounded(number: f64) -> Value {
    ((number * 1e6).round() / 1e6).into()
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
