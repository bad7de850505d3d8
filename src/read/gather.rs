// SPDX-License-Identifier: Apache-2.0
//! One call's ranges on their way to its caller: planned, asked for as there is room, handed over as they arrive.

use super::assembly::Assembly;
use super::block::{Block, End, Fetch, Waiter};
use super::buffer::RangeBuffer;
use super::call_clock::CallClock;
use super::handle::{Handle, Source};
use super::plan;
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::timing::{Outcome, Recorders};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::runtime;

/// What a gather tells: bytes of a range with their place in the object, or that the range has ended.
#[derive(Debug)]
pub(crate) enum Event {
    Bytes(usize, u64, Bytes),
    End(usize, Result<()>),
}

/// The ranges of one call. Dropped, it frees at once what only it waited for.
pub(crate) struct Gather {
    handle: Arc<Handle>,
    recorders: Recorders,
    runtime: runtime::Handle,
    /// Whether its caller gets each range as a whole, rather than its pieces.
    whole: bool,
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
    clock: CallClock,
    waiter: Waiter,
}

#[derive(Debug)]
struct Job {
    range: Range<u64>,
    missing: u64,
    over: bool,
    assembly: Assembly,
}

/// A part of a job. No byte of a job is in two of them: what was handed over is not asked for again.
#[derive(Clone, Debug)]
struct Need {
    job: usize,
    range: Range<u64>,
}

#[derive(Debug)]
struct Todo {
    fetch: Fetch,
    needs: Vec<Need>,
}

#[derive(Debug)]
struct Open {
    block: Arc<Block>,
    /// What is needed of it; what ends first is the last.
    needs: Vec<Need>,
}

impl Gather {
    /// For a caller that takes the pieces of its ranges as they arrive.
    pub(crate) fn pieces(
        handle: &Arc<Handle>,
        recorders: &Recorders,
        ranges: &[Range<u64>],
    ) -> Result<Gather> {
        Gather::new(handle, recorders, ranges, false)
    }

    /// For a caller that takes each range as a whole, by [`bytes`](Gather::bytes) once it has ended.
    pub(crate) fn whole(
        handle: &Arc<Handle>,
        recorders: &Recorders,
        ranges: &[Range<u64>],
    ) -> Result<Gather> {
        Gather::new(handle, recorders, ranges, true)
    }

    fn new(
        handle: &Arc<Handle>,
        recorders: &Recorders,
        ranges: &[Range<u64>],
        whole: bool,
    ) -> Result<Gather> {
        let context = handle.object().target.context();
        context.check_open()?;
        let runtime = context.foreign_runtime()?.unwrap_or_else(runtime::Handle::current);
        let jobs: Vec<Job> = ranges
            .iter()
            .map(|range| Job {
                missing: range.end.saturating_sub(range.start),
                range: range.clone(),
                over: false,
                assembly: Assembly::Empty,
            })
            .collect();
        let mut gather = Gather {
            waiter: Waiter::new(),
            clock: CallClock::start(handle, recorders, &runtime, ("read", ranges)),
            handle: Arc::clone(handle),
            recorders: recorders.clone(),
            runtime,
            whole,
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

    /// The bytes of a range that has ended well, once.
    pub(crate) fn bytes(&mut self, job: usize) -> Result<Bytes> {
        let job = &mut self.jobs[job];
        std::mem::take(&mut job.assembly).bytes(&job.range)
    }

    pub(crate) async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll(cx)).await
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        // What was taken may have told the size, or made room for another request; no waker says so.
        while self.left > 0 && self.pump(cx) && self.events.is_empty() {}
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

    /// Plans, asks and takes as far as that goes now. Whether anything was taken: more may be possible then.
    fn pump(&mut self, cx: &mut Context<'_>) -> bool {
        match self.handle.size() {
            Ok(Some(size)) if !self.clipped => self.clip(size),
            Ok(_) => {}
            Err(error) => {
                self.fail_all(&error);
                return false;
            }
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
        let mut taken = self.take(cx);
        if self.left > 0 && self.ask() {
            taken |= self.take(cx);
        }
        if first {
            self.handle.read_ahead(&self.recorders, &self.runtime);
        }
        taken
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
        let sources = self.handle.cover(plan::disjoint(ranges));
        self.assign(sources, &needs);
    }

    /// Tells each source what is needed of it.
    fn assign(&mut self, sources: Vec<Source>, needs: &[Need]) {
        let mut parts = vec![Vec::new(); sources.len()];
        for need in needs {
            let first = sources.partition_point(|source| source.range().end <= need.range.start);
            for (source, parts) in sources.iter().zip(&mut parts).skip(first) {
                let there = source.range();
                if there.start >= need.range.end {
                    break;
                }
                let range = need.range.start.max(there.start)..need.range.end.min(there.end);
                parts.push(Need { job: need.job, range });
            }
        }
        for (source, mut needs) in sources.into_iter().zip(parts) {
            needs.sort_by_key(|need| std::cmp::Reverse(need.range.end));
            match source {
                Source::Block(block) => self.open.push(Open { block, needs }),
                Source::Fetch(fetch) => self.todo.push_back(Todo { fetch, needs }),
            }
        }
    }

    /// Makes requests until one has to wait in line. Whether it made any.
    fn ask(&mut self) -> bool {
        let mut asked = false;
        while !self.is_in_line() {
            let Some(Todo { mut fetch, needs }) = self.todo.pop_front() else { break };
            asked = true;
            fetch.buffers = self.buffers(&needs);
            match self.handle.launch(fetch, &self.recorders, &self.runtime) {
                Ok(block) => self.open.push(Open { block, needs }),
                Err(sources) => self.assign(sources, &needs),
            }
        }
        asked
    }

    /// The buffers of the jobs that need other requests, too, to become whole.
    fn buffers(&mut self, needs: &[Need]) -> Vec<Arc<RangeBuffer>> {
        let mut buffers = Vec::new();
        for need in needs.iter().filter(|_| self.whole) {
            let Job { range, over, assembly, .. } = &mut self.jobs[need.job];
            if !*over && need.range != *range {
                buffers.push(assembly.buffer(range));
            }
        }
        buffers
    }

    fn is_in_line(&self) -> bool {
        self.open.last().is_some_and(|open| open.block.is_in_line())
    }

    /// Takes what has arrived; whether that was anything.
    fn take(&mut self, cx: &mut Context<'_>) -> bool {
        let (mut at, mut taken) = (0, false);
        while at < self.open.len() {
            let progress = self.open[at].block.progress(self.waiter, cx.waker());
            let over = progress.over.is_some();
            let block = Arc::clone(&self.open[at].block);
            if !self.clipped
                && (over || progress.reached > block.range().start)
                && let Ok(Some(size)) = self.handle.size()
            {
                self.clip(size);
            }
            while let Some(part) = self.open[at].needs.last().map(|need| self.clipped(need)) {
                if !over && progress.reached < part.range.end {
                    break;
                }
                self.open[at].needs.pop();
                taken = true;
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
        taken
    }

    /// A need without what lies past the end, as far as that is known.
    fn clipped(&self, need: &Need) -> Need {
        let Range { start, end } = need.range;
        Need { job: need.job, range: start..end.min(self.jobs[need.job].range.end).max(start) }
    }

    fn hand_over(&mut self, block: &Block, part: &Need) {
        let number = part.job;
        let Job { range, missing, over, assembly } = &mut self.jobs[number];
        if *over {
            return;
        }
        let length = range.end - range.start;
        let (whole, events) = (self.whole, &mut self.events);
        let mut parts = Vec::new();
        let mut taken = 0;
        let buffer = assembly.shared().cloned();
        let in_buffer = block.take(&part.range, buffer.as_ref(), |at, bytes| {
            taken += bytes.len() as u64;
            if !whole {
                events.push_back(Event::Bytes(number, at, bytes));
            } else if bytes.len() as u64 == length {
                *assembly = Assembly::Whole(bytes);
            } else {
                parts.push((at, bytes));
            }
        });
        self.clock.hands_over(taken + in_buffer);
        *missing = missing.saturating_sub(taken + in_buffer);
        let is_all = *missing == 0;
        // Not copied while the block is locked.
        let added = parts.into_iter().try_for_each(|(at, bytes)| assembly.add(range, at, &bytes));
        match added {
            Ok(()) if is_all => self.finish(number),
            Ok(()) => {}
            Err(error) => self.fail(number, &error),
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
        let Job { range, missing, over, .. } = &mut self.jobs[job];
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
            std::mem::take(&mut self.jobs[job].assembly).discard();
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
        for job in self.jobs.iter_mut().filter(|job| !job.over) {
            std::mem::take(&mut job.assembly).discard();
        }
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
