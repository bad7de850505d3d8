// SPDX-License-Identifier: Apache-2.0
//! An object as the headers of an answer describe it.

use std::time::SystemTime;

use http::StatusCode;
use http::header::{ACCEPT_RANGES, HeaderName, HeaderValue};

use super::digests::base64_crc;
use crate::clock::rfc3339;
use crate::reply::Reply;
use crate::state::Object;

/// 200 with what every write answers.
pub(super) fn written(object: &Object) -> Reply {
    Reply::empty(StatusCode::OK)
        .with_text("etag", &object.etag)
        .with_text("last-modified", &httpdate::fmt_http_date(object.modified))
        .with_text("version-id", &object.version)
}

impl Reply {
    /// Adds an object's checksums beside MD5 and CRC32C that this API knows.
    pub(super) fn with_checksums(mut self, object: &Object) -> Reply {
        for (algorithm, value) in &object.checksums {
            let name = match (algorithm.as_str(), object.is_multipart()) {
                ("sha256", false) => "opc-content-sha256",
                ("sha384", false) => "opc-content-sha384",
                ("sha256", true) => "opc-multipart-sha256",
                ("sha384", true) => "opc-multipart-sha384",
                _ => continue,
            };
            self = self.with_text(name, value);
        }
        self
    }
}

/// 200 with an object's headers and no body yet.
pub(super) fn described(object: &Object, now: SystemTime) -> Reply {
    let md5 = if object.is_multipart() { "opc-multipart-md5" } else { "content-md5" };
    let mut reply = written(object)
        .with(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        .with_text(md5, &object.md5)
        .with_text("opc-content-crc32c", &base64_crc(object.crc32c))
        .with_text("storage-tier", &object.storage_tier)
        .with_checksums(object);
    if let Some(archived) = object.archived {
        reply = reply
            .with_text("archival-state", archival_state(object, now))
            .with_text("time-of-archival", &rfc3339(archived));
    }
    // What S3 alone knows is told there.
    for (name, value) in object.headers.iter().filter(|(name, _)| !is_of_s3(name)) {
        reply.headers.append(name, value.clone());
    }
    reply
}

fn is_of_s3(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-amz-")
}

pub(super) fn archival_state(object: &Object, now: SystemTime) -> &'static str {
    if object.is_archived(now) { "Archived" } else { "Restored" }
}
