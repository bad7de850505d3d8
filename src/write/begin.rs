// SPDX-License-Identifier: Apache-2.0
//! The beginning of a write by parts. One whose answer was lost is repeated, and may leave an upload that nobody knows.
//!
//! No listing tells whose an upload is. An upload is taken for such a stray where it is of the same name, was begun
//! between the first request and the one that was answered (by the server's clock, which told both), and there are no
//! more of them than answers were lost. It is aborted when the write has ended, if it holds no part even then: a writer
//! that lives sends its first part at once. What is not certain is left alone, and a warning names it.

use crate::attempt::{Call, Doubt, Settle, Verdict, settle};
use crate::backend::UploadRequest;
use crate::error::{Error, Failure};
use crate::listing::Once;
use crate::timing::now_ns;
use crate::types::Upload;
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
pub(crate) async fn begin(call: &mut Call, request: &UploadRequest) -> Result<Begun, Failure> {
    let first = now_ns();
    let mut lost = 0;
    let id = settle(call, Beginning { request, lost: &mut lost }).await?;
    let upload = Upload { key: request.key.to_string(), id, begun: None };
    if lost == 0 {
        return Ok(Begun { upload, strays: Vec::new() });
    }
    let took = Duration::from_nanos(now_ns().saturating_sub(first));
    let strays = Box::pin(strays(call, &upload, lost, took)).await;
    Ok(Begun { upload, strays })
}

/// A begin that is repeated, and counts the answers that were lost.
struct Beginning<'a> {
    request: &'a UploadRequest,
    lost: &'a mut usize,
}

impl Settle for Beginning<'_> {
    type Output = String;

    async fn send(&mut self, call: &mut Call) -> Result<String, Failure> {
        call.begin_upload(self.request).await
    }

    async fn decide(&mut self, _: &mut Call, doubt: Doubt) -> Result<Verdict<String>, Failure> {
        if !doubt.lost {
            return Err(maybe_left(doubt.failure));
        }
        *self.lost += 1;
        Ok(Verdict::Again(doubt.failure))
    }

    async fn give_up(&mut self, _: &mut Call, failure: Failure) -> Result<String, Failure> {
        Err(maybe_left(failure))
    }
}

fn maybe_left(mut failure: Failure) -> Failure {
    failure.message.push_str(
        "; an upload may have been begun, and is left: list the uploads of the name, and abort it",
    );
    failure
}

/// The uploads that the lost requests began.
async fn strays(call: &mut Call, upload: &Upload, lost: usize, took: Duration) -> Vec<Upload> {
    let found = match of_the_name(call, &upload.key).await {
        Ok(found) => found,
        Err(failure) => {
            let error = Error::from(failure);
            tracing::warn!(
                key = upload.key, %error,
                "the answer to the begin of an upload was lost, and uploads cannot be listed: one may be left"
            );
            return Vec::new();
        }
    };
    let older = begun_before(found, &upload.id, took);
    if older.len() > lost {
        warn_of(&older, "several writers began one at that time");
        return Vec::new();
    }
    older
}

/// Those that were begun before ours, and not before the first request for it, which was sent so long ago.
fn begun_before(found: Vec<Upload>, ours: &str, took: Duration) -> Vec<Upload> {
    let begun = found.iter().find(|found| found.id == ours).and_then(|found| found.begun);
    let is_stray = |found: &Upload| {
        let age = begun.zip(found.begun).and_then(|(ours, begun)| ours.duration_since(begun).ok());
        found.id != ours && age.is_some_and(|age| age <= took + ROUNDING)
    };
    found.into_iter().filter(is_stray).collect()
}

/// The uploads of exactly this name.
async fn of_the_name(call: &mut Call, key: &str) -> Result<Vec<Upload>, Failure> {
    let mut found = Vec::new();
    let (mut page, mut once) = (None::<String>, Once::default());
    for _ in 0..PAGES {
        let listed = call.list_uploads(key, page.as_deref()).await?;
        let id = |upload: &Upload| (upload.key.clone(), upload.id.clone());
        let (uploads, next) = once.check(listed.uploads, listed.next, id)?;
        found.extend(uploads.into_iter().filter(|upload| upload.key == key));
        if next.is_none() {
            break;
        }
        page = next;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn upload(id: &str, begun: Option<u64>) -> Upload {
        let begun = begun.map(|ms| UNIX_EPOCH + Duration::from_millis(ms));
        Upload { key: "k".to_owned(), id: id.to_owned(), begun }
    }

    fn strays(found: Vec<Upload>) -> Vec<String> {
        let strays = begun_before(found, "ours", Duration::from_millis(500));
        strays.into_iter().map(|stray| stray.id).collect()
    }

    #[test]
    fn strays_are_those_begun_since_the_first_request() {
        let found = vec![
            upload("long before", Some(8_499)),
            upload("first", Some(8_500)),
            upload("same moment", Some(10_000)),
            upload("ours", Some(10_000)),
            upload("after", Some(10_001)),
            upload("untold", None),
        ];
        assert_eq!(strays(found), ["first", "same moment"]);
    }

    #[test]
    fn without_the_servers_time_of_ours_none_is_known() {
        assert!(strays(vec![upload("a", Some(1)), upload("ours", None)]).is_empty());
        assert!(strays(vec![upload("a", Some(1))]).is_empty());
    }
}
