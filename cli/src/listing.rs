// SPDX-License-Identifier: Apache-2.0
//! The objects of a listing.

use futures_util::{Stream, StreamExt};
use std::future::ready;
use storescope::{ListEntry, ListOptions, ObjectMeta, Store};

/// The objects of a prefix.
pub(crate) fn objects(
    store: &Store,
    prefix: &str,
) -> impl Stream<Item = storescope::Result<ObjectMeta>> + Send + use<> {
    store.list(prefix, ListOptions::new()).filter_map(|entry| {
        ready(match entry {
            Ok(ListEntry::Object(meta)) => Some(Ok(meta)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    })
}
