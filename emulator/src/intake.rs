// SPDX-License-Identifier: Apache-2.0
//! A body on its way in: hashed as it comes, kept in memory or written to a file of the data
//! folder, and nobody's until it is whole. Dropped before that, it leaves nothing.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};

use crate::content::{Blob, Content, DataFolder};
#[cfg(feature = "s3")]
use crate::content::{Piece, read_at};

/// Bytes that are gathered before they are written to a file.
const WRITE: usize = 1 << 20;
/// A body's buffer is made at once up to this size, and grows beyond it as bytes come.
const MAX_RESERVE: u64 = 1 << 30;

/// A checksum that clients send or ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
    Sha384,
}

impl Algorithm {
    pub(crate) const ALL: [Algorithm; 6] = [
        Algorithm::Crc32,
        Algorithm::Crc32c,
        Algorithm::Crc64Nvme,
        Algorithm::Sha1,
        Algorithm::Sha256,
        Algorithm::Sha384,
    ];

    /// In small letters, as in the names of headers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "crc32",
            Algorithm::Crc32c => "crc32c",
            Algorithm::Crc64Nvme => "crc64nvme",
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
        }
    }

    /// In letters of any size.
    pub(crate) fn named(name: &str) -> Option<Algorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Algorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Sha384 => None,
        }
    }

    /// The checksum of two bodies that follow each other, of theirs; only a CRC has one.
    pub(crate) fn combine(
        self,
        first: &[u8],
        second: &[u8],
        second_length: u64,
    ) -> Option<Vec<u8>> {
        let number = |crc: &[u8]| crc.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let crc = self.crc()?;
        let both = crc_fast::checksum_combine(crc, number(first), number(second), second_length);
        Some(both.to_be_bytes()[8 - first.len()..].to_vec())
    }

    /// The checksum of a few bytes.
    pub(crate) fn of(self, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

/// One checksum in the making.
enum Hasher {
    Crc(Box<crc_fast::Digest>, usize),
    Sha(digest::Context),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Hasher {
        let sha = match algorithm {
            Algorithm::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha384 => &digest::SHA384,
            _ => &digest::SHA256,
        };
        match algorithm.crc() {
            Some(crc) => {
                let width = if algorithm == Algorithm::Crc64Nvme { 8 } else { 4 };
                Hasher::Crc(Box::new(crc_fast::Digest::new(crc)), width)
            }
            None => Hasher::Sha(digest::Context::new(sha)),
        }
    }

    fn update(&mut self, data: &[u8]) {
        match self {
            Hasher::Crc(crc, _) => crc.update(data),
            Hasher::Sha(sha) => sha.update(data),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Hasher::Crc(crc, width) => crc.finalize().to_be_bytes()[8 - width..].to_vec(),
            Hasher::Sha(sha) => sha.finish().as_ref().to_vec(),
        }
    }
}

/// A whole body.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) content: Content,
    pub(crate) md5: [u8; 16],
    pub(crate) crc32c: u32,
    digests: Vec<(Algorithm, Vec<u8>)>,
}

impl Received {
    /// A checksum that was asked for.
    pub(crate) fn digest(&self, algorithm: Algorithm) -> Option<&[u8]> {
        self.digests.iter().find(|(taken, _)| *taken == algorithm).map(|(_, digest)| &**digest)
    }

    /// The same in base64.
    pub(crate) fn base64(&self, algorithm: Algorithm) -> Option<String> {
        self.digest(algorithm).map(|digest| STANDARD.encode(digest))
    }
}

#[cfg(feature = "s3")]
impl Received {
    /// A content that came another way, as if it were received: its bytes are read once to be
    /// hashed.
    pub(crate) async fn of_content(
        content: Content,
        digests: &[Algorithm],
    ) -> io::Result<Received> {
        let mut intake = Intake::begin(None, 0, digests)?;
        tokio::task::spawn_blocking(move || {
            for piece in content.whole().pieces {
                match piece {
                    Piece::Memory(bytes) => intake.hash(&bytes),
                    Piece::File { blob, range } => {
                        let file = blob.open()?;
                        for start in range.clone().step_by(WRITE) {
                            let end = range.end.min(start + WRITE as u64);
                            intake.hash(&read_at(&file, start..end)?);
                        }
                    }
                }
            }
            Ok(Received { content, ..intake.hashed(Content::default()) })
        })
        .await
        .map_err(io::Error::other)?
    }
}

/// A body of which more may come.
pub(crate) struct Intake {
    destination: Destination,
    md5: Md5,
    crc32c: u32,
    hashers: Vec<(Algorithm, Hasher)>,
}

enum Destination {
    Memory(BytesMut),
    Disk { blob: Blob, file: Option<File>, buffer: BytesMut },
}

impl Intake {
    /// Begins a body of about `length` bytes, in `folder` if there is one. MD5 and CRC32C are
    /// always taken, and the others that are named.
    pub(crate) fn begin(
        folder: Option<&Arc<DataFolder>>,
        length: u64,
        digests: &[Algorithm],
    ) -> io::Result<Intake> {
        let destination = match folder {
            None => Destination::Memory(BytesMut::with_capacity(length.min(MAX_RESERVE) as usize)),
            Some(folder) => {
                let (blob, file) = folder.new_blob()?;
                Destination::Disk { blob, file: Some(file), buffer: BytesMut::new() }
            }
        };
        Ok(Intake {
            destination,
            md5: Md5::new(),
            crc32c: 0,
            hashers: digests.iter().map(|taken| (*taken, Hasher::new(*taken))).collect(),
        })
    }

    pub(crate) async fn write(&mut self, data: &Bytes) -> io::Result<()> {
        self.hash(data);
        match &mut self.destination {
            Destination::Memory(bytes) => bytes.extend_from_slice(data),
            Destination::Disk { blob, buffer, .. } => {
                blob.grow(data.len() as u64)?;
                buffer.extend_from_slice(data);
                if buffer.len() >= WRITE {
                    self.destination.flush(false).await?;
                }
            }
        }
        Ok(())
    }

    /// The body is whole: it is on disk when this returns, if it is kept there.
    pub(crate) async fn finish(mut self) -> io::Result<Received> {
        self.destination.flush(true).await?;
        let content =
            match std::mem::replace(&mut self.destination, Destination::Memory(BytesMut::new())) {
                Destination::Memory(bytes) => bytes.freeze().into(),
                Destination::Disk { blob, .. } => blob.into_content(),
            };
        Ok(self.hashed(content))
    }

    fn hash(&mut self, data: &[u8]) {
        self.md5.update(data);
        self.crc32c = crc32c::crc32c_append(self.crc32c, data);
        for (_, hasher) in &mut self.hashers {
            hasher.update(data);
        }
    }

    fn hashed(self, content: Content) -> Received {
        let digests = self.hashers.into_iter();
        Received {
            content,
            md5: self.md5.finalize().into(),
            crc32c: self.crc32c,
            digests: digests.map(|(taken, hasher)| (taken, hasher.finish())).collect(),
        }
    }
}

impl Destination {
    /// Hands what was gathered to the system; the last time it is synced.
    async fn flush(&mut self, last: bool) -> io::Result<()> {
        let Destination::Disk { file, buffer, .. } = self else { return Ok(()) };
        let (Some(mut open), gathered) = (file.take(), buffer.split()) else {
            return Err(io::Error::other("an earlier write failed"));
        };
        let written = tokio::task::spawn_blocking(move || {
            open.write_all(&gathered)?;
            if last {
                open.sync_data()?;
            }
            io::Result::Ok(open)
        });
        *file = Some(written.await.map_err(io::Error::other)??);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_known_text() {
        // The check values of the catalogue of CRCs, and FIPS 180's.
        for (algorithm, text, hex) in [
            (Algorithm::Crc32, "123456789", "cbf43926"),
            (Algorithm::Crc32c, "123456789", "e3069283"),
            (Algorithm::Crc64Nvme, "123456789", "ae8b14860a799888"),
            (Algorithm::Sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ] {
            let digest: Vec<_> =
                algorithm.of(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digest.concat(), hex);
        }
    }

    #[test]
    fn checksums_of_parts_make_that_of_the_whole() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let whole = algorithm.combine(&algorithm.of(b"1234"), &algorithm.of(b"56789"), 5);
            assert_eq!(whole, Some(algorithm.of(b"123456789")));
        }
        assert_eq!(Algorithm::Sha1.combine(&[0; 20], &[0; 20], 1), None);
    }
}
