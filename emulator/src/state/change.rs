// SPDX-License-Identifier: Apache-2.0
//! The changes that a state can undergo.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::info::BucketInfo;
use super::object::Object;
use super::par::Par;
use super::upload::{Part, Upload};
use crate::content::Content;

/// One change of the store, whole or not at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change<C = Content> {
    /// A bucket is made or changed.
    Bucket { info: BucketInfo },
    /// A bucket is deleted, with all that is in it.
    DropBucket { bucket: String },
    /// An object is written or replaced.
    Put { bucket: String, name: String, object: Arc<Object<C>> },
    /// An object is deleted.
    Delete { bucket: String, name: String },
    /// An object has another name, which another may have had.
    Rename { bucket: String, from: String, to: String, object: Arc<Object<C>> },
    /// An upload begins.
    Upload { bucket: String, upload: Upload<C> },
    /// A part of an upload is written or replaced.
    Part { bucket: String, upload: String, number: u32, part: Arc<Part<C>> },
    /// An upload ends without an object.
    Abort { bucket: String, upload: String },
    /// An upload becomes an object.
    Commit { bucket: String, upload: String, name: String, object: Arc<Object<C>> },
    /// A pre-authenticated request is made.
    Par { bucket: String, par: Par },
    /// A pre-authenticated request is deleted.
    DropPar { bucket: String, id: String },
}

impl<C> Change<C> {
    /// The same with contents of another kind.
    pub(crate) fn with_contents<D>(self, make: &impl Fn(&C) -> D) -> Change<D> {
        let made = |object: Arc<Object<C>>| Arc::new(object.with_content(make(&object.content)));
        match self {
            Change::Bucket { info } => Change::Bucket { info },
            Change::DropBucket { bucket } => Change::DropBucket { bucket },
            Change::Put { bucket, name, object } => {
                Change::Put { bucket, name, object: made(object) }
            }
            Change::Delete { bucket, name } => Change::Delete { bucket, name },
            Change::Rename { bucket, from, to, object } => {
                Change::Rename { bucket, from, to, object: made(object) }
            }
            Change::Upload { bucket, upload } => {
                Change::Upload { bucket, upload: upload.with_contents(make) }
            }
            Change::Part { bucket, upload, number, part } => {
                let part = Arc::new(part.with_content(make(&part.content)));
                Change::Part { bucket, upload, number, part }
            }
            Change::Abort { bucket, upload } => Change::Abort { bucket, upload },
            Change::Commit { bucket, upload, name, object } => {
                Change::Commit { bucket, upload, name, object: made(object) }
            }
            Change::Par { bucket, par } => Change::Par { bucket, par },
            Change::DropPar { bucket, id } => Change::DropPar { bucket, id },
        }
    }
}
