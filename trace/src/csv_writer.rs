// SPDX-License-Identifier: Apache-2.0
//! Entries as CSV, for spreadsheets, pandas and DuckDB. [`TraceReader`](crate::TraceReader) reads it again.

use crate::entry::{Connection, Entry};
use crate::error::TraceError;
use crate::format::PHASES;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The columns before those of the phases.
const COLUMNS: [&str; 17] = [
    "at_ns",
    "duration_ns",
    "level",
    "operation",
    "bucket",
    "key",
    "to",
    "offset",
    "length",
    "bytes",
    "outcome",
    "call",
    "nth",
    "client_request_id",
    "status",
    "connection",
    "hedge",
];

/// Writes entries as CSV: a header, and a line each. What is not known is empty.
pub struct CsvWriter {
    csv: csv::Writer<Output>,
}

enum Output {
    Plain(Box<dyn Write + Send>),
    Zstd(zstd::Encoder<'static, Box<dyn Write + Send>>),
}

impl CsvWriter {
    /// Makes the file, or replaces it: compressed where its name ends in `.zst`.
    pub fn create(path: &Path) -> Result<CsvWriter, TraceError> {
        let failed = |error| TraceError::io(path, "cannot be written", error);
        let file = Box::new(BufWriter::new(File::create(path).map_err(failed)?));
        let compressed = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("zst"));
        CsvWriter::new(file, compressed).map_err(failed)
    }

    /// Writes to anything.
    pub fn new(to: Box<dyn Write + Send>, compressed: bool) -> io::Result<CsvWriter> {
        let output = if compressed {
            Output::Zstd(zstd::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?)
        } else {
            Output::Plain(to)
        };
        let mut csv = csv::Writer::from_writer(output);
        let phases = PHASES.iter().map(|phase| format!("{phase}_ns"));
        csv.write_record(COLUMNS.iter().map(|name| (*name).to_owned()).chain(phases))
            .map_err(io)?;
        Ok(CsvWriter { csv })
    }

    /// Appends a line.
    pub fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let attempt = entry.attempt.as_deref();
        let told = attempt.and_then(|attempt| attempt.connection).map_or("", Connection::as_str);
        let line = [
            entry.at_ns.to_string(),
            number(entry.duration_ns),
            entry.level.to_string(),
            entry.detail.clone(),
            text(&entry.bucket),
            entry.key.clone(),
            text(&entry.to),
            number(entry.offset),
            number(entry.length),
            number(entry.bytes),
            text(&entry.outcome),
            number(entry.call),
            entry.nth.to_string(),
            attempt.map(|attempt| text(&attempt.client_request_id)).unwrap_or_default(),
            number(attempt.and_then(|attempt| attempt.status).map(u64::from)),
            told.to_owned(),
            attempt.map(|attempt| attempt.hedge.to_string()).unwrap_or_default(),
        ];
        let phases = attempt.map(|attempt| &attempt.phases_ns[..]).unwrap_or_default();
        let phases = PHASES.iter().map(|name| {
            let found = phases.iter().find(|(phase, _)| phase == name);
            number(found.map(|(_, value)| *value))
        });
        self.csv.write_record(line.into_iter().chain(phases)).map_err(io)
    }

    /// Writes what is left.
    pub fn finish(self) -> io::Result<()> {
        let output = self.csv.into_inner().map_err(csv::IntoInnerError::into_error)?;
        match output {
            Output::Plain(mut output) => output.flush(),
            Output::Zstd(output) => output.finish()?.flush(),
        }
    }
}

impl std::fmt::Debug for CsvWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvWriter").finish_non_exhaustive()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Plain(output) => output.write(bytes),
            Output::Zstd(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Plain(output) => output.flush(),
            Output::Zstd(output) => output.flush(),
        }
    }
}

/// The system's error, so that a closed pipe stays one.
fn io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
