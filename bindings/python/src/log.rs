// SPDX-License-Identifier: Apache-2.0
//! What the crate logs (retries at debug, giving up at warning) as records of Python's `logging`, logger `storescope`.
//!
//! Threads of the runtime hand a record to the dispatcher and go on; the GIL is not theirs to take. Whether debug records
//! are wanted is asked of the logger by those who hold the GIL anyway, when a call begins.

use crate::dispatch::Call;
use crate::ending::Inside;
use crate::process::Process;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::fmt::{Debug, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// Records that may wait for the GIL; what comes beyond is counted, and told with the next.
const WAITING: usize = 1000;

static DEBUG: AtomicBool = AtomicBool::new(false);

/// Records of the crate go to Python from now on.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    // This library has a tracing of its own: nobody was before us.
    ONCE.call_once(|| drop(tracing::subscriber::set_global_default(Logging)));
}

/// Looks whether debug records are wanted. It fails where a signal's handler raises meanwhile.
pub(crate) fn refresh(py: Python<'_>) -> PyResult<()> {
    let _inside = Inside::enter(py)?;
    let wanted = logger(py)?.call_method1("isEnabledFor", (10,))?.is_truthy()?;
    DEBUG.store(wanted, Relaxed);
    Ok(())
}

fn logger(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOGGER
        .get_or_try_init(py, || {
            Ok(py.import("logging")?.call_method1("getLogger", ("storescope",))?.unbind())
        })
        .map(|logger| logger.bind(py))
}

static PENDING: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicUsize = AtomicUsize::new(0);

struct Logging;

impl Subscriber for Logging {
    fn register_callsite(&self, about: &'static Metadata<'static>) -> Interest {
        // Which records are wanted changes while the process runs.
        if is_ours(about) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, about: &Metadata<'_>) -> bool {
        is_ours(about) && (*about.level() <= Level::INFO || DEBUG.load(Relaxed))
    }

    fn event(&self, event: &Event<'_>) {
        let Some(dispatcher) = Process::running().and_then(Process::has_dispatcher) else { return };
        if PENDING.fetch_add(1, Relaxed) >= WAITING {
            PENDING.fetch_sub(1, Relaxed);
            LOST.fetch_add(1, Relaxed);
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let level = level_of(*event.metadata().level());
        dispatcher.run(move |py| {
            PENDING.fetch_sub(1, Relaxed);
            telling(py, level, &text.whole()).map(Some)
        });
    }

    // A span only groups events, and logging has no such thing.
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

/// The number by which `logging` knows a level.
fn level_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        _ => 10,
    }
}

fn telling(py: Python<'_>, level: u8, text: &str) -> PyResult<Call> {
    let lost = LOST.swap(0, Relaxed);
    let text = if lost > 0 {
        format!("{text} ({lost} records before it were lost)")
    } else {
        text.to_owned()
    };
    let log = logger(py)?.getattr("log")?.unbind();
    Ok((log, (level, "%s", text).into_pyobject(py)?.unbind()))
}

/// An event as one line: its message, then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn whole(&self) -> String {
        match (self.message.is_empty(), self.fields.is_empty()) {
            (false, false) => format!("{}: {}", self.message, self.fields),
            (true, _) => self.fields.clone(),
            (false, true) => self.message.clone(),
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
