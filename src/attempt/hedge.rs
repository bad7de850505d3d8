// SPDX-License-Identifier: Apache-2.0
//! A second request for an answer that is late. The first to answer wins; the other is dropped and recorded as cancelled.
//! Its connection is closed with it, since there is no other way to leave an HTTP/1 exchange, unless its answer is small:
//! then the transport reads that to its end.

use super::Call;
use crate::backend::{Attempt, RequestFuture};
use crate::error::Failure;
use crate::timing::{AttemptTimer, Live, instant_at, now_ns};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;

/// What hedging is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hedging<'a> {
    /// What the store's answers were like.
    pub(crate) live: &'a Live,
    /// Whether there may be rivals.
    pub(crate) on: bool,
}

impl Call {
    /// Waits for an attempt, and sends a rival when its first byte is late and the budget of hedges has one.
    pub(super) async fn hedged<'a, T: 'a>(
        &mut self,
        hedging: &Hedging<'_>,
        first: RequestFuture<'a, T>,
        attempt: &mut impl FnMut(Attempt) -> RequestFuture<'a, T>,
    ) -> Result<T, Failure> {
        let Hedging { live, on } = *hedging;
        let begun = now_ns();
        self.policy.hedges.earn();
        if !on {
            return noted(live, begun, first.await);
        }
        let late = begun + live.late_first_byte();
        let timer = pin!(tokio::time::sleep_until(instant_at(late)));
        let first = match select(first, timer).await {
            Either::Left((answer, _)) => return noted(live, begun, answer),
            Either::Right(((), first)) => first,
        };
        if !self.policy.hedges.spend() {
            return noted(live, begun, first.await);
        }
        self.attempts += 1;
        self.policy.gauges.hedges.fetch_add(1, Relaxed);
        let rival_begun = now_ns();
        let mut timer = AttemptTimer::start_at(&self.recorders, self.operation, rival_begun);
        timer.hedges();
        timer.about(self.subject.as_deref());
        let rival = self.traced(Attempt { timer, fresh: false }, attempt);
        match select(first, rival).await {
            Either::Left((Ok(answer), _)) => noted(live, begun, Ok(answer)),
            Either::Right((Ok(answer), _)) => {
                // What the loser would have taken is not known; it is more than this.
                live.first_byte(now_ns() - begun);
                self.policy.gauges.hedges_won.fetch_add(1, Relaxed);
                noted(live, rival_begun, Ok(answer))
            }
            // One has failed: the other's answer is the answer.
            Either::Left((Err(_), rival)) => noted(live, rival_begun, rival.await),
            Either::Right((Err(_), first)) => noted(live, begun, first.await),
        }
    }
}

fn noted<T>(live: &Live, begun: u64, answer: Result<T, Failure>) -> Result<T, Failure> {
    if answer.is_ok() {
        live.first_byte(now_ns() - begun);
    }
    answer
}
