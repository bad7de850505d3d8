// SPDX-License-Identifier: Apache-2.0
//! The one home of deadline, retry, resume and their budget, around a backend whose attempts know none of them.
//!
//! ```text
//!  Call::run ──▶ attempt ──▶ success
//!     ▲              └──▶ failure ─┬─ 401: the principal mends what it can, once more          (no budget)
//!     │                            ├─ a reused connection was dead: once more on a new one      (no budget)
//!     │                            ├─ transient: back off (full jitter, Retry-After) ◀── budget of the process
//!     └────────────────────────────┘
//!                                  └─ else, or nothing left of attempts, time or budget: the error, with what to do
//!  request.rs  the requests of a call by name, each with its retry safety
//!  settle.rs   a lost answer is settled by looking, never by the second answer
//!  hedge.rs    an attempt whose first byte is late gets a hedge; the first answer wins;
//!              the other's connection is closed, or its small answer read to the end
//!  body.rs     a body that broke is resumed at the byte reached, If-Match the ETag it began with
//!  budget.rs   the process's retries and hedges
//! ```
//!
//! It promises: what may have taken effect is not repeated blindly (`RetrySafety`); every sleep is inside a deadline; an
//! error tells how many requests were made and how long it took.

mod body;
mod budget;
mod hedge;
mod request;
mod settle;

pub use body::ObjectBody;
pub(crate) use body::Running;
pub(crate) use budget::Budget;
use budget::FREE_RETRIES;
pub(crate) use hedge::Hedging;
pub(crate) use settle::{Doubt, Settle, Verdict, is_lost, settle, unsettled_by};

use crate::auth::AuthRetry;
use crate::backend::{Attempt, Backend, Effect, RequestFuture, transient};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::limiter::Pace;
use crate::timing::{
    AttemptTimer, CallTimer, Gauges, Held, Operation, Outcome, Phase, Recorders, RequestId,
    Subject, after, instant_at, now_ns,
};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tracing::Instrument;

/// Bytes of a read that are progress however slow it may be.
const PROGRESS: u64 = 64 << 10;

/// What a 401 may lead to: the clock, a reused signature and a token can be mended.
const MENDS: u32 = 3;

/// How often and how patiently.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) attempts: u32,
    pub(crate) backoff_base: Duration,
    pub(crate) backoff_cap: Duration,
    /// A call that gets nowhere for so long ends.
    pub(crate) patience: Duration,
    /// What a body must bring not to have stalled.
    pub(crate) pace: Pace,
    pub(crate) budget: Arc<Budget>,
    pub(crate) hedges: Arc<Budget>,
    pub(crate) gauges: Arc<Gauges>,
}

impl Policy {
    pub(crate) fn new(config: &Config, gauges: &Arc<Gauges>) -> Policy {
        Policy {
            attempts: config.attempts.max(1),
            backoff_base: config.backoff_base,
            backoff_cap: config.backoff_cap,
            patience: config.call_timeout,
            pace: Pace::new(config),
            budget: Arc::new(Budget::new(config.retry_budget, FREE_RETRIES)),
            hedges: Arc::new(Budget::new(config.hedge_budget, 0)),
            gauges: Arc::clone(gauges),
        }
    }
}

/// Whether a request that may have taken effect may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RetrySafety {
    /// It may: a second time changes nothing.
    Idempotent,
    /// Only if it certainly did not take effect. Otherwise the caller must look first.
    OnlyIfUndone,
}

/// One call under way: what was asked for, and what it has cost.
#[derive(Debug)]
pub(crate) struct Call {
    backend: Arc<dyn Backend>,
    policy: Arc<Policy>,
    operation: Operation,
    key: Arc<str>,
    timer: Option<CallTimer>,
    recorders: Recorders,
    /// What its attempts are about, where anybody wants to know.
    subject: Option<Box<Subject>>,
    begun: u64,
    /// When the call last got somewhere.
    progress: u64,
    /// Bytes since then, of bodies that broke.
    gained: u64,
    deadline: Option<u64>,
    attempts: u32,
    /// Failures that were answered by another try, since the call last got somewhere.
    tries: u32,
    /// Answers that said: not so fast.
    throttled: u32,
    /// When it was let in, if it had to ask.
    admitted: Option<u64>,
    gauge: Option<Held>,
}

impl Call {
    pub(crate) fn begin(
        backend: &Arc<dyn Backend>,
        policy: &Arc<Policy>,
        recorders: &Recorders,
        operation: Operation,
        key: Arc<str>,
        deadline: Option<Duration>,
    ) -> Box<Call> {
        let mut timer = CallTimer::start(recorders, operation, &key);
        let begun = timer.started();
        let subject = recorders.subject(&key, timer.subject().map(|subject| subject.number));
        // Boxed, since it is handed from the call to the body.
        Box::new(Call {
            backend: Arc::clone(backend),
            policy: Arc::clone(policy),
            operation,
            key,
            timer: Some(timer),
            recorders: recorders.clone(),
            subject,
            begun,
            progress: begun,
            gained: 0,
            deadline: deadline.map(|deadline| after(begun, deadline)),
            attempts: 0,
            tries: 0,
            throttled: 0,
            admitted: None,
            gauge: Some(policy.gauges.call()),
        })
    }

    /// A read that is made for calls which keep their own time: it began at `begun`, and was let in now. Its attempts
    /// are recorded, it is not.
    pub(crate) fn fetch(
        backend: &Arc<dyn Backend>,
        policy: &Arc<Policy>,
        recorders: &Recorders,
        key: Arc<str>,
        begun: u64,
    ) -> Box<Call> {
        let now = now_ns();
        Box::new(Call {
            backend: Arc::clone(backend),
            policy: Arc::clone(policy),
            operation: Operation::Get,
            subject: recorders.subject(&key, None),
            key,
            timer: None,
            recorders: recorders.clone(),
            begun,
            progress: now,
            gained: 0,
            deadline: None,
            attempts: 0,
            tries: 0,
            throttled: 0,
            admitted: Some(now),
            gauge: None,
        })
    }

    /// Tries until it succeeds or there is nothing left to try with.
    async fn run<'a, T: 'a>(
        &mut self,
        safety: RetrySafety,
        attempt: impl FnMut(Attempt) -> RequestFuture<'a, T>,
    ) -> Result<T, Failure> {
        self.tries(safety, None, attempt).await
    }

    /// The same, for what may be repeated freely; an attempt whose answer is late gets a rival.
    async fn run_hedged<'a, T: 'a>(
        &mut self,
        hedging: &Hedging<'_>,
        attempt: impl FnMut(Attempt) -> RequestFuture<'a, T>,
    ) -> Result<T, Failure> {
        self.tries(RetrySafety::Idempotent, Some(hedging), attempt).await
    }

    async fn tries<'a, T: 'a>(
        &mut self,
        safety: RetrySafety,
        hedging: Option<&Hedging<'_>>,
        mut attempt: impl FnMut(Attempt) -> RequestFuture<'a, T>,
    ) -> Result<T, Failure> {
        let (mut mended, mut fresh) = (0, false);
        loop {
            let attempted = self.next_attempt(fresh);
            let id = attempted.timer.client_request_id();
            let tried = self.traced(attempted, &mut attempt);
            let answered = match hedging {
                None => self.within_deadline(tried, id).await,
                Some(hedging) => self.hedged(hedging, tried, &mut attempt).await,
            };
            let mut failure = match answered {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            self.attempts += std::mem::take(&mut failure.besides);
            if matches!(failure.kind, ErrorKind::Config | ErrorKind::InvalidInput) {
                // Nothing was sent.
                self.attempts -= 1;
                return Err(failure);
            }
            if mended < MENDS && self.is_mended(&mut failure) {
                mended += 1;
                continue;
            }
            if failure.stale_connection && !fresh && safety == RetrySafety::Idempotent {
                fresh = true;
                continue;
            }
            if !is_transient(&failure)
                || (safety == RetrySafety::OnlyIfUndone && may_have_happened(&failure))
            {
                return Err(failure);
            }
            // Boxed: what is rare must not make every call's future large.
            Box::pin(self.back_off(failure)).await?;
            fresh = false;
        }
    }

    fn next_attempt(&mut self, fresh: bool) -> Attempt {
        // The first attempt begins with the call.
        let start = if self.attempts == 0 { self.begun } else { now_ns() };
        self.attempts += 1;
        self.policy.budget.earn();
        let mut timer = AttemptTimer::start_at(&self.recorders, self.operation, start);
        if let Some(admitted) = self.admitted.take() {
            timer.lap_at(Phase::Queue, admitted);
        }
        timer.about(self.subject.as_deref());
        Attempt { timer, fresh }
    }

    /// Begins an attempt, inside a span where a subscriber wants one.
    fn traced<'a, T: 'a>(
        &self,
        mut attempted: Attempt,
        attempt: &mut impl FnMut(Attempt) -> RequestFuture<'a, T>,
    ) -> RequestFuture<'a, T> {
        match attempted.timer.trace(&self.key) {
            None => attempt(attempted),
            Some(span) => {
                // It may begin before it is polled.
                let tried = span.in_scope(|| attempt(attempted));
                Box::pin(tried.instrument(span))
            }
        }
    }

    /// Whether the principal has mended what a 401 was about; else the failure has its advice.
    fn is_mended(&self, failure: &mut Failure) -> bool {
        // Where there was no identity to ask with, the store has refused nothing.
        if failure.kind != ErrorKind::Unauthenticated || failure.unsent {
            return false;
        }
        match self.backend.after_unauthorized(failure) {
            AuthRetry::Retry => true,
            AuthRetry::GiveUp(advice) => {
                failure.hint = Some(advice);
                false
            }
        }
    }

    /// Waits before another try, or gives the failure back where there is none left.
    pub(crate) async fn back_off(&mut self, failure: Failure) -> Result<(), Failure> {
        self.tries += 1;
        let throttled = failure.kind == ErrorKind::Throttled || failure.status == Some(503);
        self.throttled += u32::from(throttled);
        let tries = self.tries;
        if tries >= self.policy.attempts {
            return Err(self.give_up(failure, "no attempt is left (attempts)"));
        }
        let ceiling = self
            .policy
            .backoff_base
            .saturating_mul(1 << (tries - 1).min(20))
            .min(self.policy.backoff_cap);
        let jittered = ceiling.mul_f64(fastrand::f64());
        let delay = failure.retry_after.map_or(jittered, |asked| asked.max(jittered));
        let until = after(now_ns(), delay);
        if until > after(self.progress, self.policy.patience) {
            return Err(
                self.give_up(failure, "the call has got nowhere for too long (call_timeout)")
            );
        }
        if self.deadline.is_some_and(|deadline| until > deadline) {
            return Err(self.give_up(failure, "the deadline would pass before another try"));
        }
        if !self.policy.budget.spend() {
            return Err(self.give_up(failure, "the process has spent its retries (retry_budget)"));
        }
        self.policy.gauges.retries.fetch_add(1, Relaxed);
        tracing::debug!(
            operation = %self.operation, key = %self.key, tries, ?delay, kind = ?failure.kind, status = failure.status,
            client_request_id = failure.client_request_id, "retrying"
        );
        tokio::time::sleep(delay).await;
        if let Some(timer) = &mut self.timer {
            timer.backoff(delay.as_nanos() as u64);
        }
        Ok(())
    }

    fn give_up(&self, mut failure: Failure, why: &str) -> Failure {
        tracing::warn!(
            operation = %self.operation, key = %self.key, attempts = self.attempts, kind = ?failure.kind,
            status = failure.status, client_request_id = failure.client_request_id, why, "gave up"
        );
        let separator = if failure.message.is_empty() { "" } else { "; " };
        failure.message = format!("{}{separator}gave up: {why}", failure.message);
        failure
    }

    /// The call made progress: it has all its attempts and its time again.
    pub(crate) fn progressed(&mut self) {
        self.progress = now_ns();
        self.gained = 0;
        self.tries = 0;
    }

    /// A body broke by `failure` after so many bytes. They are progress once they come to enough; the last of a body that
    /// stalled were too few for their time, and are none.
    pub(crate) fn gained(&mut self, bytes: u64, failure: &Failure) {
        let least = self.policy.pace.bytes;
        let stalled = failure.kind == ErrorKind::Timeout;
        self.gained += if stalled { bytes.saturating_sub(least - 1) } else { bytes };
        if self.gained >= least.min(PROGRESS) {
            self.progressed();
        }
    }

    async fn within_deadline<T>(
        &self,
        tried: RequestFuture<'_, T>,
        id: RequestId,
    ) -> Result<T, Failure> {
        let Some(deadline) = self.deadline else { return tried.await };
        match tokio::time::timeout_at(instant_at(deadline), tried).await {
            Ok(answer) => answer,
            Err(_) => {
                let mut late = Call::past_deadline();
                late.client_request_id = Some(id.to_string());
                Err(late)
            }
        }
    }

    /// So many bytes came for it.
    pub(crate) fn received(&mut self, bytes: u64) {
        if let Some(timer) = &mut self.timer {
            timer.received(bytes);
        }
    }

    /// How often it was told that it asks too much.
    pub(crate) fn throttled(&self) -> u32 {
        self.throttled
    }

    /// The name of the object that the call is about.
    pub(crate) fn key(&self) -> &Arc<str> {
        &self.key
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    pub(crate) fn past_deadline() -> Failure {
        Failure::new(ErrorKind::Timeout).message("the call's deadline has passed")
    }

    /// Records the call as a success that ended at `end`, a reading of `now_ns`, or now.
    pub(crate) fn succeed(&mut self, end: Option<u64>) {
        if let Some(timer) = self.timer.take() {
            timer.finish(Outcome::Ok, end);
        }
        self.gauge = None;
    }

    /// Records the call as failed, and makes the error that its caller gets.
    pub(crate) fn fail(&mut self, failure: Failure) -> Error {
        if let Some(timer) = self.timer.take() {
            timer.finish(failure.outcome(), None);
        }
        self.gauge = None;
        let elapsed = Duration::from_nanos(now_ns().saturating_sub(self.begun));
        failure.into_error(
            Some(self.operation),
            Some(self.backend.url(&self.key)),
            self.attempts,
            elapsed,
        )
    }

    /// Ends the call with a result.
    pub(crate) fn end<T>(mut self, result: Result<T, Failure>) -> Result<T> {
        match result {
            Ok(value) => {
                self.succeed(None);
                Ok(value)
            }
            Err(failure) => Err(self.fail(failure)),
        }
    }
}

/// Whether another try may fare better: the table says it of answers (`backend::transient`).
pub(crate) fn is_transient(failure: &Failure) -> bool {
    if !was_refused(failure) {
        // An identity service that is busy has no status of the store's.
        let is_busy = matches!(failure.kind, ErrorKind::Throttled | ErrorKind::Server);
        return matches!(failure.kind, ErrorKind::Connect | ErrorKind::Reset | ErrorKind::Timeout)
            || (is_busy && failure.unsent);
    }
    // What a condition decided stays decided, whatever its code.
    !failure.is_refusal()
        && transient(failure.status.unwrap_or(0), failure.code.as_deref()).is_some()
}

/// Whether the store may have acted although the attempt failed: it had the request, and did not say that it refused.
pub(crate) fn may_have_happened(failure: &Failure) -> bool {
    if was_refused(failure) {
        let row = transient(failure.status.unwrap_or(0), failure.code.as_deref());
        return row.is_some_and(|row| row.effect == Effect::Possible);
    }
    !failure.unsent
        && !matches!(
            failure.kind,
            ErrorKind::Connect
                | ErrorKind::Tls
                | ErrorKind::Exhausted
                | ErrorKind::Config
                | ErrorKind::InvalidInput
        )
}

/// Whether it is the store's own no: a status, or a code inside an answer of 200.
fn was_refused(failure: &Failure) -> bool {
    failure.code.is_some() || failure.status.is_some_and(|status| status >= 300)
}
