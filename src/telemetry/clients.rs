// SPDX-License-Identifier: Apache-2.0
//! The clients of an endpoint, and what they add up to.

use crate::timing::{Metrics, Snapshot, Totals};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Those whose numbers an endpoint tells.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    last: u64,
    there: Vec<(u64, Metrics)>,
    /// Of clients that are gone.
    gone: Option<(Snapshot, Totals)>,
}

impl Clients {
    pub(super) fn add(&self, metrics: Metrics) -> u64 {
        let mut numbers = self.numbers();
        numbers.last += 1;
        let number = numbers.last;
        numbers.there.push((number, metrics));
        number
    }

    /// Forgets a client, and keeps what it recorded.
    pub(super) fn remove(&self, number: u64) {
        let mut numbers = self.numbers();
        let Some(at) = numbers.there.iter().position(|(known, _)| *known == number) else { return };
        let (_, metrics) = numbers.there.swap_remove(at);
        let (snapshot, totals) = (metrics.snapshot(), metrics.totals().counters());
        match &mut numbers.gone {
            Some((sum, sums)) => {
                sum.merge(&snapshot);
                sums.merge(&totals);
            }
            None => numbers.gone = Some((snapshot, totals)),
        }
    }

    /// All of them added up; nothing where there is none.
    pub(super) fn sums(&self) -> Option<(Snapshot, Totals)> {
        let (mut sum, there) = {
            let numbers = self.numbers();
            (numbers.gone.clone(), numbers.there.clone())
        };
        for (_, metrics) in there {
            let (snapshot, totals) = (metrics.snapshot(), metrics.totals());
            match &mut sum {
                Some((sum, sums)) => {
                    sum.merge(&snapshot);
                    sums.merge(&totals);
                }
                None => sum = Some((snapshot, totals)),
            }
        }
        sum
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
