// SPDX-License-Identifier: Apache-2.0
//! The queue of a trace, and the thread that empties it into the file.

use crate::error::{ErrorKind, Failure, Result};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use storescope_trace::{Line, Writer, Written};

/// Lines that wait at most, some tens of megabytes.
const MOST: usize = 1 << 16;

/// How long a line may wait in memory.
const FLUSH: Duration = Duration::from_secs(1);

/// Where lines are put.
#[derive(Debug)]
pub(super) struct Queue {
    messages: Sender<Message>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicUsize,
    left_out: AtomicU64,
}

enum Message {
    Line(Line),
    /// Write all that came before, and the tally, and say so.
    Flush(Sender<()>),
}

impl Queue {
    /// Starts the thread. It ends with the queue.
    pub(super) fn start(file: Writer) -> Result<Queue> {
        let (messages, received) = channel();
        let counts = Arc::new(Counts::default());
        let thread = Emptying { file, counts: Arc::clone(&counts), warned: false };
        std::thread::Builder::new()
            .name("storescope-trace".to_owned())
            .spawn(move || thread.run(&received))
            .map_err(|error| {
                Failure::new(ErrorKind::Exhausted)
                    .message("no thread could be started that writes the trace")
                    .source(error)
            })?;
        Ok(Queue { messages, counts })
    }

    /// Puts a line in, or counts it as left out.
    pub(super) fn push(&self, line: Line) {
        if self.counts.waiting.fetch_add(1, Relaxed) < MOST
            && self.messages.send(Message::Line(line)).is_ok()
        {
            return;
        }
        self.counts.waiting.fetch_sub(1, Relaxed);
        self.counts.left_out.fetch_add(1, Relaxed);
    }

    /// Waits until all lines put in before are in the file, and the tally; so long at most.
    pub(super) fn flush(&self, grace: Duration) {
        let (done, is_done) = channel();
        if self.messages.send(Message::Flush(done)).is_ok() {
            let _ = is_done.recv_timeout(grace);
        }
    }
}

/// The thread.
struct Emptying {
    file: Writer,
    counts: Arc<Counts>,
    warned: bool,
}

impl Emptying {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut due: Option<Instant> = None;
        loop {
            let message = match due {
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => messages.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match message {
                Ok(Message::Line(line)) => {
                    self.counts.waiting.fetch_sub(1, Relaxed);
                    let written = self.file.write(&line);
                    self.note(&written);
                    let next = due.unwrap_or_else(|| Instant::now() + FLUSH);
                    due = self.file.is_pending().then_some(next);
                }
                Ok(Message::Flush(done)) => {
                    self.end();
                    due = None;
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {
                    let written = self.file.flush();
                    self.note(&written);
                    due = None;
                }
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            }
        }
    }

    fn end(&mut self) {
        self.file.leave_out(self.counts.left_out.swap(0, Relaxed));
        let written = self.file.end();
        self.note(&written);
    }

    /// Warns once when nothing more is written.
    fn note(&mut self, written: &io::Result<Written>) {
        if self.warned || matches!(written, Ok(Written::Yes)) {
            return;
        }
        self.warned = true;
        let path = self.file.path().display();
        match written {
            Err(error) => tracing::warn!(
                "the trace {path} cannot be written any more: {error}; what was written stays, and the program goes on"
            ),
            Ok(_) => tracing::warn!(
                "the trace {path} has reached its limit (trace_limit): what comes from now on is counted, and not written"
            ),
        }
    }
}
