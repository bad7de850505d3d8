// SPDX-License-Identifier: Apache-2.0
//! The trace of a process: each call and each attempt of its clients, written to a file while the program runs (setting
//! `trace`).
//!
//! ```text
//!  timing: a call or attempt ends ─ Tap ─▶ Traced ─ Line ─▶ a queue, bounded ─▶ writer.rs: a thread ─▶ storescope_trace::Writer
//!                                             └ full: counted as left out
//!  file.rs  which file: one writer for each in a process, a file of its own for each process
//! ```
//!
//! It owns the queue, the thread and the file. It promises:
//! * a thread that does I/O never waits for the trace: a line that finds the queue full is left out, and counted;
//! * what was written stays readable, whatever happens: a full disk and a limit end the trace with a warning and not the
//!   program, and a file that was cut off is readable up to its last flush, at most a second before;
//! * two processes never write into one file.

mod file;
mod writer;

use crate::error::Result;
use crate::timing::{AttemptEvent, CallEvent, Connection, Outcome, Phase, Tap, now_ns};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use storescope_trace::{AttemptLine, CallLine, Line, Names, Writer};
use writer::Queue;

/// How long the end of a client waits until what it traced is written.
const GRACE: Duration = Duration::from_secs(2);

/// A client's part in a trace. Dropped, it writes what is queued, and the tally.
#[derive(Debug)]
pub(crate) struct Capture(Arc<Trace>);

/// The trace that clients of one process share.
struct Trace {
    queue: Queue,
    /// When it began, in `now_ns`.
    began: u64,
    calls: AtomicU64,
    /// The process that writes it: a child made by fork must leave it alone.
    process: u32,
}

impl Capture {
    /// Begins the trace that the settings name, or joins the one of this process that goes to the same file.
    pub(crate) fn begin(path: &Path, limit: u64, names: Names) -> Result<Capture> {
        file::shared(path, Trace::start, (limit, names)).map(Capture)
    }

    /// The trace of one bucket.
    pub(crate) fn of(&self, bucket: String) -> Arc<dyn Tap> {
        Arc::new(Traced { trace: Arc::clone(&self.0), bucket: bucket.into() })
    }

    /// Writes what is queued, and the tally: waits so long at most.
    pub(crate) fn flush(&self, grace: Duration) {
        self.0.flush(grace);
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.0.flush(GRACE);
    }
}

/// Writes what is queued for any trace of this process, and the tallies.
pub(crate) fn flush_all(grace: Duration) {
    for trace in file::all() {
        trace.flush(grace);
    }
}

impl Trace {
    fn start(file: Writer) -> Result<Trace> {
        Ok(Trace {
            queue: Queue::start(file)?,
            began: now_ns(),
            calls: AtomicU64::new(0),
            process: std::process::id(),
        })
    }

    fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    fn flush(&self, grace: Duration) {
        if self.is_ours() {
            self.queue.flush(grace);
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("process", &self.process).finish_non_exhaustive()
    }
}

/// The trace of one bucket.
#[derive(Debug)]
struct Traced {
    trace: Arc<Trace>,
    bucket: Arc<str>,
}

impl Traced {
    fn since(&self, started_ns: u64) -> u64 {
        started_ns.saturating_sub(self.trace.began)
    }
}

impl Tap for Traced {
    fn next_call(&self) -> u64 {
        self.trace.calls.fetch_add(1, Relaxed) + 1
    }

    fn call(&self, call: CallEvent) {
        let CallEvent { subject, outcome, started_ns, total_ns } = call;
        let bytes = match (subject.operation, outcome) {
            ("read" | "stream" | "get", _) => Some(subject.received),
            ("put" | "put_part", Outcome::Ok) => subject.length,
            _ => None,
        };
        let ranges = subject.ranges.into_iter().map(|range| {
            let length = (range.end < u64::MAX).then(|| range.end.saturating_sub(range.start));
            (range.start, length)
        });
        self.trace.queue.push(Line::Call(CallLine {
            call: subject.number,
            at_ns: self.since(started_ns),
            duration_ns: total_ns,
            operation: subject.operation,
            bucket: Arc::clone(&self.bucket),
            key: subject.key,
            to: subject.to,
            ranges: ranges.collect(),
            length: subject.length,
            bytes,
            outcome: outcome.as_str(),
        }));
    }

    fn attempt(&self, attempt: &AttemptEvent<'_>) {
        let phase = |phase: &Phase| Some((phase.as_str(), attempt.phase_ns(*phase)?));
        self.trace.queue.push(Line::Attempt(AttemptLine {
            call: attempt.call(),
            at_ns: self.since(attempt.started_ns),
            duration_ns: attempt.total_ns,
            operation: attempt.operation.as_str(),
            bucket: Arc::clone(&self.bucket),
            key: attempt.key.unwrap_or_default().into(),
            offset: attempt.offset,
            length: attempt.length,
            bytes: attempt.bytes,
            outcome: attempt.outcome.as_str(),
            client_request_id: attempt.client_request_id.number(),
            status: attempt.status,
            connection: match attempt.connection {
                Connection::New => Some(storescope_trace::Connection::New),
                Connection::Reused => Some(storescope_trace::Connection::Reused),
                Connection::None => None,
            },
            hedge: attempt.hedge,
            phases_ns: Phase::PARTS.iter().filter_map(phase).collect(),
        }));
    }
}
