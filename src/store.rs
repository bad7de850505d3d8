// SPDX-License-Identifier: Apache-2.0
//! One bucket and prefix: reads, writes, listings. Each method is one call: timed, retried, and told in one error.

use crate::context::Target;
use crate::error::Result;
use crate::listing;
use crate::ops::{self, GetResult, UploadedPart};
use crate::options::{
    CopyOptions, DeleteOptions, GetOptions, ListOptions, PutOptions, RenameOptions,
};
use crate::payload::Payload;
use crate::read::{Object, ReadOptions, Reader};
use crate::timing::Scope;
use crate::types::{ListEntry, ObjectMeta, Upload};
use crate::url::StoreUrl;
use crate::write::{self, Writer};
use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

/// One bucket, and the part of it below a prefix. Cheap to clone.
///
/// Keys are literal, and are appended to the store's prefix as they are; what listings answer is relative to it.
#[derive(Clone)]
pub struct Store(Target);

impl Store {
    pub(crate) fn new(target: Target) -> Store {
        Store(target)
    }

    /// The URL it was made from.
    pub fn url(&self) -> &StoreUrl {
        self.0.url()
    }

    /// The same store, recorded in `scope`, too: same connections, same budget.
    #[must_use]
    pub fn with_scope(&self, scope: &Scope) -> Store {
        Store(self.0.with_scope(scope))
    }

    /// The same store, recorded in `scope` beside the scopes it is recorded in now.
    #[must_use]
    pub fn also_in(&self, scope: &Scope) -> Store {
        Store(self.0.also_in(scope))
    }

    /// What the object is, without its bytes.
    pub async fn head(&self, key: &str) -> Result<ObjectMeta> {
        ops::get::head(&self.0, key).await
    }

    /// Reads an object, or a range of it. The future ends with the head of the answer; the bytes follow.
    ///
    /// A range past the end of the object is `InvalidRange`; one that begins within it is cut at its end. An empty
    /// object reads as empty.
    pub async fn get(&self, key: &str, options: GetOptions) -> Result<GetResult> {
        ops::get::get(&self.0, key, options).await
    }

    /// An object to read here and there, by ranges, or as a stream. No I/O.
    pub fn reader(&self, key: &str, options: ReadOptions) -> Reader {
        let object =
            Object { target: self.0.clone(), key: self.0.full(key), shown: key.to_owned() };
        Reader::new(object, options)
    }

    /// The objects whose names begin with `prefix`, in byte order of their names, page by page. In no order where
    /// [`lists_in_order`](Store::lists_in_order) says so.
    ///
    /// Each page is held against what was asked: a name that lies outside, comes twice or out of order, a page that says
    /// there is more and not where, and pages without end are errors of kind `Protocol`.
    pub fn list(
        &self,
        prefix: &str,
        options: ListOptions,
    ) -> BoxStream<'static, Result<ListEntry>> {
        listing::objects(&self.0, prefix, options)
    }

    /// Whether listings come in byte order of names. Those of S3's directory buckets (S3 Express) do not.
    pub fn lists_in_order(&self) -> bool {
        self.0.backend().abilities().ordered_listings
    }

    /// Writes an object by one request; [`writer`](Store::writer) is for bytes that come piece by piece, or are many.
    ///
    /// With [`PutMode::Create`](crate::PutMode::Create) or [`PutMode::Update`](crate::PutMode::Update) an answer that was lost is settled by looking at the object:
    /// what this call wrote is its success, what another wrote is `AlreadyExists` or `Precondition`. To tell the two
    /// apart, such writes keep an item of user metadata (`storescope-write`), which [`ObjectMeta::metadata`] leaves out.
    pub async fn put(
        &self,
        key: &str,
        body: impl Into<Payload>,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        write::put(&self.0, key, body.into(), options).await
    }

    /// Writes an object of bytes that come piece by piece: by one request where they fill no part, else by parts.
    pub fn writer(&self, key: &str, options: PutOptions) -> Writer {
        Writer::new(&self.0, key, options)
    }

    /// Whether [`rename`](Store::rename) is one request of the service, seen whole or not at all.
    pub fn renames_atomically(&self) -> bool {
        self.0.backend().abilities().rename
    }

    /// Removes an object. One that is not there is `NotFound` (S3 does not tell, and answers success); but where the
    /// answer was lost and the object is gone, it is taken to have been this call's doing.
    pub async fn delete(&self, key: &str, options: DeleteOptions) -> Result<()> {
        ops::delete::delete(&self.0, key, options).await
    }

    /// Writes what a stream gives. An error of the stream is `Source`, and leaves the object as it was.
    pub async fn put_stream(
        &self,
        key: &str,
        source: impl Stream<Item = io::Result<Bytes>> + Send,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        write::put_stream(&self.0, key, source, options).await
    }

    /// Writes a file. One that changes while it is read is `Source`, and leaves the object as it was: its size, its
    /// times of modification and change, and which file the path leads to are compared before the first byte is read
    /// and after the last, and only then is the object made. A writer that maps the file into memory, or a file system
    /// that keeps no times, can escape this.
    ///
    /// A pipe or a device is read to its end. Whether it changes cannot be told.
    pub async fn put_file(
        &self,
        key: &str,
        file: impl AsRef<Path>,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        write::put_file(&self.0, key, file.as_ref().to_owned(), options).await
    }

    /// Writes a file that is open, from where it stands to its end, as [`put_file`](Store::put_file) does; but which file
    /// its path leads to is not asked. `name` names it in messages.
    pub async fn put_opened(
        &self,
        key: &str,
        file: File,
        name: impl AsRef<Path>,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        write::put_opened(&self.0, key, (file, name.as_ref().to_owned()), options).await
    }

    /// Gives an object another name in the same bucket; what it is then.
    ///
    /// OCI renames by one request, which is seen whole or not at all. On S3 it is a copy followed by the removal of the
    /// source, and not atomic: readers may see both, and a failure between the two leaves both. A source that another
    /// replaces between the two is kept, and the rename fails, where the server judges the condition of a removal.
    pub async fn rename(&self, from: &str, to: &str, options: RenameOptions) -> Result<ObjectMeta> {
        ops::rename::rename(&self.0, from, to, options).await
    }

    /// Copies an object to a name in this or another store; what the copy is.
    ///
    /// Between stores of one service the bytes stay inside it; between others they pass through this process. Content
    /// type and user metadata come along. With [`PutMode::Create`](crate::PutMode::Create), an answer that was lost is
    /// settled by comparing the copy with its source: an equal object that another made in that moment counts as ours.
    pub async fn copy(
        &self,
        from: &str,
        to: (&Store, &str),
        options: CopyOptions,
    ) -> Result<ObjectMeta> {
        ops::copy::copy(&self.0, from, (&to.0.0, to.1), options).await
    }

    /// Removes objects by as few requests as the service takes (1,000 names each on OCI and S3); one result a key, in
    /// their order. One that was not there is `NotFound`, where the service tells.
    pub fn delete_many(
        &self,
        keys: BoxStream<'static, String>,
    ) -> BoxStream<'static, (String, Result<()>)> {
        ops::delete::delete_many(&self.0, keys)
    }

    /// Writes by parts below `prefix` that were begun and neither ended nor aborted: what a process that was killed
    /// leaves. Their parts are stored, and cost, until they are aborted.
    pub fn uploads(&self, prefix: &str) -> BoxStream<'static, Result<Upload>> {
        listing::uploads(&self.0, prefix)
    }

    /// Begins a write by parts that others may go on with. It replaces what is there when it is completed.
    pub async fn begin_upload(&self, key: &str, options: PutOptions) -> Result<Upload> {
        ops::uploads::begin(&self.0, key, options).await
    }

    /// Writes a part. The same number again replaces it.
    pub async fn put_part(
        &self,
        upload: &Upload,
        number: u32,
        body: impl Into<Payload>,
    ) -> Result<UploadedPart> {
        ops::uploads::put_part(&self.0, upload, number, body.into()).await
    }

    /// Makes the object of its parts, in the order of their numbers.
    pub async fn complete_upload(
        &self,
        upload: &Upload,
        parts: Vec<UploadedPart>,
    ) -> Result<ObjectMeta> {
        ops::uploads::complete(&self.0, upload, parts).await
    }

    /// Aborts a write by parts that was left, and frees its parts. One that is gone is `NotFound`.
    pub async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        ops::uploads::abort(&self.0, upload).await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("url", self.0.url()).finish_non_exhaustive()
    }
}
