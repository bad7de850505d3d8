// SPDX-License-Identifier: Apache-2.0
use super::{Forwarder, MAX_WAITING, Record, RecordQueue, want_debug};
use crate::lock::locked;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tracing::subscriber::with_default;
use tracing::{Level, debug, error, info, warn};

#[derive(Clone, Default)]
struct Queue {
    records: Arc<Mutex<Vec<Record>>>,
    closed: Arc<AtomicBool>,
}

impl RecordQueue for Queue {
    fn is_ready(&self) -> bool {
        !self.closed.load(SeqCst)
    }

    fn queue(&self, record: Record) {
        locked(&self.records).push(record);
    }
}

impl Queue {
    fn take(&self) -> Vec<(Level, String)> {
        let records = std::mem::take(&mut *locked(&self.records));
        records.into_iter().map(|record| (record.level(), record.into_text())).collect()
    }
}

fn logged(queue: &Queue, log: impl FnOnce()) -> Vec<(Level, String)> {
    with_default(Forwarder::new(queue.clone()), log);
    queue.take()
}

#[test]
fn a_record_is_its_message_then_its_fields() {
    let records = logged(&Queue::default(), || {
        warn!(target: "storescope::attempt", attempts = 3, object = "oci://b/k", "gave up");
        error!(target: "storescope", "alone");
        info!(target: "storescope", status = 503);
    });
    let expected = [
        (Level::WARN, "gave up: attempts=3 object=oci://b/k".to_owned()),
        (Level::ERROR, "alone".to_owned()),
        (Level::INFO, "status=503".to_owned()),
    ];
    assert_eq!(records, expected);
}

#[test]
fn records_of_other_crates_are_left_out() {
    let records = logged(&Queue::default(), || {
        warn!(target: "hyper", "not ours");
        warn!(target: "storescope", "ours");
    });
    assert_eq!(records, [(Level::WARN, "ours".to_owned())]);
}

/// The one test that changes what is wanted: tests run at once.
#[test]
fn debug_records_come_where_they_are_wanted() {
    let queue = Queue::default();
    let records = logged(&queue, || {
        let retry = || debug!(target: "storescope", "retry");
        retry();
        want_debug(true);
        retry();
        assert!(!tracing::enabled!(target: "storescope", Level::WARN), "no spans");
        want_debug(false);
        retry();
    });
    assert_eq!(records, [(Level::DEBUG, "retry".to_owned())]);
}

#[test]
fn records_beyond_the_bound_are_counted_and_told_by_the_next_that_is_handed_over() {
    let queue = Queue::default();
    with_default(Forwarder::new(queue.clone()), || {
        let log = || warn!(target: "storescope", "full");
        for _ in 0..MAX_WAITING + 3 {
            log();
        }
        let waiting = queue.take();
        assert_eq!(waiting.len(), MAX_WAITING);
        assert_eq!(waiting[0].1, "full (3 records before it were lost)");
        assert!(waiting[1..].iter().all(|(_, text)| text == "full"));
        log();
        assert_eq!(queue.take(), [(Level::WARN, "full".to_owned())], "told once");
    });
}

#[test]
fn a_sink_that_is_not_ready_loses_nothing_it_would_tell() {
    let queue = Queue::default();
    with_default(Forwarder::new(queue.clone()), || {
        queue.closed.store(true, SeqCst);
        for _ in 0..2 * MAX_WAITING {
            warn!(target: "storescope", "dropped");
        }
        queue.closed.store(false, SeqCst);
        warn!(target: "storescope", "kept");
    });
    assert_eq!(queue.take(), [(Level::WARN, "kept".to_owned())]);
}
