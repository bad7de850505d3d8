// SPDX-License-Identifier: Apache-2.0
//! Options by the names of docs/CONFIG.md: those of a store, and those that make another client.

use crate::credentials::{OPTION, callable};
use crate::ending::Inside;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};
use storescope::config::{SETTINGS, Setting};
use storescope_bindings::options::{Options, setting};

/// What keyword arguments say.
pub(crate) struct Given {
    pub(crate) of_client: Options,
    pub(crate) of_store: Options,
    /// The callable that gives out credentials.
    pub(crate) credentials: Option<Py<PyAny>>,
}

/// Keyword arguments by what they belong to. `None` is an option that was not given.
pub(crate) fn split(given: Option<&Bound<'_, PyDict>>) -> PyResult<Given> {
    let mut options = Vec::new();
    let mut credentials = None;
    for (name, value) in given.into_iter().flatten() {
        let name: String = name.extract()?;
        if name == OPTION {
            if !value.is_none() {
                credentials = Some(callable(&value)?);
            }
            continue;
        }
        let setting = setting(&name).ok_or_else(|| {
            PyTypeError::new_err(format!(
                "there is no option {name:?}; storescope.settings() lists them"
            ))
        })?;
        if !value.is_none() {
            options.push((name, text(setting, &value)?));
        }
    }
    let (of_client, of_store) = Options::split(options);
    Ok(Given { of_client, of_store, credentials })
}

/// The text of a value; numbers of a time are seconds.
fn text(setting: &Setting, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let name = setting.name;
    if let Ok(text) = value.cast::<PyString>() {
        return text.extract();
    }
    if let Ok(on) = value.cast::<PyBool>() {
        return Ok(if on.is_true() { "true" } else { "false" }.to_owned());
    }
    if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
        let number = value.str()?.extract::<String>()?;
        let seconds = setting.kind.starts_with("time");
        return Ok(if seconds { format!("{number}s") } else { number });
    }
    let _inside = Inside::enter(value.py())?;
    let path = value.py().import("os")?.call_method1("fspath", (value,));
    path.and_then(|path| path.extract::<String>()).map_err(|error| {
        if !error.is_instance_of::<PyTypeError>(value.py()) {
            return error;
        }
        let kind = value.get_type().name().map_or_else(|_| "?".to_owned(), |n| n.to_string());
        PyTypeError::new_err(format!("{name}: expected {}, not {kind}", setting.kind))
    })
}

/// The options of `open_store`: name, what its value may be, default, whether it is a secret, what it does.
#[pyfunction]
pub(crate) fn settings(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let row = |setting: &Setting| {
        let row = PyDict::new(py);
        row.set_item("name", setting.name)?;
        row.set_item("value", setting.kind)?;
        row.set_item("default", setting.default())?;
        row.set_item("secret", setting.secret)?;
        row.set_item("doc", setting.doc)?;
        Ok(row)
    };
    SETTINGS.iter().map(row).collect()
}

/// Seconds, as Python tells times.
pub(crate) fn seconds(value: Option<f64>) -> PyResult<Option<std::time::Duration>> {
    value
        .map(|seconds| {
            std::time::Duration::try_from_secs_f64(seconds)
                .map_err(|_| PyValueError::new_err(format!("{seconds} s is no time to wait")))
        })
        .transpose()
}
