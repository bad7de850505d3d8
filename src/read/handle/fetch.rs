// SPDX-License-Identifier: Apache-2.0
//! How the bytes of one block are asked for and received: one call, hedged where a caller waits, its answer compared with
//! the object's identity, its body copied once, from the connection's buffer into the block's pieces.

use super::identity::Identity;
use crate::attempt::{Call, Hedging, ObjectBody};
use crate::backend::{GetReply, GetRequest};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::limiter::Admission;
use crate::read::block::{Block, Purpose};
use crate::timing::{Recorders, now_ns};
use bytes::Bytes;
use std::ops::Range;

/// What requests for one object are made by.
#[derive(Debug)]
pub(super) struct Fetcher<'a> {
    pub(super) identity: &'a Identity,
    pub(super) admission: &'a Admission,
    pub(super) hedged: bool,
}

/// An answer whose body is still to come: bytes of the right object.
#[derive(Debug)]
pub(super) struct Answer {
    body: ObjectBody,
    pub(super) range: Range<u64>,
    /// Of the object.
    size: u64,
    /// Whether it is the first to tell what the object is.
    pub(super) first: bool,
}

impl Fetcher<'_> {
    /// Asks for the bytes of a block. `None` where the object is empty.
    pub(super) async fn open(&self, block: &Block, mut call: Box<Call>) -> Result<Option<Answer>> {
        let request = self.identity.request(block.range());
        // No caller waits for what is prefetched: a rival would only cost a connection.
        let hedged = self.hedged && block.purpose() != Purpose::Prefetch;
        let answered = self.ask(&mut call, &request, hedged, block.vain()).await;
        if call.throttled() > 0 {
            self.admission.throttled(now_ns());
        }
        match answered {
            Ok(reply) => self.accept(call, request, *reply).map(Some),
            Err(failure) => self.refused(call, block, failure).await.map(|()| None),
        }
    }

    /// Asks for the last bytes of the object. `None` where it is empty.
    pub(super) async fn open_last(
        &self,
        bytes: u64,
        recorders: &Recorders,
        begun: u64,
    ) -> Result<Option<Answer>> {
        let mut call = self.identity.object.fetch(recorders, begun);
        let request = self.identity.request_last(bytes);
        match self.ask(&mut call, &request, self.hedged, 0).await {
            Ok(reply) => self.accept(call, request, *reply).map(Some),
            // It has no last byte: it is empty, which a HEAD tells.
            Err(failure) if failure.kind == ErrorKind::InvalidRange => {
                drop(call.fail(failure));
                self.identity.look(recorders).await.map(|()| None)
            }
            Err(failure) => Err(call.fail(failure)),
        }
    }

    /// Receives a block's bytes.
    pub(super) async fn receive(&self, block: &Block, mut answer: Answer) -> Result<()> {
        let begun = now_ns();
        let received = fill(block, &mut answer).await;
        received.map_err(|error| self.identity.told_changed(error))?;
        let length = answer.range.end - answer.range.start;
        self.identity.object.target.live().body(length, now_ns() - begun);
        Ok(())
    }

    async fn ask(
        &self,
        call: &mut Call,
        request: &GetRequest,
        hedged: bool,
        vain: u64,
    ) -> Result<Box<GetReply>, Failure> {
        let target = &self.identity.object.target;
        let hedging = Hedging { live: target.live(), on: hedged };
        call.get_hedged(&hedging, request, vain).await
    }

    /// Takes an answer that is one of the object's.
    fn accept(&self, mut call: Box<Call>, request: GetRequest, reply: GetReply) -> Result<Answer> {
        let GetReply { meta, size, etag, range, body } = reply;
        let first = self.identity.meta().is_none();
        let meta = first.then(|| meta.get(&self.identity.object.shown));
        if let Err(failure) = self.identity.identify(size, etag.as_ref(), meta) {
            drop(body);
            return Err(self.identity.told_changed(call.fail(failure)));
        }
        let body = ObjectBody::new(call, request, body, range.clone(), etag, None);
        Ok(Answer { body, range, size, first })
    }

    /// A read that was refused: the object has changed since, or is empty, or ends before, or it is an error.
    async fn refused(&self, mut call: Box<Call>, block: &Block, failure: Failure) -> Result<()> {
        let start = block.range().start;
        if self.identity.contradicts(failure.kind, start) {
            return Err(self.changed(
                call,
                failure,
                "it was replaced or deleted since it was opened",
            ));
        }
        if failure.kind != ErrorKind::InvalidRange {
            return Err(call.fail(failure));
        }
        // Callers take it for the end of the object: a HEAD tells whether it ends there.
        let looked = self.identity.look(block.recorders()).await;
        match looked.and_then(|()| self.identity.size()) {
            Ok(Some(0)) if start == 0 => {
                drop(call.fail(failure));
                Ok(())
            }
            Ok(Some(size)) if start < size => {
                let why = format!(
                    "the store refused a range from byte {start} on, and tells {size} bytes"
                );
                Err(self.changed(call, failure, &why))
            }
            Ok(_) => Err(call.fail(failure)),
            Err(error) => {
                drop(call.fail(failure));
                Err(error)
            }
        }
    }

    /// A failure that says that the object is another one now.
    fn changed(&self, mut call: Box<Call>, failure: Failure, why: &str) -> Error {
        let failure = Failure::new(ErrorKind::Changed).message(why).source(Error::from(failure));
        self.identity.told_changed(call.fail(failure))
    }
}

/// Receives the bytes of a block's segments, as far as the answer has them.
pub(super) async fn fill(block: &Block, answer: &mut Answer) -> Result<()> {
    let body = &mut answer.body;
    let mut data = Bytes::new();
    for segment in block.segments() {
        let range = segment.range.start..segment.range.end.min(answer.range.end);
        if range.is_empty() {
            break;
        }
        let mut left = (range.end - range.start) as usize;
        let mut room = block.room(&range, answer.size)?;
        while left > 0 {
            if data.is_empty() {
                match body.next().await.transpose()? {
                    Some(more) => data = more,
                    None => return Ok(()),
                }
            }
            let some = data.split_to(left.min(data.len()));
            left -= some.len();
            room.extend_from_slice(&some);
        }
        block.arrived(range.start, room, segment.wanted);
    }
    // The end of the body ends the attempt.
    while body.next().await.transpose()?.is_some() {}
    Ok(())
}
