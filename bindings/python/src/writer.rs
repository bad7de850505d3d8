// SPDX-License-Identifier: Apache-2.0
//! An object written piece by piece.

use crate::blocking::{wait, wait_for};
use crate::buffer::bytes_of;
use crate::ending::Inside;
use crate::error::{closed, plain, raised};
use crate::meta::ObjectMeta;
use crate::open_writer::{OpenWriter, State};
use crate::process::Process;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use storescope_bindings::lock::locked;

/// An object under writing, made by `Store.writer`. It is there once `close` has returned, and nobody sees it before. A
/// `with` closes it, or aborts where it ends by an exception; aborted, it leaves nothing behind. One that is dropped
/// unclosed, or open when the interpreter ends, is not made, and an error of the logger `storescope` says so.
#[pyclass(frozen, weakref, module = "storescope")]
pub(crate) struct Writer {
    written: AtomicU64,
    open: Arc<OpenWriter>,
    /// The exception that was being handled when it was made.
    handled: Option<Py<PyAny>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.open.give_up());
    }
}

impl Writer {
    /// The URL of the object, for people.
    fn shown(&self) -> std::borrow::Cow<'_, str> {
        storescope::escaped(&self.open.url)
    }

    pub(crate) fn new(py: Python<'_>, writer: storescope::Writer, url: String) -> PyResult<Writer> {
        let handled = handled(py)?;
        let open = Arc::new(OpenWriter::new(writer, url));
        Process::current(py)?.watch(&open);
        Ok(Writer { written: AtomicU64::new(0), open, handled })
    }

    /// The writer, which is nobody else's until it is given back. Where a wait with it is interrupted, it is dropped, and
    /// so aborted.
    fn take(&self, py: Python<'_>, then: State) -> PyResult<storescope::Writer> {
        let mut state = locked(&self.open.state);
        match std::mem::replace(&mut *state, then) {
            State::Open(writer) => writer.take().ok_or_else(|| {
                *state = State::Closed;
                PyValueError::new_err(format!(
                    "{}: the write was begun before a fork",
                    self.shown()
                ))
            }),
            State::Busy => {
                *state = State::Busy;
                Err(PyValueError::new_err(format!("{}: another thread writes", self.shown())))
            }
            State::Closed => {
                *state = State::Closed;
                Err(closed(self.url()))
            }
            State::Lost(error) => {
                *state = State::Lost(error.clone());
                drop(state);
                Err(self.lost(py, error.as_ref()))
            }
        }
    }

    /// What a wait with the writer came to. A failure ends the write.
    fn settled<T>(&self, py: Python<'_>, ended: PyResult<storescope::Result<T>>) -> PyResult<T> {
        let failed = match ended {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => Ok(error),
            Err(interrupted) => Err(interrupted),
        };
        *locked(&self.open.state) = State::Lost(failed.as_ref().ok().cloned());
        Err(failed.map_or_else(|interrupted| interrupted, |error| raised(py, &error)))
    }

    fn lost(&self, py: Python<'_>, error: Option<&storescope::Error>) -> PyErr {
        error.map_or_else(
            || {
                plain(
                    py,
                    "Other",
                    &format!("{} was not written: its write was given up before", self.shown()),
                )
            },
            |error| raised(py, error),
        )
    }
}

/// The exception that is being handled on this thread.
fn handled(py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
    let _inside = Inside::enter(py)?;
    let exception = py.import("sys")?.call_method0("exception")?;
    Ok((!exception.is_none()).then(|| exception.unbind()))
}

/// Whether some object is being finalised on this thread: a `__del__` runs.
fn finalizing(py: Python<'_>) -> PyResult<bool> {
    let _inside = Inside::enter(py)?;
    // No frame at all: a thread that was not made by Python.
    let Ok(mut frame) = py.import("sys")?.call_method0("_getframe") else { return Ok(false) };
    while !frame.is_none() {
        if frame.getattr("f_code")?.getattr("co_name")?.eq("__del__")? {
            return Ok(true);
        }
        frame = frame.getattr("f_back")?;
    }
    Ok(false)
}

#[pymethods]
impl Writer {
    /// The URL of the object.
    #[getter]
    fn url(&self) -> &str {
        &self.open.url
    }

    /// Takes bytes; how many there were. Waits where as many parts are under way as may be. Of what can be changed by its
    /// owner a copy is made. A failure ends the write: `close` raises it, too.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let data = bytes_of(data)?;
        let length = data.len();
        let mut writer = self.take(py, State::Busy)?;
        let ended = wait(py, async move { writer.write(data).await.map(|()| writer) });
        let writer = self.settled(py, ended)?;
        *locked(&self.open.state) = State::open(writer);
        self.written.fetch_add(length as u64, Relaxed);
        Ok(length)
    }

    /// Makes the object of what was written. A second time it does nothing.
    ///
    /// Where an exception is being handled that was not when the writer was made, it aborts, and raises that exception
    /// again: wrappers that know nothing but `close` end a `with` so. `commit` makes the object nevertheless. Where a
    /// `__del__` calls it, nobody closed the writer: the object is not made.
    fn close(&self, py: Python<'_>) -> PyResult<Option<ObjectMeta>> {
        if self.closes(py)? { self.commit(py) } else { Ok(None) }
    }

    /// Makes the object of what was written, whatever exception is being handled.
    fn commit(&self, py: Python<'_>) -> PyResult<Option<ObjectMeta>> {
        if matches!(*locked(&self.open.state), State::Closed) {
            return Ok(None);
        }
        let writer = self.take(py, State::Busy)?;
        let meta = self.settled(py, wait(py, writer.finish()))?;
        *locked(&self.open.state) = State::Closed;
        Ok(Some(ObjectMeta(meta)))
    }

    /// Whether a `close` makes the object: what it does before.
    #[pyo3(name = "_closing")]
    fn closes(&self, py: Python<'_>) -> PyResult<bool> {
        if matches!(*locked(&self.open.state), State::Closed) {
            return Ok(false);
        }
        if finalizing(py)? {
            self.give_up();
            return Ok(false);
        }
        let Some(exception) = handled(py)? else { return Ok(true) };
        if self.handled.as_ref().is_some_and(|known| known.is(&exception)) {
            return Ok(true);
        }
        self.abort(py)?;
        let exception = exception.into_bound(py);
        let note =
            format!("{} was not written: it was closed while this was handled", self.shown());
        let _inside = Inside::enter(py)?;
        exception.call_method1("add_note", (note,))?;
        Err(PyErr::from_value(exception))
    }

    /// Ends a writer that was never closed.
    #[pyo3(name = "_give_up")]
    fn give_up(&self) {
        drop(self.open.give_up());
    }

    /// Called by the wrappers of `io` that nobody closed, before they close what is beneath them.
    fn _dealloc_warn(&self, source: Py<PyAny>) {
        let _ = source;
        self.give_up();
    }

    /// Discards what was written, and waits until the store has, too.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = locked(&self.open.state);
        if matches!(*state, State::Closed | State::Lost(_)) {
            *state = State::Closed;
            return Ok(());
        }
        drop(state);
        let writer = self.take(py, State::Closed)?;
        wait_for(py, writer.abort())
    }

    /// Whether it was closed or aborted, or has failed.
    #[getter]
    fn closed(&self) -> bool {
        matches!(*locked(&self.open.state), State::Closed | State::Lost(_))
    }

    /// Bytes that went in so far.
    fn tell(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Nothing: bytes are sent by parts, and seen when it is closed.
    fn flush(&self) {}

    /// Always.
    fn writable(&self) -> bool {
        true
    }

    /// Never.
    fn readable(&self) -> bool {
        false
    }

    /// Never.
    fn seekable(&self) -> bool {
        false
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind=None, value=None, traceback=None, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Py<PyAny>>,
        value: Option<Py<PyAny>>,
        traceback: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let _ = (value, traceback);
        match kind {
            None => self.commit(py).map(drop),
            Some(_) => self.abort(py),
        }
    }

    fn __repr__(&self) -> String {
        format!("<storescope.Writer {} at {}>", self.shown(), self.tell())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // A frame whose exception it holds may hold the writer.
        visit.call(&self.handled)
    }
}
