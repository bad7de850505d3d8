// SPDX-License-Identifier: Apache-2.0
//! The forms a snapshot leaves in.

mod exponential;
mod hgrm;
mod hlog;
mod json;
mod otlp;
mod prometheus;

pub use hlog::HlogError;
pub(super) use hlog::{header, intervals};
pub(crate) use otlp::Moment;
pub use prometheus::{Exposition, prometheus_text};

use crate::timing::{Distribution, Snapshot};

/// Nanoseconds of a millisecond.
const MILLISECOND: f64 = 1e6;

impl Snapshot {
    /// As an HdrHistogram interval log (`.hlog`, V2, one tagged line a key): the form that files, other processes and
    /// other languages read. Values are nanoseconds, so stock readers show milliseconds.
    pub fn to_hlog(&self) -> String {
        hlog::encode(self)
    }

    /// Reads what [`Snapshot::to_hlog`] or a [`Collector`](crate::timing::Collector) wrote: the intervals of a key are added
    /// up. Lines with tags that are not ours are an error. A last line that was cut off (its process was killed, the disk
    /// was full) is left out, and [`Snapshot::is_cut_short`] says so.
    pub fn from_hlog(text: &str) -> Result<Snapshot, HlogError> {
        hlog::decode(text)
    }

    /// As a JSON object: one member a key, named by its tag, with count, sum, min, max and quantiles.
    pub fn to_json(&self) -> serde_json::Value {
        json::encode(self)
    }
}

impl Distribution {
    /// As HdrHistogram's percentile output (`.hgrm`), for its plotter and others of its kind: times in milliseconds, bytes
    /// in bytes; a percentile's value is the highest of its bucket.
    pub fn to_hgrm(&self) -> String {
        hgrm::encode(self, if self.is_bytes() { 1.0 } else { MILLISECOND })
    }
}
