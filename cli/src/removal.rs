// SPDX-License-Identifier: Apache-2.0
//! Objects removed by as few requests as the store takes.

use crate::exit::{Ended, Exit};
use crate::place::url_of;
use crate::tally::Tally;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::sync::{Arc, Mutex};
use storescope::Store;

/// Removes objects by as few requests as the store takes, and counts how each ended.
pub(crate) async fn remove(
    store: &Store,
    keys: BoxStream<'static, Result<String, Exit>>,
    tally: &Tally,
) -> Ended {
    // A listing that breaks ends the names; why is told behind the results of those that came.
    let broken = Arc::new(Mutex::new(None));
    let told = Arc::clone(&broken);
    let keys = stream::unfold(keys, move |mut keys| {
        let told = Arc::clone(&told);
        async move {
            match keys.next().await? {
                Ok(key) => Some((key, keys)),
                Err(exit) => {
                    *told.lock().expect("no holder panics") = Some(exit);
                    None
                }
            }
        }
    });
    let mut removed = store.delete_many(keys.boxed());
    while let Some((key, result)) = removed.next().await {
        let name = json!({ "name": url_of(store, &key) });
        match result {
            Ok(()) => tally.removed(name),
            // Somebody else was faster: it is gone.
            Err(error) if error.is_not_found() => tally.skipped("gone", name),
            Err(error) => tally.failed(error.into(), name),
        }
    }
    let broken = broken.lock().expect("no holder panics").take();
    broken.map_or(Ok(()), Err)
}
