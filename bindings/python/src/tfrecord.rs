// SPDX-License-Identifier: Apache-2.0
//! The framing of TFRecord files, for `storescope.tfrecord`.

use crate::buffer::bytes_of;
use crate::ending::{self, Inside};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use storescope::tfrecord::{Records, frame};

/// Where a record lies in its file: start and stop.
type Place = (usize, usize);

/// The first byte of a corrupt record's frame, and what is wrong with it.
type Corrupt = (u64, String);

/// The frames of records, one after another, as `bytes`.
#[pyfunction]
pub(crate) fn _tfrecord_frame<'py>(records: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let _inside = Inside::enter(records.py())?;
    let mut framed = Vec::new();
    for record in records.try_iter()? {
        frame(&bytes_of(&record?)?, &mut framed);
    }
    Ok(PyBytes::new(records.py(), &framed))
}

/// Where the records of a file lie in it, up to the first that is corrupt; of that, the first byte and what is wrong.
#[pyfunction]
pub(crate) fn _tfrecord_places(data: &Bound<'_, PyAny>) -> PyResult<(Vec<Place>, Option<Corrupt>)> {
    let bytes = bytes_of(data)?;
    Ok(ending::detached(data.py(), || {
        let mut places = Vec::new();
        for record in Records::new(&bytes) {
            match record {
                Ok(record) => places.push((record.start, record.end)),
                Err(error) => return (places, Some((error.offset, error.to_string()))),
            }
        }
        (places, None)
    }))
}
