// SPDX-License-Identifier: Apache-2.0
//! For how long an open loop was behind: the time in which some call should have begun and had not.

use std::time::Duration;

/// The width of a step.
const STEP: Duration = Duration::from_millis(10);

/// Steps of a phase in which a call waited for its begin, a bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Late {
    words: Vec<u64>,
}

impl Late {
    /// A call was to begin at `from` and began at `to`, both since the phase began.
    pub(super) fn mark(&mut self, from: Duration, to: Duration) {
        let step = |time: Duration| (time.as_nanos() / STEP.as_nanos()) as usize;
        let (first, last) = (step(from), step(to));
        if self.words.len() <= last / 64 {
            self.words.resize(last / 64 + 1, 0);
        }
        for word in first / 64..=last / 64 {
            let low = first.saturating_sub(word * 64);
            let high = (last - word * 64).min(63);
            self.words[word] |= (u64::MAX >> (63 - high)) & (u64::MAX << low);
        }
    }

    /// Adds what others marked.
    pub(super) fn add(&mut self, other: &Late) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        self.words.iter_mut().zip(&other.words).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// How long that is.
    pub(super) fn total(&self) -> Duration {
        STEP * self.words.iter().map(|word| word.count_ones()).sum::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_overlap_count_once() {
        let ms = Duration::from_millis;
        let (mut one, mut other) = (Late::default(), Late::default());
        one.mark(ms(100), ms(2_099));
        one.mark(ms(150), ms(180));
        other.mark(ms(2_000), ms(3_009));
        other.mark(ms(10_000), ms(10_001));
        one.add(&other);
        assert_eq!(one.total(), ms(2_910 + 10));
        let mut long = Late::default();
        long.mark(ms(635), ms(3_600_000));
        assert_eq!(long.total(), ms(3_600_010 - 630));
    }
}
