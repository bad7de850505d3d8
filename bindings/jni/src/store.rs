// SPDX-License-Identifier: Apache-2.0
//! One bucket, as a Java file system has it, and what is done to whole trees of it.

use crate::clients;
use crate::credentials::Provider;
use crate::raised::{Raised, Result};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use storescope::timing::Scope;
use storescope::{
    DeleteOptions, Error, ErrorKind, ListEntry, ListOptions, ObjectMeta, PutMode, RenameOptions,
    Store, StoreUrl,
};
use storescope_bindings::lock::locked;

/// Single removals under way at once, where batches are not wanted.
const SINGLES: usize = 16;

/// A bucket, the scope of its file system, and what names it among the readers that are cached.
pub(crate) struct OpenStore {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    /// Equal for two that reach the same bucket by the same settings.
    pub(crate) identity: Arc<str>,
}

impl OpenStore {
    /// `given`: who signs, in place of what the settings name, by the number of its desk.
    pub(crate) fn open(
        url: &str,
        settings: Vec<(String, String)>,
        scope: &str,
        given: Option<(i64, Provider)>,
    ) -> Result<OpenStore> {
        let parsed: StoreUrl = url.parse()?;
        let (number, given) = given.unzip();
        let identity = settings.iter().fold(format!("{url}\n{number:?}"), |text, (name, value)| {
            format!("{text}\n{name}={value}")
        });
        let (client, options) = clients::client(settings)?;
        let options = match given {
            Some(given) => options.credentials(given),
            None => options,
        };
        let scope = client.metrics().scope().child(scope);
        let store = client.store(&parsed, options.scope(&scope))?;
        Ok(OpenStore { store, scope, identity: identity.into() })
    }

    /// The same bucket, which records in another scope.
    pub(crate) fn recording_in(&self, scope: Scope) -> OpenStore {
        let store = self.store.with_scope(&scope);
        OpenStore { store, scope, identity: Arc::clone(&self.identity) }
    }

    /// What an object is, if there is one.
    pub(crate) async fn head(&self, key: &str) -> storescope::Result<Option<ObjectMeta>> {
        found(self.store.head(key).await)
    }

    /// The first entries below a prefix, by one request.
    pub(crate) async fn first(
        &self,
        prefix: &str,
        most: u32,
    ) -> storescope::Result<Vec<ListEntry>> {
        let listed = self.store.list(prefix, ListOptions::new().page_size(most));
        listed.take(most as usize).try_collect().await
    }

    /// Removes an object; whether there was one.
    pub(crate) async fn delete(&self, key: &str) -> storescope::Result<bool> {
        Ok(found(self.store.delete(key, DeleteOptions::new()).await)?.is_some())
    }

    /// Removes many; what went wrong with each, if anything did.
    pub(crate) async fn delete_many(&self, keys: Vec<String>, batched: bool) -> Vec<Option<Error>> {
        let removed = self.remove(stream::iter(keys), batched);
        removed.map(|(_, removed)| found(removed).err()).collect().await
    }

    /// Removes all below a prefix, and tells how many; listed and removed at once.
    pub(crate) async fn delete_tree(&self, prefix: &str, batched: bool) -> storescope::Result<u64> {
        let failed = Arc::new(std::sync::Mutex::new(None));
        let seen = Arc::clone(&failed);
        let keys = self.store.list(prefix, ListOptions::new()).filter_map(move |entry| {
            let key = match entry {
                Ok(ListEntry::Object(meta)) => Some(meta.key),
                Ok(_) => None,
                Err(error) => {
                    locked(&seen).get_or_insert(error);
                    None
                }
            };
            std::future::ready(key)
        });
        let removed = self
            .remove(keys, batched)
            .map(|(_, removed)| found(removed))
            .try_fold(0, |count, one| async move { Ok(count + u64::from(one.is_some())) })
            .await;
        // A listing that broke off left some.
        match locked(&failed).take() {
            Some(error) => Err(error),
            None => removed,
        }
    }

    fn remove(
        &self,
        keys: impl Stream<Item = String> + Send + 'static,
        batched: bool,
    ) -> stream::BoxStream<'static, (String, storescope::Result<()>)> {
        if batched {
            return self.store.delete_many(keys.boxed());
        }
        let store = self.store.clone();
        let one = move |key: String| {
            let store = store.clone();
            async move {
                let removed = store.delete(&key, DeleteOptions::new()).await;
                (key, removed)
            }
        };
        keys.map(one).buffered(SINGLES).boxed()
    }

    /// Gives an object another name.
    pub(crate) async fn rename(
        &self,
        from: &str,
        to: &str,
        known: Option<(u64, String)>,
        mode: PutMode,
    ) -> storescope::Result<ObjectMeta> {
        let mut options = RenameOptions::new().mode(mode);
        if let Some((size, etag)) = known {
            let mut source = ObjectMeta::default();
            (source.key, source.size, source.etag) = (from.to_owned(), size, Some(etag));
            options = options.source(source);
        }
        self.store.rename(from, to, options).await
    }

    /// Renames all objects below a prefix, `width` at a time, and tells how many. No new name may be taken. The directory's
    /// own marker comes last and replaces the target's: while it is there, the rename has not ended.
    ///
    /// After the first failure no rename begins; those under way end, so that the count is exact.
    pub(crate) async fn rename_tree(&self, tree: RenamedTree<'_>, width: usize) -> Result<u64> {
        let (renamed, failed, marker) = (AtomicU64::new(0), OnceLock::new(), OnceLock::new());
        let objects = self.store.list(tree.from, ListOptions::new());
        objects
            .take_while(|_| std::future::ready(failed.get().is_none()))
            .for_each_concurrent(width.max(1), |entry| async {
                let outcome = match entry {
                    Ok(ListEntry::Object(meta)) if meta.key == tree.from => {
                        let _ = marker.set(meta);
                        return;
                    }
                    Ok(ListEntry::Object(meta)) if failed.get().is_none() => {
                        self.rename_in(tree, meta).await
                    }
                    Ok(_) => return,
                    Err(error) => Err(error),
                };
                match outcome {
                    Ok(()) => drop(renamed.fetch_add(1, Relaxed)),
                    Err(error) => drop(failed.set(error)),
                }
            })
            .await;
        let failed = match (failed.into_inner(), marker.into_inner()) {
            (None, Some(marker)) => {
                let options = RenameOptions::new().mode(PutMode::Overwrite).source(marker);
                let moved = self.store.rename(tree.from, tree.to, options).await;
                moved.map(|_| renamed.fetch_add(1, Relaxed)).err()
            }
            (failed, _) => failed,
        };
        match (failed, renamed.into_inner()) {
            (None, count) => Ok(count),
            (Some(error), 0) if !tree.resumed => Err(error.into()),
            (Some(error), count) => Err(Raised::Partly {
                count,
                from: tree.from.to_owned(),
                to: tree.to.to_owned(),
                error,
            }),
        }
    }

    async fn rename_in(&self, tree: RenamedTree<'_>, meta: ObjectMeta) -> storescope::Result<()> {
        let (key, target) =
            (meta.key.clone(), format!("{}{}", tree.to, &meta.key[tree.from.len()..]));
        let options = RenameOptions::new().mode(PutMode::Create).source(meta);
        let Err(error) = self.store.rename(&key, &target, options).await else { return Ok(()) };
        // Where a rename is a copy and a removal, the first try may have ended between the two.
        if tree.resumed
            && error.kind() == ErrorKind::AlreadyExists
            && !self.store.renames_atomically()
            && self.is_copy(&key, &target).await?
        {
            return self.store.delete(&key, DeleteOptions::new()).await;
        }
        Err(error)
    }

    /// Whether the store proves by ETag or checksum that two objects hold the same bytes.
    async fn is_copy(&self, one: &str, other: &str) -> storescope::Result<bool> {
        let (one, other) = (self.store.head(one).await?, self.store.head(other).await?);
        let by_etag = one.etag.is_some() && one.etag == other.etag;
        let by_checksum = one.checksum.is_some() && one.checksum == other.checksum;
        Ok(one.size == other.size && (by_etag || by_checksum))
    }
}

/// A directory to rename: two prefixes that end with `/`.
#[derive(Clone, Copy)]
pub(crate) struct RenamedTree<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    /// An earlier rename of the same two was not finished.
    pub(crate) resumed: bool,
}

/// What is not there is no failure.
pub(crate) fn found<T>(outcome: storescope::Result<T>) -> storescope::Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
