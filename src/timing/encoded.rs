// SPDX-License-Identifier: Apache-2.0
//! Histograms in HdrHistogram's V2 encoding, which files and other processes hand over.
//!
//! ```text
//!  compressed   cookie · length · zlib of:
//!  plain        cookie · length of the counts · offset · digits · lowest · highest · ratio · counts (LEB128, zig-zag)
//! ```
//!
//! The reader of the `hdrhistogram` crate trusts what is written there: it allocates the length that is stated, up to 4 GiB, and
//! negates a count that has no negative. Both are refused here, before it reads.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use std::io::Read;

const COMPRESSED: &[u8] = &[0x1c, 0x84, 0x93, 0x14];
/// Bytes of the plain form before the counts.
const HEAD: usize = 40;
/// Bytes of the plain form at most. Ours has 40 KiB; the largest that other tools make, with five digits, some MiB.
const MOST: u64 = 16 << 20;
/// The one count that cannot be negated: nine bytes of the encoding. No other count has so many ones.
const NO_COUNT: [u8; 9] = [0xff; 9];

/// The histogram of an encoding, or what is wrong with that.
pub(super) fn histogram(encoded: &[u8]) -> Result<Histogram<u64>, String> {
    let inflated;
    let plain = match encoded.strip_prefix(COMPRESSED) {
        Some(rest) => {
            inflated = inflate(rest)?;
            &inflated[..]
        }
        None => encoded,
    };
    let counts = plain.get(HEAD..).ok_or("it is cut off in its head")?;
    let stated = u32::from_be_bytes([plain[4], plain[5], plain[6], plain[7]]);
    if stated as usize > counts.len() {
        return Err(format!("it states {stated} bytes of counts, and has {}", counts.len()));
    }
    if counts.windows(NO_COUNT.len()).any(|run| run == NO_COUNT) {
        return Err("it holds a count that is none".to_owned());
    }
    Deserializer::new().deserialize(&mut &*plain).map_err(|error| error.to_string())
}

/// What stands compressed behind the length.
fn inflate(text: &[u8]) -> Result<Vec<u8>, String> {
    let (_, compressed) = text.split_at_checked(4).ok_or("it is cut off in its head")?;
    let mut plain = Vec::new();
    let mut inflating = flate2::read::ZlibDecoder::new(compressed).take(MOST + 1);
    inflating.read_to_end(&mut plain).map_err(|error| error.to_string())?;
    if plain.len() as u64 > MOST {
        return Err(format!("it has more than {MOST} bytes"));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer, V2Serializer};

    fn sample() -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(500, 3_600_000_000_000, 2).unwrap();
        (1..1000).for_each(|value| histogram.saturating_record(value * 12_345));
        histogram
    }

    #[test]
    fn both_forms_are_read() {
        let (mut plain, mut compressed) = (Vec::new(), Vec::new());
        V2Serializer::new().serialize(&sample(), &mut plain).unwrap();
        V2DeflateSerializer::new().serialize(&sample(), &mut compressed).unwrap();
        assert_eq!(histogram(&plain).unwrap(), sample());
        assert_eq!(histogram(&compressed).unwrap(), sample());
        // Nobody misses the checksum of zlib, which comes last.
        for cut in 0..compressed.len() - 4 {
            assert!(histogram(&compressed[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn what_an_encoding_states_is_held_against_its_bytes() {
        let mut plain = Vec::new();
        V2Serializer::new().serialize(&sample(), &mut plain).unwrap();
        let mut large = plain.clone();
        large[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(histogram(&large).unwrap_err().contains("states 4294967295 bytes"));
        let mut negative = plain;
        negative[HEAD..HEAD + 9].copy_from_slice(&NO_COUNT);
        assert!(histogram(&negative).unwrap_err().contains("a count that is none"));
        let mut bomb = [COMPRESSED, &[0; 4]].concat();
        let mut packing = flate2::write::ZlibEncoder::new(&mut bomb, flate2::Compression::best());
        std::io::Write::write_all(&mut packing, &vec![0; MOST as usize + 1]).unwrap();
        packing.finish().unwrap();
        assert!(histogram(&bomb).unwrap_err().contains("more than"));
    }
}
