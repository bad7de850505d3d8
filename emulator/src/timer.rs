// SPDX-License-Identifier: Apache-2.0
//! A timer good to a tenth of a millisecond.
//!
//! tokio's own rounds up to the next millisecond, which is as much as a tenth of a warm store's
//! first byte. Here one thread sleeps on a condition variable until the earliest deadline and
//! wakes its task: what is left is the kernel's timer slack (50 µs) and the wake-up.
//!
//! A wait that is dropped leaves its entry in the heap until its deadline.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

/// A handle to the timer's thread; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Timer(Arc<Shared>);

/// Ends the thread when dropped; waits that are pending then never end.
#[derive(Debug)]
pub(crate) struct TimerThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A wait; it ends at its deadline. Poll it like any future.
pub(crate) type Wait = oneshot::Receiver<()>;

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    stopped: bool,
}

#[derive(Debug)]
struct Entry {
    deadline: Instant,
    sequence: u64,
    wake: oneshot::Sender<()>,
}

impl Timer {
    pub(crate) fn start() -> std::io::Result<(Timer, TimerThread)> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("emulator-timer".into())
            .spawn({
                let shared = shared.clone();
                move || shared.run()
            })
            .map(Some)?;
        Ok((Timer(shared.clone()), TimerThread { shared, thread }))
    }

    /// A wait until `deadline`, counted from now on whether it is polled or not.
    pub(crate) fn wait_until(&self, deadline: Instant) -> Wait {
        let (wake, wait) = oneshot::channel();
        let mut state = self.0.lock();
        state.sequence += 1;
        let sequence = state.sequence;
        let earliest = state.waiting.peek().is_none_or(|Reverse(next)| deadline < next.deadline);
        state.waiting.push(Reverse(Entry { deadline, sequence, wake }));
        drop(state);
        if earliest {
            self.0.changed.notify_one();
        }
        wait
    }

    /// Returns at `deadline`; at once, without the timer, if that is past.
    pub(crate) async fn sleep_until(&self, deadline: Instant) {
        if deadline > Instant::now() {
            // An error is the timer's end, and with it the emulator's.
            let _ = self.wait_until(deadline).await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.stopped {
            let Some(Reverse(next)) = state.waiting.peek() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = next.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if let Some(Reverse(due)) = state.waiting.pop() {
                    drop(state);
                    // Nobody waits any more if this fails.
                    let _ = due.wake.send(());
                    state = self.lock();
                }
            } else {
                let waited = self.changed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

impl Drop for TimerThread {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the timer's thread was told by its own hook.
            let _ = thread.join();
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.deadline, self.sequence).cmp(&(other.deadline, other.sequence))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn waits_end_in_the_order_of_their_deadlines_and_never_early() {
        let (timer, _thread) = Timer::start().unwrap();
        let start = Instant::now();
        let waits: Vec<_> = [30, 10, 20]
            .map(|ms| {
                let deadline = start + Duration::from_millis(ms);
                (deadline, timer.wait_until(deadline))
            })
            .into();
        for (deadline, wait) in waits {
            wait.blocking_recv().unwrap();
            assert!(Instant::now() >= deadline);
        }
    }

    #[test]
    fn the_median_wait_is_late_by_less_than_half_a_millisecond() {
        let (timer, _thread) = Timer::start().unwrap();
        let mut late: Vec<Duration> = (0..101)
            .map(|_| {
                let deadline = Instant::now() + Duration::from_micros(1300);
                timer.wait_until(deadline).blocking_recv().unwrap();
                deadline.elapsed()
            })
            .collect();
        late.sort();
        // 0.1 ms on an idle machine; the rest is room for a busy one. tokio's timer would be
        // 0.7 ms late here, always.
        assert!(late[50] < Duration::from_micros(500), "late by {:?}", late[50]);
    }

    #[test]
    fn stopping_ends_the_waits() {
        let (timer, thread) = Timer::start().unwrap();
        let wait = timer.wait_until(Instant::now() + Duration::from_hours(1));
        drop((thread, timer));
        assert!(wait.blocking_recv().is_err());
    }
}
