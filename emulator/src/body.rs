// SPDX-License-Identifier: Apache-2.0
//! A response's body on its way out: at once and in one piece where there is no limit, else in
//! steps of a millisecond at the rate of its stream and within the machine's ceiling.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::timer::{Timer, Wait};

/// How fast a body is sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) bytes_per_second: Option<f64>,
    pub(crate) nic: Option<Arc<Nic>>,
    /// Send nothing more after so many bytes, for so long or for ever.
    pub(crate) stall: Option<(u64, Option<Duration>)>,
}

/// The machine's network interface: bytes of all streams queue up for it.
#[derive(Debug)]
pub(crate) struct Nic {
    bytes_per_second: f64,
    free_at: Mutex<Instant>,
}

impl Nic {
    pub(crate) fn new(bytes_per_second: f64) -> Nic {
        Nic { bytes_per_second, free_at: Mutex::new(Instant::now()) }
    }

    /// When so many bytes that queue up now have passed.
    fn reserve(&self, bytes: u64) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let start = free_at.max(Instant::now());
        *free_at = start + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        *free_at
    }
}

/// The body hyper sends.
#[derive(Debug)]
pub(crate) struct PacedBody {
    left: Bytes,
    sent: u64,
    pace: Pace,
    timer: Timer,
    start: Option<Instant>,
    /// The piece that is due when the wait ends.
    next: Option<(u64, Wait)>,
    stalled: Option<Wait>,
}

impl PacedBody {
    pub(crate) fn new(bytes: Bytes, pace: Pace, timer: Timer) -> PacedBody {
        PacedBody { left: bytes, sent: 0, pace, timer, start: None, next: None, stalled: None }
    }

    /// A millisecond's worth of bytes, at least a packet and at most 64 KiB.
    fn step(&self) -> u64 {
        let nic = self.pace.nic.as_ref().map(|nic| nic.bytes_per_second);
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
        step.min(until_stall).min(self.left.len() as u64)
    }

    /// When a piece of so many bytes may leave; `None` is at once.
    fn due(&mut self, piece: u64) -> Option<Instant> {
        let start = *self.start.get_or_insert_with(Instant::now);
        let stream = self
            .pace
            .bytes_per_second
            .map(|rate| start + Duration::from_secs_f64((self.sent + piece) as f64 / rate));
        let nic = self.pace.nic.as_ref().map(|nic| nic.reserve(piece));
        stream.max(nic)
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
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        if self.next.is_none() {
            ready!(self.poll_stall(cx));
            let piece = self.step();
            if let Some(due) = self.due(piece).filter(|due| *due > Instant::now()) {
                let wait = self.timer.wait_until(due);
                self.next = Some((piece, wait));
            } else {
                self.sent += piece;
                return Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece as usize)))));
            }
        }
        let Some((piece, wait)) = &mut self.next else { return Poll::Pending };
        let piece = *piece;
        // An error is the emulator's end.
        let _ = ready!(Pin::new(wait).poll(cx));
        self.next = None;
        self.sent += piece;
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece as usize)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
