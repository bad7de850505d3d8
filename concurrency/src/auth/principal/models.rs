// SPDX-License-Identifier: Apache-2.0
//! Models of identities that are renewed, by shuttle.

use super::renewing::{Fetched, Fetching, Renewing, Source};
use super::sync::{advance, start_clock};
use super::{Identity, Principal};
use crate::error::{ErrorKind, Failure};
use crate::schedules::check;
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Gives out numbers, each after a while, for an hour; the first so many fetches fail.
#[derive(Debug)]
struct Numbers {
    fetches: Arc<AtomicU64>,
    fails: u64,
}

impl Source for Numbers {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let number = self.fetches.fetch_add(1, Relaxed) + 1;
            yield_now().await;
            if number <= self.fails {
                return Err(Failure::new(ErrorKind::Connect).message("down"));
            }
            let identity = Arc::new(Identity(number));
            Ok(Fetched { identity, left: Some(60 * MINUTE), half: false, tenancy: None })
        })
    }

    fn advice(&self) -> String {
        String::new()
    }
}

fn principal(fails: u64) -> (Renewing, Arc<AtomicU64>) {
    start_clock();
    let fetches = Arc::new(AtomicU64::new(0));
    let source = Numbers { fetches: Arc::clone(&fetches), fails };
    (Renewing::new(Box::new(source)), fetches)
}

fn caller(principal: &Renewing) -> JoinHandle<Result<Arc<Identity>, Failure>> {
    let principal = principal.clone();
    spawn(async move { principal.identity().await })
}

/// Callers that need an identity at once share one fetch, also where one of them leaves.
pub fn callers_share_one_fetch() {
    check(|| {
        let (principal, fetches) = principal(0);
        let leaving = caller(&principal);
        let callers = [caller(&principal), caller(&principal), caller(&principal)];
        leaving.abort();
        for caller in callers {
            assert_eq!(*block_on(caller).unwrap().unwrap(), Identity(1));
        }
        drop(block_on(leaving));
        assert_eq!(fetches.load(Relaxed), 1);
    });
}

/// A fetch that fails fails for those who wait for it; the next caller begins another. Nobody waits for ever.
pub fn a_failed_fetch_is_followed_by_another() {
    check(|| {
        let (principal, fetches) = principal(1);
        let callers = [caller(&principal), caller(&principal), caller(&principal)];
        let results = callers.map(|caller| block_on(caller).unwrap());
        let failed = results.iter().filter(|result| result.is_err()).count();
        assert!(failed >= 1, "the first fetch fails");
        assert_eq!(*block_on(principal.identity()).unwrap(), Identity(2));
        assert_eq!(fetches.load(Relaxed), 2);
    });
}

/// When an identity is due, the keeper and the callers notice at once: one of them fetches, and no caller waits for it.
pub fn a_renewal_is_made_once_and_nobody_waits_for_it() {
    check(|| {
        let (principal, fetches) = principal(0);
        block_on(principal.identity()).unwrap();
        // Four minutes before its end: it is renewed five minutes ahead.
        advance(56 * MINUTE);
        let callers = [0, 1].map(|_| {
            let principal = principal.clone();
            thread::spawn(move || principal.current().expect("the identity is good"))
        });
        for caller in callers {
            assert!(caller.join().unwrap().0 <= 2);
        }
        // It is there when the old one ends.
        while *principal.current().expect("the identity is good") != Identity(2) {
            thread::yield_now();
        }
        assert_eq!(fetches.load(Relaxed), 2);
    });
}

/// Requests that are refused at once (401) lead to one new identity.
pub fn refusals_lead_to_one_fetch() {
    check(|| {
        let (principal, fetches) = principal(0);
        block_on(principal.identity()).unwrap();
        let callers = [0, 1].map(|_| {
            let principal = principal.clone();
            spawn(async move {
                // Not so where the other's refusal has led to a new one already.
                let _ = principal.refresh();
                principal.identity().await
            })
        });
        let identities = callers.map(|caller| block_on(caller).unwrap().unwrap());
        assert!(identities.iter().all(|identity| **identity == Identity(2)));
        assert_eq!(fetches.load(Relaxed), 2);
    });
}
