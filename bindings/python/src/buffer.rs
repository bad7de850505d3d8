// SPDX-License-Identifier: Apache-2.0
//! Bytes between Rust and Python, without a copy where that can be.

use crate::ending::Inside;
use bytes::Bytes;
use pyo3::exceptions::{PyBufferError, PyIndexError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PySlice};
use std::ffi::c_int;

/// Bytes that cannot be changed, held by the library. `memoryview`, NumPy and all that know the buffer protocol see them
/// without a copy; `bytes(buffer)` is a copy of one's own.
#[pyclass(frozen, sequence, module = "storescope")]
pub(crate) struct Buffer(Bytes);

impl From<Bytes> for Buffer {
    fn from(bytes: Bytes) -> Buffer {
        Buffer(bytes)
    }
}

#[pymethods]
impl Buffer {
    /// A buffer of what another object holds.
    #[new]
    #[pyo3(signature = (data=None, /))]
    fn new(data: Option<Bound<'_, PyAny>>) -> PyResult<Buffer> {
        Ok(Buffer(data.map_or(Ok(Bytes::new()), |data| bytes_of(&data))?))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0)
    }

    /// A copy as `bytes`.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        match bytes_of(other) {
            Ok(other) => Ok(self.0 == other),
            Err(error) if error.is_instance_of::<PyTypeError>(other.py()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A byte by its place, or a buffer of the bytes of a slice, which shares their memory.
    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        at: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = at.cast::<PySlice>() {
            let length = isize::try_from(self.0.len()).unwrap_or(isize::MAX);
            let at = slice.indices(length)?;
            if at.step != 1 {
                return Err(PyValueError::new_err("a buffer is cut by steps of 1 only"));
            }
            let (start, stop) = (at.start.unsigned_abs(), at.stop.max(at.start).unsigned_abs());
            return Ok(Bound::new(py, Buffer(self.0.slice(start..stop)))?.into_any());
        }
        let at: isize = at.extract()?;
        let from_end = if at < 0 { self.0.len().checked_sub(at.unsigned_abs()) } else { None };
        let place = if at < 0 { from_end } else { Some(at.unsigned_abs()) };
        let byte = place.and_then(|place| self.0.get(place));
        let byte = byte.ok_or_else(|| PyIndexError::new_err("there is no such byte"))?;
        Ok(byte.into_pyobject(py)?.into_any())
    }

    fn __repr__(&self) -> String {
        format!("<storescope.Buffer of {} bytes>", self.0.len())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, (Bound<'py, PyBytes>,)) {
        (slf.get_type().into_any(), (PyBytes::new(slf.py(), &slf.get().0),))
    }

    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("there is no view to fill"));
        }
        let bytes = &slf.get().0;
        let length = isize::try_from(bytes.len())?;
        // SAFETY: the view is Python's to be filled; the bytes live as long as the object, which the view keeps alive,
        // never move nor change, and are given out for reading only.
        let filled = unsafe {
            let start = bytes.as_ptr().cast_mut().cast();
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, 1, flags)
        };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// The bytes of a `Buffer` or of `bytes` as they are; of anything else that has a buffer a copy, since its owner may
/// change them while they are sent.
pub(crate) fn bytes_of(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(buffer) = data.cast::<Buffer>() {
        return Ok(buffer.get().0.clone());
    }
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(Bytes::from_owner(PyBackedBytes::from(bytes.clone())));
    }
    let _inside = Inside::enter(data.py())?;
    let builtins = data.py().import("builtins")?;
    let view = builtins.call_method1("memoryview", (data,))?;
    let copy = builtins.call_method1("bytes", (view,))?.cast_into::<PyBytes>()?;
    Ok(Bytes::from_owner(PyBackedBytes::from(copy)))
}

/// The bytes as a Python object that shares them.
pub(crate) fn shared(py: Python<'_>, bytes: Bytes) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, Buffer(bytes))?.into_any())
}
