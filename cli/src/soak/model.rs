// SPDX-License-Identifier: Apache-2.0
//! What must be there, and what must not: what the store may hold under each name, by what its calls answered.

use crate::content::Content;
use bytes::Bytes;
use std::fmt;

/// The bytes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Body {
    content: Content,
    pub(super) size: u64,
}

impl Body {
    /// Bytes that depend on seed and label alone.
    pub(super) fn new(seed: u64, label: &str, size: u64) -> Body {
        Body { content: Content::new(seed, label), size }
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.part(0, self.size)
    }

    /// The bytes from `start` to before `end`.
    pub(super) fn part(&self, start: u64, end: u64) -> Bytes {
        self.content.bytes(start, (end - start) as usize)
    }

    /// Why these are not the bytes from `offset` to before `end`.
    pub(super) fn wrong(&self, offset: u64, end: u64, bytes: &[u8]) -> Option<String> {
        let (expected, came) = (end - offset, bytes.len() as u64);
        if expected != came {
            return Some(format!("{came} bytes from {offset} on, where there are {expected}"));
        }
        let wrong = self.content.first_wrong(offset, bytes)?;
        Some(format!(
            "byte {} is {:#04x}, and {:#04x} was written",
            wrong.offset, wrong.found, wrong.expected
        ))
    }
}

/// What one name may stand for; `None` is no object. There is more than one where a write did not tell its end.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    may: Vec<Option<Body>>,
    /// A write was cancelled: it may take effect later, so that the name is left alone until the round has ended.
    pub(super) frozen: bool,
}

impl Belief {
    pub(super) fn absent() -> Belief {
        Belief { may: vec![None], frozen: false }
    }

    /// What it stands for, where that is known.
    #[expect(clippy::option_option, reason = "unknown, known to be absent, known to be there")]
    pub(super) fn known(&self) -> Option<Option<Body>> {
        match self.may[..] {
            [one] if !self.frozen => Some(one),
            _ => None,
        }
    }

    /// The object, where it is known that there is one.
    pub(super) fn there(&self) -> Option<Body> {
        self.known().flatten()
    }

    /// A write told its end.
    pub(super) fn is(&mut self, state: Option<Body>) {
        self.may = vec![state];
    }

    /// A write failed, or was cancelled: it may have taken effect.
    pub(super) fn may_be(&mut self, state: Option<Body>) {
        if !self.may.contains(&state) {
            self.may.push(state);
        }
    }

    /// Whether a listing may show it so: with this size, or not at all.
    pub(super) fn allows(&self, size: Option<u64>) -> bool {
        self.may.iter().any(|state| state.map(|body| body.size) == size)
    }

    /// It was read whole. From now on it is what was read; an error tells what it should have been.
    pub(super) fn observe(&mut self, read: Option<&[u8]>) -> Result<(), String> {
        let is_it = |state: &Option<Body>| match (state, read) {
            (None, None) => true,
            (Some(body), Some(bytes)) => body.wrong(0, body.size, bytes).is_none(),
            _ => false,
        };
        self.frozen = false;
        if let Some(state) = self.may.iter().copied().find(is_it) {
            self.may = vec![state];
            return Ok(());
        }
        let why = self.may.iter().map(|state| match (state, read) {
            (None, _) => "there should be no object".to_owned(),
            (Some(body), None) => format!("an object of {} bytes is gone", body.size),
            (Some(body), Some(bytes)) => body.wrong(0, body.size, bytes).unwrap_or_default(),
        });
        let why = why.collect::<Vec<_>>().join("; or ");
        // What it holds is not known to the model: it is told once.
        self.frozen = true;
        Err(why)
    }
}

impl fmt::Display for Belief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states = self.may.iter().map(|state| match state {
            None => "no object".to_owned(),
            Some(body) => format!("{} bytes", body.size),
        });
        f.write_str(&states.collect::<Vec<_>>().join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_byte_is_found_and_named() {
        let body = Body::new(1, "w0/a#1", 100);
        let mut bytes = body.bytes().to_vec();
        assert_eq!(body.wrong(0, 100, &bytes), None);
        assert_eq!(body.wrong(10, 20, &bytes[10..20]), None);
        bytes[17] ^= 1;
        assert!(body.wrong(10, 20, &bytes[10..20]).unwrap().starts_with("byte 17 is"));
        assert!(body.wrong(0, 100, &bytes[..99]).unwrap().contains("99 bytes from 0 on"));
    }

    #[test]
    fn a_write_without_an_end_leaves_two_states_until_it_is_read() {
        let (old, new) = (Body::new(1, "k#1", 10), Body::new(1, "k#2", 20));
        let mut belief = Belief::absent();
        belief.is(Some(old));
        belief.may_be(Some(new));
        assert_eq!(belief.known(), None);
        assert!(belief.allows(Some(10)) && belief.allows(Some(20)) && !belief.allows(None));
        belief.observe(Some(&new.bytes())).unwrap();
        assert_eq!(belief.there(), Some(new));
        let why = belief.observe(Some(&old.bytes())).unwrap_err();
        assert!(why.contains("10 bytes from 0 on, where there are 20"), "{why}");
        assert_eq!(belief.known(), None, "it is told once");
    }

    #[test]
    fn what_is_gone_and_what_should_be_is_told() {
        let body = Body::new(1, "k#1", 10);
        let mut belief = Belief::absent();
        assert!(belief.observe(Some(&body.bytes())).unwrap_err().contains("no object"));
        belief.is(Some(body));
        assert!(belief.observe(None).unwrap_err().contains("is gone"));
    }
}
