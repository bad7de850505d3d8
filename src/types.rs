// SPDX-License-Identifier: Apache-2.0
//! The values that callers, the engines and the backends share: what an object is, which of its bytes are meant, what a
//! write does to what is there.

use crate::timing::RequestId;
use hyper::header::HeaderValue;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::SystemTime;

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

/// An entry of a listing.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every entry is an object: a box each would cost more"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListEntry {
    /// An object.
    Object(ObjectMeta),
    /// A common prefix of names, its `/` included.
    Prefix(String),
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

/// A bucket of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Option<SystemTime>,
}
