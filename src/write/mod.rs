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
//! It promises: a writer holds at most (`part_concurrency` + 1) parts in memory; a write that answers success is there
//! whole, one that fails leaves the object as it was; an answer that was lost is settled by looking, where repeating
//! the request could tell a lie ([`settle`], [`begin`]); a source that is shorter or longer than was said writes nothing.

mod begin;
mod file;
mod settle;
mod uploads;
mod writer;

pub(crate) use begin::{Begun, begin};
pub(crate) use settle::commit;
pub use uploads::UploadedPart;
pub(crate) use writer::Pending;
pub use writer::Writer;

use crate::attempt::{Call, Repeat};
use crate::backend::{Checksum, ObjectMeta, PutMode, PutRequest};
use crate::config::Config;
use crate::error::Result;
use crate::options::{ChecksumMode, PutOptions};
use crate::payload::Payload;
use crate::store::Store;
use crate::timing::RequestId;
use std::sync::Arc;

/// What a store's settings say of writes.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    verify: bool,
    part_size: u64,
    part_concurrency: usize,
    pub(crate) copy_part_size: u64,
}

impl Settings {
    pub(crate) fn new(config: &Config) -> Settings {
        Settings {
            verify: config.verify,
            part_size: config.part_size,
            part_concurrency: config.part_concurrency.max(1) as usize,
            copy_part_size: config.copy_part_size,
        }
    }

    pub(crate) fn part_concurrency(&self) -> usize {
        self.part_concurrency
    }

    fn checksum(&self, mode: ChecksumMode) -> ChecksumMode {
        match mode {
            ChecksumMode::Auto if self.verify => ChecksumMode::Crc32c,
            ChecksumMode::Auto => ChecksumMode::Off,
            chosen => chosen,
        }
    }
}

/// The checksum of a body, where one was chosen.
fn checksum(mode: ChecksumMode, body: &Payload) -> Option<Checksum> {
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
    store: &Store,
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
        checksum: checksum(store.writing().checksum(wanted), &body),
        body,
        mode,
        about,
    };
    let written = match request.mode {
        PutMode::Overwrite => {
            call.run(Repeat::Freely, |attempt| store.backend().put(&request, attempt)).await
        }
        _ => settle::put(store, &mut call, &request).await,
    };
    let meta = call.end(written)?;
    if let Some(progress) = progress {
        progress.tell(request.body.len());
    }
    Ok(store.relative(meta))
}
