// SPDX-License-Identifier: Apache-2.0
//! Errors of the crate as Python's own (`storescope._errors`).

use crate::credentials::Raised;
use crate::ending::Inside;
use crate::environment;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use storescope::Error;
use storescope::timing::Operation;
use storescope_bindings::errors::causes;

/// The exception for an error: its class by the kind, its attributes, and what lies beneath as notes.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    environment::note(error);
    build(py, error).unwrap_or_else(|failed| failed)
}

fn build(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let about = PyDict::new(py);
    about.set_item("operation", error.operation().map(Operation::as_str))?;
    about.set_item("object", error.object())?;
    about.set_item("status", error.status())?;
    about.set_item("code", error.code())?;
    about.set_item("request_id", error.request_id())?;
    about.set_item("client_request_id", error.client_request_id())?;
    about.set_item("attempts", error.attempts())?;
    about.set_item("elapsed", error.elapsed().as_secs_f64())?;
    let kind = format!("{:?}", error.kind());
    let made = made(py, &kind, &error.to_string(), about, causes(error).collect())?;
    if let Some(cause) = Raised::beneath(py, error) {
        made.set_cause(py, Some(cause));
    }
    Ok(made)
}

/// An error of the wheel's own: the reader or writer was closed, the read was cancelled.
pub(crate) fn plain(py: Python<'_>, kind: &str, message: &str) -> PyErr {
    made(py, kind, message, PyDict::new(py), Vec::new()).unwrap_or_else(|failed| failed)
}

fn made(
    py: Python<'_>,
    kind: &str,
    message: &str,
    about: Bound<'_, PyDict>,
    beneath: Vec<String>,
) -> PyResult<PyErr> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let _inside = Inside::enter(py)?;
    let make = MAKE.import(py, "storescope._errors", "_make")?;
    Ok(PyErr::from_value(make.call1((kind, message, about, beneath))?))
}

/// What was asked of something that is closed.
pub(crate) fn closed(what: &str) -> PyErr {
    PyOSError::new_err(format!("{} is closed", storescope::escaped(what)))
}
