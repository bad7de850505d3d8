// SPDX-License-Identifier: Apache-2.0
//! The formats, told by the first line: `json.rs` has those of one JSON object a line, `table.rs` those with columns.

mod json;
mod table;
mod time;

pub(crate) use table::PHASES;

use crate::entry::Entry;
use crate::line::Tally;
use crate::source::{Ending, Source};
use std::io::{BufRead, BufReader};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// What the setting `trace` writes.
    Capture,
    /// `requests.jsonl`, which `storescope bench` writes.
    Requests,
    /// An op-log of s3dlio, sai3-bench or MinIO's warp: tab-separated, with the columns of warp.
    OpLog,
    /// Comma-separated, with a header: `offset,length,time` and more.
    Csv,
}

impl Format {
    /// Its name in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Capture => "a storescope capture",
            Format::Requests => "a requests.jsonl of storescope bench",
            Format::OpLog => "an op-log of s3dlio or warp",
            Format::Csv => "a CSV",
        }
    }

    /// Whether lines stand in the order in which requests ended, so that their starts go back and forth.
    pub(crate) const fn is_by_end(self) -> bool {
        !matches!(self, Format::Csv)
    }

    /// Whether times count from the trace's start already.
    pub(crate) const fn is_relative(self) -> bool {
        matches!(self, Format::Capture)
    }
}

/// An entry, and where it stands. Its `at_ns` is not set yet.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) line: u64,
    /// In nanoseconds since whatever the format counts from.
    pub(crate) at: i128,
    pub(crate) entry: Entry,
}

/// What a parser says: what is wrong, and in which line.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) line: u64,
    pub(crate) why: String,
}

/// A format's parser.
pub(crate) trait Parser: Send {
    /// Appends the next line's entries, which may be none; `false` at the end.
    fn next(&mut self, to: &mut Vec<Raw>) -> Result<bool, Wrong>;

    /// What the file says of itself.
    fn about(&self) -> About;

    /// Whether entries are of both levels.
    fn has_levels(&self) -> bool {
        false
    }
}

/// What a file says of itself, as far as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) started_unix_ns: Option<u64>,
    pub(crate) names_hashed: bool,
    /// The tally, if the last line so far is one.
    pub(crate) tally: Option<Tally>,
    /// The line in which the file was cut off.
    pub(crate) cut: Option<u64>,
}

/// The format of a text by its first line, and its parser.
pub(crate) fn open(mut text: BufReader<Source>) -> Result<(Format, Box<dyn Parser>), Wrong> {
    let wrong = |why: String| Wrong { line: 1, why };
    let ending = text.get_ref().ending();
    let start = text.fill_buf().map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if start.is_empty() {
        let why =
            if ending.is_cut() { "nothing of it can be read: it was cut off" } else { "is empty" };
        return Err(wrong(why.to_owned()));
    }
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(first) = std::str::from_utf8(first) else { return Err(wrong(unknown())) };
    if first.trim_start().starts_with('{') {
        return json::open(text, ending);
    }
    table::open(text, ending)
}

fn unknown() -> String {
    "is no trace: expected a storescope capture, a requests.jsonl, an op-log of s3dlio or warp, or a CSV with a header such \
     as offset,length,time"
        .to_owned()
}

/// Where a line that does not parse is the last and not whole, the file was cut off in it.
fn is_cut_in(ending: &Ending, is_last: bool) -> bool {
    is_last && !ending.is_whole()
}
