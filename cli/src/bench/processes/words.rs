// SPDX-License-Identifier: Apache-2.0
//! What is said between processes of a bench: JSON, a line each.

use super::super::phase::{Goal, Progress, Stage};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use storescope_emulator::Ready;
use storescope_instrument::Point;

/// Said to a process that is led.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// The first: the emulator of all.
    Meet(Box<Option<Ready>>),
    /// Begin this phase at that moment, in nanoseconds since 1970.
    Begin { phase: PhaseNumber, unix_ns: u64 },
    /// What has been seen of this phase is enough.
    Enough(PhaseNumber),
}

/// Said by a process that is led.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// All is prepared for this phase.
    Ready(PhaseNumber),
    /// How far it is.
    Told(Told),
}

/// The phases of a bench, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct PhaseNumber(u32);

impl PhaseNumber {
    /// `cell` from 1.
    pub(super) fn new(cell: usize, stage: Stage) -> PhaseNumber {
        PhaseNumber(cell as u32 * 2 + u32::from(stage == Stage::Measuring))
    }

    pub(super) fn number(self) -> u32 {
        self.0
    }

    pub(super) fn stage(self) -> Stage {
        if self.0.is_multiple_of(2) { Stage::WarmUp } else { Stage::Measuring }
    }

    pub(super) fn cell(self) -> usize {
        self.0 as usize / 2
    }
}

/// A progress, with those points of its series that were not told before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) phase: PhaseNumber,
    pub(super) cells: usize,
    pub(super) setup: String,
    pub(super) elapsed: Duration,
    pub(super) calls: u64,
    pub(super) count: Option<u64>,
    pub(super) duration: Option<Duration>,
    pub(super) failed: u64,
    pub(super) first_error: Option<String>,
    pub(super) in_flight: u32,
    pub(super) points: Vec<Point>,
}

impl Told {
    /// Points that begin before `since` have been told.
    pub(super) fn new(progress: &Progress, since: Duration) -> Told {
        let new = progress.series.points().iter().filter(|point| point.at >= since);
        Told {
            phase: PhaseNumber::new(progress.cell.0, progress.stage),
            cells: progress.cell.1,
            setup: progress.setup.clone(),
            elapsed: progress.elapsed,
            calls: progress.calls,
            count: progress.goal.count,
            duration: progress.goal.duration,
            failed: progress.failed,
            first_error: progress.first_error.as_ref().map(ToString::to_string),
            in_flight: progress.in_flight,
            points: new.cloned().collect(),
        }
    }

    pub(super) fn goal(&self) -> Goal {
        Goal { count: self.count, duration: self.duration }
    }
}
