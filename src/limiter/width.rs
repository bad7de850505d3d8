// SPDX-License-Identifier: Apache-2.0
//! How many requests that nobody waits for yet go at once: as many as the path takes, and no more.
//!
//! More of them fill a path only up to its bandwidth-delay product. Beyond it each is slower, the one that a reader will
//! wait for first among them, and the answers under way take memory for nothing. Neither bandwidth nor delay is known
//! beforehand and both change, so the width is found by trying: by rounds of a few answers, a little less as long as that
//! costs nothing, a little more as long as that brings something. Pure: told what ends and when, it is asked for a number.

/// The width before anything was tried: at the default model, 60 MB/s a stream and up to a half of the time spent on first
/// bytes, it fills 2 GB/s.
const START: f64 = 64.0;
/// It never falls below.
const LEAST: f64 = 4.0;
/// Answers in a round, and those of the width before it that are waited for first.
const ROUND: u32 = 16;
/// What is tried is so many times the width.
const NARROWER: f64 = 0.8;
const WIDER: f64 = 1.25;
/// A narrower one is kept at this share of the best rate, a wider one from this much more on. A round's rate varies by a
/// few percent by itself.
const AS_GOOD: f64 = 0.95;
const BETTER: f64 = 1.08;
/// Rounds between one trial that failed and the next.
const PATIENCE: u32 = 16;

#[derive(Debug)]
pub(crate) struct Width {
    most: f64,
    requests: f64,
    /// The best rate at the width that is held to, in bytes a second.
    best: f64,
    trial: Option<Trial>,
    /// Rounds before the next trial, and whether that is of a wider one.
    rest: u32,
    wider: bool,
    round: Round,
}

/// Another width, and the one to go back to.
#[derive(Clone, Copy, Debug)]
struct Trial {
    before: f64,
}

#[derive(Debug, Default)]
struct Round {
    /// Answers still waited for before it begins.
    settling: u32,
    answers: u32,
    bytes: u64,
    /// When it began.
    since: Option<u64>,
    /// Somebody was refused for the width alone.
    full: bool,
}

impl Width {
    /// Up to so many requests.
    pub(crate) fn new(most: f64) -> Width {
        Width {
            most,
            requests: START.min(most),
            best: 0.0,
            trial: None,
            rest: 0,
            wider: false,
            round: Round::default(),
        }
    }

    /// Whether another request may go beside so many.
    pub(crate) fn admits(&mut self, running: u32) -> bool {
        let admits = f64::from(running) < self.requests.floor();
        self.round.full |= !admits;
        admits
    }

    /// An answer of so many bytes has ended, at `now` in nanoseconds.
    pub(crate) fn ended(&mut self, bytes: u64, now: u64) {
        if self.round.settling > 0 {
            self.round.settling -= 1;
            return;
        }
        let Some(since) = self.round.since else {
            self.round.since = Some(now);
            return;
        };
        self.round.answers += 1;
        self.round.bytes += bytes;
        if self.round.answers < ROUND {
            return;
        }
        let rate = self.round.bytes as f64 * 1e9 / now.saturating_sub(since).max(1) as f64;
        let full = self.round.full;
        self.round = Round { since: Some(now), ..Round::default() };
        // Where the width held nobody back, the rate says nothing of it.
        if full {
            self.judge(rate);
        }
    }

    fn judge(&mut self, rate: f64) {
        let Some(Trial { before }) = self.trial.take() else {
            // What the path was like long ago is forgotten.
            self.best = if self.best == 0.0 { rate } else { self.best.midpoint(rate) };
            match self.rest.checked_sub(1) {
                Some(rest) => self.rest = rest,
                None => self.attempt(),
            }
            return;
        };
        let kept = if self.requests < before { AS_GOOD } else { BETTER };
        if rate >= self.best * kept {
            self.best = self.best.max(rate);
            self.attempt();
        } else {
            self.requests = before;
            self.rest = PATIENCE;
            self.wider = !self.wider;
            self.settle();
        }
    }

    fn attempt(&mut self) {
        let before = self.requests;
        let tried = before * if self.wider { WIDER } else { NARROWER };
        self.requests = tried.clamp(LEAST.min(self.most), self.most);
        if (self.requests - before).abs() < 0.5 {
            self.requests = before;
            self.wider = !self.wider;
            self.rest = PATIENCE;
            return;
        }
        self.trial = Some(Trial { before });
        self.settle();
    }

    fn settle(&mut self) {
        self.round = Round { settling: ROUND, ..Round::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path that gives each stream so much and all of them no more than so much, in bytes a second; each answer has
    /// 8 MiB and begins after 30 ms. Returns the width after so many answers.
    fn after(answers: u32, width: &mut Width, stream: f64, all: f64, now: &mut u64) -> f64 {
        const BYTES: u64 = 8 << 20;
        for _ in 0..answers {
            let running = width.requests.floor();
            assert!(!width.admits(running as u32));
            let each = stream.min(all / running);
            let takes = 0.03 + BYTES as f64 / each;
            *now += (takes / running * 1e9) as u64;
            width.ended(BYTES, *now);
        }
        width.requests
    }

    #[test]
    fn a_path_that_is_full_is_left_with_what_fills_it() {
        let (mut width, mut now) = (Width::new(256.0), 1);
        // 1 Gbit/s: two streams fill it.
        let narrow = after(600, &mut width, 60e6, 125e6, &mut now);
        assert!(narrow <= 9.0, "{narrow}");
        // 1 GB/s: seventeen fill it but for the time of the first bytes.
        let (mut width, mut now) = (Width::new(256.0), 1);
        let middle = after(600, &mut width, 60e6, 1e9, &mut now);
        assert!((16.0..=42.0).contains(&middle), "{middle}");
    }

    #[test]
    fn a_path_that_takes_more_is_given_more() {
        let (mut width, mut now) = (Width::new(256.0), 1);
        let wide = after(3_000, &mut width, 60e6, 6e9, &mut now);
        assert!(wide >= 80.0, "{wide}");
        // What it is like may change.
        let narrow = after(6_000, &mut width, 60e6, 125e6, &mut now);
        assert!(narrow <= 16.0, "{narrow}");
    }

    #[test]
    fn who_is_never_held_back_changes_nothing() {
        let mut width = Width::new(256.0);
        for now in 0..1_000 {
            assert!(width.admits(3));
            width.ended(1 << 20, now * 1_000_000);
        }
        assert!((width.requests - START).abs() < 0.1);
        assert!(!Width::new(2.0).admits(2));
    }
}
