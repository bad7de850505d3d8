// SPDX-License-Identifier: Apache-2.0
//! `Store.put`: an object of bytes, of a path, or of a file of Python's.

use crate::awaitable::awaitable_of;
use crate::blocking::wait_for;
use crate::buffer::bytes_of;
use crate::calls::meta;
use crate::ending::Inside;
use crate::meta::ObjectMeta;
use crate::store::Store;
use crate::writer::Writer;
use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::path::PathBuf;
use storescope::PutOptions;

/// Writes an object; what it is then.
pub(crate) fn put<'py>(
    store: &Bound<'py, Store>,
    key: &str,
    data: &Bound<'py, PyAny>,
    options: PutOptions,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, this) = (store.py(), store.get());
    let store = this.in_scope(py)?;
    let written = match Source::of(data)? {
        Source::Bytes(bytes) => wait_for(py, store.put(key, bytes, options)),
        Source::Path(path) => wait_for(py, store.put_file(key, path, options)),
        Source::File(file) => {
            let _inside = Inside::enter(py)?;
            let writer = Writer::new(py, store.writer(key, options), this.url_of(key))?;
            return py.import("storescope._file")?.call_method1("_write_from", (writer, file));
        }
    };
    Ok(Bound::new(py, ObjectMeta(written?))?.into_any())
}

/// `put`, awaited.
pub(crate) fn put_async<'py>(
    store: &Bound<'py, Store>,
    key: String,
    data: &Bound<'py, PyAny>,
    options: PutOptions,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, this) = (store.py(), store.get());
    let store = this.in_scope(py)?;
    match Source::of(data)? {
        Source::Bytes(bytes) => {
            awaitable_of(py, async move { store.put(&key, bytes, options).await }, meta)
        }
        Source::Path(path) => {
            awaitable_of(py, async move { store.put_file(&key, path, options).await }, meta)
        }
        Source::File(file) => {
            let _inside = Inside::enter(py)?;
            let writer = Writer::new(py, store.writer(&key, options), this.url_of(&key))?;
            let write = py.import("storescope._file")?.getattr("_write_from")?;
            py.import("asyncio")?.call_method1("to_thread", (write, writer, file))
        }
    }
}

/// What an object is written of.
enum Source<'py> {
    Bytes(Bytes),
    Path(PathBuf),
    /// A file of Python's, to be read by its method.
    File(Bound<'py, PyAny>),
}

impl<'py> Source<'py> {
    fn of(data: &Bound<'py, PyAny>) -> PyResult<Source<'py>> {
        let py = data.py();
        if data.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(
                "data: expected a bytes-like object, an os.PathLike or a binary file, not str: encode a text, name a file by pathlib.Path",
            ));
        }
        let _inside = Inside::enter(py)?;
        if data.hasattr(intern!(py, "__fspath__"))? {
            return Ok(Source::Path(data.extract()?));
        }
        match bytes_of(data) {
            Ok(bytes) => Ok(Source::Bytes(bytes)),
            Err(error) if error.is_instance_of::<PyTypeError>(py) => {
                if data.hasattr(intern!(py, "read"))? {
                    return Ok(Source::File(data.clone()));
                }
                let kind = data.get_type().name()?;
                Err(PyTypeError::new_err(format!(
                    "data: expected a bytes-like object, an os.PathLike or a binary file, not {kind}"
                )))
            }
            Err(error) => Err(error),
        }
    }
}
