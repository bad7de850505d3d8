// SPDX-License-Identifier: Apache-2.0
//! One bucket and prefix.

use crate::environment::{self, Fingerprint};
use crate::error::raised;
use crate::fork::ProcessOwned;
use crate::options::{self, Given};
use crate::process::Process;
use crate::scope::{self, Scope};
use crate::task;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::hash::{Hash, Hasher};
use std::sync::Mutex;
use storescope::{StoreUrl, timing};
use storescope_bindings::lock::locked;
use storescope_bindings::options::Options;

/// One bucket, and the part of it below a prefix. Made by `storescope.open_store`; no I/O before the first call.
///
/// Any number of threads may use one. It pickles by its URL and options, and works on in a child made by fork, each time
/// with connections of its own. Keys are exact: nothing in them is decoded or normalised.
#[pyclass(frozen, weakref, module = "storescope")]
pub(crate) struct Store {
    pub(crate) url: StoreUrl,
    /// As given, for pickle.
    pub(crate) given: Option<Py<PyDict>>,
    client_options: Options,
    options: Options,
    /// The callable that gives out credentials.
    credentials: Option<Py<PyAny>>,
    scope: Option<timing::Scope>,
    opened: Mutex<Option<ProcessOwned<Opened>>>,
}

/// The crate's store, and when it was opened.
#[derive(Clone)]
struct Opened {
    store: storescope::Store,
    environment: Fingerprint,
    /// How many calls of the process had failed by then in a way that another environment may mend.
    failures: u64,
}

impl Store {
    /// A store, opened at once: what is wrong with its settings is told here.
    pub(crate) fn with_options(
        py: Python<'_>,
        url: &str,
        scope: Option<&Bound<'_, Scope>>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Store> {
        let Given { of_client, of_store, credentials } = options::split(options.as_ref())?;
        let url: StoreUrl = url.parse().map_err(|error| raised(py, &error))?;
        let store = Store {
            url,
            given: options.map(Bound::unbind),
            client_options: of_client,
            options: of_store,
            credentials,
            scope: scope.map(|scope| scope.get().0.clone()),
            opened: Mutex::new(None),
        };
        store.opened(py)?;
        Ok(store)
    }

    /// The crate's store, of this process, recorded in the scope of the context and in the task that run here.
    pub(crate) fn in_scope(&self, py: Python<'_>) -> PyResult<storescope::Store> {
        let store = match scope::current(py)? {
            Some(scope) => self.opened(py)?.with_scope(&scope),
            None => self.by_itself(py)?,
        };
        Ok(match task::current(py)? {
            Some(task) => store.also_in(task.scope()),
            None => store,
        })
    }

    /// The crate's store, of this process, recorded in the store's own scope.
    pub(crate) fn by_itself(&self, py: Python<'_>) -> PyResult<storescope::Store> {
        let store = self.opened(py)?;
        Ok(match &self.scope {
            Some(scope) => store.with_scope(scope),
            None => store,
        })
    }

    /// The crate's store, of this process. After a failure that other settings may mend, it is opened anew if the
    /// environment or a file of settings has changed since it was opened: what an error advises must help.
    fn opened(&self, py: Python<'_>) -> PyResult<storescope::Store> {
        let failures = environment::failures();
        let known = locked(&self.opened).as_ref().and_then(ProcessOwned::get).cloned();
        if let Some(known) = &known
            && known.failures == failures
        {
            return Ok(known.store.clone());
        }
        let process = Process::current(py)?;
        let (client, config) = process.client(py, &self.client_options)?;
        let all = self.options.over(config.clone()).map_err(|error| raised(py, &error))?;
        let environment = Fingerprint::of_store(&all);
        let store = match known {
            Some(known) if known.environment == environment => known.store,
            _ => {
                let callable = self.credentials.as_ref().map(|callable| callable.bind(py));
                let options = self.options.of_store().config(config);
                let options = process.with_credentials(options, callable)?;
                let store = client.store(&self.url, options);
                store.map_err(|error| raised(py, &error))?
            }
        };
        let opened = Opened { store: store.clone(), environment, failures };
        *locked(&self.opened) = Some(ProcessOwned::new(opened));
        Ok(store)
    }

    /// The URL of one of its objects.
    pub(crate) fn url_of(&self, key: &str) -> String {
        let key = [self.url.key(), key].concat();
        self.url.with_key(&key).to_string()
    }

    pub(crate) fn is_same(&self, other: &Store) -> bool {
        let callable = |store: &Store| store.credentials.as_ref().map(Py::as_ptr);
        self.url == other.url
            && callable(self) == callable(other)
            && self.client_options == other.client_options
            && self.options == other.options
    }
}

impl Hash for Store {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.url, &self.client_options, &self.options).hash(hasher);
    }
}
