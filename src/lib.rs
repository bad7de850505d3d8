// SPDX-License-Identifier: Apache-2.0
//! A client for object stores that records every request, attempt by attempt and phase by phase.
//!
//! ```no_run
//! use storescope::{Client, GetOptions, StoreOptions};
//!
//! # async fn demo() -> storescope::Result<()> {
//! let client = Client::builder().build()?;                       // settings: environment, ~/.oci/config
//! let store = client.store(&"oci://lake@my-namespace/".parse()?, StoreOptions::new())?;
//! let bytes = store.get("events.root", GetOptions::new().range(0..65536)).await?.bytes().await?;
//!
//! let seen = client.metrics().snapshot();
//! for (key, times) in seen.iter() {
//!     println!("{key}: {} values, p99 {} ns", times.count(), times.quantile(0.99));
//! }
//! # Ok(()) }
//! ```
//!
//! # The path of a read
//!
//! ```text
//!  Store::get ─▶ ops/get.rs ─▶ context    Target::begin: one call, timed and counted
//!                           ─▶ attempt    retry · resume at the byte reached · deadline · budget
//!                           ─▶ backend    one HTTP request, classified   ─▶ auth  principal → signature, reused while valid
//!                           ─▶ transport  our pool over hyper http1, timed in the socket
//!                           ─▶ timing     every call and attempt in histograms of its scope
//!  Reader     ─▶ read/      ─▶ attempt    many ranges become few requests; then the same way
//! ```
//!
//! Where a change goes: CONTRIBUTING.md.
//!
//! # Where to look
//!
//! * [`Client`]: the process: connections, retry budget, metrics. [`Store`]: one bucket and prefix.
//! * [`Reader`]: an object read here and there, by ranges or as a stream: few requests, read ahead, within one budget.
//! * [`timing`]: scopes, snapshots, quantiles, `.hlog`, Prometheus, OTLP; [`ClientBuilder::metrics_endpoint`] serves them.
//! * [`tfrecord`]: the framing of TFRecord files.
//! * [`config`]: the one table of settings. [`Error`]: what went wrong, and what to do.
//! * [`blocking`]: the same names for callers without async.
//!
//! # Promises
//!
//! * Object names are exact: nothing is decoded or normalised on the way.
//! * Never wrong or short bytes: status, `Content-Range`, length and ETag of each answer are checked, whole objects by
//!   checksum; a read that broke resumes at the byte it reached, pinned to its ETag.
//! * Every wait ends: connect, first byte, stall and call have their limits ([`config`]).
//! * Every request that was begun is in a histogram, cancelled ones included.
#![forbid(unsafe_code)]

mod attempt;
mod auth;
mod backend;
pub mod blocking;
mod capture;
mod client;
pub mod config;
mod context;
mod error;
mod escape;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod io;
mod limiter;
mod listing;
mod ops;
mod options;
mod payload;
mod read;
#[cfg(feature = "report")]
mod report;
#[cfg(test)]
mod sim;
mod store;
mod telemetry;
pub mod tfrecord;
pub mod timing;
mod transport;
mod types;
mod url;
mod write;

pub use attempt::ObjectBody;
#[doc(hidden)]
pub use auth::bench as auth_bench;
pub use auth::{Credential, CredentialFuture, Credentials};
pub use client::{Client, ClientBuilder, Face, StoreOptions};
pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use escape::escaped;
pub use ops::{GetResult, UploadedPart};
pub use options::{
    ChecksumMode, CopyOptions, DeleteOptions, GetOptions, ListOptions, PutOptions, RenameOptions,
};
pub use payload::Payload;
pub use read::{ByteStream, Piece, Pieces, Ranges, ReadOptions, ReadPolicy, Reader};
pub use store::Store;
pub use types::{Bucket, Checksum, GetRange, ListEntry, ObjectMeta, PutMode, Upload};
pub use url::{Scheme, StoreUrl};
pub use write::Writer;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
