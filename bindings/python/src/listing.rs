// SPDX-License-Identifier: Apache-2.0
//! A listing as an iterator.

use crate::blocking::wait;
use crate::error::raised;
use crate::fork::ProcessOwned;
use crate::meta::ObjectMeta;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, ReadyChunks};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::sync::Mutex;
use storescope::ListEntry;
use storescope_bindings::lock::locked;

/// What is taken of a page at once.
const CHUNK: usize = 1000;

pub(crate) type Entries = BoxStream<'static, storescope::Result<ListEntry>>;

/// A listing under way: an iterator of `ObjectMeta`, and of `str` for the prefixes of a listing with delimiter. A page is
/// asked for when the one before is used up.
#[pyclass(frozen, module = "storescope")]
pub(crate) struct Listing(Mutex<State>);

enum State {
    Open(ProcessOwned<Box<ReadyChunks<Entries>>>, VecDeque<storescope::Result<ListEntry>>),
    /// Another thread waits for its next page.
    Busy,
    Over,
}

impl Listing {
    pub(crate) fn new(entries: Entries) -> Listing {
        let entries = Box::new(entries.ready_chunks(CHUNK));
        Listing(Mutex::new(State::Open(ProcessOwned::new(entries), VecDeque::new())))
    }
}

#[pymethods]
impl Listing {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let was = std::mem::replace(&mut *locked(&self.0), State::Busy);
        let (entries, mut page) = match was {
            State::Open(entries, page) => (entries, page),
            State::Busy => {
                return Err(PyValueError::new_err("the listing is read by another thread"));
            }
            State::Over => {
                *locked(&self.0) = State::Over;
                return Ok(None);
            }
        };
        if page.is_empty() {
            let Some(mut stream) = entries.take() else {
                *locked(&self.0) = State::Over;
                return Err(PyRuntimeError::new_err(
                    "the listing was begun before a fork: begin anew",
                ));
            };
            // Where the wait is interrupted, the listing is over.
            *locked(&self.0) = State::Over;
            let next = wait(py, async {
                let next = stream.next().await;
                (stream, next)
            })?;
            let (stream, Some(chunk)) = next else { return Ok(None) };
            return self.hand_out(py, ProcessOwned::new(stream), chunk.into());
        }
        self.hand_out(py, entries, std::mem::take(&mut page))
    }
}

impl Listing {
    fn hand_out(
        &self,
        py: Python<'_>,
        entries: ProcessOwned<Box<ReadyChunks<Entries>>>,
        mut page: VecDeque<storescope::Result<ListEntry>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let first = page.pop_front();
        match first {
            Some(Ok(entry)) => {
                *locked(&self.0) = State::Open(entries, page);
                entry_of(py, entry).map(Some)
            }
            Some(Err(error)) => {
                *locked(&self.0) = State::Over;
                Err(raised(py, &error))
            }
            None => Ok(None),
        }
    }
}

/// An `ObjectMeta`, or the `str` of a prefix.
pub(crate) fn entry_of(py: Python<'_>, entry: ListEntry) -> PyResult<Py<PyAny>> {
    match entry {
        ListEntry::Object(meta) => Ok(Py::new(py, ObjectMeta(meta))?.into_any()),
        ListEntry::Prefix(prefix) => Ok(prefix.into_pyobject(py)?.into_any().unbind()),
        _ => Err(PyRuntimeError::new_err("a listing named what this version does not know")),
    }
}
