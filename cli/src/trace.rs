// SPDX-License-Identifier: Apache-2.0
//! `trace`: what a trace holds, and its lines as CSV.

use crate::escape;
use crate::exit::{Ended, Exit};
use crate::figures;
use crate::progress::note;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};
use storescope_trace::{CsvWriter, Entry, Format, Level, Options, Order, TraceError, TraceReader};

/// Tell what a trace holds, or write its calls or attempts as CSV.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  STORESCOPE_TRACE=job.trace python job.py && storescope trace job.trace
  storescope trace job.trace --csv attempts.csv.zst            each attempt: id, operation, range, status, phases
  storescope trace job.trace --csv - --level call | head
  storescope trace ops.tsv.zst --json                          what s3dlio logged

A trace is a file that the setting `trace` made, a requests.jsonl of `storescope bench`, an op-log of s3dlio or warp
(.tsv, .tsv.zst), or a CSV with a header, such as offset,length,time. Which one is told by its content.
A file that was cut off is read up to there, and the line is told.")]
pub(crate) struct Trace {
    /// The trace.
    file: PathBuf,

    /// Write it as CSV to this file; compressed where the name ends in .zst. `-` is standard output.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Of a trace with both, the lines that --csv writes.
    #[arg(long, value_enum, default_value_t = Lines::Attempt, requires = "csv")]
    level: Lines,

    /// One JSON object.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lines {
    /// What callers asked for; a call of several ranges has a line for each.
    Call,
    /// HTTP requests.
    Attempt,
}

impl Trace {
    pub(crate) fn run(self) -> Ended {
        match &self.csv {
            Some(out) if out.as_os_str() == "-" => {
                let stdout = Box::new(io::BufWriter::new(io::stdout()));
                self.write(CsvWriter::new(stdout, false)?)
            }
            Some(out) => self.write(CsvWriter::create(out).map_err(|e| failed(&e))?),
            None => self.tell(),
        }
    }

    fn open(&self, options: Options) -> Result<TraceReader, Exit> {
        TraceReader::open_with(&self.file, &options.order(Order::AsWritten)).map_err(|e| failed(&e))
    }

    fn write(&self, mut csv: CsvWriter) -> Ended {
        let level = match self.level {
            Lines::Call => Level::Call,
            Lines::Attempt => Level::Attempt,
        };
        let mut trace = self.open(Options::new().level(level))?;
        let mut wrong = None;
        for entry in &mut trace {
            match entry {
                Ok(entry) => csv.write(&entry)?,
                Err(error) => wrong = Some(failed(&error)),
            }
        }
        // What stands before an error is worth having.
        csv.finish()?;
        if let Some(line) = trace.cut_off() {
            note(&format!("storescope: {}", cut_off(line)));
        }
        wrong.map_or(Ok(()), Err)
    }

    fn tell(&self) -> Ended {
        let mut trace = self.open(Options::new())?;
        let mut sums = Sums::default();
        for entry in &mut trace {
            sums.add(&entry.map_err(|e| failed(&e))?);
        }
        let mut stdout = io::stdout().lock();
        if self.json {
            let told = sums.json(&trace);
            return Ok(writeln!(stdout, "{}", escape::json(&told))?);
        }
        Ok(stdout.write_all(sums.text(&trace).as_bytes())?)
    }
}

fn failed(error: &TraceError) -> Exit {
    Exit::usage(error.to_string())
}

fn cut_off(line: u64) -> String {
    format!("the file was cut off in line {line}; what stands before it is told")
}

/// What a trace comes to.
#[derive(Default)]
struct Sums {
    levels: BTreeMap<Level, OfLevel>,
    keys: HashSet<u64>,
    hash: RandomState,
    from_ns: Option<u64>,
    until_ns: u64,
}

#[derive(Default)]
struct OfLevel {
    count: u64,
    failed: u64,
    bytes: u64,
    by_operation: BTreeMap<String, (u64, u64)>,
}

impl Sums {
    fn add(&mut self, entry: &Entry) {
        self.from_ns = Some(self.from_ns.map_or(entry.at_ns, |from| from.min(entry.at_ns)));
        self.until_ns = self.until_ns.max(entry.at_ns + entry.duration_ns.unwrap_or(0));
        if !entry.key.is_empty() && entry.operation != storescope_trace::Op::List {
            self.keys.insert(self.hash.hash_one((&entry.bucket, &entry.key)));
        }
        let level = self.levels.entry(entry.level).or_default();
        let (count, bytes) = level.by_operation.entry(entry.detail.clone()).or_default();
        let told = entry.bytes.or(entry.length).unwrap_or(0);
        *bytes += told;
        level.bytes += told;
        // The ranges of one call are one call.
        if entry.nth == 0 {
            *count += 1;
            level.count += 1;
            level.failed += u64::from(!entry.is_ok());
        }
    }

    fn seconds(&self) -> f64 {
        (self.until_ns - self.from_ns.unwrap_or(self.until_ns)) as f64 / 1e9
    }

    /// The level that callers are told of first: calls, where there are any.
    fn first(&self) -> Option<(&Level, &OfLevel)> {
        self.levels.iter().next()
    }

    fn rate(&self) -> f64 {
        let count = self.first().map_or(0, |(_, level)| level.count);
        if self.seconds() > 0.0 { count as f64 / self.seconds() } else { 0.0 }
    }

    fn json(&self, trace: &TraceReader) -> Value {
        let levels = self.levels.iter().map(|(level, sums)| {
            let operations = sums.by_operation.iter().map(|(name, (count, bytes))| {
                (name.clone(), json!({ "count": count, "bytes": bytes }))
            });
            let operations: serde_json::Map<String, Value> = operations.collect();
            let told = json!({
                "count": sums.count, "failed": sums.failed, "bytes": sums.bytes, "operations": operations,
            });
            (level.to_string(), told)
        });
        let levels: serde_json::Map<String, Value> = levels.collect();
        json!({
            "schema": 1,
            "format": format_name(trace.format()),
            "started": trace.started_unix_ns().map(started),
            "seconds": self.seconds(),
            "requests_per_s": self.rate(),
            "objects": self.keys.len(),
            "names_hashed": trace.has_hashed_names(),
            "levels": levels,
            "ended_in_order": trace.tally().is_some(),
            "left_out": trace.tally().map(|tally| tally.left_out),
            "cut_off_in_line": trace.cut_off(),
        })
    }

    fn text(&self, trace: &TraceReader) -> String {
        let mut lines =
            vec![format!("{} is {}", escape::path(trace.path()), trace.format().as_str())];
        if let Some(at) = trace.started_unix_ns() {
            lines.push(format!("began {}", started(at)));
        }
        let objects =
            if trace.has_hashed_names() { "objects (names are hashed)" } else { "objects" };
        let (count, seconds, rate) = (self.keys.len(), self.seconds(), self.rate());
        lines.push(format!("{seconds:.3} s, {rate:.1} requests a second, {count} {objects}"));
        for (level, sums) in &self.levels {
            let OfLevel { count, failed, bytes, .. } = sums;
            let bytes = figures::size(*bytes as f64);
            lines.push(format!("{count} {level}s, {failed} failed, {bytes}"));
            for (name, (count, bytes)) in &sums.by_operation {
                let (name, bytes) = (escape::line(name), figures::size(*bytes as f64));
                lines.push(format!("  {name:<14} {count:>9}  {bytes}"));
            }
        }
        lines.extend(self.warnings(trace));
        lines.join("\n") + "\n"
    }

    fn warnings(&self, trace: &TraceReader) -> Vec<String> {
        let mut lines = Vec::new();
        if self.levels.is_empty() {
            lines.push("it holds no requests".to_owned());
        }
        if let Some(line) = trace.cut_off() {
            lines.push(cut_off(line));
        }
        match trace.tally() {
            Some(tally) if tally.left_out > 0 => {
                let why = if tally.full { "the file was full" } else { "they came too fast" };
                lines.push(format!("{} lines were left out: {why}", tally.left_out));
            }
            None if trace.format() == Format::Capture => lines.push(
                "its last line is no tally: the program runs still, or was killed; up to a second is missing"
                    .to_owned(),
            ),
            _ => {}
        }
        lines
    }
}

fn started(unix_ns: u64) -> String {
    figures::rfc3339(UNIX_EPOCH + Duration::from_nanos(unix_ns))
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Capture => "capture",
        Format::Requests => "requests",
        Format::OpLog => "op_log",
        _ => "csv",
    }
}
