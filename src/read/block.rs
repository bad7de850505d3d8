// SPDX-License-Identifier: Apache-2.0
//! The bytes of one request: on their way, or there. Whoever needs some of them waits on the block, so that a byte is
//! asked for once however many readers want it.
//!
//! Each segment is a piece of memory of its own, so that a reader of a small range pins no large block; one of less than
//! half a piece gets a copy. A hole that was read through is a piece like the others until its block goes.

use super::admission::{Evict, Permit};
use super::handle::Handle;
use super::plan::{Request, Segment};
use crate::error::Error;
use crate::timing::{Sink, now_ns};
use bytes::Bytes;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use tokio::task::AbortHandle;

/// Why a block is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Somebody waits for it.
    Demand,
    /// Somebody streams towards it.
    Stream,
    /// It was foreseen, or hinted at.
    Foreseen,
}

#[derive(Debug)]
pub(crate) struct Block {
    owner: Weak<Handle>,
    range: Range<u64>,
    cause: Cause,
    /// The scopes of who caused it.
    sink: Sink,
    segments: Vec<Segment>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The segments that are there, in order.
    pieces: Vec<Piece>,
    /// All bytes before this place are there.
    reached: u64,
    over: Option<End>,
    permit: Option<Permit>,
    /// How many gathers and streams need it.
    interest: u32,
    kept: bool,
    /// When somebody last looked, in `now_ns`.
    touched: u64,
    task: Option<AbortHandle>,
    /// Who waits, by their numbers.
    wakers: Vec<(Waiter, Waker)>,
}

#[derive(Debug)]
struct Piece {
    start: u64,
    bytes: Bytes,
    handed: u64,
}

/// How a block ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// All of its bytes that the object has are there.
    Well,
    /// All who wait for it get this.
    Failed(Error),
    /// Nobody fetches it any more, through no fault of its own: who needs it must ask anew.
    Abandoned,
}

/// Names one who waits: its waker alone does not.
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
    pub(crate) fn new(
        owner: &Arc<Handle>,
        request: Request,
        cause: Cause,
        sink: &Sink,
    ) -> Arc<Block> {
        let range = request.range();
        let state = State { reached: range.start, ..State::default() };
        Arc::new(Block {
            owner: Arc::downgrade(owner),
            range,
            cause,
            sink: sink.clone(),
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

    pub(crate) fn cause(&self) -> Cause {
        self.cause
    }

    pub(crate) fn sink(&self) -> &Sink {
        &self.sink
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Bytes that are requested although nobody wants them.
    pub(crate) fn vain(&self) -> u64 {
        self.segments.iter().filter(|s| !s.wanted).map(|s| s.range.end - s.range.start).sum()
    }

    /// Somebody needs it.
    pub(crate) fn join(&self) {
        self.state().interest += 1;
    }

    /// One less needs it; whether anybody still does.
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

    /// A segment has arrived. What is not wanted is there for who may want it yet, and keeps the block for nobody.
    pub(crate) fn arrived(&self, start: u64, bytes: Bytes, wanted: bool) {
        let mut state = self.state();
        state.reached = start + bytes.len() as u64;
        let handed = if wanted { 0 } else { bytes.len() as u64 };
        state.pieces.push(Piece { start, bytes, handed });
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
        drop(state);
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

    /// Hands out the bytes of `range` that are there, in order, each run with its place.
    pub(crate) fn take(&self, range: &Range<u64>, mut out: impl FnMut(u64, Bytes)) {
        let mut state = self.state();
        let first = state.pieces.partition_point(|piece| piece.end() <= range.start);
        for piece in &mut state.pieces[first..] {
            let (start, end) = (piece.start.max(range.start), piece.end().min(range.end));
            if start >= end {
                break;
            }
            piece.handed += end - start;
            out(start, piece.slice(start, end));
        }
    }

    /// Hands out the first bytes from `start` on that are there, one piece at most.
    pub(crate) fn next(&self, range: &Range<u64>) -> Option<Bytes> {
        let mut state = self.state();
        let at = state.pieces.partition_point(|piece| piece.end() <= range.start);
        let piece = state.pieces.get_mut(at).filter(|piece| piece.start <= range.start)?;
        let end = piece.end().min(range.end);
        piece.handed += end - range.start;
        Some(piece.slice(range.start, end))
    }

    /// Bytes that are there and were not handed out.
    pub(crate) fn unread(&self) -> u64 {
        let state = self.state();
        state.pieces.iter().map(|p| (p.bytes.len() as u64).saturating_sub(p.handed)).sum()
    }

    /// It stays although all of it was read; whether it was not kept before.
    pub(crate) fn keep(&self) -> bool {
        !std::mem::replace(&mut self.state().kept, true)
    }

    /// Whether it is there and nobody has looked since `before`.
    pub(crate) fn is_stale(&self, before: u64) -> bool {
        let state = self.state();
        matches!(state.over, Some(End::Well)) && state.touched <= before
    }

    /// Its bytes go; who needs them must ask anew.
    pub(crate) fn discard(&self) {
        let mut state = self.state();
        state.over = Some(End::Abandoned);
        state.reached = self.range.start;
        let dropped = (std::mem::take(&mut state.pieces), state.permit.take());
        drop(state);
        drop(dropped);
    }

    /// Wakes who waits for it.
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
            // Those who need it hold it.
            owner.forget(self);
            self.discard();
        }
    }
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn slice(&self, start: u64, end: u64) -> Bytes {
        let slice = (start - self.start) as usize..(end - self.start) as usize;
        if slice.len() * 2 < self.bytes.len() {
            return Bytes::copy_from_slice(&self.bytes[slice]);
        }
        self.bytes.slice(slice)
    }
}

/// Ends a block that nobody fetches any more: its runtime ended, or its task was aborted.
pub(crate) struct Fetching {
    pub(crate) handle: Arc<Handle>,
    pub(crate) block: Arc<Block>,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if !self.block.is_over() {
            self.handle.forget(&self.block);
            self.block.end(End::Abandoned);
        }
    }
}
