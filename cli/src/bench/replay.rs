// SPDX-License-Identifier: Apache-2.0
//! `bench --trace FILE`: the calls of a trace, made again.
//!
//! ```text
//!  FILE ─▶ TraceReader ─▶ Trace: tasks in order of time, objects that must be there, names that will be written
//!                           └─▶ Replay, a Source: at the trace's times, faster, or one after another
//! ```
//!
//! Names stand below the URL's prefix as they are in the trace. What the trace writes is written below that prefix, too:
//! names that exist already are refused. Only what the replay has written is removed, by the trace itself or at the end.

use super::task::{Line, Op, Source, Task};
use crate::exit::Exit;
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use storescope_trace::{Entry, Level, Op as TraceOp, Options, TraceError, TraceReader};

/// The size of an object of which a trace tells nothing.
const UNKNOWN: u64 = 1 << 20;
/// The object that is read where a trace tells no name.
const UNNAMED: &str = "object";
/// Names that are told of many.
const TOLD: usize = 3;

/// What is replayed, and how fast.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Replay")]
pub(super) struct ReplayOptions {
    /// Replay the calls of a trace: a capture (STORESCOPE_TRACE), a requests.jsonl, an op-log of s3dlio or warp, a CSV of
    /// offset, length, time. Names are those of the trace, below the URL's prefix; with --emulator, objects are made as
    /// large as the trace needs them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["op", "size", "rate", "arrivals", "pattern", "prepare",
        "object_size", "upload", "warmup", "verify_data", "until"])]
    pub(super) trace: Option<PathBuf>,

    /// With --trace: so many times as fast as the trace.
    #[arg(long, value_name = "FACTOR", requires = "trace", value_parser = factor)]
    pub(super) speed: Option<f64>,

    /// With --trace: without its times, --concurrency calls at a time.
    #[arg(long, requires = "trace", conflicts_with = "speed")]
    pub(super) as_fast_as_it_goes: bool,

    /// With --trace, where it has both: what programs asked for, or each HTTP request.
    #[arg(long, value_enum, requires = "trace", default_value = "call")]
    pub(super) trace_level: TraceLevel,
}

fn factor(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| format!("{text:?} is no speed: expected a number above 0, such as 2"))
}

/// Which lines of a trace are replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TraceLevel {
    /// What programs asked for. Reads of readers go through the reading engine.
    #[default]
    Call,
    /// Each HTTP request, as a request.
    Attempt,
}

impl fmt::Display for TraceLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TraceLevel::Call => "calls",
            TraceLevel::Attempt => "attempts",
        })
    }
}

/// When calls are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// So many times as fast as the trace.
    Times(f64),
    /// One after another.
    AsFastAsItGoes,
}

impl ReplayOptions {
    pub(super) fn pace(&self) -> Pace {
        if self.as_fast_as_it_goes {
            return Pace::AsFastAsItGoes;
        }
        Pace::Times(self.speed.unwrap_or(1.0))
    }
}

/// A trace that can be replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trace {
    /// Calls by start; `at` is the trace's own time.
    calls: Vec<Call>,
    /// Objects that are read before anything writes them, with the size that the trace needs.
    needed: BTreeMap<Arc<str>, u64>,
    /// Names that the trace writes.
    written: BTreeSet<Arc<str>>,
    hashed: bool,
    /// What is not replayed as it was, and why.
    pub(super) notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    at: Duration,
    op: Op,
    key: Arc<str>,
    to: Option<Arc<str>>,
    part: Part,
    /// Bytes that are written, or known to have been read.
    size: Option<u64>,
    /// Made by a reader, which coalesces and reads ahead.
    reader: bool,
}

/// What of an object is read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    All,
    Range(Range<u64>),
    From(u64),
    Last(u64),
}

impl Trace {
    /// Reads a trace, and what it needs.
    pub(super) fn read(path: &Path, level: TraceLevel) -> Result<Trace, Exit> {
        let told = |error: TraceError| Exit::usage(error.to_string());
        let wanted = match level {
            TraceLevel::Call => Level::Call,
            TraceLevel::Attempt => Level::Attempt,
        };
        let mut reader =
            TraceReader::open_with(path, &Options::new().level(wanted)).map_err(told)?;
        let mut gathered = Gathered { level, ..Gathered::default() };
        for entry in &mut reader {
            gathered.take(entry.map_err(told)?);
        }
        let mut trace = gathered.trace();
        trace.hashed = reader.has_hashed_names();
        if let Some(line) = reader.cut_off() {
            trace.notes.push(format!(
                "{} was cut off in line {line}: what stands before it is replayed",
                path.display()
            ));
        }
        if trace.calls.is_empty() {
            let why = trace.notes.first().map_or("it is empty".to_owned(), Clone::clone);
            return Err(Exit::usage(format!("{} has no call to replay: {why}", path.display())));
        }
        Ok(trace)
    }

    /// Whether it tells the name of an object.
    pub(super) fn has_names(&self) -> bool {
        self.calls.iter().any(|call| call.op != Op::List && !call.key.is_empty())
    }

    /// What is called, and how often.
    pub(super) fn mix(&self) -> BTreeMap<Op, u32> {
        let mut mix = BTreeMap::new();
        self.calls.iter().for_each(|call| *mix.entry(call.op).or_insert(0) += 1);
        mix
    }

    /// Objects that must be there, with the bytes that the trace reads of them.
    pub(super) fn needed(&self) -> impl Iterator<Item = (&str, u64)> {
        self.needed.iter().map(|(key, size)| (&**key, *size))
    }

    /// Names that will be written.
    pub(super) fn written(&self) -> impl Iterator<Item = &str> {
        self.written.iter().map(|key| &**key)
    }

    /// Refuses a trace that a store cannot answer: of objects that are not there or too short, or that would replace some.
    /// `there` tells the size of an object of the trace.
    pub(super) fn check(&self, url: &str, there: impl Fn(&str) -> Option<u64>) -> Result<(), Exit> {
        let missing: Vec<_> =
            self.needed().map(|(key, _)| key).filter(|key| there(key).is_none()).collect();
        if !missing.is_empty() && self.hashed {
            return Err(Exit::usage(format!(
                "the trace's names are hashed: no such objects lie below {url}; replay it against --emulator"
            )));
        }
        if !missing.is_empty() {
            return Err(Exit::usage(format!(
                "the trace reads what is not below {url}: {}; name the prefix that it lies below, or replay it against --emulator",
                some(&missing)
            )));
        }
        let short: Vec<_> = self
            .needed()
            .filter(|(key, size)| there(key).is_some_and(|has| has < *size))
            .map(|(key, _)| key)
            .collect();
        if !short.is_empty() {
            return Err(Exit::usage(format!(
                "the trace reads behind the end of what is below {url}: {}; the trace is of other objects",
                some(&short)
            )));
        }
        let replaced: Vec<_> = self.written().filter(|key| there(key).is_some()).collect();
        if !replaced.is_empty() {
            return Err(Exit::usage(format!(
                "the trace would replace what is below {url}: {}; name a prefix without it, or replay it against --emulator",
                some(&replaced)
            )));
        }
        Ok(())
    }

    /// The calls, to be made below a prefix by a worker of several. `sizes` tells the size of an object of the trace.
    pub(super) fn replay(
        &self,
        prefix: &str,
        pace: Pace,
        sizes: impl Fn(&str) -> Option<u64>,
        mine: impl Fn(&str) -> bool,
    ) -> Replay {
        let calls = self.calls.iter().filter(|call| mine(&call.key));
        let mut lines = BTreeMap::new();
        let task = |call: &Call| {
            let size = sizes(&call.key).or_else(|| self.needed.get(&call.key).copied());
            let mut task = call.task(prefix, pace, size);
            // Of a copy, the new object, unless the old one is written, too.
            let new = call.to.as_ref().filter(|_| !self.written.contains(&call.key));
            let object = new.unwrap_or(&call.key);
            if self.written.contains(object) {
                // A read must not overtake the write that it depends on.
                let (line, next) =
                    lines.entry(Arc::clone(object)).or_insert_with(|| (Arc::<Line>::default(), 0));
                task.turn = Some(line.turn(*next));
                *next += 1;
            }
            task
        };
        Replay { tasks: calls.map(task).collect(), next: AtomicUsize::new(0) }
    }
}

impl Call {
    fn task(&self, prefix: &str, pace: Pace, object: Option<u64>) -> Task {
        let end = object.unwrap_or(u64::MAX);
        let range = match &self.part {
            Part::All => None,
            Part::Range(range) => Some(range.clone()),
            Part::From(start) => Some(*start..end.max(*start)),
            Part::Last(length) => object.map(|end| end.saturating_sub(*length)..end),
        };
        let read = range.as_ref().map(|range| range.end - range.start).or(object);
        Task {
            at: match pace {
                Pace::Times(speed) => Some(self.at.div_f64(speed)),
                Pace::AsFastAsItGoes => None,
            },
            op: self.op,
            key: match self.op {
                Op::List => format!("{prefix}{}", self.key).into(),
                _ => named(prefix, &self.key),
            },
            range,
            size: self.size.or(read).unwrap_or(0),
            to: self.to.as_ref().map(|to| named(prefix, to)),
            by_reader: self.reader,
            turn: None,
        }
    }
}

/// The name of an object of the trace below a prefix. A trace that tells no names is of the object that the URL names.
pub(super) fn named(prefix: &str, key: &str) -> Arc<str> {
    let is_folder = prefix.is_empty() || prefix.ends_with('/');
    let key = if key.is_empty() && is_folder { UNNAMED } else { key };
    format!("{prefix}{key}").into()
}

/// Hands out the calls of a trace.
#[derive(Debug)]
pub(super) struct Replay {
    tasks: Vec<Task>,
    next: AtomicUsize,
}

impl Source for Replay {
    fn next(&self) -> Option<Task> {
        self.tasks.get(self.next.fetch_add(1, Relaxed)).cloned()
    }
}

/// What was read of a trace.
#[derive(Debug, Default)]
struct Gathered {
    level: TraceLevel,
    trace: Trace,
    names: BTreeMap<String, Arc<str>>,
    /// Writes by parts that have begun, as places of `calls`.
    uploads: BTreeMap<Arc<str>, usize>,
    /// Parts that are written as objects.
    parts: u64,
    /// Entries that are not replayed: nothing a bench calls, and removals of what it did not write.
    other: u64,
    removals: u64,
    failed: u64,
}

impl Gathered {
    fn take(&mut self, entry: Entry) {
        self.failed += u64::from(!entry.is_ok());
        let name = self.name(&entry.key);
        let Some((op, key)) = self.op(&entry, name) else { return };
        if op == Op::Delete && !self.trace.written.contains(&key) {
            self.removals += 1;
            return;
        }
        let to = entry.to.as_deref().map(|to| self.name(to));
        let part = part_of(op, &entry);
        self.need(op, &key, &part, &entry);
        if matches!(op, Op::Put | Op::Multipart) {
            self.trace.written.insert(Arc::clone(&key));
        }
        if let (Op::Copy, Some(to)) = (op, &to) {
            self.trace.written.insert(Arc::clone(to));
        }
        let size = match op {
            Op::Put | Op::Multipart => entry.length.or(entry.bytes),
            _ => None,
        };
        let at = Duration::from_nanos(entry.at_ns);
        self.trace.calls.push(Call { at, op, key, to, part, size, reader: entry.reader });
    }

    /// What a bench calls for it, and of which object; nothing where it calls nothing.
    fn op(&mut self, entry: &Entry, key: Arc<str>) -> Option<(Op, Arc<str>)> {
        let op = match entry.operation {
            TraceOp::Get => Op::Get,
            TraceOp::Put => Op::Put,
            TraceOp::Head => Op::Head,
            TraceOp::List => Op::List,
            TraceOp::Delete => Op::Delete,
            TraceOp::Copy => Op::Copy,
            TraceOp::Multipart => return self.upload(entry, key),
            _ => {
                self.other += 1;
                return None;
            }
        };
        Some((op, key))
    }

    /// A write by parts is one call, begun with its first request and as long as its last one tells. Parts of one of which
    /// the trace has no begin, and all parts where requests are replayed, are writes of objects of their own.
    fn upload(&mut self, entry: &Entry, key: Arc<str>) -> Option<(Op, Arc<str>)> {
        let (is_call, length) = (self.level == TraceLevel::Call, entry.length.or(entry.bytes));
        let detail = entry.detail.to_ascii_lowercase();
        let is_part = detail.contains("part") && !detail.starts_with("multipart");
        let begun = self.uploads.get(&key).copied();
        match (is_part, begun) {
            (true, Some(begun)) => {
                *self.trace.calls[begun].size.get_or_insert(0) += length.unwrap_or(0);
                None
            }
            (true, None) => {
                self.parts += 1;
                let name = format!("{key}.part-{}", self.parts);
                Some((Op::Put, self.name(&name)))
            }
            (false, Some(begun))
                if detail.starts_with("commit") || detail.starts_with("complete") =>
            {
                let size = length.or(self.trace.calls[begun].size);
                self.trace.calls[begun].size = size;
                self.uploads.remove(&key);
                None
            }
            // One that was given up, or ends one that began before the trace: a request without a body.
            (false, _)
                if detail.starts_with("abort") || detail.starts_with("commit") || !is_call =>
            {
                self.other += 1;
                None
            }
            (false, _) => {
                if length.unwrap_or(0) == 0 {
                    self.uploads.insert(Arc::clone(&key), self.trace.calls.len());
                }
                Some((Op::Multipart, key))
            }
        }
    }

    /// The object that a call needs, and how much of it.
    fn need(&mut self, op: Op, key: &Arc<str>, part: &Part, entry: &Entry) {
        if !matches!(op, Op::Get | Op::Head | Op::Copy) || self.trace.written.contains(key) {
            return;
        }
        let least = match (op, part) {
            (Op::Get, Part::Range(range)) => range.end,
            (Op::Get, Part::Last(length)) => *length,
            (Op::Get, Part::From(start)) => start + entry.bytes.unwrap_or(0),
            (Op::Get, Part::All) => entry.bytes.unwrap_or(0),
            _ => 0,
        };
        let needed = self.trace.needed.entry(Arc::clone(key)).or_insert(0);
        *needed = least.max(*needed);
    }

    fn name(&mut self, key: &str) -> Arc<str> {
        if let Some(name) = self.names.get(key) {
            return Arc::clone(name);
        }
        let name: Arc<str> = key.into();
        self.names.insert(key.to_owned(), Arc::clone(&name));
        name
    }

    fn trace(mut self) -> Trace {
        for (count, what) in [
            (self.other, "requests of a kind that a bench does not make are left out"),
            (self.removals, "removals of objects that the replay did not write are left out"),
            (self.failed, "requests had failed, and are made all the same"),
        ] {
            if count > 0 {
                self.trace.notes.push(format!("{count} {what}"));
            }
        }
        self.trace
    }
}

fn part_of(op: Op, entry: &Entry) -> Part {
    match (op, entry.offset, entry.length) {
        (Op::Get, Some(offset), Some(length)) => Part::Range(offset..offset.saturating_add(length)),
        (Op::Get, Some(offset), None) => Part::From(offset),
        (Op::Get, None, Some(length)) => Part::Last(length),
        _ => Part::All,
    }
}

impl Trace {
    /// How large each object is made where it is made for the replay.
    pub(super) fn made(&self) -> impl Iterator<Item = (&str, u64)> {
        self.needed().map(|(key, size)| (key, if size == 0 { UNKNOWN } else { size }))
    }
}

/// The first of them.
fn some(names: &[&str]) -> String {
    let more = names.len().saturating_sub(TOLD);
    let shown = names[..names.len().min(TOLD)].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn written(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn csv(text: &str) -> Result<Trace, Exit> {
        Trace::read(written(text).path(), TraceLevel::Call)
    }

    fn entry(operation: TraceOp, key: &str, range: (Option<u64>, Option<u64>)) -> Entry {
        let mut entry = Entry::default();
        (entry.operation, entry.key) = (operation, key.to_owned());
        (entry.offset, entry.length) = range;
        entry
    }

    fn gathered(level: TraceLevel, entries: Vec<Entry>) -> Trace {
        let mut gathered = Gathered { level, ..Gathered::default() };
        for (at, mut entry) in entries.into_iter().enumerate() {
            entry.at_ns = at as u64 * 1_000_000_000;
            gathered.take(entry);
        }
        gathered.trace()
    }

    fn tasks(replay: &Replay) -> Vec<Task> {
        std::iter::from_fn(|| replay.next()).collect()
    }

    #[test]
    fn a_trace_is_replayed_at_its_times_faster_or_without() {
        let text = "offset,length,time_s,key\n0,100,0.5,a\n4096,50,1.5,b\n0,10,2.5,a\n";
        let trace = csv(text).unwrap_or_else(|exit| panic!("{}", exit.message()));
        let at = |pace| {
            let replay = trace.replay("in/", pace, |_| None, |_| true);
            tasks(&replay).into_iter().map(|task| task.at).collect::<Vec<_>>()
        };
        let seconds = |all: [f64; 3]| all.map(|s| Some(Duration::from_secs_f64(s))).to_vec();
        assert_eq!(at(Pace::Times(1.0)), seconds([0.0, 1.0, 2.0]));
        assert_eq!(at(Pace::Times(2.0)), seconds([0.0, 0.5, 1.0]));
        assert_eq!(at(Pace::AsFastAsItGoes), [None, None, None]);
        let first = tasks(&trace.replay("in/", Pace::Times(1.0), |_| None, |_| true)).remove(1);
        assert_eq!((&*first.key, first.range, first.size), ("in/b", Some(4096..4146), 50));
        assert_eq!(trace.needed().collect::<Vec<_>>(), [("a", 100), ("b", 4146)]);
        assert_eq!(trace.mix(), [(Op::Get, 3)].into());
    }

    #[test]
    fn what_cannot_be_replayed_is_told_before() {
        let told = |text: &str| csv(text).unwrap_err().message().to_owned();
        assert!(told("offset,length,time_s\n").contains("has no call to replay"));
        let back = told("offset,length,time_s\n0,1,5\n0,1,4\n");
        assert!(back.contains(":3: time goes backwards by 1s"), "{back}");
        let trace = csv("offset,length,time_s,key\n0,100,0,a\n0,100,1,b\n").unwrap();
        let check = |there: &[(&str, u64)]| {
            let there: BTreeMap<_, _> = there.iter().copied().collect();
            let checked = trace.check("s3://lake/x/", |key| there.get(key).copied());
            checked.err().map(|exit| exit.message().to_owned())
        };
        assert_eq!(check(&[("a", 100), ("b", 200)]), None);
        let missing = check(&[("a", 100)]).unwrap();
        assert!(missing.contains("reads what is not below s3://lake/x/: b"), "{missing}");
        let short = check(&[("a", 99), ("b", 200)]).unwrap();
        assert!(short.contains("behind the end of what is below s3://lake/x/: a"), "{short}");
        let hashed = Trace { hashed: true, ..trace.clone() };
        let told = hashed.check("s3://lake/", |_| None).unwrap_err();
        assert!(told.message().contains("names are hashed"), "{}", told.message());
        for wrong in ["0", "-1", "NaN", "fast"] {
            assert!(factor(wrong).unwrap_err().contains("such as 2"));
        }
    }

    #[test]
    fn only_what_the_replay_wrote_is_removed_and_nothing_is_replaced() {
        let all = (None, None);
        let trace = gathered(
            TraceLevel::Call,
            vec![
                entry(TraceOp::Put, "new", (None, Some(10))),
                entry(TraceOp::Get, "new", all),
                entry(TraceOp::Delete, "new", all),
                entry(TraceOp::Delete, "precious", all),
                entry(TraceOp::Other, "", all),
                entry(TraceOp::Head, "old", all),
            ],
        );
        let ops: Vec<_> = trace.calls.iter().map(|call| (call.op, &*call.key)).collect();
        let expected = [(Op::Put, "new"), (Op::Get, "new"), (Op::Delete, "new"), (Op::Head, "old")];
        assert_eq!(ops, expected);
        assert_eq!(trace.needed().collect::<Vec<_>>(), [("old", 0)]);
        assert_eq!(trace.made().collect::<Vec<_>>(), [("old", UNKNOWN)]);
        assert_eq!(trace.written().collect::<Vec<_>>(), ["new"]);
        assert_eq!(trace.notes.len(), 2, "{:?}", trace.notes);
        let there = |_: &str| Some(1);
        let told = trace.check("s3://lake/", there).unwrap_err();
        assert!(
            told.message().contains("would replace what is below s3://lake/: new;"),
            "{}",
            told.message()
        );
    }

    #[test]
    fn a_write_by_parts_is_one_call_or_its_parts() {
        let upload = |detail: &str, length| {
            let mut entry = entry(TraceOp::Multipart, "up", (None, length));
            entry.detail = detail.to_owned();
            entry
        };
        let entries = vec![
            entry(TraceOp::Get, "a", (None, Some(8))),
            entry(TraceOp::Get, "a", (Some(90), None)),
            upload("upload", None),
            upload("put_part", Some(5)),
            upload("put_part", Some(6)),
            upload("commit_upload", Some(11)),
            upload("MULTIPARTPUT", Some(7)),
        ];
        let made = |level| {
            let trace = gathered(level, entries.clone());
            let replay = trace.replay("", Pace::Times(1.0), |_| Some(100), |_| true);
            let told = |task: Task| (task.op, task.key.to_string(), task.range, task.size);
            tasks(&replay).into_iter().map(told).collect::<Vec<_>>()
        };
        let reads = [
            (Op::Get, "a".to_owned(), Some(92..100), 8),
            (Op::Get, "a".to_owned(), Some(90..100), 10),
        ];
        let whole =
            [(Op::Multipart, "up".to_owned(), None, 11), (Op::Multipart, "up".to_owned(), None, 7)];
        assert_eq!(made(TraceLevel::Call), [&reads[..], &whole].concat());
        let parts = [
            (Op::Put, "up.part-1".to_owned(), None, 5),
            (Op::Put, "up.part-2".to_owned(), None, 6),
        ];
        assert_eq!(made(TraceLevel::Attempt), [&reads[..], &parts].concat());
    }

    #[tokio::test]
    async fn a_read_waits_for_the_write_that_it_depends_on() {
        let written = entry(TraceOp::Put, "new", (None, Some(1)));
        let read = entry(TraceOp::Get, "new", (None, None));
        let trace = gathered(TraceLevel::Call, vec![written, read.clone(), read]);
        let mut tasks = tasks(&trace.replay("", Pace::AsFastAsItGoes, |_| None, |_| true));
        let mut turns = tasks.iter_mut().map(|task| task.turn.take().unwrap());
        let (first, second) = (turns.next().unwrap(), turns.next().unwrap());
        let first = first.come().await;
        let mut waiting = Box::pin(second.come());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(first);
        drop(waiting.await);
        turns.next().unwrap().come().await;
    }

    #[test]
    fn several_workers_share_a_trace_by_its_names() {
        let entries =
            (0..100).map(|n| entry(TraceOp::Get, &format!("k{}", n % 10), (Some(0), Some(1))));
        let trace = gathered(TraceLevel::Call, entries.collect());
        let odd = |key: &str| key.ends_with(['1', '3', '5', '7', '9']);
        let mine = tasks(&trace.replay("", Pace::AsFastAsItGoes, |_| None, odd));
        let rest = tasks(&trace.replay("", Pace::AsFastAsItGoes, |_| None, |key| !odd(key)));
        assert_eq!((mine.len(), rest.len()), (50, 50));
    }
}
