// SPDX-License-Identifier: Apache-2.0
//! Listings of writes by parts that were begun.

use super::chain::{Once, misread};
use crate::context::Target;
use crate::error::{Failure, Result};
use crate::timing::Operation;
use crate::types::Upload;
use futures_core::stream::BoxStream;
use futures_util::stream;
use std::collections::VecDeque;
use std::sync::Arc;

/// Writes by parts that were begun, names relative to the store's prefix.
pub(crate) fn uploads(target: &Target, prefix: &str) -> BoxStream<'static, Result<Upload>> {
    let listing = Uploads {
        prefix: target.full(prefix),
        target: target.clone(),
        found: VecDeque::new(),
        next: Some(None),
        once: Once::default(),
    };
    Box::pin(stream::try_unfold(listing, Uploads::step))
}

/// A listing of uploads under way.
struct Uploads {
    target: Target,
    prefix: Arc<str>,
    found: VecDeque<Upload>,
    /// What the next page is asked by; `Some(None)` for the first.
    #[expect(clippy::option_option, reason = "three states: the first page, a named one, none")]
    next: Option<Option<String>>,
    once: Once,
}

impl Uploads {
    async fn step(mut self) -> Result<Option<(Upload, Uploads)>> {
        loop {
            if let Some(upload) = self.found.pop_front() {
                return Ok(Some((upload, self)));
            }
            let Some(page) = self.next.take() else { return Ok(None) };
            let Uploads { target, prefix, once, .. } = &mut self;
            let mut call = target.begin(Operation::ListUploads, "", None)?;
            let list = async {
                let listed = call.list_uploads(prefix, page.as_deref()).await.and_then(|page| {
                    let uploads = below(page.uploads, prefix, target.prefix())?;
                    once.check(uploads, page.next, |upload| (upload.key.clone(), upload.id.clone()))
                });
                call.end(listed)
            };
            let (found, next) = target.context().run(list).await?;
            (self.found, self.next) = (found, next.map(Some));
        }
    }
}

/// Uploads under their names below the store's prefix; each lies within the prefix that was asked for.
fn below(uploads: Vec<Upload>, prefix: &str, store: &str) -> Result<Vec<Upload>, Failure> {
    let named = uploads.into_iter().map(|upload| {
        let name = upload.key.strip_prefix(store).filter(|_| upload.key.starts_with(prefix));
        match name.map(str::to_owned) {
            Some(key) => Ok(Upload { key, ..upload }),
            None => Err(misread(format!(
                "the listing of uploads of {prefix:?} names {:?}, which does not begin so",
                upload.key
            ))),
        }
    });
    named.collect()
}
