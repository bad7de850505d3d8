// SPDX-License-Identifier: Apache-2.0
//! The bytes of one request: on their way, or there. Whoever needs some of them waits on the block, so that a byte is
//! asked for once however many readers want it.
//!
//! Each segment is a piece of memory of its own, so that a reader of a small range pins no large block; one of less than
//! half a piece gets a copy. The parts of one range that a caller wants as a whole lie in that range's buffer instead
//! (`buffer.rs`). A hole that was read through is a piece like the others until its block goes.

use super::buffer::{RangeBuffer, Room, slice_or_copy};
use super::plan::{Request, Segment};
use super::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use crate::error::{Error, Result};
use crate::limiter::{Evict, Permit};
use crate::timing::{Recorders, now_ns};
use bytes::Bytes;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Waker;
use tokio::task::AbortHandle;

/// What a block is fetched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A caller waits for it.
    Demand,
    /// A stream comes to it.
    Stream,
    /// It was predicted, or hinted at.
    Prefetch,
}

/// A request to make, and what for. The block that it becomes is [`Block::new`].
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) request: Request,
    pub(crate) purpose: Purpose,
    /// Of the ranges of which it brings some parts, and that their callers want as a whole.
    pub(crate) buffers: Vec<Arc<RangeBuffer>>,
}

impl Fetch {
    pub(crate) fn new(request: Request, purpose: Purpose) -> Fetch {
        Fetch { request, purpose, buffers: Vec::new() }
    }
}

/// Where blocks lie by their place in the object.
pub(crate) trait Owner: Send + Sync {
    /// The block that begins there makes room, unless a reader needs it.
    fn evict(&self, start: u64);

    /// The block is none of its owner's any more.
    fn forget(&self, block: &Block);
}

#[derive(Debug)]
pub(crate) struct Block {
    owner: Weak<dyn Owner>,
    range: Range<u64>,
    purpose: Purpose,
    /// The scopes of the call that caused it.
    recorders: Recorders,
    segments: Vec<Segment>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The segments that are there, in order.
    pieces: Vec<Piece>,
    /// Where pieces to come may lie.
    buffers: Vec<Arc<RangeBuffer>>,
    /// All bytes before this place are there.
    reached: u64,
    over: Option<End>,
    permit: Option<Permit>,
    /// How many gathers and streams need it.
    interest: u32,
    retained: bool,
    /// When a reader last looked, in `now_ns`.
    touched: u64,
    task: Option<AbortHandle>,
    /// The readers that wait, by their numbers.
    wakers: Vec<(Waiter, Waker)>,
}

#[derive(Debug)]
struct Piece {
    range: Range<u64>,
    memory: Memory,
    /// How many of its bytes were handed out.
    handed: u64,
}

/// Where the bytes of a piece are.
#[derive(Debug)]
enum Memory {
    Own(Bytes),
    /// In a range's buffer, with those of other requests.
    Shared(Arc<RangeBuffer>),
}

/// How a block ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// All of its bytes that the object has are there.
    Well,
    /// All readers that wait for it get this.
    Failed(Error),
    /// Its fetch ended through no fault of its own: readers that need it must ask again.
    Abandoned,
}

/// Names one reader that waits: its waker alone does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter(u64);

impl Waiter {
    pub(crate) fn new() -> Waiter {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Waiter(NEXT.fetch_add(1, Relaxed))
    }
}

/// How far a block is.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) reached: u64,
    pub(crate) over: Option<End>,
}

impl Block {
    pub(crate) fn new(owner: Weak<dyn Owner>, fetch: Fetch, recorders: &Recorders) -> Arc<Block> {
        let Fetch { request, purpose, buffers } = fetch;
        let range = request.range();
        let state = State { reached: range.start, buffers, ..State::default() };
        Arc::new(Block {
            owner,
            range,
            purpose,
            recorders: recorders.clone(),
            segments: request.segments,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// How many bytes its request is for.
    pub(crate) fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(crate) fn recorders(&self) -> &Recorders {
        &self.recorders
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Bytes that are requested although no reader wants them.
    pub(crate) fn vain(&self) -> u64 {
        self.segments.iter().filter(|s| !s.wanted).map(|s| s.range.end - s.range.start).sum()
    }

    /// One more reader needs it.
    pub(crate) fn join(&self) {
        self.state().interest += 1;
    }

    /// One reader less needs it; whether any still does.
    pub(crate) fn leave(&self) -> bool {
        let mut state = self.state();
        state.interest -= 1;
        state.interest > 0
    }

    pub(crate) fn is_needed(&self) -> bool {
        self.state().interest > 0
    }

    /// The task that fetches it.
    pub(crate) fn fetched_by(&self, task: AbortHandle) {
        self.state().task = Some(task);
    }

    pub(crate) fn abort(&self) {
        let task = self.state().task.take();
        if let Some(task) = task {
            task.abort();
        }
    }

    pub(crate) fn admitted(&self, permit: Permit) {
        self.state().permit = Some(permit);
        self.wake();
    }

    /// Room for the bytes of `range`, which lie in one segment. The object has `size` bytes.
    pub(crate) fn room(&self, range: &Range<u64>, size: u64) -> Result<Room> {
        let buffers = self.state().buffers.clone();
        for buffer in buffers {
            // A caller whose range has no memory fails by itself: the others that need the block do not.
            if let Ok(Some(room)) = buffer.lend(range, size) {
                return Ok(room);
            }
        }
        Room::own((range.end - range.start) as usize)
    }

    /// A segment has arrived. What is not wanted is there for a later read, and does not keep the block.
    pub(crate) fn arrived(&self, start: u64, room: Room, wanted: bool) {
        let length = room.len() as u64;
        let memory = match room {
            Room::Own(bytes) => Memory::Own(bytes.into()),
            Room::Lent(buffer, bytes) => {
                buffer.fill(start, bytes);
                Memory::Shared(buffer)
            }
        };
        let handed = if wanted { 0 } else { length };
        let range = start..start + length;
        let mut state = self.state();
        state.reached = range.end;
        state.pieces.push(Piece { range, memory, handed });
        drop(state);
        self.wake();
    }

    /// No more bytes will come.
    pub(crate) fn end(&self, end: End) {
        let mut state = self.state();
        let well = matches!(end, End::Well);
        state.over.get_or_insert(end);
        state.touched = now_ns();
        state.task = None;
        let permit = state.permit.take();
        let buffers = std::mem::take(&mut state.buffers);
        drop(state);
        drop(buffers);
        if let Some(mut permit) = permit {
            permit.end_request(well);
            // A failed block holds nothing.
            if well {
                self.state().permit = Some(permit);
            }
        }
        self.wake();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state().over.is_some()
    }

    /// How far it is; `waker` is woken when it has come further.
    pub(crate) fn progress(&self, waiter: Waiter, waker: &Waker) -> Progress {
        let mut state = self.state();
        if state.over.is_some() {
            state.touched = now_ns();
        } else {
            match state.wakers.iter_mut().find(|(known, _)| *known == waiter) {
                Some((_, known)) => known.clone_from(waker),
                None => state.wakers.push((waiter, waker.clone())),
            }
        }
        Progress { reached: state.reached, over: state.over.clone() }
    }

    /// Whether it still waits in line for its permit.
    pub(crate) fn is_in_line(&self) -> bool {
        let state = self.state();
        state.permit.is_none() && state.over.is_none()
    }

    /// Hands out the bytes of `range` that are there, each run with its place; but for those that lie in `buffer` already, of
    /// which it returns how many they are. What lies in another range's buffer comes last, copied while nothing is locked here.
    pub(crate) fn take(
        &self,
        range: &Range<u64>,
        buffer: Option<&Arc<RangeBuffer>>,
        mut out: impl FnMut(u64, Bytes),
    ) -> u64 {
        let mut state = self.state();
        let first = state.pieces.partition_point(|piece| piece.range.end <= range.start);
        let (mut in_buffer, mut elsewhere) = (0, Vec::new());
        for piece in &mut state.pieces[first..] {
            let run = piece.range.start.max(range.start)..piece.range.end.min(range.end);
            if run.is_empty() {
                break;
            }
            piece.handed += run.end - run.start;
            if piece.lies_in(buffer) {
                in_buffer += run.end - run.start;
                continue;
            }
            match &piece.memory {
                Memory::Own(bytes) => out(run.start, slice_or_copy(bytes, piece.range.start, &run)),
                Memory::Shared(buffer) => elsewhere.push((Arc::clone(buffer), run)),
            }
        }
        drop(state);
        for (buffer, run) in elsewhere {
            if let Some(bytes) = buffer.read(&run) {
                out(run.start, bytes);
            }
        }
        in_buffer
    }

    /// Hands out the first bytes from `start` on that are there, one piece at most.
    pub(crate) fn next(&self, range: &Range<u64>) -> Option<Bytes> {
        let mut state = self.state();
        let at = state.pieces.partition_point(|piece| piece.range.end <= range.start);
        let piece = state.pieces.get_mut(at).filter(|piece| piece.range.start <= range.start)?;
        let end = piece.range.end.min(range.end);
        piece.handed += end - range.start;
        piece.slice(&(range.start..end))
    }

    /// Bytes that are there and were not handed out.
    pub(crate) fn unread(&self) -> u64 {
        let state = self.state();
        state.pieces.iter().map(|piece| piece.len().saturating_sub(piece.handed)).sum()
    }

    /// It stays without a reader: its bytes leave the buffers of their callers' ranges, which it would pin as a whole.
    pub(crate) fn outlive_callers(&self) {
        let shared: Vec<_> = self.state().pieces.iter().filter_map(Piece::shared).collect();
        for (range, buffer) in shared {
            let Some(bytes) = buffer.read(&range) else { continue };
            let mut state = self.state();
            if let Some(piece) = state.pieces.iter_mut().find(|piece| piece.range == range) {
                piece.memory = Memory::Own(bytes);
            }
        }
    }

    /// It stays although all of it was read; whether that is new.
    pub(crate) fn retain(&self) -> bool {
        !std::mem::replace(&mut self.state().retained, true)
    }

    /// Whether it is there and no reader has looked since `before`.
    pub(crate) fn is_stale(&self, before: u64) -> bool {
        let state = self.state();
        matches!(state.over, Some(End::Well)) && state.touched <= before
    }

    /// Its bytes go; readers that need them must ask again.
    pub(crate) fn discard(&self) {
        let mut state = self.state();
        state.over = Some(End::Abandoned);
        state.reached = self.range.start;
        let dropped = (std::mem::take(&mut state.pieces), state.permit.take());
        drop(state);
        drop(dropped);
    }

    /// Wakes the readers that wait for it.
    pub(crate) fn wake(&self) {
        let wakers = std::mem::take(&mut self.state().wakers);
        for (_, waker) in wakers {
            waker.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Evict for Block {
    fn evict(&self) {
        if let Some(owner) = self.owner.upgrade() {
            owner.evict(self.range.start);
        }
    }

    fn evict_stale(&self, before: u64) {
        if self.is_stale(before)
            && let Some(owner) = self.owner.upgrade()
        {
            owner.evict(self.range.start);
            // Readers that need it hold it.
            owner.forget(self);
            self.discard();
        }
    }
}

impl Piece {
    fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The buffer that it lies in, if that is a range's.
    fn shared(&self) -> Option<(Range<u64>, Arc<RangeBuffer>)> {
        match &self.memory {
            Memory::Own(_) => None,
            Memory::Shared(buffer) => Some((self.range.clone(), Arc::clone(buffer))),
        }
    }

    fn lies_in(&self, buffer: Option<&Arc<RangeBuffer>>) -> bool {
        matches!((&self.memory, buffer), (Memory::Shared(own), Some(buffer)) if Arc::ptr_eq(own, buffer))
    }

    fn slice(&self, run: &Range<u64>) -> Option<Bytes> {
        match &self.memory {
            Memory::Own(bytes) => Some(slice_or_copy(bytes, self.range.start, run)),
            Memory::Shared(buffer) => buffer.read(run),
        }
    }
}
