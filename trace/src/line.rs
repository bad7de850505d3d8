// SPDX-License-Identifier: Apache-2.0
//! The lines of a capture. Each is a JSON object; fields that are not known are left out.
//!
//! ```text
//! {"storescope_trace":1,"started_unix_ns":1764547200000000000,"names":"plain","process":4711,"version":"0.1.0"}
//! {"level":"call","call":1,"at_ns":5210,"duration_ns":812345,"operation":"read","bucket":"s3://lake","key":"a.parquet",
//!  "ranges":[[4,4096],[81920,65536]],"bytes":69632,"outcome":"ok"}
//! {"level":"attempt","call":2,"at_ns":9001,"duration_ns":799000,"operation":"get","bucket":"s3://lake","key":"a.parquet",
//!  "offset":4,"length":147452,"bytes":147452,"outcome":"ok","client_request_id":"…","status":206,"connection":"new",
//!  "phases_ns":{"prepare":900,"connect":61000,…}}
//! {"tally":{"calls":1,"attempts":1,"left_out":0,"full":false}}
//! ```
//!
//! The first line is the header. A tally stands where a client was dropped or shut down, or the program ended; the last
//! line of a capture that ended in good order is one.

use crate::entry::{Attempt, Connection, Entry, Level, Op};
use crate::names::NameWriter;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::sync::Arc;

/// The version of the format of captures that this crate writes. It reads this one and those before.
pub const SCHEMA: u32 = 1;

/// Bytes of the names in a line of several ranges at most. Stores take 1,024 for an object.
const LONGEST_NAMES: usize = 16 << 10;

/// A line to be written: a call or an attempt that has ended.
#[derive(Clone, Debug)]
pub enum Line {
    /// What a caller asked for.
    Call(CallLine),
    /// One HTTP request.
    Attempt(AttemptLine),
}

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct CallLine {
    /// Its number in this capture.
    pub call: u64,
    /// When it began, in nanoseconds since the capture began.
    pub at_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// What was asked for: `read`, `stream` and `tail` of a reader, else the operation's name.
    pub operation: &'static str,
    /// Where the object lies.
    pub bucket: Arc<str>,
    /// The object's name.
    pub key: Arc<str>,
    /// The new name, of copies and renames.
    pub to: Option<Arc<str>>,
    /// Offset and length of each range asked for. No length: up to the object's end.
    pub ranges: Vec<(u64, Option<u64>)>,
    /// The payload sent, or the length of a range that is counted from the object's end.
    pub length: Option<u64>,
    /// Payload handed to the caller, or sent.
    pub bytes: Option<u64>,
    /// How it ended.
    pub outcome: &'static str,
}

/// An attempt that has ended.
#[derive(Clone, Debug)]
pub struct AttemptLine {
    /// The call it was made for, if it was made for one alone.
    pub call: Option<u64>,
    /// When it began, in nanoseconds since the capture began.
    pub at_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// The operation's name.
    pub operation: &'static str,
    /// Where the object lies.
    pub bucket: Arc<str>,
    /// The object's name.
    pub key: Arc<str>,
    /// Where the range begins.
    pub offset: Option<u64>,
    /// The length of the range, or of the payload sent.
    pub length: Option<u64>,
    /// Payload received or sent.
    pub bytes: u64,
    /// How it ended.
    pub outcome: &'static str,
    /// The id it was sent with: 32 hexadecimal digits.
    pub client_request_id: u128,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The connection it went by, if it had one.
    pub connection: Option<Connection>,
    /// Whether it was sent because another was late.
    pub hedge: bool,
    /// Nanoseconds by phase.
    pub phases_ns: Vec<(&'static str, u64)>,
}

/// How many lines there are, and how many there should be besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Calls written.
    pub calls: u64,
    /// Attempts written.
    pub attempts: u64,
    /// Calls and attempts that were not written: they came faster than they were written, or the file was full.
    pub left_out: u64,
    /// Whether the file has reached its limit, or could not be written any more.
    pub full: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) storescope_trace: u32,
    #[serde(default)]
    pub(crate) started_unix_ns: u64,
    #[serde(default)]
    pub(crate) names: String,
    #[serde(default)]
    pub(crate) process: u32,
    #[serde(default)]
    pub(crate) version: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TallyLine {
    pub(crate) tally: Tally,
}

/// A line as it stands in the file.
#[derive(Debug, Serialize)]
struct Written<'a> {
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<u64>,
    at_ns: u64,
    duration_ns: u64,
    operation: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    bucket: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "few", serialize_with = "pairs")]
    ranges: &'a [(u64, Option<u64>)],
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    outcome: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    attempt: Option<WrittenAttempt<'a>>,
}

#[derive(Debug, Serialize)]
struct WrittenAttempt<'a> {
    client_request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hedge: bool,
    #[serde(serialize_with = "by_name")]
    phases_ns: &'a [(&'static str, u64)],
}

/// One range is written as `offset` and `length`.
fn few(ranges: &&[(u64, Option<u64>)]) -> bool {
    ranges.len() < 2
}

fn pairs<S: Serializer>(ranges: &&[(u64, Option<u64>)], to: S) -> Result<S::Ok, S::Error> {
    let mut list = to.serialize_seq(Some(ranges.len()))?;
    for range in *ranges {
        list.serialize_element(range)?;
    }
    list.end()
}

fn by_name<S: Serializer>(phases: &&[(&'static str, u64)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(phases.len()))?;
    for (name, value) in *phases {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

impl Line {
    /// Appends the line to `text`.
    pub(crate) fn write(&self, names: &NameWriter, text: &mut Vec<u8>) {
        let written = match self {
            Line::Call(call) => call.written(names),
            Line::Attempt(attempt) => attempt.written(names),
        };
        serde_json::to_writer(&mut *text, &written).expect("numbers and texts, into memory");
        text.push(b'\n');
    }
}

impl CallLine {
    fn written<'a>(&'a self, names: &NameWriter) -> Written<'a> {
        let (offset, length) = match self.ranges[..] {
            [] => (None, self.length),
            [(offset, length)] => (Some(offset), length),
            _ => (None, None),
        };
        Written {
            level: Level::Call.as_str(),
            call: Some(self.call),
            at_ns: self.at_ns,
            duration_ns: self.duration_ns,
            operation: self.operation,
            bucket: names.bucket(&self.bucket),
            key: names.key(&self.key),
            to: self.to.as_deref().map(|to| names.key(to)),
            offset,
            length,
            ranges: &self.ranges,
            bytes: self.bytes,
            outcome: self.outcome,
            attempt: None,
        }
    }
}

impl AttemptLine {
    fn written<'a>(&'a self, names: &NameWriter) -> Written<'a> {
        Written {
            level: Level::Attempt.as_str(),
            call: self.call,
            at_ns: self.at_ns,
            duration_ns: self.duration_ns,
            operation: self.operation,
            bucket: names.bucket(&self.bucket),
            key: names.key(&self.key),
            to: None,
            offset: self.offset,
            length: self.length,
            ranges: &[],
            bytes: Some(self.bytes),
            outcome: self.outcome,
            attempt: Some(WrittenAttempt {
                client_request_id: format!("{:032x}", self.client_request_id),
                status: self.status,
                connection: self.connection.map(Connection::as_str),
                hedge: self.hedge,
                phases_ns: &self.phases_ns,
            }),
        }
    }
}

/// A line as it is read. Fields that are not known are of a later version, and ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct ReadLine {
    level: String,
    call: Option<u64>,
    at_ns: u64,
    duration_ns: Option<u64>,
    operation: String,
    bucket: Option<String>,
    #[serde(default)]
    key: String,
    to: Option<String>,
    offset: Option<u64>,
    length: Option<u64>,
    #[serde(default)]
    ranges: Vec<(u64, Option<u64>)>,
    bytes: Option<u64>,
    outcome: Option<String>,
    client_request_id: Option<String>,
    status: Option<u16>,
    connection: Option<String>,
    #[serde(default)]
    hedge: bool,
    #[serde(default)]
    phases_ns: serde_json::Map<String, serde_json::Value>,
}

impl ReadLine {
    /// The entries of the line: one for each range.
    pub(crate) fn entries(self) -> Result<Vec<Entry>, String> {
        let level = Level::from_name(&self.level)
            .ok_or_else(|| format!("level {:?} is neither call nor attempt", self.level))?;
        let attempt = (level == Level::Attempt).then(|| {
            let phases = self.phases_ns.iter();
            Box::new(Attempt {
                client_request_id: self.client_request_id,
                status: self.status,
                connection: self.connection.as_deref().and_then(Connection::from_name),
                hedge: self.hedge,
                phases_ns: phases
                    .filter_map(|(name, value)| Some((name.clone(), value.as_u64()?)))
                    .collect(),
            })
        });
        let first = Entry {
            at_ns: self.at_ns,
            duration_ns: self.duration_ns,
            level,
            operation: Op::of(&self.operation),
            reader: matches!(self.operation.as_str(), "read" | "stream" | "tail"),
            detail: self.operation,
            bucket: self.bucket,
            key: self.key,
            to: self.to,
            offset: self.offset,
            length: self.length,
            bytes: self.bytes,
            outcome: self.outcome,
            call: self.call,
            nth: 0,
            attempt,
        };
        if self.ranges.is_empty() {
            return Ok(vec![first]);
        }
        // Each range has an entry of its own, with the names of all.
        let names =
            [Some(&first.detail), Some(&first.key), first.bucket.as_ref(), first.to.as_ref()];
        let names: usize = names.into_iter().flatten().map(String::len).sum();
        if names > LONGEST_NAMES {
            return Err(format!("its names have {names} bytes, more than {LONGEST_NAMES}"));
        }
        let each = self.ranges.iter().enumerate().map(|(nth, (offset, length))| Entry {
            offset: Some(*offset),
            length: *length,
            nth: nth as u32,
            bytes: if nth == 0 { first.bytes } else { None },
            ..first.clone()
        });
        Ok(each.collect())
    }
}
