// SPDX-License-Identifier: Apache-2.0
//! The bytes of a handover: for each task a line and an `.hlog`, then a line that ends it.

use super::Handed;
use crate::tasks::Fresh;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::time::Duration;
use storescope::timing::Snapshot;

/// Tells that all was sent.
const END: &str = "end\n";

/// What the reader answers, once it has all.
const TAKEN: &[u8] = b"taken\n";

/// The longest line, in bytes.
const MAX_LINE: u64 = 128;

/// The most bytes of one handover.
const MAX_LENGTH: u64 = 64 << 20;

/// Why nothing could be read.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The bytes did not come, or not all of them: the other side has ended, or has no time now.
    Cut(io::Error),
    /// The bytes are no handover.
    Malformed(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Cut(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Cut(error) => error.fmt(f),
            Trouble::Malformed(why) => f.write_str(why),
        }
    }
}

/// All of it as bytes.
pub(super) fn encode(fresh: &[Fresh]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for one in fresh {
        let hlog = if one.recorded.is_empty() { String::new() } else { one.recorded.to_hlog() };
        let (id, waited, length) = (one.id(), one.waited.as_nanos(), hlog.len());
        bytes.extend(format!("task {id} waited {waited} length {length}\n").bytes());
        bytes.extend(hlog.bytes());
    }
    bytes.extend(END.bytes());
    bytes
}

/// Reads what `encode` made, up to its end.
pub(super) fn decode(from: &mut impl BufRead) -> Result<Vec<Handed>, Trouble> {
    let mut all = Vec::new();
    let mut left = MAX_LENGTH;
    loop {
        let line = read_line(from)?;
        if line == END {
            return Ok(all);
        }
        let Some((task, waited, length)) = parse(&line) else {
            return Err(Trouble::Malformed(format!("{line:?} is no line of a handover")));
        };
        left = left.checked_sub(length).ok_or_else(|| {
            Trouble::Malformed(format!("it says that it is longer than {MAX_LENGTH} bytes"))
        })?;
        let mut hlog = Vec::new();
        if from.by_ref().take(length).read_to_end(&mut hlog)? as u64 != length {
            return Err(Trouble::Cut(io::ErrorKind::UnexpectedEof.into()));
        }
        let recorded = snapshot(&hlog).map_err(|why| {
            Trouble::Malformed(format!("what it says of task {task} does not parse: {why}"))
        })?;
        all.push(Handed { task, waited, recorded });
    }
}

fn read_line(from: &mut impl BufRead) -> Result<String, Trouble> {
    let mut line = Vec::new();
    from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\n") && (line.len() as u64) < MAX_LINE {
        return Err(Trouble::Cut(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// `task ID waited NS length N`.
fn parse(line: &str) -> Option<(i64, Duration, u64)> {
    let rest = line.strip_suffix('\n')?.strip_prefix("task ")?;
    let (task, rest) = rest.split_once(" waited ")?;
    let (waited, length) = rest.split_once(" length ")?;
    Some((task.parse().ok()?, Duration::from_nanos(waited.parse().ok()?), length.parse().ok()?))
}

fn snapshot(hlog: &[u8]) -> Result<Snapshot, String> {
    if hlog.is_empty() {
        return Ok(Snapshot::default());
    }
    let text = str::from_utf8(hlog).map_err(|error| error.to_string())?;
    let read = Snapshot::from_hlog(text).map_err(|error| error.to_string())?;
    if read.is_cut_short() { Err("its last line is cut off".to_owned()) } else { Ok(read) }
}

/// Confirms that all was read.
pub(super) fn confirm(to: &mut impl Write) -> io::Result<()> {
    to.write_all(TAKEN)
}

/// Waits until all was read, or the other side is gone.
pub(super) fn wait_until_taken(from: &mut impl Read) -> io::Result<()> {
    let mut answer = [0; TAKEN.len()];
    from.read_exact(&mut answer)?;
    if answer == TAKEN { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
