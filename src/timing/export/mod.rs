// SPDX-License-Identifier: Apache-2.0
//! The forms a snapshot leaves in.

mod hlog;
mod json;
mod prometheus;

pub use hlog::HlogError;
pub use prometheus::prometheus_text;

use crate::timing::Snapshot;

impl Snapshot {
    /// As an HdrHistogram interval log (`.hlog`, V2, one tagged line a key): the form that files, other processes and
    /// other languages read. Values are nanoseconds, so stock readers show milliseconds.
    pub fn to_hlog(&self) -> String {
        hlog::encode(self)
    }

    /// Reads what [`Snapshot::to_hlog`] wrote. Lines with tags that are not ours are an error.
    pub fn from_hlog(text: &str) -> Result<Snapshot, HlogError> {
        hlog::decode(text)
    }

    /// As a JSON object: one member a key, named by its tag, with count, sum, min, max and quantiles.
    pub fn to_json(&self) -> serde_json::Value {
        json::encode(self)
    }
}
