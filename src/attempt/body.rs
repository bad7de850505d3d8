// SPDX-License-Identifier: Apache-2.0
//! The bytes of a read as its caller gets them: resumed where they broke, checked where they can be.

use super::{Call, is_transient};
use crate::backend::{GetReply, GetRequest};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::payload::crc32c_append;
use crate::timing::instant_at;
use crate::transport::Body;
use crate::types::{Checksum, GetRange};
use bytes::Bytes;
use md5::{Digest, Md5};
use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;
use tokio::time::Sleep;

/// The body of a read: a stream of bytes that ends at the end of the range asked for, or in an error.
///
/// A connection that breaks on the way is replaced by another that begins at the byte reached, pinned to the ETag that
/// the first answer had. Dropping it closes the connection.
pub struct ObjectBody {
    state: State,
    request: GetRequest,
    next: u64,
    end: u64,
    check: Option<Running>,
    /// The runtime that the read began on, and goes on.
    runtime: Handle,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes that have come since the last resume.
    gained: u64,
}

enum State {
    Reading(Reading),
    Resuming(Pin<Box<dyn Future<Output = Resumed> + Send>>),
    Ended,
}

struct Reading {
    call: Box<Call>,
    body: Body,
}

type Resumed = (Box<Call>, Result<Box<GetReply>, Failure>);

impl ObjectBody {
    /// The `body` of the answer to `request`: those bytes of the object that had this ETag. `verify` holds the checksum
    /// they must come to, for whole objects.
    pub(crate) fn new(
        call: Box<Call>,
        mut request: GetRequest,
        body: Body,
        range: Range<u64>,
        etag: Option<String>,
        verify: Option<Checksum>,
    ) -> ObjectBody {
        request.if_match = request.if_match.or(etag);
        let deadline = call
            .deadline()
            .map(|deadline| Box::pin(tokio::time::sleep_until(instant_at(deadline))));
        ObjectBody {
            state: State::Reading(Reading { call, body }),
            request,
            next: range.start,
            end: range.end,
            check: verify.map(Running::new),
            runtime: Handle::current(),
            deadline,
            gained: 0,
        }
    }

    /// A body of no bytes.
    pub(crate) fn empty(mut call: Call, request: GetRequest) -> ObjectBody {
        call.succeed(None);
        ObjectBody {
            state: State::Ended,
            request,
            next: 0,
            end: 0,
            check: None,
            runtime: Handle::current(),
            deadline: None,
            gained: 0,
        }
    }

    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.end - self.next
    }

    /// The next bytes as they arrive; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        poll_fn(|cx| self.poll_bytes(cx)).await
    }

    /// All that is left, in one piece: a single allocation of the size known from the answer's head.
    pub async fn collect(mut self) -> Result<Bytes> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        if self.remaining() == 0 {
            return Ok(first);
        }
        let mut all = self.room(first.len() as u64 + self.remaining())?;
        all.extend_from_slice(&first);
        drop(first);
        while let Some(data) = self.next().await.transpose()? {
            all.extend_from_slice(&data);
        }
        Ok(all.into())
    }

    /// Memory for so many bytes, a number that the server told.
    fn room(&mut self, bytes: u64) -> Result<Vec<u8>> {
        let mut room = Vec::new();
        let fits = usize::try_from(bytes).is_ok_and(|bytes| room.try_reserve_exact(bytes).is_ok());
        if fits {
            return Ok(room);
        }
        let much = Failure::new(ErrorKind::Exhausted)
            .message(format!("there is no memory for {bytes} bytes in one piece"))
            .hint("read a range, or the stream");
        Err(self.fail(much))
    }

    /// The next bytes as they arrive; `None` at the end.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let runtime;
        let _entered = match Handle::try_current() {
            Ok(here) if here.id() == self.runtime.id() => None,
            _ => {
                runtime = self.runtime.clone();
                Some(runtime.enter())
            }
        };
        loop {
            match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::Reading(reading) => match reading.body.poll_data(cx) {
                    Poll::Pending => return self.poll_deadline(cx),
                    Poll::Ready(Some(Ok(data))) => match self.accept(&data) {
                        Ok(()) => return Poll::Ready(Some(Ok(data))),
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    },
                    Poll::Ready(Some(Err(failure))) => {
                        if let Err(error) = self.broke(failure) {
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                    Poll::Ready(None) if self.next < self.end => {
                        let missing = self.end - self.next;
                        let short = Failure::new(ErrorKind::Reset)
                            .message(format!("the body ended {missing} bytes short"));
                        if let Err(error) = self.broke(short) {
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                    Poll::Ready(None) => return Poll::Ready(self.finish().err().map(Err)),
                },
                // The call minds its own deadline here.
                State::Resuming(resuming) => match ready!(resuming.as_mut().poll(cx)) {
                    (call, Ok(reply)) => {
                        self.state = State::Reading(Reading { call, body: reply.body });
                    }
                    (mut call, Err(failure)) => {
                        self.state = State::Ended;
                        // Another version is there, none, or one that has become shorter.
                        let changed = matches!(
                            failure.kind,
                            ErrorKind::Precondition | ErrorKind::NotFound | ErrorKind::InvalidRange
                        );
                        let failure = if changed {
                            Failure::new(ErrorKind::Changed)
                                .message(
                                    "it was replaced or deleted while a broken read was resumed",
                                )
                                .source(Error::from(failure))
                        } else {
                            failure
                        };
                        return Poll::Ready(Some(Err(call.fail(failure))));
                    }
                },
            }
        }
    }

    /// Counts bytes that arrived, never more than were asked for.
    fn accept(&mut self, data: &Bytes) -> Result<()> {
        if data.len() as u64 > self.remaining() {
            let much = Failure::new(ErrorKind::Protocol)
                .message("the body is longer than its Content-Range");
            return Err(self.fail(much));
        }
        self.next += data.len() as u64;
        self.gained += data.len() as u64;
        if let State::Reading(reading) = &mut self.state {
            reading.call.received(data.len() as u64);
        }
        if let Some(check) = &mut self.check {
            check.update(data);
        }
        // The last piece is not handed out before all of them are known to be right.
        if self.next == self.end && self.has_ended() { self.finish() } else { Ok(()) }
    }

    fn has_ended(&self) -> bool {
        matches!(&self.state, State::Reading(reading) if reading.body.ended().is_some())
    }

    /// The body broke: asks for the rest, unless that is hopeless.
    fn broke(&mut self, failure: Failure) -> Result<()> {
        if self.next == self.end {
            // All bytes are there; what broke was the connection behind them.
            return self.finish();
        }
        if !is_transient(&failure) || self.request.if_match.is_none() {
            return Err(self.fail(failure));
        }
        let State::Reading(reading) = std::mem::replace(&mut self.state, State::Ended) else {
            return Ok(());
        };
        let Reading { mut call, .. } = reading;
        call.gained(std::mem::take(&mut self.gained), &failure);
        let rest = GetRequest {
            range: Some(GetRange::Bounded(self.next..self.end)),
            ..self.request.clone()
        };
        self.state = State::Resuming(Box::pin(async move {
            if let Err(failure) = call.back_off(failure).await {
                return (call, Err(failure));
            }
            let reply = call.get(&rest).await;
            (call, reply)
        }));
        Ok(())
    }

    /// The end: the checksum must be the one that was told.
    fn finish(&mut self) -> Result<()> {
        if let Some(wrong) = self.check.take().and_then(Running::mismatch) {
            return Err(self.fail(wrong));
        }
        if let State::Reading(mut reading) = std::mem::replace(&mut self.state, State::Ended) {
            let end = reading.body.ended().filter(|end| *end != 0);
            reading.call.succeed(end);
        }
        Ok(())
    }

    fn fail(&mut self, failure: Failure) -> Error {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Reading(mut reading) => {
                let failure = reading.body.fail(failure);
                reading.call.fail(failure)
            }
            State::Resuming(_) | State::Ended => failure.into(),
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(self.fail(Call::past_deadline()))))
    }
}

impl futures_core::Stream for ObjectBody {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_bytes(cx)
    }
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody")
            .field("next", &self.next)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// A checksum under way, and what it must come to.
#[derive(Debug)]
pub(crate) struct Running {
    wanted: Checksum,
    crc: u32,
    md5: Option<Box<Md5>>,
}

impl Running {
    pub(crate) fn new(wanted: Checksum) -> Running {
        let md5 = matches!(wanted, Checksum::Md5(_)).then(Box::default);
        Running { wanted, crc: 0, md5 }
    }

    /// Takes the next bytes in.
    pub(crate) fn update(&mut self, data: &[u8]) {
        match &mut self.md5 {
            Some(md5) => md5.update(data),
            None => self.crc = crc32c_append(self.crc, data),
        }
    }

    /// What is wrong, once all bytes were taken in.
    pub(crate) fn mismatch(self) -> Option<Failure> {
        let actual = match self.md5 {
            Some(md5) => Checksum::Md5(md5.finalize().into()),
            None => Checksum::Crc32c(self.crc),
        };
        (actual != self.wanted).then(|| {
            Failure::new(ErrorKind::Integrity)
                .message(format!("the store told {:x?}, the bytes have {actual:x?}", self.wanted))
                .hint("read the object again; if it persists, the object is damaged in the store")
        })
    }
}
