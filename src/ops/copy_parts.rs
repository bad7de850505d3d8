// SPDX-License-Identifier: Apache-2.0
//! A copy inside the service by parts, for what one request may not copy.

use crate::attempt::Call;
use crate::backend::{CommitRequest, CopyPartRequest, Part, Place, UploadRequest};
use crate::context::Target;
use crate::error::{ErrorKind, Failure, Result};
use crate::options::{CopyOptions, PutOptions};
use crate::timing::{AttemptTimer, Operation, Recorders};
use crate::types::ObjectMeta;
use crate::write::{self, Pending};
use std::sync::Arc;

/// What is copied, and in parts of which size.
pub(super) struct Source<'a> {
    pub(super) target: &'a Target,
    pub(super) object: ObjectMeta,
    pub(super) part_size: u64,
}

/// Copies an object by parts; `call` is the copy's, and ends when the upload begins.
pub(super) async fn copy_by_parts(
    mut call: Box<Call>,
    source: Source<'_>,
    (target, to): (&Target, &str),
    options: CopyOptions,
) -> Result<ObjectMeta> {
    let (about, from) = match described(&mut call, &source).await {
        Ok((described, from_bucket)) => {
            let from = PartSource {
                bucket: from_bucket,
                key: Arc::clone(call.key()),
                etag: source.object.etag.clone(),
            };
            (PutOptions::new().like(&described).about, from)
        }
        Err(failure) => return Err(call.fail(failure)),
    };
    call.succeed(None);
    let request = UploadRequest {
        key: target.full(to),
        mode: options.mode.clone(),
        checksum: false,
        about: about.clone(),
    };
    let mut call = target.begin(Operation::Upload, to, None)?;
    let begun = write::begin(&mut call, &request).await;
    let begun = call.end(begun)?;
    let upload = begun.upload.clone();
    let mut pending = Pending::new(target, begun);
    let parts = match send_parts(&mut pending, &source, &from, (target, to), &options).await {
        Ok(parts) => parts,
        Err(error) => {
            // A failed abort is logged.
            let _ = pending.abort().await;
            return Err(error);
        }
    };
    let request = CommitRequest { upload, parts, crc32c: None, mode: options.mode };
    let mut call = target.begin(Operation::CommitUpload, to, None)?;
    let made = write::commit(&mut call, &request, None).await;
    let meta = about.told(call.end(made)?);
    pending.done().await;
    Ok(target.relative(meta))
}

/// The source as each part names it.
struct PartSource {
    bucket: String,
    key: Arc<str>,
    etag: Option<String>,
}

/// The source with content type and metadata, which a copy by parts does not inherit and a listing does not tell; and the
/// bucket it is in.
async fn described(call: &mut Call, source: &Source<'_>) -> Result<(ObjectMeta, String), Failure> {
    let described = match source.object.content_type {
        Some(_) => source.object.clone(),
        None => {
            let from = Arc::clone(call.key());
            call.head(&from).await?
        }
    };
    let timer = AttemptTimer::start(&Recorders::off(), Operation::Copy);
    let Place { bucket, .. } = source.target.backend().place(&timer).await?;
    timer.discard();
    Ok((described, bucket))
}

/// Copies all parts, some at once, and tells the progress. In their order.
async fn send_parts(
    pending: &mut Pending,
    source: &Source<'_>,
    from: &PartSource,
    (target, to): (&Target, &str),
    options: &CopyOptions,
) -> Result<Vec<Part>> {
    let size = source.object.size;
    let (mut parts, mut next, mut copied) = (Vec::new(), 0, 0);
    while next < size || !pending.sending.is_empty() {
        if next < size && pending.sending.len() < target.writing().part_concurrency {
            let range = next..size.min(next + source.part_size);
            next = range.end;
            let request = CopyPartRequest {
                upload: pending.upload().clone(),
                number: u32::try_from(range.start / source.part_size + 1).unwrap_or(u32::MAX),
                from_bucket: from.bucket.clone(),
                from: Arc::clone(&from.key),
                from_etag: from.etag.clone(),
                range,
            };
            let (target, to) = (target.clone(), to.to_owned());
            pending.sending.spawn(async move {
                let mut call = target.begin(Operation::PutPart, &to, None)?;
                let part = call.copy_part(&request).await;
                call.end(part)
            });
            continue;
        }
        let Some(joined) = pending.sending.join_next().await else { continue };
        let part = joined.map_err(|e| Failure::new(ErrorKind::Misuse).source(e))??;
        copied += part.size;
        parts.push(part);
        if let Some(progress) = &options.progress {
            progress.tell(copied);
        }
    }
    parts.sort_by_key(|part| part.number);
    Ok(parts)
}
