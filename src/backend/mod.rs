// SPDX-License-Identifier: Apache-2.0
//! What a store can do, one HTTP request at a time.
//!
//! A backend turns an operation into a request, sends it, and classifies the answer. It does not sleep, retry or
//! cache; `attempt` does. The trait is the crate's own (sealed by being private): OCI now, S3 and any `object_store`
//! behind the same.

#[cfg(feature = "object-store")]
pub(crate) mod object_store;
pub(crate) mod oci;
mod promise;
#[cfg(feature = "s3")]
pub(crate) mod s3;
mod transient;

pub(crate) mod etag;
mod metadata;
mod unsaid;

use crate::auth::Again;
use crate::error::{ErrorKind, Failure};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, RequestId};
use crate::transport::Body;
use hyper::header::{HeaderMap, HeaderValue};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
pub(crate) use transient::{Effect, transient};

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

    /// What it can do by one request, and where its limits are.
    fn abilities(&self) -> Abilities;

    /// The service behind it: between two backends of one service, objects are copied without passing through here.
    fn service(&self) -> ServiceId;

    /// Where its objects are, for a copy to them.
    fn place<'a>(&'a self, timer: &'a AttemptTimer) -> Answer<'a, Place> {
        let _ = timer;
        let what = "this store does not offer copies inside the service";
        Box::pin(std::future::ready(Err(Failure::new(ErrorKind::Unsupported).message(what))))
    }

    /// Gives an object another name, by one request; what the answer tells of it. Only where [`Abilities::rename`]
    /// says so.
    fn rename<'a>(
        &'a self,
        request: &'a RenameRequest,
        attempt: Attempt,
    ) -> Answer<'a, ObjectMeta> {
        let _ = request;
        refused(attempt, "renaming by one request")
    }

    /// Copies an object to a backend of the same service.
    fn copy<'a>(&'a self, request: &'a CopyRequest, attempt: Attempt) -> Answer<'a, Copied> {
        let _ = request;
        refused(attempt, "copies inside the service")
    }

    /// How far an accepted copy is.
    fn copying<'a>(&'a self, work: &'a str, attempt: Attempt) -> Answer<'a, Copied> {
        let _ = work;
        refused(attempt, "work requests")
    }

    /// Removes many objects; one result a key, in their order.
    fn delete_many<'a>(
        &'a self,
        keys: &'a [String],
        attempt: Attempt,
    ) -> Answer<'a, Vec<Result<(), Failure>>> {
        let _ = keys;
        refused(attempt, "removal of many objects by one request")
    }

    /// Begins a write by parts; its id.
    fn begin_upload<'a>(
        &'a self,
        request: &'a UploadRequest,
        attempt: Attempt,
    ) -> Answer<'a, String> {
        let _ = request;
        refused(attempt, "writes by parts")
    }

    fn put_part<'a>(&'a self, request: &'a PartRequest, attempt: Attempt) -> Answer<'a, Part> {
        let _ = request;
        refused(attempt, "writes by parts")
    }

    /// A part made of bytes that the service has. Only where [`Abilities::copies_parts_above`] says so.
    fn copy_part<'a>(&'a self, request: &'a CopyPartRequest, attempt: Attempt) -> Answer<'a, Part> {
        let _ = request;
        refused(attempt, "copies by parts")
    }

    /// Makes the object of its parts.
    fn commit_upload<'a>(
        &'a self,
        request: &'a CommitRequest,
        attempt: Attempt,
    ) -> Answer<'a, ObjectMeta> {
        let _ = request;
        refused(attempt, "writes by parts")
    }

    fn abort_upload<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> Answer<'a, ()> {
        let _ = upload;
        refused(attempt, "writes by parts")
    }

    /// Writes by parts that were begun and not ended.
    fn list_uploads<'a>(
        &'a self,
        prefix: &'a str,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, UploadPage> {
        let _ = (prefix, page);
        refused(attempt, "listing writes by parts")
    }

    /// Whether a write by parts holds any.
    fn has_parts<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> Answer<'a, bool> {
        let _ = upload;
        refused(attempt, "listing parts")
    }

    fn create_bucket(&self, attempt: Attempt) -> Answer<'_, ()>;
    fn delete_bucket(&self, attempt: Attempt) -> Answer<'_, ()>;
    fn list_buckets<'a>(
        &'a self,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, BucketPage>;
}

/// A condition that failed on a creation means that the object exists.
pub(crate) fn exists(mut failure: Failure, mode: &PutMode) -> Failure {
    if failure.kind == ErrorKind::Precondition && *mode == PutMode::Create {
        failure.kind = ErrorKind::AlreadyExists;
    }
    failure
}

/// The answer of a backend that does not offer an operation: nothing is sent, nothing recorded.
fn refused<'a, T: Send + 'a>(attempt: Attempt, what: &str) -> Answer<'a, T> {
    let failure =
        Failure::new(ErrorKind::Unsupported).message(format!("this store does not offer {what}"));
    Box::pin(std::future::ready(Err(unsent(failure, attempt))))
}

/// A failure before anything was sent: there was no attempt.
pub(crate) fn unsent(mut failure: Failure, attempt: Attempt) -> Failure {
    attempt.timer.discard();
    failure.unsent = true;
    failure
}

/// What a backend can do by one request.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "abilities of which none follows from another")]
pub(crate) struct Abilities {
    /// An object is renamed by one request.
    pub(crate) rename: bool,
    /// Objects that one request removes; 0 where each takes one of its own.
    pub(crate) delete_many: usize,
    /// What a copy demands of its target is judged by each server of the kind.
    pub(crate) conditional_copies: bool,
    /// Objects larger than this are copied inside the service by parts, of at most so many bytes each.
    pub(crate) copies_parts_above: Option<u64>,
    /// The smallest part, but for the last.
    pub(crate) least_part: u64,
    /// The largest part.
    pub(crate) most_part: u64,
    /// The most parts.
    pub(crate) parts: u32,
    /// Listings come in the byte order of names. Those of S3's directory buckets do not.
    pub(crate) ordered_listings: bool,
    /// Listings know an `end`. S3's do not.
    pub(crate) ends_listings: bool,
}

/// Which service a backend speaks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServiceId {
    /// OCI by its native API; the endpoint, where the settings name one.
    Oci(Option<String>),
    /// S3, likewise.
    #[cfg_attr(not(feature = "s3"), expect(dead_code, reason = "made by the s3 backend"))]
    S3(Option<String>),
    /// Something that copies nothing for us.
    Other,
}

/// Where a bucket is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) region: String,
    pub(crate) namespace: String,
    pub(crate) bucket: String,
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
            GetRange::Bounded(range) => {
                // No object is as large, and not every server reads more than 63 bits.
                let end = (range.end - 1).min(i64::MAX as u64);
                (first.format(range.start), last.format(end))
            }
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
    /// The language of its content; not part of listings.
    pub content_language: Option<String>,
    /// How a browser presents it; not part of listings.
    pub content_disposition: Option<String>,
    /// How long caches keep it; not part of listings.
    pub cache_control: Option<String>,
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
    pub(crate) body: Payload,
    /// Of the body, to be sent and compared.
    pub(crate) checksum: Option<Checksum>,
    pub(crate) mode: PutMode,
    pub(crate) about: About,
}

/// What is kept with an object and told to its readers.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// Names the call, kept with the object: tells whose an object is when the answer to a conditional write was lost.
    pub(crate) mark: Option<RequestId>,
}

impl About {
    pub(crate) fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or("application/octet-stream")
    }

    /// The headers that both protocols name alike, but for the content type.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("content-encoding", &self.content_encoding),
            ("content-language", &self.content_language),
            ("content-disposition", &self.content_disposition),
            ("cache-control", &self.cache_control),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// What a write's answer does not repeat.
    pub(crate) fn told(&self, meta: ObjectMeta) -> ObjectMeta {
        let about = self.clone();
        ObjectMeta {
            content_type: Some(about.content_type().to_owned()),
            content_encoding: about.content_encoding,
            content_language: about.content_language,
            content_disposition: about.content_disposition,
            cache_control: about.cache_control,
            metadata: about.metadata,
            ..meta
        }
    }
}

/// The beginning of a write by parts.
#[derive(Clone, Debug)]
pub(crate) struct UploadRequest {
    pub(crate) key: Arc<str>,
    pub(crate) mode: PutMode,
    /// Whether parts come with a CRC32C, and the object gets one.
    pub(crate) checksum: bool,
    pub(crate) about: About,
}

/// A part to be written.
#[derive(Clone, Debug)]
pub(crate) struct PartRequest {
    pub(crate) upload: Upload,
    /// From 1.
    pub(crate) number: u32,
    pub(crate) body: Payload,
    pub(crate) checksum: Option<Checksum>,
}

impl PartRequest {
    /// The part that it is once it was stored under this ETag.
    pub(crate) fn stored(&self, etag: String) -> Part {
        let crc32c = match self.checksum {
            Some(Checksum::Crc32c(crc)) => Some(crc),
            _ => None,
        };
        Part { number: self.number, etag, crc32c, size: self.body.len() }
    }
}

/// A part to be made of bytes of another object.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "s3"), expect(dead_code, reason = "read by the s3 backend"))]
pub(crate) struct CopyPartRequest {
    pub(crate) upload: Upload,
    pub(crate) number: u32,
    pub(crate) from_bucket: String,
    pub(crate) from: Arc<str>,
    pub(crate) from_etag: Option<String>,
    pub(crate) range: Range<u64>,
}

/// A part that is there.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) etag: String,
    pub(crate) crc32c: Option<u32>,
    pub(crate) size: u64,
}

/// The end of a write by parts.
#[derive(Clone, Debug)]
pub(crate) struct CommitRequest {
    pub(crate) upload: Upload,
    /// By number, without gaps.
    pub(crate) parts: Vec<Part>,
    /// Of the whole object, to be compared with what the store made of it.
    pub(crate) crc32c: Option<u32>,
    pub(crate) mode: PutMode,
}

impl CommitRequest {
    pub(crate) fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }
}

/// A write by parts that was begun: what it writes, and the store's name for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upload {
    /// The object's name, below the store's prefix.
    pub key: String,
    /// The store's name for the write.
    pub id: String,
    /// When it was begun, where the store says it.
    pub begun: Option<SystemTime>,
}

impl Upload {
    /// One that another process began, by its names.
    pub fn new(key: impl Into<String>, id: impl Into<String>) -> Upload {
        Upload { key: key.into(), id: id.into(), begun: None }
    }
}

#[derive(Debug, Default)]
pub(crate) struct UploadPage {
    pub(crate) uploads: Vec<Upload>,
    pub(crate) next: Option<Next>,
}

/// A change of name.
#[derive(Clone, Debug)]
pub(crate) struct RenameRequest {
    pub(crate) from: Arc<str>,
    pub(crate) to: Arc<str>,
    pub(crate) from_etag: Option<String>,
    pub(crate) mode: PutMode,
}

/// A copy to a backend of the same service.
#[derive(Clone, Debug)]
pub(crate) struct CopyRequest {
    pub(crate) from: Arc<str>,
    pub(crate) from_etag: Option<String>,
    pub(crate) target: Arc<dyn Backend>,
    pub(crate) to: Arc<str>,
    pub(crate) mode: PutMode,
}

/// How far a copy is.
#[derive(Clone, Debug)]
pub(crate) enum Copied {
    /// It is there; with what the store tells of it, if it does.
    Done(Option<String>),
    /// It goes on; the name to ask by, and how long to wait until then, if the service says it.
    Accepted(String, Option<Duration>),
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

/// One page of a listing. What comes back is checked by `listing`, not by the backends.
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
    /// Where this page begins, in the service's own words.
    pub(crate) token: Option<String>,
    pub(crate) page_size: Option<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct ListPage {
    pub(crate) objects: Vec<ObjectMeta>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page begins; `None` after the last.
    pub(crate) next: Option<Next>,
}

/// Where the next page of a listing begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// At this name, inclusive.
    Name(String),
    /// What the service calls it.
    Token(String),
    /// Nowhere, although the service says that there is more.
    Missing,
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
    pub(crate) next: Option<Next>,
}
