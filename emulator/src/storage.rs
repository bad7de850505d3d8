// SPDX-License-Identifier: Apache-2.0
//! The store: a state that is changed by one request at a time. Each change is judged, written to
//! the journal where there is a data folder, and applied under one lock, so that of two racing
//! `if-none-match: *` exactly one wins and a rename is seen whole or not at all.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;

use crate::content::DataFolder;
use crate::error::ApiError;
use crate::journal::Journal;
#[cfg(feature = "s3")]
use crate::state::Completed;
use crate::state::{
    Bucket, BucketInfo, BucketName, Change, Condition, ListQuery, Object, Page, Par, Part, State,
    Upload, check_if_match, list,
};

/// Buckets of one namespace.
#[derive(Debug)]
pub(crate) struct Storage {
    namespace: String,
    folder: Option<Arc<DataFolder>>,
    state: Mutex<(State, Option<Journal>)>,
}

impl Storage {
    /// In memory, empty.
    pub(crate) fn new(namespace: String) -> Storage {
        Storage { namespace, folder: None, state: Mutex::default() }
    }

    /// In a folder, with what is there. At most `limit` bytes of objects have room.
    pub(crate) fn open(namespace: String, path: &Path, limit: Option<u64>) -> io::Result<Storage> {
        let folder = Arc::new(DataFolder::open(path, limit)?);
        let (journal, state) = Journal::open(&folder)?;
        Ok(Storage { namespace, folder: Some(folder), state: Mutex::new((state, Some(journal))) })
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Where bodies are kept, unless it is in memory.
    pub(crate) fn folder(&self) -> Option<&Arc<DataFolder>> {
        self.folder.as_ref()
    }

    pub(crate) fn create_bucket(&self, info: BucketInfo) -> Result<(), ApiError> {
        self.change(|state| {
            if state.buckets.contains_key(&info.name) {
                return Err(ApiError::new(
                    StatusCode::CONFLICT,
                    "BucketAlreadyExists",
                    format!(
                        "Either the bucket '{}' in namespace '{}' already exists or you are not \
                         authorized to create it",
                        info.name, self.namespace
                    ),
                ));
            }
            Ok((Change::Bucket { info }, ()))
        })
    }

    /// A bucket's description.
    pub(crate) fn bucket(&self, bucket: &BucketName) -> Result<BucketInfo, ApiError> {
        self.in_bucket(bucket, |bucket| Ok(bucket.info.clone()))
    }

    /// A bucket's count of objects and their bytes.
    pub(crate) fn count(&self, bucket: &BucketName) -> Result<(u64, u64), ApiError> {
        self.in_bucket(bucket, |bucket| {
            let bytes = bucket.objects.values().map(|object| object.size).sum();
            Ok((bucket.objects.len() as u64, bytes))
        })
    }

    /// The buckets by name, from the one after `after` on.
    pub(crate) fn buckets(&self, after: Option<&str>) -> Vec<BucketInfo> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let buckets = &self.lock().0.buckets;
        buckets.range::<str, _>((from, Bound::Unbounded)).map(|(_, b)| b.info.clone()).collect()
    }

    pub(crate) fn update_bucket(
        &self,
        name: &BucketName,
        if_match: Option<&str>,
        change: impl FnOnce(&mut BucketInfo) -> Result<(), ApiError>,
    ) -> Result<BucketInfo, ApiError> {
        self.change_bucket(name, |bucket| {
            check_if_match(if_match, Some(&bucket.info.etag))?;
            let mut info = bucket.info.clone();
            change(&mut info)?;
            Ok((Change::Bucket { info: info.clone() }, info))
        })
    }

    /// Deletes a bucket that holds nothing at all.
    pub(crate) fn delete_bucket(
        &self,
        name: &BucketName,
        if_match: Option<&str>,
    ) -> Result<(), ApiError> {
        self.change_bucket(name, |bucket| {
            check_if_match(if_match, Some(&bucket.info.etag))?;
            bucket.check_empty()?;
            Ok((Change::DropBucket { bucket: name.name.clone() }, ()))
        })
    }

    pub(crate) fn get(&self, bucket: &BucketName, name: &str) -> Result<Arc<Object>, ApiError> {
        self.in_bucket(bucket, |found| found.object(name).cloned())
    }

    /// Writes an object if its condition holds; the time of creation is that of its first write.
    pub(crate) fn put(
        &self,
        bucket: &BucketName,
        name: &str,
        mut object: Object,
        condition: &Condition,
    ) -> Result<Arc<Object>, ApiError> {
        self.change_bucket(bucket, |found| {
            let present = found.objects.get(name);
            condition.check(present)?;
            if let Some(present) = present {
                object.created = present.created;
            }
            let (bucket, name) = (bucket.name.clone(), name.to_owned());
            let object = Arc::new(object);
            Ok((Change::Put { bucket, name, object: object.clone() }, object))
        })
    }

    /// Replaces an object by what `edit` makes of it: its tier or its restoration.
    pub(crate) fn edit(
        &self,
        bucket: &BucketName,
        name: &str,
        edit: impl FnOnce(&mut Object) -> Result<(), ApiError>,
    ) -> Result<Arc<Object>, ApiError> {
        self.change_bucket(bucket, |found| {
            let mut object = Object::clone(found.object(name)?);
            edit(&mut object)?;
            let (bucket, name) = (bucket.name.clone(), name.to_owned());
            let object = Arc::new(object);
            Ok((Change::Put { bucket, name, object: object.clone() }, object))
        })
    }

    /// Deletes an object, if `judge` lets it.
    pub(crate) fn delete(
        &self,
        bucket: &BucketName,
        name: &str,
        judge: impl FnOnce(&Object) -> Result<(), ApiError>,
    ) -> Result<Arc<Object>, ApiError> {
        self.change_bucket(bucket, |found| {
            let present = found.object(name)?.clone();
            judge(&present)?;
            let (bucket, name) = (bucket.name.clone(), name.to_owned());
            Ok((Change::Delete { bucket, name }, present))
        })
    }

    /// Gives an object another name, at once: `source` must be what is there, `target` what the
    /// new name may meet. `renew` makes the ETag, the version and the time of the new one.
    pub(crate) fn rename(
        &self,
        bucket: &BucketName,
        (from, source): (&str, Option<&str>),
        (to, target): (&str, &Condition),
        renew: impl FnOnce(&mut Object),
    ) -> Result<Arc<Object>, ApiError> {
        self.change_bucket(bucket, |found| {
            let mut object = Object::clone(found.object(from)?);
            object.check_if_match(source)?;
            target.check(found.objects.get(to))?;
            renew(&mut object);
            let bucket = bucket.name.clone();
            let (from, to, object) = (from.to_owned(), to.to_owned(), Arc::new(object));
            Ok((Change::Rename { bucket, from, to, object: object.clone() }, object))
        })
    }

    pub(crate) fn list(&self, bucket: &BucketName, query: &ListQuery) -> Result<Page, ApiError> {
        self.in_bucket(bucket, |bucket| Ok(list(&bucket.objects, query)))
    }

    /// Begins an upload, if what must hold at its end holds now.
    pub(crate) fn begin_upload(&self, bucket: &BucketName, upload: Upload) -> Result<(), ApiError> {
        self.change_bucket(bucket, |found| {
            upload.condition.check(found.objects.get(&upload.name))?;
            Ok((Change::Upload { bucket: bucket.name.clone(), upload }, ()))
        })
    }

    /// An upload as it stands; its parts are shared.
    pub(crate) fn upload(
        &self,
        bucket: &BucketName,
        (name, id): (&str, &str),
    ) -> Result<Upload, ApiError> {
        self.in_bucket(bucket, |found| found.upload(name, id).cloned())
    }

    /// All uploads of a bucket, by object and id.
    pub(crate) fn uploads(&self, bucket: &BucketName) -> Result<Vec<Upload>, ApiError> {
        self.in_bucket(bucket, |bucket| {
            let mut uploads: Vec<Upload> = bucket.uploads.values().cloned().collect();
            uploads.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
            Ok(uploads)
        })
    }

    /// Writes a part if its condition on the object holds.
    pub(crate) fn put_part(
        &self,
        bucket: &BucketName,
        (name, id): (&str, &str),
        (number, part): (u32, Arc<Part>),
        condition: &Condition,
    ) -> Result<(), ApiError> {
        self.change_bucket(bucket, |found| {
            found.upload(name, id)?;
            condition.check(found.objects.get(name))?;
            let (bucket, upload) = (bucket.name.clone(), id.to_owned());
            Ok((Change::Part { bucket, upload, number, part }, ()))
        })
    }

    /// Ends an upload without an object, if `judge` lets it.
    pub(crate) fn abort_upload(
        &self,
        bucket: &BucketName,
        (name, id): (&str, &str),
        judge: impl FnOnce(&Upload) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        self.change_bucket(bucket, |found| {
            judge(found.upload(name, id)?)?;
            Ok((Change::Abort { bucket: bucket.name.clone(), upload: id.to_owned() }, ()))
        })
    }

    /// Makes an upload an object, at once: `make` judges its parts, both conditions what is there.
    pub(crate) fn commit_upload(
        &self,
        bucket: &BucketName,
        (name, id): (&str, &str),
        condition: &Condition,
        make: impl FnOnce(&Upload) -> Result<Object, ApiError>,
    ) -> Result<Arc<Object>, ApiError> {
        self.change_bucket(bucket, |found| {
            let upload = found.upload(name, id)?;
            let mut object = make(upload)?;
            let present = found.objects.get(name);
            condition.check(present)?;
            upload.condition.check(present)?;
            if let Some(present) = present {
                object.created = present.created;
            }
            let (bucket, upload, name) = (bucket.name.clone(), id.to_owned(), name.to_owned());
            let object = Arc::new(object);
            Ok((Change::Commit { bucket, upload, name, object: object.clone() }, object))
        })
    }

    /// An upload of an object that was committed, while it is remembered.
    #[cfg(feature = "s3")]
    pub(crate) fn completed(
        &self,
        bucket: &BucketName,
        (name, id): (&str, &str),
    ) -> Result<Option<Completed>, ApiError> {
        self.in_bucket(bucket, |found| {
            let mut completed = found.completed.iter();
            Ok(completed.find(|one| one.upload == id && one.name == name).cloned())
        })
    }

    pub(crate) fn create_par(&self, bucket: &BucketName, par: Par) -> Result<(), ApiError> {
        self.change_bucket(bucket, |_| Ok((Change::Par { bucket: bucket.name.clone(), par }, ())))
    }

    /// The pre-authenticated requests of a bucket, by id.
    pub(crate) fn pars(&self, bucket: &BucketName) -> Result<Vec<Par>, ApiError> {
        self.in_bucket(bucket, |bucket| Ok(bucket.pars.values().cloned().collect()))
    }

    pub(crate) fn delete_par(&self, bucket: &BucketName, id: &str) -> Result<(), ApiError> {
        self.change_bucket(bucket, |found| {
            if !found.pars.contains_key(id) {
                return Err(ApiError::par_not_found());
            }
            Ok((Change::DropPar { bucket: bucket.name.clone(), id: id.to_owned() }, ()))
        })
    }

    fn in_bucket<T>(
        &self,
        name: &BucketName,
        ask: impl FnOnce(&Bucket) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        ask(self.find(&self.lock().0, name)?)
    }

    fn change_bucket<T>(
        &self,
        name: &BucketName,
        judge: impl FnOnce(&Bucket) -> Result<(Change, T), ApiError>,
    ) -> Result<T, ApiError> {
        self.change(|state| judge(self.find(state, name)?))
    }

    /// Judges, writes down and applies a change.
    fn change<T>(
        &self,
        judge: impl FnOnce(&State) -> Result<(Change, T), ApiError>,
    ) -> Result<T, ApiError> {
        let (state, journal) = &mut *self.lock();
        let (change, told) = judge(state)?;
        if let Some(journal) = journal {
            journal.write(&change).map_err(ApiError::storage)?;
        }
        state.apply(change);
        if let (Some(journal), Some(folder)) = (journal, &self.folder) {
            journal.shorten(folder, state);
        }
        Ok(told)
    }

    fn find<'a>(&self, state: &'a State, name: &BucketName) -> Result<&'a Bucket, ApiError> {
        Some(state)
            .filter(|_| name.namespace == self.namespace)
            .and_then(|state| state.buckets.get(&name.name))
            .ok_or_else(|| ApiError::bucket_not_found(&name.namespace, &name.name))
    }

    fn lock(&self) -> MutexGuard<'_, (State, Option<Journal>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            folder.close();
        }
    }
}
