// SPDX-License-Identifier: Apache-2.0
//! What a store's calls do besides one call of the crate, and what they answer.

use crate::buffer::shared;
use crate::error::raised;
use crate::meta::ObjectMeta;
use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::ops::Range;
use storescope::{Error, GetOptions, Reader, Result, Store};

/// Whether an object is there.
pub(crate) async fn exists(store: Store, key: String) -> Result<bool> {
    match store.head(&key).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The bytes of an object, or of a range of it.
pub(crate) async fn get(store: Store, key: String, options: GetOptions) -> Result<Bytes> {
    store.get(&key, options).await?.bytes().await
}

/// What has arrived of many ranges: each with its bytes or its error; and the last error.
type Arrived = (Vec<Option<Result<Bytes>>>, Option<Error>);

/// Reads ranges until each has arrived or failed.
pub(crate) async fn each_range(reader: Reader, ranges: Vec<Range<u64>>) -> Arrived {
    let mut each: Vec<Option<Result<Bytes>>> = ranges.iter().map(|_| None).collect();
    let mut arriving = reader.read_ranges(&ranges);
    let mut last = None;
    while let Some((number, bytes)) = arriving.next().await {
        last = bytes.as_ref().err().cloned();
        each[number] = Some(bytes);
    }
    (each, last)
}

/// A list of the ranges' buffers and exceptions.
pub(crate) fn results(py: Python<'_>, (each, last): Arrived) -> PyResult<Py<PyAny>> {
    let told = each.into_iter().map(|bytes| match (bytes, &last) {
        (Some(Ok(bytes)), _) => shared(py, bytes),
        (Some(Err(error)), _) => Ok(raised(py, &error).into_value(py).into_any()),
        // What failed as a whole is told once.
        (None, Some(error)) => Ok(raised(py, error).into_value(py).into_any()),
        (None, None) => Err(PyValueError::new_err("a range was not answered")),
    });
    let told = told.collect::<PyResult<Vec<_>>>()?;
    Ok(told.into_pyobject(py)?.unbind())
}

/// An `ObjectMeta`.
pub(crate) fn meta(py: Python<'_>, meta: storescope::ObjectMeta) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, ObjectMeta(meta))?.into_any())
}

/// For each key `None` or an exception.
pub(crate) fn outcomes(
    py: Python<'_>,
    deleted: Vec<(String, Result<()>)>,
) -> Vec<(String, Option<Py<PyAny>>)> {
    let outcome = |(key, ended): (String, Result<()>)| {
        (key, ended.err().map(|error| raised(py, &error).into_value(py).into_any()))
    };
    deleted.into_iter().map(outcome).collect()
}
