// SPDX-License-Identifier: Apache-2.0
//! Hands over an open loop's calls when their time comes, from a thread of its own: the runtime's timers are as coarse as a
//! millisecond.
//!
//! The thread sleeps until each call's time. Linux may delay a sleeper by its timer slack, 50 µs by default; with a slack of
//! 1 ns it wakes within some 10 µs, and nothing has to spin.

use super::feed::{Due, Handed};
use super::task::Task;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::Thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Calls that may wait at most, so that a rate that is out of reach does not fill the memory. The times of those beyond do
/// not change: they begin later.
const MOST_WAITING: usize = 500_000;

/// What is handed over.
pub(super) struct Plan<N> {
    /// When the phase begins.
    pub(super) begun: Instant,
    /// Where it ends: calls that were to begin before and were not handed over a moment after it never begin.
    pub(super) window: Option<Duration>,
    /// The next call, and when it is to begin, since the phase began.
    pub(super) next: N,
}

/// How much later than its window's end a call may be handed over.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// What became of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Paced {
    pub(super) handed: u64,
    /// When the last of them was to begin.
    pub(super) last: Duration,
    /// Calls whose time had come and that were not handed over, and the first's time.
    pub(super) never: u64,
    pub(super) first_never: Option<Duration>,
}

/// A pacer at work.
pub(super) struct Pacer {
    stopped: Arc<AtomicBool>,
    thread: Thread,
}

impl Pacer {
    /// Begins to hand over to `due`; `add` starts another worker. What became of the calls is sent at the end.
    pub(super) fn start<N>(
        plan: Plan<N>,
        due: Arc<Due>,
        add: impl Fn() + Send + 'static,
    ) -> std::io::Result<(Pacer, oneshot::Receiver<Paced>)>
    where
        N: FnMut() -> Option<(Duration, Task)> + Send + 'static,
    {
        let stopped = Arc::new(AtomicBool::new(false));
        let (tell, ended) = oneshot::channel();
        let stop = Arc::clone(&stopped);
        let handle = std::thread::Builder::new().name("pacer".to_owned()).spawn(move || {
            precise_sleep();
            // Nobody may wait for it any more.
            let _ = tell.send(pace(plan, &due, &stop, add));
        })?;
        Ok((Pacer { stopped, thread: handle.thread().clone() }, ended))
    }

    /// Whether somebody ended it before its time.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// Hands over no more.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.thread.unpark();
    }
}

/// Ends with its phase, however that ends.
impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn pace<N>(mut plan: Plan<N>, due: &Due, stopped: &AtomicBool, add: impl Fn()) -> Paced
where
    N: FnMut() -> Option<(Duration, Task)>,
{
    let mut paced = Paced::default();
    let close = plan.window.map(|window| plan.begun + window + GRACE);
    while let Some((at, task)) = (plan.next)() {
        let intended = plan.begun + at;
        let handed = sleep_until(intended, stopped) && room(due, close, stopped);
        if stopped.load(Relaxed) {
            break;
        }
        if !handed || close.is_some_and(|close| Instant::now() > close) {
            paced.never += 1;
            paced.first_never.get_or_insert(at);
            continue;
        }
        if due.push(intended, task) == Handed::NeedsAnother {
            add();
        }
        paced.handed += 1;
        paced.last = at;
    }
    paced
}

/// Whether the time came before the pacer was stopped.
fn sleep_until(when: Instant, stopped: &AtomicBool) -> bool {
    loop {
        if stopped.load(Relaxed) {
            return false;
        }
        let left = when.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::park_timeout(left);
    }
}

/// Waits until not too many calls wait. `false` where the window closed before.
fn room(due: &Due, close: Option<Instant>, stopped: &AtomicBool) -> bool {
    while due.waiting() >= MOST_WAITING {
        if stopped.load(Relaxed) || close.is_some_and(|close| Instant::now() > close) {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    true
}

#[cfg(target_os = "linux")]
fn precise_sleep() {
    // Without it the pacer is 50 µs later, which its own lateness tells.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

#[cfg(not(target_os = "linux"))]
fn precise_sleep() {}
