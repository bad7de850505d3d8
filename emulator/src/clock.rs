// SPDX-License-Identifier: Apache-2.0
//! The emulator's two clocks: monotonic Unix nanoseconds for the record, and the wall clock it
//! shows to clients, which may be shifted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One anchor for all times of one emulator: differences of its nanoseconds are monotonic.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    anchor: Instant,
    anchor_ns: u64,
    offset_seconds: Arc<AtomicI64>,
}

impl Clock {
    pub(crate) fn new(offset_seconds: i64) -> Clock {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock {
            anchor: Instant::now(),
            anchor_ns: since_epoch.as_nanos() as u64,
            offset_seconds: Arc::new(AtomicI64::new(offset_seconds)),
        }
    }

    /// Shifts the clock that clients see, in all clones.
    pub(crate) fn set_offset(&self, seconds: i64) {
        self.offset_seconds.store(seconds, Ordering::Relaxed);
    }

    /// Unix nanoseconds, not shifted, monotonic.
    pub(crate) fn now_ns(&self) -> u64 {
        self.anchor_ns + self.anchor.elapsed().as_nanos() as u64
    }

    /// The instant at which [`Clock::now_ns`] reads `ns`.
    pub(crate) fn instant(&self, ns: u64) -> Instant {
        self.anchor + Duration::from_nanos(ns.saturating_sub(self.anchor_ns))
    }

    /// The wall clock that clients see: `date`, `last-modified`, the skew check.
    pub(crate) fn wall(&self) -> SystemTime {
        let now = UNIX_EPOCH + Duration::from_nanos(self.now_ns());
        let seconds = self.offset_seconds.load(Ordering::Relaxed);
        let offset = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { now - offset } else { now + offset }
    }
}

/// RFC 3339 with milliseconds, as the service writes times in JSON.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    jiff::Timestamp::from_millisecond(millis)
        .map(|time| format!("{time:.3}"))
        .expect("a wall clock lies within jiff's range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_times_have_milliseconds() {
        let time = UNIX_EPOCH + Duration::from_millis(1_795_328_654_577);
        assert_eq!(rfc3339(time), "2026-11-22T06:24:14.577Z");
        assert_eq!(rfc3339(UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    }
}
