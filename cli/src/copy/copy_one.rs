// SPDX-License-Identifier: Apache-2.0
//! One copy: up, down, or between stores; with the removal of its source where it is a move.
//!
//! It promises: a file appears under its name whole and verified, or not at all; an upload that fails or is dropped
//! leaves no part behind; a source is removed only after its copy is there, and only as it was copied.

use super::equal::{Compare, Comparer, is_refused};
use super::job::{Job, Source, Target};
use super::local_file::{Arrivals, LocalFile};
use super::rehearse;
use super::remove_source::Leaving;
use crate::escape;
use crate::exit::Exit;
use crate::fetch::Fetch;
use crate::progress::note;
use crate::tally::Tally;
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use storescope::{
    CopyOptions, DeleteOptions, ErrorKind, ObjectMeta, PutMode, PutOptions, RenameOptions, Store,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// MiB that all uploads of the process may hold; one of parts holds five parts of 16 MiB.
static MEMORY: Semaphore = Semaphore::const_new(256);

/// MiB that one upload may hold.
const MOST: u64 = 80;

/// What is read or written at once.
const CHUNK: usize = 1 << 20;

/// How copies are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    /// In place of the source's own.
    pub(crate) content_type: Option<String>,
    /// Beside the source's own.
    pub(crate) metadata: Vec<(String, String)>,
    /// What exists is left as it is.
    pub(crate) no_clobber: bool,
    /// What counts as equal, and is not copied.
    pub(crate) compare: Compare,
    /// The source is removed afterwards.
    pub(crate) moving: bool,
    /// Nothing is written: what would be is printed.
    pub(crate) dry_run: bool,
}

/// Makes copies.
#[derive(Debug)]
pub(crate) struct Carrier {
    how: How,
    comparer: Comparer,
    arrivals: Arrivals,
    tally: Arc<Tally>,
    hopeless: AtomicBool,
}

enum Outcome {
    /// So many bytes were copied.
    Done(u64),
    Skipped(&'static str),
    /// So many bytes would be copied, where that is known.
    Would(Option<u64>),
}

impl Carrier {
    pub(crate) fn new(how: How, tally: &Arc<Tally>) -> Carrier {
        Carrier {
            comparer: Comparer::new(how.compare),
            arrivals: Arrivals::default(),
            how,
            tally: Arc::clone(tally),
            hopeless: AtomicBool::new(false),
        }
    }

    /// Whether a failure was of a kind that would meet all others, too.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.hopeless.load(Relaxed)
    }

    /// Counts as failed what could not become a job.
    pub(crate) fn refuse(&self, name: &str, exit: Exit) {
        self.hopeless.fetch_or(exit.is_everybodys(), Relaxed);
        let named = exit.message().contains(name);
        self.tally.failed(if named { exit } else { exit.about(name) }, json!({ "from": name }));
    }

    /// Counts what is not copied, and says why.
    pub(crate) fn pass_over(&self, name: &str, why: &str) {
        note(&format!("storescope: {} is not copied: {why}", escape::line(name)));
        self.tally.skipped(why, json!({ "from": name }));
    }

    /// Copies, and counts how that ended.
    pub(crate) async fn carry(&self, job: Job) {
        let (from, to) = (job.from.shown(), job.to.shown());
        let about = json!({ "from": from, "to": to });
        match self.carried(&job).await {
            Ok(Outcome::Done(bytes)) => {
                self.tally.done(json!({ "from": from, "to": to, "bytes": bytes }));
            }
            Ok(Outcome::Skipped(why)) => self.tally.skipped(why, about),
            Ok(Outcome::Would(bytes)) => self.would(&from, &to, bytes),
            Err(exit) if exit.is_exists() && self.how.no_clobber => {
                self.tally.skipped("exists", about);
            }
            Err(exit) => {
                self.hopeless.fetch_or(exit.is_everybodys(), Relaxed);
                // What the store said names the object: the source, or where it was to go.
                let named = exit.message().contains(&from);
                self.tally.failed(if named { exit } else { exit.about(&from) }, about);
            }
        }
    }

    async fn carried(&self, job: &Job) -> Result<Outcome, Exit> {
        let Job { from, to, known, of_tree, top } = job;
        if self.how.no_clobber && self.comparer.exists(to, known).await? {
            return Ok(Outcome::Skipped("exists"));
        }
        if *of_tree && self.comparer.is_equal(from, to, known).await? {
            return Ok(Outcome::Skipped("equal"));
        }
        if self.how.dry_run {
            return Ok(Outcome::Would(rehearse::rehearsed(job).await?));
        }
        let bytes = match (from, to) {
            (Source::File(path), Target::Object(store, key)) if self.how.moving => {
                self.take(path, top.as_deref(), store, key).await?
            }
            (Source::File(path), Target::Object(store, key)) => {
                self.upload(path, store, key).await?
            }
            (Source::Standard, Target::Object(store, key)) => {
                self.stream(io::stdin(), key, store, key).await?
            }
            (Source::Object(store, meta), Target::File(path)) => {
                self.download(store, meta, path, *of_tree).await?
            }
            (Source::Object(store, meta), Target::Folder(path)) => {
                std::fs::create_dir_all(path).map_err(|e| Exit::cannot("make", path, &e))?;
                self.remove(store, &meta.key, meta.etag.as_deref()).await?;
                0
            }
            (Source::Object(from, meta), Target::Object(to, key)) => {
                self.between(from, meta, to, key).await?
            }
            (Source::Object(store, meta), Target::Standard) => self.print(store, &meta.key).await?,
            _ => return Err(Exit::usage("neither is in a store")),
        };
        Ok(Outcome::Done(bytes))
    }

    /// Tells what would be done.
    fn would(&self, from: &str, to: &str, bytes: Option<u64>) {
        if !self.tally.is_json() {
            let verb = if self.how.moving { "move" } else { "copy" };
            self.tally.print(&format!("{verb} {} -> {}", escape::name(from), escape::name(to)));
        }
        self.tally.moved(bytes.unwrap_or_default());
        self.tally.done(json!({ "from": from, "to": to, "bytes": bytes }));
    }

    async fn upload(&self, path: &Path, store: &Store, key: &str) -> Result<u64, Exit> {
        let metadata = path.metadata().map_err(|e| Exit::cannot("read", path, &e))?;
        let name = path.to_string_lossy();
        if !metadata.is_file() {
            let file = File::open(path).map_err(|e| Exit::cannot("read", path, &e))?;
            return self.stream(file, &name, store, key).await;
        }
        let _memory = self.memory(metadata.len()).await;
        let meter = Meter::new(&self.tally);
        let options = self.writing(PutOptions::new(), &name).progress(meter.told());
        let written = store.put_file(key, path, options).await?;
        meter.end(written.size);
        Ok(written.size)
    }

    /// Uploads a file, and removes it.
    async fn take(
        &self,
        path: &Path,
        top: Option<&Path>,
        store: &Store,
        key: &str,
    ) -> Result<u64, Exit> {
        let (leaving, file) = Leaving::open(path, top)?;
        let metadata = file.metadata().map_err(|e| Exit::cannot("read", path, &e))?;
        let _memory = self.memory(metadata.len()).await;
        let meter = Meter::new(&self.tally);
        let options =
            self.writing(PutOptions::new(), &path.to_string_lossy()).progress(meter.told());
        let written = store.put_opened(key, file, path, options).await?;
        meter.end(written.size);
        leaving.remove()?;
        Ok(written.size)
    }

    /// Writes what can be read once, to its end.
    async fn stream(
        &self,
        source: impl Read + Send + 'static,
        name: &str,
        store: &Store,
        key: &str,
    ) -> Result<u64, Exit> {
        let _memory = self.memory(u64::MAX).await;
        let meter = Meter::new(&self.tally);
        let options = self.writing(PutOptions::new(), name).progress(meter.told());
        let written = store.put_stream(key, pieces(source), options).await?;
        meter.end(written.size);
        Ok(written.size)
    }

    /// How an object is written; its media type is guessed from a name, unless it was said.
    fn writing(&self, mut options: PutOptions, name: &str) -> PutOptions {
        let guess = || mime_guess::from_path(name).first_raw().map(str::to_owned);
        if let Some(kind) = self.how.content_type.clone().or_else(guess) {
            options = options.content_type(kind);
        }
        self.adorned(options)
    }

    fn adorned(&self, options: PutOptions) -> PutOptions {
        let metadata = self.how.metadata.iter().cloned();
        metadata
            .fold(options, |options, (name, value)| options.metadata(name, value))
            .mode(self.mode())
    }

    fn mode(&self) -> PutMode {
        if self.how.no_clobber { PutMode::Create } else { PutMode::Overwrite }
    }

    async fn download(
        &self,
        store: &Store,
        meta: &ObjectMeta,
        path: &Path,
        of_tree: bool,
    ) -> Result<u64, Exit> {
        // Of one that was not listed nothing is known.
        let size = meta.etag.is_some().then_some(meta.size);
        let mut body = Fetch::begin(store, &meta.key, size).await?;
        let mut file = LocalFile::create(&self.arrivals, path, of_tree, self.how.no_clobber)?;
        let mut bytes = 0;
        while let Some(piece) = body.next().await {
            let piece = piece?;
            bytes += piece.len() as u64;
            self.tally.moved(piece.len() as u64);
            file.write(piece).await?;
        }
        // The library has verified the whole by now.
        file.finish().await?;
        if self.how.moving {
            self.remove(store, &meta.key, body.meta().await?.etag.as_deref()).await?;
        }
        Ok(bytes)
    }

    async fn print(&self, store: &Store, key: &str) -> Result<u64, Exit> {
        let mut body = Fetch::begin(store, key, None).await?;
        let (mut out, mut bytes) = (io::stdout().lock(), 0);
        while let Some(piece) = body.next().await {
            let piece = piece?;
            bytes += piece.len() as u64;
            self.tally.moved(piece.len() as u64);
            out.write_all(&piece)?;
        }
        out.flush()?;
        Ok(bytes)
    }

    async fn between(
        &self,
        from: &Store,
        meta: &ObjectMeta,
        to: &Store,
        key: &str,
    ) -> Result<u64, Exit> {
        if self.how.moving && from.url() == to.url() && from.renames_atomically() {
            let mut options = RenameOptions::new().mode(self.mode());
            if meta.etag.is_some() {
                options = options.source(meta.clone());
            }
            return Ok(from.rename(&meta.key, key, options).await?.size);
        }
        let (source, seen) = match meta.etag {
            Some(_) => (meta.clone(), true),
            None => match from.head(&meta.key).await {
                Ok(source) => (source, true),
                // Who may not look may read.
                Err(error) if is_refused(&error) => (meta.clone(), false),
                Err(error) => return Err(error.into()),
            },
        };
        let _memory = self.memory(if seen { source.size } else { u64::MAX }).await;
        let meter = Meter::new(&self.tally);
        let about_changes = self.how.content_type.is_some() || !self.how.metadata.is_empty();
        // Without a look at the target, only the write itself can tell whether it is free.
        let blind = self.how.no_clobber && self.comparer.was_refused();
        let (written, etag) = if about_changes || blind || !seen {
            let size = seen.then_some(source.size);
            self.through(from, (&source.key, size), (to, key), &meter).await?
        } else {
            let options =
                CopyOptions::new().mode(self.mode()).source(source.clone()).progress(meter.told());
            (from.copy(&source.key, (to, key), options).await?, source.etag)
        };
        meter.end(written.size);
        self.remove(from, &source.key, etag.as_deref()).await?;
        Ok(written.size)
    }

    /// Between stores, under another content type or with more metadata: the bytes pass through here. What was written,
    /// and the ETag of what was read.
    async fn through(
        &self,
        from: &Store,
        (name, size): (&str, Option<u64>),
        (to, key): (&Store, &str),
        meter: &Meter,
    ) -> Result<(ObjectMeta, Option<String>), Exit> {
        let mut body = Fetch::begin(from, name, size).await?;
        let meta = body.meta().await?;
        let etag = meta.etag.clone();
        let mut options = PutOptions::new().like(meta).size(meta.size);
        if let Some(kind) = &self.how.content_type {
            options = options.content_type(kind);
        }
        let mut writer = to.writer(key, self.adorned(options).progress(meter.told()));
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => writer.write(piece).await?,
                Err(error) => {
                    writer.abort().await?;
                    return Err(error.into());
                }
            }
        }
        Ok((writer.finish().await?, etag))
    }

    /// Removes the source of a move, as long as it is what was copied.
    async fn remove(&self, store: &Store, key: &str, etag: Option<&str>) -> Result<(), Exit> {
        if !self.how.moving {
            return Ok(());
        }
        let mut options = DeleteOptions::new();
        if let Some(etag) = etag {
            options = options.if_match(etag);
        }
        match store.delete(key, options).await {
            // A server without conditional removal; others of S3 take no notice of the condition.
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let removed = store.delete(key, DeleteOptions::new()).await;
                removed.map_err(|error| {
                    Exit::from(error).about("it was copied, but its source is still there")
                })
            }
            Err(error) if !error.is_not_found() => {
                Err(Exit::from(error).about("it was copied, but its source is still there"))
            }
            _ => Ok(()),
        }
    }

    /// A share of the memory that uploads may hold together.
    async fn memory(&self, bytes: u64) -> SemaphorePermit<'_> {
        let share = (bytes >> 20).clamp(1, MOST) as u32;
        MEMORY.acquire_many(share).await.expect("it is never closed")
    }
}

/// Adds to the tally what a write tells of itself.
struct Meter {
    tally: Arc<Tally>,
    told: Arc<AtomicU64>,
}

impl Meter {
    fn new(tally: &Arc<Tally>) -> Meter {
        Meter { tally: Arc::clone(tally), told: Arc::default() }
    }

    fn told(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let (tally, told) = (Arc::clone(&self.tally), Arc::clone(&self.told));
        move |bytes| tally.moved(bytes.saturating_sub(told.fetch_max(bytes, Relaxed)))
    }

    fn end(&self, bytes: u64) {
        self.told()(bytes);
    }
}

/// What a reader gives, piece by piece.
fn pieces(source: impl Read + Send + 'static) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(source, |mut source| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::with_capacity(CHUNK);
            source.by_ref().take(CHUNK as u64).read_to_end(&mut piece)?;
            Ok::<_, io::Error>((!piece.is_empty()).then(|| (piece.into(), source)))
        });
        read.await.map_err(io::Error::from)?
    })
}
