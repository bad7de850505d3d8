// SPDX-License-Identifier: Apache-2.0
//! A stream of names, removed by batches, told in its order.

use super::super::object_store::Result;
use super::super::object_store::path::Path;
use super::error;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use std::collections::VecDeque;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use storescope::Store;

/// Removes what the stream names. A name that could not be told (an error in the stream) is told in its place, and what
/// comes after it is removed all the same.
pub(super) fn removed(
    store: &Store,
    locations: BoxStream<'static, Result<Path>>,
) -> BoxStream<'static, Result<Path>> {
    let asked = Asked::default();
    let (asking, left) = (asked.clone(), asked.clone());
    let keys = locations.filter_map(move |location| ready(asking.push(location)));
    let told = store.delete_many(keys.boxed()).flat_map(move |(_, removed)| {
        let (mut told, path) = asked.up_to_a_name();
        told.extend(path.map(|path| match removed {
            Ok(()) => Ok(path),
            Err(failure) => Err(error::of(failure, &path)),
        }));
        stream::iter(told)
    });
    let last = async move { stream::iter(left.up_to_a_name().0) };
    told.chain(last.flatten_stream()).boxed()
}

/// What was asked and not yet told, in its order.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<VecDeque<Result<Path>>>>);

impl Asked {
    /// The key to be removed, where there is one.
    fn push(&self, location: Result<Path>) -> Option<String> {
        let key = location.as_ref().ok().map(Path::to_string);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(location);
        key
    }

    /// The next name, and the errors before it.
    fn up_to_a_name(&self) -> (Vec<Result<Path>>, Option<Path>) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut errors = Vec::new();
        while let Some(location) = asked.pop_front() {
            match location {
                Ok(path) => return (errors, Some(path)),
                Err(error) => errors.push(Err(error)),
            }
        }
        (errors, None)
    }
}
