// SPDX-License-Identifier: Apache-2.0
//! The framing of TFRecord files, which TensorFlow's `TFRecordWriter` and `TFRecordDataset` share. Pure: no I/O.
//!
//! ```text
//!  length   u64, little endian
//!  crc      u32: masked CRC32C of the length's eight bytes
//!  record   length bytes
//!  crc      u32: masked CRC32C of the record
//! ```
//!
//! Masked: rotated right by 15 bits, then 0xa282_ead8 added (tensorflow/core/lib/hash/crc32c.h). A file is such frames one after
//! another, with nothing before, between or behind. Files that TensorFlow compressed as a whole (`GZIP`, `ZLIB`) must be
//! decompressed first.

use crc_fast::{CrcAlgorithm, checksum};
use std::fmt;
use std::ops::Range;

/// Bytes that a frame adds to its record.
pub const OVERHEAD: usize = HEAD + TAIL;

const HEAD: usize = 12;
const TAIL: usize = 4;

/// Appends the frame of one record.
pub fn frame(record: &[u8], out: &mut Vec<u8>) {
    let length = (record.len() as u64).to_le_bytes();
    out.reserve(record.len() + OVERHEAD);
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked(&length).to_le_bytes());
    out.extend_from_slice(record);
    out.extend_from_slice(&masked(record).to_le_bytes());
}

/// Where the records of a file lie in it, in their order, each checked. Ends after the first that is corrupt.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    /// Those of a whole file.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Records<'a> {
        Records { data, at: 0 }
    }

    fn read(&self) -> Result<Range<usize>, CorruptKind> {
        let left = &self.data[self.at..];
        let (head, rest) = left.split_at_checked(HEAD).ok_or(CorruptKind::Truncated)?;
        if word(&head[8..]) != masked(&head[..8]) {
            return Err(CorruptKind::Length);
        }
        let length = u64::from_le_bytes([
            head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7],
        ]);
        let length = usize::try_from(length).map_err(|_| CorruptKind::Truncated)?;
        let (record, rest) = rest.split_at_checked(length).ok_or(CorruptKind::Truncated)?;
        let tail = rest.get(..TAIL).ok_or(CorruptKind::Truncated)?;
        if word(tail) != masked(record) {
            return Err(CorruptKind::Record);
        }
        let start = self.at + HEAD;
        Ok(start..start + length)
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Range<usize>, CorruptRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.data.len() {
            return None;
        }
        let read = self.read().map_err(|kind| CorruptRecord { offset: self.at as u64, kind });
        self.at = read.as_ref().map_or(self.data.len(), |record| record.end + TAIL);
        Some(read)
    }
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CorruptRecord {
    /// The first byte of its frame, from the beginning of the file.
    pub offset: u64,
    /// What is wrong with it.
    pub kind: CorruptKind,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorruptKind {
    /// The checksum of its length does not match.
    Length,
    /// The checksum of its bytes does not match.
    Record,
    /// The file ends before the record does.
    Truncated,
}

impl fmt::Display for CorruptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            CorruptKind::Length => "the checksum of its length does not match",
            CorruptKind::Record => "the checksum of its bytes does not match",
            CorruptKind::Truncated => "the file ends before it does",
        };
        write!(f, "corrupt record at byte {}: {what}", self.offset)
    }
}

impl std::error::Error for CorruptRecord {}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn masked(bytes: &[u8]) -> u32 {
    // CRC32C has the polynomial of iSCSI. It fits: the algorithm has 32 bits.
    #[expect(clippy::cast_possible_truncation)]
    let crc = checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32;
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::{CorruptKind, Records, frame, masked};
    use proptest::prelude::*;

    fn framed(records: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for record in records {
            frame(record, &mut out);
        }
        out
    }

    /// Written by `tf.io.TFRecordWriter` of TensorFlow 2.21: the records `b""` and `b"storescope"`.
    const OF_TENSORFLOW: &[u8] = &[
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x29, 0x03, 0x98, 0x07, 0xd8, 0xea, 0x82,
        0xa2, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xae, 0xa3, 0xbf, 0x3a, 0x73, 0x74,
        0x6f, 0x72, 0x65, 0x73, 0x63, 0x6f, 0x70, 0x65, 0x25, 0xf2, 0x67, 0x59,
    ];

    #[test]
    fn a_file_of_tensorflow_is_equal_to_the_byte() {
        assert_eq!(framed(&[Vec::new(), b"storescope".to_vec()]), OF_TENSORFLOW);
    }

    #[test]
    fn the_checksum_is_crc32c_by_another_implementation() {
        for data in [&b""[..], b"123456789", &[0; 32], &[0xff; 4096]] {
            let expected = crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8);
            assert_eq!(masked(data), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_framed_is_read(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12)) {
            let data = framed(&records);
            let read: Vec<&[u8]> = Records::new(&data).map(|record| &data[record.unwrap()]).collect();
            prop_assert_eq!(read, records);
        }

        #[test]
        fn a_flipped_bit_is_found(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..6),
                                  at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut data = framed(&records);
            let at = at.index(data.len());
            data[at] ^= 1u8 << bit;
            let read: Vec<_> = Records::new(&data).collect();
            // The frame that holds the byte is the one that is told; those before it are good.
            let error = read.last().unwrap().as_ref().unwrap_err();
            let starts = records.iter().scan(0, |at, record| { let from = *at; *at += record.len() + 16; Some(from) });
            prop_assert_eq!(error.offset as usize, starts.take_while(|start| *start <= at).last().unwrap());
            prop_assert!(read[..read.len() - 1].iter().all(Result::is_ok));
        }

        #[test]
        fn a_file_that_is_cut_short_is_found(record in prop::collection::vec(any::<u8>(), 0..60), cut in any::<prop::sample::Index>()) {
            let whole = framed(&[record.clone(), record]);
            let cut = 1 + cut.index(whole.len() - 1);
            prop_assume!(cut != whole.len() / 2);
            let error = Records::new(&whole[..cut]).last().unwrap().unwrap_err();
            prop_assert_eq!(error.kind, CorruptKind::Truncated);
        }
    }
}
