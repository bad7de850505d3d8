// SPDX-License-Identifier: Apache-2.0
//! Models of admission, by shuttle.

use super::{Admission, Evict, Idle, Permit, Ticket};
use crate::schedules::check;
use crate::timing::{Gauges, now_ns};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::sync::{Arc, Mutex, Weak};
use std::sync::atomic::Ordering::Relaxed;

const BUDGET: u64 = 100;

fn admission() -> (Arc<Admission>, Arc<Gauges>) {
    let gauges = Arc::new(Gauges::default());
    (Admission::new(BUDGET, 4, &gauges), gauges)
}

async fn admitted(admission: &Arc<Admission>, bytes: u64) -> Permit {
    match admission.demand(bytes) {
        Ticket::Now(permit) => permit,
        Ticket::Later(turn) => turn.admitted().await.expect("nobody ends the process"),
    }
}

/// A read that is admitted, sent and answered.
fn read(admission: &Arc<Admission>, gauges: &Arc<Gauges>, bytes: u64) -> JoinHandle<()> {
    let (admission, gauges) = (Arc::clone(admission), Arc::clone(gauges));
    spawn(async move {
        let mut permit = admitted(&admission, bytes).await;
        assert!(gauges.read_held.load(Relaxed) <= BUDGET, "the budget is a bound");
        yield_now().await;
        permit.end_request(true);
        yield_now().await;
    })
}

/// All is free again, and nobody is left in line: the whole budget is admitted at once.
fn assert_free(admission: &Arc<Admission>, gauges: &Gauges) {
    assert_eq!(gauges.read_held.load(Relaxed), 0);
    let permits: Vec<Ticket> = (0..4).map(|_| admission.demand(BUDGET / 4)).collect();
    assert!(permits.iter().all(|ticket| matches!(ticket, Ticket::Now(_))), "a permit got lost");
    drop(permits);
    assert!(admission.ahead(1).is_some(), "readahead is held back by somebody who has gone");
}

/// Demands of any size are admitted one after the other within the budget; nobody waits for ever.
pub fn demands_share_the_budget() {
    check(|| {
        let (admission, gauges) = admission();
        let reads: Vec<_> =
            [60, 50, 100, 10, 30].map(|bytes| read(&admission, &gauges, bytes)).into();
        for read in reads {
            block_on(read).unwrap();
        }
        assert_free(&admission, &gauges);
    });
}

/// A caller that leaves the line, even as it is admitted, holds nobody up and keeps nothing.
pub fn a_caller_that_leaves_keeps_nothing() {
    check(|| {
        let (admission, gauges) = admission();
        let first = read(&admission, &gauges, 100);
        let leaving = read(&admission, &gauges, 80);
        let after = read(&admission, &gauges, 90);
        leaving.abort();
        block_on(after).unwrap();
        block_on(first).unwrap();
        drop(block_on(leaving));
        assert_free(&admission, &gauges);
    });
}

/// Bytes that wait for a reader.
struct Kept(Mutex<Option<Permit>>);

impl Evict for Kept {
    fn evict(&self) {
        let permit = self.0.lock().unwrap().take();
        drop(permit);
    }

    fn evict_stale(&self, _: u64) {
        self.evict();
    }
}

/// Blocks that nobody needs make room for demands, while others come and go.
pub fn idle_blocks_make_room() {
    check(|| {
        let (admission, gauges) = admission();
        let keep = |idle: Idle| {
            let admission = Arc::clone(&admission);
            spawn(async move {
                let Some(mut permit) = admission.ahead(40) else { return None };
                permit.end_request(true);
                let kept: Arc<dyn Evict> = Arc::new(Kept(Mutex::new(Some(permit))));
                let weak: Weak<dyn Evict> = Arc::downgrade(&kept);
                admission.arrived(Weak::clone(&weak));
                admission.idle(weak, idle);
                Some(kept)
            })
        };
        let kept = [keep(Idle::Read), keep(Idle::Unread)];
        let reads = [read(&admission, &gauges, 90), read(&admission, &gauges, 70)];
        let kept = kept.map(|kept| block_on(kept).unwrap());
        for read in reads {
            block_on(read).unwrap();
        }
        drop(kept);
        assert_free(&admission, &gauges);
    });
}

/// Readahead keeps within its share and goes back to nothing, whatever is throttled meanwhile.
pub fn readahead_gives_all_back() {
    check(|| {
        let (admission, gauges) = admission();
        let ahead: Vec<_> = [50, 40, 30]
            .into_iter()
            .map(|bytes| {
                let (admission, gauges) = (Arc::clone(&admission), Arc::clone(&gauges));
                spawn(async move {
                    if let Some(mut permit) = admission.ahead(bytes) {
                        assert!(gauges.read_held.load(Relaxed) <= BUDGET);
                        yield_now().await;
                        permit.end_request(bytes != 40);
                    }
                    admission.throttled(now_ns());
                })
            })
            .collect();
        let demand = read(&admission, &gauges, 60);
        for task in ahead {
            block_on(task).unwrap();
        }
        block_on(demand).unwrap();
        assert_free(&admission, &gauges);
    });
}
