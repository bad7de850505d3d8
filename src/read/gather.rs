// SPDX-License-Identifier: Apache-2.0
//! One call's ranges on their way to its caller: planned, asked for as there is room, handed over as they arrive.

use super::block::{Block, Cause, End, Waiter};
use super::handle::{Handle, Unit};
use super::plan::{self, Request};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::timing::{CallTimer, Held, Operation, Outcome, Sink, now_ns};
use bytes::Bytes;
use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::runtime;
use tokio::time::Sleep;

/// What a gather tells: bytes of a range with their place in the object, or that the range has ended.
#[derive(Debug)]
pub(crate) enum Event {
    Bytes(usize, u64, Bytes),
    End(usize, Result<()>),
}

/// The ranges of one call. Dropped, it frees at once what only it waited for.
pub(crate) struct Gather {
    handle: Arc<Handle>,
    sink: Sink,
    runtime: runtime::Handle,
    jobs: Vec<Job>,
    todo: VecDeque<Todo>,
    open: Vec<Open>,
    /// What is planned once the size is known.
    later: Vec<Need>,
    /// What was under way and is not any more.
    again: Vec<Need>,
    clipped: bool,
    started: bool,
    events: VecDeque<Event>,
    left: usize,
    clock: Clock,
    waiter: Waiter,
}

#[derive(Debug)]
struct Job {
    range: Range<u64>,
    missing: u64,
    over: bool,
}

/// A part of a job. No byte of a job is in two of them: what was handed over is not asked for again.
#[derive(Clone, Debug)]
struct Need {
    job: usize,
    range: Range<u64>,
}

#[derive(Debug)]
struct Todo {
    request: Request,
    cause: Cause,
    needs: Vec<Need>,
}

#[derive(Debug)]
struct Open {
    block: Arc<Block>,
    /// What is needed of it; what ends first is the last.
    needs: Vec<Need>,
}

impl Gather {
    pub(crate) fn new(handle: &Arc<Handle>, sink: &Sink, ranges: &[Range<u64>]) -> Result<Gather> {
        let client = &handle.origin.client;
        client.check_open()?;
        let runtime = client.foreign_runtime()?.unwrap_or_else(runtime::Handle::current);
        let jobs: Vec<Job> = ranges
            .iter()
            .map(|range| Job {
                missing: range.end.saturating_sub(range.start),
                range: range.clone(),
                over: false,
            })
            .collect();
        let mut gather = Gather {
            waiter: Waiter::new(),
            clock: Clock::start(handle, sink, &runtime),
            handle: Arc::clone(handle),
            sink: sink.clone(),
            runtime,
            left: jobs.len(),
            jobs,
            todo: VecDeque::new(),
            open: Vec::new(),
            later: Vec::new(),
            again: Vec::new(),
            clipped: false,
            started: false,
            events: VecDeque::new(),
        };
        gather.check();
        Ok(gather)
    }

    /// The bytes of a range that the object has, as far as its size is known by now.
    pub(crate) fn range(&self, job: usize) -> Range<u64> {
        self.jobs[job].range.clone()
    }

    pub(crate) async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll(cx)).await
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if self.left > 0 {
            self.pump(cx);
        }
        if let Some(event) = self.events.pop_front() {
            self.clock.resumes();
            return Poll::Ready(Some(event));
        }
        if self.left == 0 {
            self.release(true);
            self.clock.end(Outcome::Ok);
            return Poll::Ready(None);
        }
        self.handle.waits();
        ready!(self.clock.poll_deadline(cx));
        let late = self.failed(ErrorKind::Timeout, "the read's deadline has passed");
        for job in 0..self.jobs.len() {
            self.fail(job, &late);
        }
        self.release(false);
        Poll::Ready(self.events.pop_front())
    }

    /// Ends what needs no request.
    fn check(&mut self) {
        for job in 0..self.jobs.len() {
            let range = self.range(job);
            if range.start > range.end {
                let why = format!("the range {}..{} is reversed", range.start, range.end);
                let error = self.failed(ErrorKind::InvalidInput, &why);
                self.fail(job, &error);
            } else if range.is_empty() {
                self.finish(job);
            }
        }
    }

    fn pump(&mut self, cx: &mut Context<'_>) {
        match self.handle.size() {
            Ok(Some(size)) if !self.clipped => self.clip(size),
            Ok(_) => {}
            Err(error) => return self.fail_all(&error),
        }
        let first = !std::mem::replace(&mut self.started, true);
        if first {
            self.plan_all();
        }
        if self.clipped && !self.later.is_empty() {
            let later = std::mem::take(&mut self.later);
            self.plan(later);
        }
        let again = std::mem::take(&mut self.again);
        self.plan(again);
        // What is there already is taken first: it may be all.
        self.take(cx);
        if self.left > 0 && self.ask() {
            self.take(cx);
        }
        if first {
            self.handle.read_ahead(&self.sink, &self.runtime);
        }
    }

    fn plan_all(&mut self) {
        if let [job] = &self.jobs[..]
            && !job.over
        {
            self.handle.note(&job.range);
        }
        let sizes = self.handle.sizes();
        let mut now = Vec::new();
        for (number, job) in self.jobs.iter().enumerate().filter(|(_, job)| !job.over) {
            let (mut first, range) = (job.range.clone(), job.range.clone());
            // Parts beyond the end would be requests in vain.
            if !self.clipped && range.end - range.start > sizes.most() {
                first.end = range.start + sizes.part;
                self.later.push(Need { job: number, range: first.end..range.end });
            }
            now.push(Need { job: number, range: first });
        }
        self.plan(now);
    }

    fn plan(&mut self, mut needs: Vec<Need>) {
        let jobs = &self.jobs;
        needs.retain_mut(|need| {
            need.range.end = need.range.end.min(jobs[need.job].range.end);
            need.range.start < need.range.end && !jobs[need.job].over
        });
        if needs.is_empty() {
            return;
        }
        let ranges = needs.iter().map(|need| need.range.clone()).collect();
        let units = self.handle.cover(plan::disjoint(ranges));
        self.assign(units, &needs);
    }

    /// Tells each unit what is needed of it.
    fn assign(&mut self, units: Vec<Unit>, needs: &[Need]) {
        let mut parts = vec![Vec::new(); units.len()];
        for need in needs {
            let first = units.partition_point(|unit| unit.range().end <= need.range.start);
            for (unit, parts) in units.iter().zip(&mut parts).skip(first) {
                let there = unit.range();
                if there.start >= need.range.end {
                    break;
                }
                let range = need.range.start.max(there.start)..need.range.end.min(there.end);
                parts.push(Need { job: need.job, range });
            }
        }
        for (unit, mut needs) in units.into_iter().zip(parts) {
            needs.sort_by_key(|need| std::cmp::Reverse(need.range.end));
            match unit {
                Unit::There(block) => self.open.push(Open { block, needs }),
                Unit::Todo(request, cause) => self.todo.push_back(Todo { request, cause, needs }),
            }
        }
    }

    /// Makes requests until one has to wait in line. Whether it made any.
    fn ask(&mut self) -> bool {
        let mut asked = false;
        while !self.is_in_line() {
            let Some(Todo { request, cause, needs }) = self.todo.pop_front() else { break };
            asked = true;
            match self.handle.launch(request, cause, &self.sink, &self.runtime) {
                Ok(block) => self.open.push(Open { block, needs }),
                Err(units) => self.assign(units, &needs),
            }
        }
        asked
    }

    fn is_in_line(&self) -> bool {
        self.open.last().is_some_and(|open| open.block.is_in_line())
    }

    /// Takes what has arrived.
    fn take(&mut self, cx: &mut Context<'_>) {
        let mut at = 0;
        while at < self.open.len() {
            let progress = self.open[at].block.progress(self.waiter, cx.waker());
            let over = progress.over.is_some();
            let block = Arc::clone(&self.open[at].block);
            while let Some(part) = self.open[at].needs.last().map(|need| self.clipped(need)) {
                if !over && progress.reached < part.range.end {
                    break;
                }
                self.open[at].needs.pop();
                match &progress.over {
                    _ if part.range.is_empty() => {}
                    Some(End::Failed(error))
                        if error.kind() == ErrorKind::InvalidRange
                            && part.range.start > self.jobs[part.job].range.start =>
                    {
                        self.cut(part.job, part.range.start);
                    }
                    Some(End::Failed(error)) if progress.reached < part.range.end => {
                        let error = error.clone();
                        self.fail(part.job, &error);
                    }
                    Some(End::Abandoned) if progress.reached < part.range.end => {
                        self.again.push(part);
                        cx.waker().wake_by_ref();
                    }
                    _ => self.hand_over(&block, &part),
                }
            }
            if over || self.open[at].needs.is_empty() {
                let open = self.open.swap_remove(at);
                self.handle.leave(&open.block, true);
            } else {
                at += 1;
            }
        }
    }

    /// A need without what lies past the end, as far as that is known.
    fn clipped(&self, need: &Need) -> Need {
        let Range { start, end } = need.range;
        Need { job: need.job, range: start..end.min(self.jobs[need.job].range.end).max(start) }
    }

    fn hand_over(&mut self, block: &Block, part: &Need) {
        let job = part.job;
        if self.jobs[job].over {
            return;
        }
        let (events, missing) = (&mut self.events, &mut self.jobs[job].missing);
        block.take(&part.range, |at, bytes| {
            *missing = missing.saturating_sub(bytes.len() as u64);
            events.push_back(Event::Bytes(job, at, bytes));
        });
        if *missing == 0 {
            self.finish(job);
        }
    }

    /// Leaves out what lies past the object's end.
    fn clip(&mut self, size: u64) {
        self.clipped = true;
        for job in 0..self.jobs.len() {
            let Job { range, over, .. } = &self.jobs[job];
            if *over || range.end <= size {
                continue;
            }
            if range.start >= size && range.start > 0 {
                let why = format!("{}..{} of {size} bytes", range.start, range.end);
                let error = self.failed(ErrorKind::InvalidRange, &why);
                self.fail(job, &error);
                continue;
            }
            self.cut(job, size);
        }
    }

    /// The object ends here.
    fn cut(&mut self, job: usize, end: u64) {
        let Job { range, missing, over } = &mut self.jobs[job];
        if *over || range.end <= end {
            return;
        }
        *missing = missing.saturating_sub(range.end - end);
        range.end = end;
        if *missing == 0 {
            self.finish(job);
        }
    }

    fn finish(&mut self, job: usize) {
        if !std::mem::replace(&mut self.jobs[job].over, true) {
            self.left -= 1;
            self.events.push_back(Event::End(job, Ok(())));
        }
    }

    fn fail(&mut self, job: usize, error: &Error) {
        if !std::mem::replace(&mut self.jobs[job].over, true) {
            self.left -= 1;
            self.clock.end(error.outcome());
            self.events.push_back(Event::End(job, Err(error.clone())));
        }
    }

    fn fail_all(&mut self, error: &Error) {
        (0..self.jobs.len()).for_each(|job| self.fail(job, error));
        self.release(false);
    }

    fn failed(&self, kind: ErrorKind, why: &str) -> Error {
        self.clock.error(&self.handle, Failure::new(kind).message(why))
    }

    /// Needs nothing any more.
    fn release(&mut self, read: bool) {
        self.todo.clear();
        self.later.clear();
        self.again.clear();
        for open in self.open.drain(..) {
            self.handle.leave(&open.block, read);
        }
    }
}

impl Drop for Gather {
    fn drop(&mut self) {
        self.release(false);
    }
}

impl fmt::Debug for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather")
            .field("left", &self.left)
            .field("open", &self.open.len())
            .finish_non_exhaustive()
    }
}

/// The time of one call: recorded when it ends, its waits apart. Dropped before, it was cancelled.
pub(crate) struct Clock {
    timer: Option<CallTimer>,
    begun: u64,
    /// Since when its caller waits; 0 where it does not.
    waiting: u64,
    deadline: Option<Pin<Box<Sleep>>>,
    runtime: runtime::Handle,
    gauge: Option<Held>,
}

impl Clock {
    pub(crate) fn start(handle: &Handle, sink: &Sink, runtime: &runtime::Handle) -> Clock {
        let timer = CallTimer::start(sink, Operation::Get);
        let _entered = runtime.enter();
        Clock {
            begun: timer.started(),
            timer: Some(timer),
            waiting: 0,
            deadline: handle.options.deadline.map(|limit| Box::pin(tokio::time::sleep(limit))),
            runtime: runtime.clone(),
            gauge: Some(handle.origin.client.policy().gauges.call()),
        }
    }

    /// Nothing is there: ready when the call's deadline has passed.
    pub(crate) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting == 0 {
            self.waiting = now_ns();
        }
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        let _entered = self.runtime.enter();
        deadline.as_mut().poll(cx)
    }

    /// The caller waits no more.
    pub(crate) fn resumes(&mut self) {
        let since = std::mem::take(&mut self.waiting);
        if let Some(timer) = self.timer.as_mut().filter(|_| since > 0) {
            timer.wait(now_ns().saturating_sub(since));
        }
    }

    pub(crate) fn end(&mut self, outcome: Outcome) {
        self.resumes();
        if let Some(timer) = self.timer.take() {
            timer.finish(outcome, None);
        }
        self.gauge = None;
    }

    /// An error of the call's own.
    pub(crate) fn error(&self, handle: &Handle, failure: Failure) -> Error {
        let url = handle.origin.backend.url(&handle.origin.key);
        let elapsed = std::time::Duration::from_nanos(now_ns().saturating_sub(self.begun));
        failure.into_error(Some(Operation::Get), Some(url), 0, elapsed)
    }
}

/// The bytes of one range as they come together.
#[derive(Debug, Default)]
pub(crate) enum Assembly {
    #[default]
    Empty,
    /// All of it, as it arrived.
    Whole(Bytes),
    Parts(Vec<u8>),
}

impl Assembly {
    /// Adds bytes at a place of the object; `range` is what it will be.
    pub(crate) fn add(&mut self, range: &Range<u64>, at: u64, bytes: Bytes) -> Result<()> {
        let length = range.end - range.start;
        if bytes.len() as u64 == length {
            *self = Assembly::Whole(bytes);
            return Ok(());
        }
        if let Assembly::Empty = self {
            let mut room = Vec::new();
            let fits = usize::try_from(length).is_ok_and(|n| room.try_reserve_exact(n).is_ok());
            if !fits {
                return Err(Failure::new(ErrorKind::Exhausted)
                    .message(format!("there is no memory for {length} bytes in one piece"))
                    .hint("read it in parts, or as a stream")
                    .into());
            }
            room.resize(length as usize, 0);
            *self = Assembly::Parts(room);
        }
        if let Assembly::Parts(room) = self {
            let at = (at - range.start) as usize;
            room[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(())
    }

    /// The bytes of `range`, which may have turned out to end sooner than it did at first.
    pub(crate) fn bytes(self, range: &Range<u64>) -> Bytes {
        match self {
            Assembly::Empty => Bytes::new(),
            Assembly::Whole(bytes) => bytes,
            Assembly::Parts(mut room) => {
                room.truncate((range.end - range.start) as usize);
                room.into()
            }
        }
    }
}

/// The ranges of one [`read_ranges`](super::Reader::read_ranges): a stream of each range's number and bytes, in the
/// order in which they arrive.
#[derive(Debug)]
pub struct Ranges {
    gather: Result<Gather, Option<Error>>,
    assembled: Vec<Assembly>,
}

impl Ranges {
    pub(crate) fn new(handle: &Arc<Handle>, sink: &Sink, ranges: &[Range<u64>]) -> Ranges {
        Ranges {
            gather: Gather::new(handle, sink, ranges).map_err(Some),
            assembled: ranges.iter().map(|_| Assembly::Empty).collect(),
        }
    }

    /// All ranges, in the order in which they were asked for. Fails as soon as one does.
    pub async fn all(mut self) -> Result<Vec<Bytes>> {
        let mut all = vec![Bytes::new(); self.assembled.len()];
        while let Some((number, bytes)) = self.next().await {
            all[number] = bytes?;
        }
        Ok(all)
    }

    /// The number of the next range that is there, and its bytes; `None` after the last.
    pub async fn next(&mut self) -> Option<(usize, Result<Bytes>)> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Result<Bytes>)>> {
        let gather = match &mut self.gather {
            Ok(gather) => gather,
            Err(error) => return Poll::Ready(error.take().map(|error| (0, Err(error)))),
        };
        loop {
            match ready!(gather.poll(cx)) {
                None => return Poll::Ready(None),
                Some(Event::Bytes(number, at, bytes)) => {
                    let range = gather.range(number);
                    if let Err(error) = self.assembled[number].add(&range, at, bytes) {
                        gather.fail(number, &error);
                    }
                }
                Some(Event::End(number, ended)) => {
                    let assembled = std::mem::take(&mut self.assembled[number]);
                    let bytes = ended.map(|()| assembled.bytes(&gather.range(number)));
                    return Poll::Ready(Some((number, bytes)));
                }
            }
        }
    }
}

/// What [`Reader::pieces`](super::Reader::pieces) tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Piece {
    /// Bytes of a range: its number, their place in the object, and they. No byte of a range comes twice.
    Bytes(usize, u64, Bytes),
    /// A range has ended: its number, and which bytes of it the object has.
    End(usize, Result<Range<u64>>),
}

/// The ranges of one [`pieces`](super::Reader::pieces): a stream of what arrives, as it arrives.
#[derive(Debug)]
pub struct Pieces {
    gather: Result<Gather, Option<Error>>,
}

impl Pieces {
    pub(crate) fn new(handle: &Arc<Handle>, sink: &Sink, ranges: &[Range<u64>]) -> Pieces {
        Pieces { gather: Gather::new(handle, sink, ranges).map_err(Some) }
    }

    /// What comes next; `None` when all ranges have ended.
    pub async fn next(&mut self) -> Option<Piece> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        match &mut self.gather {
            Ok(gather) => gather.poll(cx).map(|event| {
                Some(match event? {
                    Event::Bytes(number, at, bytes) => Piece::Bytes(number, at, bytes),
                    Event::End(number, ended) => {
                        Piece::End(number, ended.map(|()| gather.range(number)))
                    }
                })
            }),
            Err(error) => Poll::Ready(error.take().map(|error| Piece::End(0, Err(error)))),
        }
    }
}

impl Stream for Pieces {
    type Item = Piece;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.poll(cx)
    }
}

impl Stream for Ranges {
    type Item = (usize, Result<Bytes>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}
