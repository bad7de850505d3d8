// SPDX-License-Identifier: Apache-2.0
//! What objects hold: bytes that tell their place, so that a reader can be shown wrong.

use std::ops::Range;
use std::sync::LazyLock;

/// The content begins again after so many bytes. A prime: parts that were mixed up do not look alike.
pub const PERIOD: u64 = 1_048_573;

/// Two periods, so that one that begins anywhere is in one piece.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1u64;
    let once: Vec<u8> = (0..PERIOD)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    once.repeat(2)
});

/// What an object has there, of any name and size. Panics on more bytes than a period.
pub fn content(range: Range<u64>) -> &'static [u8] {
    let start = (range.start % PERIOD) as usize;
    &BYTES[start..start + (range.end - range.start) as usize]
}

/// Whether these are the bytes that an object has from `at` on.
pub fn is_content(mut at: u64, bytes: &[u8]) -> bool {
    bytes.chunks(PERIOD as usize).all(|piece| {
        let range = at..at + piece.len() as u64;
        at = range.end;
        piece == content(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_at_a_wrong_place_are_seen() {
        let bytes = [content(10..10 + PERIOD), content(10 + PERIOD..2_000_000)].concat();
        assert!(is_content(10, &bytes));
        for wrong in [9, 11, 10 + (1 << 20), 10 + (8 << 20)] {
            assert!(!is_content(wrong, &bytes), "{wrong}");
        }
    }
}
