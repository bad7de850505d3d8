// SPDX-License-Identifier: Apache-2.0
//! The one thread that calls Python for what ends in the background.
//!
//! It is a thread of Python's own, which runs `_calls.run`: what it calls has no Rust frame beneath it, so that Python can
//! end the thread there (`ending.rs`).

use crate::ending::{self, Inside};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use storescope_bindings::lock::locked;

/// What is called, and with what.
pub(crate) type Call = (Py<PyAny>, Py<PyTuple>);

/// Makes a call, with the GIL held; `None` where there is nothing to call any more.
type Job = Box<dyn FnOnce(Python<'_>) -> PyResult<Option<Call>> + Send>;

enum Order {
    Run(Job),
    /// Ends the thread; who sent it is told.
    Stop(Sender<()>),
}

/// Hands jobs to the thread. It never blocks.
#[derive(Clone)]
pub(crate) struct Dispatcher(Sender<Order>);

impl Dispatcher {
    /// Fails where Python starts no thread any more (3.12, once `atexit` runs).
    pub(crate) fn start(py: Python<'_>) -> PyResult<Dispatcher> {
        let _inside = Inside::enter(py)?;
        let (sender, orders) = channel();
        // It is never dropped, nor what may be left in it: that would run Python code where nobody expects it.
        let calls = Calls(Box::leak(Box::new(Mutex::new(orders))));
        let run = py.import("storescope._calls")?.getattr("run")?;
        py.import("_thread")?.call_method1("start_new_thread", (run, (calls,)))?;
        Ok(Dispatcher(sender))
    }

    /// Makes the call of `job`, after those before it.
    pub(crate) fn run(
        &self,
        job: impl FnOnce(Python<'_>) -> PyResult<Option<Call>> + Send + 'static,
    ) {
        // After the interpreter's end there is nobody to tell.
        let _ = self.0.send(Order::Run(Box::new(job)));
    }

    /// Does what is left and ends the thread, waiting at most `limit`. The caller must not hold the GIL.
    pub(crate) fn stop(&self, limit: Duration) {
        let (sender, stopped) = channel();
        if self.0.send(Order::Stop(sender)).is_ok() {
            let _ = stopped.recv_timeout(limit);
        }
    }
}

/// The calls to be made, as they arrive.
#[pyclass(frozen)]
struct Calls(&'static Mutex<Receiver<Order>>);

#[pymethods]
impl Calls {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Option<Call> {
        loop {
            match self.next(py)? {
                Order::Run(job) => {
                    let _inside = Inside::enter(py).ok()?;
                    match job(py) {
                        Ok(Some(call)) => return Some(call),
                        Ok(None) => {}
                        Err(error) => error.write_unraisable(py, None),
                    }
                }
                Order::Stop(told) => {
                    // Who asked may have waited long enough.
                    let _ = told.send(());
                    return None;
                }
            }
        }
    }

    /// Reports what a call raised.
    fn failed(&self, py: Python<'_>, error: Bound<'_, PyAny>, called: &Bound<'_, PyAny>) {
        if let Ok(_inside) = Inside::enter(py) {
            PyErr::from_value(error).write_unraisable(py, Some(called));
        }
    }
}

impl Calls {
    fn next(&self, py: Python<'_>) -> Option<Order> {
        let at_once = locked(self.0).try_recv();
        at_once.or_else(|_| ending::detached(py, || locked(self.0).recv())).ok()
    }
}

/// A Python object that threads without the GIL may drop. Its end may run Python code, and not on any thread.
pub(crate) struct DeferredDrop {
    object: Option<Py<PyAny>>,
    dispatcher: Dispatcher,
}

impl DeferredDrop {
    pub(crate) fn new(object: Py<PyAny>, dispatcher: &Dispatcher) -> DeferredDrop {
        DeferredDrop { object: Some(object), dispatcher: dispatcher.clone() }
    }

    pub(crate) fn get(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.object.as_ref().map(|object| object.clone_ref(py))
    }

    /// Whether it is that very object.
    pub(crate) fn is(&self, other: &Bound<'_, PyAny>) -> bool {
        self.object.as_ref().is_some_and(|object| object.as_ptr() == other.as_ptr())
    }

    pub(crate) fn take(mut self) -> Option<Py<PyAny>> {
        self.object.take()
    }
}

impl Drop for DeferredDrop {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            self.dispatcher.run(move |_| {
                drop(object);
                Ok(None)
            });
        }
    }
}
