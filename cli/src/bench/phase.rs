// SPDX-License-Identifier: Apache-2.0
//! How a phase is seen from outside while it runs, and what may end it.

use super::recorder::Failed;
use std::time::Duration;
use storescope_instrument::Series;

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    WarmUp,
    Measuring,
}

impl Stage {
    pub(super) fn word(self) -> &'static str {
        match self {
            Stage::WarmUp => "warm-up",
            Stage::Measuring => "measuring",
        }
    }
}

/// When a phase ends: at the first of what is set. Where nothing is, a [`Stop`] says when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Goal {
    /// Calls to be begun.
    pub(super) count: Option<u64>,
    pub(super) duration: Option<Duration>,
}

/// How far a phase is. Told each second.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// Which cell, from 1, and of how many.
    pub(super) cell: (usize, usize),
    /// What it was set up to do, in words.
    pub(super) setup: String,
    pub(super) stage: Stage,
    pub(super) elapsed: Duration,
    /// Calls that ended, failed ones included.
    pub(super) calls: u64,
    pub(super) goal: Goal,
    /// Of this phase.
    pub(super) series: Series,
    /// Calls that failed for good.
    pub(super) failed: u64,
    pub(super) in_flight: u32,
    pub(super) first_error: Option<Failed>,
}

/// A rule that ends a phase before its goal, or in place of one. Asked after each point.
pub(super) trait Stop: Send {
    /// Whether what has been seen is enough.
    fn enough(&mut self, series: &Series) -> bool;
}
