// SPDX-License-Identifier: Apache-2.0
//! Bodies out and in. The one that comes in ends its attempt: it gives the connection back and records the timer.

use super::broken;
use super::pool::{Guard, Lease};
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Outcome, Phase, RequestId, after, now_ns};
use bytes::{Bytes, BytesMut};
use futures_core::stream::BoxStream;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::HeaderValue;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What a request carries: nothing, or bytes that are all there.
#[derive(Debug)]
pub(crate) struct RequestBody(Option<Bytes>);

impl RequestBody {
    pub(crate) fn full(bytes: Bytes) -> RequestBody {
        RequestBody((!bytes.is_empty()).then_some(bytes))
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// The body of an answer, and with it the end of the attempt.
///
/// Read to its end, it records the attempt and gives the connection back; dropped before, the attempt is cancelled and
/// the connection closed. The stall clock runs only while the reader polls.
#[derive(Debug)]
pub(crate) struct Body {
    source: Source,
    exchange: Option<Exchange>,
    outcome: Outcome,
    stall: Duration,
    /// When the reader was last given something; from there to its next poll is its own time.
    handed: u64,
    /// When the reader began to wait.
    waiting: u64,
    client_request_id: RequestId,
    /// The server's name for the request, for errors.
    request_id: Option<HeaderValue>,
}

/// Where the bytes come from.
enum Source {
    /// A connection of ours.
    Network(Incoming),
    /// A store that does its own talking: so many bytes still to come.
    Stream(BoxStream<'static, Result<Bytes, Failure>>, u64),
}

#[derive(Debug)]
struct Exchange {
    /// What the bytes come by; a store that does its own talking has but the clock.
    by: By,
    timer: Box<AttemptTimer>,
    /// Whether what arrives is payload rather than an error's text.
    payload: bool,
}

#[derive(Debug)]
enum By {
    Lease(Lease),
    Clock(Guard),
}

impl Body {
    /// The body of an answer of a store that does its own talking: `length` bytes, whose head came when `timer` was
    /// last read.
    #[cfg_attr(not(test), expect(dead_code, reason = "simulated stores are the tests' so far"))]
    pub(crate) fn from_stream(
        stream: BoxStream<'static, Result<Bytes, Failure>>,
        length: u64,
        timer: Box<AttemptTimer>,
        stall: Duration,
    ) -> Body {
        let handed = if timer.is_on() { timer.mark() } else { 0 };
        let client_request_id = timer.client_request_id();
        let mut body = Body {
            source: Source::Stream(stream, length),
            exchange: Some(Exchange { by: By::Clock(Guard::new()), timer, payload: true }),
            outcome: Outcome::Ok,
            stall,
            handed,
            waiting: 0,
            client_request_id,
            request_id: None,
        };
        if length == 0 {
            body.end(handed);
        }
        body
    }

    pub(super) fn new(
        incoming: Incoming,
        lease: Lease,
        timer: Box<AttemptTimer>,
        outcome: Outcome,
        stall: Duration,
        request_id: Option<HeaderValue>,
    ) -> Body {
        let handed = if timer.is_on() { now_ns() } else { 0 };
        let ended = incoming.is_end_stream();
        let client_request_id = timer.client_request_id();
        let exchange = Some(Exchange { by: By::Lease(lease), timer, payload: false });
        let mut body = Body {
            source: Source::Network(incoming),
            exchange,
            outcome,
            stall,
            handed,
            waiting: 0,
            client_request_id,
            request_id,
        };
        if ended {
            body.end(handed);
        }
        body
    }

    /// Counts what arrives as payload.
    pub(crate) fn counted(mut self) -> Body {
        if let Some(exchange) = &mut self.exchange {
            exchange.payload = true;
        }
        self
    }

    /// The next bytes; `None` at the end.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            if self.exchange.is_none() {
                return Poll::Ready(None);
            }
            let data = match self.source.poll_data(cx) {
                Poll::Ready(data) => data,
                Poll::Pending => {
                    ready!(self.poll_stalled(cx));
                    return Poll::Ready(Some(Err(self.fail(self.stalled()))));
                }
            };
            let now = self.note_arrival();
            match data {
                Some(Ok(data)) => {
                    let exchange = self.exchange.as_mut().expect("checked above");
                    if exchange.payload {
                        exchange.timer.delivered(data.len() as u64);
                    }
                    self.handed = now;
                    if self.source.is_at_end() {
                        self.end(now);
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Some(Err(failure)) => {
                    let failure = self.fail(failure);
                    return Poll::Ready(Some(Err(failure)));
                }
                None => self.end(now),
            }
        }
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
    pub(crate) fn fail(&mut self, mut failure: Failure) -> Failure {
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

    /// When the attempt ended, once it has: a reading of `now_ns`, 0 where timing is off.
    pub(crate) fn ended(&self) -> Option<u64> {
        self.exchange.is_none().then_some(self.handed)
    }

    fn end(&mut self, now: u64) {
        let Some(Exchange { by, mut timer, .. }) = self.exchange.take() else { return };
        self.handed = now;
        match by {
            By::Lease(lease) => {
                timer.finish_at(self.outcome, now);
                lease.give_back(if now == 0 { now_ns() } else { now });
            }
            By::Clock(_) => {
                timer.received(now);
                timer.finish_at(self.outcome, now);
            }
        }
    }

    /// Takes the time; what passed since there were bytes and the reader could have polled is the reader's.
    fn note_arrival(&mut self) -> u64 {
        self.waiting = 0;
        let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.timer.is_on())
        else {
            return 0;
        };
        let now = now_ns();
        let ready = match &exchange.by {
            By::Lease(lease) => lease.times().last_read().unwrap_or(0).max(self.handed),
            // When its bytes came is known to that store alone.
            By::Clock(_) => now,
        };
        exchange.timer.add(Phase::Paused, now.saturating_sub(ready));
        now
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(exchange) = &mut self.exchange else { return Poll::Pending };
        if self.waiting == 0 {
            self.waiting = now_ns();
        }
        let deadline = after(self.waiting, self.stall);
        match &mut exchange.by {
            By::Lease(lease) => lease.guard().poll_passed(cx, deadline),
            By::Clock(guard) => guard.poll_passed(cx, deadline),
        }
    }

    fn stalled(&self) -> Failure {
        Failure::new(ErrorKind::Timeout)
            .message(format!("no byte of the body for {:?} (stall_timeout)", self.stall))
    }
}

impl Source {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        match self {
            Source::Network(incoming) => loop {
                match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => return Poll::Ready(Some(Ok(data))),
                        Err(_) => continue,
                    },
                    Some(Err(e)) => {
                        return Poll::Ready(Some(Err(broken(e, "in the middle of a body"))));
                    }
                    None => return Poll::Ready(None),
                }
            },
            Source::Stream(stream, left) => {
                let data = ready!(stream.as_mut().poll_next(cx));
                if let Some(Ok(data)) = &data {
                    *left = left.saturating_sub(data.len() as u64);
                }
                Poll::Ready(data)
            }
        }
    }

    fn is_at_end(&self) -> bool {
        match self {
            Source::Network(incoming) => incoming.is_end_stream(),
            Source::Stream(_, left) => *left == 0,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Network(_) => "Network",
            Source::Stream(..) => "Stream",
        })
    }
}
