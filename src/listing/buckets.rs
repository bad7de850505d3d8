// SPDX-License-Identifier: Apache-2.0
//! Listings of buckets.

use super::chain::Once;
use crate::context::Target;
use crate::error::Result;
use crate::timing::Operation;
use crate::types::Bucket;
use futures_core::stream::BoxStream;
use futures_util::stream;
use std::collections::VecDeque;

/// The buckets of a service.
pub(crate) fn buckets(service: Target) -> BoxStream<'static, Result<Bucket>> {
    let listing =
        Buckets { service, found: VecDeque::new(), next: Some(None), once: Once::default() };
    Box::pin(stream::try_unfold(listing, Buckets::step))
}

/// A listing of buckets under way.
struct Buckets {
    service: Target,
    found: VecDeque<Bucket>,
    /// What the next page is asked by; `Some(None)` for the first.
    #[expect(clippy::option_option, reason = "three states: the first page, a named one, none")]
    next: Option<Option<String>>,
    once: Once,
}

impl Buckets {
    async fn step(mut self) -> Result<Option<(Bucket, Buckets)>> {
        loop {
            if let Some(bucket) = self.found.pop_front() {
                return Ok(Some((bucket, self)));
            }
            let Some(page) = self.next.take() else { return Ok(None) };
            let Buckets { service, once, .. } = &mut self;
            service.context().check_open()?;
            let mut call = service.begin_always(Operation::ListBuckets, "".into(), None);
            let list = async {
                let listed = call.list_buckets(page.as_deref()).await.and_then(|page| {
                    once.check(page.buckets, page.next, |bucket| bucket.name.clone())
                });
                call.end(listed)
            };
            let (found, next) = service.context().run(list).await?;
            (self.found, self.next) = (found, next.map(Some));
        }
    }
}
