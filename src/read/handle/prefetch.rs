// SPDX-License-Identifier: Apache-2.0
//! What is fetched before it is read: the caller's hints first, in their order, or else what the predictor expects. Hints
//! disable prediction. It chooses the requests; whether there is room for one is for `start` to say.

use super::cache::Cache;
use crate::read::options::ReadPolicy;
use crate::read::plan::{self, Request, Sizes};
use crate::read::predict::Predictor;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

#[derive(Debug)]
pub(super) struct Prefetch {
    predictor: Predictor,
    hints: VecDeque<Request>,
    /// Whether there were any.
    hinted: bool,
}

/// What a prefetch goes by.
#[derive(Debug)]
pub(super) struct Bounds<'a> {
    /// The object's size, once it is known.
    pub(super) size: Option<u64>,
    pub(super) sizes: &'a Sizes,
    /// No window has more bytes.
    pub(super) most: u64,
}

impl Prefetch {
    pub(super) fn new(policy: ReadPolicy) -> Prefetch {
        Prefetch { predictor: Predictor::new(policy), hints: VecDeque::new(), hinted: false }
    }

    /// Notes a read, by a caller that had to wait for the one before or not.
    pub(super) fn note(&mut self, range: &Range<u64>, waited: bool) {
        self.predictor.note(range, waited);
    }

    /// Bytes that were prefetched were dropped unread.
    pub(super) fn wasted(&mut self) {
        self.predictor.wasted();
    }

    /// What will be read next, in this order.
    pub(super) fn hint(&mut self, ranges: Vec<Range<u64>>, cache: &Cache, sizes: &Sizes) {
        let mut gaps = Vec::new();
        for range in plan::disjoint(ranges) {
            cache.gaps(&range, &mut gaps);
        }
        let known = self.due(&mut gaps, cache);
        let planned = cache.plan(&gaps, &known, sizes);
        self.hints.extend(known.into_iter().chain(planned));
        self.hinted = true;
    }

    /// The hinted requests that hold one of the gaps: they are due now, as they were planned. In order, and disjoint; what
    /// they hold is no gap any more.
    pub(super) fn due(&mut self, gaps: &mut Vec<Range<u64>>, cache: &Cache) -> Vec<Request> {
        if self.hints.is_empty() {
            return Vec::new();
        }
        let mut due: BTreeMap<u64, Request> = BTreeMap::new();
        let mut waiting = VecDeque::new();
        for request in std::mem::take(&mut self.hints) {
            let range = request.range();
            let first = gaps.partition_point(|gap| gap.start < range.start);
            let is_due = gaps.get(first).is_some_and(|gap| gap.end <= range.end);
            let before = due.range(..range.end).next_back();
            let is_apart = before.is_none_or(|(_, before)| before.range().end <= range.start);
            if is_due && is_apart && !cache.is_any_there(&range) {
                due.insert(range.start, request);
            } else {
                waiting.push_back(request);
            }
        }
        self.hints = waiting;
        let due: Vec<_> = due.into_values().collect();
        *gaps = plan::without(gaps, &due);
        due
    }

    /// Forgets the hints.
    pub(super) fn clear(&mut self) {
        self.hints.clear();
    }

    /// Starts what was hinted at or is predicted, until `start` has no room and returns the request.
    pub(super) fn advance(
        &mut self,
        cache: &mut Cache,
        bounds: &Bounds<'_>,
        start: &mut impl FnMut(&mut Cache, Request) -> Result<(), Request>,
    ) {
        while let Some(request) = self.hints.pop_front() {
            if cache.is_any_there(&request.range()) {
                self.replan(&request, cache, bounds.sizes);
                continue;
            }
            if let Err(request) = start(cache, request) {
                self.hints.push_front(request);
                break;
            }
        }
        if let Some(size) = bounds.size
            && !self.hinted
        {
            // Without room for the runs, there is none for strides.
            let _ = self
                .follow_runs(cache, size, bounds, start)
                .and_then(|()| self.follow_strides(cache, size, bounds, start));
        }
    }

    /// A hint of which some bytes are there by now: the others remain to be fetched.
    fn replan(&mut self, request: &Request, cache: &Cache, sizes: &Sizes) {
        let mut gaps = Vec::new();
        for segment in request.segments.iter().filter(|segment| segment.wanted) {
            cache.gaps(&segment.range, &mut gaps);
        }
        for request in cache.plan(&gaps, &[], sizes).into_iter().rev() {
            self.hints.push_front(request);
        }
    }

    fn follow_runs(
        &mut self,
        cache: &mut Cache,
        size: u64,
        bounds: &Bounds<'_>,
        start: &mut impl FnMut(&mut Cache, Request) -> Result<(), Request>,
    ) -> Result<(), Request> {
        for ahead in self.predictor.ahead(size, bounds.most, bounds.sizes.part) {
            let left = size - ahead.range.start;
            let sizes = bounds.sizes.of_window(ahead.window, left);
            for part in plan::parts(ahead.range.clone(), &sizes) {
                let mut gaps = Vec::new();
                cache.gaps(&part, &mut gaps);
                for gap in gaps {
                    start(cache, plan::in_steps(gap, ahead.step))?;
                }
                self.predictor.launched(&ahead, part.end);
            }
        }
        Ok(())
    }

    fn follow_strides(
        &mut self,
        cache: &mut Cache,
        size: u64,
        bounds: &Bounds<'_>,
        start: &mut impl FnMut(&mut Cache, Request) -> Result<(), Request>,
    ) -> Result<(), Request> {
        let mut gaps = Vec::new();
        for range in &self.predictor.strides(size) {
            cache.gaps(range, &mut gaps);
        }
        cache
            .plan(&gaps, &[], bounds.sizes)
            .into_iter()
            .try_for_each(|request| start(cache, request))
    }
}
