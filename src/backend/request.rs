// SPDX-License-Identifier: Apache-2.0
//! What is asked of a backend, and what it answers.

use super::Backend;
use crate::payload::Payload;
use crate::timing::AttemptTimer;
use crate::transport::Body;
use crate::types::{About, Bucket, Checksum, GetRange, ObjectMeta, PutMode, Upload};
use hyper::header::HeaderMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// One try at an operation.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) timer: Box<AttemptTimer>,
    /// Wants a connection that was not used before.
    pub(crate) fresh: bool,
}

impl Attempt {
    /// Says how many bytes a read asks for, where that is known.
    pub(in crate::backend) fn asks(&mut self, range: Option<&GetRange>) {
        if let Some(asked) = range.and_then(GetRange::asked) {
            self.timer.asked(asked);
        }
    }
}

/// A read of an object, or of a range of it.
#[derive(Clone, Debug)]
pub(crate) struct GetRequest {
    pub(crate) key: Arc<str>,
    pub(crate) range: Option<GetRange>,
    pub(crate) if_match: Option<String>,
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

impl PutRequest {
    /// The object that it is, with what its answer told.
    #[must_use]
    pub(in crate::backend) fn stored(&self, told: ObjectMeta) -> ObjectMeta {
        let checksum = told.checksum.or(self.checksum);
        self.about.told(ObjectMeta { checksum, ..told })
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

#[derive(Debug, Default)]
pub(crate) struct BucketPage {
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) next: Option<Next>,
}
