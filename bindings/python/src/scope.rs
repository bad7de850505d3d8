// SPDX-License-Identifier: Apache-2.0
//! Scopes and their snapshots: where the time went.

use crate::ending::{self, Inside};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyList};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use storescope::timing::{self, Distribution, Key, Level, Operation, Outcome, Phase};

/// What requests are recorded in: `storescope.profile()` makes one, `open_store(scope=…)` takes one.
#[pyclass(frozen, module = "storescope")]
pub(crate) struct Scope(pub(crate) timing::Scope);

#[pymethods]
impl Scope {
    /// A scope; what it records, `parent` records, too.
    #[new]
    #[pyo3(signature = (name, parent=None))]
    fn new(name: &str, parent: Option<&Bound<'_, Scope>>) -> Scope {
        Scope(parent.map_or_else(|| timing::Scope::new(name), |parent| parent.get().0.child(name)))
    }

    /// The name it was given.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// All that was recorded so far.
    fn snapshot(&self) -> Snapshot {
        Snapshot(self.0.snapshot())
    }

    fn __repr__(&self) -> String {
        format!("<storescope.Scope {:?}>", self.0.name())
    }
}

/// Calls that were made where no profile is active.
static UNRECORDED: AtomicU64 = AtomicU64::new(0);

/// The scope of the context that runs here, else the one that records what all threads do. Asked once for each call that
/// begins: one that finds neither is counted.
pub(crate) fn current(py: Python<'_>) -> PyResult<Option<timing::Scope>> {
    static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static OF_ALL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if ending::has_begun() {
        // The call will be refused.
        return Ok(None);
    }
    let _inside = Inside::enter(py)?;
    let mut current = CURRENT.import(py, "storescope._profile", "_CURRENT")?.call_method0("get")?;
    if current.is_none() {
        let of_all = OF_ALL.import(py, "storescope._profile", "_OF_ALL_THREADS")?;
        let Some(last) = of_all.cast::<PyList>()?.iter().last() else {
            UNRECORDED.fetch_add(1, Relaxed);
            return Ok(None);
        };
        current = last;
    }
    Ok(Some(current.cast::<Scope>()?.get().0.clone()))
}

/// How many calls of this process were made where no profile was active.
#[pyfunction]
pub(crate) fn _unrecorded() -> u64 {
    UNRECORDED.load(Relaxed)
}

/// All that a scope had recorded at one moment: histograms by key, such as `attempt/get/ttfb/ok/le64K/reused`. Snapshots add
/// up exactly (`+`), pickle, and are written and read as `.hlog`, which HdrHistogram's own tools read.
#[pyclass(frozen, eq, module = "storescope")]
#[derive(PartialEq)]
pub(crate) struct Snapshot(timing::Snapshot);

#[pymethods]
impl Snapshot {
    /// The snapshot that `hlog` holds; an empty one without.
    #[new]
    #[pyo3(signature = (hlog=""))]
    fn new(hlog: &str) -> PyResult<Snapshot> {
        let read = timing::Snapshot::from_hlog(hlog);
        read.map(Snapshot).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// As an HdrHistogram interval log (V2, a tagged line a key; nanoseconds, bytes for `bytes_…`).
    fn to_hlog(&self) -> String {
        self.0.to_hlog()
    }

    /// As an HTML page of its own: curves of percentiles, phases, a table; no scripts, light or dark.
    fn to_html(&self, title: &str) -> String {
        self.0.to_html(title)
    }

    /// The same to be put into another page.
    fn to_html_fragment(&self, title: &str) -> String {
        self.0.to_html_fragment(title)
    }

    /// As JSON text: a member a key, with count, sum, min, max and quantiles.
    fn to_json(&self) -> String {
        self.0.to_json().to_string()
    }

    /// Seconds that were recorded.
    #[getter]
    fn elapsed(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    /// HTTP requests that were made, retries and hedges included.
    #[getter]
    fn requests(&self) -> u64 {
        self.sum(Level::Attempt, Phase::Total, Distribution::count)
    }

    /// Requests that failed or were cancelled, by what they ended with, such as `{"throttled": 3}`.
    #[getter]
    fn failures(&self) -> BTreeMap<&'static str, u64> {
        let mut failures = BTreeMap::new();
        for (key, distribution) in self.0.iter() {
            if (key.level, key.phase) == (Level::Attempt, Phase::Total)
                && key.outcome != Outcome::Ok
            {
                *failures.entry(key.outcome.as_str()).or_default() += distribution.count();
            }
        }
        failures
    }

    /// Bytes that requests asked for, where they said how many.
    #[getter]
    fn bytes_asked(&self) -> u64 {
        self.sum(Level::Attempt, Phase::BytesAsked, Distribution::sum)
    }

    /// Bytes of payload that reads received.
    #[getter]
    fn bytes_received(&self) -> u64 {
        self.bytes(Phase::BytesDelivered, Operation::Get)
    }

    /// Bytes of payload that writes sent.
    #[getter]
    fn bytes_sent(&self) -> u64 {
        self.bytes(Phase::BytesDelivered, Operation::Put)
            + self.bytes(Phase::BytesDelivered, Operation::PutPart)
    }

    /// Bytes received that nobody had asked for, or wanted any more.
    #[getter]
    fn bytes_wasted(&self) -> u64 {
        self.sum(Level::Attempt, Phase::BytesDiscarded, Distribution::sum)
    }

    /// Seconds that callers were blocked, added up over those that waited at once.
    #[getter]
    fn caller_wait(&self) -> f64 {
        let of_calls = |phase| self.sum(Level::Call, phase, Distribution::sum);
        // What has no waits of its own is awaited from its begin to its end.
        let waited = of_calls(Phase::Wait);
        nanoseconds(if waited > 0 { waited } else { of_calls(Phase::Total) })
    }

    /// Seconds that requests took, added up over those that ran at once.
    #[getter]
    fn request_time(&self) -> f64 {
        nanoseconds(self.sum(Level::Attempt, Phase::Total, Distribution::sum))
    }

    /// A row for each key, in order: `level`, `operation`, `phase`, `outcome`, `size`, `connection`, `unit` (`"s"` or
    /// `"bytes"`), `count`, and in that unit `sum`, `min`, `max`, `mean`, `p50`, `p90`, `p99`, `p999`.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.0.iter().map(|(key, distribution)| row(py, *key, distribution)).collect()
    }

    /// The value at a quantile (0 to 1) of a phase of successful requests: seconds, bytes for `bytes_…`; `None` without
    /// values.
    #[pyo3(signature = (quantile, phase="ttfb", operation="get"))]
    fn quantile(&self, quantile: f64, phase: &str, operation: &str) -> PyResult<Option<f64>> {
        let (phase, operation) = (phase_of(phase)?, operation_of(operation)?);
        let value = self.0.quantile(operation, phase, quantile);
        Ok(value.map(|value| in_unit(phase, value)))
    }

    /// The buckets of a phase of successful requests that hold values: `(lowest, highest, count)`, in seconds or bytes.
    #[pyo3(signature = (phase="ttfb", operation="get"))]
    fn buckets(&self, phase: &str, operation: &str) -> PyResult<Vec<(f64, f64, u64)>> {
        let (phase, operation) = (phase_of(phase)?, operation_of(operation)?);
        let Some(all) = self.0.attempts(operation, phase, Outcome::Ok) else {
            return Ok(Vec::new());
        };
        let bucket = |(low, high, count)| (in_unit(phase, low), in_unit(phase, high), count);
        Ok(all.buckets().map(bucket).collect())
    }

    /// What was recorded after `earlier`, a snapshot of the same scope.
    fn since(&self, earlier: &Bound<'_, Snapshot>) -> Snapshot {
        Snapshot(self.0.since(&earlier.get().0))
    }

    fn __add__(&self, other: &Bound<'_, Snapshot>) -> Snapshot {
        let mut sum = self.0.clone();
        sum.merge(&other.get().0);
        Snapshot(sum)
    }

    /// `sum` begins with 0.
    fn __radd__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> Py<PyAny> {
        let is_zero = other.is_exact_instance_of::<PyInt>()
            && other.extract::<u64>().is_ok_and(|number| number == 0);
        if is_zero { slf.clone().into_any().unbind() } else { slf.py().NotImplemented() }
    }

    fn __len__(&self) -> usize {
        self.0.iter().count()
    }

    fn __bool__(&self) -> bool {
        !self.0.is_empty()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, (String,)) {
        (slf.get_type().into_any(), (slf.get().to_hlog(),))
    }

    fn __repr__(&self) -> String {
        format!("<storescope.Snapshot of {} requests>", self.requests())
    }
}

impl Snapshot {
    fn sum(&self, level: Level, phase: Phase, value: fn(&Distribution) -> u64) -> u64 {
        let of_phase = self.0.iter().filter(|(key, _)| (key.level, key.phase) == (level, phase));
        of_phase.map(|(_, distribution)| value(distribution)).sum()
    }

    fn bytes(&self, phase: Phase, operation: Operation) -> u64 {
        let asked =
            |key: &Key| (key.level, key.phase, key.operation) == (Level::Attempt, phase, operation);
        self.0.select(asked).map_or(0, |all| all.sum())
    }
}

fn row<'py>(py: Python<'py>, key: Key, all: &Distribution) -> PyResult<Bound<'py, PyDict>> {
    let value = |value| in_unit(key.phase, value);
    let row = PyDict::new(py);
    row.set_item("level", key.level.as_str())?;
    row.set_item("operation", key.operation.as_str())?;
    row.set_item("phase", key.phase.as_str())?;
    row.set_item("outcome", key.outcome.as_str())?;
    row.set_item("size", key.size.as_str())?;
    row.set_item("connection", key.connection.as_str())?;
    row.set_item("unit", if key.phase.is_bytes() { "bytes" } else { "s" })?;
    row.set_item("count", all.count())?;
    row.set_item("sum", value(all.sum()))?;
    row.set_item("min", value(all.min()))?;
    row.set_item("max", value(all.max()))?;
    row.set_item("mean", value(all.sum()) / all.count().max(1) as f64)?;
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)] {
        row.set_item(name, value(all.quantile(quantile)))?;
    }
    Ok(row)
}

fn in_unit(phase: Phase, value: u64) -> f64 {
    if phase.is_bytes() { value as f64 } else { nanoseconds(value) }
}

fn nanoseconds(value: u64) -> f64 {
    value as f64 / 1e9
}

fn phase_of(name: &str) -> PyResult<Phase> {
    let names = || Phase::ALL.iter().map(|phase| phase.as_str()).collect::<Vec<_>>().join(", ");
    Phase::from_name(name)
        .ok_or_else(|| PyValueError::new_err(format!("phase: {name:?} is none of {}", names())))
}

fn operation_of(name: &str) -> PyResult<Operation> {
    let names = || Operation::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ");
    Operation::from_name(name)
        .ok_or_else(|| PyValueError::new_err(format!("operation: {name:?} is none of {}", names())))
}
