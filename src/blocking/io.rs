// SPDX-License-Identifier: Apache-2.0
//! An object as `Read`, `BufRead` and `Seek`.

use super::Reader;
use crate::error::{ErrorKind, Result};
use crate::io::sought;
use bytes::{Buf, Bytes};
use std::fmt;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

type Chunks = Box<dyn Iterator<Item = Result<Bytes>> + Send>;

/// An object under reading by the traits of `std::io`; the twin of [`crate::io::BufReader`].
pub struct BufReader {
    reader: Reader,
    /// Of the next byte.
    at: u64,
    stream: Option<Chunks>,
    /// Bytes of the stream that were not taken yet.
    chunk: Bytes,
}

impl BufReader {
    /// Reads from the object's first byte on. No I/O.
    pub fn new(reader: Reader) -> BufReader {
        BufReader { reader, at: 0, stream: None, chunk: Bytes::new() }
    }

    /// The reader of the object.
    pub fn into_inner(self) -> Reader {
        self.reader
    }
}

impl BufRead for BufReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() {
            let (reader, at) = (&self.reader, self.at);
            let stream = self.stream.get_or_insert_with(|| Box::new(reader.stream(at..)));
            match stream.next() {
                Some(Ok(bytes)) => self.chunk = bytes,
                None => break,
                // Nothing lies behind the end.
                Some(Err(error)) if error.kind() == ErrorKind::InvalidRange => break,
                Some(Err(error)) => {
                    self.stream = None;
                    return Err(error.into());
                }
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount);
        self.at += amount as u64;
    }
}

impl Read for BufReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let chunk = self.fill_buf()?;
        let some = chunk.len().min(into.len());
        into[..some].copy_from_slice(&chunk[..some]);
        self.consume(some);
        Ok(some)
    }
}

impl Seek for BufReader {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let to = match position {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(offset) => sought(self.at, offset)?,
            SeekFrom::End(offset) => sought(self.reader.meta()?.size, offset)?,
        };
        let skipped = to.checked_sub(self.at).and_then(|skipped| usize::try_from(skipped).ok());
        match skipped.filter(|skipped| *skipped <= self.chunk.len()) {
            Some(skipped) => self.chunk.advance(skipped),
            None => (self.chunk, self.stream) = (Bytes::new(), None),
        }
        self.at = to;
        Ok(to)
    }
}

impl fmt::Debug for BufReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufReader")
            .field("reader", &self.reader)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
