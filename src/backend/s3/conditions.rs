// SPDX-License-Identifier: Apache-2.0
//! Entity tags as conditions, in the form in which the server writes them: some write them without quotes, and must be sent
//! them so.

use super::S3;
use crate::backend::etag;
use crate::backend::http::{self, WriteConditions};
use crate::error::Failure;
use crate::types::PutMode;
use hyper::header::{self, HeaderMap};
use std::sync::atomic::Ordering::Relaxed;

impl S3 {
    /// Learns the form in which the server writes its tags.
    pub(super) fn note_tag(&self, headers: &HeaderMap) {
        let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
        if let Some(tag) = tag
            && !etag::is_quoted(etag::strong(tag))
        {
            self.bare_tags.store(true, Relaxed);
        }
    }

    /// A tag, perhaps of a listing, in the form in which the server writes it in headers.
    pub(super) fn in_its_form<'a>(&self, tag: &'a str) -> &'a str {
        if self.bare_tags.load(Relaxed) && etag::is_quoted(tag) { etag::opaque(tag) } else { tag }
    }

    /// What a write demands of the object that is there.
    pub(super) fn conditions<'a>(&self, mode: &'a PutMode) -> Result<WriteConditions<'a>, Failure> {
        match mode {
            PutMode::Update(tag) => WriteConditions::matching(self.in_its_form(tag)),
            mode => WriteConditions::of(mode),
        }
    }

    /// The tag that a copy's source must have, where that can be asked.
    pub(super) fn source_tag(&self, tag: Option<&str>) -> Option<String> {
        http::source_tag(tag.map(|tag| self.in_its_form(tag))).map(str::to_owned)
    }
}
