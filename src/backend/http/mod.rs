// SPDX-License-Identifier: Apache-2.0
//! What OCI's native API and S3 have in common: both are HTTP, name objects by paths, and read by ranges and entity tags.
//!
//! ```text
//!  request  ─▶ headers.rs   Range, If-Match, If-None-Match, checksums, content headers and user metadata (metadata.rs)
//!  success  ─▶ promise.rs   is it an object store's answer to this operation?
//!              answer.rs    status, Content-Range, length and ETag (etag.rs) of a read; what headers tell of an object
//!  refusal  ─▶ refusal.rs   status, code, message, request id, Retry-After      transient.rs  may another try fare better?
//!              head.rs      why a HEAD failed, whose answer has no body
//! ```
//!
//! It knows neither of the two: header names and codes of one API are passed in.

mod answer;
pub(crate) mod etag;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod head;
mod headers;
pub(in crate::backend) mod metadata;
pub(in crate::backend) mod promise;
mod refusal;
mod transient;

pub(in crate::backend) use answer::{
    check_stored, described, etag_of, get, lacks, length, read_crc32c, show_crc32c, text, whole,
    with_id,
};
pub(in crate::backend) use head::{Seen, explained};
pub(in crate::backend) use headers::{
    WriteConditions, check_name, checksum, client_request_id, content, request, set, source_tag,
    to_read, user_metadata,
};
pub(in crate::backend) use refusal::{
    ErrorDocument, document_of, kind_of, mark_redirect, one_each, refusal, retry_after,
};
pub(crate) use transient::{Effect, transient};

/// Documents (listings and the like) longer than this are refused: a page of 1,000 names takes less than 2 MiB.
pub(in crate::backend) const DOCUMENT_LIMIT: usize = 16 << 20;

/// An error's document that is longer than this is not read.
const ERROR_LIMIT: usize = 1 << 20;
