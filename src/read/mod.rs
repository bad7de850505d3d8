// SPDX-License-Identifier: Apache-2.0
//! The reading engine: any pattern of reads becomes few requests of the right size, at the right time, within one budget
//! of memory.
//!
//! ```text
//!  Reader::read_at · read_into · read_ranges             Reader::stream            Reader::hint
//!    │ gather.rs   one call's ranges                       │ stream.rs               │
//!    ▼                                                     ▼                         ▼
//!  handle.rs   one object: size and ETag pinned; the blocks that are there or on their way, never two of a byte
//!    │  block.rs     the bytes of one request; all who need some of them wait on it (single flight)
//!    │  plan.rs      ranges in, requests out: holes read through, long ranges cut             pure
//!    │  predict.rs   runs and strides seen, bytes foretold                                     pure
//!    │  admission.rs budget of bytes, limit of requests: demand in line, readahead if there is room
//!    │  width.rs     how many requests read ahead: as many as the path takes            pure
//!    ▼
//!  attempt::Call::run_hedged ─▶ ObjectBody ─▶ one copy, from the connection's buffer into a block's piece
//! ```
//!
//! It owns what is read before it is asked for, and what was read and may be asked for again. It promises:
//! * the bytes of one version of the object: the first answer's ETag and size are those of all; else `is_changed()`;
//! * each byte is under way once, however many want it, and every call's wait ends;
//! * the bytes under way, unread and kept are never more than the process's budget (`read_budget`). What a caller was
//!   handed is the caller's: a slice of less than half a piece is a copy, so that it pins nothing;
//! * a dropped call or stream gives its permits and bytes back at once, and stops the requests that nobody else needs;
//!   readahead goes on, since leaving an HTTP/1 exchange costs its connection;
//! * a random read is one request of exactly its bytes, as a plain GET is.

mod admission;
mod block;
mod gather;
mod handle;
mod plan;
mod predict;
#[cfg(test)]
mod simulated;
mod stream;
mod width;

pub(crate) use admission::Admission;
pub(crate) use handle::Origin;

pub use gather::{Piece, Pieces, Ranges};
pub use stream::ByteStream;

use crate::backend::{Checksum, ObjectMeta};
use crate::error::{Error, Result};
use crate::store::sink;
use crate::timing::{Scope, Sink};
use bytes::Bytes;
use gather::{Assembly, Event, Gather};
use handle::Handle;
use std::fmt;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

/// One object under reading: a thread-safe `pread`. Cheap to clone; clones share blocks and readahead.
///
/// Made by [`Store::reader`](crate::Store::reader), without I/O. All reads are of one version of the object: one that
/// changes meanwhile is an error for which [`Error::is_changed`] holds.
///
/// ```no_run
/// # async fn demo(store: storescope::Store) -> storescope::Result<()> {
/// use storescope::ReadOptions;
///
/// let reader = store.reader("events.root", ReadOptions::new());
/// let head = reader.read_at(0..403).await?;
/// let mut baskets = reader.read_ranges(&[40_966..95_997, 95_923..572_330]);
/// while let Some((number, bytes)) = baskets.next().await {
///     println!("{number}: {} bytes", bytes?.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Reader {
    open: Arc<Open>,
    sink: Sink,
}

/// Closes the handle when no reader is left.
struct Open(Arc<Handle>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// How an object will be read, and what is known of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    pub(crate) policy: ReadPolicy,
    pub(crate) size: Option<u64>,
    pub(crate) etag: Option<String>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) verify: Option<bool>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) fewest_requests: bool,
}

impl ReadOptions {
    /// Adaptive, and nothing known.
    pub fn new() -> ReadOptions {
        ReadOptions::default()
    }

    /// What pattern of reads to expect.
    #[must_use]
    pub fn policy(mut self, policy: ReadPolicy) -> ReadOptions {
        self.policy = policy;
        self
    }

    /// The object's size in bytes, if it is known. An object of another size is one that has changed.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> ReadOptions {
        self.size = Some(bytes);
        self
    }

    /// The entity tag that the object must have; another one is an object that has changed.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<String>) -> ReadOptions {
        self.etag = Some(etag.into());
        self
    }

    /// Size, entity tag and checksum, as a listing or a `head` told them.
    #[must_use]
    pub fn meta(mut self, meta: &ObjectMeta) -> ReadOptions {
        self.size = Some(meta.size);
        self.checksum = meta.checksum;
        self.etag.clone_from(&meta.etag);
        self
    }

    /// Whether a stream of the whole object is checked against its checksum; without it, the setting `verify`. S3 tells
    /// the checksum of a large object only to a `head`: hand its answer to [`meta`](ReadOptions::meta).
    #[must_use]
    pub fn verify(mut self, verify: bool) -> ReadOptions {
        self.verify = Some(verify);
        self
    }

    /// Plans for few requests rather than for time and bytes: every hole up to the setting `read_gap` is read through,
    /// whatever it costs and however many there are; no request is hedged; a range is cut into parts only where it is longer
    /// than 3/16 of `read_budget` (48 MiB). Off by default.
    #[must_use]
    pub fn fewest_requests(mut self, fewest: bool) -> ReadOptions {
        self.fewest_requests = fewest;
        self
    }

    /// Time for each read; for a stream, for all of it.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> ReadOptions {
        self.deadline = Some(deadline);
        self
    }
}

/// The pattern of reads to expect. The names are those of Hadoop's `fs.option.openfile.read.policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadPolicy {
    /// Watches: runs and strides are read ahead once they show, other reads are taken as they come.
    #[default]
    Adaptive,
    /// From one end to the other: reads ahead from the first read on.
    Sequential,
    /// Here and there: nothing is read ahead.
    Random,
    /// By [`Reader::read_ranges`]: nothing is read ahead.
    Vector,
    /// All of it: fetched from the first read on, as far as the budget has room.
    WholeFile,
    /// A columnar file: the first read near the end fetches its last 64 KiB, nothing is read ahead.
    Parquet,
}

impl ReadPolicy {
    /// The first policy known of a list such as `parquet, vector, random, adaptive`.
    ///
    /// ```
    /// use storescope::ReadPolicy;
    /// assert_eq!(ReadPolicy::from_names("lance, orc"), Some(ReadPolicy::Parquet));
    /// assert_eq!(ReadPolicy::from_names("lance"), None);
    /// ```
    pub fn from_names(names: &str) -> Option<ReadPolicy> {
        names.split(',').find_map(|name| match name.trim().to_ascii_lowercase().as_str() {
            "adaptive" | "default" | "normal" => Some(ReadPolicy::Adaptive),
            "sequential" | "avro" | "csv" | "json" => Some(ReadPolicy::Sequential),
            "random" | "hbase" => Some(ReadPolicy::Random),
            "vector" => Some(ReadPolicy::Vector),
            "whole-file" => Some(ReadPolicy::WholeFile),
            "parquet" | "orc" | "columnar" => Some(ReadPolicy::Parquet),
            _ => None,
        })
    }

    fn foresees(self) -> bool {
        matches!(self, ReadPolicy::Adaptive | ReadPolicy::Sequential | ReadPolicy::WholeFile)
    }

    fn is_sequential(self) -> bool {
        matches!(self, ReadPolicy::Sequential | ReadPolicy::WholeFile)
    }

    fn reads_tail(self) -> bool {
        self == ReadPolicy::Parquet
    }
}

impl Reader {
    pub(crate) fn new(origin: Origin, options: ReadOptions) -> Reader {
        let sink = origin.sink.clone();
        Reader { open: Arc::new(Open(Handle::new(origin, options))), sink }
    }

    /// The same object, blocks and readahead, with its calls recorded in `scope` instead of its store's, and so the
    /// requests that they cause.
    #[must_use]
    pub fn with_scope(&self, scope: &Scope) -> Reader {
        let client = &self.handle().origin.client;
        Reader { open: Arc::clone(&self.open), sink: sink(client, Some(scope)) }
    }

    /// What the object is: as the first answer told it, else a request of its own (HEAD).
    pub async fn meta(&self) -> Result<&ObjectMeta> {
        if self.handle().meta().is_none() {
            let client = self.handle().origin.client.clone();
            client.run(self.handle().look(&self.sink)).await?;
        }
        self.handle().meta().ok_or_else(|| Error::misuse("an answer told nothing of its object"))
    }

    /// What the object is, as far as an answer has told it yet.
    pub fn known(&self) -> Option<&ObjectMeta> {
        self.handle().meta()
    }

    /// Whether all of a range is here, or on its way: a read of it asks for nothing.
    pub fn holds(&self, range: Range<u64>) -> bool {
        self.handle().holds(&range)
    }

    /// The bytes of a range, in one piece: fewer only where the object ends within it. A range that begins past the end
    /// is `InvalidRange`; an empty one is empty, and costs nothing.
    pub async fn read_at(&self, range: Range<u64>) -> Result<Bytes> {
        let mut gather = Gather::new(self.handle(), &self.sink, &[range])?;
        let mut assembled = Assembly::Empty;
        while let Some(event) = gather.next().await {
            match event {
                Event::Bytes(job, at, bytes) => assembled.add(&gather.range(job), at, bytes)?,
                Event::End(_, ended) => ended?,
            }
        }
        Ok(assembled.bytes(&gather.range(0)))
    }

    /// Fills `into` with the bytes from `offset` on; returns how many. Fewer than asked for only at the object's end, none
    /// at or past it.
    pub async fn read_into(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let range = offset..offset.saturating_add(into.len() as u64);
        let mut gather = Gather::new(self.handle(), &self.sink, &[range])?;
        let mut filled = 0;
        while let Some(event) = gather.next().await {
            match event {
                Event::Bytes(_, at, bytes) => {
                    let at = (at - offset) as usize;
                    into[at..at + bytes.len()].copy_from_slice(&bytes);
                    filled += bytes.len();
                }
                Event::End(_, Err(error))
                    if error.kind() == crate::ErrorKind::InvalidRange && filled == 0 =>
                {
                    return Ok(0);
                }
                Event::End(_, ended) => ended?,
            }
        }
        Ok(filled)
    }

    /// The bytes of many ranges: near ones share a request, far ones are asked for at once. They may overlap, and be in
    /// any order. Nothing is sent before the stream is polled.
    pub fn read_ranges(&self, ranges: &[Range<u64>]) -> Ranges {
        Ranges::new(self.handle(), &self.sink, ranges)
    }

    /// The same, each piece as it arrives and where it lies, for callers that have room for the bytes already: they are
    /// not put together here.
    pub fn pieces(&self, ranges: &[Range<u64>]) -> Pieces {
        Pieces::new(self.handle(), &self.sink, ranges)
    }

    /// What the object is, asked for together with its last bytes by one GET: at most `bytes` of them, which stay for the
    /// reads to come. It serves where the end is read next, as that of a columnar file is, and all of a small one.
    pub async fn tail(&self, bytes: u64) -> Result<&ObjectMeta> {
        let client = self.handle().origin.client.clone();
        client.run(self.handle().tail(bytes, &self.sink)).await?;
        self.meta().await
    }

    /// The bytes of a range as a stream, several requests ahead of its reader. One of the whole object ends in an error of
    /// kind `Integrity` where the bytes are not those of the checksum that the store told, if it told one.
    pub fn stream(&self, range: impl RangeBounds<u64>) -> ByteStream {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        ByteStream::new(self.handle(), &self.sink, start..end)
    }

    /// Says what will be read next, in this order: it is fetched as there is room, near ranges by one request. Ranges
    /// that are not read are bytes fetched in vain. A reader that was told once foresees nothing of its own any more.
    pub fn hint(&self, ranges: &[Range<u64>]) {
        let handle = self.handle();
        let runtime = match handle.origin.client.foreign_runtime() {
            Ok(Some(runtime)) => runtime,
            Ok(None) => tokio::runtime::Handle::current(),
            // Without a runtime there is nothing to fetch by; the read itself will say so.
            Err(_) => return,
        };
        handle.hint(ranges.to_vec(), &self.sink, &runtime);
    }

    fn handle(&self) -> &Arc<Handle> {
        &self.open.0
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("object", &self.handle().origin.shown)
            .field("options", &self.handle().options)
            .finish_non_exhaustive()
    }
}
