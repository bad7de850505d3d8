// SPDX-License-Identifier: Apache-2.0
//! An object as it is stored.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::etag::{matches, new_etag, s3_etag};
use super::headers::{self, Headers};
use crate::content::Content;
use crate::error::ApiError;

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
    #[serde(with = "headers")]
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

/// Algorithm in small letters, and its value in base64.
pub(crate) type Checksums = Vec<(String, String)>;

impl Object {
    /// An object of this content; its digests are to be filled in.
    pub(crate) fn new(content: Content, tier: &str, headers: Headers, now: SystemTime) -> Object {
        Object {
            size: content.len(),
            content,
            etag: new_etag(),
            version: new_etag(),
            md5: String::new(),
            crc32c: 0,
            checksums: Vec::new(),
            created: now,
            modified: now,
            storage_tier: tier.to_owned(),
            archived: (tier == "Archive").then_some(now),
            restored_until: None,
            headers,
            parts: Vec::new(),
        }
    }

    /// A new object with the bytes of this one.
    pub(crate) fn copied(&self, tier: &str, headers: Headers, now: SystemTime) -> Object {
        Object {
            md5: self.md5.clone(),
            crc32c: self.crc32c,
            checksums: self.checksums.clone(),
            parts: self.parts.clone(),
            ..Object::new(self.content.clone(), tier, headers, now)
        }
    }
}

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
