// SPDX-License-Identifier: Apache-2.0
//! Rates: how slow a body may be before it counts as stalled, and how fast all bodies of a client may be.

use crate::config::Config;
use crate::timing::{after, instant_at, now_ns};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// The least that counts as progress of a body: so many bytes within so long a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) within: Duration,
    /// At least 1.
    pub(crate) bytes: u64,
}

impl Pace {
    pub(crate) fn new(config: &Config) -> Pace {
        let within = config.stall_timeout;
        Pace { within, bytes: portion(config.stall_rate, within).max(1) }
    }
}

/// The bytes that a rate comes to.
fn portion(rate: u64, time: Duration) -> u64 {
    let bytes = u128::from(rate) * time.as_nanos() / 1_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What an idle limiter saves up: as much as timers and schedulers may be late, so that bodies reach the rate on average.
const SAVED: Duration = Duration::from_millis(50);

/// A limit of bytes a second that all bodies of one direction share.
#[derive(Debug)]
pub(crate) struct Limiter {
    rate: u64,
    /// When all bytes that were let in have passed.
    free: Mutex<u64>,
}

impl Limiter {
    /// None for a rate of 0.
    pub(crate) fn new(rate: u64) -> Option<Arc<Limiter>> {
        (rate > 0).then(|| Arc::new(Limiter { rate, free: Mutex::new(now_ns()) }))
    }

    /// Lets so many bytes in, behind those that came before; when they have passed.
    fn pass(&self, bytes: usize) -> u64 {
        let time = u128::from(bytes as u64) * 1_000_000_000 / u128::from(self.rate);
        let time = Duration::from_nanos(u64::try_from(time).unwrap_or(u64::MAX));
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = now_ns().saturating_sub(SAVED.as_nanos() as u64);
        *free = after((*free).max(saved), time);
        *free
    }
}

/// One body's place at a limiter: bytes that wait until they have passed.
#[derive(Debug)]
pub(crate) struct Throttle<T> {
    limiter: Arc<Limiter>,
    waiting: Option<(T, Pin<Box<Sleep>>)>,
}

impl<T> Throttle<T> {
    pub(crate) fn new(limiter: &Arc<Limiter>) -> Throttle<T> {
        Throttle { limiter: Arc::clone(limiter), waiting: None }
    }

    /// Whether something waits.
    pub(crate) fn holds(&self) -> bool {
        self.waiting.is_some()
    }

    /// Holds so many bytes until they have passed; when that is, a time of `now_ns`.
    pub(crate) fn hold(&mut self, data: T, bytes: usize) -> u64 {
        let due = self.limiter.pass(bytes);
        self.waiting = Some((data, Box::pin(tokio::time::sleep_until(instant_at(due)))));
        due
    }

    /// What was held, once it has passed. Pending for ever where nothing is held.
    pub(crate) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        let Some((_, sleep)) = &mut self.waiting else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        match self.waiting.take() {
            Some((data, _)) => Poll::Ready(data),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::Instant;

    #[test]
    fn a_pace_is_the_rate_for_the_time() {
        let pace = |rate: u64, ms| {
            let within = Duration::from_millis(ms);
            Pace::new(&Config::default().stall_rate(rate).stall_timeout(within)).bytes
        };
        assert_eq!((pace(256, 30_000), pace(1_000, 150)), (7_680, 150));
        assert_eq!((pace(0, 30_000), pace(1, 10)), (1, 1), "any byte is progress");
        assert!(Limiter::new(0).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_shared_passes_at_the_rate_and_little_is_saved_up() {
        let limiter = Limiter::new(1_000_000).unwrap();
        let pass = async |bytes: usize| {
            let mut throttle = Throttle::new(&limiter);
            throttle.hold((), bytes);
            poll_fn(|cx| throttle.poll_passed(cx)).await;
        };
        let began = Instant::now();
        futures_util::future::join_all((0..10).map(|_| pass(100_000))).await;
        assert_eq!(began.elapsed().as_millis(), 1_000, "ten share one limit");
        // A rest of an hour saves up fifty milliseconds.
        tokio::time::advance(Duration::from_hours(1)).await;
        let began = Instant::now();
        pass(100_000).await;
        pass(100_000).await;
        assert_eq!(began.elapsed().as_millis(), 150);
    }
}
