// SPDX-License-Identifier: Apache-2.0
//! The requests of a call, each under its name. Whether one may be sent again after an answer that was lost is decided
//! here, once for each operation; what then has to be looked at is [`settle`](super::settle)'s.

use super::{Call, Hedging, RetrySafety};
use crate::backend::{
    Backend, BucketPage, CommitRequest, Copied, CopyPartRequest, CopyRequest, GetReply, GetRequest,
    ListPage, ListRequest, Part, PartRequest, PutRequest, RenameRequest, UploadPage, UploadRequest,
};
use crate::error::{ErrorKind, Failure};
use crate::types::{GetRange, ObjectMeta, PutMode, Upload};
use RetrySafety::{Idempotent, OnlyIfUndone};
use std::sync::Arc;

impl Call {
    /// What an object of this call's store is, by its full name.
    pub(crate) async fn head(&mut self, key: &str) -> Result<ObjectMeta, Failure> {
        let backend = Arc::clone(&self.backend);
        self.head_at(&backend, key).await
    }

    /// What an object of another store is: a copy's target.
    pub(crate) async fn head_at(
        &mut self,
        backend: &Arc<dyn Backend>,
        key: &str,
    ) -> Result<ObjectMeta, Failure> {
        self.run(Idempotent, |attempt| backend.head(key, attempt)).await
    }

    /// Reads an object, or a range of it.
    pub(crate) async fn get(&mut self, request: &GetRequest) -> Result<Box<GetReply>, Failure> {
        self.tell_range(request.range.as_ref());
        let backend = Arc::clone(&self.backend);
        self.run(Idempotent, |attempt| backend.get(request, attempt)).await
    }

    /// The same; an attempt whose first byte is late gets a hedge. `discards`: bytes of it that are read in vain.
    pub(crate) async fn get_hedged(
        &mut self,
        hedging: &Hedging<'_>,
        request: &GetRequest,
        discards: u64,
    ) -> Result<Box<GetReply>, Failure> {
        self.tell_range(request.range.as_ref());
        let backend = Arc::clone(&self.backend);
        self.run_hedged(hedging, |mut attempt| {
            if discards > 0 {
                attempt.timer.discards(discards);
            }
            backend.get(request, attempt)
        })
        .await
    }

    /// A page of a listing of objects.
    pub(crate) async fn list(&mut self, request: &ListRequest) -> Result<ListPage, Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(Idempotent, |attempt| backend.list(request, attempt)).await
    }

    /// A page of a listing of buckets.
    pub(crate) async fn list_buckets(&mut self, page: Option<&str>) -> Result<BucketPage, Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(Idempotent, |attempt| backend.list_buckets(page, attempt)).await
    }

    /// A page of a listing of uploads.
    pub(crate) async fn list_uploads(
        &mut self,
        prefix: &str,
        page: Option<&str>,
    ) -> Result<UploadPage, Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(Idempotent, |attempt| backend.list_uploads(prefix, page, attempt)).await
    }

    /// Whether an upload holds any part.
    pub(crate) async fn has_parts(&mut self, upload: &Upload) -> Result<bool, Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(Idempotent, |attempt| backend.has_parts(upload, attempt)).await
    }

    /// Writes an object by one request. With a condition, a lost answer must be settled.
    pub(crate) async fn put(&mut self, request: &PutRequest) -> Result<ObjectMeta, Failure> {
        self.tell_length(request.body.len());
        let backend = Arc::clone(&self.backend);
        self.run(by_mode(&request.mode), |attempt| backend.put(request, attempt)).await
    }

    /// Removes an object. A lost answer must be settled.
    pub(crate) async fn delete(
        &mut self,
        key: &str,
        if_match: Option<&str>,
    ) -> Result<(), Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(OnlyIfUndone, |attempt| backend.delete(key, if_match, attempt)).await
    }

    /// Removes many objects. A lost answer must be settled.
    pub(crate) async fn delete_many(
        &mut self,
        keys: &[String],
    ) -> Result<Vec<Result<(), Failure>>, Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(OnlyIfUndone, |attempt| backend.delete_many(keys, attempt)).await
    }

    /// Gives an object another name. A lost answer must be settled.
    pub(crate) async fn rename(&mut self, request: &RenameRequest) -> Result<ObjectMeta, Failure> {
        self.tell_target(&request.to);
        let backend = Arc::clone(&self.backend);
        self.run(OnlyIfUndone, |attempt| backend.rename(request, attempt)).await
    }

    /// Copies an object inside the service. With a condition, a lost answer must be settled. Over whatever is there, a copy
    /// may be made twice; what stands there is no proof of it, since an older object may look the same.
    pub(crate) async fn copy(&mut self, request: &CopyRequest) -> Result<Copied, Failure> {
        self.tell_target(&request.to);
        let backend = Arc::clone(&self.backend);
        self.run(by_mode(&request.mode), |attempt| backend.copy(request, attempt)).await
    }

    /// How far an accepted copy is.
    pub(crate) async fn copying(&mut self, work: &str) -> Result<Copied, Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(Idempotent, |attempt| backend.copying(work, attempt)).await
    }

    /// Begins a write by parts. A lost answer leaves an upload whose id is not known.
    pub(crate) async fn begin_upload(
        &mut self,
        request: &UploadRequest,
    ) -> Result<String, Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(OnlyIfUndone, |attempt| backend.begin_upload(request, attempt)).await
    }

    /// Writes a part; a second time replaces it.
    pub(crate) async fn put_part(&mut self, request: &PartRequest) -> Result<Part, Failure> {
        self.tell_length(request.body.len());
        let backend = Arc::clone(&self.backend);
        self.run(Idempotent, |attempt| backend.put_part(request, attempt)).await
    }

    /// Makes a part of bytes that the service has; a second time replaces it.
    pub(crate) async fn copy_part(&mut self, request: &CopyPartRequest) -> Result<Part, Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(Idempotent, |attempt| backend.copy_part(request, attempt)).await
    }

    /// Makes the object of its parts. A lost answer must be settled.
    pub(crate) async fn commit_upload(
        &mut self,
        request: &CommitRequest,
    ) -> Result<ObjectMeta, Failure> {
        self.tell_length(request.size());
        let backend = Arc::clone(&self.backend);
        self.run(OnlyIfUndone, |attempt| backend.commit_upload(request, attempt)).await
    }

    /// Aborts a write by parts of this process's own: one that is gone is aborted, whoever did it.
    pub(crate) async fn discard_upload(&mut self, upload: &Upload) -> Result<(), Failure> {
        let backend = Arc::clone(&self.backend);
        let aborted = self.run(Idempotent, |attempt| backend.abort_upload(upload, attempt)).await;
        aborted.or_else(|failure| match failure.kind {
            ErrorKind::NotFound => Ok(()),
            _ => Err(failure),
        })
    }

    /// Aborts a write by parts. A lost answer must be settled.
    pub(crate) async fn abort_upload(&mut self, upload: &Upload) -> Result<(), Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(OnlyIfUndone, |attempt| backend.abort_upload(upload, attempt)).await
    }

    /// Makes the bucket. A second answer says that it exists, whoever made it.
    pub(crate) async fn create_bucket(&mut self) -> Result<(), Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(OnlyIfUndone, |attempt| backend.create_bucket(attempt)).await
    }

    /// Removes the bucket. A second answer says that it is not there, whoever removed it.
    pub(crate) async fn delete_bucket(&mut self) -> Result<(), Failure> {
        let backend = Arc::clone(&self.backend);
        self.run(OnlyIfUndone, |attempt| backend.delete_bucket(attempt)).await
    }
}

/// What a trace and observers are told of a call and its attempts. Nothing where there are none.
impl Call {
    /// The range of a read. The caller's own is told once: what resumes a broken body asks for the rest.
    fn tell_range(&mut self, range: Option<&GetRange>) {
        let Some(subject) = &mut self.subject else { return };
        (subject.offset, subject.length) = match range {
            None => (None, None),
            Some(GetRange::Bounded(range)) => (Some(range.start), Some(range.end - range.start)),
            Some(GetRange::From(start)) => (Some(*start), None),
            Some(GetRange::Last(bytes)) => (None, Some(*bytes)),
        };
        let call = self.timer.as_mut().and_then(|timer| timer.subject());
        let Some(call) = call.filter(|_| self.attempts == 0) else { return };
        call.length = subject.length;
        call.ranges = subject
            .offset
            .map(|start| start..subject.length.map_or(u64::MAX, |length| start + length))
            .into_iter()
            .collect();
    }

    /// The payload to be sent, or to become an object.
    fn tell_length(&mut self, bytes: u64) {
        let Some(subject) = &mut self.subject else { return };
        subject.length = Some(bytes);
        if let Some(call) = self.timer.as_mut().and_then(|timer| timer.subject()) {
            call.length = Some(bytes);
        }
    }

    /// The new name, of copies and renames.
    fn tell_target(&mut self, to: &Arc<str>) {
        if let Some(call) = self.timer.as_mut().and_then(|timer| timer.subject()) {
            call.to = Some(Arc::clone(to));
        }
    }
}

/// What replaces whatever is there may be sent twice; what has a condition fails the second time by its own doing.
fn by_mode(mode: &PutMode) -> RetrySafety {
    match mode {
        PutMode::Overwrite => Idempotent,
        _ => OnlyIfUndone,
    }
}
