// SPDX-License-Identifier: Apache-2.0
//! What a child made by fork must neither use nor drop: threads that are not there may hold its locks.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// How many forks this process is away from the first.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Called in a child made by fork.
pub(crate) fn forked() {
    GENERATION.fetch_add(1, SeqCst);
}

/// A value of the process that made it: a forked child neither uses nor drops it.
pub(crate) struct ProcessOwned<T> {
    born: u32,
    value: Option<T>,
}

impl<T> ProcessOwned<T> {
    pub(crate) fn new(value: T) -> ProcessOwned<T> {
        ProcessOwned { born: GENERATION.load(SeqCst), value: Some(value) }
    }

    /// `None` in a child of the process that made it.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.is_ours())
    }

    pub(crate) fn take(mut self) -> Option<T> {
        if self.is_ours() { self.value.take() } else { None }
    }

    fn is_ours(&self) -> bool {
        self.born == GENERATION.load(SeqCst)
    }
}

impl<T> Drop for ProcessOwned<T> {
    fn drop(&mut self) {
        if !self.is_ours() {
            std::mem::forget(self.value.take());
        }
    }
}
