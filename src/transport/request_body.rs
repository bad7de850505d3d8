// SPDX-License-Identifier: Apache-2.0
//! The body of a request, at the client's limit of bytes a second, where it has one.

use crate::limiter::{Limiter, Throttle};
use crate::payload::Payload;
use crate::timing::SocketTimes;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Bytes of a limited request that are sent at once.
const PORTION: usize = 64 << 10;

/// What a request carries: bytes that are all there.
#[derive(Debug)]
pub(crate) struct RequestBody {
    payload: Payload,
    /// The piece that is sent next.
    next: usize,
    left: u64,
    limit: Option<Box<Limited>>,
}

/// The body of a request under a limit.
#[derive(Debug)]
struct Limited {
    throttle: Throttle<Bytes>,
    /// What is left of the piece under way.
    rest: Bytes,
    /// Told until when the body waits: that is no stall.
    times: Arc<SocketTimes>,
}

impl RequestBody {
    pub(crate) fn new(payload: Payload) -> RequestBody {
        RequestBody { left: payload.len(), payload, next: 0, limit: None }
    }

    /// Sends no faster than the limiter lets it.
    pub(super) fn limit(&mut self, limiter: &Arc<Limiter>, times: &Arc<SocketTimes>) {
        self.limit = Some(Box::new(Limited {
            throttle: Throttle::new(limiter),
            rest: Bytes::new(),
            times: Arc::clone(times),
        }));
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        let piece = self.payload.piece(self.next).cloned()?;
        self.next += 1;
        Some(piece)
    }

    fn poll_limited(
        &mut self,
        cx: &mut Context<'_>,
        mut limited: Box<Limited>,
    ) -> Poll<Option<Bytes>> {
        while limited.rest.is_empty() && !limited.throttle.holds() {
            match self.next_piece() {
                Some(piece) => limited.rest = piece,
                None => return Poll::Ready(None),
            }
        }
        if !limited.throttle.holds() {
            let portion = limited.rest.split_to(limited.rest.len().min(PORTION));
            let bytes = portion.len();
            let due = limited.throttle.hold(portion, bytes);
            limited.times.hold(due);
        }
        let polled = limited.throttle.poll_passed(cx);
        self.limit = Some(limited);
        polled.map(Some)
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = match self.limit.take() {
            Some(limited) => ready!(self.poll_limited(cx, limited)),
            None => self.next_piece(),
        };
        if let Some(piece) = &piece {
            self.left -= piece.len() as u64;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Body as _;
    use std::future::poll_fn;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn bodies_sent_pass_at_the_limit_in_portions() {
        let limiter = Limiter::new(1_000_000).unwrap();
        let times = Arc::new(SocketTimes::default());
        let pieces = [100_000, 1, 49_999].map(|bytes| Bytes::from(vec![7; bytes]));
        let mut body = RequestBody::new(pieces.into_iter().collect());
        body.limit(&limiter, &times);
        let (began, mut sent) = (Instant::now(), Vec::new());
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(frame) = frame;
            sent.push(frame.into_data().unwrap().len());
            assert_eq!(body.size_hint().exact(), Some(150_000 - sent.iter().sum::<usize>() as u64));
        }
        assert_eq!(sent, [PORTION, 100_000 - PORTION, 1, 49_999]);
        assert_eq!(began.elapsed().as_millis(), 150);
        assert!(body.is_end_stream() && times.held() >= 150_000_000);
    }
}
