// SPDX-License-Identifier: Apache-2.0
//! The beginning of a write by parts. One whose answer was lost is repeated, and may leave an upload that nobody knows.
//!
//! No listing tells whose an upload is. An upload is taken for such a stray where it is of the same name, was begun
//! between the first request and the one that was answered (by the server's clock, which told both), and there are no
//! more of them than answers were lost. It is aborted when the write has ended, if it holds no part even then: a writer
//! that lives sends its first part at once. What is not certain is left alone, and a warning names it.

use super::writer::abort;
use crate::attempt::{Call, Repeat, is_transient, may_have_happened};
use crate::backend::{Upload, UploadRequest};
use crate::error::Failure;
use crate::store::Store;
use crate::timing::{Operation, now_ns};
use std::sync::Arc;
use std::time::Duration;

/// Listings round times to seconds at most.
const ROUNDING: Duration = Duration::from_secs(1);

/// Pages of uploads that are looked through.
const PAGES: usize = 100;

/// An upload that was begun, and those that requests without an answer may have begun before.
pub(crate) struct Begun {
    pub(crate) upload: Upload,
    pub(crate) strays: Vec<Upload>,
}

/// Begins a write by parts.
pub(crate) async fn begin(
    store: &Store,
    call: &mut Call,
    request: &UploadRequest,
) -> Result<Begun, Failure> {
    let first = now_ns();
    let mut lost = 0;
    loop {
        let begun = call
            .run(Repeat::IfUndone, |attempt| store.backend().begin_upload(request, attempt))
            .await;
        let failure = match begun {
            Ok(id) => {
                let upload = Upload { key: request.key.to_string(), id, begun: None };
                if lost == 0 {
                    return Ok(Begun { upload, strays: Vec::new() });
                }
                let took = Duration::from_nanos(now_ns().saturating_sub(first));
                let strays = Box::pin(strays(store, call, &upload, lost, took)).await;
                return Ok(Begun { upload, strays });
            }
            Err(failure) if is_transient(&failure) && may_have_happened(&failure) => failure,
            Err(failure) if lost > 0 => return Err(maybe_left(failure)),
            Err(failure) => return Err(failure),
        };
        lost += 1;
        call.back_off(failure).await.map_err(maybe_left)?;
    }
}

fn maybe_left(mut failure: Failure) -> Failure {
    failure.message.push_str(
        "; an upload may have been begun, and is left: list the uploads of the name, and abort it",
    );
    failure
}

/// The uploads that the lost requests began.
async fn strays(
    store: &Store,
    call: &mut Call,
    upload: &Upload,
    lost: usize,
    took: Duration,
) -> Vec<Upload> {
    let found = match of_the_name(store, call, &upload.key).await {
        Ok(found) => found,
        Err(failure) => {
            let error = crate::Error::from(failure);
            tracing::warn!(
                key = upload.key, %error,
                "the answer to the begin of an upload was lost, and uploads cannot be listed: one may be left"
            );
            return Vec::new();
        }
    };
    let ours = found.iter().find(|found| found.id == upload.id).and_then(|found| found.begun);
    let older: Vec<Upload> = found
        .into_iter()
        .filter(|found| {
            let age = ours.zip(found.begun).and_then(|(ours, begun)| ours.duration_since(begun).ok());
            found.id != upload.id && age.is_some_and(|age| age <= took + ROUNDING)
        })
        .collect();
    if older.len() > lost {
        warn_of(&older, "several writers began one at that time");
        return Vec::new();
    }
    older
}

/// The uploads of exactly this name.
async fn of_the_name(store: &Store, call: &mut Call, key: &str) -> Result<Vec<Upload>, Failure> {
    let mut found = Vec::new();
    let mut page: Option<String> = None;
    for _ in 0..PAGES {
        let listed = call
            .run(Repeat::Freely, |attempt| {
                store.backend().list_uploads(key, page.as_deref(), attempt)
            })
            .await?;
        found.extend(listed.uploads.into_iter().filter(|upload| upload.key == key));
        match listed.next {
            Some(next) => page = Some(next),
            None => break,
        }
    }
    Ok(found)
}

/// Says which uploads are left.
pub(crate) fn warn_of(strays: &[Upload], why: &str) {
    for stray in strays {
        tracing::warn!(
            key = stray.key,
            id = stray.id,
            why,
            "an upload whose begin was not answered may be left: abort it if nobody writes it"
        );
    }
}

/// Aborts the strays of a write that has ended, unless they hold a part.
pub(super) async fn clear(store: &Store, strays: Vec<Upload>) {
    for stray in strays {
        let key: Arc<str> = stray.key.as_str().into();
        let mut call = store.begin_always(Operation::ListUploads, key, None);
        let parts =
            call.run(Repeat::Freely, |attempt| store.backend().has_parts(&stray, attempt)).await;
        match call.end(parts) {
            Ok(false) => {
                // What failed is logged.
                let _ = abort(store, stray).await;
            }
            Ok(true) => warn_of(&[stray], "it holds parts"),
            // Its writer has ended it.
            Err(error) if error.is_not_found() => {}
            Err(error) => warn_of(&[stray], &error.to_string()),
        }
    }
}
