// SPDX-License-Identifier: Apache-2.0
//! Credentials that a Java class gives out.
//!
//! ```text
//!  runtime's task ── credential() ──▶ Desk ◀── awaits, answers ── Java's thread `storescope-credentials`, one for each
//! ```
//!
//! The thread ends with the last store and stream that may ask: the [`Provider`] they share closes its desk.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use storescope::{CredentialFuture, Credentials, Error};
use storescope_bindings::credentials::Told;
use storescope_bindings::lock::locked;
use tokio::sync::oneshot;

type Answer = Result<Told, Thrown>;

/// Where questions wait for the thread of a Java object.
#[derive(Default)]
pub(crate) struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<oneshot::Sender<Answer>>,
    /// The one that Java's thread has taken.
    taken: Option<oneshot::Sender<Answer>>,
    closed: bool,
}

impl Desk {
    /// Waits for a question; `false` where none will come.
    pub(crate) fn await_question(&self) -> bool {
        let mut state = locked(&self.state);
        loop {
            if let Some(question) = state.waiting.pop_front() {
                state.taken = Some(question);
                return true;
            }
            if state.closed {
                return false;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Answers the question that was taken.
    pub(crate) fn answer(&self, answer: Answer) {
        if let Some(question) = locked(&self.state).taken.take() {
            // Nobody may wait any more.
            let _ = question.send(answer);
        }
    }

    /// Takes no more questions; those that wait are given up.
    pub(crate) fn close(&self) {
        let mut state = locked(&self.state);
        state.closed = true;
        state.waiting.clear();
        self.changed.notify_all();
    }

    fn ask(&self) -> oneshot::Receiver<Answer> {
        let (question, answer) = oneshot::channel();
        let mut state = locked(&self.state);
        if !state.closed {
            state.waiting.push_back(question);
            self.changed.notify_one();
        }
        answer
    }
}

/// The Java object as a store's credentials.
pub(crate) struct Provider(pub(crate) Arc<Desk>);

impl Drop for Provider {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Credentials for Provider {
    fn credential(&self) -> CredentialFuture<'_> {
        Box::pin(async {
            let told = self.0.ask().await.map_err(|_| "the credentials' thread has ended")??;
            // A key that is encrypted takes a while.
            Ok(tokio::task::spawn_blocking(move || told.made()).await??)
        })
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

/// What a Java object threw: the number by which Java keeps it, and its text.
#[derive(Debug)]
pub(crate) struct Thrown {
    pub(crate) number: i64,
    pub(crate) text: String,
}

impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Thrown {}

/// The number of what was thrown beneath an error; 0 where nothing was.
pub(crate) fn thrown_beneath(error: &Error) -> i64 {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.find_map(|cause| cause.downcast_ref::<Thrown>()).map_or(0, |thrown| thrown.number)
}

#[cfg(test)]
mod tests {
    use super::{Desk, Provider, Thrown};
    use std::sync::Arc;
    use storescope::Credentials as _;
    use storescope_bindings::credentials::Told;

    fn key() -> Told {
        let (kind, id, secret) = ("access_key".to_owned(), "id".to_owned(), "secret".to_owned());
        Told { kind, id, secret, more: None, ends: None, on_behalf_of: None }
    }

    #[tokio::test]
    async fn questions_are_answered_in_turn_and_the_end_of_the_provider_ends_the_wait() {
        let desk = Arc::new(Desk::default());
        let served = Arc::clone(&desk);
        let java = std::thread::spawn(move || {
            let mut answered = 0;
            while served.await_question() {
                answered += 1;
                let thrown = Thrown { number: 7, text: "sealed".to_owned() };
                served.answer(if answered == 1 { Err(thrown) } else { Ok(key()) });
            }
            answered
        });
        let provider = Provider(desk);
        let error = provider.credential().await.unwrap_err();
        assert_eq!(error.downcast_ref::<Thrown>().unwrap().number, 7);
        assert!(provider.credential().await.is_ok());
        drop(provider);
        assert_eq!(java.join().unwrap(), 2);
    }

    #[tokio::test]
    async fn a_desk_that_is_closed_answers_nobody() {
        let desk = Arc::new(Desk::default());
        let provider = Provider(Arc::clone(&desk));
        desk.close();
        assert!(provider.credential().await.unwrap_err().to_string().contains("ended"));
        assert!(!desk.await_question());
    }
}
