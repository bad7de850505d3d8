// SPDX-License-Identifier: Apache-2.0
//! Entry point of the fuzz target that plans reads.

use super::plan::{Request, Sizes, disjoint, requests, without};
use std::ops::Range;

/// Bytes of the object.
const SIZE: usize = (STARTS + LENGTHS) as usize;
/// Ranges begin below.
const STARTS: u64 = 1 << 11;
/// Ranges are shorter.
const LENGTHS: u64 = 1 << 8;

/// Two bytes of part size, one of gap, one of waste; then four of each range. Every byte that is asked for is requested once, holes
/// are no larger and no more than they may be, and nothing is left over.
pub(crate) fn plan(data: &[u8]) {
    let Some((head, rest)) = data.split_at_checked(4) else { return };
    let sizes = Sizes {
        free: 3,
        gap: u64::from(head[2]),
        waste_percent: u64::from(head[3]) % 101,
        part: 1 + number(&head[..2]),
    };
    let asked = rest.chunks_exact(4).map(|range| {
        let start = number(&range[..2]) % STARTS;
        start..start + number(&range[2..]) % LENGTHS
    });
    let asked: Vec<Range<u64>> = asked.collect();
    let times = counted(asked.iter());
    let ranges = disjoint(asked);
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
    let plan = requests(&ranges, &sizes);
    let segments = || plan.iter().flat_map(|request| &request.segments);
    let wanted = counted(segments().filter(|segment| segment.wanted).map(|segment| &segment.range));
    let vain = counted(segments().filter(|segment| !segment.wanted).map(|segment| &segment.range));
    let once = times.iter().map(|times| u16::from(*times > 0));
    assert!(once.eq(wanted.iter().copied()));
    assert!(vain.iter().zip(&wanted).all(|(vain, wanted)| *vain == 0 || *wanted == 0));
    check_requests(&plan, &sizes);
    check_holes(&plan, &sizes, wanted.iter().map(|times| u64::from(*times)).sum());
    assert!(without(&ranges, &plan).is_empty());
    let half = &plan[..plan.len() / 2];
    let left = counted(without(&ranges, half).iter());
    let held = counted(half.iter().map(Request::range).collect::<Vec<_>>().iter());
    assert!((0..SIZE).all(|at| left[at] == u16::from(wanted[at] == 1 && held[at] == 0)));
}

/// In order, whole, and not too long.
fn check_requests(plan: &[Request], sizes: &Sizes) {
    let mut reached = 0;
    for request in plan {
        let range = request.range();
        assert!(range.start >= reached && range.end - range.start <= sizes.most());
        assert!(request.segments.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
        reached = range.end;
    }
}

fn check_holes(plan: &[Request], sizes: &Sizes, asked: u64) {
    let segments = plan.iter().flat_map(|request| &request.segments);
    let holes = segments.filter(|segment| !segment.wanted);
    let holes: Vec<u64> = holes.map(|hole| hole.range.end - hole.range.start).collect();
    assert!(holes.iter().all(|hole| *hole <= sizes.gap.max(sizes.free)));
    let counted: u64 = holes.iter().filter(|hole| **hole > sizes.free).sum();
    assert!(counted * 100 <= asked * sizes.waste_percent, "{counted} of {asked}");
}

/// How often each byte lies in one of the ranges.
fn counted<'a>(ranges: impl Iterator<Item = &'a Range<u64>>) -> Vec<u16> {
    let mut times = vec![0; SIZE];
    for range in ranges {
        for byte in &mut times[range.start as usize..range.end as usize] {
            *byte += 1;
        }
    }
    times
}

fn number(bytes: &[u8]) -> u64 {
    u16::from_be_bytes([bytes[0], bytes[1]]).into()
}
