// SPDX-License-Identifier: Apache-2.0
//! The histograms, and what other sources import from `timing`.

#[path = "../../../src/timing/histogram.rs"]
mod histogram;
pub mod models;
mod sync;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the library counts while it runs.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) read_held: AtomicU64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Recorders;

/// What a store's answers were like lately.
#[derive(Debug)]
pub(crate) struct Live;

impl Live {
    pub(crate) fn median_first_byte(&self) -> u64 {
        1_000_000
    }

    pub(crate) fn bytes_per_second(&self) -> u64 {
        1_000_000
    }
}

/// A clock that every reading moves.
pub(crate) fn now_ns() -> u64 {
    static NOW: AtomicU64 = AtomicU64::new(0);
    NOW.fetch_add(1_000, Relaxed)
}
