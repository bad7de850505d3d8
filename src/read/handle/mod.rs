// SPDX-License-Identifier: Apache-2.0
//! One object under reading. All readers and streams of it share the handle, and so its identity, blocks and prefetch.
//!
//! ```text
//!  mod.rs   Handle    what calls ask for (cover · launch · leave · hint), the lock, the permits, the tasks
//!   ├─▶ fetch.rs      one request: ask, compare, receive        ─▶ identity.rs
//!   ├─▶ prefetch.rs   which requests go before they are asked   ─▶ cache.rs
//!   ├─▶ cache.rs      blocks by place; what stays
//!   └─▶ identity.rs   the object; size, ETag and metadata, pinned
//! ```
//!
//! The parts know nothing of the handle, nor of tasks and permits. Cache and prefetch are under one lock, the identity
//! under its own; none is held while memory is returned or a request is made.

mod cache;
mod fetch;
mod identity;
mod prefetch;

pub(crate) use cache::Source;
pub(crate) use identity::Object;

use super::block::{Block, End, Fetch, Owner, Purpose};
use super::options::ReadOptions;
use super::plan::{self, Limits, Request, Sizes};
use crate::error::{Error, Result};
use crate::limiter::{Admission, Idle, Ticket, Turn};
use crate::timing::{Recorders, now_ns};
use crate::types::{Checksum, ObjectMeta};
use cache::{Cache, Settled};
use fetch::Fetcher;
use identity::Identity;
use prefetch::{Bounds, Prefetch};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::runtime;

/// What the policies for columnar files read of an object's end together with the first read there.
const TAIL: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) struct Handle {
    identity: Identity,
    options: ReadOptions,
    admission: Arc<Admission>,
    limits: Limits,
    hedged: bool,
    /// Whether the last read had to wait.
    waited: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cache: Cache,
    prefetch: Prefetch,
}

impl Handle {
    pub(crate) fn new(object: Object, options: ReadOptions) -> Arc<Handle> {
        let context = object.target.context();
        let config = context.config();
        let admission = Arc::clone(context.admission());
        let state = State { cache: Cache::default(), prefetch: Prefetch::new(options.policy) };
        Arc::new(Handle {
            limits: Limits {
                gap: config.read_gap,
                waste_percent: u64::from(config.read_waste),
                budget: admission.budget(),
                fewest: options.fewest_requests,
            },
            hedged: config.hedge_at > 0 && config.hedge_budget > 0 && !options.fewest_requests,
            waited: AtomicBool::new(true),
            state: Mutex::new(state),
            identity: Identity::new(object, options.size, options.etag.clone()),
            options,
            admission,
        })
    }

    pub(crate) fn object(&self) -> &Object {
        &self.identity.object
    }

    pub(crate) fn options(&self) -> &ReadOptions {
        &self.options
    }

    /// The sizes that plans are made by now.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes::by(self.object().target.live(), &self.limits)
    }

    /// The object's size, once it is known. Fails once the object has changed.
    pub(crate) fn size(&self) -> Result<Option<u64>> {
        self.identity.size()
    }

    /// What an answer has told of the object.
    pub(crate) fn meta(&self) -> Option<&ObjectMeta> {
        self.identity.meta()
    }

    /// Asks what the object is, without its bytes.
    pub(crate) async fn look(&self, recorders: &Recorders) -> Result<()> {
        self.identity.look(recorders).await
    }

    /// What the bytes of the whole object must come to, as far as that was told and is to be checked.
    pub(crate) fn checksum(&self) -> Option<Checksum> {
        let verify = self.options.verify.unwrap_or(self.object().target.verify());
        let told = self.meta().and_then(|meta| meta.checksum);
        told.or(self.options.checksum).filter(|_| verify)
    }

    /// Whether no byte of `range` would have to be asked for.
    pub(crate) fn holds(&self, range: &Range<u64>) -> bool {
        let mut gaps = Vec::new();
        self.state().cache.gaps(range, &mut gaps);
        gaps.is_empty()
    }

    /// Notes that `range` is read.
    pub(crate) fn note(&self, range: &Range<u64>) {
        let waited = self.waited.swap(false, Relaxed);
        self.state().prefetch.note(range, waited);
    }

    /// A caller has to wait.
    pub(crate) fn waits(&self) {
        self.waited.store(true, Relaxed);
    }

    /// Where the bytes of ranges come from that are in order and disjoint, in order.
    pub(crate) fn cover(&self, wanted: Vec<Range<u64>>) -> Vec<Source> {
        let sizes = self.sizes();
        let mut state = self.state();
        let State { cache, prefetch } = &mut *state;
        let wanted = self.with_tail(wanted, cache);
        let mut sources = Vec::new();
        let mut gaps = Vec::new();
        for range in wanted {
            cache.join(&range, &mut sources, &mut gaps);
        }
        let hinted = prefetch.due(&mut gaps, cache);
        let planned = cache.plan(&gaps, &hinted, &sizes);
        drop(state);
        self.count_hits(&sources);
        let fetch = |purpose| move |request| Source::Fetch(Fetch::new(request, purpose));
        sources.extend(planned.into_iter().map(fetch(Purpose::Demand)));
        sources.extend(hinted.into_iter().map(fetch(Purpose::Prefetch)));
        sources.sort_by_key(|source| source.range().start);
        sources
    }

    /// A columnar file's first read near its end is one of all of its end.
    fn with_tail(&self, mut wanted: Vec<Range<u64>>, cache: &Cache) -> Vec<Range<u64>> {
        if !self.options.policy.reads_tail() {
            return wanted;
        }
        let Some(size) = self.identity.known_size() else { return wanted };
        let tail = size.saturating_sub(TAIL)..size;
        if wanted.last().is_some_and(|last| last.end > tail.start)
            && !cache.is_any_there(&(size.saturating_sub(1)..size))
        {
            wanted.push(tail);
            return plan::disjoint(wanted);
        }
        wanted
    }

    /// Makes the request for a caller that waits for it, unless some of it has been made since it was planned: then it is
    /// planned anew.
    pub(crate) fn launch(
        self: &Arc<Self>,
        fetch: Fetch,
        recorders: &Recorders,
        runtime: &runtime::Handle,
    ) -> Result<Arc<Block>, Vec<Source>> {
        let mut state = self.state();
        if state.cache.is_any_there(&fetch.request.range()) {
            drop(state);
            return Err(self.cover(fetch.request.wanted()));
        }
        let block = state.cache.place(Block::new(self.owner(), fetch, recorders));
        block.join();
        drop(state);
        let ticket = self.admission.demand(block.len());
        self.spawn(&block, ticket, runtime);
        Ok(block)
    }

    /// The same for bytes that a stream will need: the request comes back while there is no room for it.
    pub(crate) fn launch_ahead(
        self: &Arc<Self>,
        fetch: Fetch,
        recorders: &Recorders,
        runtime: &runtime::Handle,
    ) -> Result<Result<Arc<Block>, Vec<Source>>, Fetch> {
        let mut state = self.state();
        let range = fetch.request.range();
        if state.cache.is_any_there(&range) {
            drop(state);
            return Ok(Err(self.cover(fetch.request.wanted())));
        }
        let Some(permit) = self.admission.ahead(range.end - range.start) else {
            return Err(fetch);
        };
        let block = state.cache.place(Block::new(self.owner(), fetch, recorders));
        block.join();
        drop(state);
        self.spawn(&block, Ticket::Now(permit), runtime);
        Ok(Ok(block))
    }

    /// Says what will be read next.
    pub(crate) fn hint(
        self: &Arc<Self>,
        ranges: Vec<Range<u64>>,
        recorders: &Recorders,
        runtime: &runtime::Handle,
    ) {
        let sizes = self.sizes();
        let mut state = self.state();
        let State { cache, prefetch } = &mut *state;
        prefetch.hint(ranges, cache, &sizes);
        drop(state);
        self.read_ahead(recorders, runtime);
    }

    /// Sends what was hinted at or is predicted, as far as there is room.
    pub(crate) fn read_ahead(self: &Arc<Self>, recorders: &Recorders, runtime: &runtime::Handle) {
        let sizes = self.sizes();
        let mut begun = Vec::new();
        let mut start = |cache: &mut Cache, request: Request| {
            let range = request.range();
            let Some(permit) = self.admission.ahead(range.end - range.start) else {
                return Err(request);
            };
            let fetch = Fetch::new(request, Purpose::Prefetch);
            begun.push((cache.place(Block::new(self.owner(), fetch, recorders)), permit));
            Ok(())
        };
        let mut state = self.state();
        let Ok(size) = self.size() else { return };
        let bounds = Bounds { size, sizes: &sizes, most: self.admission.ahead_share() };
        let State { cache, prefetch } = &mut *state;
        prefetch.advance(cache, &bounds, &mut start);
        drop(state);
        for (block, permit) in begun {
            self.spawn(&block, Ticket::Now(permit), runtime);
        }
    }

    /// One reader that needed the block does so no more. `read` says whether it has got what it wanted.
    pub(crate) fn leave(&self, block: &Arc<Block>, read: bool) {
        let mut state = self.state();
        if block.leave() || !state.cache.holds(block) {
            return;
        }
        if block.is_over() {
            let settled = state.cache.settle(block, read);
            drop(state);
            self.settled(block, settled);
        } else if !read && block.purpose() != Purpose::Prefetch {
            // One that was prefetched goes on: a reader may still come.
            state.cache.forget(block);
            drop(state);
            block.abort();
        }
    }

    /// A block has arrived.
    fn ended(&self, block: &Arc<Block>) {
        let mut state = self.state();
        if !block.is_needed() && state.cache.holds(block) {
            let settled = state.cache.settle(block, true);
            drop(state);
            self.settled(block, settled);
        }
    }

    /// Makes what stays without a reader give way when room is needed.
    fn settled(&self, block: &Arc<Block>, settled: Settled) {
        let idle = match settled {
            Settled::Unread => Idle::Unread,
            Settled::Retained(dropped) => {
                drop(dropped);
                Idle::Read
            }
            Settled::Removed => return,
        };
        block.outlive_callers();
        self.admission.idle(Arc::downgrade(block) as _, idle);
    }

    /// No reader is left: what no call waits for is dropped.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.prefetch.clear();
        let blocks = state.cache.clear();
        for block in &blocks {
            self.count_wasted(&mut state.prefetch, block);
        }
        drop(state);
        for block in blocks {
            block.abort();
        }
    }

    /// Asks for the last bytes, and learns from the answer what the object is. They are a block like others.
    pub(crate) async fn tail(self: &Arc<Self>, bytes: u64, recorders: &Recorders) -> Result<()> {
        let begun = now_ns();
        let permit = match self.admission.demand(bytes) {
            Ticket::Now(permit) => permit,
            Ticket::Later(turn) => {
                let ended = || Error::misuse("the process ends");
                turn.admitted().await.ok_or_else(ended)?
            }
        };
        let opened = self.fetcher().open_last(bytes, recorders, begun).await?;
        let Some(mut answer) = opened else { return Ok(()) };
        let range = answer.range.clone();
        let request = plan::streamed(range.clone());
        let block = Block::new(self.owner(), Fetch::new(request, Purpose::Demand), recorders);
        block.join();
        block.admitted(permit);
        fetch::fill(&block, &mut answer).await?;
        block.end(End::Well);
        let mut state = self.state();
        if !state.cache.is_any_there(&range) {
            state.cache.place(Arc::clone(&block));
            drop(state);
            self.admission.arrived(Arc::downgrade(&block) as _);
            self.leave(&block, true);
        }
        Ok(())
    }

    fn spawn(self: &Arc<Self>, block: &Arc<Block>, ticket: Ticket, runtime: &runtime::Handle) {
        // The reader need not be woken only to learn that it is not in line.
        let turn = match ticket {
            Ticket::Now(permit) => {
                block.admitted(permit);
                None
            }
            Ticket::Later(turn) => Some(turn),
        };
        let fetching = Fetching { handle: Arc::clone(self), block: Arc::clone(block) };
        let task = runtime.spawn(fetching.run(turn));
        block.fetched_by(task.abort_handle());
    }

    fn fetcher(&self) -> Fetcher<'_> {
        let (identity, admission) = (&self.identity, &*self.admission);
        Fetcher { identity, admission, hedged: self.hedged }
    }

    fn owner(self: &Arc<Self>) -> Weak<dyn Owner> {
        let owner: Weak<Handle> = Arc::downgrade(self);
        owner
    }

    fn count_hits(&self, sources: &[Source]) {
        let gauges = self.object().target.context().gauges();
        let prefetched = sources.iter().filter_map(|source| match source {
            Source::Block(block) if block.purpose() == Purpose::Prefetch => Some(block.is_over()),
            _ => None,
        });
        let (mut hits, mut late) = (0, 0);
        prefetched.for_each(|over| if over { hits += 1 } else { late += 1 });
        gauges.ahead_hits.fetch_add(hits, Relaxed);
        gauges.ahead_late.fetch_add(late, Relaxed);
    }

    fn count_wasted(&self, prefetch: &mut Prefetch, block: &Block) {
        let wasted = block.unread();
        if wasted > 0 && block.purpose() == Purpose::Prefetch {
            prefetch.wasted();
            self.object().target.context().gauges().ahead_wasted.fetch_add(wasted, Relaxed);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner for Handle {
    fn evict(&self, start: u64) {
        let mut state = self.state();
        let Some(block) = state.cache.evict(start) else { return };
        self.count_wasted(&mut state.prefetch, &block);
        drop(state);
    }

    fn forget(&self, block: &Block) {
        self.state().cache.forget(block);
    }
}

/// A block that is being fetched. Dropped before its end, because its runtime has ended or its task was aborted, it ends the
/// block.
struct Fetching {
    handle: Arc<Handle>,
    block: Arc<Block>,
}

impl Fetching {
    /// Waits for its turn if it has to, asks, and tells all readers that wait.
    async fn run(self, turn: Option<Turn>) {
        let begun = now_ns();
        let Fetching { handle, block } = &self;
        if let Some(turn) = turn {
            let Some(permit) = turn.admitted().await else { return };
            block.admitted(permit);
        }
        match self.fetch(begun).await {
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
        handle.read_ahead(block.recorders(), &runtime::Handle::current());
    }

    /// Fetches the bytes of the block into its pieces.
    async fn fetch(&self, begun: u64) -> Result<()> {
        let Fetching { handle, block } = self;
        let fetcher = handle.fetcher();
        let call = handle.object().fetch(block.recorders(), begun);
        let Some(answer) = fetcher.open(block, call).await? else { return Ok(()) };
        if answer.first {
            block.wake();
            handle.read_ahead(block.recorders(), &runtime::Handle::current());
        }
        fetcher.receive(block, answer).await
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if !self.block.is_over() {
            self.handle.forget(&self.block);
            self.block.end(End::Abandoned);
        }
    }
}
