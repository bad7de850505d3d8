// SPDX-License-Identifier: Apache-2.0
//! Credentials that a Python callable gives out.
//!
//! ```text
//!  runtime's task ── credential() ──▶ dispatch.rs ── starts ──▶ a thread of Python's own: _credentials.run, the callable
//!        ▲───────────────── Answer.give, Answer.fail ◀────────────────────────┘
//! ```
//!
//! Each question has a thread of its own: a callable may take its time, log, and use other stores that have one, too.
//! That thread has no Rust frame beneath the callable (`ending.rs`), so that the interpreter may end meanwhile. What the
//! callable raises is the cause of the exception that the store's caller gets.

use crate::dispatch::{Call, DeferredDrop, Dispatcher};
use crate::ending::Inside;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use storescope::{CredentialFuture, Credentials};
use storescope_bindings::credentials::Told;
use storescope_bindings::lock::locked;
use tokio::sync::oneshot;

/// The option that names a callable.
pub(crate) const OPTION: &str = "credentials";

/// What the option was given, if it can be called.
pub(crate) fn callable(value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if value.is_callable() {
        return Ok(value.clone().unbind());
    }
    let _inside = Inside::enter(value.py())?;
    let kind = value.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    Err(PyTypeError::new_err(format!("{OPTION}: expected a callable, not {kind}")))
}

/// The callables of a process, each the same `Credentials` for all stores that have it.
#[derive(Default)]
pub(crate) struct Providers(Mutex<Vec<Weak<Provider>>>);

impl Providers {
    pub(crate) fn of(
        &self,
        callable: &Bound<'_, PyAny>,
        dispatcher: &Dispatcher,
    ) -> Arc<dyn Credentials> {
        let mut providers = locked(&self.0);
        providers.retain(|known| known.strong_count() > 0);
        let mut known = providers.iter().filter_map(Weak::upgrade);
        if let Some(known) = known.find(|known| known.callable.is(callable)) {
            return known;
        }
        let callable = DeferredDrop::new(callable.clone().unbind(), dispatcher);
        let (callable, dispatcher) = (Arc::new(callable), dispatcher.clone());
        let made = Arc::new(Provider { callable, dispatcher });
        providers.push(Arc::downgrade(&made));
        made
    }
}

struct Provider {
    callable: Arc<DeferredDrop>,
    dispatcher: Dispatcher,
}

impl Provider {
    /// Begins a call; its answer.
    fn ask(&self) -> oneshot::Receiver<Result<Told, Raised>> {
        let (sender, answer) = oneshot::channel();
        let (callable, dispatcher) = (Arc::clone(&self.callable), self.dispatcher.clone());
        self.dispatcher.run(move |py| begin(py, &callable, Answer::new(sender, dispatcher)));
        answer
    }
}

fn begin(py: Python<'_>, callable: &DeferredDrop, answer: Answer) -> PyResult<Option<Call>> {
    static BEGIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(callable) = callable.get(py) else { return Ok(None) };
    let begin = BEGIN.import(py, "storescope._credentials", "begin")?.clone().unbind();
    Ok(Some((begin, (callable, answer).into_pyobject(py)?.unbind())))
}

impl Credentials for Provider {
    fn credential(&self) -> CredentialFuture<'_> {
        Box::pin(async {
            let told = self.ask().await.map_err(|_| Unanswered)??;
            // A key that is encrypted takes a while.
            Ok(tokio::task::spawn_blocking(move || told.made()).await??)
        })
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

/// Where the thread that ran a callable leaves what it told. One that is dropped without it ends the wait, too.
#[pyclass(frozen)]
struct Answer {
    sender: Mutex<Option<oneshot::Sender<Result<Told, Raised>>>>,
    dispatcher: Dispatcher,
}

impl Answer {
    fn new(sender: oneshot::Sender<Result<Told, Raised>>, dispatcher: Dispatcher) -> Answer {
        Answer { sender: Mutex::new(Some(sender)), dispatcher }
    }

    fn send(&self, told: Result<Told, Raised>) {
        if let Some(sender) = locked(&self.sender).take() {
            // Nobody may wait any more.
            let _ = sender.send(told);
        }
    }
}

#[pymethods]
impl Answer {
    /// `ends`: seconds since 1970.
    fn give(
        &self,
        kind: String,
        texts: (String, String, Option<String>),
        ends: Option<f64>,
        on_behalf_of: Option<String>,
    ) {
        let (id, secret, more) = texts;
        let ends = ends.map(|ends| Duration::try_from_secs_f64(ends).unwrap_or_default());
        self.send(Ok(Told { kind, id, secret, more, ends, on_behalf_of }));
    }

    /// `text`: the exception in words.
    fn fail(&self, error: Bound<'_, PyAny>, text: String) {
        let exception = DeferredDrop::new(error.unbind(), &self.dispatcher);
        self.send(Err(Raised { exception, text }));
    }
}

/// An exception of a callable's.
pub(crate) struct Raised {
    exception: DeferredDrop,
    text: String,
}

impl Raised {
    /// The exception that an error was caused by, where a callable raised one.
    pub(crate) fn beneath(py: Python<'_>, error: &(dyn StdError + 'static)) -> Option<PyErr> {
        let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
        let raised = causes.find_map(|cause| cause.downcast_ref::<Raised>())?;
        Some(PyErr::from_value(raised.exception.get(py)?.into_bound(py)))
    }
}

impl fmt::Debug for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Raised")
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Raised {}

/// A callable was not called, or its thread ended.
#[derive(Debug)]
struct Unanswered;

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the callable was not called: the interpreter ends")
    }
}

impl StdError for Unanswered {}
