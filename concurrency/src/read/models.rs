// SPDX-License-Identifier: Apache-2.0
//! Models of a block whose readers share one request, by shuttle.

use super::block::{Block, End, Fetch, Owner, Purpose, Waiter};
use super::buffer::RangeBuffer;
use super::plan::{Request, Segment};
use crate::error::{ErrorKind, Failure};
use crate::limiter::{Admission, Ticket};
use crate::schedules::check;
use crate::timing::{Gauges, Recorders};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::sync::{Arc, Weak};
use std::future::poll_fn;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

/// Bytes of a segment; the block has three.
const PIECE: u64 = 8;
const SIZE: u64 = 3 * PIECE;

struct Nobody;

impl Owner for Nobody {
    fn evict(&self, _: u64) {}

    fn forget(&self, _: &Block) {}
}

fn block(buffers: Vec<Arc<RangeBuffer>>) -> Arc<Block> {
    let segment =
        |number: u64| Segment { range: number * PIECE..(number + 1) * PIECE, wanted: true };
    let request = Request { segments: (0..3).map(segment).collect() };
    let fetch = Fetch { buffers, ..Fetch::new(request, Purpose::Demand) };
    let owner: Weak<Nobody> = Weak::new();
    Block::new(owner, fetch, &Recorders)
}

/// The byte at a place of the object.
fn byte(at: u64) -> u8 {
    at as u8 + 1
}

/// Brings the first so many segments, then ends.
fn fetch(block: &Arc<Block>, segments: usize, end: End) -> JoinHandle<()> {
    let block = Arc::clone(block);
    spawn(async move {
        for segment in &block.segments()[..segments] {
            let mut room = block.room(&segment.range, SIZE).unwrap();
            yield_now().await;
            let bytes: Vec<u8> = segment.range.clone().map(byte).collect();
            room.extend_from_slice(&bytes);
            block.arrived(segment.range.start, room, segment.wanted);
        }
        block.end(end);
    })
}

/// A reader of some bytes: those, or how the block ended before they were there.
fn reader(block: &Arc<Block>, range: Range<u64>) -> JoinHandle<Result<Vec<u8>, End>> {
    let block = Arc::clone(block);
    block.join();
    spawn(async move {
        let waiter = Waiter::new();
        let over = poll_fn(|cx| {
            let progress = block.progress(waiter, cx.waker());
            match progress.over {
                _ if progress.reached >= range.end => Poll::Ready(None),
                Some(end) => Poll::Ready(Some(end)),
                None => Poll::Pending,
            }
        })
        .await;
        if let Some(end) = over {
            block.leave();
            return Err(end);
        }
        let mut read = Vec::new();
        block.take(&range, None, |at, bytes| {
            assert_eq!(at, range.start + read.len() as u64);
            read.extend_from_slice(&bytes);
        });
        block.leave();
        Ok(read)
    })
}

fn assert_read(read: JoinHandle<Result<Vec<u8>, End>>, range: Range<u64>) {
    let read = block_on(read).unwrap().expect("the block ends well");
    assert_eq!(read, range.map(byte).collect::<Vec<_>>());
}

/// Every reader is woken when its bytes are there, also where another has left.
pub fn readers_share_one_request() {
    check(|| {
        let block = block(Vec::new());
        let leaving = reader(&block, 0..SIZE);
        let ranges = [0..5, 6..18, 0..SIZE];
        let readers = ranges.clone().map(|range| reader(&block, range));
        let fetching = fetch(&block, 3, End::Well);
        leaving.abort();
        for (read, range) in readers.into_iter().zip(ranges) {
            assert_read(read, range);
        }
        block_on(fetching).unwrap();
        drop(block_on(leaving));
        assert!(block.is_over());
    });
}

/// A block that fails fails for all who still wait for bytes of it, and holds no permit.
pub fn a_failure_is_everybodys() {
    check(|| {
        let gauges = Arc::new(Gauges::default());
        let admission = Admission::new(100, 4, &gauges);
        let block = block(Vec::new());
        let Ticket::Now(permit) = admission.demand(SIZE) else { panic!("it fits") };
        block.admitted(permit);
        let early = reader(&block, 0..PIECE);
        let late = [reader(&block, 0..SIZE), reader(&block, PIECE..2 * PIECE + 1)];
        let failure = Failure::new(ErrorKind::Connect).message("reset");
        let fetching = fetch(&block, 1, End::Failed(failure.into()));
        assert_read(early, 0..PIECE);
        for read in late {
            assert!(matches!(block_on(read).unwrap(), Err(End::Failed(_))));
        }
        block_on(fetching).unwrap();
        assert_eq!(gauges.read_held.load(Relaxed), 0);
    });
}

/// The bytes that a block brings into the buffer of a range are read there by another reader, before and after they are joined.
pub fn a_block_fills_the_buffer_of_a_range() {
    check(|| {
        let buffer = RangeBuffer::new(0..SIZE);
        let block = block(vec![Arc::clone(&buffer)]);
        let other = reader(&block, 2..PIECE + 2);
        let fetching = fetch(&block, 3, End::Well);
        assert_read(other, 2..PIECE + 2);
        block_on(fetching).unwrap();
        let joined = buffer.join(SIZE).unwrap();
        assert_eq!(joined, (0..SIZE).map(byte).collect::<Vec<_>>());
        let all = reader(&block, 0..SIZE);
        assert_read(all, 0..SIZE);
    });
}
