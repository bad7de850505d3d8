// SPDX-License-Identifier: Apache-2.0
//! Versions as S3 names them. An object has one; its id is `null` unless its bucket's `versioning` is enabled.

use s3s::S3Result;
use s3s::dto::BucketVersioningStatus;
use serde_json::Value;

use super::{Shared, error};
use crate::storage::Object as Stored;

/// Whether a bucket's objects have versions with ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versioning {
    Never,
    Enabled,
    Suspended,
}

impl Shared {
    pub(super) fn versioning(&self, bucket: &str) -> S3Result<Versioning> {
        let info = self.storage().bucket(&self.name(bucket)).map_err(error)?;
        Ok(match info.settings.get("versioning").and_then(Value::as_str) {
            Some("Enabled") => Versioning::Enabled,
            Some("Suspended") => Versioning::Suspended,
            _ => Versioning::Never,
        })
    }
}

impl Versioning {
    /// What GetBucketVersioning tells.
    pub(super) fn status(self) -> Option<BucketVersioningStatus> {
        let status = match self {
            Versioning::Never => return None,
            Versioning::Enabled => BucketVersioningStatus::ENABLED,
            Versioning::Suspended => BucketVersioningStatus::SUSPENDED,
        };
        Some(BucketVersioningStatus::from_static(status))
    }

    /// The id of an object's version, if it has one.
    pub(super) fn id(self, stored: &Stored) -> Option<&str> {
        (self == Versioning::Enabled).then_some(stored.version.as_str())
    }

    /// Whether a name is that of an object's version. The native API's id is one, too.
    pub(super) fn is_version(self, stored: &Stored, name: &str) -> bool {
        name == stored.version || name == "null" && self != Versioning::Enabled
    }

    /// Whether a name could be a version's: others are no ids at all.
    pub(super) fn may_be(self, name: &str) -> bool {
        // UUIDs, as the native API's.
        name == "null" || self != Versioning::Never && name.len() == 36 && name.is_ascii()
    }
}
