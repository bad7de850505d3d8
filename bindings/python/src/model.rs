// SPDX-License-Identifier: Apache-2.0
//! Latency models: what a store's requests are expected to take.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use storescope_bindings::errors::one_line;
use storescope_model as model;

/// A model of a store's latency, as `storescope serve --model` takes it: the distributions of the first byte and of the
/// bandwidth of one stream, and ceilings. `Model("s3-standard")` is one of `Model.names()`.
#[pyclass(frozen, module = "storescope")]
pub(crate) struct Model(model::Model);

#[pymethods]
impl Model {
    /// The model of this name. `ValueError` lists the names there are.
    #[new]
    fn new(name: &str) -> PyResult<Model> {
        model::Model::named(name).map(Model).map_err(refused)
    }

    /// A model in TOML, as docs/EMULATOR.md describes it. `ValueError` names the field that is wrong.
    #[staticmethod]
    fn from_toml(text: &str) -> PyResult<Model> {
        model::Model::from_toml(text).map(Model).map_err(refused)
    }

    /// The names of the models that are known.
    #[staticmethod]
    fn names() -> Vec<&'static str> {
        model::Model::names().to_vec()
    }

    /// As TOML; `Model.from_toml` of it is the same model.
    fn to_toml(&self) -> String {
        self.0.to_toml()
    }

    /// What a new connection costs more, in seconds.
    #[getter]
    fn cold_connection(&self) -> f64 {
        self.0.cold_connection.map_or(0.0, |extra| extra.as_secs_f64())
    }

    /// The ceiling of the machine's network interface in bytes a second; None is no ceiling.
    #[getter]
    fn nic(&self) -> Option<f64> {
        self.0.nic.map(model::Rate::bytes_per_second)
    }

    /// Requests a second above which the store answers 429; None is no limit.
    #[getter]
    fn requests_per_second(&self) -> Option<f64> {
        self.0.requests_per_second
    }

    /// What so many requests in a row are given: a list of the seconds to the first byte of each answer, and one of the
    /// bandwidths of the bodies in bytes a second (`inf` is no limit). Equal for equal models and seeds, and what the
    /// emulator draws.
    fn draw(&self, count: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
        let mut sampler = model::Sampler::new(&self.0, seed);
        (0..count)
            .map(|_| {
                let draw = sampler.draw();
                (draw.ttfb.as_secs_f64(), draw.bytes_per_second.unwrap_or(f64::INFINITY))
            })
            .unzip()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Model>().is_ok_and(|other| other.get().0 == self.0)
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, (String,))> {
        Ok((py.get_type::<Model>().getattr("from_toml")?.unbind(), (self.to_toml(),)))
    }

    fn __repr__(&self) -> String {
        format!("<storescope.Model {:?}>", self.to_toml())
    }
}

/// With what the parser says of the line, which is in the source.
fn refused(error: model::ModelError) -> PyErr {
    PyValueError::new_err(one_line(&error))
}
