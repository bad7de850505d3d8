// SPDX-License-Identifier: Apache-2.0
//! Models of the sharded histograms, by loom: every order that the memory model allows, up to some preemptions.

use super::histogram::{Allowance, Histogram, Leases, ShardIndex, Unit};
use super::sync::{AtomicUsize, Mutex};
use loom::sync::Arc;
use loom::thread;

/// Explores a model.
fn check(preemptions: usize, model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 50_000;
    builder.check(model);
}

fn histogram() -> Arc<(Histogram, Allowance)> {
    Arc::new((Histogram::new(Unit::Nanoseconds, false), Allowance::new(usize::MAX >> 1)))
}

/// How many values there are, and their sum, least and greatest.
fn read(histogram: &Histogram) -> (u64, u64, u64, u64) {
    let mut counts = Vec::new();
    let (sum, min, max) = histogram.read_into(&mut counts);
    (counts.iter().sum(), sum, min, max)
}

/// Threads with shards of their own and threads that share one lose no value.
pub fn no_value_is_lost() {
    check(2, || {
        let shared = histogram();
        let shards = [ShardIndex(0), ShardIndex::SHARED, ShardIndex::SHARED];
        let threads = (1_000..).step_by(1_000).zip(shards).map(|(value, shard)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (histogram, allowance) = &*shared;
                histogram.record(value, shard, allowance);
                histogram.record(value, shard, allowance);
            })
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
        assert_eq!(read(&shared.0), (6, 12_000, 1_000, 3_000));
    });
}

/// A shard that a thread gives back goes on from what that thread has stored: its successor stores without additions.
pub fn a_shard_that_passes_on_keeps_its_counts() {
    check(3, || {
        let shared = histogram();
        let leases = Leases { free: Mutex::new(Vec::new()), handed_out: AtomicUsize::new(0) };
        let leases = Arc::new(leases);
        // The pages are made here: below, a record is plain loads and stores.
        let (first, second) = (leases.take(), leases.take());
        for shard in [first, second] {
            shared.0.record(1_000, shard, &shared.1);
            leases.give_back(shard);
        }
        let threads = [2_000, 3_000].map(|value| {
            let (shared, leases) = (Arc::clone(&shared), Arc::clone(&leases));
            thread::spawn(move || {
                let shard = leases.take();
                shared.0.record(value, shard, &shared.1);
                leases.give_back(shard);
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(read(&shared.0), (4, 7_000, 1_000, 3_000));
    });
}

/// Whoever reads while others record sees some of the values, and all of them in the end.
pub fn a_reader_sees_no_more_than_was_recorded() {
    check(1, || {
        let shared = histogram();
        let writer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.0.record(1_000, ShardIndex(0), &shared.1);
                shared.0.record(1_000, ShardIndex(0), &shared.1);
            })
        };
        let (count, sum, _, max) = read(&shared.0);
        assert!(count <= 2 && sum <= 2_000 && (max == 0 || max == 1_000));
        writer.join().unwrap();
        assert_eq!(read(&shared.0), (2, 2_000, 1_000, 1_000));
    });
}

/// Two threads that make one page at once take its memory once.
pub fn memory_is_taken_once() {
    check(3, || {
        let shared = histogram();
        let threads = [1_000, 1_001].map(|value| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.0.record(value, ShardIndex::SHARED, &shared.1))
        });
        for thread in threads {
            thread.join().unwrap();
        }
        let alone = histogram();
        alone.0.record(1_000, ShardIndex::SHARED, &alone.1);
        assert_eq!(shared.1.used(), alone.1.used());
        assert_eq!(shared.1.dropped(), 0);
    });
}
