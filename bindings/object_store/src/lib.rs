// SPDX-License-Identifier: Apache-2.0
//! `object_store`'s trait over storescope's stores: what DataFusion, Polars or delta-rs read and write by it is signed,
//! retried and measured as by [`storescope`] itself.
//!
//! ```text
//!  DataFusion · Polars · delta-rs ─▶ dyn ObjectStore ─▶ v013::ScopedStore ┐   one source, compiled for each major
//!  parquet's ParquetObjectReader                     ─▶ v014::ScopedStore ┴▶ storescope::Store ─▶ OCI · S3
//! ```
//!
//! A trait belongs to one major of its crate, so there is a type for each: `v013` (feature `v0_13`) and `v014`
//! (feature `v0_14`, on by default). Both may be on in one build; nothing is re-exported here, so that turning the
//! other one on somewhere else changes no name.
//!
//! # What it promises
//!
//! * **Names are exact.** A name that a listing meets and `Path` cannot hold (`a//b`, `..`, `folder/`) is an error that
//!   names it, in its place; the rest of the listing follows it.
//! * **Errors keep their source.** Each has a [`storescope::Error`] beneath: status, request id, attempts, what to do.
//!   A bucket that is missing, or may not be seen, is `Generic`, never `NotFound`: the object was not looked for.
//! * **Entity tags** are told as the store writes them, and are compared as they are given. Versions are not told,
//!   since none can be asked for.
//! * **Conditions**: `if_match` with one tag is the store's to judge; `if_none_match`, dates and lists of tags are
//!   judged on the head of the answer, whose bytes are then not read.
//! * **Uploads by parts** are storescope's [`Writer`](storescope::Writer): parts of any size, in the order in which
//!   they were handed over, whichever is awaited first; gathered into parts of the setting `part_size`; at most
//!   (`part_concurrency` + 1) of them in memory. A part's future ends when the writer has taken its bytes; `complete`
//!   tells whether all are stored. What is dropped is aborted.
//! * **Deletes** go by as few requests as the service takes. S3 does not tell whether an object was there, and answers
//!   success; OCI answers `NotFound`.
//!
//! Tags and extensions are ignored, as the trait has it for stores without them; attributes that storescope does not
//! know (a storage class) are `NotImplemented`.
#![forbid(unsafe_code)]
#![allow(
    clippy::duplicate_mod,
    reason = "the adapter is one source for each major of object_store"
)]

#[cfg(feature = "v0_13")]
pub mod v013;
#[cfg(feature = "v0_14")]
pub mod v014;
