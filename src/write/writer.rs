// SPDX-License-Identifier: Apache-2.0
//! A write of bytes that come piece by piece.

use super::pending::Pending;
use super::{begin, checksum, mark, settle};
use crate::backend::{Abilities, CommitRequest, Part, PartRequest, UploadRequest};
use crate::context::{Target, WriteSettings, on_runtime};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::options::{ChecksumMode, PutOptions};
use crate::payload::{Payload, crc32c_combine};
use crate::timing::{Operation, RequestId, after, now_ns};
use crate::types::ObjectMeta;
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Pieces below this are gathered into blocks; larger ones are kept as they are, without a copy.
const GATHER_BELOW: usize = 64 << 10;

/// The blocks into which small pieces are gathered.
const BLOCK: usize = 256 << 10;

/// A write under way, made by [`Store::writer`](crate::Store::writer). Bytes go in by [`write`](Writer::write), and are an object once
/// [`finish`](Writer::finish) has answered; nobody sees them before. Dropped before, it leaves nothing behind: parts
/// that were sent are aborted in the background ([`Client::shutdown`](crate::Client::shutdown) waits for that).
///
/// It holds at most (`part_concurrency` + 1) × `part_size` bytes, and waits where the store is slower than its caller.
pub struct Writer {
    target: Target,
    key: String,
    options: PutOptions,
    checksum: ChecksumMode,
    deadline: Option<u64>,
    filling: Filling,
    /// Bytes that went in.
    written: u64,
    parts: Option<Parts>,
    failed: Option<Error>,
}

/// The part that is being filled.
#[derive(Default)]
struct Filling {
    pieces: Vec<Bytes>,
    block: BytesMut,
    len: u64,
}

/// A write by parts that was begun.
struct Parts {
    pending: Pending,
    mark: Option<RequestId>,
    sent: Vec<Part>,
    last: u32,
    stored: u64,
}

impl Writer {
    pub(crate) fn new(target: &Target, key: &str, options: PutOptions) -> Writer {
        Writer {
            checksum: target.writing().checksum(options.checksum),
            deadline: options.deadline.map(|deadline| after(now_ns(), deadline)),
            target: target.clone(),
            key: key.to_owned(),
            options,
            filling: Filling::default(),
            written: 0,
            parts: None,
            failed: None,
        }
    }

    /// Bytes that went in so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Takes bytes. Waits where as many parts are under way as may be. A failure ends the write: it is aborted, and
    /// each call after it answers the same error.
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<()> {
        let bytes = bytes.into();
        self.check()?;
        let taken = on_runtime!(Arc::clone(self.target.context()), self.take(bytes));
        self.ended_if_failed(taken).await
    }

    /// Makes the object of what was written.
    pub async fn finish(mut self) -> Result<ObjectMeta> {
        self.check()?;
        let finished = on_runtime!(Arc::clone(self.target.context()), self.end());
        self.ended_if_failed(finished).await
    }

    /// Discards what was written, and waits until the store has, too.
    pub async fn abort(mut self) -> Result<()> {
        self.failed = Some(Error::misuse("the write was aborted"));
        match self.parts.take() {
            Some(parts) => on_runtime!(Arc::clone(self.target.context()), parts.pending.abort()),
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    async fn ended_if_failed<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            self.filling = Filling::default();
            if let Some(parts) = self.parts.take() {
                // What it failed with is what the caller hears; a failed abort is logged.
                let _ = on_runtime!(Arc::clone(self.target.context()), parts.pending.abort());
            }
        }
        result
    }

    async fn take(&mut self, mut bytes: Bytes) -> Result<()> {
        if let Some(size) =
            self.options.size.filter(|size| self.written + bytes.len() as u64 > *size)
        {
            let wrong = wrong_size(Some(size), self.written + bytes.len() as u64);
            return Err(self.failure(wrong.expect("it is more")));
        }
        while !bytes.is_empty() {
            let size = self.part_size();
            // A full part waits for more: the last one goes out with `finish`.
            if self.filling.len >= size {
                self.send_part().await?;
                continue;
            }
            let room = usize::try_from(size - self.filling.len).unwrap_or(usize::MAX);
            let piece = bytes.split_to(room.min(bytes.len()));
            self.written += piece.len() as u64;
            self.filling.push(piece);
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<ObjectMeta> {
        if let Some(wrong) = wrong_size(self.options.size, self.written) {
            return Err(self.failure(wrong));
        }
        if self.parts.is_none() {
            let call = self.target.begin(Operation::Put, &self.key, self.time_left())?;
            let options = PutOptions { checksum: self.checksum, ..self.options.clone() };
            return super::put_by(&self.target, call, self.filling.take(), options).await;
        }
        if self.filling.len > 0 {
            self.send_part().await?;
        }
        while self.parts.as_ref().is_some_and(|parts| !parts.pending.sending.is_empty()) {
            self.part_sent().await?;
        }
        self.commit().await
    }

    /// Sends what fills the part, by a task of its own.
    async fn send_part(&mut self) -> Result<()> {
        if self.parts.is_none() {
            self.parts = Some(self.begin().await?);
        }
        let most = self.target.writing().part_concurrency;
        while self.parts.as_ref().is_some_and(|parts| parts.pending.sending.len() >= most) {
            self.part_sent().await?;
        }
        let (body, kind, deadline) = (self.filling.take(), self.checksum, self.time_left());
        let target = self.target.clone();
        let Abilities { parts: limit, .. } = target.backend().abilities();
        let parts = self.parts.as_mut().expect("begun above");
        parts.last += 1;
        if parts.last > limit {
            let many = format!("the store takes {limit} parts: say the size, or raise part_size");
            return Err(self.failure(Failure::new(ErrorKind::InvalidInput).message(many)));
        }
        let (upload, number) = (parts.pending.upload().clone(), parts.last);
        let key = self.key.clone();
        parts.pending.sending.spawn(async move {
            let checksum = checksum(kind, &body);
            let request = PartRequest { upload, number, body, checksum };
            let mut call = target.begin(Operation::PutPart, &key, deadline)?;
            let part = call.put_part(&request).await;
            call.end(part)
        });
        Ok(())
    }

    /// Begins the upload, by a task of its own: where its writer is gone meanwhile, what was begun is aborted.
    async fn begin(&self) -> Result<Parts> {
        let mut call = self.target.begin(Operation::Upload, &self.key, self.time_left())?;
        let mark = mark(&self.options.mode);
        let mut about = self.options.about.clone();
        about.mark = mark;
        let request = UploadRequest {
            key: Arc::clone(call.key()),
            mode: self.options.mode.clone(),
            checksum: self.checksum == ChecksumMode::Crc32c,
            about,
        };
        let (target, held) = (self.target.clone(), self.target.context().hold());
        let (told, pending) = oneshot::channel();
        Handle::current().spawn(async move {
            let begun = begin(&mut call, &request).await;
            let pending = call.end(begun).map(|begun| Pending::new(&target, begun));
            // One that nobody takes is dropped here, which aborts it.
            drop(told.send(pending));
            drop(held);
        });
        let ended = || Error::misuse("the runtime of the write ended");
        let pending = pending.await.map_err(|_| ended())??;
        Ok(Parts { pending, mark, sent: Vec::new(), last: 0, stored: 0 })
    }

    /// Waits for one of the parts under way.
    async fn part_sent(&mut self) -> Result<()> {
        let Some(parts) = &mut self.parts else { return Ok(()) };
        let Some(joined) = parts.pending.sending.join_next().await else { return Ok(()) };
        let part = joined.map_err(|e| {
            Error::from(Failure::new(ErrorKind::Misuse).message("a part's task ended").source(e))
        })??;
        parts.stored += part.size;
        parts.sent.push(part);
        if let Some(progress) = &self.options.progress {
            progress.tell(parts.stored);
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<ObjectMeta> {
        let deadline = self.time_left();
        let Some(parts) = &mut self.parts else { return Err(Error::misuse("no part was sent")) };
        let mut committed = std::mem::take(&mut parts.sent);
        committed.sort_by_key(|part| part.number);
        let request = CommitRequest {
            upload: parts.pending.upload().clone(),
            crc32c: combined(&committed),
            parts: committed,
            mode: self.options.mode.clone(),
        };
        let mark = parts.mark;
        let mut call = self.target.begin(Operation::CommitUpload, &self.key, deadline)?;
        let made = settle::commit(&mut call, &request, mark).await;
        let meta = self.options.about.told(call.end(made)?);
        if let Some(parts) = self.parts.take() {
            parts.pending.done().await;
        }
        Ok(self.target.relative(meta))
    }

    /// The size of the part that is being filled: as was said, or growing, so that parts are few enough.
    fn part_size(&self) -> u64 {
        let abilities = self.target.backend().abilities();
        let number = self.parts.as_ref().map_or(0, |parts| parts.last);
        part_size(self.target.writing(), &abilities, self.options.size, number)
    }

    fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| Duration::from_nanos(deadline.saturating_sub(now_ns())))
    }

    fn failure(&self, failure: Failure) -> Error {
        let object = self.target.backend().url(&self.target.full(&self.key));
        failure.into_error(Some(Operation::Upload), Some(object), 0, Duration::ZERO)
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("key", &self.key)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

/// What to say where other than `said` bytes came.
pub(super) fn wrong_size(said: Option<u64>, came: u64) -> Option<Failure> {
    let said = said.filter(|said| *said != came)?;
    let why = if came < said {
        format!("the source ended after {came} of {said} bytes")
    } else {
        format!("the source has more than the {said} bytes that were said")
    };
    Some(Failure::new(ErrorKind::Source).message(why))
}

/// The size of the part after so many.
fn part_size(settings: &WriteSettings, limits: &Abilities, size: Option<u64>, after: u32) -> u64 {
    const MIB: u64 = 1 << 20;
    let wanted = match size {
        Some(size) => {
            settings.part_size.max(size.div_ceil(u64::from(limits.parts)).next_multiple_of(MIB))
        }
        None => settings.part_size.saturating_mul(1 << (after / 1000).min(20)),
    };
    wanted.clamp(limits.least_part, limits.most_part)
}

/// The CRC32C of the whole, of those of its parts; `None` where a part has none.
pub(crate) fn combined(parts: &[Part]) -> Option<u32> {
    parts.iter().try_fold(0, |whole, part| Some(crc32c_combine(whole, part.crc32c?, part.size)))
}

impl Filling {
    fn push(&mut self, piece: Bytes) {
        self.len += piece.len() as u64;
        if piece.len() >= GATHER_BELOW {
            self.seal();
            self.pieces.push(piece);
            return;
        }
        let mut rest = &piece[..];
        while !rest.is_empty() {
            if self.block.capacity() == self.block.len() {
                self.seal();
                self.block = BytesMut::with_capacity(BLOCK);
            }
            let room = self.block.capacity() - self.block.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.block.extend_from_slice(now);
            rest = later;
        }
    }

    fn seal(&mut self) {
        if !self.block.is_empty() {
            self.pieces.push(std::mem::take(&mut self.block).freeze());
        }
    }

    fn take(&mut self) -> Payload {
        self.seal();
        self.len = 0;
        self.pieces.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use proptest::prelude::*;

    const LIMITS: Abilities = Abilities {
        rename: true,
        delete_many: 1000,
        conditional_copies: true,
        copies_parts_above: None,
        least_part: 5 << 20,
        most_part: 5 << 30,
        parts: 10_000,
        ordered_listings: true,
        ends_listings: true,
    };

    fn part(number: u32, bytes: &[u8]) -> Part {
        let crc32c = Some(crc32c::crc32c(bytes));
        Part { number, etag: String::new(), crc32c, size: bytes.len() as u64 }
    }

    #[test]
    fn parts_are_few_enough_for_any_length() {
        let settings = WriteSettings::new(&Config::default());
        let unknown: u64 = (0..10_000).map(|n| part_size(&settings, &LIMITS, None, n)).sum();
        assert!(unknown > 10 << 40, "ten thousand parts hold the largest object: {unknown}");
        let known = 10 << 40;
        assert!(part_size(&settings, &LIMITS, Some(known), 0) * 10_000 >= known);
        assert_eq!(part_size(&settings, &LIMITS, Some(1), 0), 16 << 20);
        let small = WriteSettings::new(&Config::default().part_size(1u64));
        assert_eq!(part_size(&small, &LIMITS, None, 0), 5 << 20, "no part below the store's least");
    }

    proptest! {
        #[test]
        fn parts_have_the_checksum_of_the_whole(bytes in prop::collection::vec(any::<u8>(), 1..4000), at in prop::collection::vec(0usize..4000, 0..6)) {
            let mut cuts: Vec<usize> = at.into_iter().map(|at| at.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<Part> = cuts.windows(2).map(|cut| part(1, &bytes[cut[0]..cut[1]])).collect();
            prop_assert_eq!(combined(&parts), Some(crc32c::crc32c(&bytes)));
        }

        #[test]
        fn what_fills_a_part_comes_out_as_it_went_in(sizes in prop::collection::vec(0usize..200_000, 0..12)) {
            let whole: Vec<u8> = (0..sizes.iter().sum::<usize>()).map(|i| (i % 251) as u8).collect();
            let mut filling = Filling::default();
            let mut rest = Bytes::from(whole.clone());
            for size in sizes {
                filling.push(rest.split_to(size));
            }
            prop_assert_eq!(filling.len, whole.len() as u64);
            let payload = filling.take();
            prop_assert_eq!(payload.len(), whole.len() as u64);
            prop_assert_eq!(payload.pieces().concat(), whole);
            prop_assert_eq!(filling.len, 0);
        }
    }

    #[test]
    fn another_number_of_bytes_than_was_said_is_told() {
        assert!(wrong_size(Some(5), 5).is_none() && wrong_size(None, 5).is_none());
        assert!(wrong_size(Some(5), 4).unwrap().message.contains("after 4 of 5"));
        assert!(wrong_size(Some(5), 6).unwrap().message.contains("more than the 5"));
    }

    #[test]
    fn a_part_without_a_checksum_leaves_the_whole_without() {
        let none = Part { crc32c: None, ..part(2, b"x") };
        assert_eq!(combined(&[part(1, b"a"), none]), None);
    }
}
