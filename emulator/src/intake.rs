// SPDX-License-Identifier: Apache-2.0
//! A body on its way in: hashed as it comes, kept in memory or written to a file of the data
//! folder, and nobody's until it is whole. Dropped before that, it leaves nothing.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use md5::{Digest as _, Md5};

use crate::content::{Blob, Content, Folder};

/// Bytes that are gathered before they are written to a file.
const WRITE: usize = 1 << 20;
/// A body's buffer is made at once up to this size, and grows beyond it as bytes come.
const MAX_RESERVE: u64 = 1 << 30;

/// The digests to take beside MD5 and CRC32C.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Digests {
    pub(crate) sha256: bool,
    pub(crate) sha384: bool,
}

/// A whole body.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) content: Content,
    pub(crate) md5: [u8; 16],
    pub(crate) crc32c: u32,
    pub(crate) sha256: Option<Vec<u8>>,
    pub(crate) sha384: Option<Vec<u8>>,
}

/// A body of which more may come.
pub(crate) struct Intake {
    sink: Sink,
    md5: Md5,
    crc32c: u32,
    sha256: Option<digest::Context>,
    sha384: Option<digest::Context>,
}

enum Sink {
    Memory(BytesMut),
    Disk { blob: Blob, file: Option<File>, buffer: BytesMut },
}

impl Intake {
    /// Begins a body of about `length` bytes, in `folder` if there is one.
    pub(crate) fn begin(
        folder: Option<&Arc<Folder>>,
        length: u64,
        digests: Digests,
    ) -> io::Result<Intake> {
        let sink = match folder {
            None => Sink::Memory(BytesMut::with_capacity(length.min(MAX_RESERVE) as usize)),
            Some(folder) => {
                let (blob, file) = folder.new_blob()?;
                Sink::Disk { blob, file: Some(file), buffer: BytesMut::new() }
            }
        };
        let context = |wanted: bool, algorithm| wanted.then(|| digest::Context::new(algorithm));
        Ok(Intake {
            sink,
            md5: Md5::new(),
            crc32c: 0,
            sha256: context(digests.sha256, &digest::SHA256),
            sha384: context(digests.sha384, &digest::SHA384),
        })
    }

    pub(crate) async fn write(&mut self, data: &Bytes) -> io::Result<()> {
        self.md5.update(data);
        self.crc32c = crc32c::crc32c_append(self.crc32c, data);
        for context in self.sha256.iter_mut().chain(&mut self.sha384) {
            context.update(data);
        }
        match &mut self.sink {
            Sink::Memory(bytes) => bytes.extend_from_slice(data),
            Sink::Disk { blob, buffer, .. } => {
                blob.grow(data.len() as u64)?;
                buffer.extend_from_slice(data);
                if buffer.len() >= WRITE {
                    self.sink.flush(false).await?;
                }
            }
        }
        Ok(())
    }

    /// The body is whole: it is on disk when this returns, if it is kept there.
    pub(crate) async fn finish(mut self) -> io::Result<Received> {
        self.sink.flush(true).await?;
        let content = match self.sink {
            Sink::Memory(bytes) => bytes.freeze().into(),
            Sink::Disk { blob, .. } => blob.into_content(),
        };
        let finish = |context: digest::Context| context.finish().as_ref().to_vec();
        Ok(Received {
            content,
            md5: self.md5.finalize().into(),
            crc32c: self.crc32c,
            sha256: self.sha256.map(finish),
            sha384: self.sha384.map(finish),
        })
    }
}

impl Sink {
    /// Hands what was gathered to the system; the last time it is synced.
    async fn flush(&mut self, last: bool) -> io::Result<()> {
        let Sink::Disk { file, buffer, .. } = self else { return Ok(()) };
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
