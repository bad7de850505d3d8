// SPDX-License-Identifier: Apache-2.0
//! Bodies out and in, each at the client's limit of bytes a second, where it has one. The one that comes in ends its
//! attempt: it gives the connection back and records the timer.

use super::broken;
use super::pool::Lease;
use crate::error::{ErrorKind, Failure};
use crate::limiter::{Limiter, Pace, Throttle};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, Outcome, Phase, RequestId, SocketTimes, after, now_ns};
use bytes::{Bytes, BytesMut};
use futures_core::stream::BoxStream;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::HeaderValue;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

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

/// The body of an answer, and with it the end of the attempt.
///
/// Read to its end, it records the attempt and gives the connection back; dropped before, the attempt is cancelled and
/// the connection closed. The stall clock runs only while the reader waits for bytes.
///
/// Boxed, since it is handed from layer to layer.
#[derive(Debug)]
pub(crate) struct Body(Box<Receiving>);

#[derive(Debug)]
struct Receiving {
    source: BodySource,
    exchange: Option<Exchange>,
    outcome: Outcome,
    pace: Pace,
    /// When the reader was last given something; from there to its next poll is its own time.
    handed: u64,
    /// When the reader began to wait.
    waiting: u64,
    /// How long it has waited since the last progress, in nanoseconds, ...
    waited: u64,
    /// ... and the bytes that came meanwhile.
    gained: u64,
    throttle: Option<Throttle<Bytes>>,
    client_request_id: RequestId,
    /// The server's name for the request, for errors.
    request_id: Option<HeaderValue>,
}

/// Where the bytes come from.
enum BodySource {
    Http(Incoming),
    /// Of a backend that is no HTTP client of ours.
    Stream(BoxStream<'static, Result<Bytes, Failure>>),
}

impl BodySource {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        match self {
            BodySource::Stream(stream) => loop {
                match ready!(stream.as_mut().poll_next(cx)) {
                    Some(Ok(data)) if data.is_empty() => {}
                    next => return Poll::Ready(next),
                }
            },
            BodySource::Http(incoming) => loop {
                match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                    // Trailers are no bytes.
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(Ok(data)));
                        }
                    }
                    Some(Err(e)) => {
                        return Poll::Ready(Some(Err(broken(e, "in the middle of a body"))));
                    }
                    None => return Poll::Ready(None),
                }
            },
        }
    }

    /// Whether it is known that nothing follows.
    fn is_ended(&self) -> bool {
        match self {
            BodySource::Http(incoming) => incoming.is_end_stream(),
            BodySource::Stream(_) => false,
        }
    }
}

impl std::fmt::Debug for BodySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BodySource::Http(_) => "Http",
            BodySource::Stream(_) => "Stream",
        })
    }
}

#[derive(Debug)]
struct Exchange {
    /// The connection, where it is one of ours.
    lease: Option<Lease>,
    timer: Box<AttemptTimer>,
    /// Whether what arrives is payload rather than an error's text.
    payload: bool,
}

impl Body {
    pub(super) fn new(
        incoming: Incoming,
        lease: Lease,
        timer: Box<AttemptTimer>,
        outcome: Outcome,
        pace: Pace,
        request_id: Option<HeaderValue>,
    ) -> Body {
        let source = BodySource::Http(incoming);
        Body::begun(source, Some(lease), timer, outcome, pace, request_id)
    }

    /// The body of a successful answer whose bytes come from elsewhere than our connections. Its time-outs are its
    /// own affair.
    #[cfg_attr(
        not(any(test, feature = "object-store")),
        expect(dead_code, reason = "made by the object_store backend and by the simulation")
    )]
    pub(crate) fn from_stream(
        stream: BoxStream<'static, Result<Bytes, Failure>>,
        timer: Box<AttemptTimer>,
    ) -> Body {
        let source = BodySource::Stream(stream);
        let pace = Pace { within: Duration::MAX, bytes: 1 };
        Body::begun(source, None, timer, Outcome::Ok, pace, None)
    }

    fn begun(
        source: BodySource,
        lease: Option<Lease>,
        timer: Box<AttemptTimer>,
        outcome: Outcome,
        pace: Pace,
        request_id: Option<HeaderValue>,
    ) -> Body {
        let handed = if timer.is_on() { now_ns() } else { 0 };
        let ended = source.is_ended();
        let client_request_id = timer.client_request_id();
        let exchange = Some(Exchange { lease, timer, payload: false });
        let mut body = Box::new(Receiving {
            source,
            exchange,
            outcome,
            pace,
            handed,
            waiting: 0,
            waited: 0,
            gained: 0,
            throttle: None,
            client_request_id,
            request_id,
        });
        if ended {
            body.end(handed);
        }
        Body(body)
    }

    /// Counts what arrives as payload.
    pub(crate) fn counted(mut self) -> Body {
        if let Some(exchange) = &mut self.0.exchange {
            exchange.payload = true;
        }
        self
    }

    /// Hands bytes out no faster than the limiter lets it.
    pub(crate) fn limited(mut self, limiter: Option<&Arc<Limiter>>) -> Body {
        self.0.throttle = limiter.map(Throttle::new);
        self
    }

    /// The next bytes; `None` at the end.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        self.0.poll_data(cx)
    }

    /// All that is left, in one piece, at most `limit` bytes: for documents and errors.
    pub(crate) async fn collect(mut self, limit: usize) -> Result<Bytes, Failure> {
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        while let Some(data) = poll_fn(|cx| self.poll_data(cx)).await {
            let data = data?;
            if first.as_ref().map_or(0, Bytes::len) + rest.len() + data.len() > limit {
                return Err(self.fail(
                    Failure::new(ErrorKind::Protocol)
                        .message(format!("the answer is longer than {limit} bytes")),
                ));
            }
            match first {
                None => first = Some(data),
                Some(_) => rest.extend_from_slice(&data),
            }
        }
        let first = first.unwrap_or_default();
        if rest.is_empty() {
            return Ok(first);
        }
        Ok([first, rest.freeze()].concat().into())
    }

    /// Ends the attempt as a failure of the reader's finding; the connection is closed.
    pub(crate) fn fail(&mut self, failure: Failure) -> Failure {
        self.0.fail(failure)
    }

    /// When the attempt ended, once it has: a reading of `now_ns`, 0 where timing is off.
    pub(crate) fn ended(&self) -> Option<u64> {
        self.0.exchange.is_none().then_some(self.0.handed)
    }
}

impl Receiving {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if let Some(throttle) = self.throttle.as_mut().filter(|throttle| throttle.holds()) {
            return throttle.poll_passed(cx).map(|data| Some(Ok(data)));
        }
        if self.exchange.is_none() {
            return Poll::Ready(None);
        }
        let data = match self.source.poll(cx) {
            Poll::Ready(data) => data,
            Poll::Pending => {
                ready!(self.poll_stalled(cx));
                return Poll::Ready(Some(Err(self.fail(self.stalled()))));
            }
        };
        let now = self.note_arrival();
        Poll::Ready(match data {
            Some(Ok(data)) => {
                let exchange = self.exchange.as_mut().expect("checked above");
                if exchange.payload {
                    exchange.timer.delivered(data.len() as u64);
                }
                self.handed = now;
                self.gained += data.len() as u64;
                if self.gained >= self.pace.bytes {
                    (self.gained, self.waited) = (0, 0);
                }
                if self.source.is_ended() {
                    self.end(now);
                }
                if let Some(throttle) = &mut self.throttle {
                    let bytes = data.len();
                    throttle.hold(data, bytes);
                    return throttle.poll_passed(cx).map(|data| Some(Ok(data)));
                }
                Some(Ok(data))
            }
            Some(Err(failure)) => Some(Err(self.fail(failure))),
            None => {
                self.end(now);
                None
            }
        })
    }

    fn fail(&mut self, mut failure: Failure) -> Failure {
        failure.client_request_id.get_or_insert_with(|| self.client_request_id.to_string());
        if failure.request_id.is_none() {
            let told = self.request_id.as_ref().and_then(|id| id.to_str().ok());
            failure.request_id = told.map(str::to_owned);
        }
        if let Some(exchange) = self.exchange.take() {
            exchange.timer.finish(failure.outcome());
        }
        failure
    }

    fn end(&mut self, now: u64) {
        let Some(Exchange { lease, mut timer, .. }) = self.exchange.take() else { return };
        self.handed = now;
        if lease.is_none() && timer.is_on() {
            // No socket of ours tells when the bytes came.
            timer.lap_at(Phase::Body, now);
        }
        timer.finish_at(self.outcome, now);
        if let Some(lease) = lease {
            lease.give_back(if now == 0 { now_ns() } else { now });
        }
    }

    /// Takes the time; what passed since there were bytes and the reader could have polled is the reader's.
    fn note_arrival(&mut self) -> u64 {
        let waiting = std::mem::take(&mut self.waiting);
        let lease = self.exchange.as_ref().and_then(|exchange| exchange.lease.as_ref());
        if let Some(lease) = lease.filter(|_| waiting != 0) {
            // A reader that came back late waited no longer than until the bytes were there.
            let arrived = lease.times().last_read().unwrap_or(0);
            self.waited += arrived.saturating_sub(waiting);
        }
        let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.timer.is_on())
        else {
            return 0;
        };
        let now = now_ns();
        if let Some(lease) = &exchange.lease {
            let ready = lease.times().last_read().unwrap_or(0).max(self.handed);
            exchange.timer.add(Phase::Paused, now.saturating_sub(ready));
        }
        now
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(lease) = self.exchange.as_mut().and_then(|exchange| exchange.lease.as_mut())
        else {
            return Poll::Pending;
        };
        if self.waiting == 0 {
            self.waiting = now_ns();
        }
        let left = self.pace.within.saturating_sub(Duration::from_nanos(self.waited));
        lease.guard().poll_passed(cx, after(self.waiting, left))
    }

    fn stalled(&self) -> Failure {
        let Pace { within, bytes } = self.pace;
        Failure::new(ErrorKind::Timeout).message(match self.gained {
            0 => format!("no byte of the body for {within:?} (stall_timeout)"),
            few => format!(
                "only {few} bytes of the body within {within:?}, less than {bytes} (stall_timeout, stall_rate)"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::{Operation, Sink};
    use futures_util::stream::{self, StreamExt as _};
    use tokio::time::Instant;

    /// A body of so many pieces of so many bytes, all of which are there.
    fn received(pieces: usize, bytes: usize) -> Body {
        let piece = Bytes::from(vec![7; bytes]);
        let pieces = stream::iter(std::iter::repeat_n(Ok(piece), pieces)).boxed();
        Body::from_stream(pieces, AttemptTimer::start(&Sink::off(), Operation::Get))
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_received_pass_at_the_limit() {
        let limiter = Limiter::new(1_000_000).unwrap();
        let began = Instant::now();
        let body = received(20, 10_000).limited(Some(&limiter));
        assert_eq!(body.collect(1 << 20).await.unwrap().len(), 200_000);
        assert_eq!(began.elapsed().as_millis(), 200);
        // Two at once share it.
        let began = Instant::now();
        let two = [received(10, 10_000), received(10, 10_000)]
            .map(|body| body.limited(Some(&limiter)).collect(1 << 20));
        for body in futures_util::future::join_all(two).await {
            assert_eq!(body.unwrap().len(), 100_000);
        }
        assert_eq!(began.elapsed().as_millis(), 200);
        let began = Instant::now();
        received(20, 10_000).limited(None).collect(1 << 20).await.unwrap();
        assert!(began.elapsed().is_zero(), "no limit");
    }

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
