// SPDX-License-Identifier: Apache-2.0
//! What one process has once: a runtime, clients by their settings, the thread that calls Python.
//!
//! A child made by fork begins anew: what its parent had is forgotten, neither used nor dropped ([`Native`]), since
//! threads that are not there may hold its locks. Where the interpreter ends, what is under way ends first (`ending.rs`).

use crate::awaitable;
use crate::dispatch::Dispatcher;
use crate::ending::{self, Call, Inside, refuse};
use crate::error::raised;
use crate::log;
use crate::options::Options;
use crate::surroundings::Surroundings;
use crate::writer::OpenWriter;
use futures_util::future::join_all;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;
use storescope::{Client, Config, Face, Writer};
use tokio::runtime::{Builder, Handle, Runtime};

/// How long a wait goes on before it looks for signals.
const SLICE: Duration = Duration::from_millis(100);

/// How long the interpreter's end waits for the runtime, and for the callbacks that are left.
const GRACE: Duration = Duration::from_secs(2);

/// How long it waits until the writes that are open are aborted: their parts would stay in the store, and cost.
const ABORTS: Duration = Duration::from_secs(5);

/// How many forks this process is away from the first.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Null, or this process's own, which is leaked. No lock: threads of the runtime look at it, and a child made by fork could
/// find their lock taken.
static CURRENT: AtomicPtr<Process> = AtomicPtr::new(ptr::null_mut());

pub(crate) struct Process {
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    clients: Mutex<Vec<(Config, Surroundings, Client)>>,
    dispatcher: OnceLock<Dispatcher>,
    /// Writers that may be open still.
    writers: Mutex<Vec<Weak<OpenWriter>>>,
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
        log::install();
        // Records alone go without it, where Python starts no thread any more.
        let _ = process.dispatcher(py);
        awaitable::prepare(py)?;
        Ok(process)
    }

    /// This process's own, if it was made.
    #[allow(unsafe_code)]
    pub(crate) fn running() -> Option<&'static Process> {
        // SAFETY: it is null, or was leaked by `current` and is never freed nor changed.
        unsafe { CURRENT.load(SeqCst).as_ref() }
    }

    fn start() -> PyResult<Process> {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores.clamp(2, 8))
            .thread_name("storescope")
            .enable_all()
            .build()?;
        Ok(Process {
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            clients: Mutex::default(),
            writers: Mutex::default(),
            dispatcher: OnceLock::new(),
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
        let (own, around) = (config.of_client(), Surroundings::of_client(config));
        let mut clients = locked(&self.clients);
        let mut known = clients.iter();
        if let Some((.., client)) = known.find(|known| (&known.0, known.1) == (&own, around)) {
            return Ok(client.clone());
        }
        let builder = Client::builder().config(own.clone()).runtime(self.handle.clone());
        let client = builder.face(Face::Python).build()?;
        clients.push((own, around, client.clone()));
        Ok(client)
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
        let clients: Vec<Client> =
            locked(&self.clients).iter().map(|(.., client)| client.clone()).collect();
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
            if let Some(runtime) = runtime {
                // What was under way is dropped, and tells whoever waits for it.
                runtime.shutdown_timeout(GRACE);
            }
            if let Some(dispatcher) = self.dispatcher.get() {
                dispatcher.stop(GRACE);
            }
        });
    }

    /// Polls the call on this thread for a slice of time.
    fn wait_a_slice<T>(&self, call: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        self.handle.block_on(async { tokio::time::timeout(SLICE, call).await.ok() })
    }
}

/// Waits for a call without the GIL. A signal whose handler raises (Ctrl-C) drops the call, and so does the interpreter's
/// end.
pub(crate) fn wait<T: Send>(py: Python<'_>, call: impl Future<Output = T> + Send) -> PyResult<T> {
    let process = Process::current(py)?;
    // Until the call is dropped: the end waits for what that begins.
    let _call = Call::begin(py)?;
    if Handle::try_current().is_ok() {
        return Err(PyOSError::new_err(
            "storescope: a blocking call on a thread of its own runtime",
        ));
    }
    log::refresh(py)?;
    let mut call = pin!(call);
    loop {
        if let Some(ended) = ending::detached(py, || process.wait_a_slice(call.as_mut())) {
            return Ok(ended);
        }
        refuse(py)?;
        let _inside = Inside::enter(py)?;
        py.check_signals()?;
    }
}

/// The same for a call of the crate, whose error becomes Python's.
pub(crate) fn wait_for<T: Send>(
    py: Python<'_>,
    call: impl Future<Output = storescope::Result<T>> + Send,
) -> PyResult<T> {
    wait(py, call)?.map_err(|error| raised(py, &error))
}

/// A lock that is taken with the GIL held, and never kept while it is free, nor while Python code runs.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that lives in the process which made it: a forked child neither uses nor drops it.
pub(crate) struct Native<T> {
    born: u32,
    value: Option<T>,
}

impl<T> Native<T> {
    pub(crate) fn new(value: T) -> Native<T> {
        Native { born: GENERATION.load(SeqCst), value: Some(value) }
    }

    /// `None` in a child of the process that made it.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.is_ours())
    }

    pub(crate) fn take(mut self) -> Option<T> {
        if self.is_ours() { self.value.take() } else { None }
    }

    fn is_ours(&self) -> bool {
        self.born == GENERATION.load(SeqCst)
    }
}

impl<T> Drop for Native<T> {
    fn drop(&mut self) {
        if !self.is_ours() {
            std::mem::forget(self.value.take());
        }
    }
}

/// Begins anew: called in a child made by fork.
#[pyfunction]
pub(crate) fn _after_fork() {
    GENERATION.fetch_add(1, SeqCst);
    ending::forked();
    CURRENT.store(ptr::null_mut(), SeqCst);
    Client::forked();
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
