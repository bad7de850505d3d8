// SPDX-License-Identifier: Apache-2.0
//! What a handle will be asked for next. Pure: reads are noted, and what to read ahead is told; nothing is fetched here.
//!
//! Two shapes are known, each by several cursors at once: a run forward (a scan, a column chunk), and equal strides. A
//! run is followed from its second read on, up to four times what it has read, and further only when its reader had to
//! wait. Bytes that were read ahead in vain are strikes: each doubles the reads that a run must show first.

use super::options::ReadPolicy;
use std::ops::Range;

/// Runs followed at once; the one unused for the longest makes room.
const CURSORS: usize = 8;
/// A window holds so many times what its run has read.
const GROWTH: u64 = 4;
/// Strides predicted at most.
const STRIDES: u64 = 16;
/// Most strikes that count: a run of 64 reads is followed in any case.
const STRIKES: u32 = 6;
/// Equal strides in a row before they are believed.
const EQUAL: u64 = 3;

/// Bytes to read ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub(crate) range: Range<u64>,
    /// The length of the reads that will ask for them.
    pub(crate) step: u64,
    /// How many bytes its reader is to have ahead.
    pub(crate) window: u64,
    cursor: usize,
}

#[derive(Debug)]
pub(crate) struct Predictor {
    policy: ReadPolicy,
    cursors: Vec<Cursor>,
    last: Option<Range<u64>>,
    strides: Strides,
    strikes: u32,
    clock: u64,
}

/// A run forward.
#[derive(Debug)]
struct Cursor {
    /// Where its next read begins, if it goes on.
    next: u64,
    /// Reads, and bytes read.
    reads: u64,
    bytes: u64,
    /// The length of its last read.
    step: u64,
    /// Bytes to have ahead of `next`.
    window: u64,
    /// Read ahead up to here.
    ahead: u64,
    used: u64,
}

/// Equal steps between reads of equal length.
#[derive(Debug, Default)]
struct Strides {
    stride: u64,
    length: u64,
    equal: u64,
    /// Predicted up to the read that begins here.
    ahead: u64,
}

impl Predictor {
    pub(crate) fn new(policy: ReadPolicy) -> Predictor {
        Predictor {
            policy,
            cursors: Vec::new(),
            last: None,
            strides: Strides::default(),
            strikes: 0,
            clock: 0,
        }
    }

    /// Bytes read ahead were dropped unread.
    pub(crate) fn wasted(&mut self) {
        self.strikes = (self.strikes + 1).min(STRIKES);
    }

    /// Notes a read, by a caller that had to wait for the one before or not.
    pub(crate) fn note(&mut self, range: &Range<u64>, waited: bool) {
        if !self.policy.prefetches() || range.is_empty() {
            return;
        }
        self.clock += 1;
        let (least, clock) = (self.least(), self.clock);
        match self.cursors.iter().position(|cursor| cursor.goes_on(range)) {
            Some(at) => self.cursors[at].advance(range, waited, least, clock),
            None if self.policy != ReadPolicy::WholeFile => self.begin(range),
            // The whole of it, wherever the first read is.
            None if self.cursors.is_empty() => self.begin(&(0..0)),
            None => {}
        }
        self.strides.note(self.last.as_ref(), range);
        self.last = Some(range.clone());
    }

    /// What to read ahead of the reads so far, most urgent first: no byte twice, none beyond `end`, no window above
    /// `most`. A window is topped up when half of it is used, or a request of `part` bytes fits in: less would make a
    /// request for every read.
    pub(crate) fn ahead(&self, end: u64, most: u64, part: u64) -> Vec<Ahead> {
        let mut wishes: Vec<(u64, Ahead)> = Vec::new();
        for (number, cursor) in self.cursors.iter().enumerate() {
            let start = cursor.ahead.max(cursor.next);
            let window = cursor.window.min(most);
            let until = cursor.next.saturating_add(window).min(end);
            let missing = until.saturating_sub(start);
            if missing > 0 && (missing >= part.min(window / 2) || until == end) {
                let range = start..until;
                wishes.push((
                    cursor.used,
                    Ahead { range, step: cursor.step, window, cursor: number },
                ));
            }
        }
        wishes.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        wishes.into_iter().map(|(_, ahead)| ahead).collect()
    }

    /// The bytes of `ahead` up to `reached` are under way.
    pub(crate) fn launched(&mut self, ahead: &Ahead, reached: u64) {
        self.cursors[ahead.cursor].ahead = reached;
    }

    /// The reads that equal strides predict, each once.
    pub(crate) fn strides(&mut self, end: u64) -> Vec<Range<u64>> {
        if !self.policy.prefetches() {
            return Vec::new();
        }
        let least = EQUAL.max(self.least());
        self.last.as_ref().map(|last| self.strides.predict(last, end, least)).unwrap_or_default()
    }

    /// Reads that a run must have before it is followed.
    fn least(&self) -> u64 {
        if self.policy.is_sequential() { 1 } else { 2 << self.strikes }
    }

    fn begin(&mut self, range: &Range<u64>) {
        let mut cursor = Cursor {
            next: range.end,
            reads: 1,
            bytes: range.end - range.start,
            step: range.end - range.start,
            window: 0,
            ahead: 0,
            used: self.clock,
        };
        if self.policy.is_sequential() {
            cursor.window = u64::MAX;
            cursor.step = cursor.step.max(1);
        }
        if self.cursors.len() < CURSORS {
            self.cursors.push(cursor);
        } else if let Some(oldest) = self.cursors.iter_mut().min_by_key(|cursor| cursor.used) {
            *oldest = cursor;
        }
    }
}

impl Cursor {
    /// Whether a read goes on where the last one ended, or skips at most its length.
    fn goes_on(&self, range: &Range<u64>) -> bool {
        let slack = if self.reads > 1 { self.step } else { 0 };
        range.start >= self.next.saturating_sub(slack) && range.start <= self.next + slack
    }

    fn advance(&mut self, range: &Range<u64>, waited: bool, least: u64, clock: u64) {
        self.step = range.end - range.start;
        self.next = self.next.max(range.end);
        self.reads += 1;
        self.bytes += self.step;
        self.used = clock;
        if self.reads >= least && (waited || self.window == 0) {
            self.window = self.window.max(self.bytes.saturating_mul(GROWTH));
        }
    }
}

impl Strides {
    fn note(&mut self, last: Option<&Range<u64>>, range: &Range<u64>) {
        let length = range.end - range.start;
        let stride = last.and_then(|last| range.start.checked_sub(last.start)).unwrap_or(0);
        if stride > length && stride == self.stride && length == self.length {
            self.equal += 1;
        } else {
            *self = Strides { stride, length, equal: 1, ahead: 0 };
        }
    }

    /// As many as were seen, and no more than there may be.
    fn predict(&mut self, last: &Range<u64>, end: u64, least: u64) -> Vec<Range<u64>> {
        if self.equal < least {
            return Vec::new();
        }
        let until = last.start.saturating_add(self.stride * self.equal.min(STRIDES));
        let mut start = self.ahead.max(last.start) + self.stride;
        let mut reads = Vec::new();
        while start <= until && start + self.length <= end {
            reads.push(start..start + self.length);
            self.ahead = start;
            start += self.stride;
        }
        reads
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range is a list of ranges, too")]
mod tests {
    use super::*;

    const END: u64 = 1 << 30;

    fn noted(policy: ReadPolicy, reads: &[Range<u64>]) -> Predictor {
        let mut predictor = Predictor::new(policy);
        for read in reads {
            predictor.note(read, true);
        }
        predictor
    }

    #[test]
    fn a_second_read_in_a_row_begins_a_window_of_what_was_read() {
        let mut predictor = noted(ReadPolicy::Adaptive, &[0..100]);
        assert!(predictor.ahead(END, END, END).is_empty());
        predictor.note(&(100..200), true);
        let ahead = predictor.ahead(END, END, END);
        assert_eq!(ahead[0].range, 200..1_000);
        predictor.launched(&ahead[0], 1_000);
        assert!(predictor.ahead(END, END, END).is_empty(), "no byte twice");
        predictor.note(&(200..300), false);
        assert!(predictor.ahead(END, END, END).is_empty(), "who does not wait needs no more");
        predictor.note(&(300..400), true);
        assert_eq!(predictor.ahead(END, END, END)[0].range, 1_000..2_000);
    }

    #[test]
    fn random_reads_prefetch_nothing() {
        let starts = [7, 900, 33, 512, 84, 700, 12, 431].map(|start| start * 1_000);
        let reads: Vec<_> = starts.iter().map(|start| *start..start + 64).collect();
        let mut predictor = noted(ReadPolicy::Adaptive, &reads);
        assert!(predictor.ahead(END, END, END).is_empty() && predictor.strides(END).is_empty());
        let mut predictor = noted(ReadPolicy::Random, &[0..100, 100..200, 200..300, 300..400]);
        assert!(predictor.ahead(END, END, END).is_empty() && predictor.strides(END).is_empty());
    }

    #[test]
    fn two_runs_are_followed_at_once() {
        let predictor = noted(ReadPolicy::Adaptive, &[0..10, 5_000..5_010, 10..20, 5_010..5_020]);
        let ahead = predictor.ahead(END, END, END);
        assert_eq!(ahead.iter().map(|ahead| ahead.range.start).collect::<Vec<_>>(), [5_020, 20]);
    }

    #[test]
    fn a_stride_is_predicted_each_read_once() {
        let read = |number: u64| number * 1_000..number * 1_000 + 10;
        let mut predictor = noted(ReadPolicy::Adaptive, &(0..4).map(read).collect::<Vec<_>>());
        assert_eq!(predictor.strides(END), [read(4), read(5), read(6)]);
        predictor.note(&read(4), false);
        assert_eq!(predictor.strides(END), [read(7), read(8)]);
    }

    #[test]
    fn strikes_make_it_shy_and_sequential_is_never_shy() {
        let mut predictor = Predictor::new(ReadPolicy::Adaptive);
        (0..3).for_each(|_| predictor.wasted());
        for number in 0..15 {
            predictor.note(&(number * 10..number * 10 + 10), true);
        }
        assert!(predictor.ahead(END, END, END).is_empty());
        predictor.note(&(150..160), true);
        assert!(!predictor.ahead(END, END, END).is_empty());
        let sequential = noted(ReadPolicy::Sequential, &[0..10]);
        assert_eq!(sequential.ahead(END, 500, 100)[0].range, 10..510);
    }
}
