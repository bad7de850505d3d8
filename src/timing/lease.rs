// SPDX-License-Identifier: Apache-2.0
//! Which shard of the histograms this thread writes.

use super::histogram::{Leases, ShardIndex};
use super::sync::{AtomicUsize, Mutex};
use std::cell::Cell;

static LEASES: Leases = Leases { free: Mutex::new(Vec::new()), handed_out: AtomicUsize::new(0) };

const UNSET: usize = usize::MAX;

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(UNSET) };
    static LEASE: Lease = Lease(LEASES.take());
}

/// A thread's hold on a shard, given back when the thread ends.
struct Lease(ShardIndex);

impl ShardIndex {
    /// This thread's shard. A thread keeps its shard until it ends, then another may have it.
    #[inline]
    pub(super) fn of_this_thread() -> ShardIndex {
        match SHARD.get() {
            UNSET => {
                let shard = LEASE.try_with(|lease| lease.0).unwrap_or(ShardIndex::SHARED);
                SHARD.set(shard.0);
                shard
            }
            shard => ShardIndex(shard),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What the thread still records while it is torn down goes to the shared shard.
        SHARD.set(ShardIndex::SHARED.0);
        LEASES.give_back(self.0);
    }
}
