// SPDX-License-Identifier: Apache-2.0
//! The options of a store's calls, from Python's arguments.

use crate::listing::Entries;
use crate::options::seconds;
use futures_util::StreamExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::collections::HashMap;
use std::ops::Range;
use storescope::{
    DeleteOptions, GetOptions, GetRange, ListOptions, PutMode, PutOptions, ReadOptions, ReadPolicy,
};

/// The options of a read of the whole object or of one range.
pub(crate) fn reading(
    range: Option<GetRange>,
    if_match: Option<&str>,
    deadline: Option<f64>,
) -> PyResult<GetOptions> {
    let mut options = GetOptions::new();
    if let Some(range) = range {
        options = options.range(range);
    }
    if let Some(etag) = if_match {
        options = options.if_match(etag);
    }
    Ok(match seconds(deadline)? {
        Some(deadline) => options.deadline(deadline),
        None => options,
    })
}

/// The range that is asked for; `None` where it holds no byte.
pub(crate) fn range_of(start: i64, stop: Option<u64>) -> PyResult<Option<GetRange>> {
    match (u64::try_from(start), stop) {
        (Ok(start), Some(stop)) if start < stop => Ok(Some((start..stop).into())),
        (Ok(start), Some(stop)) if start == stop => Ok(None),
        (Ok(start), None) => Ok(Some((start..).into())),
        (Err(_), None) => Ok(Some(GetRange::Last(start.unsigned_abs()))),
        (Ok(start), Some(stop)) => {
            Err(PyValueError::new_err(format!("the range {start}..{stop} is reversed")))
        }
        (Err(_), Some(_)) => Err(PyValueError::new_err(
            "a range that begins with a negative number has no end: it is the object's last bytes",
        )),
    }
}

/// Ranges from pairs of start and stop.
pub(crate) fn spans(ranges: Vec<(u64, u64)>) -> Vec<Range<u64>> {
    ranges.into_iter().map(|(start, stop)| start..stop).collect()
}

/// The options of a read of many ranges.
pub(crate) fn of_vector(deadline: Option<f64>) -> PyResult<ReadOptions> {
    let options = ReadOptions::new().policy(ReadPolicy::Vector);
    Ok(match seconds(deadline)? {
        Some(deadline) => options.deadline(deadline),
        None => options,
    })
}

/// The options of a listing.
pub(crate) fn listing(
    delimiter: bool,
    start_after: Option<&str>,
    limit: Option<u32>,
) -> ListOptions {
    let mut options = ListOptions::new().delimiter(delimiter);
    if let Some(key) = start_after {
        options = options.start_after(key);
    }
    // What the services give at once.
    match limit {
        Some(limit) => options.page_size(limit.clamp(1, 1000)),
        None => options,
    }
}

/// At most so many entries.
pub(crate) fn limited(entries: Entries, limit: Option<u32>) -> Entries {
    match limit {
        Some(limit) => entries.take(limit as usize).boxed(),
        None => entries,
    }
}

/// The options of a removal.
pub(crate) fn deleting(if_match: Option<&str>) -> DeleteOptions {
    if_match.map_or_else(DeleteOptions::new, |etag| DeleteOptions::new().if_match(etag))
}

/// The options of a write. `headers`: content type, encoding, language and disposition, and how long caches may keep it.
pub(crate) fn writing(
    mode: Option<&Bound<'_, PyAny>>,
    headers: [Option<&str>; 5],
    metadata: Option<HashMap<String, String>>,
    deadline: Option<f64>,
) -> PyResult<PutOptions> {
    let mut options = PutOptions::new().mode(mode_of(mode)?);
    let set: [fn(PutOptions, &str) -> PutOptions; 5] = [
        |options, value| options.content_type(value),
        |options, value| options.content_encoding(value),
        |options, value| options.content_language(value),
        |options, value| options.content_disposition(value),
        |options, value| options.cache_control(value),
    ];
    for (set, value) in set.iter().zip(headers) {
        if let Some(value) = value {
            options = set(options, value);
        }
    }
    for (name, value) in metadata.into_iter().flatten() {
        options = options.metadata(name, value);
    }
    Ok(match seconds(deadline)? {
        Some(deadline) => options.deadline(deadline),
        None => options,
    })
}

/// How a write treats the object that is there.
pub(crate) fn mode_of(mode: Option<&Bound<'_, PyAny>>) -> PyResult<PutMode> {
    let Some(mode) = mode else { return Ok(PutMode::Overwrite) };
    if let Ok(name) = mode.cast::<PyString>() {
        match name.to_string().as_str() {
            "overwrite" => return Ok(PutMode::Overwrite),
            "create" => return Ok(PutMode::Create),
            _ => {}
        }
    } else if let Ok(update) = mode.cast::<PyDict>()
        && let (1, Some(etag)) = (update.len(), update.get_item("update")?)
    {
        return Ok(PutMode::Update(etag.extract()?));
    }
    Err(PyTypeError::new_err(format!(
        "mode: expected \"overwrite\", \"create\" or {{\"update\": etag}}, not {}",
        mode.repr()?
    )))
}
