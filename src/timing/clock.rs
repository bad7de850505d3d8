// SPDX-License-Identifier: Apache-2.0
//! The one clock that everything is timed by.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

// A paused clock may have been read before the anchor is set: an hour keeps every reading after it.
static ANCHOR: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::now();
    now.checked_sub(Duration::from_hours(1)).unwrap_or(now)
});

/// Nanoseconds since some moment before this process first asked. Tokio's clock, so that tests in paused time see it
/// stand still; outside of such tests it is `std::time::Instant`.
pub(crate) fn now_ns() -> u64 {
    tokio::time::Instant::now().into_std().saturating_duration_since(*ANCHOR).as_nanos() as u64
}

/// So long after a time of `now_ns`; the end of time where that would be later.
pub(crate) fn after(time: u64, duration: Duration) -> u64 {
    time.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// The runtime's instant at a time of `now_ns`.
pub(crate) fn instant_at(time: u64) -> tokio::time::Instant {
    /// Some thirty years: tokio's own idea of never.
    const NEVER: u64 = 86_400 * 365 * 30 * 1_000_000_000;
    tokio::time::Instant::from_std(*ANCHOR + Duration::from_nanos(time.min(NEVER)))
}
