// SPDX-License-Identifier: Apache-2.0
//! A worker of a bench: one read or write after another, until the tickets are gone.

use super::plan::{Op, Work};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use storescope::Store;
use storescope::timing::{AttemptEvent, Phase, Scope};

/// How long is measured.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    Count(u64),
    Duration(Duration),
}

/// Reads still to be made.
#[derive(Debug)]
pub(super) struct Tickets {
    taken: AtomicU64,
    limit: Limit,
    begun: Instant,
}

impl Tickets {
    pub(super) fn new(limit: Limit) -> Tickets {
        Tickets { taken: AtomicU64::new(0), limit, begun: Instant::now() }
    }

    fn take(&self) -> bool {
        let taken = self.taken.fetch_add(1, Relaxed);
        match self.limit {
            Limit::Count(count) => taken < count,
            Limit::Duration(duration) => self.begun.elapsed() < duration,
        }
    }

    pub(super) fn told(&self, what: &str, op: Op) -> String {
        let (taken, word) = (self.taken.load(Relaxed), op.word());
        match self.limit {
            Limit::Count(count) => format!("{what}: {} of {count} {word}s", taken.min(count)),
            Limit::Duration(duration) => format!(
                "{what}: {taken} {word}s, {:.0} of {:.0} s",
                self.begun.elapsed().as_secs_f64(),
                duration.as_secs_f64()
            ),
        }
    }
}

/// What a worker came to.
#[derive(Debug, Default)]
pub(super) struct Worked {
    pub(super) failed: u64,
    pub(super) first_error: Option<storescope::Error>,
    /// Bytes that were read or written.
    pub(super) bytes: u64,
    /// What each read or write took, in seconds.
    pub(super) times: Vec<f64>,
    /// Of each read or write of one attempt: the part of the caller's wall time that its phases account for.
    pub(super) attributed: Vec<f32>,
}

/// Reads, or writes, as long as there are tickets.
pub(super) async fn worker(
    store: Store,
    mut work: Work,
    tickets: Arc<Tickets>,
    scope: Scope,
) -> Worked {
    let phases = Arc::new(Phases::default());
    let seen = Arc::clone(&phases);
    scope.observe(move |event| seen.note(event));
    let store = store.with_scope(&scope);
    let mut worked = Worked::default();
    while tickets.take() {
        phases.begin();
        let begun = Instant::now();
        match work.step(&store).await {
            Ok(bytes) => {
                let elapsed = begun.elapsed();
                worked.bytes += bytes;
                worked.times.push(elapsed.as_secs_f64());
                worked.attributed.extend(phases.share_of(elapsed));
            }
            Err(error) => {
                worked.failed += 1;
                worked.first_error.get_or_insert(error);
            }
        }
    }
    worked
}

/// What the attempts of one worker's read or write under way have measured.
#[derive(Debug, Default)]
struct Phases {
    attempts: AtomicU64,
    attributed: AtomicU64,
}

impl Phases {
    fn begin(&self) {
        self.attempts.store(0, Relaxed);
        self.attributed.store(0, Relaxed);
    }

    fn note(&self, event: &AttemptEvent<'_>) {
        let sum: u64 = Phase::PARTS.iter().filter_map(|phase| event.phase_ns(*phase)).sum();
        self.attempts.fetch_add(1, Relaxed);
        self.attributed.fetch_add(sum, Relaxed);
    }

    fn share_of(&self, wall: Duration) -> Option<f32> {
        let one = self.attempts.load(Relaxed) == 1;
        one.then(|| (self.attributed.load(Relaxed) as f64 / wall.as_nanos() as f64) as f32)
    }
}
