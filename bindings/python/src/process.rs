// SPDX-License-Identifier: Apache-2.0
//! What one process has once: a runtime, clients by their settings, the thread that calls Python.
//!
//! A child made by fork begins anew: what its parent had is forgotten, neither used nor dropped (`fork.rs`), since
//! threads that are not there may hold its locks. Where the interpreter ends, what is under way ends first (`ending.rs`).

use crate::credentials::Providers;
use crate::dispatch::Dispatcher;
use crate::ending::{self, refuse};
use crate::environment::Fingerprint;
use crate::error::raised;
use crate::fork;
use crate::open_writer::OpenWriter;
use futures_util::future::join_all;
use pyo3::prelude::*;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;
use storescope::{Client, Config, Face, StoreOptions, Writer};
use storescope_bindings::clients::Clients;
use storescope_bindings::handover::Server;
use storescope_bindings::lock::locked;
use storescope_bindings::options::Options;
use storescope_bindings::runtime;
use tokio::runtime::{Handle, Runtime};

/// How long the interpreter's end waits for the runtime, and for the callbacks that are left.
const GRACE: Duration = Duration::from_secs(2);

/// How long it waits for each trace.
const TRACES: Duration = Duration::from_secs(2);

/// How long it waits until the writes that are open are aborted: their parts would stay in the store, and cost.
const ABORTS: Duration = Duration::from_secs(5);

/// Null, or this process's own, which is leaked. No lock: threads of the runtime look at it, and a child made by fork could
/// find their lock taken.
static CURRENT: AtomicPtr<Process> = AtomicPtr::new(ptr::null_mut());

pub(crate) struct Process {
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    clients: Clients<(Config, Fingerprint)>,
    dispatcher: OnceLock<Dispatcher>,
    providers: Providers,
    /// Writers that may be open still.
    writers: Mutex<Vec<Weak<OpenWriter>>>,
    /// Hands over what tasks of Spark record, where that is wanted.
    handover: OnceLock<Server>,
}

impl Process {
    /// This process's own, made when first asked for.
    pub(crate) fn current(py: Python<'_>) -> PyResult<&'static Process> {
        if let Some(process) = Process::running() {
            return Ok(process);
        }
        refuse(py)?;
        // Nobody else makes one meanwhile: the GIL is held until it stands there.
        let process = Box::leak(Box::new(Process::start()?));
        CURRENT.store(process, SeqCst);
        // Records alone go without it, where Python starts no thread any more.
        let _ = process.dispatcher(py);
        ending::prepare(py)?;
        Ok(process)
    }

    /// This process's own, if it was made.
    #[allow(unsafe_code)]
    pub(crate) fn running() -> Option<&'static Process> {
        // SAFETY: it is null, or was leaked by `current` and is never freed nor changed.
        unsafe { CURRENT.load(SeqCst).as_ref() }
    }

    fn start() -> PyResult<Process> {
        let runtime = runtime::start()?;
        Ok(Process {
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            clients: Clients::new(),
            writers: Mutex::default(),
            dispatcher: OnceLock::new(),
            providers: Providers::default(),
            handover: OnceLock::new(),
        })
    }

    /// The client with these options over the environment as it is now, and the settings for its stores. Stores whose
    /// settings of level *client* are the same have the same client.
    pub(crate) fn client(&self, py: Python<'_>, options: &Options) -> PyResult<(Client, Config)> {
        let made = || {
            let config = options.over(Config::from_env()?)?;
            Ok((self.client_of(&config)?, config))
        };
        made().map_err(|error| raised(py, &error))
    }

    fn client_of(&self, config: &Config) -> storescope::Result<Client> {
        let key = (config.of_client(), Fingerprint::of_client(config));
        self.clients.get_or_build(key, |(own, _)| {
            let builder = Client::builder().config(own.clone()).runtime(self.handle.clone());
            builder.face(Face::Python).build()
        })
    }

    /// Options of a store, whose credentials a callable gives out, if there is one.
    pub(crate) fn with_credentials(
        &self,
        options: StoreOptions,
        callable: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<StoreOptions> {
        let Some(callable) = callable else { return Ok(options) };
        let dispatcher = self.dispatcher(callable.py())?;
        Ok(options.shared_credentials(self.providers.of(callable, dispatcher)))
    }

    /// Aborts a writer at the interpreter's end, if it is open then, and logs that.
    pub(crate) fn watch(&self, writer: &Arc<OpenWriter>) {
        let mut writers = locked(&self.writers);
        writers.retain(|writer| writer.strong_count() > 0);
        writers.push(Arc::downgrade(writer));
    }

    /// The thread that calls Python, started when first asked for.
    pub(crate) fn dispatcher(&self, py: Python<'_>) -> PyResult<&Dispatcher> {
        if let Some(dispatcher) = self.dispatcher.get() {
            return Ok(dispatcher);
        }
        let started = Dispatcher::start(py)?;
        // Where another thread was first, this one ends.
        Ok(self.dispatcher.get_or_init(|| started))
    }

    /// The same, if it was started.
    pub(crate) fn has_dispatcher(&self) -> Option<&Dispatcher> {
        self.dispatcher.get()
    }

    /// Hands over in this folder from now on.
    pub(crate) fn begin_handover(&self, folder: &Path) -> &Server {
        self.handover.get_or_init(|| Server::start(folder, std::process::id()))
    }

    /// What hands over, if it was begun.
    pub(crate) fn handover(&self) -> Option<&Server> {
        self.handover.get()
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    fn end(&self, py: Python<'_>) {
        let writers = std::mem::take(&mut *locked(&self.writers));
        let writers: Vec<_> = writers.iter().filter_map(Weak::upgrade).collect();
        let busy: Vec<_> = writers.iter().filter(|writer| writer.is_busy()).collect();
        py.detach(ending::wait_for_calls);
        for writer in &busy {
            writer.cut_off();
        }
        let aborts: Vec<_> = writers.iter().filter_map(|writer| writer.give_up()).collect();
        let aborts = join_all(aborts.into_iter().map(Writer::abort));
        let clients = self.clients.all();
        let runtime = locked(&self.runtime).take();
        py.detach(|| {
            // An abort that fails is logged.
            let aborted = async {
                aborts.await;
                if !busy.is_empty() {
                    // What a thread was writing was dropped with its call, which began the abort.
                    join_all(clients.iter().map(|client| client.shutdown(ABORTS))).await;
                }
            };
            let _ = self.handle.block_on(async { tokio::time::timeout(ABORTS, aborted).await });
            // Clients of a process are never dropped: their last interval is written here.
            let flushed = clients.iter().map(|client| client.flush_metrics(GRACE));
            self.handle.block_on(join_all(flushed));
            if let Some(runtime) = runtime {
                // What was under way is dropped, and tells whoever waits for it.
                runtime.shutdown_timeout(GRACE);
            }
            // What was dropped just now is in them, too.
            Client::flush_traces(TRACES);
            if let Some(handover) = self.handover() {
                handover.leave();
            }
            if let Some(dispatcher) = self.dispatcher.get() {
                dispatcher.stop(GRACE);
            }
        });
    }
}

/// Begins anew: called in a child made by fork.
#[pyfunction]
pub(crate) fn _after_fork() {
    fork::forked();
    ending::forked();
    CURRENT.store(ptr::null_mut(), SeqCst);
    Client::forked();
}

/// Leaves what tasks of Spark recorded to their executor: called where the process ends, and the interpreter does not.
#[pyfunction]
pub(crate) fn _leave(py: Python<'_>) {
    if ending::has_begun() {
        // It does so itself.
        return;
    }
    if let Some(handover) = Process::running().and_then(Process::handover) {
        ending::detached(py, || handover.leave());
    }
}

/// Ends what is under way: called when the interpreter ends.
#[pyfunction]
pub(crate) fn _at_exit(py: Python<'_>) {
    ending::begin(py);
    if let Some(process) = Process::running() {
        process.end(py);
    }
    py.detach(ending::close);
}
