// SPDX-License-Identifier: Apache-2.0
//! The retries a process may make: a share of its requests, and a hundred on top. When a store is down, a process that
//! retried every request eight times would keep it down.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Retries that are there from the start.
const FREE: u64 = 100;

#[derive(Debug)]
pub(crate) struct Budget {
    percent: u64,
    requests: AtomicU64,
    spent: AtomicU64,
}

impl Budget {
    pub(crate) fn new(percent: u32) -> Budget {
        Budget {
            percent: u64::from(percent),
            requests: AtomicU64::new(0),
            spent: AtomicU64::new(0),
        }
    }

    /// A request was made.
    pub(crate) fn earn(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Takes one retry, if there is one.
    pub(crate) fn spend(&self) -> bool {
        let allowed = FREE + self.requests.load(Relaxed) * self.percent / 100;
        self.spent
            .fetch_update(Relaxed, Relaxed, |spent| (spent < allowed).then_some(spent + 1))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_and_a_tenth_of_the_requests() {
        let budget = Budget::new(10);
        assert_eq!((0..200).filter(|_| budget.spend()).count(), 100);
        for _ in 0..50 {
            budget.earn();
        }
        assert_eq!((0..200).filter(|_| budget.spend()).count(), 5);
    }
}
