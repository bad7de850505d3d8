// SPDX-License-Identifier: Apache-2.0
//! Scopes: what is recorded between two moments, or of one context.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use storescope::timing;

/// What a profile records into. `storescope.profile()` makes it.
#[pyclass(frozen, module = "storescope")]
pub(crate) struct Scope(pub(crate) timing::Scope);

#[pymethods]
impl Scope {
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
}

/// The scope of the context that runs here (`storescope._scope.CURRENT`).
pub(crate) fn current(py: Python<'_>) -> PyResult<Option<timing::Scope>> {
    static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let current = CURRENT.import(py, "storescope._profile", "CURRENT")?.call_method0("get")?;
    if current.is_none() {
        return Ok(None);
    }
    Ok(Some(current.cast::<Scope>()?.get().0.clone()))
}
