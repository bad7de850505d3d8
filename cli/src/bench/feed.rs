// SPDX-License-Identifier: Apache-2.0
//! What workers take their calls from: in a closed loop as soon as they are done with the one before, in an open loop when
//! the time of a call has come.

use super::phase::Goal;
use super::task::{Source, Task};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use tokio::sync::Notify;

/// A closed loop's calls: no times, as many as the goal says.
pub(super) struct Closed {
    source: Arc<dyn Source>,
    goal: Goal,
    begun: Instant,
    taken: AtomicU64,
    ended: AtomicBool,
}

impl Closed {
    pub(super) fn new(source: Arc<dyn Source>, goal: Goal, begun: Instant) -> Closed {
        Closed { source, goal, begun, taken: AtomicU64::new(0), ended: AtomicBool::new(false) }
    }

    /// No more calls.
    pub(super) fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    pub(super) fn next(&self) -> Option<Task> {
        let over = self.ended.load(Relaxed)
            || self.goal.duration.is_some_and(|duration| self.begun.elapsed() >= duration)
            || self.goal.count.is_some_and(|count| self.taken.fetch_add(1, Relaxed) >= count);
        if over { None } else { self.source.next() }
    }
}

/// An open loop's calls whose time has come, the longest due first. Workers wait for them; where none waits, one is added,
/// up to a limit.
pub(super) struct Due {
    /// Workers at most.
    most: u32,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Instant, Task)>,
    /// Workers that wait, or are about to ask.
    idle: usize,
    workers: u32,
    /// Whether a call had to wait because all workers that may be were busy.
    was_full: bool,
    ended: bool,
}

/// What a worker finds.
enum Take {
    Call(Instant, Task),
    Wait,
    End,
}

/// Whether a call that was handed over needs another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handed {
    ToAWorker,
    NeedsAnother,
}

impl Due {
    pub(super) fn new(most: u32) -> Due {
        Due { most, state: Mutex::default(), wake: Notify::new() }
    }

    /// Hands over a call. A worker that it says is needed counts as one from now on.
    pub(super) fn push(&self, intended: Instant, task: Task) -> Handed {
        let mut state = self.state();
        state.waiting.push_back((intended, task));
        if state.waiting.len() <= state.idle {
            drop(state);
            self.wake.notify_last();
            return Handed::ToAWorker;
        }
        if state.workers == self.most {
            state.was_full = true;
            return Handed::ToAWorker;
        }
        state.workers += 1;
        state.idle += 1;
        Handed::NeedsAnother
    }

    /// The next call; `None` at the end. Each worker says so when it has made it: [`Due::made`].
    pub(super) async fn next(&self) -> Option<(Instant, Task)> {
        loop {
            // Before the look: what is pushed after it wakes this one.
            let woken = self.wake.notified();
            match self.take() {
                Take::Call(intended, task) => return Some((intended, task)),
                Take::End => return None,
                Take::Wait => woken.await,
            }
        }
    }

    /// A worker has made its call, and waits for another.
    pub(super) fn made(&self) {
        self.state().idle += 1;
    }

    /// No more calls are handed over; those that wait are still made.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.wake.notify_waiters();
    }

    /// Calls that wait. They are not made any more.
    pub(super) fn give_up(&self) -> VecDeque<(Instant, Task)> {
        std::mem::take(&mut self.state().waiting)
    }

    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Calls under way.
    pub(super) fn busy(&self) -> u32 {
        let state = self.state();
        state.workers - state.idle as u32
    }

    /// Whether a call had to wait because as many were under way as may be.
    pub(super) fn was_full(&self) -> bool {
        self.state().was_full
    }

    fn take(&self) -> Take {
        let mut state = self.state();
        if let Some((intended, task)) = state.waiting.pop_front() {
            state.idle -= 1;
            if !state.waiting.is_empty() && state.idle > 0 {
                // Two that came at once may have woken one alone.
                self.wake.notify_last();
            }
            return Take::Call(intended, task);
        }
        if state.ended { Take::End } else { Take::Wait }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::Op;
    use super::*;
    use std::time::Duration;

    fn task() -> Task {
        Task {
            at: None,
            op: Op::Get,
            key: "x".into(),
            range: None,
            size: 1,
            to: None,
            by_reader: false,
            turn: None,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn every_call_is_made_once_by_few_workers() {
        const CALLS: u64 = 50_000;
        let due = Arc::new(Due::new(8));
        let made = Arc::new(AtomicU64::new(0));
        let mut workers = Vec::new();
        for number in 0..CALLS {
            if due.push(Instant::now(), task()) == Handed::NeedsAnother {
                let (due, made) = (Arc::clone(&due), Arc::clone(&made));
                workers.push(tokio::spawn(async move {
                    while due.next().await.is_some() {
                        made.fetch_add(1, Relaxed);
                        due.made();
                    }
                }));
            }
            if number % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
        due.end();
        assert!(workers.len() <= 8, "{}", workers.len());
        let all = futures_util::future::join_all(workers);
        tokio::time::timeout(Duration::from_mins(1), all).await.expect("nobody sleeps for ever");
        assert_eq!(made.load(Relaxed), CALLS);
    }

    #[test]
    fn calls_wait_where_all_workers_are_busy_and_that_is_told() {
        let due = Due::new(1);
        assert_eq!(due.push(Instant::now(), task()), Handed::NeedsAnother);
        assert!(!due.was_full());
        assert_eq!(due.push(Instant::now(), task()), Handed::ToAWorker);
        assert!(due.was_full());
        assert_eq!(due.give_up().len(), 2);
    }

    #[test]
    fn a_closed_loop_ends_by_count_by_time_and_when_told() {
        struct Endless;
        impl Source for Endless {
            fn next(&self) -> Option<Task> {
                Some(task())
            }
        }
        let closed = |goal| Closed::new(Arc::new(Endless), goal, Instant::now());
        let counted = closed(Goal { count: Some(3), duration: None });
        assert_eq!(std::iter::from_fn(|| counted.next()).count(), 3);
        let timed = closed(Goal { count: None, duration: Some(Duration::ZERO) });
        assert_eq!(timed.next(), None);
        let open_ended = closed(Goal::default());
        assert!(open_ended.next().is_some());
        open_ended.end();
        assert_eq!(open_ended.next(), None);
    }
}
