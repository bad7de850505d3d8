// SPDX-License-Identifier: Apache-2.0
//! One JSON object a line: captures, and `requests.jsonl`.

use super::{About, Format, Parser, Raw, Wrong, unknown};
use crate::entry::{Attempt, Entry, Level, Op};
use crate::line::{Header, ReadLine, SCHEMA, TallyLine};
use crate::source::{Ending, Source};
use serde::Deserialize;
use std::io::{BufRead, BufReader, Read};

/// Bytes of a line at most: a damaged file may have one without an end.
const LONGEST: u64 = 64 << 20;

/// Lines with their numbers. A last line that is not whole is left out.
struct Lines {
    text: BufReader<Source>,
    ending: Ending,
    line: Vec<u8>,
    number: u64,
    cut: Option<u64>,
}

impl Lines {
    /// The next line; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, &[u8])>, Wrong> {
        self.line.clear();
        let read = self.text.by_ref().take(LONGEST).read_until(b'\n', &mut self.line);
        self.number += 1;
        let number = self.number;
        match read {
            Err(error) => {
                let why = format!("the file is damaged from here on: {error}");
                Err(Wrong { line: number, why })
            }
            Ok(_) if self.line.ends_with(b"\n") => Ok(Some((number, &self.line))),
            Ok(read) if read as u64 == LONGEST => {
                let why = format!("the line has more than {LONGEST} bytes");
                Err(Wrong { line: number, why })
            }
            Ok(_) => {
                // What writes these ends each line.
                if !self.line.is_empty() || self.ending.is_cut() {
                    self.cut = Some(number);
                }
                Ok(None)
            }
        }
    }
}

/// Parses the first line, which says which of the two it is.
pub(super) fn open(
    text: BufReader<Source>,
    ending: Ending,
) -> Result<(Format, Box<dyn Parser>), Wrong> {
    let mut lines = Lines { text, ending, line: Vec::new(), number: 0, cut: None };
    let first = match lines.next()? {
        Some((_, line)) => line.to_vec(),
        None => return Err(Wrong { line: 1, why: "was cut off in its first line".to_owned() }),
    };
    if let Ok(header) = serde_json::from_slice::<Header>(&first) {
        if header.storescope_trace > SCHEMA {
            let why = format!(
                "is of schema {}; this version reads up to {}: use a newer storescope",
                header.storescope_trace, SCHEMA
            );
            return Err(Wrong { line: 1, why });
        }
        let about = About {
            started_unix_ns: Some(header.started_unix_ns),
            names_hashed: header.names == "hashed",
            ..About::default()
        };
        return Ok((Format::Capture, Box::new(Capture { lines, about })));
    }
    match serde_json::from_slice::<Request>(&first) {
        Ok(_) => Ok((Format::Requests, Box::new(Requests { lines, first: Some(first) }))),
        Err(error) if first.windows(17).any(|word| word == b"client_request_id") => {
            Err(Wrong { line: 1, why: error.to_string() })
        }
        Err(_) => Err(Wrong { line: 1, why: unknown() }),
    }
}

struct Capture {
    lines: Lines,
    about: About,
}

impl Parser for Capture {
    fn next(&mut self, to: &mut Vec<Raw>) -> Result<bool, Wrong> {
        let Some((number, line)) = self.lines.next()? else { return Ok(false) };
        if line.starts_with(b"{\"tally\"") {
            self.about.tally = Some(parsed::<TallyLine>(number, line)?.tally);
            return Ok(true);
        }
        self.about.tally = None;
        let entries = parsed::<ReadLine>(number, line)?
            .entries()
            .map_err(|why| Wrong { line: number, why })?;
        let raw = |entry: Entry| Raw { line: number, at: i128::from(entry.at_ns), entry };
        to.extend(entries.into_iter().map(raw));
        Ok(true)
    }

    fn about(&self) -> About {
        About { cut: self.lines.cut, ..self.about.clone() }
    }

    fn has_levels(&self) -> bool {
        true
    }
}

/// A line of `requests.jsonl`.
#[derive(Debug, Deserialize)]
struct Request {
    client_request_id: String,
    outcome: String,
    #[serde(default)]
    total_ns: Option<u64>,
    #[serde(default)]
    ttfb_ns: Option<u64>,
    #[serde(default)]
    warmup: bool,
    start_unix_ns: Option<u64>,
    operation: Option<String>,
    key: Option<String>,
    offset: Option<u64>,
    length: Option<u64>,
    bytes: Option<u64>,
}

struct Requests {
    lines: Lines,
    first: Option<Vec<u8>>,
}

impl Parser for Requests {
    fn next(&mut self, to: &mut Vec<Raw>) -> Result<bool, Wrong> {
        let (number, request): (u64, Request) = match self.first.take() {
            Some(line) => (1, parsed(1, &line)?),
            None => match self.lines.next()? {
                Some((number, line)) => (number, parsed(number, line)?),
                None => return Ok(false),
            },
        };
        if request.warmup {
            return Ok(true);
        }
        let Some(start) = request.start_unix_ns else {
            let why = "has no start_unix_ns, the time at which the request began: it was written by \
                       an earlier version; run the benchmark again";
            return Err(Wrong { line: number, why: why.to_owned() });
        };
        let operation = request.operation.unwrap_or_else(|| "get".to_owned());
        let entry = Entry {
            duration_ns: request.total_ns,
            level: Level::Attempt,
            operation: Op::of(&operation),
            detail: operation,
            key: request.key.unwrap_or_default(),
            offset: request.offset,
            length: request.length,
            bytes: request.bytes,
            outcome: Some(request.outcome),
            attempt: Some(Box::new(Attempt {
                client_request_id: Some(request.client_request_id),
                phases_ns: request
                    .ttfb_ns
                    .map(|ttfb| ("ttfb".to_owned(), ttfb))
                    .into_iter()
                    .collect(),
                ..Attempt::default()
            })),
            ..Entry::default()
        };
        to.push(Raw { line: number, at: i128::from(start), entry });
        Ok(true)
    }

    fn about(&self) -> About {
        About { cut: self.lines.cut, ..About::default() }
    }
}

fn parsed<'a, T: Deserialize<'a>>(line: u64, text: &'a [u8]) -> Result<T, Wrong> {
    serde_json::from_slice(text).map_err(|error| Wrong { line, why: error.to_string() })
}
