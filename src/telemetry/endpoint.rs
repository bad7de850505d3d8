// SPDX-License-Identifier: Apache-2.0
//! The scrape endpoints of a process: one for each address that its clients name. Clients of one address share it, and are
//! told as one: their histograms are added up, and so are their gauges and counters. What a client recorded that is gone
//! stays in the sums, so that no counter falls while the endpoint is there.
//!
//! A child made by fork has none of its parent's; it opens its own. Where the address is its parent's the child goes
//! without, with a warning: a range of ports gives each process one.

use super::clients::Clients;
use super::server::serve;
use super::worker;
use crate::config::Listen;
use crate::error::{ErrorKind, Failure, Result};
use crate::timing::Metrics;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A client's part in an endpoint, which ends with the last.
#[derive(Debug)]
pub(super) struct Membership {
    number: u64,
    /// There until it is dropped.
    endpoint: Option<Arc<Endpoint>>,
}

#[derive(Debug)]
struct Endpoint {
    address: SocketAddr,
    clients: Arc<Clients>,
    /// Dropped, it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Registry = Vec<(Listen, Weak<Endpoint>)>;

/// The endpoints of this process, in the place of its number of forks: a forked child has another place than its parent,
/// since a thread that is not there may hold the parent's lock. What is more forks away than there are places shares the last.
static REGISTRIES: [Mutex<Registry>; 16] = [const { Mutex::new(Vec::new()) }; 16];
/// How many forks this process is away from the first.
static FORKS: AtomicUsize = AtomicUsize::new(0);

/// Begins anew in a child made by fork.
pub(crate) fn forked() {
    FORKS.fetch_add(1, Relaxed);
}

fn registry() -> MutexGuard<'static, Registry> {
    locked(&REGISTRIES[FORKS.load(Relaxed).min(REGISTRIES.len() - 1)])
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Membership {
    /// Joins the endpoint of this address, which is opened if there is none. `None` in a forked child whose parent has the
    /// address.
    pub(super) fn join(listen: &Listen, metrics: &Metrics) -> Result<Option<Membership>> {
        let mut registry = registry();
        registry.retain(|(_, endpoint)| endpoint.strong_count() > 0);
        // Port 0 asks for a port of one's own.
        let known = registry.iter().find(|(known, _)| known == listen && !listen.is_any());
        let endpoint = match known.and_then(|(_, endpoint)| endpoint.upgrade()) {
            Some(endpoint) => endpoint,
            None => match Endpoint::open(listen) {
                Ok(endpoint) => {
                    let endpoint = Arc::new(endpoint);
                    registry.push((*listen, Arc::downgrade(&endpoint)));
                    endpoint
                }
                Err(e) if e.kind() == io::ErrorKind::AddrInUse && FORKS.load(Relaxed) > 0 => {
                    tracing::warn!(
                        metrics_endpoint = %listen,
                        "this forked process has no scrape endpoint: the address is taken; a range of ports gives each process one"
                    );
                    return Ok(None);
                }
                Err(e) => return Err(refused(listen, e).into()),
            },
        };
        let number = endpoint.clients.add(metrics.clone());
        Ok(Some(Membership { number, endpoint: Some(endpoint) }))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.endpoint.as_ref().expect("there until it is dropped").address
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let Some(endpoint) = self.endpoint.take() else { return };
        endpoint.clients.remove(self.number);
        // With the registry locked, so that whoever opens the address next finds it free.
        let _registry = registry();
        drop(endpoint);
    }
}

impl Endpoint {
    fn open(listen: &Listen) -> io::Result<Endpoint> {
        let listener = bind(listen)?;
        let address = listener.local_addr()?;
        let clients = Arc::new(Clients::default());
        let (stop, stopped) = oneshot::channel();
        let of_thread = Arc::clone(&clients);
        let thread = worker::start("storescope-http", move || {
            listener.set_nonblocking(true)?;
            Ok(serve(tokio::net::TcpListener::from_std(listener)?, of_thread, stopped))
        })?;
        tracing::info!("metrics at http://{address}/metrics");
        Ok(Endpoint { address, clients, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It waits for nothing: afterwards the port is free.
            let _ = thread.join();
        }
    }
}

/// The first address of the range that is free.
fn bind(listen: &Listen) -> io::Result<TcpListener> {
    let mut taken = None;
    for address in listen.addresses() {
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => taken = Some(e),
            Err(e) => return Err(e),
        }
    }
    Err(taken.unwrap_or_else(|| io::ErrorKind::InvalidInput.into()))
}

fn refused(listen: &Listen, error: io::Error) -> Failure {
    let failure = Failure::new(ErrorKind::Config);
    let failure = if error.kind() == io::ErrorKind::AddrInUse {
        failure
            .message(format!("metrics_endpoint={listen}: the address is in use"))
            .hint(
                "name another port, a range (9464-9479: the first that is free), 0 for any, or unset metrics_endpoint",
            )
    } else {
        failure
            .message(format!("metrics_endpoint={listen}: cannot listen there: {error}"))
            .hint("name an address of this machine and a port that this process may open")
    };
    failure.source(error)
}
