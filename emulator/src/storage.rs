// SPDX-License-Identifier: Apache-2.0
//! The store itself: buckets of objects in memory, with conditions checked and writes done under
//! one lock, so that of two racing `if-none-match: *` exactly one wins. Knows nothing of HTTP but
//! header values that it keeps for their owner.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::reply::ApiError;
use crate::target::BucketName;

/// Buckets of one namespace.
#[derive(Debug)]
pub(crate) struct Storage {
    namespace: String,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

/// A bucket's description; its objects stand beside it.
#[derive(Clone, Debug)]
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
}

/// An object; immutable, so that a reader keeps what it began to read.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) etag: String,
    pub(crate) version: String,
    /// Base64 of the body's MD5.
    pub(crate) md5: String,
    /// Base64 of the body's CRC32C, big-endian.
    pub(crate) crc32c: String,
    /// Base64 digests that the upload asked for, with their header's name.
    pub(crate) digests: Vec<(HeaderName, HeaderValue)>,
    pub(crate) created: SystemTime,
    pub(crate) modified: SystemTime,
    pub(crate) storage_tier: String,
    /// Content headers and `opc-meta-*`, as they came.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// What must hold for a write to happen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    /// The ETag that must be there, `*` for any.
    pub(crate) if_match: Option<String>,
    /// Nothing may be there.
    pub(crate) absent: bool,
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
    /// Whether names are rolled up at the next `/` after the prefix.
    pub(crate) delimited: bool,
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
    pub(crate) fn new(namespace: String) -> Storage {
        Storage { namespace, buckets: Mutex::default() }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn create_bucket(&self, info: BucketInfo) -> Result<(), ApiError> {
        let mut buckets = self.lock();
        if buckets.contains_key(&info.name) {
            return Err(ApiError::new(
                http::StatusCode::CONFLICT,
                "BucketAlreadyExists",
                format!(
                    "Either the bucket '{}' in namespace '{}' already exists or you are not \
                     authorized to create it",
                    info.name, self.namespace
                ),
            ));
        }
        buckets.insert(info.name.clone(), Bucket { info, objects: BTreeMap::new() });
        Ok(())
    }

    /// A bucket's description, its count of objects and their bytes.
    pub(crate) fn bucket(&self, bucket: &BucketName) -> Result<(BucketInfo, u64, u64), ApiError> {
        self.in_bucket(bucket, |bucket| {
            let bytes = bucket.objects.values().map(|object| object.bytes.len() as u64).sum();
            Ok((bucket.info.clone(), bucket.objects.len() as u64, bytes))
        })
    }

    /// The buckets by name, from the one after `after` on.
    pub(crate) fn buckets(&self, after: Option<&str>) -> Vec<BucketInfo> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let buckets = self.lock();
        buckets.range::<str, _>((from, Bound::Unbounded)).map(|(_, b)| b.info.clone()).collect()
    }

    pub(crate) fn update_bucket(
        &self,
        bucket: &BucketName,
        if_match: Option<&str>,
        change: impl FnOnce(&mut BucketInfo),
    ) -> Result<BucketInfo, ApiError> {
        self.in_bucket(bucket, |bucket| {
            check_if_match(if_match, Some(&bucket.info.etag))?;
            change(&mut bucket.info);
            Ok(bucket.info.clone())
        })
    }

    pub(crate) fn delete_bucket(
        &self,
        name: &BucketName,
        if_match: Option<&str>,
    ) -> Result<(), ApiError> {
        let mut buckets = self.lock();
        let bucket = self.find(&mut buckets, name)?;
        check_if_match(if_match, Some(&bucket.info.etag))?;
        if !bucket.objects.is_empty() {
            return Err(ApiError::new(
                http::StatusCode::CONFLICT,
                "BucketNotEmpty",
                format!("Bucket named '{}' is not empty. Delete all objects first.", name.name),
            ));
        }
        buckets.remove(&name.name);
        Ok(())
    }

    pub(crate) fn get(&self, bucket: &BucketName, name: &str) -> Result<Arc<Object>, ApiError> {
        self.in_bucket(bucket, |found| {
            found
                .objects
                .get(name)
                .cloned()
                .ok_or_else(|| ApiError::object_not_found(&bucket.name, name))
        })
    }

    /// Writes an object if its condition holds; the time of creation is that of its first write.
    pub(crate) fn put(
        &self,
        bucket: &BucketName,
        name: &str,
        mut object: Object,
        condition: &Condition,
    ) -> Result<Arc<Object>, ApiError> {
        self.in_bucket(bucket, |bucket| {
            let present = bucket.objects.get(name);
            check_if_match(condition.if_match.as_deref(), present.map(|object| &*object.etag))?;
            if condition.absent && present.is_some() {
                return Err(ApiError::if_none_match_failed());
            }
            if let Some(present) = present {
                object.created = present.created;
            }
            let object = Arc::new(object);
            bucket.objects.insert(name.to_owned(), object.clone());
            Ok(object)
        })
    }

    pub(crate) fn delete(
        &self,
        bucket: &BucketName,
        name: &str,
        if_match: Option<&str>,
    ) -> Result<Arc<Object>, ApiError> {
        self.in_bucket(bucket, |found| {
            let missing = || ApiError::object_not_found(&bucket.name, name);
            let present = found.objects.get(name).ok_or_else(missing)?;
            check_if_match(if_match, Some(&present.etag))?;
            found.objects.remove(name).ok_or_else(missing)
        })
    }

    pub(crate) fn list(&self, bucket: &BucketName, query: &ListQuery) -> Result<Page, ApiError> {
        self.in_bucket(bucket, |bucket| Ok(list(&bucket.objects, query)))
    }

    fn in_bucket<T>(
        &self,
        name: &BucketName,
        act: impl FnOnce(&mut Bucket) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        act(self.find(&mut self.lock(), name)?)
    }

    fn find<'a>(
        &self,
        buckets: &'a mut BTreeMap<String, Bucket>,
        name: &BucketName,
    ) -> Result<&'a mut Bucket, ApiError> {
        Some(buckets)
            .filter(|_| name.namespace == self.namespace)
            .and_then(|buckets| buckets.get_mut(&name.name))
            .ok_or_else(|| ApiError::bucket_not_found(&name.namespace, &name.name))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
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
        let slash = name[query.prefix.len()..].find('/').filter(|_| query.delimited);
        from = match slash {
            None => {
                page.objects.push((name.clone(), object.clone()));
                Bound::Excluded(name.clone())
            }
            Some(slash) => {
                let rolled = &name[..query.prefix.len() + slash];
                page.prefixes.push(format!("{rolled}/"));
                // '0' follows '/': the first name that is not below the prefix.
                Bound::Included(format!("{rolled}0"))
            }
        };
    }
    page
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
