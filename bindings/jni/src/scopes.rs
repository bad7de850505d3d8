// SPDX-License-Identifier: Apache-2.0
//! What is recorded under one name, over all stores of the process: a stage of Spark, or what no task asked for.
//!
//! ```text
//!  OpenStore ─▶ within ─▶ OpenStore of the scope ─▶ its readers, writers, calls      each store has a part
//!  calls of other clients ─▶ record_call                                             and so have they all together
//!                                                       take: what is new in all parts
//! ```

use crate::store::OpenStore;
use std::mem;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use storescope::timing::{Operation, Outcome, Scope, Snapshot};
use storescope_bindings::lock::locked;

/// By the order of Java's `ForeignCall.Operation`.
const OPERATIONS: [Operation; 9] = [
    Operation::Get,
    Operation::Head,
    Operation::Put,
    Operation::List,
    Operation::Delete,
    Operation::Rename,
    Operation::Copy,
    Operation::Upload,
    Operation::DeleteMany,
];

/// By the order of Java's `ForeignCall.Outcome`.
const OUTCOMES: [Outcome; 11] = [
    Outcome::Ok,
    Outcome::NotFound,
    Outcome::Precondition,
    Outcome::Auth,
    Outcome::Throttled,
    Outcome::Client,
    Outcome::Server,
    Outcome::Connect,
    Outcome::Timeout,
    Outcome::Reset,
    Outcome::Cancelled,
];

/// A call of another client, as Java tells it.
pub(crate) struct ForeignCall {
    operation: Operation,
    outcome: Outcome,
    took: Duration,
    bytes: Option<u64>,
}

impl ForeignCall {
    /// `None` where Java's numbers mean nothing. Bytes below zero are none.
    pub(crate) fn new(operation: i32, outcome: i32, nanos: i64, bytes: i64) -> Option<ForeignCall> {
        Some(ForeignCall {
            operation: *OPERATIONS.get(usize::try_from(operation).ok()?)?,
            outcome: *OUTCOMES.get(usize::try_from(outcome).ok()?)?,
            took: Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)),
            bytes: u64::try_from(bytes).ok(),
        })
    }
}

/// A name, and what has been recorded under it.
pub(crate) struct OpenScope {
    name: String,
    parts: Mutex<Vec<Part>>,
    /// Of calls that other clients made, once there was one.
    foreign: OnceLock<Scope>,
}

/// What one store has recorded under the name, or all clients that are not ours.
struct Part {
    scope: Scope,
    taken: Snapshot,
    /// The scope's activity when it was taken: one of which nothing is new is not copied again.
    activity: u64,
}

impl OpenScope {
    pub(crate) fn new(name: String) -> OpenScope {
        OpenScope { name, parts: Mutex::default(), foreign: OnceLock::new() }
    }

    /// The same bucket; what is asked of it by this is recorded under the name, too.
    pub(crate) fn within(&self, open: &OpenStore) -> OpenStore {
        let scope = open.scope.child(&self.name);
        self.add(scope.clone());
        open.recording_in(scope)
    }

    /// Records a call that another client made.
    pub(crate) fn record_call(&self, call: &ForeignCall) {
        let scope = self.foreign.get_or_init(|| {
            let scope = Scope::new(&self.name);
            self.add(scope.clone());
            scope
        });
        scope.record_call(call.operation, call.outcome, call.took, call.bytes);
    }

    fn add(&self, scope: Scope) {
        let (activity, taken) = (scope.activity(), scope.snapshot());
        locked(&self.parts).push(Part { scope, taken, activity });
    }

    /// What was recorded since the last call. It is taken: the next call has only what comes after.
    pub(crate) fn take(&self) -> Snapshot {
        let mut sum = Snapshot::default();
        locked(&self.parts).retain_mut(|part| {
            // Asked first: what nothing else holds records nothing more.
            let in_use = part.scope.is_shared();
            let activity = part.scope.activity();
            if activity == mem::replace(&mut part.activity, activity) {
                return in_use;
            }
            let before = mem::replace(&mut part.taken, part.scope.snapshot());
            sum.merge(&part.taken.since(&before));
            in_use
        });
        sum
    }
}
