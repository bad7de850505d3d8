// SPDX-License-Identifier: Apache-2.0
//! The store itself: buckets with their objects, uploads and pre-authenticated requests. Each
//! change is judged, written to the journal where there is a data folder, and applied under one
//! lock, so that of two racing `if-none-match: *` exactly one wins and a rename is seen whole or
//! not at all. Knows nothing of HTTP but header values that it keeps for their owner.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::content::{Content, Folder};
use crate::journal::{Change, Journal};
use crate::reply::ApiError;
use crate::target::BucketName;

/// Buckets of one namespace.
#[derive(Debug)]
pub(crate) struct Storage {
    namespace: String,
    folder: Option<Arc<Folder>>,
    state: Mutex<(State, Option<Journal>)>,
}

/// All that is stored.
#[derive(Debug, Default)]
pub(crate) struct State {
    buckets: BTreeMap<String, Bucket>,
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

#[derive(Debug)]
struct Bucket {
    info: BucketInfo,
    objects: BTreeMap<String, Arc<Object>>,
    uploads: BTreeMap<String, Upload>,
    /// The latest uploads that were committed.
    completed: VecDeque<Completed>,
    pars: BTreeMap<String, Par>,
}

/// Most committed uploads of a bucket that are remembered.
const MAX_COMPLETED: usize = 1000;

/// An object; immutable, so that a reader keeps what it began to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Object<C = Content> {
    pub(crate) content: C,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) version: String,
    /// Base64 of the body's MD5; of an object made of parts, base64 of the MD5 of the parts'
    /// MD5s, `-` and their number.
    pub(crate) md5: String,
    /// The CRC32C of all bytes.
    pub(crate) crc32c: u32,
    /// Checksums that came with the upload or were asked for, by algorithm in small letters.
    pub(crate) checksums: Checksums,
    pub(crate) created: SystemTime,
    pub(crate) modified: SystemTime,
    pub(crate) storage_tier: String,
    /// When an object of the archive tier went there.
    pub(crate) archived: Option<SystemTime>,
    /// Until when an archived object can be read.
    pub(crate) restored_until: Option<SystemTime>,
    /// Content headers, `opc-meta-*` and those of S3 that are told again, as they came.
    #[serde(with = "header_list")]
    pub(crate) headers: Headers,
    /// The parts of which it was made, in their order; none if it was put as a whole.
    #[serde(default)]
    pub(crate) parts: Vec<ObjectPart>,
}

/// What is known of a part of an object after the commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ObjectPart {
    pub(crate) number: u32,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    /// As [`Object::checksums`].
    pub(crate) checksums: Checksums,
}

/// An upload that became an object, kept for repeated requests: what the object is, whatever became of it since.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "s3"), expect(dead_code, reason = "S3 asks for it"))]
pub(crate) struct Completed {
    name: String,
    upload: String,
    pub(crate) s3_etag: String,
    pub(crate) checksums: Checksums,
    pub(crate) parts: Vec<ObjectPart>,
}

/// Headers that are kept for their owner.
pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

/// Algorithm in small letters, and its value in base64.
pub(crate) type Checksums = Vec<(String, String)>;

impl<C> Object<C> {
    /// The same with another content.
    pub(crate) fn with_content<D>(&self, content: D) -> Object<D> {
        Object {
            content,
            size: self.size,
            etag: self.etag.clone(),
            version: self.version.clone(),
            md5: self.md5.clone(),
            crc32c: self.crc32c,
            checksums: self.checksums.clone(),
            created: self.created,
            modified: self.modified,
            storage_tier: self.storage_tier.clone(),
            archived: self.archived,
            restored_until: self.restored_until,
            headers: self.headers.clone(),
            parts: self.parts.clone(),
        }
    }

    /// Whether it was made of parts.
    pub(crate) fn is_multipart(&self) -> bool {
        // Base64 has no such letter.
        self.md5.contains('-')
    }

    /// The ETag of the S3 API: the MD5 in hex, with the number of parts if there were any.
    pub(crate) fn s3_etag(&self) -> String {
        s3_etag(&self.md5)
    }

    /// Whether an `if-match` names it, by the ETag of either API.
    pub(crate) fn is_named_by(&self, wanted: &str) -> bool {
        matches(wanted, &self.etag) || matches(wanted, &self.s3_etag())
    }

    /// An `if-match`, if there is one.
    pub(crate) fn check_if_match(&self, wanted: Option<&str>) -> Result<(), ApiError> {
        match wanted {
            Some(wanted) if !self.is_named_by(wanted) => Err(ApiError::if_match_failed()),
            _ => Ok(()),
        }
    }

    /// Whether it must be restored before it can be read.
    pub(crate) fn is_archived(&self, now: SystemTime) -> bool {
        self.archived.is_some() && self.restored_until.is_none_or(|until| until <= now)
    }
}

/// Base64 of an MD5, with a number of parts or without, as the S3 API writes it.
pub(crate) fn s3_etag(md5: &str) -> String {
    let (digest, parts) = md5.split_at(md5.find('-').unwrap_or(md5.len()));
    let bytes = STANDARD.decode(digest).unwrap_or_default();
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat() + parts
}

/// An upload by parts that is not committed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "C: Serialize", deserialize = "C: Deserialize<'de>"))]
pub(crate) struct Upload<C = Content> {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: SystemTime,
    pub(crate) storage_tier: String,
    /// The checksum that its parts are to have, by algorithm in small letters.
    pub(crate) checksum: Option<String>,
    /// Whether the object's checksum is that of all bytes, not that of the parts' checksums.
    #[serde(default)]
    pub(crate) checksum_of_whole: bool,
    /// What was asked at the beginning, and must hold at the end.
    pub(crate) condition: Condition,
    #[serde(with = "header_list")]
    pub(crate) headers: Headers,
    pub(crate) parts: BTreeMap<u32, Arc<Part<C>>>,
}

impl<C> Upload<C> {
    pub(crate) fn with_contents<D>(self, make: &impl Fn(&C) -> D) -> Upload<D> {
        let parts = self.parts.into_iter();
        Upload {
            id: self.id,
            name: self.name,
            created: self.created,
            storage_tier: self.storage_tier,
            checksum: self.checksum,
            checksum_of_whole: self.checksum_of_whole,
            condition: self.condition,
            headers: self.headers,
            parts: parts
                .map(|(number, part)| (number, Arc::new(part.with_content(make(&part.content)))))
                .collect(),
        }
    }
}

/// A part of an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part<C = Content> {
    pub(crate) content: C,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) md5: [u8; 16],
    pub(crate) crc32c: u32,
    /// As [`Object::checksums`].
    pub(crate) checksums: Checksums,
    pub(crate) modified: SystemTime,
}

impl<C> Part<C> {
    pub(crate) fn with_content<D>(&self, content: D) -> Part<D> {
        Part {
            content,
            size: self.size,
            etag: self.etag.clone(),
            md5: self.md5,
            crc32c: self.crc32c,
            checksums: self.checksums.clone(),
            modified: self.modified,
        }
    }
}

/// A pre-authenticated request: who has its token needs no signature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Par {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) name: String,
    /// The object, or the prefix of those that it opens.
    pub(crate) object: Option<String>,
    pub(crate) access: String,
    pub(crate) listing: bool,
    pub(crate) created: SystemTime,
    pub(crate) expires: SystemTime,
}

/// What must hold for a write to happen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Condition {
    /// The ETag that must be there, `*` for any.
    pub(crate) if_match: Option<String>,
    /// Nothing may be there.
    pub(crate) absent: bool,
}

impl Condition {
    fn check(&self, present: Option<&Arc<Object>>) -> Result<(), ApiError> {
        if let Some(wanted) = &self.if_match
            && !present.is_some_and(|object| object.is_named_by(wanted))
        {
            return Err(ApiError::if_match_failed());
        }
        if self.absent && present.is_some() {
            return Err(ApiError::if_none_match_failed());
        }
        Ok(())
    }
}

/// What to list.
#[derive(Clone, Debug)]
pub(crate) struct ListQuery {
    pub(crate) prefix: String,
    /// The first name that may be listed.
    pub(crate) start: Option<String>,
    /// The name after which listing begins.
    pub(crate) start_after: Option<String>,
    /// The first name that is not listed.
    pub(crate) end: Option<String>,
    pub(crate) limit: usize,
    /// Names are rolled up at the next of these after the prefix.
    pub(crate) delimiter: Option<String>,
}

/// A page: objects and prefixes share the limit, and no prefix is cut by a page's end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<(String, Arc<Object>)>,
    pub(crate) prefixes: Vec<String>,
    /// The first name that was not returned.
    pub(crate) next: Option<String>,
}

impl Storage {
    /// In memory, empty.
    pub(crate) fn new(namespace: String) -> Storage {
        Storage { namespace, folder: None, state: Mutex::default() }
    }

    /// In a folder, with what is there. At most `limit` bytes of objects have room.
    pub(crate) fn open(namespace: String, path: &Path, limit: Option<u64>) -> io::Result<Storage> {
        let folder = Arc::new(Folder::open(path, limit)?);
        let (journal, state) = Journal::open(&folder)?;
        Ok(Storage { namespace, folder: Some(folder), state: Mutex::new((state, Some(journal))) })
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Where bodies are kept, unless it is in memory.
    pub(crate) fn folder(&self) -> Option<&Arc<Folder>> {
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

impl Bucket {
    fn new(info: BucketInfo) -> Bucket {
        Bucket {
            info,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            completed: VecDeque::new(),
            pars: BTreeMap::new(),
        }
    }

    fn object(&self, name: &str) -> Result<&Arc<Object>, ApiError> {
        let missing = || ApiError::object_not_found(&self.info.name, name);
        self.objects.get(name).ok_or_else(missing)
    }

    fn upload(&self, name: &str, id: &str) -> Result<&Upload, ApiError> {
        let missing = || ApiError::upload_not_found(id);
        self.uploads.get(id).filter(|upload| upload.name == name).ok_or_else(missing)
    }

    fn check_empty(&self) -> Result<(), ApiError> {
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

impl Bucket {
    fn apply(&mut self, change: Change) {
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

/// Headers in the journal: a value is bytes, each of which is a character there.
mod header_list {
    use http::header::{HeaderName, HeaderValue};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Headers;

    pub(super) fn serialize<S: Serializer>(headers: &Headers, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(headers.iter().map(|(name, value)| {
            let value: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
            (name.as_str(), value)
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Headers, D::Error> {
        Vec::<(String, String)>::deserialize(from)?
            .into_iter()
            .map(|(name, value)| {
                let bytes: Vec<u8> = value.chars().map(|c| c as u8).collect();
                Ok((
                    HeaderName::try_from(name).map_err(D::Error::custom)?,
                    HeaderValue::try_from(bytes).map_err(D::Error::custom)?,
                ))
            })
            .collect()
    }
}

/// `if-match` against what is there; ETags are sent bare, quoted ones are taken too.
pub(crate) fn check_if_match(wanted: Option<&str>, present: Option<&str>) -> Result<(), ApiError> {
    match wanted {
        Some(wanted) if !present.is_some_and(|etag| matches(wanted, etag)) => {
            Err(ApiError::if_match_failed())
        }
        _ => Ok(()),
    }
}

/// Whether a conditional header's value names this ETag.
pub(crate) fn matches(wanted: &str, etag: &str) -> bool {
    wanted == "*" || wanted.split(',').any(|one| one.trim().trim_matches('"') == etag)
}

fn list(objects: &BTreeMap<String, Arc<Object>>, query: &ListQuery) -> Page {
    let mut page = Page::default();
    let mut from = first(query);
    while let Some((name, object)) =
        objects.range::<str, _>((borrow(&from), Bound::Unbounded)).next()
    {
        let ended = query.end.as_ref().is_some_and(|end| name >= end);
        if ended || !name.starts_with(&query.prefix) {
            break;
        }
        if page.objects.len() + page.prefixes.len() == query.limit {
            page.next = Some(name.clone());
            break;
        }
        from = match rolled(name, query) {
            None => {
                page.objects.push((name.clone(), object.clone()));
                Bound::Excluded(name.clone())
            }
            Some(rolled) => {
                page.prefixes.push(rolled.to_owned());
                match after_all(rolled) {
                    Some(next) => Bound::Included(next),
                    None => break,
                }
            }
        };
    }
    page
}

/// The prefix into which a name is rolled up.
fn rolled<'a>(name: &'a str, query: &ListQuery) -> Option<&'a str> {
    let delimiter = query.delimiter.as_deref()?;
    let at = name[query.prefix.len()..].find(delimiter)?;
    Some(&name[..query.prefix.len() + at + delimiter.len()])
}

/// The first text that is greater than all which begin so. UTF-8 orders as its characters do.
pub(crate) fn after_all(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    loop {
        // Past the surrogates, which are no characters.
        let next = match text.pop()? {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
}

/// The greatest of the lower bounds.
fn first(query: &ListQuery) -> Bound<String> {
    let start = query.start.as_ref().filter(|start| **start > query.prefix);
    let start = start.unwrap_or(&query.prefix);
    match &query.start_after {
        Some(after) if after >= start => Bound::Excluded(after.clone()),
        _ => Bound::Included(start.clone()),
    }
}

fn borrow(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(name) => Bound::Included(name),
        Bound::Excluded(name) => Bound::Excluded(name),
        Bound::Unbounded => Bound::Unbounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_prefix() {
        for (prefix, next) in [
            ("a/", Some("a0")),
            ("ü", Some("ý")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
        ] {
            assert_eq!(after_all(prefix).as_deref(), next, "{prefix}");
        }
    }
}
