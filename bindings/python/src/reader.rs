// SPDX-License-Identifier: Apache-2.0
//! One object under reading.

use crate::awaitable::{awaitable, awaitable_of};
use crate::blocking::wait_for;
use crate::buffer::{Buffer, shared};
use crate::call_options::spans;
use crate::dispatch::{DeferredDrop, Dispatcher};
use crate::ending::{self, Inside};
use crate::error::{closed, plain, raised};
use crate::fork::ProcessOwned;
use crate::log;
use crate::options::seconds;
use crate::process::Process;
use crate::scope;
use crate::store::Store;
use crate::task::OpenedIn;
use bytes::Bytes;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use storescope::{Error, ReadOptions, ReadPolicy, escaped};
use storescope_bindings::lock::locked;
use tokio::task::AbortHandle;

/// One object under reading: a `pread` that any number of threads may use, with readahead and one budget of memory. Made by
/// `Store.reader`. All reads are of one version of the object; one that changes meanwhile is `ObjectChangedError`.
///
/// Offsets and sizes are bytes; a range is from `start` to before `stop`.
#[pyclass(frozen, weakref, module = "storescope")]
pub(crate) struct Reader {
    store: Py<Store>,
    key: String,
    url: String,
    size: Option<u64>,
    etag: Option<String>,
    policy: String,
    deadline: Option<f64>,
    options: ReadOptions,
    opened_in: OpenedIn,
    closed: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reader: Option<ProcessOwned<storescope::Reader>>,
    /// Reads by callbacks that were begun.
    begun: Vec<AbortHandle>,
}

impl Reader {
    pub(crate) fn open(
        store: &Bound<'_, Store>,
        key: String,
        size: Option<u64>,
        etag: Option<String>,
        policy: &str,
        deadline: Option<f64>,
    ) -> PyResult<Reader> {
        let known = ReadPolicy::from_names(policy).ok_or_else(|| {
            PyValueError::new_err(format!(
                "policy: expected adaptive, sequential, random, vector, whole-file or parquet, not {policy:?}"
            ))
        })?;
        let mut options = ReadOptions::new().policy(known);
        if let Some(size) = size {
            options = options.size(size);
        }
        if let Some(etag) = &etag {
            options = options.etag(etag);
        }
        if let Some(deadline) = seconds(deadline)? {
            options = options.deadline(deadline);
        }
        let reader = Reader {
            url: store.get().url_of(&key),
            store: store.clone().unbind(),
            key,
            size,
            etag,
            policy: policy.to_owned(),
            deadline,
            options,
            opened_in: OpenedIn::current(store.py())?,
            closed: Arc::default(),
            state: Mutex::default(),
        };
        reader.by_itself(store.py())?;
        Ok(reader)
    }

    /// The crate's reader, of this process, recorded in the scope of the context that runs here, and in the task.
    fn reader(&self, py: Python<'_>) -> PyResult<storescope::Reader> {
        let reader = self.by_itself(py)?;
        // A reader may be older than the profile it is used in, and younger than one that has ended.
        let reader = match scope::current(py)? {
            Some(scope) => reader.with_scope(&scope),
            None => reader,
        };
        Ok(match self.opened_in.used_in(py)? {
            Some(task) => reader.also_in(task.scope()),
            None => reader,
        })
    }

    /// The crate's reader, of this process, recorded in the store's own scope.
    fn by_itself(&self, py: Python<'_>) -> PyResult<storescope::Reader> {
        if self.closed.load(SeqCst) {
            return Err(closed(&self.url));
        }
        let known = locked(&self.state).reader.as_ref().and_then(ProcessOwned::get).cloned();
        if let Some(reader) = known {
            return Ok(reader);
        }
        let reader = self.store.get().by_itself(py)?.reader(&self.key, self.options.clone());
        locked(&self.state).reader = Some(ProcessOwned::new(reader.clone()));
        Ok(reader)
    }
}

#[pymethods]
impl Reader {
    /// The object's name, below the store's prefix.
    #[getter]
    fn key(&self) -> &str {
        &self.key
    }

    /// The object's URL.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// The object's size in bytes: as it was told, else as the first answer says; before that it is asked for.
    #[getter]
    fn size(&self, py: Python<'_>) -> PyResult<u64> {
        let reader = self.by_itself(py)?;
        if let Some(size) = self.size.or_else(|| reader.known().map(|meta| meta.size)) {
            return Ok(size);
        }
        let reader = self.reader(py)?;
        wait_for(py, async { reader.meta().await.map(|meta| meta.size) })
    }

    /// The object's ETag, told or asked for as the size is.
    #[getter]
    fn etag(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let reader = self.by_itself(py)?;
        if self.etag.is_some() {
            return Ok(self.etag.clone());
        }
        if let Some(meta) = reader.known() {
            return Ok(meta.etag.clone());
        }
        let reader = self.reader(py)?;
        wait_for(py, async { reader.meta().await.map(|meta| meta.etag.clone()) })
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// The bytes from `start` to before `stop`; fewer only where the object ends. A range that begins past the end is a
    /// `ValueError`.
    fn read_at(&self, py: Python<'_>, start: u64, stop: u64) -> PyResult<Buffer> {
        let reader = self.reader(py)?;
        wait_for(py, reader.read_at(start..stop)).map(Buffer::from)
    }

    /// `read_at`, awaited.
    fn read_at_async<'py>(
        &self,
        py: Python<'py>,
        start: u64,
        stop: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reader = self.reader(py)?;
        awaitable_of(py, async move { reader.read_at(start..stop).await }, shared)
    }

    /// Fills a writable buffer with the bytes from `offset` on; how many there were. Fewer than it holds only where the
    /// object ends, 0 at or past its end.
    fn read_into(&self, py: Python<'_>, offset: u64, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let reader = self.reader(py)?;
        // The buffer's owner may be Python code, when it gives it out and when it gets it back.
        let _inside = Inside::enter(py)?;
        let view = PyUntypedBuffer::get(buffer)?;
        if view.readonly() || !view.is_c_contiguous() {
            return Err(PyBufferError::new_err("a writable buffer in one piece is needed"));
        }
        let into: &mut [u8] = match view.len_bytes() {
            0 => &mut [],
            #[allow(unsafe_code)]
            // SAFETY: the view holds so many bytes there, in one piece, writable, and it keeps them where they are until it
            // is released, after the wait. Others may look at them meanwhile, as with any `readinto`.
            length => unsafe { std::slice::from_raw_parts_mut(view.buf_ptr().cast(), length) },
        };
        let filled = wait_for(py, reader.read_into(offset, into));
        drop(view);
        filled
    }

    /// Reads many ranges; returns at once. `on_part(index, result)` is called exactly once for each range, from a thread in
    /// the background, as each arrives: `result` is a `Buffer`, or an exception (also after `cancel`, `close`, and at the
    /// interpreter's end). Near ranges share a request, far ones are asked for at once; they may overlap, in any order.
    fn read_ranges(
        &self,
        py: Python<'_>,
        ranges: Vec<(u64, u64)>,
        on_part: Py<PyAny>,
    ) -> PyResult<RangesRead> {
        ending::refuse(py)?;
        let (reader, process) = (self.reader(py)?, Process::current(py)?);
        log::refresh(py)?;
        let dispatcher = process.dispatcher(py)?;
        let mut parts = Parts {
            dispatcher,
            on_part: Arc::new(DeferredDrop::new(on_part, dispatcher)),
            told: vec![false; ranges.len()],
            url: self.url.clone(),
            closed: Arc::clone(&self.closed),
            failed: None,
        };
        let ranges = spans(ranges);
        let task = process.handle().spawn(async move {
            let mut arriving = reader.read_ranges(&ranges);
            while let Some((number, bytes)) = arriving.next().await {
                parts.tell(number, bytes);
            }
        });
        let read = task.abort_handle();
        let mut state = locked(&self.state);
        state.begun.retain(|begun| !begun.is_finished());
        state.begun.push(read.clone());
        Ok(RangesRead(read))
    }

    /// Reads many ranges, awaited: a list of buffers in their order. Fails as soon as one does.
    fn read_ranges_async<'py>(
        &self,
        py: Python<'py>,
        ranges: Vec<(u64, u64)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reader = self.reader(py)?;
        let all = async move { reader.read_ranges(&spans(ranges)).all().await };
        awaitable(py, all, |py, all| {
            let all = all.map_err(|error| raised(py, &error))?;
            let all: Vec<Buffer> = all.into_iter().map(Buffer::from).collect();
            Ok(all.into_pyobject(py)?.unbind())
        })
    }

    /// Says which ranges will be read next, in this order: they are fetched as there is room. Those that are not read are
    /// bytes fetched in vain.
    fn hint(&self, py: Python<'_>, ranges: Vec<(u64, u64)>) -> PyResult<()> {
        self.reader(py)?.hint(&spans(ranges));
        Ok(())
    }

    /// Ends it: reads by callbacks that are under way are told so, those that come raise `OSError`. A second time it does
    /// nothing.
    fn close(&self) {
        self.closed.store(true, SeqCst);
        let State { reader, begun } = std::mem::take(&mut *locked(&self.state));
        for read in begun {
            read.abort();
        }
        drop(reader);
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_arguments))]
    fn __exit__(&self, _arguments: &Bound<'_, PyTuple>) {
        self.close();
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let (py, this) = (slf.py(), slf.get());
        let _inside = Inside::enter(py)?;
        let open = py.import("storescope._pickle")?.getattr("_open_reader")?;
        let about = (&this.store, &this.key, this.size, &this.etag, &this.policy, this.deadline);
        (open, about).into_pyobject(py)
    }

    fn __repr__(&self) -> String {
        let closed = if self.closed() { " (closed)" } else { "" };
        format!("<storescope.Reader {}{closed}>", escaped(&self.url))
    }
}

/// Ranges under way, as `Reader.read_ranges` returns them.
#[pyclass(frozen, module = "storescope")]
pub(crate) struct RangesRead(AbortHandle);

#[pymethods]
impl RangesRead {
    /// Gives up what has not arrived: each such range is told an exception.
    fn cancel(&self) {
        self.0.abort();
    }
}

/// Who is told of each range: once, however the read ends. What was not told when it is dropped is told then.
struct Parts {
    dispatcher: &'static Dispatcher,
    on_part: Arc<DeferredDrop>,
    told: Vec<bool>,
    url: String,
    closed: Arc<AtomicBool>,
    /// What failed as a whole.
    failed: Option<Error>,
}

impl Parts {
    fn tell(&mut self, number: usize, result: storescope::Result<Bytes>) {
        if let Err(error) = &result {
            if ending::has_begun() {
                // It is told that it was cancelled, when this is dropped.
                return;
            }
            self.failed = Some(error.clone());
        }
        if !std::mem::replace(&mut self.told[number], true) {
            self.call(number, move |py| match result {
                Ok(bytes) => shared(py, bytes),
                Err(error) => Ok(raised(py, &error).into_value(py).into_any()),
            });
        }
    }

    fn call(
        &self,
        number: usize,
        result: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
    ) {
        let on_part = Arc::clone(&self.on_part);
        self.dispatcher.run(move |py| {
            let arguments = (number, result(py)?).into_pyobject(py)?.unbind();
            Ok(on_part.get(py).map(|on_part| (on_part, arguments)))
        });
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for number in 0..self.told.len() {
            if self.told[number] {
                continue;
            }
            let (failed, url) = (self.failed.clone(), self.url.clone());
            let is_closed = self.closed.load(SeqCst);
            self.call(number, move |py| {
                let error = match failed {
                    Some(error) => raised(py, &error),
                    None if is_closed => closed(&url),
                    None => plain(
                        py,
                        "Cancelled",
                        &format!("get {}: the read was cancelled", escaped(&url)),
                    ),
                };
                Ok(error.into_value(py).into_any())
            });
        }
    }
}
