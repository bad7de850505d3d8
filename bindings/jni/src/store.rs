// SPDX-License-Identifier: Apache-2.0
//! One bucket, as a Java file system has it, and what is done to whole trees of it.

use crate::process::Process;
use crate::raised::{Raised, Result};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use storescope::timing::Scope;
use storescope::{
    DeleteOptions, Error, ErrorKind, ListEntry, ListOptions, ObjectMeta, PutMode, RenameOptions,
    Store, StoreUrl,
};

/// Single removals under way at once, where batches are not wanted.
const SINGLES: usize = 16;

/// A bucket, the scope of its file system, and what names it among the tails that are kept.
pub(crate) struct OpenStore {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    /// Equal for two that reach the same bucket by the same settings.
    pub(crate) identity: Arc<str>,
}

impl OpenStore {
    pub(crate) fn open(
        url: &str,
        settings: Vec<(String, String)>,
        scope: &str,
    ) -> Result<OpenStore> {
        let parsed: StoreUrl = url.parse()?;
        let identity = settings
            .iter()
            .fold(url.to_owned(), |text, (name, value)| format!("{text}\n{name}={value}"));
        let (client, options) = Process::current().client(settings)?;
        let scope = client.metrics().scope().child(scope);
        let store = client.store(&parsed, options.scope(&scope))?;
        Ok(OpenStore { store, scope, identity: identity.into() })
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
                    crate::process::locked(&seen).get_or_insert(error);
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
        match crate::process::locked(&failed).take() {
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

    /// Gives an object another name, which must be free.
    pub(crate) async fn rename(
        &self,
        from: &str,
        to: &str,
        known: Option<(u64, String)>,
    ) -> storescope::Result<ObjectMeta> {
        let mut options = RenameOptions::new().mode(PutMode::Create);
        if let Some((size, etag)) = known {
            let mut source = ObjectMeta::default();
            (source.key, source.size, source.etag) = (from.to_owned(), size, Some(etag));
            options = options.source(source);
        }
        self.store.rename(from, to, options).await
    }

    /// Gives all below a prefix another one, `width` at a time. The first failure lets those under way end, and no other
    /// begin.
    pub(crate) async fn rename_tree(&self, from: &str, to: &str, width: usize) -> Result<u64> {
        let renamed = AtomicU64::new(0);
        let outcome = self
            .store
            .list(from, ListOptions::new())
            .try_filter_map(|entry| async move {
                Ok(match entry {
                    ListEntry::Object(meta) => Some(meta),
                    _ => None,
                })
            })
            .try_for_each_concurrent(width.max(1), |meta| {
                let (target, renamed) = (format!("{to}{}", &meta.key[from.len()..]), &renamed);
                let key = meta.key.clone();
                async move {
                    let options = RenameOptions::new().mode(PutMode::Create).source(meta);
                    self.store.rename(&key, &target, options).await?;
                    renamed.fetch_add(1, Relaxed);
                    Ok(())
                }
            })
            .await;
        let count = renamed.load(Relaxed);
        match outcome {
            Ok(()) => Ok(count),
            Err(error) => {
                Err(Raised::Partly { count, from: from.to_owned(), to: to.to_owned(), error })
            }
        }
    }
}

/// What is not there is no failure.
pub(crate) fn found<T>(outcome: storescope::Result<T>) -> storescope::Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
