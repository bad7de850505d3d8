// SPDX-License-Identifier: Apache-2.0
//! When phases begin and end: together with other processes, after a warm-up by a rule, until enough is known.

use super::phase::{Goal, Stage, Stop};
use super::processes::{Worker, wait};
use super::rules::{MOST_WARMUP, Precise, Warmup};
use super::sweep::{Sweep, VICTIMS};
use crate::exit::{Ended, Exit};
use std::time::Duration;
use storescope_instrument::{Arrivals, Setup};

/// Calls of a warm-up, a worker.
const WARMUP: u64 = 8;

impl Sweep<'_> {
    /// Which process this is, of those that measure together.
    pub(super) fn worker(&self) -> Worker {
        self.bench.processes.worker()
    }

    /// This process's share of a cell.
    pub(super) fn share_of(&self, setup: Setup) -> Setup {
        let worker = self.worker();
        Setup {
            concurrency: worker.share(u64::from(setup.concurrency)).max(1) as u32,
            rate: setup.rate.map(|rate| worker.rate(rate)),
            ..setup
        }
    }

    /// When what is measured ends, if no rule ends it before.
    pub(super) fn goal(&self) -> Goal {
        let count = self.bench.count.map(|count| self.worker().share(count));
        let timed = count.is_none() && (self.trace.is_none() || self.bench.duration.is_some());
        Goal { count, duration: timed.then(|| self.bench.duration()) }
    }

    /// What ends the warm-up. A trace has none: its first call is measured.
    pub(super) fn warmup(&self, setup: &Setup) -> Warmup {
        let own = match setup.rate {
            _ if self.trace.is_some() => 0,
            Some(rate) => WARMUP.max(rate.ceil() as u64),
            None => u64::from(setup.concurrency) * WARMUP,
        };
        match self.bench.warmup {
            None => Warmup::Count(own),
            Some(Warmup::Count(count)) => Warmup::Count(self.worker().share(count)),
            Some(other) => other,
        }
    }

    /// Calls of a warm-up, as far as they are known beforehand.
    pub(super) fn calls_of(warmup: Warmup, setup: &Setup) -> u64 {
        let within = |duration: Duration| {
            setup
                .rate
                .map_or(VICTIMS, |rate| (rate * duration.as_secs_f64() * 1.1).ceil() as u64 + 10)
        };
        match warmup {
            Warmup::Count(count) => count,
            Warmup::Time(duration) => within(duration),
            Warmup::Stable => within(MOST_WARMUP),
        }
    }

    /// The rule that may end a phase. Where this process is led, the one that leads applies it to all.
    pub(super) fn stop(&self, cell: usize, stage: Stage, setup: &Setup) -> Option<Box<dyn Stop>> {
        match (&self.led, stage) {
            (Some(led), _) => Some(led.stop(cell, stage)),
            (None, Stage::WarmUp) => self.warmup(setup).stop(),
            (None, Stage::Measuring) => {
                let until = self.bench.until.clone();
                until.map(|until| Box::new(Precise::new(until)) as Box<dyn Stop>)
            }
        }
    }

    /// Waits until this phase begins in all processes.
    pub(super) async fn begin(&mut self, cell: usize, stage: Stage, setup: &Setup) -> Ended {
        let (mut led, start_at, show) = (self.led.take(), self.start_at.take(), self.show);
        let begun = self
            .unless_interrupted(async {
                match (&mut led, start_at) {
                    (Some(led), _) => led.begin(cell, stage).await,
                    (None, Some(at)) => wait(show, at).await,
                    (None, None) => Ok(()),
                }
            })
            .await;
        self.led = led;
        begun?;
        let worker = self.worker();
        if let (Some(rate), Some(Arrivals::Constant), Stage::Measuring) =
            (setup.rate, setup.arrivals, stage)
        {
            let later = worker.offset(rate * f64::from(worker.of()));
            self.unless_interrupted(async {
                tokio::time::sleep(later).await;
                Ok::<(), Exit>(())
            })
            .await?;
        }
        Ok(())
    }
}
