// SPDX-License-Identifier: Apache-2.0
//! Writes: by one request, or by parts.
//!
//! ```text
//!  Store::put ──────────────────────────────▶ one PUT, checksum sent and compared
//!  Store::writer ─ write(bytes) ─▶ a part is full ─▶ sent by a task of its own, at most `part_concurrency` at once
//!        │ finish                      │ the first begins the upload; a write that never fills one goes by one PUT
//!        ▼                             ▼
//!   the last part, then commit: parts in order, the store's CRC32C against ours, combined of the parts'
//!        └ dropped, failed or aborted before: the upload is aborted, so that no part is left behind
//! ```
//!
//! `writer.rs` takes bytes piece by piece, `file.rs` a stream's or a file's; `pending.rs` is the upload between its begin
//! and its end, which it aborts where nobody ends it. `begin.rs` and `settle.rs`: answers that were lost.
//!
//! It promises: a writer holds at most (`part_concurrency` + 1) parts in memory; a write that answers success is there
//! whole, one that fails leaves the object as it was; an answer that was lost is settled by looking, where repeating
//! the request could tell a lie ([`settle`], [`begin`]); a source that is shorter or longer than was said writes nothing.

mod begin;
mod file;
mod pending;
mod settle;
mod writer;

pub(crate) use begin::{Begun, begin, warn_of};
pub(crate) use file::{put_file, put_opened, put_stream};
pub(crate) use pending::Pending;
pub(crate) use settle::{abort, commit};
pub use writer::Writer;
pub(crate) use writer::combined;

use crate::attempt::Call;
use crate::backend::PutRequest;
use crate::context::{Target, on_runtime};
use crate::error::Result;
use crate::options::{ChecksumMode, PutOptions};
use crate::payload::Payload;
use crate::timing::{Operation, RequestId};
use crate::types::{Checksum, ObjectMeta, PutMode};
use std::sync::Arc;

/// The checksum of a body, where one was chosen.
pub(crate) fn checksum(mode: ChecksumMode, body: &Payload) -> Option<Checksum> {
    match mode {
        ChecksumMode::Crc32c => Some(Checksum::Crc32c(body.crc32c())),
        ChecksumMode::Md5 => Some(body.md5()),
        ChecksumMode::Auto | ChecksumMode::Off => None,
    }
}

/// The name of a conditional write, by which it is known again.
fn mark(mode: &PutMode) -> Option<RequestId> {
    (*mode != PutMode::Overwrite).then(RequestId::next)
}

/// Writes an object by one request.
pub(crate) async fn put(
    target: &Target,
    key: &str,
    body: Payload,
    options: PutOptions,
) -> Result<ObjectMeta> {
    let call = target.begin(Operation::Put, key, options.deadline)?;
    on_runtime!(target.context(), put_by(target, call, body, options))
}

/// The same by a call that has begun, on the runtime that it belongs to.
async fn put_by(
    target: &Target,
    mut call: Box<Call>,
    body: Payload,
    options: PutOptions,
) -> Result<ObjectMeta> {
    let PutOptions { mode, checksum: wanted, mut about, size, progress, .. } = options;
    if let Some(wrong) = writer::wrong_size(size, body.len()) {
        return Err(call.fail(wrong));
    }
    about.mark = mark(&mode);
    let request = PutRequest {
        key: Arc::clone(call.key()),
        checksum: checksum(target.writing().checksum(wanted), &body),
        body,
        mode,
        about,
    };
    let written = match request.mode {
        PutMode::Overwrite => call.put(&request).await,
        _ => settle::put(&mut call, &request).await,
    };
    let meta = call.end(written)?;
    if let Some(progress) = progress {
        progress.tell(request.body.len());
    }
    Ok(target.relative(meta))
}
