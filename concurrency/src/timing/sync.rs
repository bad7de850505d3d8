// SPDX-License-Identifier: Apache-2.0
//! loom's primitives in place of std's.

pub(super) use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, Ordering};
pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize};
pub(super) use std::sync::PoisonError;

/// `std::sync::OnceLock`, which loom lacks: a value that is published by a store with release, and seen by a load with acquire.
#[derive(Debug)]
pub(super) struct OnceLock<T> {
    is_there: AtomicBool,
    making: Mutex<()>,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(super) fn new() -> OnceLock<T> {
        OnceLock {
            is_there: AtomicBool::new(false),
            making: Mutex::new(()),
            value: std::sync::OnceLock::new(),
        }
    }

    pub(super) fn get(&self) -> Option<&T> {
        if self.is_there.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub(super) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if self.get().is_none() {
            let _making = self.making.lock().expect("no model panics here");
            self.value.get_or_init(|| {
                let made = make();
                self.is_there.store(true, Ordering::Release);
                made
            });
        }
        self.value.get().expect("it was made")
    }
}
