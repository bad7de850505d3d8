// SPDX-License-Identifier: Apache-2.0
//! Writes by parts that several processes share: begun by one, continued and completed by others. Only [`abort`] ends one
//! that is never completed; [`Writer`](crate::Writer) is for a write of one's own.

use crate::backend::{CommitRequest, Part, PartRequest, UploadRequest};
use crate::context::{Target, on_runtime};
use crate::error::Result;
use crate::options::{ChecksumMode, PutOptions};
use crate::payload::Payload;
use crate::timing::Operation;
use crate::types::{ObjectMeta, PutMode, Upload};
use crate::write::{self, Begun};
use std::sync::Arc;

/// A part that a store holds: what [`Store::complete_upload`](crate::Store::complete_upload) must be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadedPart {
    /// From 1; parts are put together in this order.
    pub number: u32,
    /// The store's tag of it.
    pub etag: String,
    /// Its CRC-32C, if it was sent with one.
    pub crc32c: Option<u32>,
    /// Its size in bytes.
    pub size: u64,
}

impl UploadedPart {
    /// A part as its writer told of it.
    pub fn new(
        number: u32,
        etag: impl Into<String>,
        crc32c: Option<u32>,
        size: u64,
    ) -> UploadedPart {
        UploadedPart { number, etag: etag.into(), crc32c, size }
    }
}

/// Begins a write by parts that others may go on with.
pub(crate) async fn begin(target: &Target, key: &str, options: PutOptions) -> Result<Upload> {
    let mut call = target.begin(Operation::Upload, key, options.deadline)?;
    let request = UploadRequest {
        key: Arc::clone(call.key()),
        mode: PutMode::Overwrite,
        checksum: target.writing().checksum(options.checksum) == ChecksumMode::Crc32c,
        about: options.about,
    };
    let begin = async {
        let begun = write::begin(&mut call, &request).await;
        call.end(begun)
    };
    let Begun { upload, strays } = on_runtime!(target.context(), begin)?;
    write::warn_of(&strays, "its answer was lost");
    Ok(Upload { key: key.to_owned(), ..upload })
}

/// Writes a part. The same number again replaces it.
pub(crate) async fn put_part(
    target: &Target,
    upload: &Upload,
    number: u32,
    body: Payload,
) -> Result<UploadedPart> {
    let mut call = target.begin(Operation::PutPart, &upload.key, None)?;
    let request = PartRequest {
        upload: target.full_upload(upload),
        number,
        checksum: write::checksum(target.writing().checksum(ChecksumMode::Auto), &body),
        body,
    };
    let put = async {
        let put = call.put_part(&request).await;
        call.end(put)
    };
    let Part { number, etag, crc32c, size } = on_runtime!(target.context(), put)?;
    Ok(UploadedPart { number, etag, crc32c, size })
}

/// Makes the object of its parts, in the order of their numbers.
pub(crate) async fn complete(
    target: &Target,
    upload: &Upload,
    parts: Vec<UploadedPart>,
) -> Result<ObjectMeta> {
    let mut call = target.begin(Operation::CommitUpload, &upload.key, None)?;
    let mut parts: Vec<Part> = parts
        .into_iter()
        .map(|UploadedPart { number, etag, crc32c, size }| Part { number, etag, crc32c, size })
        .collect();
    parts.sort_by_key(|part| part.number);
    let request = CommitRequest {
        upload: target.full_upload(upload),
        crc32c: write::combined(&parts),
        parts,
        mode: PutMode::Overwrite,
    };
    let complete = async {
        let made = write::commit(&mut call, &request, None).await;
        call.end(made)
    };
    on_runtime!(target.context(), complete).map(|meta| target.relative(meta))
}

/// Aborts a write by parts, and frees its parts. One that is gone is `NotFound`.
pub(crate) async fn abort(target: &Target, upload: &Upload) -> Result<()> {
    let full = target.full_upload(upload);
    let mut call = target.begin(Operation::AbortUpload, &upload.key, None)?;
    let abort = async {
        let aborted = write::abort(&mut call, &full).await;
        call.end(aborted)
    };
    on_runtime!(target.context(), abort)
}
