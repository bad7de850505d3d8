// SPDX-License-Identifier: Apache-2.0
//! The bytes of objects that bench and soak write: a function of seed, name and offset, so that any range can be checked
//! without keeping what was written.

use bytes::Bytes;

const WORD: usize = size_of::<u64>();

/// The bytes of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    key: u64,
}

/// A byte that is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) offset: u64,
    pub(crate) expected: u8,
    pub(crate) found: u8,
}

impl Content {
    pub(crate) fn new(seed: u64, name: &str) -> Content {
        // FNV-1a: names of equal length that differ in one character differ in every word.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Content { key: mixed(hash ^ mixed(seed)) }
    }

    /// So many bytes from `offset` on.
    pub(crate) fn bytes(self, offset: u64, length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        let (front, words, tail) = split(offset, length);
        self.fill_part(&mut bytes[..front], offset);
        let (whole, rest) = bytes[front..].split_at_mut(words * WORD);
        let first = (offset + front as u64) / WORD as u64;
        for (chunk, number) in whole.chunks_exact_mut(WORD).zip(first..) {
            chunk.copy_from_slice(&self.word(number));
        }
        debug_assert_eq!(rest.len(), tail);
        self.fill_part(rest, offset + (front + words * WORD) as u64);
        bytes.into()
    }

    /// The first byte that is not the object's; `bytes` stand at `offset` in it.
    pub(crate) fn first_wrong(self, offset: u64, bytes: &[u8]) -> Option<Wrong> {
        let (front, words, _) = split(offset, bytes.len());
        let (head, rest) = bytes.split_at(front);
        let (whole, tail) = rest.split_at(words * WORD);
        let first = (offset + front as u64) / WORD as u64;
        self.wrong_in_part(offset, head)
            .or_else(|| {
                let mut numbered = whole.chunks_exact(WORD).zip(first..);
                let (chunk, number) =
                    numbered.find(|(chunk, number)| *chunk != self.word(*number))?;
                self.wrong_in_part(number * WORD as u64, chunk)
            })
            .or_else(|| self.wrong_in_part(offset + (front + words * WORD) as u64, tail))
    }

    /// The eight bytes of a number, in no more operations than memory takes to be written.
    fn word(self, number: u64) -> [u8; WORD] {
        let mut word = self.key ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word ^= word >> 32;
        word = word.wrapping_mul(0xd6e8_feb8_6659_fd93);
        (word ^ (word >> 32)).to_le_bytes()
    }

    fn at(self, offset: u64) -> u8 {
        self.word(offset / WORD as u64)[(offset % WORD as u64) as usize]
    }

    fn fill_part(self, bytes: &mut [u8], offset: u64) {
        bytes.iter_mut().zip(offset..).for_each(|(byte, offset)| *byte = self.at(offset));
    }

    fn wrong_in_part(self, offset: u64, bytes: &[u8]) -> Option<Wrong> {
        bytes.iter().zip(offset..).find_map(|(found, offset)| {
            let expected = self.at(offset);
            (expected != *found).then_some(Wrong { offset, expected, found: *found })
        })
    }
}

/// Bytes in front of the first whole word, whole words, bytes behind them.
fn split(offset: u64, length: usize) -> (usize, usize, usize) {
    let front = (offset.wrapping_neg() % WORD as u64).min(length as u64) as usize;
    let words = (length - front) / WORD;
    (front, words, length - front - words * WORD)
}

/// Murmur3's last steps: each bit of the number moves all of the result.
fn mixed(mut number: u64) -> u64 {
    number ^= number >> 33;
    number = number.wrapping_mul(0xff51_afd7_ed55_8ccd);
    number ^= number >> 33;
    number = number.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_is_that_of_the_whole() {
        let content = Content::new(1, "a/b");
        let whole = content.bytes(0, 1_000);
        for (start, end) in [(0, 1_000), (1, 2), (3, 9), (8, 16), (7, 993), (995, 1_000), (5, 5)] {
            let part = content.bytes(start as u64, end - start);
            assert_eq!(part, whole[start..end]);
            assert_eq!(content.first_wrong(start as u64, &part), None);
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let content = Content::new(1, "x");
        for at in 0..50 {
            let mut bytes = content.bytes(13, 50).to_vec();
            bytes[at] ^= 4;
            let wrong = content.first_wrong(13, &bytes).unwrap();
            assert_eq!((wrong.offset, wrong.found), (13 + at as u64, bytes[at]));
            assert_eq!(wrong.expected, bytes[at] ^ 4);
        }
    }

    #[test]
    fn seeds_names_and_places_have_bytes_of_their_own() {
        let bytes = |seed, name, offset| Content::new(seed, name).bytes(offset, 4_096);
        let one = bytes(1, "a1", 0);
        for other in [bytes(2, "a1", 0), bytes(1, "a2", 0), bytes(1, "a1", 4_096)] {
            let equal = one.iter().zip(&other).filter(|(one, other)| one == other).count();
            assert!(equal < 64, "{equal} of 4096 bytes are equal");
        }
        let mut counts = [0_u32; 256];
        bytes(1, "a", 0).iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        assert!(counts.iter().all(|count| (1..60).contains(count)), "no byte is rare: {counts:?}");
    }
}
