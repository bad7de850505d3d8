// SPDX-License-Identifier: Apache-2.0
//! Readers of columnar files, kept for the next stream that opens the file: its end, and what was read of it before, are
//! not fetched twice by one process.
//!
//! Each belongs to one version of its object, by ETag: the caller names the version, or asks the store for it. Their bytes
//! count toward the budget of reads, which drops them first.

use crate::store::{OpenStore, found};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use storescope::{ListEntry, ObjectMeta, ReadOptions, ReadPolicy, Reader};
use storescope_bindings::lock::locked;

/// Readers kept at once; the one unused for the longest makes room.
const MOST: usize = 256;
/// How long one is kept that nobody asks for.
const IDLE: Duration = Duration::from_mins(1);
/// An object up to this size is read by one request.
pub(crate) const SMALL: u64 = 1 << 20;
/// Names of small objects remembered.
const NAMES: usize = 1 << 16;

/// Folders whose footers are remembered.
const FOLDERS: usize = 1 << 10;
/// The least that is asked for of an end.
const LEAST: u64 = 8 << 10;
/// What a parquet file ends with, behind the length of its footer.
const MAGIC: &[u8] = b"PAR1";

type Name = (Arc<str>, String);

/// Where an object lies.
fn folder((identity, key): &Name) -> Name {
    let folder = key.rfind('/').map_or("", |slash| &key[..slash]);
    (Arc::clone(identity), folder.to_owned())
}

/// How long the footer of a parquet file is, with what tells its length, as the file's last bytes say, which are there.
async fn footer(reader: &Reader, size: u64) -> Option<u64> {
    let last = size.checked_sub(8)?..size;
    if !reader.holds(last.clone()) {
        return None;
    }
    let last = reader.read_at(last).await.ok()?;
    let (length, magic) = last.split_first_chunk::<4>()?;
    (magic == MAGIC).then(|| u64::from(u32::from_le_bytes(*length)) + 8)
}

#[derive(Default)]
pub(crate) struct ReaderCache {
    cached: Mutex<CachedReaders>,
    small: Mutex<SmallObjects>,
    /// What the last footer of a folder was, and how much of an end to ask for next: of a table's files one is like another.
    tail_lengths: Mutex<HashMap<Name, u64>>,
}

#[derive(Default)]
struct CachedReaders {
    readers: HashMap<Name, CachedReader>,
    /// In the order of use, as far as it was not used again since.
    used: VecDeque<(Instant, Name)>,
}

struct CachedReader {
    reader: Reader,
    etag: String,
    at: Instant,
}

/// Which names listings have shown to be of small objects, by their hashes: a mistake costs a few bytes.
#[derive(Default)]
struct SmallObjects {
    hasher: RandomState,
    names: HashSet<u64>,
}

impl ReaderCache {
    /// That of this process.
    pub(crate) fn of_process() -> &'static ReaderCache {
        static CACHE: LazyLock<ReaderCache> = LazyLock::new(ReaderCache::default);
        &CACHE
    }

    /// What an object is: by a GET of its end, which is kept; by a HEAD where it is there.
    pub(crate) async fn status(
        &self,
        open: &OpenStore,
        key: &str,
        tail: u64,
    ) -> storescope::Result<Option<ObjectMeta>> {
        let name = (Arc::clone(&open.identity), key.to_owned());
        if locked(&self.cached).knows(&name) {
            let Some(meta) = open.head(key).await? else { return Ok(None) };
            if self.reader(open, key, meta.etag.as_deref()).is_none() {
                // Another version: its end is fetched when it is read.
                self.forget(open, key);
            }
            return Ok(Some(meta));
        }
        let length = if locked(&self.small).knows(&name) {
            SMALL
        } else {
            locked(&self.tail_lengths).get(&folder(&name)).copied().unwrap_or(tail)
        };
        let reader = open.store.reader(key, ReadOptions::new().policy(ReadPolicy::Parquet));
        let Some(meta) = found(reader.tail(length).await)?.cloned() else { return Ok(None) };
        if let Some(footer) = footer(&reader, meta.size).await {
            self.learn(folder(&name), footer);
        }
        self.keep(open, key, meta.etag.as_deref(), &reader);
        Ok(Some(meta))
    }

    /// Twice what the last footer took: the next may be longer, and lie behind an index.
    fn learn(&self, folder: Name, footer: u64) {
        let mut lengths = locked(&self.tail_lengths);
        if lengths.len() >= FOLDERS {
            lengths.clear();
        }
        lengths.insert(folder, (2 * footer).next_multiple_of(4 << 10).clamp(LEAST, SMALL));
    }

    /// The reader of this version, if it is cached.
    pub(crate) fn reader(&self, open: &OpenStore, key: &str, etag: Option<&str>) -> Option<Reader> {
        let name = (Arc::clone(&open.identity), key.to_owned());
        let mut cached = locked(&self.cached);
        let now = Instant::now();
        let one = cached.readers.get_mut(&name).filter(|one| Some(one.etag.as_str()) == etag)?;
        one.at = now;
        let reader = one.reader.clone();
        cached.used.push_back((now, name));
        let old = cached.expire(now);
        drop(cached);
        // A reader's end may take other locks.
        drop(old);
        Some(reader)
    }

    /// Whether a reader of this object is kept: of this size, if it is known.
    pub(crate) fn knows(&self, open: &OpenStore, key: &str, size: Option<u64>) -> bool {
        let name = (Arc::clone(&open.identity), key.to_owned());
        let cached = locked(&self.cached);
        let one = cached.readers.get(&name);
        one.is_some_and(|one| {
            let known = one.reader.known().map(|meta| meta.size);
            size.is_none() || known.is_none() || known == size
        })
    }

    /// Keeps a reader for others.
    pub(crate) fn keep(&self, open: &OpenStore, key: &str, etag: Option<&str>, reader: &Reader) {
        let Some(etag) = etag.map(str::to_owned) else { return };
        let (name, at) = ((Arc::clone(&open.identity), key.to_owned()), Instant::now());
        let mut cached = locked(&self.cached);
        let was =
            cached.readers.insert(name.clone(), CachedReader { reader: reader.clone(), etag, at });
        cached.used.push_back((at, name));
        let old = cached.expire(at);
        drop(cached);
        // A reader's end may take other locks.
        drop((was, old));
    }

    /// Notes what a listing shows.
    pub(crate) fn listed(&self, open: &OpenStore, entries: &[ListEntry]) {
        let mut small = locked(&self.small);
        for entry in entries {
            if let ListEntry::Object(meta) = entry
                && meta.size <= SMALL
            {
                small.note(&open.identity, &meta.key);
            }
        }
    }

    /// Forgets an object.
    pub(crate) fn forget(&self, open: &OpenStore, key: &str) {
        let was =
            locked(&self.cached).readers.remove(&(Arc::clone(&open.identity), key.to_owned()));
        drop(was);
    }
}

impl CachedReaders {
    fn knows(&self, name: &Name) -> bool {
        self.readers.contains_key(name)
    }

    /// What has been unused for too long, or is too much.
    fn expire(&mut self, now: Instant) -> Vec<CachedReader> {
        let mut old = Vec::new();
        while let Some((at, name)) = self.used.front() {
            let current = self.readers.get(name).is_some_and(|one| one.at == *at);
            if current && self.readers.len() <= MOST && now.duration_since(*at) < IDLE {
                break;
            }
            let Some((at, name)) = self.used.pop_front() else { break };
            if self.readers.get(&name).is_some_and(|one| one.at == at) {
                old.extend(self.readers.remove(&name));
            }
        }
        old
    }
}

impl SmallObjects {
    fn knows(&self, name: &Name) -> bool {
        self.names.contains(&self.hasher.hash_one((&*name.0, name.1.as_str())))
    }

    fn note(&mut self, identity: &str, key: &str) {
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        self.names.insert(self.hasher.hash_one((identity, key)));
    }
}
