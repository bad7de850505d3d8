// SPDX-License-Identifier: Apache-2.0
//! What the crate logs (retries at debug, giving up at warning), for Java's slf4j: records wait for the Java thread that
//! also completes reads, which writes them to the logger.

use crate::completions;
use crate::process::locked;
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, Once};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// Records that may wait; what comes beyond is counted, and told with the next.
const WAITING: usize = 1000;

/// Whether debug records are wanted.
static DEBUG: AtomicBool = AtomicBool::new(false);
static LOST: AtomicUsize = AtomicUsize::new(0);
static PENDING: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

/// Records of the crate wait for Java from now on.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    // This library has a tracing of its own: nobody was before us.
    ONCE.call_once(|| drop(tracing::subscriber::set_global_default(Logging)));
}

/// The records that wait, and whether debug ones are wanted from now on: `W` or `D`, then the text.
pub(crate) fn take(debug: bool) -> Vec<Option<String>> {
    DEBUG.store(debug, Relaxed);
    let records = std::mem::take(&mut *locked(&PENDING));
    records
        .into_iter()
        .map(|(level, text)| {
            let mark = if level <= Level::WARN { 'W' } else { 'D' };
            Some(format!("{mark}{text}"))
        })
        .collect()
}

struct Logging;

impl Subscriber for Logging {
    fn register_callsite(&self, about: &'static Metadata<'static>) -> Interest {
        // Which records are wanted changes while the process runs.
        if is_ours(about) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, about: &Metadata<'_>) -> bool {
        is_ours(about) && about.is_event() && (*about.level() <= Level::INFO || DEBUG.load(Relaxed))
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let mut pending = locked(&PENDING);
        if pending.len() >= WAITING {
            LOST.fetch_add(1, Relaxed);
            return;
        }
        let mut whole = text.whole();
        let lost = LOST.swap(0, Relaxed);
        if lost > 0 {
            // Writing to memory does not fail.
            let _ = write!(whole, " ({lost} records before it were lost)");
        }
        pending.push((*event.metadata().level(), whole));
        drop(pending);
        completions::nudge();
    }

    // A span only groups events, and slf4j has no such thing.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn is_ours(about: &Metadata<'_>) -> bool {
    about.target().starts_with("storescope")
}

/// An event as one line: its message, then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn whole(self) -> String {
        match (self.message.is_empty(), self.fields.is_empty()) {
            (false, false) => format!("{}: {}", self.message, self.fields),
            (true, _) => self.fields,
            (false, true) => self.message,
        }
    }
}

impl Visit for Text {
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
