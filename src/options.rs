// SPDX-License-Identifier: Apache-2.0
//! What a caller may say of a call. Each begins at its defaults: `GetOptions::new().range(0..4096)`.

use crate::types::{About, GetRange, ObjectMeta, PutMode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How to read an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GetOptions {
    pub(crate) range: Option<GetRange>,
    pub(crate) if_match: Option<String>,
    pub(crate) verify: Option<bool>,
    pub(crate) deadline: Option<Duration>,
}

impl GetOptions {
    /// The whole object.
    pub fn new() -> GetOptions {
        GetOptions::default()
    }

    /// Only these bytes.
    #[must_use]
    pub fn range(mut self, range: impl Into<GetRange>) -> GetOptions {
        self.range = Some(range.into());
        self
    }

    /// Only if the object still has this entity tag; else `Precondition`.
    #[must_use]
    pub fn if_match(mut self, etag: impl Into<String>) -> GetOptions {
        self.if_match = Some(etag.into());
        self
    }

    /// Whether to check a whole object against the store's checksum; without it, the setting `verify`.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> GetOptions {
        self.verify = Some(verify);
        self
    }

    /// Time for the whole call, its body included.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> GetOptions {
        self.deadline = Some(deadline);
        self
    }
}

/// How to write an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PutOptions {
    pub(crate) mode: PutMode,
    pub(crate) checksum: ChecksumMode,
    pub(crate) about: About,
    pub(crate) deadline: Option<Duration>,
    pub(crate) size: Option<u64>,
    pub(crate) progress: Option<Progress>,
}

/// Is told the bytes that the store has so far.
#[derive(Clone)]
pub(crate) struct Progress(Arc<dyn Fn(u64) + Send + Sync>);

impl Progress {
    pub(crate) fn tell(&self, bytes: u64) {
        (self.0)(bytes);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Which checksum is sent with a write, and compared with the answer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChecksumMode {
    /// CRC32C, or none where the setting `verify` is off.
    #[default]
    Auto,
    /// CRC32C.
    Crc32c,
    /// MD5 (`Content-MD5`).
    Md5,
    /// None.
    Off,
}

impl PutOptions {
    /// Overwrites, with a CRC32C.
    pub fn new() -> PutOptions {
        PutOptions::default()
    }

    /// What to do where an object of that name exists.
    #[must_use]
    pub fn mode(mut self, mode: PutMode) -> PutOptions {
        self.mode = mode;
        self
    }

    /// Which checksum to send and compare.
    #[must_use]
    pub fn checksum(mut self, checksum: ChecksumMode) -> PutOptions {
        self.checksum = checksum;
        self
    }

    /// The media type; without it, `application/octet-stream`.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> PutOptions {
        self.about.content_type = Some(content_type.into());
        self
    }

    /// The content coding, told to readers as it is. The bytes are not encoded here.
    #[must_use]
    pub fn content_encoding(mut self, content_encoding: impl Into<String>) -> PutOptions {
        self.about.content_encoding = Some(content_encoding.into());
        self
    }

    /// The language of the content.
    #[must_use]
    pub fn content_language(mut self, language: impl Into<String>) -> PutOptions {
        self.about.content_language = Some(language.into());
        self
    }

    /// How a browser is to present it.
    #[must_use]
    pub fn content_disposition(mut self, disposition: impl Into<String>) -> PutOptions {
        self.about.content_disposition = Some(disposition.into());
        self
    }

    /// How long caches may keep it.
    #[must_use]
    pub fn cache_control(mut self, control: impl Into<String>) -> PutOptions {
        self.about.cache_control = Some(control.into());
        self
    }

    /// What an object that is read elsewhere has: content type and the like, and user metadata.
    #[must_use]
    pub fn like(mut self, meta: &ObjectMeta) -> PutOptions {
        self.about = About {
            content_type: meta.content_type.clone(),
            content_encoding: meta.content_encoding.clone(),
            content_language: meta.content_language.clone(),
            content_disposition: meta.content_disposition.clone(),
            cache_control: meta.cache_control.clone(),
            metadata: meta.metadata.clone(),
            mark: None,
        };
        self
    }

    /// How many bytes a writer will be given. A writer that is given another number fails; one that knows sizes its
    /// parts so that they are few enough.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> PutOptions {
        self.size = Some(bytes);
        self
    }

    /// Calls `progress` with the number of bytes that the store has so far, after each part. It runs where the write
    /// runs, so it must be quick.
    #[must_use]
    pub fn progress(mut self, progress: impl Fn(u64) + Send + Sync + 'static) -> PutOptions {
        self.progress = Some(Progress(Arc::new(progress)));
        self
    }

    /// An item of user metadata; names are case-insensitive and come back in lower case. A value that no header can hold
    /// (not ASCII, a control character, a blank at its end) is sent as RFC 2047 has it, and comes back as it was given.
    /// A name that no header can have, or more than a request can carry, is `InvalidInput`.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> PutOptions {
        self.about.metadata.insert(name.into(), value.into());
        self
    }

    /// Time for the whole call.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> PutOptions {
        self.deadline = Some(deadline);
        self
    }
}

/// How to remove an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DeleteOptions {
    pub(crate) if_match: Option<String>,
}

impl DeleteOptions {
    /// Whatever it holds.
    pub fn new() -> DeleteOptions {
        DeleteOptions::default()
    }

    /// Only if it still has this entity tag; else `Precondition`.
    #[must_use]
    pub fn if_match(mut self, etag: impl Into<String>) -> DeleteOptions {
        self.if_match = Some(etag.into());
        self
    }
}

/// What to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListOptions {
    pub(crate) delimiter: bool,
    pub(crate) start_after: Option<String>,
    pub(crate) end: Option<String>,
    pub(crate) page_size: Option<u32>,
}

impl ListOptions {
    /// All names, however deep.
    pub fn new() -> ListOptions {
        ListOptions::default()
    }

    /// Rolls up what lies below the next `/` into prefixes, as a folder is listed.
    #[must_use]
    pub fn delimiter(mut self, delimiter: bool) -> ListOptions {
        self.delimiter = delimiter;
        self
    }

    /// Only names after this one, in byte order.
    #[must_use]
    pub fn start_after(mut self, key: impl Into<String>) -> ListOptions {
        self.start_after = Some(key.into());
        self
    }

    /// Only names before this one, in byte order.
    ///
    /// With [`delimiter`](ListOptions::delimiter), a prefix that `end` itself lies below is told where a name below it
    /// comes before `end`. S3 has no such parameter and answers prefixes without what is below them: there that one
    /// prefix is always told, and listing it up to `end` may find nothing.
    #[must_use]
    pub fn end(mut self, key: impl Into<String>) -> ListOptions {
        self.end = Some(key.into());
        self
    }

    /// Names asked for at once; without it, the service's own (1,000).
    #[must_use]
    pub fn page_size(mut self, names: u32) -> ListOptions {
        self.page_size = Some(names);
        self
    }
}

/// How to change an object's name.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RenameOptions {
    pub(crate) mode: PutMode,
    pub(crate) source: Option<ObjectMeta>,
}

impl RenameOptions {
    /// Replaces what has the new name.
    pub fn new() -> RenameOptions {
        RenameOptions::default()
    }

    /// What to do where an object of the new name exists.
    #[must_use]
    pub fn mode(mut self, mode: PutMode) -> RenameOptions {
        self.mode = mode;
        self
    }

    /// What is known of the object (from a listing, say): saves asking for it. If it has another entity tag by now,
    /// the rename fails with `Precondition`.
    #[must_use]
    pub fn source(mut self, meta: ObjectMeta) -> RenameOptions {
        self.source = Some(meta);
        self
    }
}

/// How to copy an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CopyOptions {
    pub(crate) mode: PutMode,
    pub(crate) source: Option<ObjectMeta>,
    pub(crate) progress: Option<Progress>,
}

impl CopyOptions {
    /// Replaces what has the name of the copy.
    pub fn new() -> CopyOptions {
        CopyOptions::default()
    }

    /// What to do where an object of that name exists.
    #[must_use]
    pub fn mode(mut self, mode: PutMode) -> CopyOptions {
        self.mode = mode;
        self
    }

    /// What is known of the object: see [`RenameOptions::source`].
    #[must_use]
    pub fn source(mut self, meta: ObjectMeta) -> CopyOptions {
        self.source = Some(meta);
        self
    }

    /// Calls `progress` with the number of bytes copied so far, where they pass through here or go by parts.
    #[must_use]
    pub fn progress(mut self, progress: impl Fn(u64) + Send + Sync + 'static) -> CopyOptions {
        self.progress = Some(Progress(Arc::new(progress)));
        self
    }
}
