// SPDX-License-Identifier: Apache-2.0
//! An emulator of OCI Object Storage and of its S3 API: signatures are checked, latency follows a
//! model, faults are injected, and each request is recorded with the times of its bytes.
//!
//! It owns a server on loopback (plain and TLS listeners of either API and of the endpoints by
//! which principals get tokens, an admin listener), one
//! store for both in memory or in a folder, and a folder with the keys and the configuration by
//! which Oracle's own clients find it. It parses requests of the native API and verifies their
//! signatures with no code of the client's but the signature crate, and its record shares nothing
//! with the client's histograms: it is there to judge them.
//!
//! ```text
//!            listener ─ (TLS) ─ Socket: times, counts, cuts ─ hyper http1
//!                                                              │
//!            record ◄── Connection ◄──────────────────────── service
//!                                                              ├─ oci, s3    which API
//!                                                              ├─ principals the endpoints of tokens
//!                                                              ├─ identity   who asks
//!                                                              ├─ fault      what goes wrong
//!                                                              ├─ storage    what is there
//!                                                              └─ latency    when to answer
//! ```
//!
//! The modules stand on floors. A module imports only from lower floors, and from its own folder:
//!
//! ```text
//!  lib.rs                                    what users import
//!  builder                                   options, start
//!  emulator · listeners                      what its owner holds · ports, TLS, connections
//!  service · admin                           a request from its head to its answer · the admin API
//!  oci/ · s3/ · principals/                  the two APIs and the endpoints of principals, each with
//!                                            its own routes and answers
//!                                            (without_s3 in the place of s3/, where the feature is off)
//!  exchange                                  a request while it is worked on
//!  server                                    what all requests share
//!  buckets · assembly · work_requests        what APIs make: buckets, objects of parts, copies
//!  storage · request                         the store: one change at a time · reading a request
//!  journal · metadata · target               changes on disk · object headers · routes
//!  state/ · intake · reply · body · connection    what is stored · bodies in and out, answers
//!  api · content · identity/ · record        tables of the APIs · bytes · keys · one line a request
//!  clock · error · fault · folder · latency · ready · timer        the ground
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

mod admin;
mod api;
mod assembly;
mod body;
mod buckets;
mod builder;
mod clock;
mod connection;
mod content;
mod emulator;
mod error;
mod exchange;
mod fault;
mod folder;
mod identity;
mod intake;
mod journal;
mod latency;
mod listeners;
mod metadata;
mod oci;
mod principals;
mod ready;
mod record;
mod reply;
mod request;
#[cfg(feature = "s3")]
mod s3;
#[cfg(not(feature = "s3"))]
#[path = "without_s3.rs"]
mod s3;
mod server;
mod service;
mod state;
mod storage;
mod target;
mod timer;
mod work_requests;

pub use crate::admin::Admin;
pub use crate::builder::Builder;
pub use crate::emulator::Emulator;
pub use crate::error::StartError;
pub use crate::fault::{Action, Fault};
pub use crate::identity::{NewUser, Policy, ResourceType, Rotated, User, Verb};
pub use crate::ready::{DomainReady, IdentityReady, OciReady, Ready, S3Ready};
pub use crate::record::{RECORD_CAPACITY, RecordLine};
