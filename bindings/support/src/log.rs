// SPDX-License-Identifier: Apache-2.0
//! The log records of the library (retries at debug, giving up at warning), for the logging of the host.
//!
//! A record is made on the thread that logs, often one of the runtime, which must neither wait nor call the host. It goes
//! to a queue of the binding's ([`RecordQueue`]), whose own thread hands it over.

use std::borrow::Cow;
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as Fields};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// Records that may wait for the host. Further ones are counted, and the next that is handed over tells how many were lost.
const MAX_WAITING: usize = 1000;

/// Whether the host wants debug records.
static DEBUG: AtomicBool = AtomicBool::new(false);

/// The queue of a binding.
pub trait RecordQueue: Send + Sync + 'static {
    /// Whether records can be queued now. Otherwise they are dropped and not counted.
    fn is_ready(&self) -> bool {
        true
    }

    /// Queues a record. It must not block.
    fn queue(&self, record: Record);
}

/// A record that waits for the host. It counts as waiting until it is dropped.
#[derive(Debug)]
pub struct Record {
    level: Level,
    text: String,
    place: Place,
}

impl Record {
    /// Its level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// What the host is handed: its message and its fields, on one line, and how many records were lost since the last that
    /// was handed over.
    pub fn into_text(self) -> String {
        match self.place.0.lost.swap(0, Relaxed) {
            0 => self.text,
            lost => format!("{} ({lost} records before it were lost)", self.text),
        }
    }
}

/// Sends the records of this process to `sink` from now on. Only the first call counts.
pub fn install(sink: impl RecordQueue) {
    static ONCE: Once = Once::new();
    // The binding's library has a tracing of its own: no other subscriber was set before.
    ONCE.call_once(|| drop(tracing::subscriber::set_global_default(Forwarder::new(sink))));
}

/// Says whether debug records are wanted. At first they are not.
pub fn want_debug(wanted: bool) {
    DEBUG.store(wanted, Relaxed);
}

/// The subscriber that forwards events to a sink.
struct Forwarder<S> {
    sink: S,
    backlog: Arc<Backlog>,
}

impl<S> Forwarder<S> {
    fn new(sink: S) -> Forwarder<S> {
        Forwarder { sink, backlog: Arc::default() }
    }
}

impl<S: RecordQueue> Subscriber for Forwarder<S> {
    fn register_callsite(&self, about: &'static Metadata<'static>) -> Interest {
        // Which records are wanted changes while the process runs.
        if is_ours(about) { Interest::sometimes() } else { Interest::never() }
    }

    // A span only groups events, which the hosts' loggers do not do.
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        is_ours(about) && about.is_event() && (*about.level() <= Level::INFO || DEBUG.load(Relaxed))
    }

    fn event(&self, event: &Event<'_>) {
        if !self.sink.is_ready() {
            return;
        }
        let Some(place) = self.backlog.take_place() else { return };
        let mut line = Line::default();
        event.record(&mut line);
        let level = *event.metadata().level();
        self.sink.queue(Record { level, text: line.into_text(), place });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Fields<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn is_ours(about: &Metadata<'_>) -> bool {
    about.target().starts_with("storescope")
}

/// How many records wait, and how many found no place.
#[derive(Debug, Default)]
struct Backlog {
    waiting: AtomicUsize,
    lost: AtomicUsize,
}

impl Backlog {
    fn take_place(self: &Arc<Self>) -> Option<Place> {
        if self.waiting.fetch_add(1, Relaxed) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Relaxed);
            self.lost.fetch_add(1, Relaxed);
            return None;
        }
        Some(Place(Arc::clone(self)))
    }
}

/// The place of one record in the backlog.
#[derive(Debug)]
struct Place(Arc<Backlog>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// An event as one line: its message, then its fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn into_text(self) -> String {
        let text = match (self.message.is_empty(), self.fields.is_empty()) {
            (false, false) => format!("{}: {}", self.message, self.fields),
            (true, _) => self.fields,
            (false, true) => self.message,
        };
        // A log is read in a terminal, and what stands in it may be an object's name.
        match storescope::escaped(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(shown) => shown,
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let (text, name) = if field.name() == "message" {
            (&mut self.message, "")
        } else {
            (&mut self.fields, field.name())
        };
        let between = if text.is_empty() { "" } else { " " };
        let equals = if name.is_empty() { "" } else { "=" };
        // Writing to memory does not fail.
        let _ = write!(text, "{between}{name}{equals}{value:?}");
    }
}

#[cfg(test)]
mod tests;
