// SPDX-License-Identifier: Apache-2.0
//! An emulator of OCI Object Storage and of its S3 API: signatures are checked, latency follows a
//! model, faults are injected, and each request is recorded with the times of its bytes.
//!
//! It owns a server on loopback (plain and TLS listeners of either API, an admin listener), one
//! store for both in memory or in a folder, and a folder with the keys and the configuration by
//! which Oracle's own clients find it. It parses requests of the native API and verifies their
//! signatures with no code of the client's but the signature crate, and its record shares nothing
//! with the client's histograms: it is there to judge them.
//!
//! ```text
//!            listener ─ (TLS) ─ Socket: times, counts, cuts ─ hyper http1
//!                                                              │
//!            record ◄── Connection ◄──────────────────────── service
//!                                                              ├─ identity   who asks
//!                                                              ├─ s3         the other API (s3s)
//!                                                              ├─ fault      what goes wrong
//!                                                              ├─ storage    what is there
//!                                                              └─ latency    when to answer
//! ```
//!
//! **Promises.** Request targets are never normalised. Every answer has an `opc-request-id`. With
//! the model `none` no timer is asked and a body is handed to the socket as one slice of what is
//! stored. A wait of the model ends within a tenth of a millisecond of its deadline on an idle
//! machine. The emulator runs on threads and a runtime of its own: a client's test may run in
//! paused time beside it.
//!
//! ```
//! use storescope_emulator::{Action, Emulator, Fault};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = Emulator::builder().bucket("demo").start()?;
//! println!("{}", serde_json::to_string(emulator.ready())?);
//! emulator.fault(Fault::new(Action::Reset).method("GET").nth(2));
//! // … requests …
//! assert!(emulator.record().is_empty());
//! emulator.stop();
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod actions;
mod admin;
mod api;
mod body;
mod buckets;
mod clock;
mod connection;
mod content;
mod fault;
mod folder;
mod identity;
mod intake;
mod journal;
mod objects;
mod pars;
mod record;
mod reply;
#[cfg(feature = "s3")]
mod s3;
#[cfg(not(feature = "s3"))]
#[path = "without_s3.rs"]
mod s3;
mod service;
mod storage;
mod target;
mod timer;
mod uploads;
mod works;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use storescope_model::{Model, ModelError};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

pub use admin::Admin;
pub use fault::{Action, Fault};
pub use record::{RECORD_CAPACITY, RecordLine};

use crate::clock::Clock;
use crate::connection::{Connection, Socket, Transport};
use crate::fault::Faults;
use crate::folder::FolderLock;
use crate::identity::{COMPARTMENT, Identity, REGION};
use crate::record::{Record, RecordThread};
use crate::service::{Latency, Server};
use crate::storage::Storage;
use crate::target::BucketName;
use crate::timer::{Timer, TimerThread};
use crate::works::Works;

/// The namespace, unless [`Builder::namespace`] says otherwise.
const NAMESPACE: &str = "emulator";

/// A running emulator; it stops when it is dropped.
pub struct Emulator {
    ready: Ready,
    server: Arc<Server>,
    stop: Option<oneshot::Sender<()>>,
    runtime: Option<JoinHandle<()>>,
    record: Option<RecordThread>,
    _timer: TimerThread,
    _state: StateFolder,
}

impl Emulator {
    /// An emulator to be started: any free ports, model `none`, no buckets.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens and what its clients need: the line that `storescope serve` prints.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The requests that ended so far, in the order in which they ended, at most
    /// [`RECORD_CAPACITY`]: every answer whose last byte a client has got is among them.
    pub fn record(&self) -> Vec<RecordLine> {
        self.server.record.lines(None)
    }

    /// Adds a fault and returns its id.
    pub fn fault(&self, fault: Fault) -> u64 {
        self.server.faults.add(fault)
    }

    /// The admin API in process.
    pub fn admin(&self) -> Admin {
        Admin(self.server.clone())
    }

    /// Stops: listeners and connections close, and the record's file is complete on return.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Gone already if the runtime's thread panicked, which its own hook told.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.runtime.take().map(JoinHandle::join);
        drop(self.record.take());
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// What a client needs to know; as JSON, the line that `storescope serve` prints when ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The native API.
    pub oci: OciReady,
    /// The S3 API; none in a build without the feature `s3`.
    pub s3: Option<S3Ready>,
    /// Base URL of the admin API, on loopback unless [`Builder::admin_address`] says otherwise.
    pub admin: String,
    /// The record's file, JSON lines of [`RecordLine`].
    pub record: String,
}

/// How to reach the native API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OciReady {
    /// Base URL, plain HTTP.
    pub endpoint: String,
    /// Base URL, TLS.
    pub tls_endpoint: String,
    /// PEM file of the CA that signed the TLS listener's certificate.
    pub ca_bundle: String,
    /// The namespace.
    pub namespace: String,
    /// The region, as in the configuration file.
    pub region: String,
    /// OCID of the compartment that holds the buckets made at start.
    pub compartment: String,
    /// An OCI configuration file with profiles DEFAULT (an API key), WRONG (the same ids, another
    /// key), SESSION and EXPIRED (session tokens), DELEGATED (the API key with a delegation token).
    pub config_file: String,
    /// The profile to begin with.
    pub profile: String,
}

/// How to reach the S3 API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Ready {
    /// Base URL, plain HTTP.
    pub endpoint: String,
    /// Base URL, TLS.
    pub tls_endpoint: String,
    /// The region to sign for.
    pub region: String,
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
}

/// Why an emulator does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The state folder, a file in it, or a thread.
    #[error("cannot set up the emulator")]
    Io(#[from] io::Error),
    /// Keys, tokens or certificates.
    #[error("cannot make the emulator's keys")]
    Identity(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The latency model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A bucket's name.
    #[error("cannot make the bucket: {0}")]
    Bucket(String),
    /// Options of the S3 API in a build without the feature `s3`.
    #[error("built without S3: its ports, dialect and regions cannot be set")]
    WithoutS3,
}

/// An emulator to be started.
#[derive(Clone, Debug)]
pub struct Builder {
    address: IpAddr,
    admin_address: Option<IpAddr>,
    port: u16,
    tls_port: u16,
    admin_port: u16,
    model: Model,
    seed: u64,
    state: Option<PathBuf>,
    s3_port: u16,
    s3_tls_port: u16,
    s3_dialect_oci: bool,
    s3_regions: Vec<(String, String)>,
    clock_offset: i64,
    threads: usize,
    namespace: String,
    buckets: Vec<String>,
    data: Option<PathBuf>,
    data_limit: Option<u64>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            address: Ipv4Addr::LOCALHOST.into(),
            admin_address: None,
            port: 0,
            tls_port: 0,
            admin_port: 0,
            model: Model::default(),
            seed: 0,
            state: None,
            s3_port: 0,
            s3_tls_port: 0,
            s3_dialect_oci: false,
            s3_regions: Vec::new(),
            clock_offset: 0,
            threads: 2,
            namespace: NAMESPACE.to_owned(),
            buckets: Vec::new(),
            data: None,
            data_limit: None,
        }
    }
}

impl Builder {
    /// The address of the listeners of both APIs; 127.0.0.1 by default.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Builder {
        self.address = address;
        self
    }

    /// The address of the admin API's listener. The admin API is unsigned: who reaches it reads
    /// the record and decides what clients are answered. By default the address is that of
    /// [`Builder::address`] if this is a loopback address, else 127.0.0.1.
    #[must_use]
    pub fn admin_address(mut self, address: IpAddr) -> Builder {
        self.admin_address = Some(address);
        self
    }

    /// The plain listener's port; 0, the default, is any.
    #[must_use]
    pub fn port(mut self, port: u16) -> Builder {
        self.port = port;
        self
    }

    /// The TLS listener's port; 0, the default, is any.
    #[must_use]
    pub fn tls_port(mut self, port: u16) -> Builder {
        self.tls_port = port;
        self
    }

    /// The admin listener's port; 0, the default, is any.
    #[must_use]
    pub fn admin_port(mut self, port: u16) -> Builder {
        self.admin_port = port;
        self
    }

    /// The port of the S3 API's plain listener; 0, the default, is any.
    #[must_use]
    pub fn s3_port(mut self, port: u16) -> Builder {
        self.s3_port = port;
        self
    }

    /// The port of the S3 API's TLS listener; 0, the default, is any.
    #[must_use]
    pub fn s3_tls_port(mut self, port: u16) -> Builder {
        self.s3_tls_port = port;
        self
    }

    /// Whether the S3 API refuses what OCI's refuses: `aws-chunked` bodies, and DeleteObjects
    /// with a CRC32 or without MD5, SHA-256 or CRC32C. Off by default.
    #[must_use]
    pub fn s3_dialect_oci(mut self, oci: bool) -> Builder {
        self.s3_dialect_oci = oci;
        self
    }

    /// Says that a bucket lies in another region: an S3 request for it that is signed for any
    /// other gets 301 `PermanentRedirect` with `x-amz-bucket-region`.
    #[must_use]
    pub fn s3_bucket_region(mut self, bucket: &str, region: &str) -> Builder {
        self.s3_regions.push((bucket.to_owned(), region.to_owned()));
        self
    }

    /// The latency model; `none` by default.
    #[must_use]
    pub fn model(mut self, model: Model) -> Builder {
        self.model = model;
        self
    }

    /// The seed of the model's draws; 0 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    /// The folder for `config`, keys, tokens, `ca.pem` and `record.jsonl`; made if it is not
    /// there. One emulator at a time may use a folder. By default a temporary one, removed when
    /// the emulator stops.
    #[must_use]
    pub fn state_dir(mut self, folder: impl Into<PathBuf>) -> Builder {
        self.state = Some(folder.into());
        self
    }

    /// Shifts the clock that clients of both APIs see (`date`, times of objects, the skew check,
    /// the expiry of tokens and of presigned requests) by so many seconds.
    #[must_use]
    pub fn clock_offset(mut self, seconds: i64) -> Builder {
        self.clock_offset = seconds;
        self
    }

    /// Threads of the emulator's runtime; 2 by default, at least 1.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Builder {
        self.threads = threads.max(1);
        self
    }

    /// The namespace; `emulator` by default.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Builder {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// Makes a bucket at the start, unless the data folder has it; may be called again for
    /// another.
    #[must_use]
    pub fn bucket(mut self, name: &str) -> Builder {
        self.buckets.push(name.to_owned());
        self
    }

    /// The folder where objects, uploads and buckets are kept; made if it is not there. They
    /// survive the end of the process however it ends: each is as it was before a change or after
    /// it. One emulator at a time may use a folder. By default everything is in memory.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Builder {
        self.data = Some(folder.into());
        self
    }

    /// Most bytes of objects and parts in the folder of [`Builder::data_dir`]: what is put beyond
    /// them is answered as on a full disk, by 507 `InsufficientStorage`.
    #[must_use]
    pub fn data_limit(mut self, bytes: u64) -> Builder {
        self.data_limit = Some(bytes);
        self
    }

    /// Starts. On return all listeners take connections and all files are written.
    pub fn start(mut self) -> Result<Emulator, StartError> {
        self.model.check()?;
        self.check_features()?;
        let state = StateFolder::open(self.state.as_deref())?;
        let listeners = self.listeners()?;
        let clock = Clock::new(self.clock_offset);
        let acceptor = TlsAcceptor::from(identity::tls_config(&state.ca_file(), self.address)?);
        let identity = Identity::create(&state.path, clock.wall())?;
        let (record, record_thread) = Record::create(&state.record_file())?;
        let (timer, timer_thread) = Timer::start()?;
        let server = Arc::new(Server {
            storage: self.storage(&clock)?,
            identity,
            clock,
            timer,
            record,
            faults: Faults::default(),
            latency: Latency::new(&self.model, self.seed),
            works: Works::default(),
            last_request: AtomicU64::new(0),
            last_connection: AtomicU64::new(0),
        });
        let regions = std::mem::take(&mut self.s3_regions);
        let s3 = s3::Service::new(&server, self.s3_dialect_oci, regions);
        let ready = listeners.ready(self.namespace, s3.as_ref(), &state)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.threads)
            .thread_name("emulator")
            .enable_io()
            .build()?;
        {
            let _entered = runtime.enter();
            listeners.accept(&server, s3.as_ref(), &acceptor)?;
        }
        let (stop, stopped) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name("emulator-runtime".into()).spawn(move || {
                // An error is an emulator that is gone.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Emulator {
            ready,
            server,
            stop: Some(stop),
            runtime: Some(thread),
            record: Some(record_thread),
            _timer: timer_thread,
            _state: state,
        })
    }

    fn check_features(&self) -> Result<(), StartError> {
        let is_s3_asked = self.s3_port != 0
            || self.s3_tls_port != 0
            || self.s3_dialect_oci
            || !self.s3_regions.is_empty();
        if is_s3_asked && !s3::IS_BUILT { Err(StartError::WithoutS3) } else { Ok(()) }
    }

    fn listeners(&self) -> Result<Listeners, StartError> {
        let pair = |plain, tls| {
            Ok::<_, StartError>(Pair {
                plain: listen(self.address, plain)?,
                tls: listen(self.address, tls)?,
            })
        };
        let loopback =
            if self.address.is_loopback() { self.address } else { Ipv4Addr::LOCALHOST.into() };
        Ok(Listeners {
            oci: pair(self.port, self.tls_port)?,
            s3: if s3::IS_BUILT { Some(pair(self.s3_port, self.s3_tls_port)?) } else { None },
            admin: listen(self.admin_address.unwrap_or(loopback), self.admin_port)?,
        })
    }

    fn storage(&self, clock: &Clock) -> Result<Storage, StartError> {
        let storage = match &self.data {
            None => Storage::new(self.namespace.clone()),
            Some(folder) => Storage::open(self.namespace.clone(), folder, self.data_limit)?,
        };
        for name in &self.buckets {
            let (namespace, name) = (self.namespace.clone(), name.clone());
            if storage.bucket(&BucketName { namespace, name: name.clone() }).is_ok() {
                continue;
            }
            buckets::new_bucket(&name, COMPARTMENT, &serde_json::Map::new(), clock.wall())
                .and_then(|bucket| storage.create_bucket(bucket))
                .map_err(|error| StartError::Bucket(error.message))?;
        }
        Ok(storage)
    }
}

/// The folder of keys, configuration and record, and its lock.
#[derive(Debug)]
struct StateFolder {
    path: PathBuf,
    _lock: FolderLock,
    _temporary: Option<tempfile::TempDir>,
}

impl StateFolder {
    /// This folder, or a temporary one.
    fn open(folder: Option<&Path>) -> io::Result<StateFolder> {
        let (path, temporary) = match folder {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                (std::path::absolute(folder)?, None)
            }
            None => {
                let made = tempfile::Builder::new().prefix("storescope-emulator-").tempdir()?;
                (made.path().to_owned(), Some(made))
            }
        };
        // Not the name that the data folder's has: both may be one folder.
        let lock = FolderLock::take(&path, "state.lock", "state")?;
        Ok(StateFolder { path, _lock: lock, _temporary: temporary })
    }

    fn ca_file(&self) -> PathBuf {
        self.path.join("ca.pem")
    }

    fn record_file(&self) -> PathBuf {
        self.path.join("record.jsonl")
    }
}

/// All listeners of an emulator.
struct Listeners {
    oci: Pair,
    s3: Option<Pair>,
    admin: TcpListener,
}

/// The two listeners of an API.
struct Pair {
    plain: TcpListener,
    tls: TcpListener,
}

impl Listeners {
    fn ready(
        &self,
        namespace: String,
        s3: Option<&s3::Service>,
        state: &StateFolder,
    ) -> io::Result<Ready> {
        let s3 = s3.zip(self.s3.as_ref()).map(|(service, pair)| {
            io::Result::Ok(service.ready(url("http", &pair.plain)?, url("https", &pair.tls)?))
        });
        Ok(Ready {
            oci: OciReady {
                endpoint: url("http", &self.oci.plain)?,
                tls_endpoint: url("https", &self.oci.tls)?,
                ca_bundle: state.ca_file().display().to_string(),
                namespace,
                region: REGION.to_owned(),
                compartment: COMPARTMENT.to_owned(),
                config_file: identity::config_file(&state.path).display().to_string(),
                profile: "DEFAULT".to_owned(),
            },
            s3: s3.transpose()?,
            admin: url("http", &self.admin)?,
            record: state.record_file().display().to_string(),
        })
    }

    /// Takes connections on the runtime that is entered.
    fn accept(
        self,
        server: &Arc<Server>,
        s3: Option<&s3::Service>,
        acceptor: &TlsAcceptor,
    ) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std;
        let pairs = [(Some(self.oci), None), (self.s3, s3.cloned())];
        for (pair, service) in pairs {
            let Some(Pair { plain, tls }) = pair else { continue };
            let (plain, tls) = (listener(plain)?, listener(tls)?);
            tokio::spawn(accept(plain, server.clone(), service.clone(), None));
            tokio::spawn(accept(tls, server.clone(), service, Some(acceptor.clone())));
        }
        let address = self.admin.local_addr()?.ip();
        tokio::spawn(accept_admin(listener(self.admin)?, address, Admin(server.clone())));
        Ok(())
    }
}

fn listen(address: IpAddr, port: u16) -> Result<TcpListener, StartError> {
    let address = SocketAddr::new(address, port);
    let listener =
        TcpListener::bind(address).map_err(|source| StartError::Listen { address, source })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn url(scheme: &str, listener: &TcpListener) -> io::Result<String> {
    Ok(format!("{scheme}://{}", listener.local_addr()?))
}

/// Takes connections until the runtime ends.
async fn accept(
    listener: tokio::net::TcpListener,
    server: Arc<Server>,
    s3: Option<s3::Service>,
    acceptor: Option<TlsAcceptor>,
) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // File descriptors may be exhausted: give others time to close theirs.
                tracing::warn!(%error, "cannot take a connection");
                server.timer.sleep_until(Instant::now() + Duration::from_millis(10)).await;
                continue;
            }
        };
        // A socket that is gone already is found out by its first read.
        let _ = stream.set_nodelay(true);
        let (server, s3, acceptor) = (server.clone(), s3.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, server, s3, false).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => serve(stream, server, s3, true).await,
                    Err(error) => tracing::debug!(%error, "TLS handshake failed"),
                },
            }
        });
    }
}

/// Serves one connection to its end.
async fn serve<T: Transport + Send + 'static>(
    stream: T,
    server: Arc<Server>,
    s3: Option<s3::Service>,
    tls: bool,
) {
    let number = server.last_connection.fetch_add(1, Ordering::Relaxed) + 1;
    let connection = Arc::new(Connection::new(number, tls, server.clock, server.record.clone()));
    let socket = Socket::new(stream, connection.clone(), server.timer.clone());
    let service =
        service_fn(move |request| server.clone().serve(connection.clone(), request, s3.clone()));
    let served = hyper::server::conn::http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(socket), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, connection = number, "connection ended");
    }
}

async fn accept_admin(listener: tokio::net::TcpListener, address: IpAddr, admin: Admin) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot take an admin connection");
                admin.0.timer.sleep_until(Instant::now() + Duration::from_millis(10)).await;
                continue;
            }
        };
        let admin = admin.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| admin.clone().serve(request, address));
            let served = hyper::server::conn::http1::Builder::new()
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "admin connection ended");
            }
        });
    }
}
