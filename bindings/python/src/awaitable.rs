// SPDX-License-Identifier: Apache-2.0
//! Calls as awaitables of asyncio.

use crate::error::raised;
use crate::log;
use crate::process::Process;
use pyo3::exceptions::PyRuntimeError;
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
    let process = Process::current(py)?;
    log::refresh(py)?;
    let event_loop = GET_LOOP.import(py, "asyncio", "get_running_loop")?.call0()?;
    let future = event_loop.call_method0("create_future")?;
    let told = Waiter { event_loop: event_loop.unbind(), future: future.clone().unbind() };
    let task = process.handle().spawn(async move {
        let ended = call.await;
        process.dispatcher().run(move |py| told.tell(py, value(py, ended)));
    });
    future.call_method1("add_done_callback", (Cancel(task.abort_handle()),))?;
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

/// Who awaits a call.
struct Waiter {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
}

impl Waiter {
    fn tell(&self, py: Python<'_>, ended: PyResult<Py<PyAny>>) {
        static SETTLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let told = SETTLE
            .get_or_try_init(py, || {
                Ok::<_, PyErr>(wrap_pyfunction!(settle, py)?.into_any().unbind())
            })
            .and_then(|settle| {
                let (value, raised) = match ended {
                    Ok(value) => (value, false),
                    Err(error) => (error.into_value(py).into_any(), true),
                };
                let arguments = (settle, &self.future, value, raised);
                self.event_loop.bind(py).call_method1("call_soon_threadsafe", arguments)
            });
        match told {
            // The loop was closed: nobody awaits any more.
            Err(error) if error.is_instance_of::<PyRuntimeError>(py) => {}
            Err(error) => error.write_unraisable(py, Some(self.future.bind(py))),
            Ok(_) => {}
        }
    }
}

/// Ends a future, on its loop's thread.
#[pyfunction]
fn settle(future: &Bound<'_, PyAny>, value: Bound<'_, PyAny>, raised: bool) -> PyResult<()> {
    if !future.call_method0("done")?.is_truthy()? {
        future.call_method1(if raised { "set_exception" } else { "set_result" }, (value,))?;
    }
    Ok(())
}

/// Drops the call when its future was cancelled.
#[pyclass(frozen)]
struct Cancel(AbortHandle);

#[pymethods]
impl Cancel {
    fn __call__(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        if future.call_method0("cancelled")?.is_truthy()? {
            self.0.abort();
        }
        Ok(())
    }
}
