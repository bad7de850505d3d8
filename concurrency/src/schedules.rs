// SPDX-License-Identifier: Apache-2.0
//! How shuttle runs a model.

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Schedules of each kind.
const SCHEDULES: usize = 2_000;
/// Preemptions of a PCT schedule.
const DEPTH: usize = 3;
const SEED: u64 = 2026;

/// Runs a model under random schedules and under those of PCT, which finds what takes few preemptions at the right places.
pub(crate) fn check(model: fn()) {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    Runner::new(RandomScheduler::new_from_seed(SEED, SCHEDULES), config.clone()).run(model);
    Runner::new(PctScheduler::new_from_seed(SEED, DEPTH, SCHEDULES), config).run(model);
}
