// SPDX-License-Identifier: Apache-2.0
//! Uploads by parts: those that are open, and those that were committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::headers::{self, Headers};
use super::object::{Checksums, ObjectPart};
use crate::content::Content;

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
    #[serde(with = "headers")]
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

/// An upload that became an object, kept for repeated requests: what the object is, whatever became of it since.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "s3"), expect(dead_code, reason = "S3 asks for it"))]
pub(crate) struct Completed {
    pub(crate) name: String,
    pub(crate) upload: String,
    pub(crate) s3_etag: String,
    pub(crate) checksums: Checksums,
    pub(crate) parts: Vec<ObjectPart>,
}
