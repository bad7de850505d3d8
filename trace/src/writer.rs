// SPDX-License-Identifier: Apache-2.0
//! The file of a capture: zstd frames, one after the other, each of whole lines. A file that was cut off is readable up to
//! its last whole frame, and `zstd -dc` reads it like any other.

use crate::error::TraceError;
use crate::line::{Header, Line, SCHEMA, Tally, TallyLine};
use crate::names::{NameWriter, Names};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The text of a frame at most, but for the line that goes over it: some 30 KB of the file.
const FRAME: usize = 256 << 10;

/// What is kept free below the limit, for the tallies.
const RESERVE: u64 = 4096;

/// zstd's own default.
const LEVEL: i32 = zstd::DEFAULT_COMPRESSION_LEVEL;

/// What became of a line, or of a frame of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is in the file, or will be with the next flush.
    Yes,
    /// The file has reached its limit: nothing more is written but tallies. Told each time.
    Full,
}

/// Writes a capture.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    names: NameWriter,
    limit: u64,
    /// Of whole frames, in bytes.
    length: u64,
    /// The next frame.
    text: Vec<u8>,
    /// Of lines that are in whole frames.
    tally: Tally,
    /// Of the next frame.
    calls: u64,
    attempts: u64,
    tallied: Option<Tally>,
}

impl Writer {
    /// Makes the file, which must not exist, and writes its header. `limit`: bytes of the file at most; the header and the
    /// tallies are written in any case.
    pub fn create(path: &Path, limit: u64, names: Names) -> Result<Writer, TraceError> {
        let failed = |source| TraceError::io(path, "the trace cannot be written", source);
        let file = OpenOptions::new().append(true).create_new(true).open(path).map_err(failed)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = Header {
            storescope_trace: SCHEMA,
            started_unix_ns: since.as_nanos() as u64,
            names: names.as_str().to_owned(),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut writer = Writer {
            path: path.to_owned(),
            file,
            names: NameWriter::new(names),
            limit: limit.saturating_sub(RESERVE),
            length: 0,
            text: Vec::new(),
            tally: Tally::default(),
            calls: 0,
            attempts: 0,
            tallied: None,
        };
        writer.append(&header).map_err(failed)?;
        writer.write_frame(true).map_err(failed)?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in the file by now, and what is not.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Counts lines that never came here.
    pub fn leave_out(&mut self, lines: u64) {
        self.tally.left_out += lines;
    }

    /// Appends a line. It is in the file after the next [`flush`](Writer::flush). An error is that of the file: what was
    /// written before stays readable, and nothing more is written.
    pub fn write(&mut self, line: &Line) -> io::Result<Written> {
        if self.tally.full {
            self.tally.left_out += 1;
            return Ok(Written::Full);
        }
        line.write(&self.names, &mut self.text);
        match line {
            Line::Call(_) => self.calls += 1,
            Line::Attempt(_) => self.attempts += 1,
        }
        if self.text.len() < FRAME { Ok(Written::Yes) } else { self.flush() }
    }

    /// Whether lines wait for the next flush.
    pub fn is_pending(&self) -> bool {
        !self.text.is_empty()
    }

    /// Writes what waits, as a frame.
    pub fn flush(&mut self) -> io::Result<Written> {
        if self.text.is_empty() {
            return Ok(if self.tally.full { Written::Full } else { Written::Yes });
        }
        let (calls, attempts) =
            (std::mem::take(&mut self.calls), std::mem::take(&mut self.attempts));
        let written = self.write_frame(false);
        if let Ok(Written::Yes) = written {
            self.tally.calls += calls;
            self.tally.attempts += attempts;
        } else {
            self.tally.left_out += calls + attempts;
            self.tally.full = true;
        }
        written
    }

    /// Writes what waits and then the tally, unless the last line is the same already.
    pub fn end(&mut self) -> io::Result<Written> {
        let written = self.flush();
        if self.tallied != Some(self.tally) {
            self.append(&TallyLine { tally: self.tally })?;
            self.write_frame(true)?;
            self.tallied = Some(self.tally);
        }
        written
    }

    fn append(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.text, line)?;
        self.text.push(b'\n');
        Ok(())
    }

    /// Writes the text that waits, where there is room for it, or always.
    fn write_frame(&mut self, always: bool) -> io::Result<Written> {
        let frame = zstd::bulk::compress(&self.text, LEVEL);
        self.text.clear();
        let frame = frame?;
        let length = self.length + frame.len() as u64;
        if !always && length > self.limit {
            return Ok(Written::Full);
        }
        if let Err(error) = self.file.write_all(&frame) {
            // What is there of the frame goes; where even that fails, readers see a file that was cut off.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length = length;
        Ok(Written::Yes)
    }
}
