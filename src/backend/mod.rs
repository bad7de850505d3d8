// SPDX-License-Identifier: Apache-2.0
//! What a store can do, one HTTP request at a time.
//!
//! A backend turns an operation into a request, sends it, and classifies the answer. It does not sleep, retry or
//! cache; `attempt` does. The trait is the crate's own (sealed by being private): OCI now, S3 and any `object_store`
//! behind the same.

pub(crate) mod oci;

use crate::auth::Again;
use crate::error::Failure;
use crate::timing::{AttemptTimer, RequestId};
use crate::transport::Body;
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// One try at an operation.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) timer: Box<AttemptTimer>,
    /// Wants a connection that was not used before.
    pub(crate) fresh: bool,
}

pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// A store's operations, each one request.
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// The URL of an object (or of the bucket, for an empty key) in messages.
    fn url(&self, key: &str) -> String;

    /// Looks at a 401; whether something was mended, so that the request may go once more.
    fn after_unauthorized(&self, failure: &Failure) -> Again;

    fn get<'a>(&'a self, request: &'a GetRequest, attempt: Attempt) -> Answer<'a, Box<GetReply>>;
    fn head<'a>(&'a self, key: &'a str, attempt: Attempt) -> Answer<'a, ObjectMeta>;
    fn put<'a>(&'a self, request: &'a PutRequest, attempt: Attempt) -> Answer<'a, ObjectMeta>;
    fn delete<'a>(
        &'a self,
        key: &'a str,
        if_match: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, ()>;
    fn list<'a>(&'a self, request: &'a ListRequest, attempt: Attempt) -> Answer<'a, ListPage>;

    fn create_bucket(&self, attempt: Attempt) -> Answer<'_, ()>;
    fn delete_bucket(&self, attempt: Attempt) -> Answer<'_, ()>;
    fn list_buckets<'a>(
        &'a self,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, BucketPage>;
}

/// A read of an object, or of a range of it.
#[derive(Clone, Debug)]
pub(crate) struct GetRequest {
    pub(crate) key: Arc<str>,
    pub(crate) range: Option<GetRange>,
    pub(crate) if_match: Option<String>,
}

/// Which bytes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetRange {
    /// From the first to before the last; what lies past the object's end is left out.
    Bounded(Range<u64>),
    /// From here to the end.
    From(u64),
    /// The last so many bytes.
    Last(u64),
}

impl From<Range<u64>> for GetRange {
    fn from(range: Range<u64>) -> GetRange {
        GetRange::Bounded(range)
    }
}

impl From<std::ops::RangeFrom<u64>> for GetRange {
    fn from(range: std::ops::RangeFrom<u64>) -> GetRange {
        GetRange::From(range.start)
    }
}

impl GetRange {
    /// The value of a Range header.
    pub(crate) fn header(&self) -> HeaderValue {
        let (mut first, mut last) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (first, last) = match self {
            GetRange::Bounded(range) => (first.format(range.start), last.format(range.end - 1)),
            GetRange::From(start) => (first.format(*start), ""),
            GetRange::Last(bytes) => ("", last.format(*bytes)),
        };
        // Room for two numbers of 20 digits.
        let mut text = [0; 48];
        let mut length = 0;
        for part in ["bytes=", first, "-", last] {
            text[length..length + part.len()].copy_from_slice(part.as_bytes());
            length += part.len();
        }
        HeaderValue::from_bytes(&text[..length]).expect("digits can stand in a header")
    }

    /// How many bytes are asked for, where that is known without the size.
    pub(crate) fn asked(&self) -> Option<u64> {
        match self {
            GetRange::Bounded(range) => Some(range.end - range.start),
            GetRange::From(_) => None,
            GetRange::Last(bytes) => Some(*bytes),
        }
    }

    /// Whether a 416 can only mean that the object is empty: every other object has a first byte.
    pub(crate) fn means_empty(&self) -> bool {
        match self {
            GetRange::Bounded(range) => range.start == 0,
            GetRange::From(start) => *start == 0,
            GetRange::Last(bytes) => *bytes > 0,
        }
    }

    /// The bytes meant, of an object of so many; `None` where there are none.
    pub(crate) fn of(&self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            GetRange::Bounded(range) => range.start..range.end.min(size),
            GetRange::From(start) => *start..size,
            GetRange::Last(bytes) => size.saturating_sub(*bytes)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// The head of a read's answer, checked, and its body to come.
#[derive(Debug)]
pub(crate) struct GetReply {
    pub(crate) meta: LazyMeta,
    /// The size of the object.
    pub(crate) size: u64,
    pub(crate) etag: Option<String>,
    /// The bytes that the body holds.
    pub(crate) range: Range<u64>,
    pub(crate) body: Body,
}

/// What an answer's headers say of an object, read when somebody asks: most readers of ranges never do.
#[derive(Debug)]
pub(crate) struct LazyMeta {
    size: u64,
    headers: HeaderMap,
    parse: fn(&str, u64, &HeaderMap) -> ObjectMeta,
    /// Boxed: the whole is moved from layer to layer.
    parsed: OnceLock<Box<ObjectMeta>>,
}

impl LazyMeta {
    pub(crate) fn new(
        size: u64,
        headers: HeaderMap,
        parse: fn(&str, u64, &HeaderMap) -> ObjectMeta,
    ) -> LazyMeta {
        LazyMeta { size, headers, parse, parsed: OnceLock::new() }
    }

    /// What is known of the object, under the name that its reader knows it by.
    pub(crate) fn get(&self, key: &str) -> &ObjectMeta {
        self.parsed.get_or_init(|| Box::new((self.parse)(key, self.size, &self.headers)))
    }
}

impl From<ObjectMeta> for LazyMeta {
    fn from(meta: ObjectMeta) -> LazyMeta {
        LazyMeta {
            size: meta.size,
            headers: HeaderMap::new(),
            parse: |_, _, _| ObjectMeta::default(),
            parsed: OnceLock::from(Box::new(meta)),
        }
    }
}

/// What is known of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectMeta {
    /// The name, below the store's prefix.
    pub key: String,
    /// The size in bytes.
    pub size: u64,
    /// The entity tag, as the store writes it.
    pub etag: Option<String>,
    /// When it was last written.
    pub last_modified: Option<SystemTime>,
    /// The media type; not part of listings.
    pub content_type: Option<String>,
    /// The content coding it was stored with. It is never decoded here. Not part of listings.
    pub content_encoding: Option<String>,
    /// The checksum of the whole object, if the store told one.
    pub checksum: Option<Checksum>,
    /// The version, if the store told one.
    pub version: Option<String>,
    /// User metadata, names without their prefix (`opc-meta-`); not part of listings.
    pub metadata: BTreeMap<String, String>,
    /// The mark of the conditional write that made it, if one of ours did.
    pub(crate) mark: Option<String>,
}

/// A checksum of a whole object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-32C (Castagnoli).
    Crc32c(u32),
    /// MD5.
    Md5([u8; 16]),
}

/// A write of an object by one request.
#[derive(Clone, Debug)]
pub(crate) struct PutRequest {
    pub(crate) key: Arc<str>,
    pub(crate) body: Bytes,
    /// Of the body, to be sent and compared.
    pub(crate) checksum: Option<Checksum>,
    pub(crate) mode: PutMode,
    /// Names the call, kept with the object: tells whose an object is when the answer to a conditional write was lost.
    pub(crate) mark: Option<RequestId>,
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What a write does where an object of that name exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutMode {
    /// Replaces it.
    #[default]
    Overwrite,
    /// Fails: `AlreadyExists`.
    Create,
    /// Replaces it if it still has this entity tag, else fails: `Precondition`.
    Update(String),
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListRequest {
    pub(crate) prefix: String,
    pub(crate) delimiter: bool,
    /// Inclusive: where this page begins.
    pub(crate) start: Option<String>,
    /// Exclusive.
    pub(crate) start_after: Option<String>,
    /// Exclusive.
    pub(crate) end: Option<String>,
    pub(crate) page_size: Option<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct ListPage {
    pub(crate) objects: Vec<ObjectMeta>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page begins (inclusive); `None` after the last.
    pub(crate) next: Option<String>,
}

/// A bucket of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Option<SystemTime>,
}

#[derive(Debug, Default)]
pub(crate) struct BucketPage {
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) next: Option<String>,
}
