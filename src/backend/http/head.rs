// SPDX-License-Identifier: Apache-2.0
//! Why a HEAD failed. Its answer has no body, and so no code of the service: a 404 may be the object's or the bucket's, a
//! 403 a policy, a wrong secret or a clock that is off. Where the status leaves that open, a GET of the first byte is
//! asked, whose answer has one. Where that GET succeeds (a server or a policy that refuses HEAD alone, or an object
//! written in between), its headers tell what the object is.
//!
//! A 404 is believed once the bucket was seen: then it is the object that is not there. So a store sends one more request
//! for the first object that is missing, and none for others, however many are asked for at once.

use crate::backend::{Attempt, Backend, GetRequest, RequestFuture};
use crate::error::{ErrorKind, Failure};
use crate::timing::{Operation, Recorders};
use crate::types::{GetRange, ObjectMeta};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether a bucket was seen, and the caller may read in it.
#[derive(Debug, Default)]
pub(in crate::backend) struct Seen {
    seen: AtomicBool,
    /// Held by the one that asks: others wait for its answer.
    asking: tokio::sync::Mutex<()>,
}

impl Seen {
    /// An answer has shown it.
    pub(in crate::backend) fn yes(&self) {
        // Most are not the first: a line that is only read stays in every core's cache.
        if !self.seen.load(Relaxed) {
            self.seen.store(true, Relaxed);
        }
    }

    /// The bucket was removed, or cannot be seen.
    pub(in crate::backend) fn no(&self) {
        self.seen.store(false, Relaxed);
    }

    /// A refusal may show that it is there, or is not.
    pub(in crate::backend) fn refused(&self, failure: &Failure) {
        match failure.kind {
            ErrorKind::NotFound if failure.code.is_some() => self.yes(),
            ErrorKind::BucketNotFound => self.no(),
            _ => {}
        }
    }

    fn is_so(&self) -> bool {
        self.seen.load(Relaxed)
    }
}

/// What a HEAD's failure is; `recorders` records the requests that find it out.
pub(in crate::backend) fn explained<'a>(
    backend: &'a dyn Backend,
    key: &'a str,
    seen: &'a Seen,
    recorders: Recorders,
    failure: Failure,
) -> RequestFuture<'a, ObjectMeta> {
    Box::pin(async move {
        match failure.status {
            _ if failure.code.is_some() || failure.kind == ErrorKind::Config => {
                return Err(failure);
            }
            Some(404) if seen.is_so() => return Err(absent(failure)),
            // 304, 412 and 416 are plain, and 408, 425 and 429 pass.
            Some(301 | 302 | 307 | 308 | 400..=405 | 409 | 410 | 501) => {}
            _ => return Err(failure),
        }
        let _asking = match failure.status {
            Some(404) => {
                let asking = seen.asking.lock().await;
                if seen.is_so() {
                    return Err(absent(failure));
                }
                Some(asking)
            }
            _ => None,
        };
        let attempt = || Attempt {
            timer: crate::timing::AttemptTimer::start(&recorders, Operation::Get),
            fresh: false,
        };
        let mut request =
            GetRequest { key: key.into(), range: Some(GetRange::Bounded(0..1)), if_match: None };
        let mut asked = 1;
        let mut answered = backend.get(&request, attempt()).await;
        // Of an object that may be read, the answer to a whole GET has what HEAD would have told; that of a part may lack
        // the checksum.
        if answered.as_ref().map_or_else(has_no_first_byte, |_| true) {
            request.range = None;
            asked = 2;
            answered = backend.get(&request, attempt()).await;
        }
        match answered {
            Ok(reply) => {
                tracing::debug!(
                    key,
                    status = failure.status,
                    "a HEAD was refused where a GET was answered: the object is what the GET says"
                );
                Ok(reply.meta.get(key).clone())
            }
            Err(mut told) => {
                told.besides += asked;
                if let (None, Some(status)) = (&told.code, failure.status) {
                    let separator = if told.message.is_empty() { "" } else { "; " };
                    told.message =
                        format!("{}{separator}its HEAD was refused ({status})", told.message);
                }
                Err(told)
            }
        }
    })
}

/// An empty object has none; and some servers do not send the range that they were asked for.
fn has_no_first_byte(failure: &Failure) -> bool {
    match failure.kind {
        ErrorKind::InvalidRange => true,
        ErrorKind::Protocol => failure.status.is_none(),
        _ => false,
    }
}

/// A HEAD's 404 where the bucket is there.
fn absent(mut failure: Failure) -> Failure {
    failure.kind = ErrorKind::NotFound;
    failure.message.clear();
    failure
}
