// SPDX-License-Identifier: Apache-2.0
//! Bytes between Rust and Python, without a copy where that can be.

use crate::ending::Inside;
use bytes::Bytes;
use memchr::memmem;
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyAttributeError, PyBufferError, PyIndexError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyInt, PySlice, PyString, PyTuple};
use std::ffi::c_int;
use std::ops::Range;

/// Bytes that cannot be changed, held by the library. `memoryview`, NumPy and all that know the buffer protocol see them
/// without a copy; `bytes(buffer)` is a copy of one's own.
///
/// It compares, hashes and is searched as `bytes`, and has those of its methods that look at bytes or cut them. What is cut
/// off is `bytes`, as is a sum; only a slice shares the memory. For all else, and for what takes `bytes` alone such as
/// `json.loads`, write `bytes(buffer)`.
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

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, how: CompareOp) -> PyResult<Py<PyAny>> {
        let py = other.py();
        match bytes_of(other) {
            Ok(other) => Ok(how.matches(self.0.cmp(&other)).into_pyobject(py)?.to_owned().into()),
            Err(error) if error.is_instance_of::<PyTypeError>(py) => Ok(py.NotImplemented()),
            Err(error) => Err(error),
        }
    }

    /// That of `bytes`, which it is equal to.
    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.to_bytes(py).hash()
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf)?.call_method0("__iter__")
    }

    /// Whether a byte, or bytes in a row, are in it.
    fn __contains__(&self, part: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(memmem::find(&self.0, &sought(part)?).is_some())
    }

    fn __add__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        match bytes_of(other) {
            Ok(other) => Ok(PyBytes::new(py, &[&self.0[..], &other].concat()).into_any()),
            Err(error) if error.is_instance_of::<PyTypeError>(py) => {
                Ok(py.NotImplemented().into_bound(py))
            }
            Err(error) => Err(error),
        }
    }

    /// Where `sub` first begins between `start` and `end`; -1 if it does not.
    #[pyo3(signature = (sub, start=None, end=None, /))]
    fn find(
        &self,
        sub: &Bound<'_, PyAny>,
        start: Option<isize>,
        end: Option<isize>,
    ) -> PyResult<isize> {
        let (part, sub) = (self.part(start, end), sought(sub)?);
        let found = part.clone().and_then(|part| memmem::find(&self.0[part], &sub));
        Ok(place(part, found))
    }

    /// Where `sub` last begins between `start` and `end`; -1 if it does not.
    #[pyo3(signature = (sub, start=None, end=None, /))]
    fn rfind(
        &self,
        sub: &Bound<'_, PyAny>,
        start: Option<isize>,
        end: Option<isize>,
    ) -> PyResult<isize> {
        let (part, sub) = (self.part(start, end), sought(sub)?);
        let found = part.clone().and_then(|part| memmem::rfind(&self.0[part], &sub));
        Ok(place(part, found))
    }

    /// `find`, but what is not found is a `ValueError`.
    #[pyo3(signature = (sub, start=None, end=None, /))]
    fn index(
        &self,
        sub: &Bound<'_, PyAny>,
        start: Option<isize>,
        end: Option<isize>,
    ) -> PyResult<isize> {
        found(self.find(sub, start, end)?)
    }

    /// `rfind`, but what is not found is a `ValueError`.
    #[pyo3(signature = (sub, start=None, end=None, /))]
    fn rindex(
        &self,
        sub: &Bound<'_, PyAny>,
        start: Option<isize>,
        end: Option<isize>,
    ) -> PyResult<isize> {
        found(self.rfind(sub, start, end)?)
    }

    /// How often `sub` is between `start` and `end`; none overlaps the one before.
    #[pyo3(signature = (sub, start=None, end=None, /))]
    fn count(
        &self,
        sub: &Bound<'_, PyAny>,
        start: Option<isize>,
        end: Option<isize>,
    ) -> PyResult<usize> {
        let sub = sought(sub)?;
        let part = self.part(start, end);
        Ok(part.map_or(0, |part| memmem::find_iter(&self.0[part], &sub).count()))
    }

    /// Whether it, or what is between `start` and `end`, begins with `prefix` or with one of a tuple.
    #[pyo3(signature = (prefix, start=None, end=None, /))]
    fn startswith(
        &self,
        prefix: &Bound<'_, PyAny>,
        start: Option<isize>,
        end: Option<isize>,
    ) -> PyResult<bool> {
        let part = self.part(start, end).map(|part| &self.0[part]);
        any_of(prefix, |prefix| part.is_some_and(|part| part.starts_with(prefix)))
    }

    /// Whether it, or what is between `start` and `end`, ends with `suffix` or with one of a tuple.
    #[pyo3(signature = (suffix, start=None, end=None, /))]
    fn endswith(
        &self,
        suffix: &Bound<'_, PyAny>,
        start: Option<isize>,
        end: Option<isize>,
    ) -> PyResult<bool> {
        let part = self.part(start, end).map(|part| &self.0[part]);
        any_of(suffix, |suffix| part.is_some_and(|part| part.ends_with(suffix)))
    }

    /// The text that the bytes encode.
    #[pyo3(signature = (encoding="utf-8", errors="strict"))]
    fn decode<'py>(
        slf: &Bound<'py, Self>,
        encoding: &str,
        errors: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        // A codec may be Python code.
        let _inside = Inside::enter(slf.py())?;
        slf.py().import("builtins")?.call_method1("str", (slf, encoding, errors))
    }

    /// The bytes in hexadecimal digits, with `sep` after each so many bytes.
    #[pyo3(signature = (sep=None, bytes_per_sep=1))]
    fn hex<'py>(
        slf: &Bound<'py, Self>,
        sep: Option<&Bound<'py, PyAny>>,
        bytes_per_sep: isize,
    ) -> PyResult<Bound<'py, PyAny>> {
        match sep {
            Some(sep) => view(slf)?.call_method1("hex", (sep, bytes_per_sep)),
            None => view(slf)?.call_method0("hex"),
        }
    }

    /// The parts between `sep`, or between white space; at most `maxsplit` cuts, from the front.
    #[pyo3(signature = (sep=None, maxsplit=-1), text_signature = "($self, sep=None, maxsplit=-1)")]
    fn split<'py>(
        &self,
        py: Python<'py>,
        sep: Option<&Bound<'py, PyAny>>,
        maxsplit: isize,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.to_bytes(py).call_method1("split", (sep, maxsplit))
    }

    /// The parts between `sep`, or between white space; at most `maxsplit` cuts, from the end.
    #[pyo3(signature = (sep=None, maxsplit=-1), text_signature = "($self, sep=None, maxsplit=-1)")]
    fn rsplit<'py>(
        &self,
        py: Python<'py>,
        sep: Option<&Bound<'py, PyAny>>,
        maxsplit: isize,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.to_bytes(py).call_method1("rsplit", (sep, maxsplit))
    }

    /// The lines, with their ends or without.
    #[pyo3(signature = (keepends=false))]
    fn splitlines<'py>(&self, py: Python<'py>, keepends: bool) -> PyResult<Bound<'py, PyAny>> {
        self.to_bytes(py).call_method1("splitlines", (keepends,))
    }

    /// What is before the first `sep`, `sep`, and what is behind it.
    #[pyo3(signature = (sep, /))]
    fn partition<'py>(
        &self,
        py: Python<'py>,
        sep: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.to_bytes(py).call_method1("partition", (sep,))
    }

    /// What is before the last `sep`, `sep`, and what is behind it.
    #[pyo3(signature = (sep, /))]
    fn rpartition<'py>(
        &self,
        py: Python<'py>,
        sep: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.to_bytes(py).call_method1("rpartition", (sep,))
    }

    /// The bytes without those of `bytes` (or white space) at both ends.
    #[pyo3(signature = (bytes=None, /))]
    fn strip<'py>(
        &self,
        py: Python<'py>,
        bytes: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.to_bytes(py).call_method1("strip", (bytes,))
    }

    /// The bytes without those of `bytes` (or white space) at the front.
    #[pyo3(signature = (bytes=None, /))]
    fn lstrip<'py>(
        &self,
        py: Python<'py>,
        bytes: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.to_bytes(py).call_method1("lstrip", (bytes,))
    }

    /// The bytes without those of `bytes` (or white space) at the end.
    #[pyo3(signature = (bytes=None, /))]
    fn rstrip<'py>(
        &self,
        py: Python<'py>,
        bytes: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.to_bytes(py).call_method1("rstrip", (bytes,))
    }

    /// Called for what it does not have.
    fn __getattr__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        let of_bytes = !name.starts_with('_') && py.get_type::<PyBytes>().hasattr(name)?;
        let hint = if of_bytes { format!(": bytes(buffer).{name} has it") } else { String::new() };
        Err(PyAttributeError::new_err(format!(
            "'storescope.Buffer' object has no attribute '{name}'{hint}"
        )))
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
            if at.step == 1 {
                let (start, stop) = (at.start.unsigned_abs(), at.stop.max(at.start).unsigned_abs());
                return Ok(Bound::new(py, Buffer(self.0.slice(start..stop)))?.into_any());
            }
            // Bytes that are not beside each other are a copy.
            let cut = self.to_bytes(py).get_item(slice)?;
            return Ok(Bound::new(py, Buffer(bytes_of(&cut)?))?.into_any());
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

impl Buffer {
    /// What a slice `[start:end]` holds; `None` where `start` lies past the end: not even nothing is found there.
    fn part(&self, start: Option<isize>, end: Option<isize>) -> Option<Range<usize>> {
        let length = self.0.len();
        let at = |place: isize| match usize::try_from(place) {
            Ok(place) => place,
            Err(_) => length.saturating_sub(place.unsigned_abs()),
        };
        let (start, end) = (at(start.unwrap_or(0)), end.map_or(length, at).min(length));
        (start <= end).then_some(start..end)
    }
}

/// The buffer as Python's own view of it.
fn view<'py>(buffer: &Bound<'py, Buffer>) -> PyResult<Bound<'py, PyAny>> {
    let _inside = Inside::enter(buffer.py())?;
    buffer.py().import("builtins")?.call_method1("memoryview", (buffer,))
}

/// What is looked for: bytes, or one byte by its number.
fn sought(part: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if !part.is_instance_of::<PyInt>() {
        return bytes_of(part);
    }
    let byte: u8 =
        part.extract().map_err(|_| PyValueError::new_err("byte must be in range(0, 256)"))?;
    Ok(Bytes::copy_from_slice(&[byte]))
}

/// A place within a part, as one within the whole.
fn place(part: Option<Range<usize>>, found: Option<usize>) -> isize {
    let place = part.zip(found).map(|(part, found)| part.start + found);
    place.and_then(|place| isize::try_from(place).ok()).unwrap_or(-1)
}

fn found(place: isize) -> PyResult<isize> {
    if place < 0 { Err(PyValueError::new_err("subsection not found")) } else { Ok(place) }
}

/// Whether something holds of bytes, or of one of a tuple of them.
fn any_of(given: &Bound<'_, PyAny>, holds: impl Fn(&[u8]) -> bool) -> PyResult<bool> {
    let Ok(all) = given.cast::<PyTuple>() else { return Ok(holds(&bytes_of(given)?)) };
    for one in all {
        if holds(&bytes_of(&one)?) {
            return Ok(true);
        }
    }
    Ok(false)
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
    if data.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("a bytes-like object is required, not 'str': encode it"));
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
