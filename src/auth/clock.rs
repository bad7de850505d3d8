// SPDX-License-Identifier: Apache-2.0
//! The clock that signatures are dated by: ours, corrected by the `Date` of a server that refused a signature.

use super::retry::AuthRetry;
use crate::config::Config;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// OCI refuses a date more than 5 minutes off, S3 one of more than 15; ours is taken to be wrong from here.
pub(super) const SKEW: Duration = Duration::from_mins(4);

#[derive(Debug)]
pub(crate) struct Clock {
    /// The setting `adjust_clock`.
    adjusts: bool,
    /// Seconds to add to our clock.
    offset: AtomicI64,
}

impl Clock {
    pub(crate) fn new(config: &Config) -> Clock {
        Clock { adjusts: config.adjust_clock, offset: AtomicI64::new(0) }
    }

    pub(crate) fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let offset = self.offset.load(Relaxed);
        let by = Duration::from_secs(offset.unsigned_abs());
        if offset >= 0 { now + by } else { now.checked_sub(by).unwrap_or(UNIX_EPOCH) }
    }

    /// How far the server's clock is from this one, and whether it is ahead.
    pub(crate) fn distance(&self, server: SystemTime) -> (Duration, bool) {
        match server.duration_since(self.now()) {
            Ok(distance) => (distance, true),
            Err(e) => (e.duration(), false),
        }
    }

    /// Looks at the server's clock after a refusal: corrects this one by it, or says that it is off. `None` where the two
    /// are near enough, and the refusal has another reason.
    pub(crate) fn correct(&self, server: SystemTime) -> Option<AuthRetry> {
        let (distance, ahead) = self.distance(server);
        if distance <= SKEW {
            return None;
        }
        let ours = httpdate::fmt_http_date(self.now());
        let theirs = httpdate::fmt_http_date(server);
        if !self.adjusts {
            return Some(AuthRetry::GiveUp(format!(
                "our clock says {ours}, the server's {theirs}: set the clock, or let adjust_clock make up for it"
            )));
        }
        tracing::warn!(
            "our clock says {ours}, the server's {theirs}: signing by the server's from now on; set the clock"
        );
        let seconds = distance.as_secs() as i64;
        self.offset.fetch_add(if ahead { seconds } else { -seconds }, Relaxed);
        Some(AuthRetry::Retry)
    }
}
