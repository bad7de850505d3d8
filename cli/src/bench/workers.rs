// SPDX-License-Identifier: Apache-2.0
//! The workers of a phase, and how they end.

use super::arrivals::Schedule;
use super::caller::Caller;
use super::feed::{Closed, Due};
use super::pacer::{GRACE, Paced, Pacer, Plan};
use super::phase::Goal;
use super::recorder::Recorder;
use super::task::{Source, Task};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};

/// How long calls under way are waited for at the end of an open loop.
const DRAIN: Duration = Duration::from_mins(1);

/// How often is looked whether calls still wait for a worker at the end.
const POLL: Duration = Duration::from_millis(5);

/// What records calls, and what makes them.
pub(super) type Calls = (Arc<Recorder>, Arc<Caller>);

/// An open loop to be run.
pub(super) struct Open {
    pub(super) begun: Instant,
    pub(super) goal: Goal,
    pub(super) source: Arc<dyn Source>,
    /// When calls are to begin that do not say so themselves.
    pub(super) schedule: Option<Schedule>,
    /// Calls under way at most.
    pub(super) most: u32,
}

/// How workers ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Calls that were to begin and never were, and when the first of them should have.
    pub(super) never: u64,
    pub(super) first_never: Option<Duration>,
    /// Calls that were still under way a minute after the end, and were dropped.
    pub(super) dropped: u32,
    /// Whether calls had to wait because as many were under way as may be.
    pub(super) was_full: bool,
}

/// Workers that make calls.
pub(super) struct Workers {
    kind: Kind,
    running: Arc<Running>,
}

enum Kind {
    Closed(Arc<Closed>),
    Open(Box<Opened>),
}

struct Opened {
    due: Arc<Due>,
    pacer: Pacer,
    /// Taken by the first who waits.
    paced: Mutex<Option<oneshot::Receiver<Paced>>>,
    begun: Instant,
    /// When calls that wait are given up.
    close: Option<Instant>,
}

#[derive(Default)]
struct Running {
    aborted: AtomicBool,
    handles: Mutex<Vec<JoinHandle<()>>>,
    aborts: Mutex<Vec<AbortHandle>>,
}

impl Running {
    fn add(&self, handle: JoinHandle<()>) {
        if self.aborted.load(Relaxed) {
            handle.abort();
        }
        self.aborts.lock().expect("no holder panics").push(handle.abort_handle());
        self.handles.lock().expect("no holder panics").push(handle);
    }

    fn abort(&self) {
        self.aborted.store(true, Relaxed);
        self.aborts.lock().expect("no holder panics").iter().for_each(AbortHandle::abort);
    }

    /// Waits for all that were added.
    async fn join(&self) {
        let handles = std::mem::take(&mut *self.handles.lock().expect("no holder panics"));
        for handle in handles {
            match handle.await {
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // Aborted by an interrupt, or at the end of its time.
                Ok(()) | Err(_) => {}
            }
        }
    }
}

impl Workers {
    /// So many workers, one call after another.
    pub(super) fn closed(
        count: u32,
        source: Arc<dyn Source>,
        (goal, begun): (Goal, Instant),
        (recorder, caller): Calls,
    ) -> Workers {
        let feed = Arc::new(Closed::new(source, goal, begun));
        let running = Arc::<Running>::default();
        for _ in 0..count {
            let (feed, recorder, caller) =
                (Arc::clone(&feed), Arc::clone(&recorder), Arc::clone(&caller));
            running.add(tokio::spawn(async move {
                while let Some(task) = feed.next() {
                    call(&recorder, &caller, None, task).await;
                }
            }));
        }
        Workers { kind: Kind::Closed(feed), running }
    }

    /// As many workers as calls are under way at a time.
    pub(super) fn open(open: Open, (recorder, caller): Calls) -> std::io::Result<Workers> {
        let (due, running) = (Arc::new(Due::new(open.most)), Arc::<Running>::default());
        let close = open.goal.duration.map(|window| open.begun + window + GRACE);
        let (begun, window) = (open.begun, open.goal.duration);
        let plan = Plan { begun, window, next: open.next() };
        let (runtime, feed, all) = (Handle::current(), Arc::clone(&due), Arc::clone(&running));
        let add = move || {
            let (feed, recorder, caller) =
                (Arc::clone(&feed), Arc::clone(&recorder), Arc::clone(&caller));
            all.add(runtime.spawn(async move {
                while let Some((intended, task)) = feed.next().await {
                    call(&recorder, &caller, Some(intended), task).await;
                    feed.made();
                }
            }));
        };
        let (pacer, paced) = Pacer::start(plan, Arc::clone(&due), add)?;
        let paced = Mutex::new(Some(paced));
        let opened = Opened { due, pacer, paced, begun, close };
        Ok(Workers { kind: Kind::Open(Box::new(opened)), running })
    }

    /// Begins no more calls.
    pub(super) fn end(&self) {
        match &self.kind {
            Kind::Closed(feed) => feed.end(),
            Kind::Open(opened) => opened.pacer.stop(),
        }
    }

    /// Drops the calls under way, too.
    pub(super) fn abort(&self) {
        self.end();
        if let Kind::Open(opened) = &self.kind {
            opened.due.give_up();
        }
        self.running.abort();
    }

    /// Waits until there are no more calls, and none is under way.
    pub(super) async fn finish(&self) -> Ended {
        let Kind::Open(opened) = &self.kind else {
            self.running.join().await;
            return Ended::default();
        };
        let mut ended = opened.close().await;
        if tokio::time::timeout(DRAIN, self.running.join()).await.is_err() {
            ended.dropped = opened.due.busy();
            self.running.abort();
        }
        ended
    }
}

impl Opened {
    /// Waits until all calls have been handed over, and gives up those that wait when the time is over.
    async fn close(&self) -> Ended {
        let Opened { due, begun, close, .. } = self;
        let paced = self.paced.lock().expect("no holder panics").take();
        let paced = match paced {
            Some(paced) => paced.await.unwrap_or_default(),
            None => Paced::default(),
        };
        let mut ended = Ended {
            never: paced.never,
            first_never: paced.first_never,
            was_full: due.was_full(),
            dropped: 0,
        };
        let is_over =
            || self.pacer.is_stopped() || close.is_some_and(|close| Instant::now() >= close);
        while due.waiting() > 0 && !is_over() {
            tokio::time::sleep(POLL).await;
        }
        // They were handed over before those that never were.
        let waiting = due.give_up();
        ended.never += waiting.len() as u64;
        let first = waiting.front().map(|(intended, _)| *intended - *begun);
        ended.first_never = first.or(ended.first_never);
        due.end();
        ended
    }
}

impl Open {
    /// The calls of this loop, each with its time, until count or duration are reached.
    fn next(self) -> impl FnMut() -> Option<(Duration, Task)> + Send + 'static {
        let Open { goal, source, mut schedule, .. } = self;
        let mut left = goal.count.unwrap_or(u64::MAX);
        move || {
            left = left.checked_sub(1)?;
            let is_within = |at: &Duration| goal.duration.is_none_or(|window| *at < window);
            let scheduled = match &mut schedule {
                Some(schedule) => Some(schedule.next().filter(is_within)?),
                None => None,
            };
            let task = source.next()?;
            let at = task.at.or(scheduled).unwrap_or_default();
            is_within(&at).then_some((at, task))
        }
    }
}

async fn call(recorder: &Recorder, caller: &Caller, intended: Option<Instant>, mut task: Task) {
    let _turn = match task.turn.take() {
        Some(turn) => Some(turn.come().await),
        None => None,
    };
    let payload = caller.payload(&task);
    recorder.call(task.op, intended, caller.call(&task, payload)).await;
}
