// SPDX-License-Identifier: Apache-2.0
//! A bucket's name and its description.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Namespace and name of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// A bucket's description; its objects stand beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BucketInfo {
    pub(crate) name: String,
    pub(crate) compartment: String,
    pub(crate) id: String,
    pub(crate) etag: String,
    pub(crate) created: SystemTime,
    /// What the client set: metadata, publicAccessType, storageTier, tags, versioning …
    pub(crate) settings: Map<String, Value>,
}
