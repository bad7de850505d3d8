// SPDX-License-Identifier: Apache-2.0
//! Copies: inside the service where both names are of one, else through this process.

use super::copy_parts::{Source, copy_by_parts};
use super::get::get;
use crate::attempt::{Call, Doubt, Settle, Verdict, settle, unsettled_by};
use crate::backend::{Copied, CopyRequest, ServiceId, etag, exists};
use crate::context::{Target, on_runtime};
use crate::error::{ErrorKind, Failure, Result};
use crate::options::{CopyOptions, GetOptions, PutOptions};
use crate::timing::Operation;
use crate::types::{Checksum, ObjectMeta, PutMode};
use crate::write::Writer;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before asking how far a copy is: doubling from the first to the second, unless the service says.
const ASK_AFTER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Copies an object to a name in this or another target; what the copy is.
pub(crate) async fn copy(
    target: &Target,
    from: &str,
    to: (&Target, &str),
    options: CopyOptions,
) -> Result<ObjectMeta> {
    let service = target.backend().service();
    if service != to.0.backend().service() || service == ServiceId::Other {
        return copy_through(target, from, to, options).await;
    }
    let call = target.begin(Operation::Copy, from, None)?;
    on_runtime!(target.context(), copy_inside(target, call, to, options))
}

async fn copy_through(
    target: &Target,
    from: &str,
    to: (&Target, &str),
    options: CopyOptions,
) -> Result<ObjectMeta> {
    let mut reading = GetOptions::new();
    reading.if_match = options.source.and_then(|source| source.etag);
    let got = get(target, from, reading).await?;
    let mut writing = PutOptions::new().like(got.meta()).size(got.meta().size).mode(options.mode);
    writing.progress = options.progress;
    let mut writer = Writer::new(to.0, to.1, writing);
    let mut body = got.into_stream();
    while let Some(bytes) = body.next().await {
        match bytes {
            Ok(bytes) => writer.write(bytes).await?,
            Err(error) => {
                // A failed abort is logged.
                let _ = writer.abort().await;
                return Err(error);
            }
        }
    }
    writer.finish().await
}

async fn copy_inside(
    target: &Target,
    mut call: Box<Call>,
    (to, key): (&Target, &str),
    options: CopyOptions,
) -> Result<ObjectMeta> {
    let source = match source(&mut call, options.source.clone()).await {
        Ok(source) => source,
        Err(failure) => return Err(call.fail(failure)),
    };
    if let Err(failure) = is_free(&mut call, (to, key), &options.mode).await {
        return Err(call.fail(failure));
    }
    let by_parts = target
        .backend()
        .abilities()
        .copies_parts_above
        .map(|most| most.min(target.writing().copy_part_size.max(5 << 20)))
        .filter(|most| source.size > *most);
    if let Some(part_size) = by_parts {
        let source = Source { target, object: source, part_size };
        return copy_by_parts(call, source, (to, key), options).await;
    }
    let request = CopyRequest {
        from: Arc::clone(call.key()),
        from_etag: source.etag.clone(),
        target: Arc::clone(to.backend()),
        to: to.full(key),
        mode: options.mode,
    };
    let copying = Copying { request: &request, source: &source, in_doubt: false };
    let copied = match settle(&mut call, copying).await {
        Ok(Some(meta)) => Ok(meta),
        Ok(None) => call.head_at(&request.target, &request.to).await,
        Err(failure) => Err(failure),
    };
    let meta = call.end(copied)?;
    Ok(ObjectMeta { key: key.to_owned(), mark: None, ..meta })
}

/// The object that a call is about, as its caller knows it, or as the store does.
pub(super) async fn source(
    call: &mut Call,
    known: Option<ObjectMeta>,
) -> Result<ObjectMeta, Failure> {
    let key = Arc::clone(call.key());
    match known {
        Some(known) if known.etag.is_some() => Ok(known),
        _ => call.head(&key).await,
    }
}

/// Fails where a copy may not replace what is there, and the server might not judge that itself. Another writer
/// may still come in between.
async fn is_free(
    call: &mut Call,
    (target, key): (&Target, &str),
    mode: &PutMode,
) -> Result<(), Failure> {
    let backend = target.backend();
    if *mode != PutMode::Create || backend.abilities().conditional_copies {
        return Ok(());
    }
    let key = target.full(key);
    match call.head_at(backend, &key).await {
        Ok(_) => Err(Failure::new(ErrorKind::AlreadyExists)
            .message(format!("{} is there", backend.url(&key)))),
        Err(failure) if failure.kind == ErrorKind::NotFound => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// A copy by one request, followed to its end where the service makes it in its own time.
struct Copying<'a> {
    request: &'a CopyRequest,
    source: &'a ObjectMeta,
    /// An earlier answer was lost.
    in_doubt: bool,
}

impl Settle for Copying<'_> {
    /// What the copy is, or nothing where the service made it in its own time.
    type Output = Option<ObjectMeta>;

    async fn send(&mut self, call: &mut Call) -> Result<Option<ObjectMeta>, Failure> {
        let failure = match call.copy(self.request).await {
            Ok(Copied::Done(etag)) => {
                let source = self.source.clone();
                return Ok(Some(ObjectMeta { etag, last_modified: None, version: None, ..source }));
            }
            Ok(Copied::Accepted(work, wait)) => match followed(call, work, wait).await {
                Ok(()) => return Ok(None),
                Err(failure) => exists(failure, &self.request.mode),
            },
            Err(failure) => failure,
        };
        if failure.kind == ErrorKind::AlreadyExists && !self.in_doubt {
            return Err(which_condition(call, self.request, failure).await);
        }
        Err(failure)
    }

    async fn decide(
        &mut self,
        call: &mut Call,
        doubt: Doubt,
    ) -> Result<Verdict<Option<ObjectMeta>>, Failure> {
        let Doubt { failure, lost } = doubt;
        let conditional = self.request.mode != PutMode::Overwrite;
        if !conditional || !(lost || failure.is_refusal()) {
            return Err(failure);
        }
        self.in_doubt = true;
        let there = match call.head_at(&self.request.target, &self.request.to).await {
            Ok(meta) => Some(meta),
            Err(gone) if gone.kind == ErrorKind::NotFound => None,
            Err(unseen) => return Err(unsettled_by(failure, unseen)),
        };
        if let Some(meta) = there
            && !is_as_before(&meta, &self.request.mode)
            && self.is_copy(call, &meta).await?
        {
            return Ok(Verdict::Done(Some(meta)));
        }
        if failure.is_refusal() { Err(failure) } else { Ok(Verdict::Again(failure)) }
    }
}

impl Copying<'_> {
    /// Whether an object holds the bytes of the source. What a listing told of that lacks a checksum: it is asked for.
    async fn is_copy(&self, call: &mut Call, meta: &ObjectMeta) -> Result<bool, Failure> {
        let source = self.source;
        if meta.size != source.size || source.checksum.is_some() {
            return Ok(is_same(meta, source));
        }
        match call.head(&self.request.from).await {
            Ok(seen) if !etag::differ(seen.etag.as_deref(), source.etag.as_deref()) => {
                Ok(is_same(meta, &seen))
            }
            Ok(_) => Ok(is_same(meta, source)),
            Err(gone) if gone.kind == ErrorKind::NotFound => Ok(is_same(meta, source)),
            Err(unseen) => Err(unseen),
        }
    }
}

/// A copy has conditions on its source and on its target, and S3 does not say which of them failed: the target does.
async fn which_condition(call: &mut Call, request: &CopyRequest, mut refusal: Failure) -> Failure {
    if request.from_etag.is_some() {
        let target = call.head_at(&request.target, &request.to).await;
        if target.is_err_and(|failure| failure.kind == ErrorKind::NotFound) {
            refusal.kind = ErrorKind::Precondition;
        }
    }
    refusal
}

/// Asks how far a copy is until it has ended.
async fn followed(
    call: &mut Call,
    mut work: String,
    mut told: Option<Duration>,
) -> Result<(), Failure> {
    let (mut wait, most) = ASK_AFTER;
    loop {
        tokio::time::sleep(told.unwrap_or(wait)).await;
        wait = (wait * 2).min(most);
        let state = call.copying(&work).await?;
        call.progressed();
        match state {
            Copied::Done(_) => return Ok(()),
            Copied::Accepted(same, later) => (work, told) = (same, later),
        }
    }
}

/// Whether an object is still the one that was to be replaced.
fn is_as_before(meta: &ObjectMeta, mode: &PutMode) -> bool {
    let is = |before: &String| meta.etag.as_deref().is_some_and(|tag| etag::same(tag, before));
    matches!(mode, PutMode::Update(before) if is(before))
}

/// Whether an object holds the bytes of another, as far as can be told from outside.
pub(super) fn is_same(meta: &ObjectMeta, source: &ObjectMeta) -> bool {
    use Checksum::{Crc32c, Md5};
    meta.size == source.size
        && match (meta.checksum, source.checksum) {
            (Some(Crc32c(one)), Some(Crc32c(other))) => one == other,
            (Some(Md5(one)), Some(Md5(other))) => one == other,
            _ => match (content_etag(meta), content_etag(source)) {
                (Some(one), Some(other)) => one == other,
                _ => true,
            },
        }
}

/// An entity tag that is the MD5 of the content, as S3's are of objects written whole.
fn content_etag(meta: &ObjectMeta) -> Option<&str> {
    let etag = meta.etag.as_deref()?.trim_matches('"');
    (etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(etag)
}
