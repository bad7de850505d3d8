// SPDX-License-Identifier: Apache-2.0
//! A range as a stream: parts asked for ahead of the reader, several at a time, handed out in order.

use super::block::{Block, End, Fetch, Purpose, Waiter};
use super::call_clock::CallClock;
use super::handle::{Handle, Source};
use super::plan::{STREAMS, streamed};
use crate::attempt::Running;
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::timing::{Outcome, Recorders};
use bytes::Bytes;
use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::slice::from_ref;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::runtime;

/// The bytes of a range in order ([`Reader::stream`](super::Reader::stream)). It holds at most its window, and asks for
/// nothing while nobody polls it.
pub struct ByteStream(Result<Box<Streaming>, Option<Error>>);

struct Streaming {
    handle: Arc<Handle>,
    recorders: Recorders,
    runtime: runtime::Handle,
    /// Where the next bytes handed out begin.
    next: u64,
    end: u64,
    /// Sources are planned up to here.
    planned: u64,
    sized: bool,
    todo: VecDeque<Source>,
    open: VecDeque<Arc<Block>>,
    clock: CallClock,
    waiter: Waiter,
    /// Of a stream that began at the object's first byte.
    check: Option<Running>,
    over: bool,
}

impl ByteStream {
    pub(crate) fn new(
        handle: &Arc<Handle>,
        recorders: &Recorders,
        range: Range<u64>,
    ) -> ByteStream {
        ByteStream(Streaming::new(handle, recorders, range).map(Box::new).map_err(Some))
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        match &mut self.0 {
            Ok(streaming) => streaming.poll(cx),
            Err(error) => Poll::Ready(error.take().map(Err)),
        }
    }
}

impl Stream for ByteStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("ByteStream");
        if let Ok(streaming) = &self.0 {
            told.field("next", &streaming.next).field("end", &streaming.end);
        }
        told.finish_non_exhaustive()
    }
}

impl Streaming {
    fn new(handle: &Arc<Handle>, recorders: &Recorders, range: Range<u64>) -> Result<Streaming> {
        let context = handle.object().target.context();
        context.check_open()?;
        let runtime = context.foreign_runtime()?.unwrap_or_else(runtime::Handle::current);
        Ok(Streaming {
            waiter: Waiter::new(),
            clock: CallClock::start(handle, recorders, &runtime, ("stream", from_ref(&range))),
            handle: Arc::clone(handle),
            recorders: recorders.clone(),
            runtime,
            next: range.start,
            end: range.end,
            planned: range.start,
            sized: false,
            todo: VecDeque::new(),
            open: VecDeque::new(),
            check: None,
            over: false,
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            if let Err(error) = self.learn_size() {
                return Poll::Ready(Some(Err(self.fail(error))));
            }
            if self.next >= self.end {
                if let Some(wrong) = self.check.take().and_then(Running::mismatch) {
                    let error = self.clock.error(&self.handle, wrong);
                    return Poll::Ready(Some(Err(self.fail(error))));
                }
                self.stop(Outcome::Ok, true);
                return Poll::Ready(None);
            }
            self.ask();
            let Some(head) = self.open.front() else { continue };
            if self.next >= head.range().end {
                self.leave_head();
                continue;
            }
            let progress = head.progress(self.waiter, cx.waker());
            if let Some(bytes) = head.next(&(self.next..self.end.min(head.range().end))) {
                let until = head.range().end;
                self.check(&bytes);
                self.next += bytes.len() as u64;
                if self.next >= until {
                    self.leave_head();
                }
                self.clock.hands_over(bytes.len() as u64);
                self.clock.resumes();
                return Poll::Ready(Some(Ok(bytes)));
            }
            match progress.over {
                Some(End::Failed(error)) => return Poll::Ready(Some(Err(self.fail(error)))),
                Some(End::Abandoned) => self.begin_anew(),
                Some(End::Well) if self.sized => {
                    let short = Failure::new(ErrorKind::Protocol).message("a part came short");
                    let error = self.clock.error(&self.handle, short);
                    return Poll::Ready(Some(Err(self.fail(error))));
                }
                // The size has been learned meanwhile.
                Some(End::Well) => {}
                None => {
                    ready!(self.clock.poll_deadline(cx));
                    let late =
                        Failure::new(ErrorKind::Timeout).message("the read's deadline has passed");
                    let error = self.clock.error(&self.handle, late);
                    return Poll::Ready(Some(Err(self.fail(error))));
                }
            }
        }
    }

    /// Takes bytes into the checksum of the whole, where the stream is of the whole.
    fn check(&mut self, bytes: &[u8]) {
        if self.next == 0 && self.end >= self.handle.size().ok().flatten().unwrap_or(u64::MAX) {
            self.check = self.handle.checksum().map(Running::new);
        }
        if let Some(check) = &mut self.check {
            check.update(bytes);
        }
    }

    /// Learns where the object ends, once that is known.
    fn learn_size(&mut self) -> Result<()> {
        if self.sized {
            return Ok(());
        }
        let Some(size) = self.handle.size()? else { return Ok(()) };
        self.sized = true;
        if self.next > size {
            let why = format!("{}.. of {size} bytes", self.next);
            let failure = Failure::new(ErrorKind::InvalidRange).message(why);
            return Err(self.clock.error(&self.handle, failure));
        }
        self.end = self.end.min(size);
        Ok(())
    }

    /// Asks for what comes next, and for what comes after that as far as there is room.
    fn ask(&mut self) {
        loop {
            if self.todo.is_empty() && !self.plan() {
                return;
            }
            let fetch = match self.todo.pop_front() {
                None => continue,
                Some(Source::Block(block)) => {
                    self.open.push_back(block);
                    continue;
                }
                Some(Source::Fetch(fetch)) => fetch,
            };
            let purpose = fetch.purpose;
            let fetch = Fetch { purpose: Purpose::Stream, ..fetch };
            let launched = if self.open.is_empty() {
                self.handle.launch(fetch, &self.recorders, &self.runtime)
            } else {
                let running = self.open.iter().filter(|block| !block.is_over()).count();
                let ahead = if running < STREAMS {
                    self.handle.launch_ahead(fetch, &self.recorders, &self.runtime)
                } else {
                    Err(fetch)
                };
                match ahead {
                    Ok(launched) => launched,
                    Err(fetch) => {
                        return self.todo.push_front(Source::Fetch(Fetch { purpose, ..fetch }));
                    }
                }
            };
            match launched {
                Ok(block) => self.open.push_back(block),
                Err(sources) => self.add(sources),
            }
        }
    }

    /// Plans the next part. Not beyond the first one before the size is known.
    fn plan(&mut self) -> bool {
        let done = self.planned >= self.end || (!self.sized && !self.open.is_empty());
        if done {
            return false;
        }
        let left = self.end - self.planned;
        let sizes = self.handle.sizes().of_end(left);
        let length = if left <= sizes.most() && self.sized { left } else { left.min(sizes.part) };
        let part = self.planned..self.planned + length;
        self.planned = part.end;
        let sources = self.handle.cover(vec![part]);
        self.add(sources);
        true
    }

    fn add(&mut self, sources: Vec<Source>) {
        for mut source in sources.into_iter().rev() {
            if let Source::Fetch(fetch) = &mut source
                && fetch.purpose == Purpose::Demand
            {
                fetch.request = streamed(fetch.request.range());
            }
            self.todo.push_front(source);
        }
    }

    fn leave_head(&mut self) {
        if let Some(block) = self.open.pop_front() {
            self.handle.leave(&block, true);
        }
    }

    /// What was asked for is not coming: asks again.
    fn begin_anew(&mut self) {
        self.leave(false);
        self.planned = self.next;
    }

    fn leave(&mut self, read: bool) {
        let waiting = self.todo.drain(..).filter_map(|source| match source {
            Source::Block(block) => Some(block),
            Source::Fetch(_) => None,
        });
        for block in self.open.drain(..).chain(waiting) {
            self.handle.leave(&block, read);
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.stop(error.outcome(), false);
        error
    }

    fn stop(&mut self, outcome: Outcome, read: bool) {
        self.over = true;
        self.leave(read);
        self.clock.end(outcome);
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.leave(false);
    }
}
