// SPDX-License-Identifier: Apache-2.0
//! The body of an answer, at the client's limit of bytes a second, where it has one. Its end is the attempt's: it gives the
//! connection back and records the timer.

use super::failure::broken;
use super::pool::Lease;
use crate::error::{ErrorKind, Failure};
use crate::limiter::{Limiter, Pace, Throttle};

use crate::timing::{AttemptTimer, Outcome, Phase, RequestId, after, now_ns};
use bytes::{Bytes, BytesMut};
use futures_core::stream::BoxStream;
use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderValue;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

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
    ending: Option<Ending>,
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
struct Ending {
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
        let ending = Some(Ending { lease, timer, payload: false });
        let mut body = Box::new(Receiving {
            source,
            ending,
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
        if let Some(ending) = &mut self.0.ending {
            ending.payload = true;
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
        self.0.ending.is_none().then_some(self.0.handed)
    }
}

impl Receiving {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if let Some(throttle) = self.throttle.as_mut().filter(|throttle| throttle.holds()) {
            return throttle.poll_passed(cx).map(|data| Some(Ok(data)));
        }
        if self.ending.is_none() {
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
                let ending = self.ending.as_mut().expect("checked above");
                if ending.payload {
                    ending.timer.delivered(data.len() as u64);
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
        if let Some(ending) = self.ending.take() {
            ending.timer.finish(failure.outcome());
        }
        failure
    }

    fn end(&mut self, now: u64) {
        let Some(Ending { lease, mut timer, .. }) = self.ending.take() else { return };
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
        let lease = self.ending.as_ref().and_then(|ending| ending.lease.as_ref());
        if let Some(lease) = lease.filter(|_| waiting != 0) {
            // A reader that came back late waited no longer than until the bytes were there.
            let arrived = lease.times().last_read().unwrap_or(0);
            self.waited += arrived.saturating_sub(waiting);
        }
        let Some(ending) = self.ending.as_mut().filter(|ending| ending.timer.is_on()) else {
            return 0;
        };
        let now = now_ns();
        if let Some(lease) = &ending.lease {
            let ready = lease.times().last_read().unwrap_or(0).max(self.handed);
            ending.timer.add(Phase::Paused, now.saturating_sub(ready));
        }
        now
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(lease) = self.ending.as_mut().and_then(|ending| ending.lease.as_mut()) else {
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
    use crate::timing::{Operation, Recorders};
    use futures_util::stream::{self, StreamExt as _};
    use tokio::time::Instant;

    /// A body of so many pieces of so many bytes, all of which are there.
    fn received(pieces: usize, bytes: usize) -> Body {
        let piece = Bytes::from(vec![7; bytes]);
        let pieces = stream::iter(std::iter::repeat_n(Ok(piece), pieces)).boxed();
        Body::from_stream(pieces, AttemptTimer::start(&Recorders::off(), Operation::Get))
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
}
