// SPDX-License-Identifier: Apache-2.0
//! A response's body on its way out: at once and piece by piece where there is no limit, else in
//! steps of a millisecond at the rate of its stream and within the machine's ceiling. What lies in
//! a file is read a window at a time, off the runtime's threads.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::content::{Payload, Piece, read_at};
use crate::latency::{self, Nic, Stalls};
use crate::timer::{Timer, Wait};

/// What follows a body that never ends.
static FILLER: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// Most bytes that are read from a file at once.
const WINDOW: u64 = 256 * 1024;

/// How fast a body is sent, and what is done to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) bytes_per_second: Option<f64>,
    pub(crate) nic: Option<Arc<Nic>>,
    /// The model's stalls, in which nothing is sent.
    pub(crate) stalls: Option<Stalls>,
    /// Send nothing more after so many bytes, for so long or for ever.
    pub(crate) stall: Option<(u64, Option<Duration>)>,
    /// Flip the bits of this byte.
    pub(crate) corrupt: Option<u64>,
}

/// The body hyper sends.
#[derive(Debug)]
pub(crate) struct PacedBody {
    /// Bytes at hand.
    ready: Bytes,
    /// What comes after them.
    payload: Payload,
    reading: Option<JoinHandle<io::Result<Window>>>,
    /// The file that was read last, and what of its piece is left.
    rest: Option<(File, Range<u64>)>,
    /// Bytes not sent yet.
    left: u64,
    /// Whether spaces follow without end.
    endless: bool,
    sent: u64,
    pace: Pace,
    timer: Timer,
    start: Option<Instant>,
    /// The piece that is due when the wait ends.
    next: Option<(u64, Wait)>,
    stalled: Option<Wait>,
}

/// What was read of a file, and the file with the range that is left.
type Window = (Bytes, Option<(File, Range<u64>)>);

impl PacedBody {
    pub(crate) fn new(payload: Payload, pace: Pace, timer: Timer) -> PacedBody {
        PacedBody {
            ready: Bytes::new(),
            left: payload.len(),
            endless: false,
            payload,
            reading: None,
            rest: None,
            sent: 0,
            pace,
            timer,
            start: None,
            next: None,
            stalled: None,
        }
    }

    /// The same, and spaces without end behind it.
    pub(crate) fn endless(mut self) -> PacedBody {
        self.endless = true;
        // A pace that never reaches its end.
        self.left = u64::MAX;
        self
    }

    /// Has bytes at hand, if any are left.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other)?;
                self.reading = None;
                (self.ready, self.rest) = read?;
            } else if let Some((file, range)) = self.rest.take() {
                self.reading = Some(tokio::task::spawn_blocking(move || read_window(file, range)));
            } else {
                match self.payload.pieces.pop_front() {
                    None if self.endless => self.ready = Bytes::from_static(&FILLER),
                    None => break,
                    Some(Piece::Memory(bytes)) => self.ready = bytes,
                    Some(Piece::File { blob, range }) => {
                        let open = move || read_window(blob.open()?, range);
                        self.reading = Some(tokio::task::spawn_blocking(open));
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// A millisecond's worth of the bytes at hand, at least a packet and at most 64 KiB.
    fn step(&self) -> u64 {
        let nic = self.pace.nic.as_ref().map(|nic| nic.bytes_per_second());
        let rate = self.pace.bytes_per_second.into_iter().chain(nic).fold(f64::INFINITY, f64::min);
        let step = if rate.is_finite() {
            (rate / 1000.0).clamp(1400.0, 65_536.0) as u64
        } else {
            u64::MAX
        };
        let until_stall = match self.pace.stall {
            Some((after, _)) => after - self.sent,
            _ => u64::MAX,
        };
        step.min(until_stall).min(self.ready.len() as u64)
    }

    /// When a piece of so many bytes may leave; `None` is at once.
    fn due(&mut self, piece: u64) -> Option<Instant> {
        let start = *self.start.get_or_insert_with(Instant::now);
        let stalls = self.pace.stalls;
        let stream = self.pace.bytes_per_second.map(|rate| {
            let work = Duration::from_secs_f64((self.sent + piece) as f64 / rate);
            latency::end(stalls, start, work)
        });
        let nic = self.pace.nic.as_ref().map(|nic| nic.reserve(piece));
        stream.max(nic).max(stalls.map(Stalls::over))
    }

    /// Waits where a fault stalls the body.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((after, how_long)) = self.pace.stall else { return Poll::Ready(()) };
        if self.sent < after {
            return Poll::Ready(());
        }
        // For ever: the client's leaving ends it.
        let Some(time) = how_long else { return Poll::Pending };
        let timer = &self.timer;
        let wait = self.stalled.get_or_insert_with(|| timer.wait_until(Instant::now() + time));
        // An error is the emulator's end.
        let _ = ready!(Pin::new(wait).poll(cx));
        self.pace.stall = None;
        self.start = self.start.map(|start| start + time);
        Poll::Ready(())
    }

    /// The next bytes as they leave.
    fn take(&mut self, piece: u64) -> Bytes {
        let mut bytes = self.ready.split_to(piece as usize);
        let spoiled = self.pace.corrupt.and_then(|offset| offset.checked_sub(self.sent));
        if let Some(offset) = spoiled.filter(|offset| *offset < piece) {
            let mut spoiled = BytesMut::from(&*bytes);
            spoiled[offset as usize] ^= 0xff;
            bytes = spoiled.freeze();
        }
        self.sent += piece;
        self.left -= piece;
        bytes
    }
}

/// Reads the first bytes of a range.
fn read_window(file: File, range: Range<u64>) -> io::Result<Window> {
    let end = range.end.min(range.start + WINDOW);
    let bytes = read_at(&file, range.start..end)?;
    Ok((bytes, (end < range.end).then_some((file, end..range.end))))
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.next.is_none() {
            ready!(self.poll_stall(cx));
            if let Err(error) = ready!(self.poll_ready(cx)) {
                tracing::error!(%error, "an object's file cannot be read");
                return Poll::Ready(Some(Err(error)));
            }
            let piece = self.step();
            if let Some(due) = self.due(piece).filter(|due| *due > Instant::now()) {
                let wait = self.timer.wait_until(due);
                self.next = Some((piece, wait));
            } else {
                return Poll::Ready(Some(Ok(Frame::data(self.take(piece)))));
            }
        }
        let Some((piece, wait)) = &mut self.next else { return Poll::Pending };
        let piece = *piece;
        // An error is the emulator's end.
        let _ = ready!(Pin::new(wait).poll(cx));
        self.next = None;
        Poll::Ready(Some(Ok(Frame::data(self.take(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.endless { SizeHint::default() } else { SizeHint::with_exact(self.left) }
    }
}
