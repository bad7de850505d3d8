// SPDX-License-Identifier: Apache-2.0
//! Writes by parts whose parts come from many hands: begun here, gone on with and ended in other processes. Nothing
//! aborts them but [`Store::abort_upload`]; [`Writer`](super::Writer) is for a write of one's own.

use super::{Begun, begin, checksum, settle, writer};
use crate::attempt::Repeat;
use crate::backend::{
    CommitRequest, ObjectMeta, Part, PartRequest, PutMode, Upload, UploadRequest,
};
use crate::client::entered;
use crate::error::Result;
use crate::options::{ChecksumMode, PutOptions};
use crate::payload::Payload;
use crate::store::{Store, on_runtime};
use crate::timing::Operation;

/// A part that a store holds: what [`Store::complete_upload`] must be told of it.
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

impl Store {
    /// Begins a write by parts that others may go on with. It replaces what is there when it is completed.
    pub async fn begin_upload(&self, key: &str, options: PutOptions) -> Result<Upload> {
        let mut call = self.begin(Operation::Upload, key, options.deadline)?;
        let request = UploadRequest {
            key: std::sync::Arc::clone(call.key()),
            mode: PutMode::Overwrite,
            checksum: self.writing().checksum(options.checksum) == ChecksumMode::Crc32c,
            about: options.about,
        };
        let begin = async {
            let begun = begin::begin(self, &mut call, &request).await;
            call.end(begun)
        };
        let Begun { upload, strays } = on_runtime!(self.client(), begin)?;
        begin::warn_of(&strays, "its answer was lost");
        Ok(Upload { key: key.to_owned(), ..upload })
    }

    /// Writes a part. The same number again replaces it.
    pub async fn put_part(
        &self,
        upload: &Upload,
        number: u32,
        body: impl Into<Payload>,
    ) -> Result<UploadedPart> {
        let mut call = self.begin(Operation::PutPart, &upload.key, None)?;
        let body = body.into();
        let request = PartRequest {
            upload: self.full_upload(upload),
            number,
            checksum: checksum(self.writing().checksum(ChecksumMode::Auto), &body),
            body,
        };
        let put = async {
            let put = call
                .run(Repeat::Freely, |attempt| self.backend().put_part(&request, attempt))
                .await;
            call.end(put)
        };
        let Part { number, etag, crc32c, size } = on_runtime!(self.client(), put)?;
        Ok(UploadedPart { number, etag, crc32c, size })
    }

    /// Makes the object of its parts, in the order of their numbers.
    pub async fn complete_upload(
        &self,
        upload: &Upload,
        parts: Vec<UploadedPart>,
    ) -> Result<ObjectMeta> {
        let mut call = self.begin(Operation::CommitUpload, &upload.key, None)?;
        let mut parts: Vec<Part> = parts
            .into_iter()
            .map(|UploadedPart { number, etag, crc32c, size }| Part { number, etag, crc32c, size })
            .collect();
        parts.sort_by_key(|part| part.number);
        let request = CommitRequest {
            upload: self.full_upload(upload),
            crc32c: writer::combined(&parts),
            parts,
            mode: PutMode::Overwrite,
        };
        let complete = async {
            let made = settle::commit(self, &mut call, &request, None).await;
            call.end(made)
        };
        on_runtime!(self.client(), complete).map(|meta| self.relative(meta))
    }

    /// As the store names it, its key from the bucket on.
    pub(crate) fn full_upload(&self, upload: &Upload) -> Upload {
        Upload { key: self.full(&upload.key).to_string(), ..upload.clone() }
    }
}
