// SPDX-License-Identifier: Apache-2.0
//! How an object is read: what its caller knows of it and which pattern to expect.

use crate::types::{Checksum, ObjectMeta};
use std::time::Duration;

/// How an object will be read, and what is known of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    pub(super) policy: ReadPolicy,
    pub(super) size: Option<u64>,
    pub(super) etag: Option<String>,
    pub(super) checksum: Option<Checksum>,
    pub(super) verify: Option<bool>,
    pub(super) deadline: Option<Duration>,
    pub(super) fewest_requests: bool,
}

impl ReadOptions {
    /// Adaptive, and nothing known.
    pub fn new() -> ReadOptions {
        ReadOptions::default()
    }

    /// What pattern of reads to expect.
    #[must_use]
    pub fn policy(mut self, policy: ReadPolicy) -> ReadOptions {
        self.policy = policy;
        self
    }

    /// The object's size in bytes, if it is known. An object of another size is one that has changed.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> ReadOptions {
        self.size = Some(bytes);
        self
    }

    /// The entity tag that the object must have; another one is an object that has changed.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<String>) -> ReadOptions {
        self.etag = Some(etag.into());
        self
    }

    /// Size, entity tag and checksum, as a listing or a `head` told them.
    #[must_use]
    pub fn meta(mut self, meta: &ObjectMeta) -> ReadOptions {
        self.size = Some(meta.size);
        self.checksum = meta.checksum;
        self.etag.clone_from(&meta.etag);
        self
    }

    /// Whether a stream of the whole object is checked against its checksum; without it, the setting `verify`. S3 tells
    /// the checksum of a large object only to a `head`: hand its answer to [`meta`](ReadOptions::meta).
    #[must_use]
    pub fn verify(mut self, verify: bool) -> ReadOptions {
        self.verify = Some(verify);
        self
    }

    /// Plans for few requests rather than for time and bytes: every hole up to the setting `read_gap` is read through,
    /// whatever it costs and however many there are; no request is hedged; a range is cut into parts only where it is longer
    /// than 3/16 of `read_budget` (48 MiB). Off by default.
    #[must_use]
    pub fn fewest_requests(mut self, fewest: bool) -> ReadOptions {
        self.fewest_requests = fewest;
        self
    }

    /// Time for each read; for a stream, for all of it.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> ReadOptions {
        self.deadline = Some(deadline);
        self
    }
}

/// The pattern of reads to expect. The names are those of Hadoop's `fs.option.openfile.read.policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadPolicy {
    /// Watches: runs and strides are read ahead once they show, other reads are taken as they come.
    #[default]
    Adaptive,
    /// From one end to the other: reads ahead from the first read on.
    Sequential,
    /// Here and there: nothing is read ahead.
    Random,
    /// By [`Reader::read_ranges`](super::Reader::read_ranges): nothing is read ahead.
    Vector,
    /// All of it: fetched from the first read on, as far as the budget has room.
    WholeFile,
    /// A columnar file: the first read near the end fetches its last 64 KiB, nothing is read ahead.
    Parquet,
}

impl ReadPolicy {
    /// The first policy known of a list such as `parquet, vector, random, adaptive`.
    ///
    /// ```
    /// use storescope::ReadPolicy;
    /// assert_eq!(ReadPolicy::from_names("lance, orc"), Some(ReadPolicy::Parquet));
    /// assert_eq!(ReadPolicy::from_names("lance"), None);
    /// ```
    pub fn from_names(names: &str) -> Option<ReadPolicy> {
        names.split(',').find_map(|name| match name.trim().to_ascii_lowercase().as_str() {
            "adaptive" | "default" | "normal" => Some(ReadPolicy::Adaptive),
            "sequential" | "avro" | "csv" | "json" => Some(ReadPolicy::Sequential),
            "random" | "hbase" => Some(ReadPolicy::Random),
            "vector" => Some(ReadPolicy::Vector),
            "whole-file" => Some(ReadPolicy::WholeFile),
            "parquet" | "orc" | "columnar" => Some(ReadPolicy::Parquet),
            _ => None,
        })
    }

    pub(super) fn prefetches(self) -> bool {
        matches!(self, ReadPolicy::Adaptive | ReadPolicy::Sequential | ReadPolicy::WholeFile)
    }

    pub(super) fn is_sequential(self) -> bool {
        matches!(self, ReadPolicy::Sequential | ReadPolicy::WholeFile)
    }

    pub(super) fn reads_tail(self) -> bool {
        self == ReadPolicy::Parquet
    }
}
