// SPDX-License-Identifier: Apache-2.0
//! The task of Spark that runs here, where this process is a Python worker and its executor's plugin collects what tasks read.
//!
//! The plugin makes a folder for it among Spark's local folders: without one, each question costs a branch. What is recorded
//! is handed over by a thread that needs no GIL (`storescope_bindings::handover`); what is left when the worker ends, in a file.

use crate::ending::{self, Inside};
use crate::fork::ProcessOwned;
use crate::process::Process;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use storescope_bindings::handover::{self, Server};
use storescope_bindings::tasks::{Awaited, Task};

/// The folder of the executor's plugin. Looked for once: the plugin makes it before the first worker starts.
fn folder() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || handover::folder(&std::env::var_os("SPARK_LOCAL_DIRS")?);
    FOLDER.get_or_init(find).as_deref()
}

/// The task that runs in this process.
pub(crate) fn current(py: Python<'_>) -> PyResult<Option<Arc<Task>>> {
    let Some(folder) = folder() else { return Ok(None) };
    if ending::has_begun() {
        // The call will be refused.
        return Ok(None);
    }
    let _inside = Inside::enter(py)?;
    let Some(id) = attempt_id(py)? else { return Ok(None) };
    Ok(Some(server(py, folder)?.tasks().running(id)))
}

/// The attempt id of PySpark's task context.
fn attempt_id(py: Python<'_>) -> PyResult<Option<i64>> {
    let Some(class) = context_class(py)? else { return Ok(None) };
    let context = class.getattr(intern!(py, "_taskContext"))?;
    if context.is_none() {
        return Ok(None);
    }
    context.call_method0(intern!(py, "taskAttemptId"))?.extract()
}

/// PySpark's class. A program that has not imported it, such as a child of a worker, runs no task.
fn context_class(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if let Some(class) = CLASS.get(py) {
        return Ok(Some(class.bind(py).clone()));
    }
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    let module = modules.call_method1(intern!(py, "get"), (intern!(py, "pyspark"),))?;
    // While it is imported, it does not have all.
    let class = module.getattr_opt(intern!(py, "TaskContext"))?;
    Ok(class.map(|class| CLASS.get_or_init(py, || class.unbind()).bind(py).clone()))
}

/// What hands over in this process, begun when first asked for.
fn server(py: Python<'_>, folder: &Path) -> PyResult<&'static Server> {
    let process = Process::current(py)?;
    if let Some(server) = process.handover() {
        return Ok(server);
    }
    py.import("storescope._spark")?.call_method0("watch_exit")?;
    Ok(process.begin_handover(folder))
}

/// The task in which something was opened.
pub(crate) struct OpenedIn(Option<ProcessOwned<Arc<Task>>>);

impl OpenedIn {
    /// The one that runs now.
    pub(crate) fn current(py: Python<'_>) -> PyResult<OpenedIn> {
        Ok(OpenedIn(current(py)?.map(ProcessOwned::new)))
    }

    /// The task that a use of it belongs to: the one that runs now, else the one in which it was opened. Threads may go on
    /// after their task has ended.
    pub(crate) fn used_in(&self, py: Python<'_>) -> PyResult<Option<Arc<Task>>> {
        let opened_in = || self.0.as_ref().and_then(ProcessOwned::get).cloned();
        Ok(current(py)?.or_else(opened_in))
    }
}

/// A thread that is blocked: its time counts as waiting of the task that runs here, until this is dropped.
pub(crate) struct Blocked(Option<(Arc<Task>, Instant)>);

impl Blocked {
    pub(crate) fn begin(py: Python<'_>) -> PyResult<Blocked> {
        Ok(Blocked(current(py)?.map(|task| (task, Instant::now()))))
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if let Some((task, since)) = &self.0 {
            task.waited(since.elapsed());
        }
    }
}

/// Begins a call that is awaited: the task that runs here waits until this is dropped.
pub(crate) fn awaits(py: Python<'_>) -> PyResult<Option<Awaited>> {
    Ok(current(py)?.map(|task| task.awaits()))
}

/// Whether a task runs here whose waits are counted.
#[pyfunction]
pub(crate) fn _in_task(py: Python<'_>) -> PyResult<bool> {
    Ok(current(py)?.is_some())
}

/// Counts nanoseconds as waiting of the task that runs here.
#[pyfunction]
pub(crate) fn _waited(py: Python<'_>, nanoseconds: u64) -> PyResult<()> {
    if let Some(task) = current(py)? {
        task.waited(Duration::from_nanos(nanoseconds));
    }
    Ok(())
}
