// SPDX-License-Identifier: Apache-2.0
//! An object under reading.

use crate::completions::{Batch, Target};
use crate::java;
use crate::raised::{Raised, Result};
use crate::reader_cache::{ReaderCache, SMALL};
use crate::runtime::{self, wait, wait_for};
use crate::store::OpenStore;
use futures_util::FutureExt as _;
use jni::Env;
use jni::objects::JByteArray;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use storescope::timing::Scope;
use storescope::{Error, ErrorKind, ObjectMeta, Piece, Pieces, ReadOptions, ReadPolicy, Reader};
use storescope_bindings::lock::locked;
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;

pub(crate) struct OpenReader {
    open: Arc<OpenStore>,
    key: String,
    policy: ReadPolicy,
    size: Option<u64>,
    etag: Option<String>,
    reader: Mutex<Reader>,
    pub(crate) scope: Scope,
    /// What the first read does before it reads.
    begun_to_read: OnceCell<()>,
    /// Reads of ranges under way.
    begun: Mutex<Vec<AbortHandle>>,
}

impl OpenReader {
    pub(crate) fn open(
        open: &Arc<OpenStore>,
        key: String,
        size: Option<u64>,
        etag: Option<String>,
        policy: ReadPolicy,
    ) -> OpenReader {
        let scope = open.scope.child("reader");
        let (cache, columnar) = (ReaderCache::of_process(), policy == ReadPolicy::Parquet);
        let cached = etag
            .as_deref()
            .filter(|_| columnar)
            .and_then(|tag| cache.reader(open, &key, Some(tag)));
        let reader = cached.unwrap_or_else(|| {
            let reader = fresh(open, &key, size, etag.as_deref(), policy);
            if columnar {
                cache.keep(open, &key, etag.as_deref(), &reader);
            }
            reader
        });
        OpenReader {
            open: Arc::clone(open),
            key,
            policy,
            size,
            etag,
            reader: Mutex::new(reader.with_scope(&scope)),
            scope,
            begun_to_read: OnceCell::new(),
            begun: Mutex::default(),
        }
    }

    fn reader(&self) -> Reader {
        locked(&self.reader).clone()
    }

    pub(crate) fn status(&self, env: &mut Env<'_>) -> Result<ObjectMeta> {
        let reader = self.reader();
        wait(env, async { reader.meta().await.cloned() })
    }

    /// Fills an array; how many bytes, fewer only at the object's end, `None` there.
    pub(crate) fn read(
        &self,
        env: &mut Env<'_>,
        at: u64,
        into: &JByteArray<'_>,
        offset: i32,
        length: i32,
    ) -> Result<Option<i32>> {
        let range = at..at + u64::from(length.unsigned_abs());
        let reader = wait(env, self.begin())?;
        let mut pieces = reader.pieces(std::slice::from_ref(&range));
        let mut filled = 0;
        loop {
            match wait_for(env, pieces.next())? {
                Some(Piece::Bytes(_, place, bytes)) => {
                    let to = offset + (place - at) as i32;
                    into.set_region(env, to, java::signed(&bytes))?;
                    filled += bytes.len() as i32;
                }
                Some(Piece::End(_, Err(error))) if is_past_end(&error) && filled == 0 => {
                    return Ok(None);
                }
                Some(Piece::End(_, ended)) => {
                    ended?;
                }
                _ => break,
            }
        }
        Ok((filled > 0 || length == 0).then_some(filled))
    }

    /// The same into memory of a direct buffer.
    pub(crate) fn read_direct(
        &self,
        env: &mut Env<'_>,
        at: u64,
        into: &mut [u8],
    ) -> Result<Option<i32>> {
        let reader = wait(env, self.begin())?;
        let filled = wait(env, reader.read_into(at, into))?;
        Ok((filled > 0 || into.is_empty()).then_some(filled as i32))
    }

    /// Begins reads of ranges, each into its target; their ends are told by their numbers.
    pub(crate) fn read_ranges(
        self: &Arc<Self>,
        ranges: Vec<Range<u64>>,
        targets: Vec<Target>,
        first: i64,
    ) {
        let this = Arc::clone(self);
        let mut batch = Batch::new(first, targets);
        let task = runtime::handle().spawn(async move {
            let reader = match this.begin().await {
                Ok(reader) => reader,
                Err(error) => return batch.fail(&Raised::Store(error)),
            };
            let mut pieces = reader.pieces(&ranges);
            while let Some(piece) = next(&mut pieces, &mut batch).await {
                match piece {
                    Piece::Bytes(number, at, bytes) => {
                        batch.bytes(number, (at - ranges[number].start) as usize, bytes);
                    }
                    Piece::End(number, Ok(had)) if had.end < ranges[number].end => {
                        batch.end(number, Err(Raised::Short(had.end, ranges[number].clone())));
                    }
                    Piece::End(number, ended) => {
                        batch.end(number, ended.map(drop).map_err(Raised::Store));
                    }
                    _ => {}
                }
            }
        });
        let mut begun = locked(&self.begun);
        begun.retain(|task| !task.is_finished());
        begun.push(task.abort_handle());
    }

    /// The reader, with what comes before the first read: a columnar file whose version was not told may be one whose end
    /// is kept, which a HEAD tells; a small object is fetched whole, by one request, whatever is read of it first.
    async fn begin(&self) -> storescope::Result<Reader> {
        let first = || async {
            if self.policy == ReadPolicy::Parquet && self.etag.is_none() {
                self.recognise().await?;
            }
            let reader = self.reader();
            match self.size {
                Some(size @ 1..=SMALL) if !reader.holds(0..size) => {
                    reader.tail(size).await.map(drop)
                }
                _ => Ok(()),
            }
        };
        self.begun_to_read.get_or_try_init(first).await?;
        Ok(self.reader())
    }

    /// Takes the cached reader of this object, if it is of the version that the store has now.
    async fn recognise(&self) -> storescope::Result<()> {
        let cache = ReaderCache::of_process();
        if !cache.knows(&self.open, &self.key, self.size) {
            return Ok(());
        }
        let meta = self.open.store.with_scope(&self.scope).head(&self.key).await?;
        if let Some(cached) = cache.reader(&self.open, &self.key, meta.etag.as_deref()) {
            *locked(&self.reader) = cached.with_scope(&self.scope);
        }
        Ok(())
    }

    /// Drops what is kept of the object.
    pub(crate) fn unbuffer(&self) {
        let told = self.reader().known().cloned();
        let (size, etag) = match &told {
            Some(meta) => (Some(meta.size), meta.etag.as_deref()),
            None => (self.size, self.etag.as_deref()),
        };
        ReaderCache::of_process().forget(&self.open, &self.key);
        let reader = fresh(&self.open, &self.key, size, etag, self.policy);
        let was = std::mem::replace(&mut *locked(&self.reader), reader.with_scope(&self.scope));
        drop(was);
    }

    /// Ends what is under way, and leaves a columnar file's bytes to who opens it next.
    pub(crate) fn close(&self) {
        for task in locked(&self.begun).drain(..) {
            task.abort();
        }
        if self.policy == ReadPolicy::Parquet && self.etag.is_none() {
            let reader = self.reader();
            let etag = reader.known().and_then(|meta| meta.etag.clone());
            ReaderCache::of_process().keep(
                &self.open,
                &self.key,
                etag.as_deref(),
                &reader.with_scope(&self.open.scope),
            );
        }
    }
}

/// What comes next. A Java thread is told of what came before once there is nothing more to tell it.
async fn next(pieces: &mut Pieces, batch: &mut Batch) -> Option<Piece> {
    if let Some(piece) = pieces.next().now_or_never() {
        return piece;
    }
    batch.tell();
    pieces.next().await
}

fn fresh(
    open: &OpenStore,
    key: &str,
    size: Option<u64>,
    etag: Option<&str>,
    policy: ReadPolicy,
) -> Reader {
    let mut options = ReadOptions::new().policy(policy);
    if let Some(size) = size {
        options = options.size(size);
    }
    if let Some(etag) = etag {
        options = options.etag(etag);
    }
    open.store.reader(key, options)
}

fn is_past_end(error: &Error) -> bool {
    error.kind() == ErrorKind::InvalidRange
}
