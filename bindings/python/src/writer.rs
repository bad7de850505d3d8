// SPDX-License-Identifier: Apache-2.0
//! An object written piece by piece.

use crate::buffer::bytes_of;
use crate::error::{closed, raised};
use crate::meta::ObjectMeta;
use crate::process::{Native, Process, locked, wait, wait_for};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// An object under writing, made by `Store.writer`. It is there once `close` has returned, and nobody sees it before. A
/// `with` closes it, or aborts where it ends by an exception; dropped or aborted, it leaves nothing behind.
#[pyclass(frozen, weakref, module = "storescope")]
pub(crate) struct Writer {
    url: String,
    written: AtomicU64,
    open: Arc<OpenWriter>,
}

/// The crate's writer, as long as it is open.
pub(crate) struct OpenWriter(Mutex<State>);

impl OpenWriter {
    /// Whether a thread waits with it.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(*locked(&self.0), State::Busy)
    }

    /// The writer, if it is open and nobody is at it.
    pub(crate) fn take(&self) -> Option<storescope::Writer> {
        match std::mem::replace(&mut *locked(&self.0), State::Closed) {
            State::Open(writer) => writer.take(),
            State::Busy | State::Closed => None,
        }
    }
}

enum State {
    Open(Box<Native<storescope::Writer>>),
    /// A thread waits in `write` or `close`.
    Busy,
    Closed,
}

impl Writer {
    pub(crate) fn new(py: Python<'_>, writer: storescope::Writer, url: String) -> PyResult<Writer> {
        let state = Mutex::new(State::Open(Box::new(Native::new(writer))));
        let open = Arc::new(OpenWriter(state));
        Process::current(py)?.watch(&open);
        Ok(Writer { url, written: AtomicU64::new(0), open })
    }

    /// The writer, which is nobody else's until it is given back. Where a wait with it is interrupted, it is dropped, and
    /// so aborted.
    fn take(&self, then: State) -> PyResult<storescope::Writer> {
        let was = std::mem::replace(&mut *locked(&self.open.0), then);
        match was {
            State::Open(writer) => writer.take().ok_or_else(|| {
                *locked(&self.open.0) = State::Closed;
                PyValueError::new_err(format!("{}: the write was begun before a fork", self.url))
            }),
            State::Busy => {
                *locked(&self.open.0) = State::Busy;
                Err(PyValueError::new_err(format!("{}: another thread writes", self.url)))
            }
            State::Closed => {
                *locked(&self.open.0) = State::Closed;
                Err(closed(&self.url))
            }
        }
    }
}

#[pymethods]
impl Writer {
    /// The URL of the object.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// Takes bytes; how many there were. Waits where as many parts are under way as may be. Of what can be changed by its
    /// owner a copy is made. A failure ends the write.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let data = bytes_of(data)?;
        let length = data.len();
        let mut writer = self.take(State::Busy)?;
        let ended = wait(py, async move { (writer.write(data).await, writer) });
        let mut state = locked(&self.open.0);
        *state = State::Closed;
        let (taken, writer) = ended?;
        taken.map_err(|error| raised(py, &error))?;
        *state = State::Open(Box::new(Native::new(writer)));
        self.written.fetch_add(length as u64, Relaxed);
        Ok(length)
    }

    /// Makes the object of what was written. A second time it does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<Option<ObjectMeta>> {
        if self.closed() {
            return Ok(None);
        }
        let writer = self.take(State::Closed)?;
        wait_for(py, writer.finish()).map(|meta| Some(ObjectMeta(meta)))
    }

    /// Discards what was written, and waits until the store has, too.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        if self.closed() {
            return Ok(());
        }
        let writer = self.take(State::Closed)?;
        wait_for(py, writer.abort())
    }

    /// Whether it was closed or aborted, or has failed.
    #[getter]
    fn closed(&self) -> bool {
        matches!(*locked(&self.open.0), State::Closed)
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
            None => self.close(py).map(drop),
            Some(_) => self.abort(py),
        }
    }

    fn __repr__(&self) -> String {
        format!("<storescope.Writer {} at {}>", self.url, self.tell())
    }
}
