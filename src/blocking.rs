// SPDX-License-Identifier: Apache-2.0
//! The same names for callers without async: scripts, bindings. Each call waits on the client's own runtime.
//!
//! On a thread of a tokio runtime a blocking call would stop that runtime: it is an error of kind `Misuse`, never a
//! panic. (The threads of `spawn_blocking` cannot be told apart, and are refused, too.)

mod io;
mod writer;

pub use io::BufReader;
pub use writer::Writer;

use crate::client::{Client, StoreOptions};
use crate::error::{Error, Result};
use crate::ops::UploadedPart;
use crate::options::{
    CopyOptions, DeleteOptions, GetOptions, ListOptions, PutOptions, RenameOptions,
};
use crate::payload::Payload;
use crate::read::{ReadOptions, Reader as AsyncReader};
use crate::store::Store as AsyncStore;
use crate::types::{ListEntry, ObjectMeta, Upload};
use crate::url::StoreUrl;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use std::ops::{Range, RangeBounds};
use std::path::Path;
use tokio::runtime::Handle;

/// A [`crate::Store`] whose calls wait.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    store: AsyncStore,
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
        self.told(self.store.list(prefix, options))
    }

    /// See [`crate::Store::writer`].
    pub fn writer(&self, key: &str, options: PutOptions) -> Writer {
        Writer { client: self.client.clone(), writer: self.store.writer(key, options) }
    }

    /// See [`crate::Store::put_file`].
    pub fn put_file(
        &self,
        key: &str,
        file: impl AsRef<Path>,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        self.wait(self.store.put_file(key, file, options))?
    }

    /// See [`crate::Store::rename`].
    pub fn rename(&self, from: &str, to: &str, options: RenameOptions) -> Result<ObjectMeta> {
        self.wait(self.store.rename(from, to, options))?
    }

    /// See [`crate::Store::copy`].
    pub fn copy(&self, from: &str, to: (&Store, &str), options: CopyOptions) -> Result<ObjectMeta> {
        self.wait(self.store.copy(from, (&to.0.store, to.1), options))?
    }

    /// See [`crate::Store::delete_many`].
    pub fn delete_many(
        &self,
        keys: impl IntoIterator<Item = String, IntoIter: Send + 'static>,
    ) -> Result<Vec<(String, Result<()>)>> {
        self.wait(self.store.delete_many(stream::iter(keys).boxed()).collect())
    }

    /// See [`crate::Store::uploads`].
    pub fn uploads(&self, prefix: &str) -> impl Iterator<Item = Result<Upload>> + use<> {
        self.told(self.store.uploads(prefix))
    }

    /// See [`crate::Store::begin_upload`].
    pub fn begin_upload(&self, key: &str, options: PutOptions) -> Result<Upload> {
        self.wait(self.store.begin_upload(key, options))?
    }

    /// See [`crate::Store::put_part`].
    pub fn put_part(
        &self,
        upload: &Upload,
        number: u32,
        body: impl Into<Payload>,
    ) -> Result<UploadedPart> {
        self.wait(self.store.put_part(upload, number, body.into()))?
    }

    /// See [`crate::Store::complete_upload`].
    pub fn complete_upload(&self, upload: &Upload, parts: Vec<UploadedPart>) -> Result<ObjectMeta> {
        self.wait(self.store.complete_upload(upload, parts))?
    }

    /// See [`crate::Store::abort_upload`].
    pub fn abort_upload(&self, upload: &Upload) -> Result<()> {
        self.wait(self.store.abort_upload(upload))?
    }

    /// See [`crate::Store::reader`].
    pub fn reader(&self, key: &str, options: ReadOptions) -> Reader {
        Reader { client: self.client.clone(), reader: self.store.reader(key, options) }
    }

    fn wait<T>(&self, call: impl Future<Output = T>) -> Result<T> {
        wait(&self.client, call)
    }

    /// What a stream gives, until it fails.
    fn told<T, S>(&self, mut entries: S) -> impl Iterator<Item = Result<T>> + use<T, S>
    where
        S: Stream<Item = Result<T>> + Unpin,
    {
        let client = self.client.clone();
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let entry = wait(&client, entries.next()).unwrap_or_else(|error| Some(Err(error)));
            over = !matches!(entry, Some(Ok(_)));
            entry
        })
    }
}

/// A [`crate::Reader`] whose calls wait. Any number of threads may read by it.
#[derive(Clone, Debug)]
pub struct Reader {
    client: Client,
    reader: AsyncReader,
}

impl Reader {
    /// See [`crate::Reader::meta`].
    pub fn meta(&self) -> Result<&ObjectMeta> {
        wait(&self.client, self.reader.meta())?
    }

    /// See [`crate::Reader::read_at`].
    pub fn read_at(&self, range: Range<u64>) -> Result<Bytes> {
        wait(&self.client, self.reader.read_at(range))?
    }

    /// See [`crate::Reader::read_into`].
    pub fn read_into(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        wait(&self.client, self.reader.read_into(offset, into))?
    }

    /// See [`crate::Reader::read_ranges`]: each range's number and bytes, in the order in which they arrive. What comes
    /// after what the iterator has given is fetched while its caller works.
    pub fn read_ranges(
        &self,
        ranges: &[Range<u64>],
    ) -> impl Iterator<Item = (usize, Result<Bytes>)> + use<> {
        let client = self.client.clone();
        let mut ranges = entered(&client, || self.reader.read_ranges(ranges));
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let next = ranges.as_mut().map_err(|e| e.clone());
            let next = next.and_then(|ranges| wait(&client, ranges.next()));
            next.unwrap_or_else(|error| {
                over = true;
                Some((0, Err(error)))
            })
        })
    }

    /// All ranges, in the order in which they were asked for. Fails as soon as one does.
    pub fn read_all(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        wait(&self.client, async { self.reader.read_ranges(ranges).all().await })?
    }

    /// See [`crate::Reader::stream`].
    pub fn stream<R: RangeBounds<u64>>(
        &self,
        range: R,
    ) -> impl Iterator<Item = Result<Bytes>> + use<R> {
        let client = self.client.clone();
        let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
        let mut stream = entered(&client, || self.reader.stream(bounds));
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let next = stream.as_mut().map_err(|e| e.clone());
            let next = next.and_then(|stream| wait(&client, stream.next()));
            let next = next.unwrap_or_else(|error| Some(Err(error)));
            over = !matches!(next, Some(Ok(_)));
            next
        })
    }

    /// See [`crate::Reader::hint`].
    pub fn hint(&self, ranges: &[Range<u64>]) {
        self.reader.hint(ranges);
    }
}

/// Begins something on the client's own runtime, where its calls will wait.
fn entered<T>(client: &Client, begin: impl FnOnce() -> T) -> Result<T> {
    let _entered = client.context().own_runtime()?.enter();
    Ok(begin())
}

fn wait<T>(client: &Client, call: impl Future<Output = T>) -> Result<T> {
    if Handle::try_current().is_ok() {
        return Err(Error::misuse(
            "a blocking call on a runtime's thread would stop that runtime: use the async twin",
        ));
    }
    Ok(client.context().own_runtime()?.block_on(call))
}
