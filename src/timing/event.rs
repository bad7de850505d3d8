// SPDX-License-Identifier: Apache-2.0
//! One attempt as others know it: by the id that it is sent with, and as its scope's observer sees it. What a trace takes.

use super::key::{Connection, Operation, Outcome, Phase};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// The phases that an attempt may have.
pub(super) const PARTS: usize = Phase::PARTS.len();

/// The name of one attempt, sent as `opc-client-request-id`: 32 hexadecimal digits, never twice the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    pub(super) process: u64,
    pub(super) number: u64,
}

static PROCESS: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(process_name()));

fn process_name() -> u64 {
    RandomState::new().hash_one((Instant::now(), std::process::id()))
}

impl RequestId {
    pub(crate) fn next() -> RequestId {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        RequestId { process: PROCESS.load(Relaxed), number: NUMBER.fetch_add(1, Relaxed) }
    }

    /// Other names than before: this process is a child that has its parent's.
    pub(crate) fn renew() {
        PROCESS.store(process_name(), Relaxed);
    }

    /// The number that its digits spell.
    pub(crate) fn number(self) -> u128 {
        u128::from(self.process) << 64 | u128::from(self.number)
    }

    /// Its 32 digits.
    pub(crate) fn hex(self) -> [u8; 32] {
        let mut digits = [0; 32];
        let words = [self.process >> 32, self.process, self.number >> 32, self.number];
        for (eight, word) in digits.chunks_exact_mut(8).zip(words) {
            eight.copy_from_slice(&hex_digits(word as u32));
        }
        digits
    }
}

/// Eight lower-case hexadecimal digits, all at once: one in each byte of a word.
fn hex_digits(number: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut digits = u64::from(number);
    digits = (digits | (digits << 16)) & 0x0000_FFFF_0000_FFFF;
    digits = (digits | (digits << 8)) & 0x00FF_00FF_00FF_00FF;
    digits = (digits | (digits << 4)) & 0x0F0F_0F0F_0F0F_0F0F;
    // 1 in the bytes that hold ten or more.
    let letters = ((digits + 6 * ONES) >> 4) & ONES;
    (digits + u64::from(b'0') * ONES + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
    }
}

/// One attempt as an observer of its scope sees it when it ends ([`Scope::observe`](super::Scope::observe)).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AttemptEvent<'a> {
    /// What was sent as `opc-client-request-id`.
    pub client_request_id: RequestId,
    /// What was asked of the store.
    pub operation: Operation,
    /// The object's full name, for listings the prefix. Known where the scope was observed, or a trace written, when the
    /// store, reader or scope of the request was made.
    pub key: Option<&'a str>,
    /// Where the range that it asked for begins; known as `key` is.
    pub offset: Option<u64>,
    /// The length of the range, or of the payload to be sent, in bytes; known as `key` is. Without `offset`, of a read:
    /// counted from the object's end.
    pub length: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status, where an answer came.
    pub status: Option<u16>,
    /// The connection it went by.
    pub connection: Connection,
    /// When it began, in nanoseconds of a clock that counts from some moment of this process: only differences tell anything.
    pub started_ns: u64,
    /// The whole attempt, in nanoseconds.
    pub total_ns: u64,
    /// Payload received or sent, in bytes.
    pub bytes: u64,
    /// Whether it was sent because another attempt's first byte was late: a rival that ended well has won, one that was
    /// cancelled has lost.
    pub hedge: bool,
    pub(super) call: Option<u64>,
    pub(super) parts: &'a [u64; PARTS],
    pub(super) set: u16,
}

impl AttemptEvent<'_> {
    /// What a phase took in nanoseconds, if the attempt had it.
    pub fn phase_ns(&self, phase: Phase) -> Option<u64> {
        let index = phase.index();
        (index < PARTS && self.set & (1 << index) != 0).then(|| self.parts[index])
    }

    /// The trace's number of the call that it was made for.
    pub(crate) fn call(&self) -> Option<u64> {
        self.call
    }
}

/// Takes what has ended, for a trace of one store. Called where it ended.
pub(crate) trait Tap: fmt::Debug + Send + Sync {
    /// A number for the next call.
    fn next_call(&self) -> u64;

    fn call(&self, call: CallEvent);

    fn attempt(&self, attempt: &AttemptEvent<'_>);
}

/// A call that has ended.
#[derive(Debug)]
pub(crate) struct CallEvent {
    pub(crate) subject: CallSubject,
    pub(crate) outcome: Outcome,
    pub(crate) started_ns: u64,
    pub(crate) total_ns: u64,
}

/// What a call asks for.
#[derive(Debug)]
pub(crate) struct CallSubject {
    pub(crate) number: u64,
    /// The operation's name, or what a reader was asked for.
    pub(crate) operation: &'static str,
    pub(crate) key: Arc<str>,
    /// The new name, of copies and renames.
    pub(crate) to: Option<Arc<str>>,
    pub(crate) ranges: Vec<Range<u64>>,
    /// Payload to be sent, or the length of a range that is counted from the object's end.
    pub(crate) length: Option<u64>,
    /// Payload received.
    pub(crate) received: u64,
}

/// What an attempt asks for.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) key: Arc<str>,
    pub(crate) call: Option<u64>,
    pub(crate) offset: Option<u64>,
    pub(crate) length: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_their_numbers_in_hexadecimal() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, u64::MAX] {
            let id = RequestId { process: !number, number };
            assert_eq!(id.to_string(), format!("{:016x}{number:016x}", !number));
        }
    }
}
