// SPDX-License-Identifier: Apache-2.0
//! What changes names, copies and clears away: rename, copy, removal of many, uploads that were left.
//!
//! ```text
//!  rename ─▶ the service's own, by one request (OCI): seen whole or not at all
//!         └▶ copy, then removal of the source (S3): not atomic; a failure between the two leaves both
//!  copy ──▶ inside the service: at once, or followed until its work request ends (OCI), or by parts (large, S3)
//!       └─▶ through this process, where the two are of different services
//! ```
//!
//! It promises: the source is pinned by its ETag, so that what arrives is what was meant; an answer that was lost is
//! settled by looking at both names.

use crate::attempt::{Call, Repeat, is_transient, may_have_happened};
use crate::backend::{
    CommitRequest, Copied, CopyPartRequest, CopyRequest, ObjectMeta, Place, PutMode, RenameRequest,
    Upload, UploadRequest, etag, exists,
};
use crate::client::entered;
use crate::error::{ErrorKind, Failure, Result};
use crate::listing;
use crate::options::{CopyOptions, DeleteOptions, GetOptions, PutOptions, RenameOptions};
use crate::store::{Store, on_runtime, unsettled_by};
use crate::timing::{AttemptTimer, Operation};
use crate::write::{self, Pending};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::time::Duration;

/// Batches of removals that are under way at once.
const BATCHES: usize = 4;

/// Single removals that are under way at once, where the service has no batches.
const SINGLES: usize = 16;

/// How long to wait before asking how far a copy is: doubling from the first to the second, unless the service says.
const ASK_AFTER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

impl Store {
    /// Gives an object another name in the same bucket; what it is then.
    ///
    /// OCI renames by one request, which is seen whole or not at all. On S3 it is a copy followed by the removal of the
    /// source, and not atomic: readers may see both, and a failure between the two leaves both. A source that another
    /// replaces between the two is kept, and the rename fails, where the server judges the condition of a removal.
    pub async fn rename(&self, from: &str, to: &str, options: RenameOptions) -> Result<ObjectMeta> {
        if from == to {
            return Err(crate::Error::invalid(format!("{from:?} has that name already")));
        }
        if self.backend().abilities().rename {
            let call = self.begin(Operation::Rename, from, None)?;
            on_runtime!(self.client(), self.rename_call(call, to, options))
        } else {
            self.rename_by_copy(from, to, options).await
        }
    }

    /// A copy, then the removal of the source, if that is still what was copied.
    async fn rename_by_copy(
        &self,
        from: &str,
        to: &str,
        options: RenameOptions,
    ) -> Result<ObjectMeta> {
        let source = match options.source {
            Some(known) if known.etag.is_some() => known,
            _ => self.head(from).await?,
        };
        let copied = DeleteOptions { if_match: source.etag.clone() };
        let copying = CopyOptions { mode: options.mode, source: Some(source), progress: None };
        let meta = self.copy(from, (self, to), copying).await?;
        let removed = match self.delete(from, copied).await {
            // Not every server takes a condition here.
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.delete(from, DeleteOptions::new()).await
            }
            removed => removed,
        };
        match removed {
            Err(error) if !error.is_not_found() => {
                let (done, hint) = if error.kind() == ErrorKind::Precondition {
                    ("but another replaced it meanwhile, and it was not removed", "rename it again")
                } else {
                    ("but not removed", "remove the one that is not wanted")
                };
                let failure = Failure::new(error.kind())
                    .message(format!("it was copied to {to:?}, {done}"))
                    .hint(hint)
                    .source(error);
                let object = self.backend().url(&self.full(from));
                Err(failure.into_error(Some(Operation::Rename), Some(object), 1, Duration::ZERO))
            }
            _ => Ok(meta),
        }
    }

    async fn rename_call(
        &self,
        mut call: Box<Call>,
        to: &str,
        options: RenameOptions,
    ) -> Result<ObjectMeta> {
        let source = match self.source(&mut call, options.source).await {
            Ok(source) => source,
            Err(failure) => return Err(call.fail(failure)),
        };
        let request = RenameRequest {
            from: Arc::clone(call.key()),
            to: self.full(to),
            from_etag: source.etag.clone(),
            mode: options.mode,
        };
        let renamed = self.rename_settled(&mut call, &request, &source).await;
        let told = call.end(renamed)?;
        Ok(ObjectMeta {
            key: to.to_owned(),
            etag: told.etag,
            last_modified: told.last_modified,
            version: told.version,
            mark: None,
            ..source
        })
    }

    /// The object that is meant, full name: what the caller knows of it, or the store does.
    async fn source(
        &self,
        call: &mut Call,
        known: Option<ObjectMeta>,
    ) -> Result<ObjectMeta, Failure> {
        let key = Arc::clone(call.key());
        match known {
            Some(known) if known.etag.is_some() => Ok(known),
            _ => call.run(Repeat::Freely, |attempt| self.backend().head(&key, attempt)).await,
        }
    }

    async fn rename_settled(
        &self,
        call: &mut Call,
        request: &RenameRequest,
        source: &ObjectMeta,
    ) -> Result<ObjectMeta, Failure> {
        let backend = self.backend();
        let mut unsettled = false;
        loop {
            let renamed =
                call.run(Repeat::IfUndone, |attempt| backend.rename(request, attempt)).await;
            let failure = match renamed {
                Err(failure) if is_transient(&failure) && may_have_happened(&failure) => failure,
                Err(failure)
                    if unsettled
                        && (failure.is_refusal() || failure.kind == ErrorKind::NotFound) =>
                {
                    failure
                }
                settled => return settled,
            };
            // The source, as it was, is there: it was not renamed.
            let from =
                call.run(Repeat::Freely, |attempt| backend.head(&request.from, attempt)).await;
            let there = match from {
                Ok(meta) => match (&meta.etag, &source.etag) {
                    (Some(now), Some(before)) => etag::same(now, before),
                    (now, before) => now == before,
                },
                Err(gone) if gone.kind == ErrorKind::NotFound => false,
                Err(unseen) => return Err(unsettled_by(failure, unseen)),
            };
            if !there {
                let to =
                    call.run(Repeat::Freely, |attempt| backend.head(&request.to, attempt)).await;
                return match to {
                    Ok(meta) if is_same(&meta, source) => Ok(meta),
                    Ok(_) => Err(failure),
                    Err(gone) if gone.kind == ErrorKind::NotFound => Err(failure),
                    Err(unseen) => Err(unsettled_by(failure, unseen)),
                };
            }
            if failure.is_refusal() {
                return Err(failure);
            }
            unsettled = true;
            call.back_off(failure).await?;
        }
    }

    /// Copies an object to a name in this or another store; what the copy is.
    ///
    /// Between stores of one service the bytes stay inside it; between others they pass through this process. Content
    /// type and user metadata come along. With [`PutMode::Create`], an answer that was lost is settled by comparing
    /// the copy with its source: an equal object that another made in that moment counts as ours.
    pub async fn copy(
        &self,
        from: &str,
        to: (&Store, &str),
        options: CopyOptions,
    ) -> Result<ObjectMeta> {
        let (target, key) = to;
        if self.backend().service() != target.backend().service()
            || self.backend().service() == crate::backend::ServiceId::Other
        {
            return self.copy_through(from, target, key, options).await;
        }
        let call = self.begin(Operation::Copy, from, None)?;
        on_runtime!(self.client(), self.copy_call(call, target, key, options))
    }

    async fn copy_through(
        &self,
        from: &str,
        target: &Store,
        to: &str,
        options: CopyOptions,
    ) -> Result<ObjectMeta> {
        let mut reading = GetOptions::new();
        reading.if_match = options.source.and_then(|source| source.etag);
        let got = self.get(from, reading).await?;
        let mut writing =
            PutOptions::new().like(got.meta()).size(got.meta().size).mode(options.mode);
        writing.progress = options.progress;
        let mut writer = target.writer(to, writing);
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

    async fn copy_call(
        &self,
        mut call: Box<Call>,
        target: &Store,
        to: &str,
        options: CopyOptions,
    ) -> Result<ObjectMeta> {
        let source = match self.source(&mut call, options.source.clone()).await {
            Ok(source) => source,
            Err(failure) => return Err(call.fail(failure)),
        };
        if let Err(failure) = target.is_free(&mut call, to, &options.mode).await {
            return Err(call.fail(failure));
        }
        let by_parts = self
            .backend()
            .abilities()
            .copies_parts_above
            .map(|most| most.min(self.writing().copy_part_size.max(5 << 20)))
            .filter(|most| source.size > *most);
        if let Some(part_size) = by_parts {
            return self.copy_by_parts(call, &source, part_size, target, to, options).await;
        }
        let request = CopyRequest {
            from: Arc::clone(call.key()),
            from_etag: source.etag.clone(),
            target: Arc::clone(target.backend()),
            to: target.full(to),
            mode: options.mode,
        };
        let copied = self.copy_settled(&mut call, &request, &source).await;
        let meta = call.end(copied)?;
        Ok(ObjectMeta { key: to.to_owned(), mark: None, ..meta })
    }

    /// Fails where a copy may not replace what is there, and the server might not judge that itself. Another writer
    /// may still come in between.
    async fn is_free(&self, call: &mut Call, key: &str, mode: &PutMode) -> Result<(), Failure> {
        let backend = self.backend();
        if *mode != PutMode::Create || backend.abilities().conditional_copies {
            return Ok(());
        }
        let key = self.full(key);
        match call.run(Repeat::Freely, |attempt| backend.head(&key, attempt)).await {
            Ok(_) => Err(Failure::new(ErrorKind::AlreadyExists)
                .message(format!("{} is there", backend.url(&key)))),
            Err(failure) if failure.kind == ErrorKind::NotFound => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn copy_settled(
        &self,
        call: &mut Call,
        request: &CopyRequest,
        source: &ObjectMeta,
    ) -> Result<ObjectMeta, Failure> {
        let (backend, target) = (self.backend(), &request.target);
        // Over whatever is there, a copy may be made twice. What stands there is no proof of it: an older object may
        // look the same.
        let repeat = match request.mode {
            PutMode::Overwrite => Repeat::Freely,
            _ => Repeat::IfUndone,
        };
        let mut unsettled = false;
        loop {
            let copied = call.run(repeat, |attempt| backend.copy(request, attempt)).await;
            let failure = match copied {
                Ok(Copied::Done(etag)) => {
                    return Ok(ObjectMeta {
                        etag,
                        last_modified: None,
                        version: None,
                        ..source.clone()
                    });
                }
                Ok(Copied::Accepted(work, wait)) => match self.followed(call, work, wait).await {
                    Ok(()) => {
                        return call
                            .run(Repeat::Freely, |attempt| target.head(&request.to, attempt))
                            .await;
                    }
                    Err(failure) => exists(failure, &request.mode),
                },
                Err(failure) => failure,
            };
            if failure.kind == ErrorKind::AlreadyExists && !unsettled {
                return Err(self.which_condition(call, request, failure).await);
            }
            let lost =
                repeat == Repeat::IfUndone && is_transient(&failure) && may_have_happened(&failure);
            let maybe_ours = lost || (unsettled && failure.is_refusal());
            if !maybe_ours {
                return Err(failure);
            }
            let head = call.run(Repeat::Freely, |attempt| target.head(&request.to, attempt)).await;
            let there = match head {
                Ok(meta) => Some(meta),
                Err(gone) if gone.kind == ErrorKind::NotFound => None,
                Err(unseen) => return Err(unsettled_by(failure, unseen)),
            };
            if let Some(meta) = there
                && !is_as_before(&meta, &request.mode)
                && self.is_copy(call, &meta, request, source).await?
            {
                return Ok(meta);
            }
            if failure.is_refusal() {
                return Err(failure);
            }
            unsettled = true;
            call.back_off(failure).await?;
        }
    }

    /// Whether an object holds the bytes of a copy's source. What a listing told of that lacks a checksum: it is asked for.
    async fn is_copy(
        &self,
        call: &mut Call,
        meta: &ObjectMeta,
        request: &CopyRequest,
        source: &ObjectMeta,
    ) -> Result<bool, Failure> {
        if meta.size != source.size || source.checksum.is_some() {
            return Ok(is_same(meta, source));
        }
        let seen =
            call.run(Repeat::Freely, |attempt| self.backend().head(&request.from, attempt)).await;
        match seen {
            Ok(seen) if !etag::differ(seen.etag.as_deref(), source.etag.as_deref()) => {
                Ok(is_same(meta, &seen))
            }
            Ok(_) => Ok(is_same(meta, source)),
            Err(gone) if gone.kind == ErrorKind::NotFound => Ok(is_same(meta, source)),
            Err(unseen) => Err(unseen),
        }
    }

    /// A copy has conditions on its source and on its target, and S3 does not say which of them failed: the target does.
    async fn which_condition(
        &self,
        call: &mut Call,
        request: &CopyRequest,
        mut refusal: Failure,
    ) -> Failure {
        if request.from_etag.is_some() {
            let target =
                call.run(Repeat::Freely, |attempt| request.target.head(&request.to, attempt)).await;
            if target.is_err_and(|failure| failure.kind == ErrorKind::NotFound) {
                refusal.kind = ErrorKind::Precondition;
            }
        }
        refusal
    }

    /// Asks how far a copy is until it has ended.
    async fn followed(
        &self,
        call: &mut Call,
        mut work: String,
        mut told: Option<Duration>,
    ) -> Result<(), Failure> {
        let (mut wait, most) = ASK_AFTER;
        loop {
            tokio::time::sleep(told.unwrap_or(wait)).await;
            wait = (wait * 2).min(most);
            let state =
                call.run(Repeat::Freely, |attempt| self.backend().copying(&work, attempt)).await?;
            call.progressed();
            match state {
                Copied::Done(_) => return Ok(()),
                Copied::Accepted(same, later) => (work, told) = (same, later),
            }
        }
    }

    async fn copy_by_parts(
        &self,
        mut call: Box<Call>,
        source: &ObjectMeta,
        part_size: u64,
        target: &Store,
        to: &str,
        options: CopyOptions,
    ) -> Result<ObjectMeta> {
        let from = Arc::clone(call.key());
        let begun = async {
            // What a listing told lacks content type and metadata, which a copy by parts does not inherit.
            let described = match source.content_type {
                Some(_) => source.clone(),
                None => {
                    call.run(Repeat::Freely, |attempt| self.backend().head(&from, attempt)).await?
                }
            };
            let timer = AttemptTimer::start(&crate::timing::Sink::off(), Operation::Copy);
            let Place { bucket, .. } = self.backend().place(&timer).await?;
            timer.discard();
            Ok::<_, Failure>((described, bucket))
        };
        let (described, from_bucket) = match begun.await {
            Ok(begun) => begun,
            Err(failure) => return Err(call.fail(failure)),
        };
        call.succeed(None);
        let about = PutOptions::new().like(&described).about;
        let request = UploadRequest {
            key: target.full(to),
            mode: options.mode.clone(),
            checksum: false,
            about: about.clone(),
        };
        let mut call = target.begin(Operation::Upload, to, None)?;
        let begun = write::begin(target, &mut call, &request).await;
        let begun = call.end(begun)?;
        let upload = begun.upload.clone();
        let mut pending = Pending::new(target, begun);
        let (mut parts, mut next, mut copied) = (Vec::new(), 0, 0);
        while next < source.size || !pending.sending.is_empty() {
            if next < source.size && pending.sending.len() < target.writing().part_concurrency() {
                let range = next..source.size.min(next + part_size);
                next = range.end;
                let number = u32::try_from(range.start / part_size + 1).unwrap_or(u32::MAX);
                let request = CopyPartRequest {
                    upload: upload.clone(),
                    number,
                    from_bucket: from_bucket.clone(),
                    from: Arc::clone(&from),
                    from_etag: source.etag.clone(),
                    range,
                };
                let (target, to) = (target.clone(), to.to_owned());
                pending.sending.spawn(async move {
                    let mut call = target.begin(Operation::PutPart, &to, None)?;
                    let copy = call.run(Repeat::Freely, |attempt| {
                        target.backend().copy_part(&request, attempt)
                    });
                    let part = copy.await;
                    call.end(part)
                });
                continue;
            }
            let Some(joined) = pending.sending.join_next().await else { continue };
            let part = match joined {
                Ok(Ok(part)) => part,
                Ok(Err(error)) => {
                    // A failed abort is logged.
                    let _ = pending.abort().await;
                    return Err(error);
                }
                Err(e) => return Err(Failure::new(ErrorKind::Misuse).source(e).into()),
            };
            copied += part.size;
            parts.push(part);
            if let Some(progress) = &options.progress {
                progress.tell(copied);
            }
        }
        parts.sort_by_key(|part| part.number);
        let request = CommitRequest { upload, parts, crc32c: None, mode: options.mode };
        let mut call = target.begin(Operation::CommitUpload, to, None)?;
        let made = write::commit(target, &mut call, &request, None).await;
        let meta = about.told(call.end(made)?);
        pending.done().await;
        Ok(target.relative(meta))
    }

    /// Removes objects by as few requests as the service takes (1,000 names each on OCI and S3); one result a key, in
    /// their order. One that was not there is `NotFound`, where the service tells.
    pub fn delete_many(
        &self,
        keys: BoxStream<'static, String>,
    ) -> BoxStream<'static, (String, Result<()>)> {
        let this = self.clone();
        let most = self.backend().abilities().delete_many;
        if most == 0 {
            return Box::pin(keys.map(move |key| this.clone().delete_one(key)).buffered(SINGLES));
        }
        let batches = keys.chunks(most).map(move |keys| this.clone().delete_batch(keys));
        Box::pin(batches.buffered(BATCHES).flat_map(stream::iter))
    }

    async fn delete_one(self, key: String) -> (String, Result<()>) {
        let deleted = self.delete(&key, DeleteOptions::new()).await;
        (key, deleted)
    }

    async fn delete_batch(self, keys: Vec<String>) -> Vec<(String, Result<()>)> {
        let batch = async {
            let call = self.begin(Operation::DeleteMany, "", None)?;
            on_runtime!(self.client(), self.delete_batch_call(call, &keys))
        };
        match batch.await {
            Ok(Some(results)) => keys.into_iter().zip(results).collect(),
            Ok(None) => {
                let one_by_one = keys.into_iter().map(|key| self.clone().delete_one(key));
                stream::iter(one_by_one).buffered(SINGLES).collect().await
            }
            Err(error) => keys.into_iter().map(|key| (key, Err(error.clone()))).collect(),
        }
    }

    /// One result a key; `None` where the service has no batches.
    async fn delete_batch_call(
        &self,
        mut call: Box<Call>,
        keys: &[String],
    ) -> Result<Option<Vec<Result<()>>>> {
        let full: Vec<String> = keys.iter().map(|key| self.full(key).to_string()).collect();
        let mut results: Vec<Option<Result<(), Failure>>> = vec![None; keys.len()];
        let mut left: Vec<usize> = (0..keys.len()).collect();
        let mut unsettled = false;
        loop {
            let asked: Vec<String> = left.iter().map(|&index| full[index].clone()).collect();
            let deleted = call
                .run(Repeat::IfUndone, |attempt| self.backend().delete_many(&asked, attempt))
                .await;
            let trouble = match deleted {
                Ok(answers) => {
                    let (mut trouble, mut lost) = (None, false);
                    let mut again = Vec::new();
                    for (index, answer) in left.into_iter().zip(answers) {
                        results[index] = Some(match answer {
                            // The first try's doing.
                            Err(gone) if unsettled && gone.kind == ErrorKind::NotFound => Ok(()),
                            Err(failure) if is_transient(&failure) => {
                                again.push(index);
                                lost |= may_have_happened(&failure);
                                trouble = Some(failure.clone());
                                Err(failure)
                            }
                            answer => answer,
                        });
                    }
                    (left, unsettled) = (again, unsettled | lost);
                    trouble
                }
                Err(failure) if failure.kind == ErrorKind::Unsupported => {
                    call.succeed(None);
                    return Ok(None);
                }
                Err(failure) if is_transient(&failure) && may_have_happened(&failure) => {
                    unsettled = true;
                    Some(failure)
                }
                Err(failure) => return Err(call.fail(failure)),
            };
            let Some(trouble) = trouble else { break };
            if let Err(given_up) = call.back_off(trouble).await {
                if results.iter().any(Option::is_none) {
                    return Err(call.fail(given_up));
                }
                break;
            }
        }
        call.succeed(None);
        let told = full.iter().zip(results).map(|(key, result)| {
            result.unwrap_or(Ok(())).map_err(|failure| {
                let object = Some(self.backend().url(key));
                failure.into_error(Some(Operation::DeleteMany), object, 1, Duration::ZERO)
            })
        });
        Ok(Some(told.collect()))
    }

    /// Writes by parts below `prefix` that were begun and neither ended nor aborted: what a process that was killed
    /// leaves. Their parts are stored, and cost, until they are aborted.
    pub fn uploads(&self, prefix: &str) -> BoxStream<'static, Result<Upload>> {
        listing::uploads(self, prefix)
    }

    /// Aborts a write by parts that was left, and frees its parts. One that is gone is `NotFound`.
    pub async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        let full = self.full_upload(upload);
        let call = self.begin(Operation::AbortUpload, &upload.key, None)?;
        on_runtime!(self.client(), self.abort_call(call, &full))
    }

    async fn abort_call(&self, mut call: Box<Call>, upload: &Upload) -> Result<()> {
        let mut unsettled = false;
        loop {
            let aborted = call
                .run(Repeat::IfUndone, |attempt| self.backend().abort_upload(upload, attempt))
                .await;
            let failure = match aborted {
                Err(failure) if is_transient(&failure) && may_have_happened(&failure) => failure,
                Err(gone) if unsettled && gone.kind == ErrorKind::NotFound => {
                    return call.end(Ok(()));
                }
                settled => return call.end(settled),
            };
            unsettled = true;
            if let Err(failure) = call.back_off(failure).await {
                return Err(call.fail(failure));
            }
        }
    }
}

/// Whether an object is still the one that was to be replaced.
fn is_as_before(meta: &ObjectMeta, mode: &PutMode) -> bool {
    let is = |before: &String| meta.etag.as_deref().is_some_and(|tag| etag::same(tag, before));
    matches!(mode, PutMode::Update(before) if is(before))
}

/// Whether an object holds the bytes of another, as far as can be told from outside.
fn is_same(meta: &ObjectMeta, source: &ObjectMeta) -> bool {
    use crate::backend::Checksum::{Crc32c, Md5};
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
