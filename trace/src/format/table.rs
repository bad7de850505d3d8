// SPDX-License-Identifier: Apache-2.0
//! Columns: op-logs, which are tab-separated, and CSV.

use super::{About, Format, Parser, Raw, Wrong, is_cut_in, time, unknown};
use crate::entry::{Attempt, Connection, Entry, Level, Op};
use crate::source::{Ending, Source};
use csv::StringRecord;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};

/// The columns of a CSV that are read, with their other names.
const COLUMNS: &[(&str, &[&str])] = &[
    ("offset", &["start_offset"]),
    ("length", &["size", "len"]),
    ("time", &["time_s", "time_ms", "time_us", "time_ns", "at_s", "at_ms", "at_us", "at_ns"]),
    ("key", &["object", "name", "file"]),
    ("operation", &["op"]),
    ("duration", &["duration_s", "duration_ms", "duration_us", "duration_ns"]),
    ("level", &[]),
    ("bucket", &[]),
    ("to", &[]),
    ("bytes", &[]),
    ("outcome", &[]),
    ("call", &[]),
    ("nth", &[]),
    ("client_request_id", &[]),
    ("status", &[]),
    ("connection", &[]),
    ("hedge", &[]),
];

/// The phases of an attempt, as columns `PHASE_ns`.
pub(crate) const PHASES: &[&str] = &[
    "queue", "prepare", "sign", "pool", "dns", "connect", "tls", "send", "ttfb", "body", "paused",
];

/// Records with their lines, one ahead: the last may not be whole.
struct Records {
    csv: csv::Reader<BufReader<Source>>,
    ending: Ending,
    next: Option<StringRecord>,
    width: usize,
}

impl Records {
    fn line(record: &StringRecord) -> u64 {
        record.position().map_or(0, csv::Position::line)
    }

    fn read(&mut self) -> Result<Option<StringRecord>, Wrong> {
        let mut record = StringRecord::new();
        match self.csv.read_record(&mut record) {
            Ok(true) => Ok(Some(record)),
            Ok(false) => Ok(None),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                Err(Wrong { line, why: error.to_string() })
            }
        }
    }

    /// The next record, and whether it is the last and not ended by a line's end.
    fn next(&mut self) -> Result<Option<(StringRecord, bool)>, Wrong> {
        let Some(record) = self.next.take() else { return Ok(None) };
        self.next = self.read()?;
        let is_open = is_cut_in(&self.ending, self.next.is_none());
        Ok(Some((record, is_open)))
    }

    fn check_width(&self, record: &StringRecord) -> Result<(), String> {
        if record.len() == self.width {
            return Ok(());
        }
        Err(format!("has {} columns, and the header {}", record.len(), self.width))
    }
}

pub(super) fn open(
    mut text: BufReader<Source>,
    ending: Ending,
) -> Result<(Format, Box<dyn Parser>), Wrong> {
    let wrong = |why: String| Wrong { line: 1, why };
    let start = text.fill_buf().map_err(|error| wrong(error.to_string()))?;
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_tabbed = first.contains(&b'\t');
    let mut builder = csv::ReaderBuilder::new();
    builder.flexible(true).has_headers(false);
    if is_tabbed {
        builder.delimiter(b'\t').quoting(false);
    } else {
        builder.trim(csv::Trim::Headers).comment(Some(b'#'));
    }
    let mut records = Records { csv: builder.from_reader(text), ending, next: None, width: 0 };
    let header = records.read()?.unwrap_or_default();
    let names: Vec<String> = header
        .iter()
        .map(|name| name.trim().trim_start_matches('\u{feff}').to_ascii_lowercase())
        .collect();
    records.width = names.len();
    records.next = records.read()?;
    if is_tabbed {
        let columns = op_log_columns(&names).ok_or_else(|| wrong(unknown()))?;
        let cut = None;
        return Ok((Format::OpLog, Box::new(OpLog { records, columns, cut })));
    }
    let columns =
        Columns::of(&names).map_err(|why| Wrong { line: Records::line(&header).max(1), why })?;
    Ok((Format::Csv, Box::new(Csv { records, columns, cut: None })))
}

/// Where the columns of an op-log stand: op, bytes, endpoint, file, error, start, end.
fn op_log_columns(names: &[String]) -> Option<[usize; 7]> {
    let place = |name: &str| names.iter().position(|there| there == name);
    let columns = ["op", "bytes", "endpoint", "file", "error", "start", "end"].map(place);
    columns.iter().all(Option::is_some).then(|| columns.map(Option::unwrap_or_default))
}

struct OpLog {
    records: Records,
    columns: [usize; 7],
    cut: Option<u64>,
}

impl Parser for OpLog {
    fn next(&mut self, to: &mut Vec<Raw>) -> Result<bool, Wrong> {
        let Some((record, is_open)) = self.records.next()? else { return Ok(false) };
        let line = Records::line(&record);
        if is_open {
            // What writes these ends each line.
            self.cut = Some(line);
            return Ok(false);
        }
        // Comments of sai3-bench stand between the lines.
        if record.get(0).is_some_and(|first| first.starts_with('#')) {
            return Ok(true);
        }
        let parsed = self.records.check_width(&record).and_then(|()| self.entry(&record));
        let (at, entry) = parsed.map_err(|why| Wrong { line, why })?;
        to.push(Raw { line, at, entry });
        Ok(true)
    }

    fn about(&self) -> About {
        About { cut: self.cut, ..About::default() }
    }
}

impl OpLog {
    fn entry(&self, record: &StringRecord) -> Result<(i128, Entry), String> {
        let [op, bytes, endpoint, file, error, start, end] =
            self.columns.map(|column| record.get(column).unwrap_or_default());
        let (start, end) = (instant(start)?, instant(end)?);
        let bytes: u64 = number("bytes", bytes)?;
        let operation = Op::of(op);
        // `s3://bucket` and `bucket/key`; or a service's URL and `key`.
        let bucket = endpoint.split_once("://").map(|(_, bucket)| bucket.trim_end_matches('/'));
        let within = bucket.and_then(|bucket| file.strip_prefix(bucket)?.strip_prefix('/'));
        // All of an object has no range; the place of one is not told.
        let sized = operation == Op::Put || op.eq_ignore_ascii_case("GET_RANGE");
        let entry = Entry {
            duration_ns: Some(u64::try_from(end - start).map_err(|_| "ends before it starts")?),
            operation,
            detail: op.to_owned(),
            bucket: within.map(|_| endpoint.trim_end_matches('/').to_owned()),
            key: within.unwrap_or(file).to_owned(),
            length: sized.then_some(bytes),
            bytes: matches!(operation, Op::Get | Op::Put | Op::Multipart).then_some(bytes),
            outcome: Some(if error.is_empty() { "ok" } else { error }.to_owned()),
            ..Entry::default()
        };
        Ok((start, entry))
    }
}

fn instant(text: &str) -> Result<i128, String> {
    let instant: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("{text:?} is no time: expected 2026-01-31T12:00:00.5Z"))?;
    Ok(instant.as_nanosecond())
}

fn number<T: std::str::FromStr>(column: &str, text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{column}: {text:?} is no whole number"))
}

/// Where the columns of a CSV stand.
struct Columns {
    place: HashMap<&'static str, usize>,
    phases: Vec<(&'static str, usize)>,
    time_unit: f64,
    duration_unit: f64,
}

impl Columns {
    fn of(names: &[String]) -> Result<Columns, String> {
        let mut columns = Columns {
            place: HashMap::new(),
            phases: Vec::new(),
            time_unit: 1e9,
            duration_unit: 1e9,
        };
        for (at, name) in names.iter().enumerate() {
            if let Some(phase) = PHASES.iter().find(|phase| name.strip_suffix("_ns") == Some(phase))
            {
                columns.phases.push((phase, at));
                continue;
            }
            let known =
                COLUMNS.iter().find(|(known, also)| known == name || also.contains(&name.as_str()));
            let Some((known, _)) = known else { return Err(unknown_column(names, name)) };
            if columns.place.insert(known, at).is_some() {
                return Err(format!("the header names {known} twice"));
            }
            match *known {
                "time" => columns.time_unit = time::unit_of(name),
                "duration" => columns.duration_unit = time::unit_of(name),
                _ => {}
            }
        }
        if names.is_empty() {
            return Err(unknown());
        }
        if !columns.place.contains_key("time") {
            return Err("the header has no column time (or time_ms, time_us, time_ns)".to_owned());
        }
        Ok(columns)
    }

    fn get<'a>(&self, record: &'a StringRecord, column: &str) -> Option<&'a str> {
        record.get(*self.place.get(column)?).filter(|text| !text.trim().is_empty())
    }

    fn number<T: std::str::FromStr>(
        &self,
        record: &StringRecord,
        column: &str,
    ) -> Result<Option<T>, String> {
        self.get(record, column).map(|text| number(column, text)).transpose()
    }
}

fn unknown_column(names: &[String], name: &str) -> String {
    if names.iter().all(|name| name.parse::<f64>().is_ok()) {
        return "has no header: the first line must name the columns, such as offset,length,time"
            .to_owned();
    }
    let known: Vec<&str> = COLUMNS.iter().map(|(known, _)| *known).collect();
    if !names.iter().any(|name| known.contains(&name.as_str())) {
        return unknown();
    }
    format!("the column {name:?} is not known; those that are: {}, and PHASE_ns", known.join(", "))
}

struct Csv {
    records: Records,
    columns: Columns,
    cut: Option<u64>,
}

impl Parser for Csv {
    fn next(&mut self, to: &mut Vec<Raw>) -> Result<bool, Wrong> {
        let Some((record, is_open)) = self.records.next()? else { return Ok(false) };
        let line = Records::line(&record);
        let parsed = self.records.check_width(&record).and_then(|()| self.entry(&record));
        match parsed {
            // Files made by hand often lack the last line's end; what was decompressed to a cut does not.
            Ok((at, entry)) if !(is_open && self.records.ending.is_cut()) => {
                to.push(Raw { line, at, entry });
                Ok(true)
            }
            Err(why) if !is_open => Err(Wrong { line, why }),
            _ => {
                self.cut = Some(line);
                Ok(false)
            }
        }
    }

    fn about(&self) -> About {
        About { cut: self.cut, ..About::default() }
    }

    fn has_levels(&self) -> bool {
        self.columns.place.contains_key("level")
    }
}

impl Csv {
    fn entry(&self, record: &StringRecord) -> Result<(i128, Entry), String> {
        let columns = &self.columns;
        let at = columns.get(record, "time").ok_or("time is empty")?;
        let at = time::parse(at, columns.time_unit)?;
        let duration = columns.get(record, "duration");
        let duration = duration.map(|text| time::parse(text, columns.duration_unit)).transpose()?;
        let detail = columns.get(record, "operation").unwrap_or("get").trim();
        let operation = Op::of(detail);
        if operation == Op::Other && !self.columns.place.contains_key("level") {
            return Err(format!(
                "operation {detail:?} is none of get, put, head, list, delete, copy, multipart"
            ));
        }
        let level = match columns.get(record, "level") {
            None => Level::Call,
            Some(level) => Level::from_name(level.trim())
                .ok_or_else(|| format!("level {level:?} is neither call nor attempt"))?,
        };
        let text = |column: &str| columns.get(record, column).map(str::to_owned);
        let entry = Entry {
            duration_ns: duration.and_then(|duration| u64::try_from(duration).ok()),
            level,
            operation,
            reader: matches!(detail, "read" | "stream" | "tail"),
            detail: detail.to_owned(),
            bucket: text("bucket"),
            key: text("key").unwrap_or_default(),
            to: text("to"),
            offset: columns.number(record, "offset")?,
            length: columns.number(record, "length")?,
            bytes: columns.number(record, "bytes")?,
            outcome: text("outcome"),
            call: columns.number(record, "call")?,
            nth: columns.number(record, "nth")?.unwrap_or(0),
            attempt: (level == Level::Attempt).then(|| self.attempt(record)).transpose()?,
            ..Entry::default()
        };
        Ok((at, entry))
    }

    fn attempt(&self, record: &StringRecord) -> Result<Box<Attempt>, String> {
        let columns = &self.columns;
        let mut phases_ns = Vec::new();
        for (phase, at) in &columns.phases {
            let text = record.get(*at).unwrap_or_default();
            if !text.is_empty() {
                phases_ns.push(((*phase).to_owned(), number(phase, text)?));
            }
        }
        Ok(Box::new(Attempt {
            client_request_id: columns.get(record, "client_request_id").map(str::to_owned),
            status: columns.number(record, "status")?,
            connection: columns.get(record, "connection").and_then(Connection::from_name),
            hedge: columns.get(record, "hedge") == Some("true"),
            phases_ns,
        }))
    }
}
