// SPDX-License-Identifier: Apache-2.0
//! The adapter, one source for each major of object_store: `super::object_store` is the one that is meant.
//!
//! ```text
//!  mod      the trait: each method one call of the store
//!  convert  names, options and metadata, both ways
//!  error    what a failure is called in object_store
//!  removal  a stream of names removed by batches, in its order
//!  upload   parts in the order of their hand-over, through one writer
//! ```

mod convert;
mod error;
mod removal;
mod upload;

use super::object_store::path::Path;
use super::object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    RenameTargetMode, Result,
};
use super::{get_result, list_result, put_result};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use std::fmt;
use std::future::ready;
use std::ops::Range;
use storescope::{ListEntry, ListOptions, ReadOptions, ReadPolicy, Store};

/// A [`Store`] as an [`ObjectStore`]: one bucket, or the part of it below a prefix, whose every request is recorded in
/// the store's scopes. Cheap to clone.
///
/// `Display` and `Debug` tell the bucket's URL, and no secret.
#[derive(Clone)]
pub struct ScopedStore(Store);

impl ScopedStore {
    /// The store as an object_store.
    pub fn new(store: Store) -> ScopedStore {
        ScopedStore(store)
    }

    /// The store beneath.
    pub fn store(&self) -> &Store {
        &self.0
    }

    fn objects(
        &self,
        prefix: Option<&Path>,
        options: ListOptions,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (below, folder) = (self.0.url().key().to_owned(), convert::folder(prefix));
        let listed = self.0.list(&folder, options).map(move |entry| match entry {
            Ok(ListEntry::Object(meta)) => Some(convert::meta(&below, &meta)),
            Ok(_) => None,
            Err(failure) => Some(Err(error::of(failure, &folder))),
        });
        listed.filter_map(ready).boxed()
    }

    /// What an object is, without its bytes.
    async fn described(&self, location: &Path, options: &GetOptions) -> Result<GetResult> {
        let told = self.0.head(location.as_ref()).await;
        let told = told.map_err(|failure| error::of(failure, location))?;
        let meta = convert::meta("", &told)?;
        options.check_preconditions(&meta)?;
        let range = 0..meta.size;
        Ok(get_result(meta, range, convert::attributes(&told), stream::empty().boxed()))
    }
}

impl From<Store> for ScopedStore {
    fn from(store: Store) -> ScopedStore {
        ScopedStore::new(store)
    }
}

impl fmt::Display for ScopedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", error::STORE, self.0.url())
    }
}

impl fmt::Debug for ScopedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedStore").field(&format_args!("{}", self.0.url())).finish()
    }
}

#[async_trait]
impl ObjectStore for ScopedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let PutOptions { mode, tags: _, attributes, extensions: _ } = options;
        let updates = matches!(mode, PutMode::Update(_));
        let options = convert::put_options(&attributes)?.mode(convert::mode(mode)?);
        let body: storescope::Payload = payload.into_iter().collect();
        match self.0.put(location.as_ref(), body, options).await {
            Ok(meta) => Ok(put_result(meta.etag)),
            // There is nothing to be updated: the condition does not hold.
            Err(gone) if updates && gone.is_not_found() => Err(error::precondition(gone, location)),
            Err(failure) => Err(error::of(failure, location)),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let PutMultipartOptions { tags: _, attributes, extensions: _ } = options;
        let writer = self.0.writer(location.as_ref(), convert::put_options(&attributes)?);
        Ok(Box::new(upload::Upload::new(writer, location.clone())))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.version.is_some() {
            return Err(error::not_implemented("get_opts of a version"));
        }
        if options.head {
            return self.described(location, &options).await;
        }
        let ranged = options.range.clone();
        let (asked, left) = convert::get_options(options);
        let got = self.0.get(location.as_ref(), asked).await;
        let got = got.map_err(|failure| error::of(failure, location))?;
        let meta = convert::meta("", got.meta())?;
        left.check_preconditions(&meta)?;
        if let Some(range) = ranged {
            convert::begins_within(&range, meta.size)?;
        }
        let (range, attributes) = (got.range(), convert::attributes(got.meta()));
        let location = location.clone();
        let bytes = got.into_stream().map_err(move |failure| error::of(failure, &location));
        Ok(get_result(meta, range, attributes, bytes.boxed()))
    }

    /// Makes at most the requests that object_store makes by default: ranges at most 1 MiB (the setting `read_gap`) apart
    /// share one. All go at once, within the client's budgets. Only a range longer than 3/16 of `read_budget`
    /// (48 MiB) is cut, into parts that are fetched side by side. All bytes are of one version of the object.
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let options = ReadOptions::new().policy(ReadPolicy::Vector).fewest_requests(true);
        let reader = self.0.reader(location.as_ref(), options);
        let read = reader.read_ranges(ranges).all().await;
        read.map_err(|failure| error::of(failure, location))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        removal::removed(&self.0, locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects(prefix, ListOptions::new())
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let options = match offset.as_ref() {
            "" => ListOptions::new(),
            offset => ListOptions::new().start_after(offset),
        };
        self.objects(prefix, options)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let (below, folder) = (self.0.url().key(), convert::folder(prefix));
        let mut entries = self.0.list(&folder, ListOptions::new().delimiter(true));
        let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
        while let Some(entry) = entries.next().await {
            match entry.map_err(|failure| error::of(failure, &folder))? {
                ListEntry::Object(meta) => objects.push(convert::meta(below, &meta)?),
                ListEntry::Prefix(name) => prefixes.push(convert::prefix(below, &name)?),
                _ => {}
            }
        }
        Ok(list_result(objects, prefixes))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mode = match options.mode {
            CopyMode::Overwrite => storescope::PutMode::Overwrite,
            CopyMode::Create => storescope::PutMode::Create,
        };
        let options = storescope::CopyOptions::new().mode(mode);
        let copied = self.0.copy(from.as_ref(), (&self.0, to.as_ref()), options).await;
        copied.map(drop).map_err(|failure| error::of_two(failure, from, to))
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mode = match options.target_mode {
            RenameTargetMode::Overwrite => storescope::PutMode::Overwrite,
            RenameTargetMode::Create => storescope::PutMode::Create,
        };
        let options = storescope::RenameOptions::new().mode(mode);
        let renamed = self.0.rename(from.as_ref(), to.as_ref(), options).await;
        renamed.map(drop).map_err(|failure| error::of_two(failure, from, to))
    }
}
