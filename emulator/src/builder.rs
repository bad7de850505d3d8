// SPDX-License-Identifier: Apache-2.0
//! The options of an emulator, and its start.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};

use storescope_model::Model;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::clock::Clock;
use crate::emulator::Emulator;
use crate::error::StartError;
use crate::fault::Faults;
use crate::folder::StateFolder;
use crate::identity::{self, COMPARTMENT, Identity};
use crate::latency::Latency;
use crate::listeners::{Listeners, Ports};
use crate::record::Record;
use crate::server::Server;
use crate::state::BucketName;
use crate::storage::Storage;
use crate::timer::Timer;
use crate::work_requests::Works;
use crate::{buckets, s3};

/// The namespace, unless [`Builder::namespace`] says otherwise.
const NAMESPACE: &str = "emulator";

impl Emulator {
    /// An emulator to be started: any free ports, model `none`, no buckets.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// An emulator to be started.
#[derive(Clone, Debug)]
pub struct Builder {
    address: IpAddr,
    admin_address: Option<IpAddr>,
    identity_address: Option<IpAddr>,
    port: u16,
    tls_port: u16,
    admin_port: u16,
    model: Model,
    seed: u64,
    state: Option<PathBuf>,
    s3_port: u16,
    s3_tls_port: u16,
    identity_port: u16,
    identity_tls_port: u16,
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
            identity_address: None,
            port: 0,
            tls_port: 0,
            admin_port: 0,
            model: Model::default(),
            seed: 0,
            state: None,
            s3_port: 0,
            s3_tls_port: 0,
            identity_port: 0,
            identity_tls_port: 0,
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

    /// The address of the listeners of instance metadata and of the identity service. Instance
    /// metadata gives a key to anyone who asks. By default the address is that of
    /// [`Builder::address`] if this is a loopback address, else 127.0.0.1.
    #[must_use]
    pub fn identity_address(mut self, address: IpAddr) -> Builder {
        self.identity_address = Some(address);
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

    /// The port of the plain listener of instance metadata and of the identity service; 0, the
    /// default, is any.
    #[must_use]
    pub fn identity_port(mut self, port: u16) -> Builder {
        self.identity_port = port;
        self
    }

    /// The port of the TLS listener of the identity service and of the proxy of a cluster's nodes;
    /// 0, the default, is any. Oracle's SDKs ask a cluster's proxy on port 12250 only.
    #[must_use]
    pub fn identity_tls_port(mut self, port: u16) -> Builder {
        self.identity_tls_port = port;
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
        let listeners = Listeners::open(&Ports {
            address: self.address,
            admin_address: self.admin_address,
            identity_address: self.identity_address,
            oci: (self.port, self.tls_port),
            s3: (self.s3_port, self.s3_tls_port),
            identity: (self.identity_port, self.identity_tls_port),
            admin: self.admin_port,
        })?;
        let clock = Clock::new(self.clock_offset);
        let acceptor = TlsAcceptor::from(identity::tls_config(&state.ca_file(), self.address)?);
        let identity = Identity::create(&state.path, &self.namespace, clock.wall())?;
        let (record, record_thread) = Record::create(&state.record_file())?;
        let (timer, timer_thread) = Timer::start()?;
        let server = Arc::new(Server {
            storage: Arc::new(self.storage(&clock)?),
            others: RwLock::default(),
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
        let ready = listeners.ready(&server, s3.as_ref(), &state)?;
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
