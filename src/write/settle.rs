// SPDX-License-Identifier: Apache-2.0
//! Writes whose answer was lost: what stands in the store tells whether they happened.

use crate::attempt::{Call, Doubt, Settle, Verdict, settle, unsettled_by};
use crate::backend::{CommitRequest, PutRequest, etag};
use crate::error::{ErrorKind, Failure};
use crate::timing::RequestId;
use crate::types::{Checksum, ObjectMeta, PutMode, Upload};
use std::sync::Arc;

/// A conditional put, repeated only once it is known not to have happened.
pub(super) async fn put(call: &mut Call, request: &PutRequest) -> Result<ObjectMeta, Failure> {
    settle(call, Putting(request)).await
}

struct Putting<'a>(&'a PutRequest);

impl Settle for Putting<'_> {
    type Output = ObjectMeta;

    async fn send(&mut self, call: &mut Call) -> Result<ObjectMeta, Failure> {
        call.put(self.0).await
    }

    async fn decide(
        &mut self,
        call: &mut Call,
        doubt: Doubt,
    ) -> Result<Verdict<ObjectMeta>, Failure> {
        let Doubt { failure, lost } = doubt;
        // A refusal: the try before may have arrived after it was looked for.
        if !lost && !failure.is_refusal() {
            return Err(failure);
        }
        let (mode, mark) = (&self.0.mode, self.0.about.mark);
        let meta = match head(call).await {
            Ok(meta) => meta,
            Err(gone) if gone.kind == ErrorKind::NotFound => {
                return match mode {
                    PutMode::Update(_) => Err(Failure::new(ErrorKind::Precondition)
                        .message("the object was deleted meanwhile")),
                    _ => Ok(Verdict::Again(failure)),
                };
            }
            Err(unseen) => return Err(unsettled_by(failure, unseen)),
        };
        if let PutMode::Update(before) = mode
            && meta.etag.as_ref().is_some_and(|now| etag::same(now, before))
        {
            return Ok(Verdict::Again(failure));
        }
        // The mark tells; the same bytes may well be another's (two who create a lock).
        if is_marked(&meta, mark) {
            return Ok(Verdict::Done(meta));
        }
        let kind = match mode {
            PutMode::Create => ErrorKind::AlreadyExists,
            _ => ErrorKind::Precondition,
        };
        Err(Failure::new(kind).message("another writer was first; our answer was lost"))
    }
}

async fn head(call: &mut Call) -> Result<ObjectMeta, Failure> {
    let key = Arc::clone(call.key());
    call.head(&key).await
}

fn is_marked(meta: &ObjectMeta, mark: Option<RequestId>) -> bool {
    meta.mark.is_some() && meta.mark == mark.map(|mark| mark.to_string())
}

/// The end of a write by parts. A commit whose answer was lost is asked for again: the service answers that the upload
/// is gone where the first one happened, and then the object must be the one that was written.
pub(crate) async fn commit(
    call: &mut Call,
    request: &CommitRequest,
    mark: Option<RequestId>,
) -> Result<ObjectMeta, Failure> {
    settle(call, Committing { request, mark }).await
}

struct Committing<'a> {
    request: &'a CommitRequest,
    mark: Option<RequestId>,
}

impl Settle for Committing<'_> {
    type Output = ObjectMeta;

    async fn send(&mut self, call: &mut Call) -> Result<ObjectMeta, Failure> {
        call.commit_upload(self.request).await
    }

    async fn decide(
        &mut self,
        call: &mut Call,
        doubt: Doubt,
    ) -> Result<Verdict<ObjectMeta>, Failure> {
        let Doubt { failure, lost } = doubt;
        if lost {
            return Ok(Verdict::Again(failure));
        }
        if !failure.is_refusal() && failure.kind != ErrorKind::NotFound {
            return Err(failure);
        }
        // The upload is gone, or its condition does not hold any more: because of our first try?
        let meta = match head(call).await {
            Ok(meta) => meta,
            Err(unseen) if unseen.kind == ErrorKind::NotFound => return Err(replaced(failure)),
            Err(unseen) => return Err(unsettled_by(failure, unseen)),
        };
        match self.is_written(&meta) {
            Some(true) => Ok(Verdict::Done(meta)),
            // Nothing but the size can be compared; and the upload is gone, which only a commit or an abort does.
            None if failure.kind == ErrorKind::NotFound => Ok(Verdict::Done(meta)),
            _ if failure.kind == ErrorKind::NotFound => Err(replaced(failure)),
            _ => Err(failure),
        }
    }

    /// There is no try left to tell by; the object may.
    async fn give_up(
        &mut self,
        call: &mut Call,
        mut failure: Failure,
    ) -> Result<ObjectMeta, Failure> {
        match head(call).await {
            Ok(meta) if self.is_written(&meta) == Some(true) => Ok(meta),
            Ok(_) => {
                failure.message.push_str("; it may yet take effect");
                Err(failure)
            }
            Err(unseen) if unseen.kind == ErrorKind::NotFound => Err(failure),
            Err(unseen) => Err(unsettled_by(failure, unseen)),
        }
    }
}

impl Committing<'_> {
    /// Whether an object is what the upload wrote; `None` where it may be.
    fn is_written(&self, meta: &ObjectMeta) -> Option<bool> {
        if self.mark.is_some() {
            return Some(is_marked(meta, self.mark));
        }
        if meta.size != self.request.size() {
            return Some(false);
        }
        match (meta.checksum, self.request.crc32c) {
            (Some(Checksum::Crc32c(theirs)), Some(ours)) => Some(theirs == ours),
            _ => None,
        }
    }
}

fn replaced(mut refusal: Failure) -> Failure {
    refusal.kind = ErrorKind::Precondition;
    refusal.message = format!(
        "{}; the upload has ended, and what stands there is not what it wrote: another writer replaced or removed it, or aborted the upload",
        refusal.message
    );
    refusal
}

/// The abort of a write by parts. One that is gone after a lost answer was aborted by this call; else it is `NotFound`.
pub(crate) async fn abort(call: &mut Call, upload: &Upload) -> Result<(), Failure> {
    settle(call, Aborting(upload)).await
}

struct Aborting<'a>(&'a Upload);

impl Settle for Aborting<'_> {
    type Output = ();

    async fn send(&mut self, call: &mut Call) -> Result<(), Failure> {
        call.abort_upload(self.0).await
    }

    async fn decide(&mut self, _: &mut Call, doubt: Doubt) -> Result<Verdict<()>, Failure> {
        let Doubt { failure, lost } = doubt;
        match failure.kind {
            _ if lost => Ok(Verdict::Again(failure)),
            ErrorKind::NotFound => Ok(Verdict::Done(())),
            _ => Err(failure),
        }
    }
}
