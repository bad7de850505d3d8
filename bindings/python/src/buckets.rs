// SPDX-License-Identifier: Apache-2.0
//! The buckets of a service, and URLs.

use crate::blocking::wait_for;
use crate::error::raised;
use crate::options::{self, Given};
use crate::process::Process;
use crate::scope;
use crate::task;
use futures_util::TryStreamExt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use storescope::{StoreOptions, StoreUrl};

/// Makes the bucket that the URL names.
#[pyfunction]
#[pyo3(signature = (url, **options))]
pub(crate) fn create_bucket(
    py: Python<'_>,
    url: &str,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let (client, url, of_store) = service(py, url, options)?;
    wait_for(py, client.create_bucket(&url, of_store))
}

/// Removes the bucket that the URL names. It must be empty.
#[pyfunction]
#[pyo3(signature = (url, **options))]
pub(crate) fn delete_bucket(
    py: Python<'_>,
    url: &str,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let (client, url, of_store) = service(py, url, options)?;
    wait_for(py, client.delete_bucket(&url, of_store))
}

/// The names of a service's buckets (`oci://@namespace`, `s3://`).
#[pyfunction]
#[pyo3(signature = (url, **options))]
pub(crate) fn list_buckets(
    py: Python<'_>,
    url: &str,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<String>> {
    let (client, url, of_store) = service(py, url, options)?;
    let buckets = client.buckets(&url, of_store);
    wait_for(py, buckets.map_ok(|bucket| bucket.name).try_collect())
}

/// A URL as messages show it: without what is secret in it.
#[pyfunction]
pub(crate) fn _redacted(url: &str) -> String {
    StoreUrl::redacted(url)
}

fn service(
    py: Python<'_>,
    url: &str,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<(storescope::Client, StoreUrl, StoreOptions)> {
    let Given { of_client, of_store, credentials } = options::split(options)?;
    let url = url.parse().map_err(|error| raised(py, &error))?;
    let process = Process::current(py)?;
    let (client, config) = process.client(py, &of_client)?;
    let callable = credentials.as_ref().map(|callable| callable.bind(py));
    let mut of_store = process.with_credentials(of_store.of_store().config(config), callable)?;
    if let Some(scope) = scope::current(py)? {
        of_store = of_store.scope(&scope);
    }
    if let Some(task) = task::current(py)? {
        of_store = of_store.scope(task.scope());
    }
    Ok((client, url, of_store))
}
