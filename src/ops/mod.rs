// SPDX-License-Identifier: Apache-2.0
//! What is done to objects as a whole, an operation a file. Each takes a [`Target`](crate::context::Target), and is one
//! call or more: timed, retried, and told in one error.
//!
//! ```text
//!  get.rs      head, and reads of an object or of one range of it
//!  rename.rs ─▶ the service's own, by one request (OCI): seen whole or not at all
//!            └▶ copy, then removal of the source (S3): not atomic; a failure between the two leaves both
//!  copy.rs ───▶ inside the service: at once, or followed until its work request ends (OCI)
//!            ├▶ by parts (copy_parts.rs: large, S3)
//!            └▶ through this process, where the two are of different services
//!  delete.rs   one object, or many by as few requests as the service takes
//!  uploads.rs  writes by parts whose parts come from many processes
//!  bucket.rs   buckets made and removed
//! ```
//!
//! It promises: the source of a copy is pinned by its ETag, so that what arrives is what was meant; an answer that was lost
//! is settled by looking ([`attempt::Settle`](crate::attempt::Settle)).

pub(crate) mod bucket;
pub(crate) mod copy;
mod copy_parts;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod rename;
pub(crate) mod uploads;

pub use get::GetResult;
pub use uploads::UploadedPart;
