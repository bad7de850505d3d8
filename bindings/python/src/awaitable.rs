// SPDX-License-Identifier: Apache-2.0
//! Calls as awaitables of asyncio.

use crate::dispatch::{Call, DeferredDrop, Dispatcher};
use crate::ending::{self, Inside};
use crate::error::raised;
use crate::log;
use crate::process::Process;
use crate::task;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tokio::task::AbortHandle;

/// Begins a call; its future belongs to the loop that runs here. Where that future is cancelled, the call is dropped.
pub(crate) fn awaitable<T: Send + 'static>(
    py: Python<'_>,
    call: impl Future<Output = T> + Send + 'static,
    value: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Bound<'_, PyAny>> {
    static GET_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static CANCELLING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if ending::has_begun() {
        return ending::refused_awaitable(py);
    }
    let _inside = Inside::enter(py)?;
    let process = Process::current(py)?;
    log::refresh(py)?;
    let dispatcher = process.dispatcher(py)?;
    let event_loop = GET_LOOP.import(py, "asyncio", "get_running_loop")?.call0()?;
    let future = event_loop.call_method0("create_future")?;
    let waiter = (event_loop, &future).into_pyobject(py)?.into_any().unbind();
    let waiter = Waiter { dispatcher, waits: Some(DeferredDrop::new(waiter, dispatcher)) };
    let awaited = task::awaits(py)?;
    let task = process.handle().spawn(async move {
        let ended = call.await;
        waiter.tell(move |py| {
            let value = value(py, ended);
            drop(awaited);
            value
        });
    });
    let cancelling = CANCELLING.import(py, "storescope._calls", "cancelling")?;
    let cancel = cancelling.call1((Task(task.abort_handle()),))?;
    future.call_method1("add_done_callback", (cancel,))?;
    Ok(future)
}

/// The same for a call of the crate, whose error becomes Python's.
pub(crate) fn awaitable_of<T: Send + 'static>(
    py: Python<'_>,
    call: impl Future<Output = storescope::Result<T>> + Send + 'static,
    value: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Bound<'_, PyAny>> {
    awaitable(py, call, |py, ended| match ended {
        Ok(ended) => value(py, ended),
        Err(error) => Err(raised(py, &error)),
    })
}

/// Who waits for a call: its loop and its future.
struct Waiter {
    dispatcher: &'static Dispatcher,
    waits: Option<DeferredDrop>,
}

impl Waiter {
    fn tell(mut self, ended: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static) {
        let Some(waits) = self.waits.take() else { return };
        self.dispatcher.run(move |py| match ended(py) {
            Ok(value) => told(py, waits, value, false),
            Err(_) if ending::has_begun() => dropped(py, waits),
            Err(error) => told(py, waits, error.into_value(py).into_any(), true),
        });
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(waits) = self.waits.take() {
            self.dispatcher.run(move |py| dropped(py, waits));
        }
    }
}

fn told(
    py: Python<'_>,
    waits: DeferredDrop,
    value: Py<PyAny>,
    failed: bool,
) -> PyResult<Option<Call>> {
    static TELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let tell = TELL.import(py, "storescope._calls", "tell")?.clone().unbind();
    Ok(Some((tell, (waits.take(), value, failed).into_pyobject(py)?.unbind())))
}

fn dropped(py: Python<'_>, waits: DeferredDrop) -> PyResult<Option<Call>> {
    static GIVE_UP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let give_up = GIVE_UP.import(py, "storescope._calls", "give_up")?.clone().unbind();
    let arguments = (waits.take(), ending::has_begun());
    Ok(Some((give_up, arguments.into_pyobject(py)?.unbind())))
}

/// A call under way, whose future may be cancelled.
#[pyclass(frozen)]
struct Task(AbortHandle);

#[pymethods]
impl Task {
    fn cancel(&self) {
        self.0.abort();
    }
}
