// SPDX-License-Identifier: Apache-2.0
//! Operations by weights: `get`, or `get=70,put=20,head=10`.

use super::task::Op;
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::str::FromStr;

/// What is called, and how often compared with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mix(Vec<(Op, u32)>);

/// The most that a weight may be.
const MOST: u32 = 10_000;

impl Mix {
    pub(super) fn of(op: Op) -> Mix {
        Mix(vec![(op, 1)])
    }

    /// Operations as often as they were counted.
    pub(super) fn counted(counts: BTreeMap<Op, u32>) -> Mix {
        Mix(counts.into_iter().collect())
    }

    pub(super) fn has(&self, op: Op) -> bool {
        self.ops().any(|one| one == op)
    }

    pub(super) fn has_any(&self, ops: &[Op]) -> bool {
        self.ops().any(|one| ops.contains(&one))
    }

    pub(super) fn ops(&self) -> impl Iterator<Item = Op> {
        self.0.iter().map(|(op, _)| *op)
    }

    /// The one operation of a mix that is none.
    pub(super) fn single(&self) -> Option<Op> {
        match self.0[..] {
            [(op, _)] => Some(op),
            _ => None,
        }
    }

    /// What one call is called in a sentence, and what several are.
    pub(super) fn words(&self) -> (&'static str, &'static str) {
        self.single().map_or(("call", "calls"), |op| (op.word(), op.words()))
    }

    /// Weights by the names of the calls.
    pub(super) fn weights(&self) -> BTreeMap<String, u32> {
        self.0.iter().map(|(op, weight)| (op.operation().as_str().to_owned(), *weight)).collect()
    }

    /// Of so many calls, those of `op` at most.
    pub(super) fn share(&self, op: Op, calls: u64) -> u64 {
        let cards = self.cards();
        let mine = cards.iter().filter(|card| **card == op).count() as u64;
        calls.div_ceil(cards.len() as u64) * mine
    }

    /// Each operation as often as its weight says, in lowest terms.
    fn cards(&self) -> Vec<Op> {
        let divisor = self.0.iter().fold(0, |sum, (_, weight)| gcd(sum, *weight)).max(1);
        let cards = self
            .0
            .iter()
            .flat_map(|(op, weight)| std::iter::repeat_n(*op, (weight / divisor) as usize));
        cards.collect()
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Mix, String> {
        let op = |name: &str| {
            Op::from_str(name.trim(), false).map_err(|_| {
                let names: Vec<_> = Op::ALL.iter().map(|op| op.name()).collect();
                format!("{name:?} is no operation: there are {}", names.join(", "))
            })
        };
        if !text.contains(['=', ',']) {
            return op(text).map(Mix::of);
        }
        let mut mix = Vec::new();
        for part in text.split(',') {
            let Some((name, weight)) = part.split_once('=') else {
                return Err(format!("{part:?} has no weight, as in get=70,put=30"));
            };
            let (op, weight) = (op(name)?, weight.trim().parse::<u32>());
            let weight = weight.ok().filter(|weight| (1..=MOST).contains(weight));
            let Some(weight) = weight else {
                return Err(format!("{part:?}: a weight is a number from 1 to {MOST}"));
            };
            if mix.iter().any(|(other, _)| *other == op) {
                return Err(format!("{} stands there twice", op.name()));
            }
            mix.push((op, weight));
        }
        Ok(Mix(mix))
    }
}

/// Operations in the proportions of a mix, in random order: exactly so after each pass through the deck.
#[derive(Debug)]
pub(super) struct Deck {
    cards: Vec<Op>,
    next: usize,
}

impl Deck {
    pub(super) fn new(mix: &Mix) -> Deck {
        let cards = mix.cards();
        Deck { next: cards.len(), cards }
    }

    pub(super) fn draw(&mut self, random: &mut fastrand::Rng) -> Op {
        if self.next == self.cards.len() {
            random.shuffle(&mut self.cards);
            self.next = 0;
        }
        self.next += 1;
        self.cards[self.next - 1]
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deck_holds_the_proportions() {
        let mix: Mix = "get=70,put=20,head=10".parse().unwrap();
        let (mut deck, mut random) = (Deck::new(&mix), fastrand::Rng::with_seed(7));
        let drawn: Vec<_> = (0..1_000).map(|_| deck.draw(&mut random)).collect();
        let count = |op| drawn.iter().filter(|drawn| **drawn == op).count();
        assert_eq!([count(Op::Get), count(Op::Put), count(Op::Head)], [700, 200, 100]);
        assert_ne!(drawn[..10], drawn[10..20], "each pass is shuffled");
        assert_eq!((mix.share(Op::Put, 1_000), mix.share(Op::Put, 1_001)), (200, 202));
        assert_eq!(mix.share(Op::Delete, 1_000), 0);
    }

    #[test]
    fn what_is_no_mix_is_told() {
        for (text, told) in [
            ("", "is no operation: there are get, put, head"),
            ("fetch", "\"fetch\" is no operation"),
            ("get,put", "\"get\" has no weight, as in get=70,put=30"),
            ("get=0,put=1", "a weight is a number from 1 to 10000"),
            ("get=1,get=2", "get stands there twice"),
        ] {
            let error = text.parse::<Mix>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        assert_eq!("multipart".parse::<Mix>().unwrap().single(), Some(Op::Multipart));
    }
}
