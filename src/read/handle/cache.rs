// SPDX-License-Identifier: Apache-2.0
//! The blocks of one object by their place: those on their way, those that are there unread, and small ones that were read
//! and may be read again. They do not overlap. Nothing is asked for here, and no permit taken.

use crate::read::block::{Block, Fetch, Purpose};
use crate::read::plan::{self, Request, Sizes};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// Blocks that were read stay, if they are no larger than this, ...
const RETAINED_BLOCK: u64 = 1 << 20;
/// ... and so many bytes of them a handle: a footer or a dictionary is read again soon.
const RETAINED_BYTES: u64 = 8 << 20;

/// Where some bytes of a read come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A block that is there or on its way; joined.
    Block(Arc<Block>),
    /// A request to make.
    Fetch(Fetch),
}

impl Source {
    pub(crate) fn range(&self) -> Range<u64> {
        match self {
            Source::Block(block) => block.range(),
            Source::Fetch(fetch) => fetch.request.range(),
        }
    }
}

/// What becomes of a block that is there and that no reader needs.
#[derive(Debug)]
pub(super) enum Settled {
    /// Its unread bytes wait for a reader until room is needed.
    Unread,
    /// It was read and is small: it stays, in place of these.
    Retained(Vec<Arc<Block>>),
    Removed,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    /// By where they begin.
    blocks: BTreeMap<u64, Arc<Block>>,
    /// Those that were read: where they begin, and their length, the oldest first.
    retained: VecDeque<(u64, u64)>,
}

impl Cache {
    /// Joins the blocks that hold some of `range`, and tells what is missing between them.
    pub(super) fn join(
        &self,
        range: &Range<u64>,
        sources: &mut Vec<Source>,
        gaps: &mut Vec<Range<u64>>,
    ) {
        self.gaps(range, gaps);
        for block in self.overlapping(range) {
            // A block that holds two ranges is joined once.
            let known = sources
                .iter()
                .rev()
                .any(|source| matches!(source, Source::Block(known) if Arc::ptr_eq(known, block)));
            if !known {
                block.join();
                sources.push(Source::Block(Arc::clone(block)));
            }
        }
    }

    /// What no block holds of `range`.
    pub(super) fn gaps(&self, range: &Range<u64>, gaps: &mut Vec<Range<u64>>) {
        let mut at = range.start;
        for block in self.overlapping(range) {
            let there = block.range();
            if at < there.start {
                gaps.push(at..there.start);
            }
            at = at.max(there.end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
    }

    /// The requests for what is missing, in order: none reads through a hole that holds a block, or a request of `due`.
    pub(super) fn plan(&self, gaps: &[Range<u64>], due: &[Request], sizes: &Sizes) -> Vec<Request> {
        let is_free = |hole: Range<u64>| {
            let next = due.partition_point(|request| request.range().end <= hole.start);
            due.get(next).is_none_or(|request| request.range().start >= hole.end)
                && !self.is_any_there(&hole)
        };
        gaps.chunk_by(|one, next| is_free(one.end..next.start))
            .flat_map(|gaps| plan::requests(gaps, sizes))
            .collect()
    }

    pub(super) fn is_any_there(&self, range: &Range<u64>) -> bool {
        self.overlapping(range).next().is_some()
    }

    pub(super) fn holds(&self, block: &Block) -> bool {
        self.blocks
            .get(&block.range().start)
            .is_some_and(|known| std::ptr::eq(&raw const **known, block))
    }

    pub(super) fn place(&mut self, block: Arc<Block>) -> Arc<Block> {
        self.blocks.insert(block.range().start, Arc::clone(&block));
        block
    }

    /// Removes the block, unless another one has its place.
    pub(super) fn forget(&mut self, block: &Block) {
        if self.holds(block) {
            self.blocks.remove(&block.range().start);
        }
    }

    /// Removes the block that begins there, if it is there and no reader needs it.
    pub(super) fn evict(&mut self, start: u64) -> Option<Arc<Block>> {
        let is_idle = |block: &&Arc<Block>| block.is_over() && !block.is_needed();
        self.blocks.get(&start).filter(is_idle)?;
        self.blocks.remove(&start)
    }

    /// Removes all blocks that no reader needs.
    pub(super) fn clear(&mut self) -> Vec<Arc<Block>> {
        let blocks: Vec<_> = self.blocks.values().filter(|b| !b.is_needed()).cloned().collect();
        for block in &blocks {
            self.blocks.remove(&block.range().start);
        }
        blocks
    }

    /// Decides what becomes of a block that is there and that no reader needs. `read` says whether the last one has got
    /// what it wanted.
    pub(super) fn settle(&mut self, block: &Arc<Block>, read: bool) -> Settled {
        let unread = block.unread();
        if unread > 0 && (read || block.purpose() == Purpose::Prefetch) {
            Settled::Unread
        } else if unread == 0 && block.len() <= RETAINED_BLOCK {
            Settled::Retained(self.retain(block))
        } else {
            self.blocks.remove(&block.range().start);
            Settled::Removed
        }
    }

    /// Keeps a block that was read; tells which older ones make room for it.
    fn retain(&mut self, block: &Arc<Block>) -> Vec<Arc<Block>> {
        if block.retain() {
            self.retained.push_back((block.range().start, block.len()));
        }
        let mut dropped = Vec::new();
        while self.retained.iter().map(|(_, length)| length).sum::<u64>() > RETAINED_BYTES {
            let Some((start, _)) = self.retained.pop_front() else { break };
            dropped.extend(self.evict(start));
        }
        dropped
    }

    fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = &Arc<Block>> + use<'_> {
        let (start, end) = (range.start, range.end);
        let first = self.blocks.range(..=start).next_back().map(|(_, block)| block);
        let first = first.filter(move |block| start < end && block.range().end > start);
        let others = self.blocks.range(start..end.max(start)).map(|(_, block)| block);
        first.into_iter().chain(others.filter(move |block| block.range().start > start))
    }
}
