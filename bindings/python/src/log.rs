// SPDX-License-Identifier: Apache-2.0
//! What the crate logs (retries at debug, giving up at warning) as records of Python's `logging`, logger `storescope`.
//!
//! Threads of the runtime hand a record to the dispatcher and go on; the GIL is not theirs to take. Whether debug records
//! are wanted is asked of the logger by those who hold the GIL anyway, when a call begins.

use crate::dispatch::Dispatcher;
use crate::ending::Inside;
use crate::process::Process;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use storescope_bindings::log::{Record, RecordQueue, install as install_sink, want_debug};
use tracing::Level;

/// Records of the crate go to Python from now on, as soon as the dispatcher runs.
pub(crate) fn install() {
    install_sink(DispatcherQueue);
}

/// Looks whether debug records are wanted. It fails where a signal's handler raises meanwhile.
pub(crate) fn refresh(py: Python<'_>) -> PyResult<()> {
    let _inside = Inside::enter(py)?;
    let wanted = logger(py)?.call_method1("isEnabledFor", (10,))?.is_truthy()?;
    want_debug(wanted);
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

/// Hands records to the dispatcher, where it runs.
struct DispatcherQueue;

fn dispatcher() -> Option<&'static Dispatcher> {
    Process::running().and_then(Process::has_dispatcher)
}

impl RecordQueue for DispatcherQueue {
    fn is_ready(&self) -> bool {
        dispatcher().is_some()
    }

    fn queue(&self, record: Record) {
        let Some(dispatcher) = dispatcher() else { return };
        dispatcher.run(move |py| {
            let log = logger(py)?.getattr("log")?.unbind();
            let told = (level_of(record.level()), "%s", record.into_text());
            Ok(Some((log, told.into_pyobject(py)?.unbind())))
        });
    }
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
