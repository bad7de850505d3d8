// SPDX-License-Identifier: Apache-2.0
//! Writes whose answer was lost: what stands in the store tells whether they happened, never a second answer.

use crate::attempt::{Call, Repeat, is_transient, may_have_happened};
use crate::backend::{Checksum, CommitRequest, ObjectMeta, PutMode, PutRequest, etag};
use crate::error::{ErrorKind, Failure};
use crate::store::{Store, unsettled_by};
use crate::timing::RequestId;

/// A conditional put, repeated only once it is known not to have happened.
pub(super) async fn put(
    store: &Store,
    call: &mut Call,
    request: &PutRequest,
) -> Result<ObjectMeta, Failure> {
    let mut unsettled = false;
    loop {
        let put = call.run(Repeat::IfUndone, |attempt| store.backend().put(request, attempt)).await;
        let failure = match put {
            Err(failure) if is_transient(&failure) && may_have_happened(&failure) => failure,
            // The try before may have arrived after it was looked for.
            Err(failure) if unsettled && failure.is_refusal() => failure,
            settled => return settled,
        };
        match look(store, call, &request.mode, request.about.mark).await {
            Ok(Looked::Ours(meta)) => return Ok(*meta),
            Ok(Looked::Others(refusal)) => return Err(refusal),
            Ok(Looked::Undone) => {}
            Err(unseen) => return Err(unsettled_by(failure, unseen)),
        }
        unsettled = true;
        call.back_off(failure).await?;
    }
}

/// What a look at an object says of a write whose answer was lost.
enum Looked {
    Ours(Box<ObjectMeta>),
    Others(Failure),
    Undone,
}

/// Whose is what stands there now?
async fn look(
    store: &Store,
    call: &mut Call,
    mode: &PutMode,
    mark: Option<RequestId>,
) -> Result<Looked, Failure> {
    let meta = match head(store, call).await {
        Ok(meta) => meta,
        Err(failure) if failure.kind == ErrorKind::NotFound => {
            return Ok(match mode {
                PutMode::Update(_) => Looked::Others(
                    Failure::new(ErrorKind::Precondition)
                        .message("the object was deleted meanwhile"),
                ),
                _ => Looked::Undone,
            });
        }
        Err(failure) => return Err(failure),
    };
    if let PutMode::Update(before) = mode
        && meta.etag.as_ref().is_some_and(|now| etag::same(now, before))
    {
        return Ok(Looked::Undone);
    }
    // The mark tells; the same bytes may well be another's (two who create a lock).
    if is_marked(&meta, mark) {
        return Ok(Looked::Ours(Box::new(meta)));
    }
    let kind =
        if *mode == PutMode::Create { ErrorKind::AlreadyExists } else { ErrorKind::Precondition };
    Ok(Looked::Others(Failure::new(kind).message("another writer was first; our answer was lost")))
}

async fn head(store: &Store, call: &mut Call) -> Result<ObjectMeta, Failure> {
    let key = std::sync::Arc::clone(call.key());
    call.run(Repeat::Freely, |attempt| store.backend().head(&key, attempt)).await
}

fn is_marked(meta: &ObjectMeta, mark: Option<RequestId>) -> bool {
    meta.mark.is_some() && meta.mark == mark.map(|mark| mark.to_string())
}

/// The end of a write by parts. A commit whose answer was lost is asked for again: the service answers that the upload
/// is gone where the first one happened, and then the object must be the one that was written.
pub(crate) async fn commit(
    store: &Store,
    call: &mut Call,
    request: &CommitRequest,
    mark: Option<RequestId>,
) -> Result<ObjectMeta, Failure> {
    let mut unsettled = false;
    loop {
        let commit = call
            .run(Repeat::IfUndone, |attempt| store.backend().commit_upload(request, attempt))
            .await;
        let failure = match commit {
            Err(failure) if is_transient(&failure) && may_have_happened(&failure) => {
                unsettled = true;
                failure
            }
            Err(failure)
                if unsettled && (failure.is_refusal() || failure.kind == ErrorKind::NotFound) =>
            {
                return committed(store, call, request, mark, failure).await;
            }
            settled => return settled,
        };
        if let Err(mut given_up) = call.back_off(failure).await {
            // There is no try left to tell by; the object may.
            return match head(store, call).await {
                Ok(meta) if is_written(&meta, request, mark) == Some(true) => Ok(meta),
                Ok(_) => {
                    given_up.message.push_str("; it may yet take effect");
                    Err(given_up)
                }
                Err(unseen) if unseen.kind == ErrorKind::NotFound => Err(given_up),
                Err(unseen) => Err(unsettled_by(given_up, unseen)),
            };
        }
    }
}

/// The upload is gone, or its condition does not hold any more: because of our first try?
async fn committed(
    store: &Store,
    call: &mut Call,
    request: &CommitRequest,
    mark: Option<RequestId>,
    refusal: Failure,
) -> Result<ObjectMeta, Failure> {
    let meta = match head(store, call).await {
        Ok(meta) => meta,
        Err(unseen) if unseen.kind == ErrorKind::NotFound => return Err(replaced(refusal)),
        Err(unseen) => return Err(unsettled_by(refusal, unseen)),
    };
    match is_written(&meta, request, mark) {
        Some(true) => Ok(meta),
        // Nothing but the size can be compared; and the upload is gone, which only a commit or an abort does.
        None if refusal.kind == ErrorKind::NotFound => Ok(meta),
        _ if refusal.kind == ErrorKind::NotFound => Err(replaced(refusal)),
        _ => Err(refusal),
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

/// Whether an object is what the upload wrote; `None` where it may be.
fn is_written(meta: &ObjectMeta, request: &CommitRequest, mark: Option<RequestId>) -> Option<bool> {
    if mark.is_some() {
        return Some(is_marked(meta, mark));
    }
    if meta.size != request.size() {
        return Some(false);
    }
    match (meta.checksum, request.crc32c) {
        (Some(Checksum::Crc32c(theirs)), Some(ours)) => Some(theirs == ours),
        _ => None,
    }
}
