// SPDX-License-Identifier: Apache-2.0
//! Writes whose calls wait.

use super::wait;
use crate::client::Client;
use crate::error::Result;
use crate::types::ObjectMeta;
use crate::write::Writer as AsyncWriter;
use bytes::Bytes;
use std::io;

/// A [`crate::Writer`] whose calls wait. By [`io::Write`], too: `flush` shows nobody anything, [`finish`](Writer::finish)
/// makes the object.
#[derive(Debug)]
pub struct Writer {
    pub(super) client: Client,
    pub(super) writer: AsyncWriter,
}

impl Writer {
    /// See [`crate::Writer::written`].
    pub fn written(&self) -> u64 {
        self.writer.written()
    }

    /// See [`crate::Writer::write`].
    pub fn write(&mut self, bytes: impl Into<Bytes>) -> Result<()> {
        wait(&self.client, self.writer.write(bytes))?
    }

    /// See [`crate::Writer::finish`].
    pub fn finish(self) -> Result<ObjectMeta> {
        wait(&self.client, self.writer.finish())?
    }

    /// See [`crate::Writer::abort`].
    pub fn abort(self) -> Result<()> {
        wait(&self.client, self.writer.abort())?
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Writer::write(self, Bytes::copy_from_slice(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
