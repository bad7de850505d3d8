// SPDX-License-Identifier: Apache-2.0
//! What the wheel and the jar both need. Neither Python nor Java is known here.
//!
//! ```text
//!  Python ─▶ bindings/python ─┐                  ┌─▶ options   split by level: client, store
//!                             │                  ├─▶ credentials  what a provider of the host's gives out
//!                             ├─▶ this crate ────┼─▶ clients   one for each set of client settings
//!  Java ───▶ bindings/jni ────┘                  ├─▶ runtime   one for each process
//!                                                ├─▶ errors    names of kinds, causes
//!  logging, slf4j ◀── log::RecordQueue ◀────────────────┼── log       the tracing subscriber
//!  Spark's executor (Java) ◀── handover ◀── Python worker ┴── tasks   what each task of Spark recorded
//! ```
//!
//! Fork, the interpreter's end and the attachment of threads differ between the hosts, and stay in the bindings.

#![forbid(unsafe_code)]

pub mod clients;
pub mod credentials;
pub mod errors;
pub mod handover;
pub mod lock;
pub mod log;
pub mod options;
pub mod runtime;
pub mod tasks;
