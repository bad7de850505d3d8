// SPDX-License-Identifier: Apache-2.0
//! A bucket, what it holds, and how a change changes it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use http::StatusCode;

use super::change::Change;
use super::info::BucketInfo;
use super::object::Object;
use super::par::Par;
use super::upload::{Completed, Upload};
use crate::error::ApiError;

#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) info: BucketInfo,
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    /// The latest uploads that were committed.
    pub(crate) completed: VecDeque<Completed>,
    pub(crate) pars: BTreeMap<String, Par>,
}

/// Most committed uploads of a bucket that are remembered.
const MAX_COMPLETED: usize = 1000;

impl Bucket {
    pub(crate) fn new(info: BucketInfo) -> Bucket {
        Bucket {
            info,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            completed: VecDeque::new(),
            pars: BTreeMap::new(),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<&Arc<Object>, ApiError> {
        let missing = || ApiError::object_not_found(&self.info.name, name);
        self.objects.get(name).ok_or_else(missing)
    }

    pub(crate) fn upload(&self, name: &str, id: &str) -> Result<&Upload, ApiError> {
        let missing = || ApiError::upload_not_found(id);
        self.uploads.get(id).filter(|upload| upload.name == name).ok_or_else(missing)
    }

    pub(crate) fn check_empty(&self) -> Result<(), ApiError> {
        let name = &self.info.name;
        let (code, why) = if !self.objects.is_empty() {
            ("BucketNotEmpty", "is not empty. Delete all objects first.")
        } else if !self.uploads.is_empty() {
            ("BucketNotEmpty", "has multipart uploads in progress. Abort them first.")
        } else if !self.pars.is_empty() {
            ("PreauthenticatedRequestStillExists", "has pre-authenticated requests.")
        } else {
            return Ok(());
        };
        Err(ApiError::new(StatusCode::CONFLICT, code, format!("Bucket named '{name}' {why}")))
    }

    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Bucket { info } => self.info = info,
            Change::DropBucket { .. } => {}
            Change::Put { name, object, .. } => {
                self.objects.insert(name, object);
            }
            Change::Delete { name, .. } => {
                self.objects.remove(&name);
            }
            Change::Rename { from, to, object, .. } => {
                self.objects.remove(&from);
                self.objects.insert(to, object);
            }
            Change::Upload { upload, .. } => {
                self.uploads.insert(upload.id.clone(), upload);
            }
            Change::Part { upload, number, part, .. } => {
                if let Some(upload) = self.uploads.get_mut(&upload) {
                    upload.parts.insert(number, part);
                }
            }
            Change::Abort { upload, .. } => {
                self.uploads.remove(&upload);
            }
            Change::Commit { upload, name, object, .. } => {
                self.uploads.remove(&upload);
                self.completed.truncate(MAX_COMPLETED - 1);
                self.completed.push_front(Completed {
                    name: name.clone(),
                    upload,
                    s3_etag: object.s3_etag(),
                    checksums: object.checksums.clone(),
                    parts: object.parts.clone(),
                });
                self.objects.insert(name, object);
            }
            Change::Par { par, .. } => {
                self.pars.insert(par.id.clone(), par);
            }
            Change::DropPar { id, .. } => {
                self.pars.remove(&id);
            }
        }
    }
}
