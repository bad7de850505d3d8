// SPDX-License-Identifier: Apache-2.0
//! One object under reading: what it is, the blocks of it that are there or on their way, and what is read ahead.

use super::ReadOptions;
use super::admission::{Admission, Permit, Ticket, Turn};
use super::block::{Block, Cause, End, Fetching};
use super::plan::{self, Limits, Request, Segment, Sizes};
use super::predict::Predictor;
use crate::attempt::{Call, Hedging, ObjectBody, Repeat};
use crate::backend::{Backend, Checksum, GetRange, GetReply, GetRequest, ObjectMeta, etag as tags};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::timing::{Live, Sink, now_ns};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::runtime;

/// Blocks that were read stay, if they are no larger than this, ...
const KEPT_BLOCK: u64 = 1 << 20;
/// ... and so many bytes of them a handle: a footer or a dictionary is read again soon.
const KEPT: u64 = 8 << 20;
/// What the policies for columnar files read of an object's end together with the first read there.
const TAIL: u64 = 64 << 10;
/// Bytes of a piece of a block that nobody has asked for piece by piece.
const PIECE: u64 = 256 << 10;

/// Where a handle's bytes come from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) client: Client,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) sink: Sink,
    /// The object's full name, and the one its reader knows it by.
    pub(crate) key: Arc<str>,
    pub(crate) shown: String,
    pub(crate) live: Arc<Live>,
    /// Whether whole objects are checked.
    pub(crate) verify: bool,
}

#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) origin: Origin,
    pub(crate) options: ReadOptions,
    pub(crate) admission: Arc<Admission>,
    limits: Limits,
    hedged: bool,
    meta: OnceLock<ObjectMeta>,
    /// Whether the last read had to wait.
    waited: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    size: Option<u64>,
    etag: Option<String>,
    /// Whether an answer has told them, rather than the caller.
    told: bool,
    /// The object has changed: nothing can be read any more.
    changed: Option<Error>,
    /// By where they begin. They do not overlap.
    blocks: BTreeMap<u64, Arc<Block>>,
    predict: Predictor,
    hints: VecDeque<Request>,
    /// Whether there were any: who tells what comes is believed, and nothing is foreseen beside it.
    hinted: bool,
    kept: VecDeque<(u64, u64)>,
}

/// A part of what a read needs.
#[derive(Debug)]
pub(crate) enum Unit {
    /// A block that is there or on its way; joined.
    There(Arc<Block>),
    /// A request to make, for this cause unless who makes it has another.
    Todo(Request, Cause),
}

impl Unit {
    pub(crate) fn range(&self) -> Range<u64> {
        match self {
            Unit::There(block) => block.range(),
            Unit::Todo(request, _) => request.range(),
        }
    }
}

impl Handle {
    pub(crate) fn new(origin: Origin, options: ReadOptions) -> Arc<Handle> {
        let config = origin.client.config();
        let admission = Arc::clone(origin.client.admission());
        let state = State {
            size: options.size,
            etag: options.etag.clone(),
            told: false,
            changed: None,
            blocks: BTreeMap::new(),
            predict: Predictor::new(options.policy),
            hints: VecDeque::new(),
            hinted: false,
            kept: VecDeque::new(),
        };
        Arc::new(Handle {
            limits: Limits {
                gap: config.read_gap,
                waste_percent: u64::from(config.read_waste),
                budget: admission.budget(),
                fewest: options.fewest_requests,
            },
            hedged: config.hedge_at > 0 && config.hedge_budget > 0 && !options.fewest_requests,
            meta: OnceLock::new(),
            waited: AtomicBool::new(true),
            state: Mutex::new(state),
            origin,
            options,
            admission,
        })
    }

    /// The sizes that plans are made by now.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes::by(&self.origin.live, &self.limits)
    }

    /// The object's size, once it is known. Fails once the object has changed.
    pub(crate) fn size(&self) -> Result<Option<u64>> {
        let state = self.state();
        state.changed.clone().map_or(Ok(state.size), Err)
    }

    /// What an answer has told of the object.
    pub(crate) fn meta(&self) -> Option<&ObjectMeta> {
        self.meta.get()
    }

    /// Whether no byte of `range` would have to be asked for.
    pub(crate) fn holds(&self, range: &Range<u64>) -> bool {
        let mut gaps = Vec::new();
        self.state().gaps(range, &mut gaps);
        gaps.is_empty()
    }

    /// What the bytes of the whole object must come to, as far as that was told and is to be checked.
    pub(crate) fn checksum(&self) -> Option<Checksum> {
        let verify = self.options.verify.unwrap_or(self.origin.verify);
        let told = self.meta.get().and_then(|meta| meta.checksum);
        told.or(self.options.checksum).filter(|_| verify)
    }

    /// Notes that `range` is read.
    pub(crate) fn note(&self, range: &Range<u64>) {
        let waited = self.waited.swap(false, Relaxed);
        self.state().predict.note(range, waited);
    }

    /// Somebody has to wait.
    pub(crate) fn waits(&self) {
        self.waited.store(true, Relaxed);
    }

    /// The blocks and requests for ranges that are in order and disjoint, in order.
    pub(crate) fn cover(&self, wanted: Vec<Range<u64>>) -> Vec<Unit> {
        let sizes = self.sizes();
        let mut state = self.state();
        let wanted = self.with_tail(wanted, &state);
        let mut units = Vec::new();
        let mut gaps = Vec::new();
        for range in wanted {
            state.join(&range, &mut units, &mut gaps);
        }
        let hinted = state.hints_of(&mut gaps);
        let planned = state.plan(&gaps, &hinted, &sizes);
        drop(state);
        self.count_foreseen(&units);
        units.extend(planned.into_iter().map(|request| Unit::Todo(request, Cause::Demand)));
        units.extend(hinted.into_iter().map(|request| Unit::Todo(request, Cause::Foreseen)));
        units.sort_by_key(|unit| unit.range().start);
        units
    }

    /// Makes the request for somebody who waits for it, unless some of it has been made since it was planned: then it is
    /// planned anew.
    pub(crate) fn launch(
        self: &Arc<Self>,
        request: Request,
        cause: Cause,
        sink: &Sink,
        runtime: &runtime::Handle,
    ) -> Result<Arc<Block>, Vec<Unit>> {
        let mut state = self.state();
        if state.is_any_there(&request.range()) {
            drop(state);
            return Err(self.cover(request.wanted()));
        }
        let block = state.place(Block::new(self, request, cause, sink));
        block.join();
        drop(state);
        let ticket = self.admission.demand(block.len());
        self.spawn(&block, ticket, runtime);
        Ok(block)
    }

    /// The same for bytes that a stream will need: the request comes back while there is no room for it.
    pub(crate) fn launch_ahead(
        self: &Arc<Self>,
        request: Request,
        sink: &Sink,
        runtime: &runtime::Handle,
    ) -> Result<Result<Arc<Block>, Vec<Unit>>, Request> {
        let mut state = self.state();
        let range = request.range();
        if state.is_any_there(&range) {
            drop(state);
            return Ok(Err(self.cover(request.wanted())));
        }
        let Some(permit) = self.admission.ahead(range.end - range.start) else {
            return Err(request);
        };
        let block = state.place(Block::new(self, request, Cause::Stream, sink));
        block.join();
        drop(state);
        self.spawn(&block, Ticket::Now(permit), runtime);
        Ok(Ok(block))
    }

    /// Says what is coming.
    pub(crate) fn hint(
        self: &Arc<Self>,
        ranges: Vec<Range<u64>>,
        sink: &Sink,
        runtime: &runtime::Handle,
    ) {
        let sizes = self.sizes();
        let mut state = self.state();
        let mut gaps = Vec::new();
        for range in plan::disjoint(ranges) {
            state.gaps(&range, &mut gaps);
        }
        let known = state.hints_of(&mut gaps);
        let planned = state.plan(&gaps, &known, &sizes);
        state.hints.extend(known.into_iter().chain(planned));
        state.hinted = true;
        drop(state);
        self.read_ahead(sink, runtime);
    }

    /// Sends what was hinted at or foreseen, as far as there is room.
    pub(crate) fn read_ahead(self: &Arc<Self>, sink: &Sink, runtime: &runtime::Handle) {
        let sizes = self.sizes();
        let mut state = self.state();
        if state.changed.is_some() {
            return;
        }
        let mut begun = Vec::new();
        while let Some(request) = state.hints.pop_front() {
            if state.is_any_there(&request.range()) {
                state.replan(request, &sizes);
                continue;
            }
            match self.foresee(&mut state, request, sink) {
                Ok(started) => begun.push(started),
                Err(request) => {
                    state.hints.push_front(request);
                    break;
                }
            }
        }
        if let Some(size) = state.size
            && !state.hinted
        {
            self.foresee_all(&mut state, size, &sizes, sink, &mut begun);
        }
        drop(state);
        for (block, permit) in begun {
            self.spawn(&block, Ticket::Now(permit), runtime);
        }
    }

    /// One who needed the block does so no more. `read` says whether it has got what it wanted.
    pub(crate) fn leave(&self, block: &Arc<Block>, read: bool) {
        let mut state = self.state();
        if block.leave() || !state.holds(block) {
            return;
        }
        if block.is_over() {
            self.settle(state, block, read);
        } else if !read && block.cause() != Cause::Foreseen {
            // One that was foreseen goes on: a reader may still come.
            state.blocks.remove(&block.range().start);
            drop(state);
            block.abort();
        }
    }

    /// What becomes of a block that is there and that nobody needs: unread bytes wait for a reader until room is
    /// needed, small ones that were read are kept, the rest goes.
    fn settle(&self, mut state: MutexGuard<'_, State>, block: &Arc<Block>, read: bool) {
        let unread = block.unread();
        if unread > 0 && (read || block.cause() == Cause::Foreseen) {
            drop(state);
            self.admission.idle(Arc::downgrade(block) as _, false);
        } else if unread == 0 && block.len() <= KEPT_BLOCK {
            let dropped = state.keep(block);
            drop(state);
            drop(dropped);
            self.admission.idle(Arc::downgrade(block) as _, true);
        } else {
            state.blocks.remove(&block.range().start);
        }
    }

    fn ended(&self, block: &Arc<Block>) {
        let state = self.state();
        if !block.is_needed() && state.holds(block) {
            self.settle(state, block, true);
        }
    }

    /// The block that begins there makes room, unless somebody needs it.
    pub(crate) fn evict(&self, start: u64) {
        let mut state = self.state();
        let Some(block) = state.blocks.get(&start).filter(|b| b.is_over() && !b.is_needed()) else {
            return;
        };
        let block = Arc::clone(block);
        state.blocks.remove(&start);
        self.count_wasted(&mut state, &block);
        drop(state);
    }

    /// The block is none of the handle's any more.
    pub(crate) fn forget(&self, block: &Block) {
        let mut state = self.state();
        if state.holds(block) {
            state.blocks.remove(&block.range().start);
        }
    }

    /// No reader is left: what nobody waits for is dropped.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.hints.clear();
        let blocks: Vec<_> = state.blocks.values().filter(|b| !b.is_needed()).cloned().collect();
        for block in &blocks {
            state.blocks.remove(&block.range().start);
            self.count_wasted(&mut state, block);
        }
        drop(state);
        for block in blocks {
            block.abort();
        }
    }

    /// Asks what the object is, without its bytes.
    pub(crate) async fn look(&self, sink: &Sink) -> Result<()> {
        let Origin { backend, client, key, .. } = &self.origin;
        let mut call = Call::begin(
            backend,
            client.policy(),
            sink,
            crate::timing::Operation::Head,
            Arc::clone(key),
            None,
        );
        let head = call.run(Repeat::Freely, |attempt| backend.head(key, attempt)).await;
        match head.and_then(|meta| self.identify(meta.size, meta.etag.as_ref(), Some(&meta))) {
            Ok(()) => call.end(Ok(())),
            Err(failure) => Err(self.told_changed(call.fail(failure))),
        }
    }

    /// Asks for the last bytes, and learns from the answer what the object is. They are a block like others.
    pub(crate) async fn tail(self: &Arc<Self>, bytes: u64, sink: &Sink) -> Result<()> {
        let begun = now_ns();
        let permit = match self.admission.demand(bytes) {
            Ticket::Now(permit) => permit,
            Ticket::Later(turn) => {
                let ended = || Error::misuse("the process ends");
                turn.admitted().await.ok_or_else(ended)?
            }
        };
        let Origin { client, backend, key, .. } = &self.origin;
        let mut call = Call::fetch(backend, client.policy(), sink, Arc::clone(key), begun);
        let request = GetRequest {
            key: Arc::clone(key),
            range: Some(GetRange::Last(bytes)),
            if_match: self.state().etag.clone(),
        };
        let hedging = Hedging { live: &self.origin.live, on: self.hedged };
        let answered = call.run_hedged(&hedging, |attempt| backend.get(&request, attempt)).await;
        let reply = match answered {
            Ok(reply) => reply,
            // It has no last byte: it is empty, which a HEAD tells.
            Err(failure) if failure.kind == ErrorKind::InvalidRange => {
                drop(call.fail(failure));
                return self.look(sink).await;
            }
            Err(failure) => return Err(call.fail(failure)),
        };
        let GetReply { meta, size, etag, range, body } = *reply;
        let told = meta.get(&self.origin.shown);
        if let Err(failure) = self.identify(size, etag.as_ref(), Some(told)) {
            drop(body);
            return Err(self.told_changed(call.fail(failure)));
        }
        let block = Block::new(self, streamed(range.clone()), Cause::Demand, sink);
        block.join();
        block.admitted(permit);
        let mut body = ObjectBody::new(call, request, body, range.clone(), etag, None);
        fill(&block, &mut body, range.end).await?;
        block.end(End::Well);
        let mut state = self.state();
        if !state.is_any_there(&range) {
            state.place(Arc::clone(&block));
            drop(state);
            self.admission.arrived(Arc::downgrade(&block) as _);
            self.leave(&block, true);
        }
        Ok(())
    }

    /// A columnar file's first read near its end is one of all of its end.
    fn with_tail(&self, mut wanted: Vec<Range<u64>>, state: &State) -> Vec<Range<u64>> {
        let Some(size) = state.size.filter(|_| self.options.policy.reads_tail()) else {
            return wanted;
        };
        let tail = size.saturating_sub(TAIL)..size;
        if wanted.last().is_some_and(|last| last.end > tail.start)
            && !state.is_any_there(&(size.saturating_sub(1)..size))
        {
            wanted.push(tail);
            return plan::disjoint(wanted);
        }
        wanted
    }

    fn foresee(
        self: &Arc<Self>,
        state: &mut State,
        request: Request,
        sink: &Sink,
    ) -> Result<(Arc<Block>, Permit), Request> {
        let range = request.range();
        match self.admission.ahead(range.end - range.start) {
            Some(permit) => {
                let block = Block::new(self, request, Cause::Foreseen, sink);
                Ok((state.place(block), permit))
            }
            None => Err(request),
        }
    }

    fn foresee_all(
        self: &Arc<Self>,
        state: &mut State,
        size: u64,
        sizes: &Sizes,
        sink: &Sink,
        begun: &mut Vec<(Arc<Block>, Permit)>,
    ) {
        let most = self.admission.ahead_share();
        for ahead in state.predict.ahead(size, most, sizes.part) {
            let left = size - ahead.range.start;
            for part in plan::parts(ahead.range.clone(), &sizes.of_window(ahead.window, left)) {
                let mut gaps = Vec::new();
                state.gaps(&part, &mut gaps);
                for gap in gaps {
                    match self.foresee(state, pieces(gap, ahead.step), sink) {
                        Ok(started) => begun.push(started),
                        Err(_) => return,
                    }
                }
                state.predict.launched(&ahead, part.end);
            }
        }
        let strides = state.predict.strides(size);
        let mut gaps = Vec::new();
        for range in &strides {
            state.gaps(range, &mut gaps);
        }
        for request in state.plan(&gaps, &[], sizes) {
            match self.foresee(state, request, sink) {
                Ok(started) => begun.push(started),
                Err(_) => return,
            }
        }
    }

    fn spawn(self: &Arc<Self>, block: &Arc<Block>, ticket: Ticket, runtime: &runtime::Handle) {
        // Who asked need not be woken only to learn that it is not in line.
        let turn = match ticket {
            Ticket::Now(permit) => {
                block.admitted(permit);
                None
            }
            Ticket::Later(turn) => Some(turn),
        };
        let fetching = Fetching { handle: Arc::clone(self), block: Arc::clone(block) };
        let task = runtime.spawn(fetch(fetching, turn));
        block.fetched_by(task.abort_handle());
    }

    /// Fetches the bytes of a block into its pieces.
    async fn get(self: &Arc<Self>, block: &Block, mut call: Box<Call>) -> Result<()> {
        let backend = Arc::clone(&self.origin.backend);
        let request = {
            let state = self.state();
            let range = block.range();
            // All of it is asked for without a range: S3 tells a checksum then.
            let whole = range.start == 0 && state.size == Some(range.end);
            GetRequest {
                key: Arc::clone(&self.origin.key),
                range: (!whole).then(|| range.into()),
                if_match: state.etag.clone(),
            }
        };
        // Nobody waits for what is foreseen: a rival would only cost a connection.
        let hedged = self.hedged && block.cause() != Cause::Foreseen;
        let hedging = Hedging { live: &self.origin.live, on: hedged };
        let vain = block.vain();
        let answered = call
            .run_hedged(&hedging, |mut attempt| {
                if vain > 0 {
                    attempt.timer.discards(vain);
                }
                backend.get(&request, attempt)
            })
            .await;
        if call.throttled() > 0 {
            self.admission.throttled(now_ns());
        }
        let reply = match answered {
            Ok(reply) => reply,
            Err(failure) => return self.refused(call, block, failure).await,
        };
        let GetReply { meta, size, etag, range, body } = *reply;
        let known = self.meta.get().is_some();
        let meta = (!known).then(|| meta.get(&self.origin.shown));
        if let Err(failure) = self.identify(size, etag.as_ref(), meta) {
            drop(body);
            return Err(self.told_changed(call.fail(failure)));
        }
        if !known {
            block.wake();
            self.read_ahead(block.sink(), &runtime::Handle::current());
        }
        let begun = now_ns();
        let length = range.end - range.start;
        let mut body = ObjectBody::new(call, request, body, range.clone(), etag, None);
        let filled = fill(block, &mut body, range.end).await;
        filled.map_err(|error| self.told_changed(error))?;
        self.origin.live.body(length, now_ns() - begun);
        Ok(())
    }

    /// A read that was refused: the object has changed since, or is empty, or it is an error.
    async fn refused(&self, mut call: Box<Call>, block: &Block, failure: Failure) -> Result<()> {
        let changed = {
            let state = self.state();
            match failure.kind {
                ErrorKind::Precondition => true,
                ErrorKind::NotFound => state.told,
                // It was asked for before the size was known, or it was there.
                ErrorKind::InvalidRange => {
                    state.told && state.size.is_some_and(|size| block.range().start < size)
                }
                _ => false,
            }
        };
        if changed {
            let why = "it was replaced or deleted since it was opened";
            let failure =
                Failure::new(ErrorKind::Changed).message(why).source(Error::from(failure));
            return Err(self.told_changed(call.fail(failure)));
        }
        if failure.kind == ErrorKind::InvalidRange && block.range().start == 0 {
            // Every object but an empty one has a first byte.
            let error = call.fail(failure);
            self.look(block.sink()).await?;
            return if self.size()? == Some(0) { Ok(()) } else { Err(error) };
        }
        Err(call.fail(failure))
    }

    /// Compares what an answer says of the object with what is known, or learns it.
    fn identify(
        &self,
        size: u64,
        etag: Option<&String>,
        meta: Option<&ObjectMeta>,
    ) -> Result<(), Failure> {
        let mut state = self.state();
        let differs = tags::differ(state.etag.as_deref(), etag.map(String::as_str));
        if state.size.is_some_and(|known| known != size) || differs {
            let was = format!(
                "it had {:?} bytes and ETag {:?}, and has {size} and {etag:?}",
                state.size, state.etag
            );
            return Err(Failure::new(ErrorKind::Changed).message(was));
        }
        state.size = Some(size);
        state.told = true;
        if state.etag.is_none() {
            state.etag = etag.cloned();
        }
        drop(state);
        if let Some(meta) = meta {
            let mut meta = meta.clone();
            meta.key.clone_from(&self.origin.shown);
            let _ = self.meta.set(meta);
        }
        Ok(())
    }

    /// Remembers that the object has changed: whatever is read from now on fails so.
    fn told_changed(&self, error: Error) -> Error {
        if error.is_changed() {
            self.state().changed.get_or_insert(error.clone());
        }
        error
    }

    fn count_foreseen(&self, units: &[Unit]) {
        let gauges = &self.origin.client.policy().gauges;
        let foreseen = units.iter().filter_map(|unit| match unit {
            Unit::There(block) if block.cause() == Cause::Foreseen => Some(block.is_over()),
            _ => None,
        });
        let (mut hits, mut late) = (0, 0);
        foreseen.for_each(|over| if over { hits += 1 } else { late += 1 });
        gauges.ahead_hits.fetch_add(hits, Relaxed);
        gauges.ahead_late.fetch_add(late, Relaxed);
    }

    fn count_wasted(&self, state: &mut State, block: &Block) {
        let wasted = block.unread();
        if wasted > 0 && block.cause() == Cause::Foreseen {
            state.predict.wasted();
            self.origin.client.policy().gauges.ahead_wasted.fetch_add(wasted, Relaxed);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Joins the blocks that hold some of `range`, and tells what is missing between them.
    fn join(&self, range: &Range<u64>, units: &mut Vec<Unit>, gaps: &mut Vec<Range<u64>>) {
        self.gaps(range, gaps);
        for block in self.overlapping(range) {
            // A block that holds two ranges is joined once.
            let known = units
                .iter()
                .rev()
                .any(|unit| matches!(unit, Unit::There(known) if Arc::ptr_eq(known, block)));
            if !known {
                block.join();
                units.push(Unit::There(Arc::clone(block)));
            }
        }
    }

    /// What no block holds of `range`.
    fn gaps(&self, range: &Range<u64>, gaps: &mut Vec<Range<u64>>) {
        let mut at = range.start;
        for block in self.overlapping(range) {
            let there = block.range();
            if at < there.start {
                gaps.push(at..there.start);
            }
            at = at.max(there.end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
    }

    /// The requests for what is missing, in order: none reads through a hole that holds a block, or a request of `due`.
    fn plan(&self, gaps: &[Range<u64>], due: &[Request], sizes: &Sizes) -> Vec<Request> {
        let is_free = |hole: Range<u64>| {
            let next = due.partition_point(|request| request.range().end <= hole.start);
            due.get(next).is_none_or(|request| request.range().start >= hole.end)
                && !self.is_any_there(&hole)
        };
        gaps.chunk_by(|one, next| is_free(one.end..next.start))
            .flat_map(|gaps| plan::requests(gaps, sizes))
            .collect()
    }

    fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = &Arc<Block>> + use<'_> {
        let (start, end) = (range.start, range.end);
        let first = self.blocks.range(..=start).next_back().map(|(_, block)| block);
        let first = first.filter(move |block| start < end && block.range().end > start);
        let others = self.blocks.range(start..end.max(start)).map(|(_, block)| block);
        first.into_iter().chain(others.filter(move |block| block.range().start > start))
    }

    fn is_any_there(&self, range: &Range<u64>) -> bool {
        self.overlapping(range).next().is_some()
    }

    fn place(&mut self, block: Arc<Block>) -> Arc<Block> {
        self.blocks.insert(block.range().start, Arc::clone(&block));
        block
    }

    fn holds(&self, block: &Block) -> bool {
        self.blocks
            .get(&block.range().start)
            .is_some_and(|known| std::ptr::eq(&raw const **known, block))
    }

    /// The hinted requests that hold one of the gaps: they are due now, as they were planned. In order, and disjoint; what
    /// they hold is no gap any more.
    fn hints_of(&mut self, gaps: &mut Vec<Range<u64>>) -> Vec<Request> {
        if self.hints.is_empty() {
            return Vec::new();
        }
        let mut due: BTreeMap<u64, Request> = BTreeMap::new();
        let mut waiting = VecDeque::new();
        for request in std::mem::take(&mut self.hints) {
            let range = request.range();
            let first = gaps.partition_point(|gap| gap.start < range.start);
            let is_due = gaps.get(first).is_some_and(|gap| gap.end <= range.end);
            let before = due.range(..range.end).next_back();
            let is_apart = before.is_none_or(|(_, before)| before.range().end <= range.start);
            if is_due && is_apart && !self.is_any_there(&range) {
                due.insert(range.start, request);
            } else {
                waiting.push_back(request);
            }
        }
        self.hints = waiting;
        let due: Vec<_> = due.into_values().collect();
        *gaps = without(gaps, &due);
        due
    }

    /// A hint of which some bytes are there by now: the others remain to be fetched.
    fn replan(&mut self, request: Request, sizes: &Sizes) {
        let mut gaps = Vec::new();
        for segment in request.segments.iter().filter(|segment| segment.wanted) {
            self.gaps(&segment.range, &mut gaps);
        }
        for request in self.plan(&gaps, &[], sizes).into_iter().rev() {
            self.hints.push_front(request);
        }
    }

    /// Keeps a block that was read; tells which older ones make room for it.
    fn keep(&mut self, block: &Arc<Block>) -> Vec<Arc<Block>> {
        if block.keep() {
            self.kept.push_back((block.range().start, block.len()));
        }
        let mut dropped = Vec::new();
        while self.kept.iter().map(|(_, length)| length).sum::<u64>() > KEPT {
            let Some((start, _)) = self.kept.pop_front() else { break };
            if self.blocks.get(&start).is_some_and(|b| b.is_over() && !b.is_needed()) {
                dropped.extend(self.blocks.remove(&start));
            }
        }
        dropped
    }
}

/// The ranges less what the requests hold; both are in order and disjoint.
fn without(ranges: &[Range<u64>], requests: &[Request]) -> Vec<Range<u64>> {
    let mut rest = Vec::with_capacity(ranges.len());
    for range in ranges {
        let mut at = range.start;
        let first = requests.partition_point(|request| request.range().end <= range.start);
        for held in requests[first..].iter().map(Request::range) {
            if held.start >= range.end {
                break;
            }
            if at < held.start {
                rest.push(at..held.start);
            }
            at = held.end;
        }
        if at < range.end {
            rest.push(at..range.end);
        }
    }
    rest
}

/// A request for a range that will be read in steps, cut so.
fn pieces(range: Range<u64>, step: u64) -> Request {
    let step = if step == 0 { PIECE } else { step.max(64 << 10) };
    let mut segments = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min(at.saturating_add(step));
        segments.push(Segment { range: at..end, wanted: true });
        at = end;
    }
    Request { segments }
}

/// A request for a range that is streamed.
pub(crate) fn streamed(range: Range<u64>) -> Request {
    pieces(range, PIECE)
}

/// Fetches a block: waits for its turn if it has to, asks, and tells all who wait for it.
async fn fetch(fetching: Fetching, turn: Option<Turn>) {
    let begun = now_ns();
    let Fetching { handle, block } = &fetching;
    if let Some(turn) = turn {
        let Some(permit) = turn.admitted().await else { return };
        block.admitted(permit);
    }
    let Origin { client, backend, key, .. } = &handle.origin;
    let call = Call::fetch(backend, client.policy(), block.sink(), Arc::clone(key), begun);
    match handle.get(block, call).await {
        Ok(()) => {
            block.end(End::Well);
            handle.admission.arrived(Arc::downgrade(block) as _);
            handle.ended(block);
        }
        Err(error) => {
            handle.forget(block);
            block.end(End::Failed(error));
        }
    }
    handle.read_ahead(block.sink(), &runtime::Handle::current());
}

/// Receives the bytes of a block's segments, up to `end`.
async fn fill(block: &Block, body: &mut ObjectBody, end: u64) -> Result<()> {
    let mut data = Bytes::new();
    for segment in block.segments() {
        let until = segment.range.end.min(end);
        let mut left = until.saturating_sub(segment.range.start) as usize;
        if left == 0 {
            break;
        }
        let mut piece = Vec::new();
        if piece.try_reserve_exact(left).is_err() {
            return Err(Failure::new(ErrorKind::Exhausted)
                .message(format!("there is no memory for {left} bytes"))
                .hint("lower read_budget")
                .into());
        }
        while left > 0 {
            if data.is_empty() {
                match body.next().await.transpose()? {
                    Some(more) => data = more,
                    None => return Ok(()),
                }
            }
            let some = data.split_to(left.min(data.len()));
            left -= some.len();
            piece.extend_from_slice(&some);
        }
        block.arrived(segment.range.start, piece.into(), segment.wanted);
    }
    // The end of the body ends the attempt.
    while body.next().await.transpose()?.is_some() {}
    Ok(())
}
