// SPDX-License-Identifier: Apache-2.0
//! Ranges in, requests out. Pure: the same ranges and sizes make the same plan.
//!
//! ```text
//!  asked      [--a--][-b-]      [c]                         [----------d----------]
//!  segments   one a range; overlapping ranges share one; a long one is cut into parts
//!  holes      the smallest first, while they cost less than a request and stay within the share of waste
//!  requests   [--a--|-b-|~hole~|c]                          [----d----] [----d----]
//! ```

use crate::timing::Live;
use std::ops::Range;

/// Requests of one stream under way at once. At the default model, 60 MB/s each and a third of the time spent on first
/// bytes, they fill 2 GB/s; what is more than the link takes hides the late ones.
pub(crate) const STREAMS: usize = 48;

/// Bytes of a segment of a range that nobody has asked for piece by piece.
const PIECE: u64 = 256 << 10;

/// What the heads of a request and of its answer take: a hole no larger than that costs no byte on the wire.
const HEADS: u64 = 1 << 10;

/// What a plan is made by, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Holes up to here are always read through.
    pub(crate) free: u64,
    /// No larger hole is read through.
    pub(crate) gap: u64,
    /// Bytes of holes, in percent of those asked for.
    pub(crate) waste_percent: u64,
    /// What a request of a long range has; none has more than half as much again.
    pub(crate) part: u64,
}

/// The settings that sizes come from, in bytes and percent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) gap: u64,
    pub(crate) waste_percent: u64,
    pub(crate) budget: u64,
    /// Few requests count for more than time and waste.
    pub(crate) fewest: bool,
}

impl Sizes {
    /// By what the store's answers were like lately.
    ///
    /// A hole is worth a request as long as it takes no longer than a first byte. A part takes two and a half times as
    /// long, so that most of a stream's time goes into bytes; below 4 MiB requests cost more than they bring.
    pub(crate) fn by(live: &Live, limits: &Limits) -> Sizes {
        const LEAST_PART: u64 = 4 << 20;
        const MOST_PART: u64 = 16 << 20;
        if limits.fewest {
            return Sizes::of_fewest(limits);
        }
        let per_request = live.median_first_byte() as f64 * live.bytes_per_second() as f64 / 1e9;
        let part = ((per_request * 2.5) as u64).clamp(LEAST_PART, MOST_PART);
        Sizes {
            free: HEADS,
            gap: limits.gap.min(per_request as u64),
            waste_percent: limits.waste_percent,
            part: part.min(limits.budget / 8).max(1),
        }
    }

    /// For the fewest requests: every hole up to the setting is read through, and a range is cut only where the budget
    /// must hold several.
    fn of_fewest(limits: &Limits) -> Sizes {
        let part = (limits.budget / 8).max(1);
        Sizes { free: limits.gap, gap: limits.gap, waste_percent: 0, part }
    }

    /// For a window that is read ahead: enough parts of it that many streams share it. Towards the end of the object, of
    /// which so much is left, parts are shorter, so that no straggler holds up its reader for long.
    pub(crate) fn of_window(&self, window: u64, left: u64) -> Sizes {
        const LEAST: u64 = 2 << 20;
        const PARTS: u64 = 8;
        let part = (window / PARTS).clamp(LEAST.min(self.part), self.part);
        let sizes = Sizes { part, ..*self };
        if part < self.part { sizes } else { sizes.of_end(left) }
    }

    /// For a stream that has so many bytes left.
    pub(crate) fn of_end(&self, left: u64) -> Sizes {
        Sizes { part: self.part.min((left / STREAMS as u64).max(self.part / 2 + 1)), ..*self }
    }

    /// No request has more bytes.
    pub(crate) fn most(&self) -> u64 {
        self.part + self.part / 2
    }
}

/// A run of bytes of one request: handed out as a whole, or received in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) range: Range<u64>,
    pub(crate) wanted: bool,
}

/// One request to make: its segments follow on each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) segments: Vec<Segment>,
}

impl Request {
    pub(crate) fn range(&self) -> Range<u64> {
        let first = self.segments.first().map_or(0, |segment| segment.range.start);
        let last = self.segments.last().map_or(0, |segment| segment.range.end);
        first..last
    }

    /// The ranges that are wanted of it.
    pub(crate) fn wanted(self) -> Vec<Range<u64>> {
        self.segments.into_iter().filter(|s| s.wanted).map(|s| s.range).collect()
    }
}

/// The ranges in order, each byte once: those that overlap are made one, those that only touch are not. Empty ones are
/// left out.
pub(crate) fn disjoint(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The requests for ranges that are in order and disjoint.
pub(crate) fn requests(ranges: &[Range<u64>], sizes: &Sizes) -> Vec<Request> {
    let pieces: Vec<Range<u64>> =
        ranges.iter().flat_map(|range| parts(range.clone(), sizes)).collect();
    let through = holes(&pieces, sizes);
    let mut requests: Vec<Request> = Vec::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        let wanted = Segment { range: piece.clone(), wanted: true };
        match requests.last_mut() {
            Some(last) if through[at] && piece.end - last.range().start <= sizes.most() => {
                let hole = last.range().end..piece.start;
                if !hole.is_empty() {
                    last.segments.push(Segment { range: hole, wanted: false });
                }
                last.segments.push(wanted);
            }
            _ => requests.push(Request { segments: vec![wanted] }),
        }
    }
    requests
}

/// A request for a range that will be read in steps, cut so.
pub(crate) fn in_steps(range: Range<u64>, step: u64) -> Request {
    const LEAST: u64 = 64 << 10;
    let step = if step == 0 { PIECE } else { step.max(LEAST) };
    let mut segments = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min(at.saturating_add(step));
        segments.push(Segment { range: at..end, wanted: true });
        at = end;
    }
    Request { segments }
}

/// A request for a range that is streamed.
pub(crate) fn streamed(range: Range<u64>) -> Request {
    in_steps(range, PIECE)
}

/// The ranges less what the requests hold; both are in order and disjoint.
pub(crate) fn without(ranges: &[Range<u64>], requests: &[Request]) -> Vec<Range<u64>> {
    let mut rest = Vec::with_capacity(ranges.len());
    for range in ranges {
        let mut at = range.start;
        let first = requests.partition_point(|request| request.range().end <= range.start);
        for held in requests[first..].iter().map(Request::range) {
            if held.start >= range.end {
                break;
            }
            if at < held.start {
                rest.push(at..held.start);
            }
            at = held.end;
        }
        if at < range.end {
            rest.push(at..range.end);
        }
    }
    rest
}

/// A range as parts of equal size, near that of a part.
pub(crate) fn parts(range: Range<u64>, sizes: &Sizes) -> impl Iterator<Item = Range<u64>> + use<> {
    let length = range.end - range.start;
    let count = if length <= sizes.most() { 1 } else { length.div_ceil(sizes.part) };
    let cut = move |number: u64| {
        range.start + (u128::from(length) * u128::from(number) / u128::from(count)) as u64
    };
    (0..count).map(move |number| cut(number)..cut(number + 1))
}

/// For each piece, whether the hole before it is read through. Touching pieces have one of no bytes.
fn holes(pieces: &[Range<u64>], sizes: &Sizes) -> Vec<bool> {
    let asked: u64 = pieces.iter().map(|piece| piece.end - piece.start).sum();
    let mut vain = (u128::from(asked) * u128::from(sizes.waste_percent) / 100) as u64;
    let mut holes: Vec<(u64, usize)> = pieces
        .windows(2)
        .enumerate()
        .map(|(at, pair)| (pair[1].start - pair[0].end, at + 1))
        .filter(|(hole, _)| *hole <= sizes.gap.max(sizes.free))
        .collect();
    holes.sort_unstable();
    let mut through = vec![false; pieces.len()];
    for (hole, at) in holes {
        if hole > sizes.free {
            if hole > vain {
                break;
            }
            vain -= hole;
        }
        through[at] = true;
    }
    through
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range is a list of ranges, too")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn sizes(gap: u64, part: u64) -> Sizes {
        Sizes { free: 3, gap, waste_percent: 25, part }
    }

    /// Bytes by place: how often each was asked for, or is requested as wanted, or in vain.
    fn count<'a>(ranges: impl Iterator<Item = &'a Range<u64>>) -> BTreeMap<u64, u32> {
        let mut bytes = BTreeMap::new();
        for at in ranges.flat_map(Clone::clone) {
            *bytes.entry(at).or_insert(0) += 1;
        }
        bytes
    }

    proptest! {
        #[test]
        fn every_byte_asked_is_requested_once_and_waste_is_bounded(
            asked in prop::collection::vec((0u64..2_000, 0u64..200), 0..40),
            gap in 0u64..100,
            part in 1u64..300,
        ) {
            let sizes = sizes(gap, part);
            let asked: Vec<_> = asked.into_iter().map(|(start, length)| start..start + length).collect();
            let model = count(asked.iter());
            let plan = requests(&disjoint(asked), &sizes);
            let segments = || plan.iter().flat_map(|request| &request.segments);
            let wanted = count(segments().filter(|s| s.wanted).map(|s| &s.range));
            let vain = count(segments().filter(|s| !s.wanted).map(|s| &s.range));
            prop_assert!(wanted.values().chain(vain.values()).all(|times| *times == 1));
            prop_assert_eq!(wanted.keys().collect::<Vec<_>>(), model.keys().collect::<Vec<_>>());
            prop_assert!(vain.keys().all(|at| !model.contains_key(at)));
            let holes = segments().filter(|segment| !segment.wanted);
            let holes: Vec<_> = holes.map(|hole| hole.range.end - hole.range.start).collect();
            prop_assert!(holes.iter().all(|hole| *hole <= gap.max(3)));
            let counted: u64 = holes.iter().filter(|hole| **hole > 3).sum();
            prop_assert!(counted * 4 <= model.len() as u64);
        }

        #[test]
        fn requests_are_in_order_whole_and_not_too_long(
            asked in prop::collection::vec((0u64..2_000, 1u64..900), 1..40),
            part in 1u64..300,
        ) {
            let sizes = sizes(50, part);
            let asked: Vec<_> = asked.into_iter().map(|(start, length)| start..start + length).collect();
            let mut reached = 0;
            for request in requests(&disjoint(asked), &sizes) {
                let range = request.range();
                prop_assert!(range.start >= reached && range.end - range.start <= sizes.most());
                prop_assert!(request.segments.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
                prop_assert!(request.segments.first().unwrap().wanted && request.segments.last().unwrap().wanted);
                reached = range.end;
            }
        }
    }

    #[test]
    fn a_hole_at_the_limit_is_read_through_and_one_beyond_is_not() {
        let plan = |second: u64| requests(&[0..1_000, second..second + 1_000], &sizes(100, 5_000));
        assert_eq!(plan(1_100).len(), 1);
        assert_eq!(plan(1_101).len(), 2);
        assert_eq!(plan(1_000)[0].segments.len(), 2, "touching ranges stay segments of their own");
    }

    #[test]
    fn the_smallest_holes_are_filled_first() {
        // 400 bytes asked for: 100 may be in vain.
        let ranges = [0..100, 190..290, 300..400, 490..590];
        let plan = requests(&ranges, &sizes(100, 5_000));
        assert_eq!(plan.iter().map(Request::range).collect::<Vec<_>>(), [0..400, 490..590]);
    }

    proptest! {
        /// object_store's `coalesce_ranges`: ranges in order, joined while the next begins at most 1 MiB after the end.
        #[test]
        fn the_fewest_requests_are_those_of_the_gap_alone(
            asked in prop::collection::vec((0u64..40 << 20, 1u64..4 << 20), 1..40),
        ) {
            const GAP: u64 = 1 << 20;
            let limits = Limits { gap: GAP, waste_percent: 25, budget: 256 << 20, fewest: true };
            let sizes = Sizes::by(&Live::new(97), &limits);
            let asked: Vec<_> = asked.into_iter().map(|(start, length)| start..start + length).collect();
            let asked = disjoint(asked);
            let joined = asked.windows(2).filter(|pair| pair[1].start - pair[0].end <= GAP).count();
            let plan = requests(&asked, &sizes);
            // All of it may be one request: none is cut below that.
            prop_assert!(sizes.most() >= 44 << 20);
            prop_assert_eq!(plan.len(), asked.len() - joined);
        }
    }

    #[test]
    fn a_long_range_becomes_equal_parts() {
        let cut = |length: u64| {
            let plan = requests(&[7..7 + length], &sizes(0, 100));
            plan.iter().map(|r| r.range().end - r.range().start).collect::<Vec<_>>()
        };
        assert_eq!(cut(150), [150]);
        assert_eq!(cut(151), [75, 76]);
        assert_eq!(cut(1_000), [100; 10]);
    }

    #[test]
    fn a_range_to_the_end_of_numbers_is_planned() {
        let plan = requests(&[u64::MAX - 10..u64::MAX], &sizes(10, 4));
        assert_eq!(plan.last().unwrap().range().end, u64::MAX);
    }
}
