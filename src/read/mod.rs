// SPDX-License-Identifier: Apache-2.0
//! The reading engine: any pattern of reads becomes few requests of the right size, at the right time, within one budget
//! of memory.
//!
//! ```text
//!  Reader::read_at · read_into · read_ranges             Reader::stream            Reader::hint
//!    │ gather.rs   one call's ranges                       │ stream.rs               │
//!    │ assembly.rs a range as a whole                      │                         │
//!    ▼                                                     ▼                         ▼
//!  handle/     one object: size and ETag pinned; the blocks that are there or on their way, never two of a byte
//!    │  block.rs     the bytes of one request; all who need some of them wait on it (single flight)
//!    │  plan.rs      ranges in, requests out: holes read through, long ranges cut             pure
//!    │  predict.rs   runs and strides seen, the next reads predicted                           pure
//!    ▼
//!  attempt::Call::get_hedged ─▶ ObjectBody ─▶ one copy, from the connection's buffer into a block's piece, or into its part
//!                                             of the one buffer of a range that several requests bring (buffer.rs)
//! ```
//!
//! A file imports from those to its right only: mod · ranges · stream · gather · call_clock, assembly · handle · block ·
//! buffer, plan, predict · options, sync.
//!
//! It owns what is read before it is asked for, and what was read and may be asked for again. It promises:
//! * the bytes of one version of the object: the first answer's ETag and size are those of all; else `is_changed()`;
//! * each byte is under way once, however many want it, and every call's wait ends;
//! * the bytes under way, unread and kept are never more than the process's budget (`read_budget`). What a caller was
//!   handed is the caller's: a slice of less than half a piece is a copy, so that it pins nothing;
//! * a dropped call or stream gives its permits and bytes back at once, and stops the requests that nobody else needs;
//!   readahead goes on, since leaving an HTTP/1 exchange costs its connection;
//! * a random read is one request of exactly its bytes, as a plain GET is;
//! * the bytes of `read_at` and `read_ranges` are copied once, however many requests a range takes. A second copy joins only
//!   what was there before in several pieces, or shares a piece with another range: neighbours in one allocation would pin
//!   each other.

mod assembly;
mod block;
mod buffer;
mod call_clock;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gather;
mod handle;
mod options;
mod plan;
mod predict;
mod ranges;
#[cfg(test)]
mod simulated;
mod stream;
mod sync;

pub(crate) use handle::Object;

pub use options::{ReadOptions, ReadPolicy};
pub use ranges::{Piece, Pieces, Ranges};
pub use stream::ByteStream;

use crate::error::{Error, ErrorKind, Result};
use crate::timing::{CallTimer, Operation, Outcome, Recorders, Scope};
use crate::types::ObjectMeta;
use bytes::Bytes;
use gather::{Event, Gather};
use handle::Handle;
use std::fmt;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

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
    recorders: Recorders,
}

/// Closes the handle when no reader is left.
struct Open(Arc<Handle>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Reader {
    pub(crate) fn new(object: Object, options: ReadOptions) -> Reader {
        let recorders = object.target.recorders().clone();
        Reader { open: Arc::new(Open(Handle::new(object, options))), recorders }
    }

    /// The same object, blocks and readahead, with its calls recorded in `scope` instead of its store's, and so the
    /// requests that they cause.
    #[must_use]
    pub fn with_scope(&self, scope: &Scope) -> Reader {
        let recorders = self.handle().object().target.recorders_in(scope);
        Reader { open: Arc::clone(&self.open), recorders }
    }

    /// The same object, blocks and readahead, with its calls recorded in `scope` beside the scopes they are recorded in now.
    #[must_use]
    pub fn also_in(&self, scope: &Scope) -> Reader {
        Reader { open: Arc::clone(&self.open), recorders: self.recorders.also(scope) }
    }

    /// What the object is: as the first answer told it, else a request of its own (HEAD).
    pub async fn meta(&self) -> Result<&ObjectMeta> {
        if self.handle().meta().is_none() {
            let context = Arc::clone(self.handle().object().target.context());
            context.run(self.handle().look(&self.recorders)).await?;
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
        let mut gather = Gather::whole(self.handle(), &self.recorders, &[range])?;
        while let Some(event) = gather.next().await {
            if let Event::End(_, ended) = event {
                ended?;
            }
        }
        gather.bytes(0)
    }

    /// Fills `into` with the bytes from `offset` on; returns how many. Fewer than asked for only at the object's end, none
    /// at or past it.
    pub async fn read_into(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let range = offset..offset.saturating_add(into.len() as u64);
        let mut gather = Gather::pieces(self.handle(), &self.recorders, &[range])?;
        let mut filled = 0;
        while let Some(event) = gather.next().await {
            match event {
                Event::Bytes(_, at, bytes) => {
                    let at = (at - offset) as usize;
                    into[at..at + bytes.len()].copy_from_slice(&bytes);
                    filled += bytes.len();
                }
                Event::End(_, Err(error))
                    if error.kind() == ErrorKind::InvalidRange && filled == 0 =>
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
        Ranges::new(self.handle(), &self.recorders, ranges)
    }

    /// The same, each piece as it arrives and where it lies, for callers that have room for the bytes already: they are
    /// not put together here.
    pub fn pieces(&self, ranges: &[Range<u64>]) -> Pieces {
        Pieces::new(self.handle(), &self.recorders, ranges)
    }

    /// What the object is, asked for together with its last bytes by one GET: at most `bytes` of them, which stay for the
    /// reads to come. It serves where the end is read next, as that of a columnar file is, and all of a small one.
    pub async fn tail(&self, bytes: u64) -> Result<&ObjectMeta> {
        let Object { target, key, .. } = self.handle().object();
        // Its request is all that scopes are told of it.
        let traced = self.recorders.only_traced();
        let mut call = CallTimer::start(&traced, Operation::Get, key);
        call.reads_last(bytes);
        let read = target.context().run(self.handle().tail(bytes, &self.recorders)).await;
        call.finish(read.as_ref().map_or_else(Error::outcome, |()| Outcome::Ok), None);
        read?;
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
        ByteStream::new(self.handle(), &self.recorders, start..end)
    }

    /// Says what will be read next, in this order: it is fetched as there is room, near ranges by one request. Ranges
    /// that are not read are bytes fetched in vain. Hints disable automatic prefetch.
    pub fn hint(&self, ranges: &[Range<u64>]) {
        let handle = self.handle();
        let runtime = match handle.object().target.context().foreign_runtime() {
            Ok(Some(runtime)) => runtime,
            Ok(None) => tokio::runtime::Handle::current(),
            // Without a runtime there is nothing to fetch by; the read itself will say so.
            Err(_) => return,
        };
        handle.hint(ranges.to_vec(), &self.recorders, &runtime);
    }

    fn handle(&self) -> &Arc<Handle> {
        &self.open.0
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("object", &self.handle().object().shown)
            .field("options", self.handle().options())
            .finish_non_exhaustive()
    }
}
