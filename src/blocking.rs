// SPDX-License-Identifier: Apache-2.0
//! The same names for callers without async: scripts, bindings. Each call waits on the client's own runtime.
//!
//! On a thread of a tokio runtime a blocking call would stop that runtime: it is an error of kind `Misuse`, never a
//! panic. (The threads of `spawn_blocking` cannot be told apart, and are refused, too.)

use crate::backend::ObjectMeta;
use crate::client::{Client, StoreOptions};
use crate::error::{Error, Result};
use crate::options::{DeleteOptions, GetOptions, ListOptions, PutOptions};
use crate::payload::Payload;
use crate::store::ListEntry;
use crate::url::StoreUrl;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::runtime::Handle;

/// A [`crate::Store`] whose calls wait.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    store: crate::Store,
}

impl Store {
    /// The store at `url`. No I/O.
    pub fn open(client: &Client, url: &StoreUrl, options: StoreOptions) -> Result<Store> {
        Ok(Store { client: client.clone(), store: client.store(url, options)? })
    }

    /// See [`crate::Store::head`].
    pub fn head(&self, key: &str) -> Result<ObjectMeta> {
        self.wait(self.store.head(key))?
    }

    /// The bytes that [`crate::Store::get`] answers, and what the object is.
    pub fn get(&self, key: &str, options: GetOptions) -> Result<(ObjectMeta, Bytes)> {
        self.wait(async {
            let got = self.store.get(key, options).await?;
            let meta = got.meta().clone();
            Ok((meta, got.bytes().await?))
        })?
    }

    /// See [`crate::Store::put`].
    pub fn put(
        &self,
        key: &str,
        body: impl Into<Payload>,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        self.wait(self.store.put(key, body.into(), options))?
    }

    /// See [`crate::Store::delete`].
    pub fn delete(&self, key: &str, options: DeleteOptions) -> Result<()> {
        self.wait(self.store.delete(key, options))?
    }

    /// See [`crate::Store::list`]. The iterator asks for a page when the one before is used up.
    pub fn list(
        &self,
        prefix: &str,
        options: ListOptions,
    ) -> impl Iterator<Item = Result<ListEntry>> + use<> {
        let this = self.clone();
        let mut entries = self.store.list(prefix, options);
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let entry = this.wait(entries.next()).unwrap_or_else(|error| Some(Err(error)));
            over = !matches!(entry, Some(Ok(_)));
            entry
        })
    }

    fn wait<T>(&self, call: impl Future<Output = T>) -> Result<T> {
        if Handle::try_current().is_ok() {
            return Err(Error::misuse(
                "a blocking call on a runtime's thread would stop that runtime: use the async twin",
            ));
        }
        Ok(self.client.own_runtime()?.block_on(call))
    }
}
