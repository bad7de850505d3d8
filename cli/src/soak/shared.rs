// SPDX-License-Identifier: Apache-2.0
//! What all workers share: the stores, the objects that nobody writes, and what their operations came to.

use super::model::Body;
use crate::figures::size;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use storescope::{Client, Error, ErrorKind, Store, StoreOptions};

/// So many are told in full; all are counted.
const TOLD: usize = 100;

/// A bucket by one of the two APIs.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) name: &'static str,
    pub(super) store: Store,
    /// What the store was opened with.
    pub(super) options: StoreOptions,
    /// The parts of its writes.
    pub(super) part_size: u64,
}

/// An object that all read and nobody writes.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) side: usize,
    pub(super) key: String,
    pub(super) body: Body,
}

/// What all workers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) seed: u64,
    pub(super) sides: Vec<Side>,
    pub(super) common: Vec<Common>,
    pub(super) tally: Tally,
    /// A signal came: the round is the last.
    pub(super) stopped: AtomicBool,
}

/// Why an operation did not do what it should.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It failed in a way that the injected faults account for.
    GaveUp(Error),
    /// Wrong bytes, a wrong state, or an error that no fault accounts for.
    Wrong(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        use ErrorKind::{Integrity, Protocol, Reset, Server, Throttled, Timeout};
        match error.kind() {
            Integrity | Protocol | Reset | Server | Throttled | Timeout => Trouble::GaveUp(error),
            _ => Trouble::Wrong(format!("an unexpected error: {error}")),
        }
    }
}

/// What operations came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    operations: Mutex<BTreeMap<&'static str, u64>>,
    gave_up: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<Vec<String>>,
    wrongs: AtomicU64,
    /// Bytes that were read and compared.
    pub(super) read: AtomicU64,
    /// Bytes of writes that ended well.
    pub(super) written: AtomicU64,
    /// Names whose state was compared, by listings and reads, between rounds.
    pub(super) states: AtomicU64,
    /// Uploads that failed writes left behind.
    pub(super) left: AtomicU64,
}

/// The tally at one moment.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) operations: BTreeMap<&'static str, u64>,
    pub(super) gave_up: BTreeMap<String, u64>,
    pub(super) wrong: Vec<String>,
    pub(super) wrongs: u64,
    pub(super) read: u64,
    pub(super) written: u64,
    pub(super) states: u64,
    pub(super) left: u64,
}

impl Tally {
    /// An operation has ended.
    pub(super) fn ended(&self, operation: &'static str, about: &str, ended: Result<(), Trouble>) {
        *lock(&self.operations).entry(operation).or_default() += 1;
        match ended {
            Ok(()) => {}
            Err(Trouble::GaveUp(error)) => {
                *lock(&self.gave_up).entry(format!("{:?}", error.kind())).or_default() += 1;
                tracing::debug!(operation, about, %error, "gave up");
            }
            Err(Trouble::Wrong(why)) => self.wrong(format!("{operation} {about}: {why}")),
        }
    }

    /// Something that must not be.
    pub(super) fn wrong(&self, what: String) {
        self.wrongs.fetch_add(1, Relaxed);
        let mut wrong = lock(&self.wrong);
        if wrong.len() < TOLD {
            crate::progress::note(&format!("wrong: {what}"));
            wrong.push(what);
        }
    }

    /// Whether so much is wrong that nothing more is learned.
    pub(super) fn is_hopeless(&self) -> bool {
        self.wrongs.load(Relaxed) >= TOLD as u64
    }

    /// How far it is.
    pub(super) fn line(&self) -> String {
        let Counts { operations, gave_up, read, wrongs, .. } = self.counts();
        let (all, gave_up): (u64, u64) = (operations.values().sum(), gave_up.values().sum());
        format!(
            "{all} operations, {gave_up} gave up, {} checked, {wrongs} wrong",
            size(read as f64)
        )
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            operations: lock(&self.operations).clone(),
            gave_up: lock(&self.gave_up).clone(),
            wrong: lock(&self.wrong).clone(),
            wrongs: self.wrongs.load(Relaxed),
            read: self.read.load(Relaxed),
            written: self.written.load(Relaxed),
            states: self.states.load(Relaxed),
            left: self.left.load(Relaxed),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
