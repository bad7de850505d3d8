// SPDX-License-Identifier: Apache-2.0
//! An object as `AsyncRead`.

use super::sought;
use crate::error::{ErrorKind, Result};
use crate::read::{ByteStream, Reader};
use bytes::{Buf, Bytes};
use futures_core::Stream;
use std::fmt;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncSeek, ReadBuf};

/// An object under reading by tokio's traits: a position, and a [stream](Reader::stream) from there on, which reads ahead.
///
/// A seek sends nothing, but for one from the end of an object whose size is not known. One that leaves the bytes that are
/// there ends the stream; the next read begins another. Positions behind the end read nothing.
///
/// ```no_run
/// # async fn f(store: storescope::Store) -> std::io::Result<()> {
/// use storescope::ReadOptions;
/// use storescope::io::BufReader;
/// use tokio::io::AsyncBufReadExt;
///
/// let mut lines = BufReader::new(store.reader("day.csv", ReadOptions::new())).lines();
/// while let Some(line) = lines.next_line().await? {
///     println!("{line}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct BufReader {
    reader: Reader,
    /// Of the next byte.
    at: u64,
    stream: Option<ByteStream>,
    /// Bytes of the stream that were not taken yet.
    chunk: Bytes,
    from_end: Option<FromEnd>,
}

/// A seek from the end, which waits for the object's size.
struct FromEnd {
    size: Pin<Box<dyn Future<Output = Result<u64>> + Send>>,
    offset: i64,
}

impl BufReader {
    /// Reads from the object's first byte on. No I/O.
    pub fn new(reader: Reader) -> BufReader {
        BufReader { reader, at: 0, stream: None, chunk: Bytes::new(), from_end: None }
    }

    /// Where the next byte is read.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The reader of the object.
    pub fn into_inner(self) -> Reader {
        self.reader
    }

    fn move_to(&mut self, to: u64) {
        let skipped = to.checked_sub(self.at).and_then(|skipped| usize::try_from(skipped).ok());
        match skipped.filter(|skipped| *skipped <= self.chunk.len()) {
            Some(skipped) => self.chunk.advance(skipped),
            None => (self.chunk, self.stream) = (Bytes::new(), None),
        }
        self.at = to;
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.chunk.is_empty() {
            let stream = self.stream.get_or_insert_with(|| self.reader.stream(self.at..));
            match ready!(Pin::new(stream).poll_next(cx)) {
                Some(Ok(bytes)) => self.chunk = bytes,
                None => break,
                // Nothing lies behind the end.
                Some(Err(error)) if error.kind() == ErrorKind::InvalidRange => break,
                Some(Err(error)) => {
                    self.stream = None;
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for BufReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_chunk(cx))?;
        Poll::Ready(Ok(&this.chunk))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.chunk.advance(amount);
        self.at += amount as u64;
    }
}

impl AsyncRead for BufReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if into.remaining() > 0 {
            ready!(self.poll_chunk(cx))?;
            let some = self.chunk.len().min(into.remaining());
            into.put_slice(&self.chunk[..some]);
            self.consume(some);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for BufReader {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        let (base, offset) = match position {
            SeekFrom::Start(at) => (Some(at), 0),
            SeekFrom::Current(offset) => (Some(self.at), offset),
            SeekFrom::End(offset) => (self.reader.known().map(|meta| meta.size), offset),
        };
        self.from_end = None;
        if let Some(base) = base {
            let to = sought(base, offset)?;
            self.move_to(to);
        } else {
            let reader = self.reader.clone();
            let size = Box::pin(async move { reader.meta().await.map(|meta| meta.size) });
            self.from_end = Some(FromEnd { size, offset });
        }
        Ok(())
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        if let Some(FromEnd { size, offset }) = &mut self.from_end {
            let (size, offset) = (ready!(size.as_mut().poll(cx)), *offset);
            self.from_end = None;
            let to = sought(size?, offset)?;
            self.move_to(to);
        }
        Poll::Ready(Ok(self.at))
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
