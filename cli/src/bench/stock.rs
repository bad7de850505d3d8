// SPDX-License-Identifier: Apache-2.0
//! The objects that calls work on: those that are there, those that are made beforehand, and those that the calls make. What
//! was made is removed at the end.

use super::task::Op;
use crate::content::Content;
use crate::exit::{Ended, Exit};
use crate::progress;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use storescope::{GetOptions, ListEntry, ListOptions, PutOptions, Store, StoreUrl};

/// Objects of a prefix that are read, at most.
const MOST_FOUND: usize = 10_000;
/// Larger objects are written piece by piece.
const PIECE: u64 = 8 << 20;
/// Bytes under way while objects are made, and objects.
const UNDER_WAY: u64 = 256 << 20;
const AT_A_TIME: u64 = 32;
/// Objects whose size is asked for at a time.
const LOOKS: usize = 64;
/// How much of an object tells whether the bench wrote it.
const SAMPLE: u64 = 1 << 10;

/// Objects of this size that are made at a time.
fn at_a_time(size: u64) -> usize {
    (UNDER_WAY / size.max(1)).clamp(1, AT_A_TIME) as usize
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) key: Arc<str>,
    pub(super) size: u64,
}

/// A prefix of the bench's own: all it makes has a name there, and is known by it.
#[derive(Debug)]
pub(super) struct Folder {
    below: String,
    puts: AtomicU64,
    copies: AtomicU64,
    uploads: AtomicU64,
    /// Objects to be read, by their numbers.
    objects: AtomicU64,
    /// Objects to be deleted: those that were made, and those that were taken.
    victims: AtomicU64,
    taken: AtomicU64,
}

impl Folder {
    /// One below this prefix that nobody else has.
    pub(super) fn new(prefix: &str) -> Arc<Folder> {
        let below =
            format!("{}storescope-bench-{:08x}/", crate::place::prefix(prefix), fastrand::u32(..));
        let zero = || AtomicU64::new(0);
        let (puts, copies, uploads) = (zero(), zero(), zero());
        let (objects, victims, taken) = (zero(), zero(), zero());
        Arc::new(Folder { below, puts, copies, uploads, objects, victims, taken })
    }

    /// The prefix.
    pub(super) fn below(&self) -> &str {
        &self.below
    }

    /// A name for a new object of a write, a copy or a write by parts.
    pub(super) fn name(&self, op: Op) -> Arc<str> {
        let counter = match op {
            Op::Copy => &self.copies,
            Op::Multipart => &self.uploads,
            _ => &self.puts,
        };
        self.numbered(op, counter.fetch_add(1, Relaxed))
    }

    /// The next object to be deleted, while there are any.
    pub(super) fn victim(&self) -> Option<Arc<str>> {
        let number = self.taken.fetch_add(1, Relaxed);
        (number < self.victims.load(Relaxed)).then(|| self.numbered(Op::Delete, number))
    }

    /// Names that may have been given to an object.
    fn names(self: Arc<Folder>) -> impl Iterator<Item = String> {
        let counters = [
            (Op::Put, self.puts.load(Relaxed)),
            (Op::Copy, self.copies.load(Relaxed)),
            (Op::Multipart, self.uploads.load(Relaxed)),
            (Op::Get, self.objects.load(Relaxed)),
            (Op::Delete, self.victims.load(Relaxed)),
        ];
        counters.into_iter().flat_map(move |(op, count)| {
            let folder = Arc::clone(&self);
            (0..count).map(move |number| folder.numbered(op, number).to_string())
        })
    }

    fn is_empty(&self) -> bool {
        let all = [&self.puts, &self.copies, &self.uploads, &self.objects, &self.victims];
        all.iter().all(|counter| counter.load(Relaxed) == 0)
    }

    fn numbered(&self, op: Op, number: u64) -> Arc<str> {
        let below = &self.below;
        match op {
            Op::Copy => format!("{below}copy/{number}"),
            Op::Multipart => format!("{below}upload/{number}"),
            Op::Delete => format!("{below}delete/{number}"),
            Op::Get | Op::Head | Op::List => format!("{}{number}", self.objects_below()),
            Op::Put => format!("{below}{number}"),
        }
        .into()
    }

    /// The prefix of objects that are made to be read.
    pub(super) fn objects_below(&self) -> String {
        format!("{}object/", self.below)
    }
}

/// Makes, finds and removes objects.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    pub(super) store: Store,
    pub(super) folder: Arc<Folder>,
    pub(super) seed: u64,
    pub(super) show: progress::Show,
}

impl Stock {
    /// Makes objects to be read.
    pub(super) async fn prepare(&self, count: u64, size: u64) -> Result<Vec<Object>, Exit> {
        let first = self.folder.objects.fetch_add(count, Relaxed);
        self.make(Op::Get, first, &vec![size; count as usize]).await
    }

    /// Makes objects of these sizes to be read.
    pub(super) async fn prepare_each(&self, sizes: &[u64]) -> Result<Vec<Object>, Exit> {
        let first = self.folder.objects.fetch_add(sizes.len() as u64, Relaxed);
        self.make(Op::Get, first, sizes).await
    }

    /// Makes objects of these names.
    pub(super) async fn prepare_named(&self, objects: &[Object]) -> Ended {
        let (made, all) = (AtomicU64::new(0), objects.len());
        let largest = objects.iter().map(|object| object.size).max().unwrap_or(1);
        let puts = stream::iter(objects).map(|object| {
            let made = &made;
            async move {
                self.put(&object.key, object.size).await?;
                made.fetch_add(1, Relaxed);
                Ok::<_, storescope::Error>(())
            }
        });
        let text = || format!("preparing: {} of {all} objects", made.load(Relaxed));
        let work = puts.buffer_unordered(at_a_time(largest)).try_collect::<Vec<_>>();
        progress::shown(self.show, text, work).await?;
        Ok(())
    }

    /// Of these names, the objects that are there, with their sizes.
    pub(super) async fn look(
        &self,
        names: impl Iterator<Item = Arc<str>>,
    ) -> Result<BTreeMap<Arc<str>, u64>, Exit> {
        let (seen, store) = (AtomicU64::new(0), &self.store);
        let heads = stream::iter(names).map(|key| {
            let seen = &seen;
            async move {
                let head = store.head(&key).await;
                seen.fetch_add(1, Relaxed);
                match head {
                    Ok(meta) => Ok(Some((key, meta.size))),
                    Err(error) if error.is_not_found() => Ok(None),
                    Err(error) => Err(error),
                }
            }
        });
        let work = heads.buffer_unordered(LOOKS).try_filter_map(async |found| Ok(found));
        let text = || format!("looking: {} objects", seen.load(Relaxed));
        Ok(progress::shown(self.show, text, work.try_collect()).await?)
    }

    /// Removes objects of these names, as far as they are there.
    pub(super) async fn remove_named(&self, names: Vec<String>) -> Ended {
        let mut removed = self.store.delete_many(stream::iter(names).boxed());
        while let Some((_, result)) = removed.next().await {
            match result {
                Err(error) if !error.is_not_found() => {
                    return Err(Exit::from(error).about("what the replay wrote is still there"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes objects to be deleted, in addition to those that are left.
    pub(super) async fn prepare_victims(&self, count: u64, size: u64) -> Ended {
        let folder = &self.folder;
        let made = folder.victims.load(Relaxed);
        // What was asked for beyond the last one was not taken.
        folder.taken.fetch_min(made, Relaxed);
        let left = made - folder.taken.load(Relaxed);
        if left < count {
            folder.victims.store(made + count - left, Relaxed);
            self.make(Op::Delete, made, &vec![size; (count - left) as usize]).await?;
        }
        Ok(())
    }

    /// Makes one object of this name.
    pub(super) async fn put(&self, key: &str, size: u64) -> storescope::Result<()> {
        let content = Content::new(self.seed, key);
        if size <= PIECE {
            self.store.put(key, content.bytes(0, size as usize), PutOptions::new()).await?;
            return Ok(());
        }
        let pieces = (0..size.div_ceil(PIECE)).map(move |number| {
            let start = number * PIECE;
            io::Result::Ok(content.bytes(start, PIECE.min(size - start) as usize))
        });
        let options = PutOptions::new().size(size);
        self.store.put_stream(key, stream::iter(pieces), options).await.map(|_| ())
    }

    /// Makes objects of these sizes, by numbers from `first` on.
    async fn make(&self, op: Op, first: u64, sizes: &[u64]) -> Result<Vec<Object>, Exit> {
        let (made, all) = (AtomicU64::new(0), sizes.len());
        let largest = sizes.iter().copied().max().unwrap_or(1);
        let puts = stream::iter((first..).zip(sizes)).map(|(number, size)| {
            let (made, size) = (&made, *size);
            let key = self.folder.numbered(op, number);
            async move {
                self.put(&key, size).await?;
                made.fetch_add(1, Relaxed);
                Ok::<_, storescope::Error>(Object { key, size })
            }
        });
        let text = || format!("preparing: {} of {all} objects", made.load(Relaxed));
        let work = puts.buffered(at_a_time(largest)).try_collect::<Vec<_>>();
        let objects = progress::shown(self.show, text, work).await;
        objects.map_err(|error| {
            Exit::from(error).about(&format!("cannot prepare objects in {}", self.folder.below))
        })
    }

    /// The objects that a URL names, with their sizes.
    pub(super) async fn find(&self, url: &StoreUrl) -> Result<Vec<Object>, Exit> {
        if !url.key().is_empty() && !url.key().ends_with('/') {
            let meta = self.store.head(url.key()).await?;
            if meta.size == 0 {
                return Err(Exit::usage(format!("{url} is empty: there is nothing to read")));
            }
            return Ok(vec![Object { key: meta.key.into(), size: meta.size }]);
        }
        let mut found = Vec::new();
        let mut entries = self.store.list(url.key(), ListOptions::new());
        while let Some(entry) = entries.next().await {
            if let ListEntry::Object(meta) = entry?
                && meta.size > 0
            {
                found.push(Object { key: meta.key.into(), size: meta.size });
            }
            if found.len() == MOST_FOUND {
                progress::note(&format!("reading the first {MOST_FOUND} objects"));
                break;
            }
        }
        if found.is_empty() {
            return Err(Exit::usage(format!(
                "{url} has no objects that are not empty: name others, or make some by --prepare"
            )));
        }
        Ok(found)
    }

    /// Refuses objects that the bench has not written with this seed: first and last are looked at.
    pub(super) async fn check_ours(&self, objects: &[Object]) -> Ended {
        for object in [objects.first(), objects.last()].into_iter().flatten() {
            let length = SAMPLE.min(object.size);
            let got = self.store.get(&object.key, GetOptions::new().range(0..length)).await?;
            let (read, expected) = (got.bytes().await?, Content::new(self.seed, &object.key));
            let expected = expected.bytes(0, length as usize);
            let equal = read.iter().zip(&expected).filter(|(read, wrote)| read == wrote).count();
            if equal * 2 < expected.len() {
                return Err(Exit::usage(format!(
                    "{} does not hold what the bench writes with seed {}: --verify-data reads objects of --prepare, or of \
                     `bench --op put --keep` with the same --seed",
                    object.key, self.seed
                )));
            }
        }
        Ok(())
    }

    /// Removes all that was made.
    pub(super) async fn remove(&self) -> Ended {
        if self.folder.is_empty() {
            return Ok(());
        }
        let names = stream::iter(Arc::clone(&self.folder).names()).boxed();
        let (mut removed, gone) = (self.store.delete_many(names), AtomicU64::new(0));
        let work = async {
            while let Some((_, result)) = removed.next().await {
                gone.fetch_add(1, Relaxed);
                match result {
                    Err(error) if !error.is_not_found() => {
                        let left = format!(
                            "what the bench wrote below {} is still there",
                            self.folder.below
                        );
                        return Err(Exit::from(error).about(&left));
                    }
                    _ => {}
                }
            }
            Ok(())
        };
        progress::shown(self.show, || format!("removing: {} objects", gone.load(Relaxed)), work)
            .await
    }
}
