// SPDX-License-Identifier: Apache-2.0
//! Answers that were lost. A request that may have taken effect is not repeated blindly: what stands in the store tells,
//! never the second answer, which may be the first one's doing.
//!
//! ```text
//!  send ─▶ Ok: done
//!       ├▶ lost, or refused after one that was lost ─▶ decide ─▶ Done: it was this call's doing
//!       │                                                  └▶ Again: back off, send it again
//!       ├▶ answered by what cannot be read ─▶ decide ─▶ Done, else failed: it is not sent again
//!       └▶ any other failure: failed
//! ```

use super::{Call, is_transient, may_have_happened, was_refused};
use crate::error::{Error, ErrorKind, Failure};

/// A request whose effect can be looked for.
pub(crate) trait Settle: Send {
    /// What it answers.
    type Output: Send;

    /// Sends it.
    fn send(
        &mut self,
        call: &mut Call,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// Decides what became of it, by looking where that tells. An error is the call's.
    fn decide(
        &mut self,
        call: &mut Call,
        doubt: Doubt,
    ) -> impl Future<Output = Result<Verdict<Self::Output>, Failure>> + Send;

    /// No try is left, while it is in doubt whether it took effect.
    fn give_up(
        &mut self,
        call: &mut Call,
        failure: Failure,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send {
        let _ = call;
        std::future::ready(Err(failure))
    }
}

/// A failure that leaves the effect in doubt.
#[derive(Debug)]
pub(crate) struct Doubt {
    pub(crate) failure: Failure,
    /// This request's answer was lost. Else an earlier one's was, and this is what the store says now.
    pub(crate) lost: bool,
}

/// What a look says of a request.
#[derive(Debug)]
pub(crate) enum Verdict<T> {
    /// It took effect.
    Done(T),
    /// It did not, or only another answer can tell: it is sent again after this failure.
    Again(Failure),
}

/// Sends a request until it is known whether it took effect.
pub(crate) async fn settle<S: Settle>(
    call: &mut Call,
    mut request: S,
) -> Result<S::Output, Failure> {
    let mut in_doubt = false;
    loop {
        let failure = match request.send(call).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if is_unreadable(&failure) {
            return match request.decide(call, Doubt { failure, lost: true }).await? {
                Verdict::Done(done) => Ok(done),
                Verdict::Again(failure) => request.give_up(call, failure).await,
            };
        }
        let lost = is_lost(&failure);
        if !lost && !in_doubt {
            return Err(failure);
        }
        let failure = match request.decide(call, Doubt { failure, lost }).await? {
            Verdict::Done(done) => return Ok(done),
            Verdict::Again(failure) => failure,
        };
        in_doubt = true;
        if let Err(given_up) = call.back_off(failure).await {
            return request.give_up(call, given_up).await;
        }
    }
}

/// Whether the request may have taken effect, and another try may fare better.
pub(crate) fn is_lost(failure: &Failure) -> bool {
    is_transient(failure) && may_have_happened(failure)
}

/// Whether the answer to a request that may have taken effect is none that can be read.
fn is_unreadable(failure: &Failure) -> bool {
    failure.kind == ErrorKind::Protocol && !was_refused(failure) && may_have_happened(failure)
}

/// A request may have taken effect, and looking failed, too.
pub(crate) fn unsettled_by(mut failure: Failure, unseen: Failure) -> Failure {
    failure.message = format!(
        "{}; it may have taken effect: looking at the object failed ({})",
        failure.message,
        Error::from(unseen)
    );
    failure
}
