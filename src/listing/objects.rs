// SPDX-License-Identifier: Apache-2.0
//! Listings of objects.

use super::chain::misread;
use super::names::{Named, Names};
use crate::backend::{ListRequest, Next};
use crate::context::Target;
use crate::error::{Failure, Result};
use crate::options::ListOptions;
use crate::timing::Operation;
use crate::types::ListEntry;
use futures_core::stream::BoxStream;
use futures_util::stream;
use std::collections::VecDeque;

/// The objects of a listing, names relative to the store's prefix.
pub(crate) fn objects(
    target: &Target,
    prefix: &str,
    options: ListOptions,
) -> BoxStream<'static, Result<ListEntry>> {
    let request = ListRequest {
        prefix: target.full(prefix).to_string(),
        delimiter: options.delimiter,
        start: None,
        start_after: options.start_after.map(|key| target.full(&key).to_string()),
        end: options.end.map(|key| target.full(&key).to_string()),
        token: None,
        page_size: options.page_size,
    };
    let listing = Objects {
        names: Names::new(&target.backend().abilities()),
        target: target.clone(),
        request: Some(request),
        page: VecDeque::new(),
    };
    Box::pin(stream::try_unfold(listing, Objects::step))
}

/// A listing of objects under way.
struct Objects {
    target: Target,
    /// Of the next page.
    request: Option<ListRequest>,
    page: VecDeque<ListEntry>,
    names: Names,
}

impl Objects {
    async fn step(mut self) -> Result<Option<(ListEntry, Objects)>> {
        loop {
            if let Some(entry) = self.page.pop_front() {
                return Ok(Some((entry, self)));
            }
            let Some(request) = self.request.take() else { return Ok(None) };
            self.next_page(request).await?;
        }
    }

    async fn next_page(&mut self, mut request: ListRequest) -> Result<()> {
        let Objects { target, names, .. } = self;
        target.context().check_open()?;
        let mut call = target.begin_always(Operation::List, request.prefix.as_str().into(), None);
        let below = target.prefix();
        let run = async {
            let page = call.list(&request).await;
            let checked = page.and_then(|page| {
                let (named, next) = names.check(&request, page)?;
                Ok((relative(named, below)?, next))
            });
            call.end(checked)
        };
        let (page, next) = target.context().run(run).await?;
        self.page = page;
        self.request = next.map(|next| {
            match next {
                Next::Name(name) => (request.start, request.start_after) = (Some(name), None),
                Next::Token(token) => request.token = Some(token),
                Next::Missing => {}
            }
            request
        });
        Ok(())
    }
}

/// Entries by their names below the store's prefix.
fn relative(named: Vec<Named>, below: &str) -> Result<VecDeque<ListEntry>, Failure> {
    let entries = named.into_iter().map(|Named { name, entry }| {
        let Some(rest) = name.strip_prefix(below) else {
            return Err(misread(format!("the listing of {below:?} names {name:?}")));
        };
        Ok(match entry {
            ListEntry::Object(mut meta) => {
                rest.clone_into(&mut meta.key);
                ListEntry::Object(meta)
            }
            _ => ListEntry::Prefix(rest.to_owned()),
        })
    });
    entries.collect()
}
