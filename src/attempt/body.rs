// SPDX-License-Identifier: Apache-2.0
//! The bytes of a read as its caller gets them: resumed where they broke, checked where they can be.

use super::{Call, Repeat, is_transient};
use crate::backend::{Checksum, GetRange, GetReply, GetRequest};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::timing::instant_at;
use crate::transport::Body;
use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};
use std::fmt;
use std::future::poll_fn;
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
    /// The runtime to poll on, where the caller's is not the one.
    runtime: Option<Handle>,
    deadline: Option<Pin<Box<Sleep>>>,
    tries: u32,
}

enum State {
    Reading(Box<Reading>),
    Resuming(Pin<Box<dyn Future<Output = Resumed> + Send>>),
    Ended,
}

struct Reading {
    call: Call,
    body: Body,
}

type Resumed = (Call, Result<GetReply, Failure>);

impl ObjectBody {
    /// The body of `reply` to `request`. `verify` holds the checksum it must come to, for whole objects.
    pub(crate) fn new(
        call: Call,
        mut request: GetRequest,
        reply: GetReply,
        verify: Option<Checksum>,
        runtime: Option<Handle>,
    ) -> ObjectBody {
        request.if_match = request.if_match.or_else(|| reply.meta.etag.clone());
        let deadline = call
            .deadline()
            .map(|deadline| Box::pin(tokio::time::sleep_until(instant_at(deadline))));
        ObjectBody {
            state: State::Reading(Box::new(Reading { call, body: reply.body })),
            request,
            next: reply.range.start,
            end: reply.range.end,
            check: verify.map(Running::new),
            runtime,
            deadline,
            tries: 0,
        }
    }

    /// A body of no bytes.
    pub(crate) fn empty(mut call: Call, request: GetRequest) -> ObjectBody {
        call.succeed();
        ObjectBody {
            state: State::Ended,
            request,
            next: 0,
            end: 0,
            check: None,
            runtime: None,
            deadline: None,
            tries: 0,
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
            // Polled to the end all the same: that is where checksums are compared.
            return match self.next().await {
                None => Ok(first),
                Some(more) => more.map(|_| first),
            };
        }
        let mut all = BytesMut::with_capacity(first.len() + self.remaining() as usize);
        all.extend_from_slice(&first);
        drop(first);
        while let Some(data) = self.next().await.transpose()? {
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }

    /// The next bytes as they arrive; `None` at the end.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let runtime = self.runtime.clone();
        let _entered = runtime.as_ref().map(Handle::enter);
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
                State::Resuming(resuming) => match resuming.as_mut().poll(cx) {
                    Poll::Pending => return self.poll_deadline(cx),
                    Poll::Ready((call, Ok(reply))) => {
                        self.state = State::Reading(Box::new(Reading { call, body: reply.body }));
                    }
                    Poll::Ready((mut call, Err(failure))) => {
                        self.state = State::Ended;
                        let changed =
                            matches!(failure.kind, ErrorKind::Precondition | ErrorKind::NotFound);
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
        self.tries = 0;
        if let Some(check) = &mut self.check {
            check.update(data);
        }
        Ok(())
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
        let Reading { mut call, .. } = *reading;
        self.tries += 1;
        let tries = self.tries;
        if tries == 1 {
            call.progressed();
        }
        let rest = GetRequest {
            range: Some(GetRange::Bounded(self.next..self.end)),
            ..self.request.clone()
        };
        self.state = State::Resuming(Box::pin(async move {
            if let Err(failure) = call.back_off(tries, failure).await {
                return (call, Err(failure));
            }
            let backend = call.backend();
            let reply = call.run(Repeat::Freely, |attempt| backend.get(&rest, attempt)).await;
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
            reading.call.succeed();
        }
        Ok(())
    }

    fn fail(&mut self, failure: Failure) -> Error {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Reading(mut reading) => {
                reading.body.fail(failure.clone());
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
struct Running {
    wanted: Checksum,
    crc: u32,
    md5: Md5,
}

impl Running {
    fn new(wanted: Checksum) -> Running {
        Running { wanted, crc: 0, md5: Md5::new() }
    }

    fn update(&mut self, data: &[u8]) {
        match self.wanted {
            Checksum::Crc32c(_) => self.crc = crc32c::crc32c_append(self.crc, data),
            Checksum::Md5(_) => self.md5.update(data),
        }
    }

    fn mismatch(self) -> Option<Failure> {
        let actual = match self.wanted {
            Checksum::Crc32c(_) => Checksum::Crc32c(self.crc),
            Checksum::Md5(_) => Checksum::Md5(self.md5.finalize().into()),
        };
        (actual != self.wanted).then(|| {
            Failure::new(ErrorKind::Integrity)
                .message(format!("the store told {:x?}, the bytes have {actual:x?}", self.wanted))
                .hint("read the object again; if it persists, the object is damaged in the store")
        })
    }
}
