// SPDX-License-Identifier: Apache-2.0
//! All that is stored, in memory: buckets with their objects, uploads and pre-authenticated
//! requests. A state is what its changes make of an empty one; it knows neither who judges a
//! change nor where changes are written.
//!
//! ```text
//!  State ─ Bucket ┬ BucketInfo        Change ─► State::apply
//!                 ├ Object ─ Content
//!                 ├ Upload ─ Part ─ Content
//!                 └ Par
//! ```

mod bucket;
mod change;
mod condition;
mod etag;
mod headers;
mod info;
mod list;
mod object;
mod par;
mod upload;

use std::collections::BTreeMap;

pub(crate) use self::bucket::Bucket;
pub(crate) use self::change::Change;
pub(crate) use self::condition::Condition;
pub(crate) use self::etag::{check_if_match, matches, new_etag};
pub(crate) use self::headers::Headers;
pub(crate) use self::info::{BucketInfo, BucketName};
pub(crate) use self::list::{ListQuery, Page, list};
pub(crate) use self::object::{Checksums, Object, ObjectPart};
pub(crate) use self::par::Par;
pub(crate) use self::upload::{Part, Upload};
#[cfg(feature = "s3")]
pub(crate) use self::{etag::s3_etag, list::after_all, upload::Completed};

use crate::content::Content;

/// All that is stored.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) buckets: BTreeMap<String, Bucket>,
}

impl State {
    /// Does what was judged. In a bucket that is not there it does nothing.
    pub(crate) fn apply(&mut self, change: Change) {
        let bucket = match &change {
            Change::Bucket { info } => {
                let made = || Bucket::new(info.clone());
                Some(self.buckets.entry(info.name.clone()).or_insert_with(made))
            }
            Change::DropBucket { bucket } => {
                self.buckets.remove(bucket);
                None
            }
            Change::Put { bucket, .. }
            | Change::Delete { bucket, .. }
            | Change::Rename { bucket, .. }
            | Change::Upload { bucket, .. }
            | Change::Part { bucket, .. }
            | Change::Abort { bucket, .. }
            | Change::Commit { bucket, .. }
            | Change::Par { bucket, .. }
            | Change::DropPar { bucket, .. } => self.buckets.get_mut(bucket),
        };
        if let Some(bucket) = bucket {
            bucket.apply(change);
        }
    }

    /// The changes that make this state of an empty one.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change> {
        self.buckets.iter().flat_map(|(name, bucket)| {
            let made = Change::Bucket { info: bucket.info.clone() };
            let objects = bucket.objects.iter().map(|(object, content)| Change::Put {
                bucket: name.clone(),
                name: object.clone(),
                object: content.clone(),
            });
            let uploads = bucket.uploads.values().cloned();
            let uploads = uploads.map(|upload| Change::Upload { bucket: name.clone(), upload });
            let pars = bucket.pars.values().cloned();
            let pars = pars.map(|par| Change::Par { bucket: name.clone(), par });
            std::iter::once(made).chain(objects).chain(uploads).chain(pars)
        })
    }

    /// Drops objects and parts whose bytes are not all there: a machine's crash may leave them.
    /// Says whether there were any.
    pub(crate) fn drop_broken(&mut self) -> bool {
        let mut dropped = false;
        let whole = |content: &Content, size| content.len() == size && content.is_sound();
        for bucket in self.buckets.values_mut() {
            bucket.objects.retain(|name, object| {
                let whole = whole(&object.content, object.size);
                if !whole {
                    tracing::error!(name, "an object's bytes are not all there: it is dropped");
                }
                dropped |= !whole;
                whole
            });
            for upload in bucket.uploads.values_mut() {
                upload.parts.retain(|_, part| {
                    let whole = whole(&part.content, part.size);
                    dropped |= !whole;
                    whole
                });
            }
        }
        dropped
    }
}
