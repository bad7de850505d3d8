// SPDX-License-Identifier: Apache-2.0
//! The requests a process may make beyond those it was asked for. Retries: a share of its requests, and a hundred on top;
//! when a store is down, a process that retried every request eight times would keep it down. Hedges: a share alone.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Retries that are there from the start.
pub(crate) const FREE_RETRIES: u64 = 100;

#[derive(Debug)]
pub(crate) struct Budget {
    percent: u64,
    free: u64,
    requests: AtomicU64,
    spent: AtomicU64,
}

impl Budget {
    /// So many percent of the requests, and so many from the start.
    pub(crate) fn new(percent: u32, free: u64) -> Budget {
        Budget {
            percent: u64::from(percent),
            free,
            requests: AtomicU64::new(0),
            spent: AtomicU64::new(0),
        }
    }

    /// A request was made.
    pub(crate) fn earn(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Takes one, if there is one.
    pub(crate) fn spend(&self) -> bool {
        let allowed = self.free + self.requests.load(Relaxed) * self.percent / 100;
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
        let budget = Budget::new(10, FREE_RETRIES);
        assert_eq!((0..200).filter(|_| budget.spend()).count(), 100);
        for _ in 0..50 {
            budget.earn();
        }
        assert_eq!((0..200).filter(|_| budget.spend()).count(), 5);
    }
}
