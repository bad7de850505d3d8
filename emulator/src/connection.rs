// SPDX-License-Identifier: Apache-2.0
//! One connection as the record sees it: a wrapper around the plaintext side of a socket that
//! takes the times of the bytes, ends the record's lines, and breaks the connection where a fault
//! says so.
//!
//! ```text
//!  hyper ──poll_read──►  Socket ──► TCP or TLS        last_read_ns ──► the head's time
//!  hyper ──poll_write─►  Socket ──► TCP or TLS        heads are found in the bytes written, so
//!                                                     that an interim 100 is not taken for an
//!                                                     answer and bodies are counted exactly
//! ```
//!
//! An [`OpenLine`] is opened by the service when it has a head, told its answer's status and
//! length before the answer is handed to hyper, and closed here by the last byte, or by the
//! socket's end.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::clock::Clock;
use crate::fault::Plan;
use crate::record::{Record, RecordLine};
use crate::timer::{Timer, Wait};

/// How long a connection that is closed before its request's body was read goes on reading it:
/// closing at once would reset the connection and take the answer with it.
const LINGER: Duration = Duration::from_secs(2);

/// What service and socket of one connection share.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) tls: bool,
    clock: Clock,
    record: Arc<Record>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_read_ns: u64,
    requests: u64,
    open: VecDeque<OpenLine>,
    reset: bool,
    linger: bool,
}

/// A request that is being answered.
#[derive(Debug)]
struct OpenLine {
    line: RecordLine,
    /// Body bytes of the answer; unknown until there is one.
    body: Option<u64>,
    cut_after: Option<u64>,
    head: Head,
}

impl Connection {
    pub(crate) fn new(number: u64, tls: bool, clock: Clock, record: Arc<Record>) -> Connection {
        Connection { number, tls, clock, record, state: Mutex::default() }
    }

    /// When the latest bytes were read: at the service's call, those that completed its head.
    pub(crate) fn last_read_ns(&self) -> u64 {
        self.lock().last_read_ns
    }

    /// Counts a request; true for the connection's first.
    pub(crate) fn is_first_request(&self) -> bool {
        let mut state = self.lock();
        state.requests += 1;
        state.requests == 1
    }

    /// Opens the record's line of a request whose head was read.
    pub(crate) fn open(&self, line: RecordLine) {
        self.lock().open.push_back(OpenLine {
            line,
            body: None,
            cut_after: None,
            head: Head::default(),
        });
    }

    /// Tells what the line of request `id` is to hold beside its times.
    pub(crate) fn amend(&self, id: u64, change: impl FnOnce(&mut RecordLine)) {
        if let Some(open) = self.lock().open.iter_mut().find(|open| open.line.id == id) {
            change(&mut open.line);
        }
    }

    /// Tells the answer of request `id`: its status, its body's length, and where `plan` cuts it.
    pub(crate) fn answer(&self, id: u64, status: u16, body: u64, plan: &Plan) {
        let mut state = self.lock();
        let reset_after = plan.reset_after.filter(|after| *after < body);
        state.reset |= reset_after.is_some();
        if let Some(open) = state.open.iter_mut().find(|open| open.line.id == id) {
            open.line.status = Some(status);
            open.body = Some(body);
            open.cut_after = reset_after.or(plan.truncate);
        }
    }

    /// The socket is to be reset (RST) when it is dropped.
    pub(crate) fn reset(&self) {
        self.lock().reset = true;
    }

    /// The socket is to read on for a while after its end, for a client that is still sending.
    pub(crate) fn linger(&self) {
        self.lock().linger = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of the next bytes may be written before a cut; `None` if there is none.
    fn allowed(&self, bytes: &[u8]) -> Option<usize> {
        let state = self.lock();
        let open = state.open.front()?;
        let cut = open.cut_after?;
        let mut head = open.head.clone();
        let in_head = head.take(bytes);
        Some(bytes.len().min(in_head + (cut - open.line.bytes_out.min(cut)) as usize))
    }

    /// Accounts for `count` bytes of `buffers` that the socket took.
    fn wrote(&self, buffers: &[io::IoSlice<'_>], count: usize) {
        let now = self.clock.now_ns();
        let mut left = count;
        let mut state = self.lock();
        for buffer in buffers {
            let mut bytes = &buffer[..buffer.len().min(left)];
            left -= bytes.len();
            while let (false, Some(open)) = (bytes.is_empty(), state.open.front_mut()) {
                bytes = &bytes[open.wrote(bytes, now)..];
                if open.is_done() {
                    open.line.last_byte_ns = Some(now);
                    if let Some(done) = state.open.pop_front() {
                        self.record.push(done.line);
                    }
                }
            }
        }
    }

    /// The connection is over: what is open ends as it stands.
    fn close(&self) {
        for broken in self.lock().open.drain(..) {
            self.record.push(broken.line);
        }
    }
}

impl OpenLine {
    /// Takes its own part of the bytes and says how many that were.
    fn wrote(&mut self, bytes: &[u8], now: u64) -> usize {
        if !self.head.complete {
            if self.head.is_empty() {
                self.line.first_byte_ns = Some(now);
            }
            let taken = self.head.take(bytes);
            if self.head.complete && self.head.is_interim() {
                self.head = Head::default();
                self.line.first_byte_ns = None;
            }
            return taken;
        }
        let left = self.body.map_or(u64::MAX, |body| body - self.line.bytes_out);
        let taken = left.min(bytes.len() as u64);
        self.line.bytes_out += taken;
        taken as usize
    }

    fn is_done(&self) -> bool {
        self.head.complete && self.body == Some(self.line.bytes_out)
    }
}

/// Finds the end of a response's head in the bytes written.
#[derive(Clone, Debug, Default)]
struct Head {
    /// The first bytes, as far as "HTTP/1.1 1".
    start: Vec<u8>,
    /// How much of CR LF CR LF the latest bytes are.
    matched: usize,
    complete: bool,
}

impl Head {
    const INTERIM: &'static [u8] = b"HTTP/1.1 1";

    fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    fn is_interim(&self) -> bool {
        self.start == Self::INTERIM
    }

    /// Takes bytes up to the head's end and says how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        if self.complete {
            return 0;
        }
        for (index, byte) in bytes.iter().enumerate() {
            if self.start.len() < Self::INTERIM.len() {
                self.start.push(*byte);
            }
            self.matched = match (self.matched, byte) {
                (0 | 2, b'\r') | (1 | 3, b'\n') => self.matched + 1,
                (_, b'\r') => 1,
                _ => 0,
            };
            if self.matched == 4 {
                self.complete = true;
                return index + 1;
            }
        }
        bytes.len()
    }
}

/// A TCP or TLS stream whose TCP socket can be reached.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Transport for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// The wrapper itself.
#[derive(Debug)]
pub(crate) struct Socket<T: Transport> {
    stream: T,
    connection: Arc<Connection>,
    timer: Timer,
    lingering: Option<Wait>,
}

impl<T: Transport> Socket<T> {
    pub(crate) fn new(stream: T, connection: Arc<Connection>, timer: Timer) -> Socket<T> {
        Socket { stream, connection, timer, lingering: None }
    }

    /// Reads and drops what the client still sends, until it ends or [`LINGER`] is over.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.connection.lock().linger {
            return Poll::Ready(());
        }
        let timer = &self.timer;
        let over = self.lingering.get_or_insert_with(|| timer.wait_until(Instant::now() + LINGER));
        let mut scratch = [0_u8; 16 * 1024];
        while Pin::new(&mut *over).poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<T: Transport> AsyncRead for Socket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            let now = self.connection.clock.now_ns();
            self.connection.lock().last_read_ns = now;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> AsyncWrite for Socket<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let allowed = self.connection.allowed(bytes).unwrap_or(bytes.len());
        if allowed == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::Error::other("the answer is cut here")));
        }
        let connection = self.connection.clone();
        let _line_is_pushed = connection.record.finishing();
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..allowed]))?;
        connection.wrote(&[io::IoSlice::new(bytes)], count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = buffers.iter().find(|buffer| !buffer.is_empty()).map_or(&[][..], |b| b);
        if self.connection.allowed(first).is_some() {
            return self.poll_write(cx, first);
        }
        let connection = self.connection.clone();
        let _line_is_pushed = connection.record.finishing();
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, buffers))?;
        connection.wrote(buffers, count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> Drop for Socket<T> {
    fn drop(&mut self) {
        if self.connection.lock().reset {
            // A socket that is already gone cannot be reset, and need not be.
            let _ = self.stream.tcp().set_zero_linger();
        }
        self.connection.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_its_empty_line_however_it_is_cut() {
        let bytes = b"HTTP/1.1 200 OK\r\na: \r\r\n\r\nbody";
        for cut in 0..bytes.len() {
            let mut head = Head::default();
            let mut taken = head.take(&bytes[..cut]);
            taken += head.take(&bytes[taken..]);
            assert!(head.complete && !head.is_interim());
            assert_eq!(taken, bytes.len() - 4, "cut at {cut}");
        }
        let mut head = Head::default();
        head.take(b"HTTP/1.1 100 Continue\r\n\r\n");
        assert!(head.complete && head.is_interim());
    }
}
