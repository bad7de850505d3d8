// SPDX-License-Identifier: Apache-2.0
//! The memory that bytes of a body are copied into: a piece's own, or its part of one allocation for a whole range.
//!
//! ```text
//!  a range that several requests bring          [-----------------------------]   one allocation, made at the first body
//!  lend      each piece gets its part of it     [ piece ][ piece ][   piece   ]   filled by their requests, in any order
//!  add       what is there already is copied    [ piece ][ piece ][   piece   ][ cached ]
//!  join      the parts are made one again       [-------------------------------------]   no copy
//! ```

use super::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::error::{Error, ErrorKind, Failure, Result};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Where the bytes of one piece are copied to.
#[derive(Debug)]
pub(crate) enum Room {
    /// Memory of the piece alone.
    Own(Vec<u8>),
    /// A part of a range's buffer.
    Lent(Arc<RangeBuffer>, BytesMut),
}

impl Room {
    /// Room for so many bytes.
    pub(crate) fn own(bytes: usize) -> Result<Room> {
        let mut room = Vec::new();
        if room.try_reserve_exact(bytes).is_err() {
            return Err(Failure::new(ErrorKind::Exhausted)
                .message(format!("there is no memory for {bytes} bytes"))
                .hint("lower read_budget")
                .into());
        }
        Ok(Room::Own(room))
    }

    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        match self {
            Room::Own(room) => room.extend_from_slice(bytes),
            Room::Lent(_, room) => room.extend_from_slice(bytes),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Room::Own(room) => room.len(),
            Room::Lent(_, room) => room.len(),
        }
    }
}

/// The bytes of one range in one allocation, while several requests bring them. It is its caller's memory, and not counted
/// in the budget of reads.
#[derive(Debug)]
pub(crate) struct RangeBuffer {
    range: Range<u64>,
    state: Mutex<State>,
    /// Its caller has gone: nothing is lent any more.
    closed: AtomicBool,
}

#[derive(Debug)]
enum State {
    Unallocated,
    /// By where they begin: room that is free, and bytes that are there. What is lent is missing.
    Filling(BTreeMap<u64, BytesMut>),
    Joined(Bytes),
}

impl RangeBuffer {
    /// A buffer for the bytes of `range`, allocated when the first of them arrive.
    pub(crate) fn new(range: Range<u64>) -> Arc<RangeBuffer> {
        Arc::new(RangeBuffer {
            range,
            state: Mutex::new(State::Unallocated),
            closed: AtomicBool::new(false),
        })
    }

    /// Room for the bytes of `range` of an object of `size` bytes; `None` where the buffer has not all of it free.
    pub(crate) fn lend(self: &Arc<Self>, range: &Range<u64>, size: u64) -> Result<Option<Room>> {
        let outside = range.start < self.range.start || range.end > self.range.end;
        if outside || self.closed.load(Relaxed) {
            return Ok(None);
        }
        let mut state = self.state();
        let parts = self.parts(&mut state, size)?;
        let room = parts.and_then(|parts| carve(parts, range));
        Ok(room.map(|room| Room::Lent(Arc::clone(self), room)))
    }

    /// Its caller will not come for the bytes.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// Takes back what was lent, filled.
    pub(crate) fn fill(&self, start: u64, bytes: BytesMut) {
        if let State::Filling(parts) = &mut *self.state() {
            parts.insert(start, bytes);
        }
    }

    /// Copies bytes that lie elsewhere. The object has no more than `size` bytes.
    pub(crate) fn add(&self, at: u64, bytes: &[u8], size: u64) -> Result<()> {
        let mut state = self.state();
        let Some(parts) = self.parts(&mut state, size)? else { return Ok(()) };
        let range = at..at + bytes.len() as u64;
        count_copied(bytes.len());
        match carve(parts, &range) {
            Some(mut room) => {
                room.extend_from_slice(bytes);
                parts.insert(at, room);
            }
            // What was lent got lost with its request: these bytes have memory of their own.
            None if part_of(parts, &range).is_none() => {
                parts.insert(at, BytesMut::from(bytes));
            }
            None => {}
        }
        Ok(())
    }

    /// Some of the bytes that are there, for a reader other than the one that the buffer is for.
    pub(crate) fn read(&self, range: &Range<u64>) -> Option<Bytes> {
        match &*self.state() {
            State::Unallocated => None,
            State::Filling(parts) => {
                let (start, bytes) = part_of(parts, range)?;
                let at = (range.start - start) as usize..(range.end - start) as usize;
                Some(Bytes::copy_from_slice(&bytes[at]))
            }
            State::Joined(bytes) => (range.end <= self.range.start + bytes.len() as u64)
                .then(|| slice_or_copy(bytes, self.range.start, range)),
        }
    }

    /// All bytes up to `end`, which are there. Without a copy, unless something that was lent got lost.
    pub(crate) fn join(&self, end: u64) -> Result<Bytes> {
        let mut state = self.state();
        let State::Filling(parts) = &mut *state else {
            return Ok(match &*state {
                State::Joined(bytes) => bytes.clone(),
                _ => Bytes::new(),
            });
        };
        parts.retain(|_, part| !part.is_empty());
        let length = (end - self.range.start) as usize;
        let begins = parts.keys().next().is_some_and(|start| *start == self.range.start);
        let adjoin = |(one, next): (&BytesMut, &BytesMut)| one.as_ptr_range().end == next.as_ptr();
        let joined = if begins && parts.values().zip(parts.values().skip(1)).all(adjoin) {
            let mut parts = std::mem::take(parts).into_values();
            let mut joined = parts.next().unwrap_or_default();
            parts.for_each(|part| joined.unsplit(part));
            joined.truncate(length);
            joined.freeze()
        } else {
            self.copied(parts, length)?
        };
        if joined.len() < length {
            return Err(incomplete(joined.len(), length));
        }
        *state = State::Joined(joined.clone());
        Ok(joined)
    }

    /// The parts one after the other, which may overlap.
    fn copied(&self, parts: &BTreeMap<u64, BytesMut>, length: usize) -> Result<Bytes> {
        let mut joined = allocate(length)?;
        for (start, part) in parts {
            let there = self.range.start + joined.len() as u64;
            let known =
                there.checked_sub(*start).ok_or_else(|| incomplete(joined.len(), length))?;
            joined.extend_from_slice(part.get(known as usize..).unwrap_or_default());
        }
        count_copied(joined.len());
        joined.truncate(length);
        Ok(joined.into())
    }

    /// The parts, allocated if they are not yet; `None` once they were joined.
    fn parts<'a>(
        &self,
        state: &'a mut State,
        size: u64,
    ) -> Result<Option<&'a mut BTreeMap<u64, BytesMut>>> {
        if let State::Unallocated = state {
            let length = self.range.end.min(size).saturating_sub(self.range.start);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            // As `BytesMut`, which can be cut and joined; it has no fallible allocation of its own.
            let mut room = BytesMut::from(Bytes::from(allocate(length)?));
            drop(room.split_off(length.min(room.capacity())));
            *state = State::Filling(BTreeMap::from([(self.range.start, room)]));
        }
        Ok(match state {
            State::Filling(parts) => Some(parts),
            _ => None,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of `range` out of `bytes`, which begin at the place `start`: a slice, or a copy where that would pin more than
/// twice its size.
pub(crate) fn slice_or_copy(bytes: &Bytes, start: u64, range: &Range<u64>) -> Bytes {
    let slice = (range.start - start) as usize..(range.end - start) as usize;
    if slice.len() * 2 < bytes.len() {
        return Bytes::copy_from_slice(&bytes[slice]);
    }
    bytes.slice(slice)
}

/// A range was told complete, and is not: a fault of this module's callers, told rather than bytes at the wrong place.
fn incomplete(there: usize, length: usize) -> Error {
    let why = format!("{there} of {length} bytes of the range are there");
    Failure::new(ErrorKind::Protocol).message(why).into()
}

fn allocate(length: usize) -> Result<Vec<u8>> {
    let mut room = Vec::new();
    if room.try_reserve_exact(length).is_err() {
        return Err(Failure::new(ErrorKind::Exhausted)
            .message(format!("there is no memory for {length} bytes in one piece"))
            .hint("read it in parts, or as a stream")
            .into());
    }
    Ok(room)
}

/// Takes the free room for `range` out of the parts.
fn carve(parts: &mut BTreeMap<u64, BytesMut>, range: &Range<u64>) -> Option<BytesMut> {
    let (start, part) = parts.range_mut(..=range.start).next_back()?;
    let start = *start;
    let (from, to) = ((range.start - start) as usize, (range.end - start) as usize);
    if !part.is_empty() || part.capacity() < to || from == to {
        return None;
    }
    let after = part.split_off(to);
    let room = part.split_off(from);
    if from == 0 {
        parts.remove(&start);
    }
    if after.capacity() > 0 {
        // Bytes of their own may lie there.
        parts.entry(range.end).or_insert(after);
    }
    Some(room)
}

/// The bytes that are there and hold all of `range`, and where they begin.
fn part_of<'a>(
    parts: &'a BTreeMap<u64, BytesMut>,
    range: &Range<u64>,
) -> Option<(u64, &'a BytesMut)> {
    let (start, part) = parts.range(..=range.start).next_back()?;
    (start + part.len() as u64 >= range.end).then_some((*start, part))
}

#[cfg(test)]
thread_local! {
    /// Bytes that this thread has copied a second time.
    pub(crate) static COPIED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn count_copied(bytes: usize) {
    COPIED.set(COPIED.get() + bytes);
}

#[cfg(not(test))]
fn count_copied(_: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffer: &Arc<RangeBuffer>, range: Range<u64>, byte: u8) -> *const u8 {
        let Some(Room::Lent(_, mut room)) = buffer.lend(&range, 1_000).unwrap() else {
            panic!("{range:?} is not free")
        };
        room.extend_from_slice(&vec![byte; (range.end - range.start) as usize]);
        let at = room.as_ptr();
        buffer.fill(range.start, room);
        at
    }

    #[test]
    fn parts_that_were_filled_in_any_order_are_one_allocation() {
        let buffer = RangeBuffer::new(100..2_000);
        let last = fill(&buffer, 700..1_000, 3);
        let first = fill(&buffer, 100..400, 1);
        let middle = fill(&buffer, 400..700, 2);
        COPIED.set(0);
        let joined = buffer.join(1_000).unwrap();
        assert_eq!(joined, [vec![1; 300], vec![2; 300], vec![3; 300]].concat());
        let places = [first, middle, last].map(|at| at as usize - joined.as_ptr() as usize);
        assert_eq!((places, COPIED.get()), ([0, 300, 600], 0), "copied");
        assert_eq!(buffer.read(&(390..410)).unwrap(), joined[290..310]);
    }

    #[test]
    fn what_is_lent_is_lent_once_and_only_within_the_range() {
        let buffer = RangeBuffer::new(100..200);
        for outside in [90..110, 190..210] {
            assert!(buffer.lend(&outside, 1_000).unwrap().is_none());
        }
        let lent = buffer.lend(&(120..140), 1_000).unwrap();
        for taken in [120..140, 110..130, 130..150] {
            assert!(buffer.lend(&taken, 1_000).unwrap().is_none(), "{taken:?}");
        }
        assert!(lent.is_some() && buffer.read(&(120..140)).is_none());
        fill(&buffer, 100..120, 1);
        assert!(buffer.lend(&(100..120), 1_000).unwrap().is_none(), "it is full");
    }

    #[test]
    fn lost_parts_and_those_that_come_twice_are_joined_by_a_copy() {
        let buffer = RangeBuffer::new(0..300);
        drop(buffer.lend(&(100..200), 1_000).unwrap());
        fill(&buffer, 0..100, 1);
        buffer.add(200, &[3; 100], 1_000).unwrap();
        buffer.add(100, &[2; 50], 1_000).unwrap();
        buffer.add(150, &[2; 50], 1_000).unwrap();
        buffer.add(20, &[9; 50], 1_000).unwrap();
        // The request that was given up arrives after all.
        buffer.fill(100, BytesMut::from(&[2; 100][..]));
        assert_eq!(buffer.join(300).unwrap(), [vec![1; 100], vec![2; 100], vec![3; 100]].concat());
    }

    #[test]
    fn what_cannot_be_allocated_is_an_error() {
        let buffer = RangeBuffer::new(0..u64::MAX);
        let error = buffer.lend(&(0..10), u64::MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
    }
}
