// SPDX-License-Identifier: Apache-2.0
//! Identities that end, and are renewed ahead of it.
//!
//! ```text
//!  current()  ─▶ held identity, while it is good                   identity() ─▶ the fetch under way, or a new one
//!     │ due, and nobody renews: begins a fetch, waits for nothing                      │ one at a time on a runtime
//!     ▼                                                                                ▼
//!  keeper: a task that sleeps until the identity is due, and fetches ──────────▶ Source::fetch ─▶ held
//! ```
//!
//! It promises: nobody waits for a renewal while the held identity is good; waiting callers share one fetch; a fetch
//! that its waiters have left goes on. An identity that was refused (401) is fetched anew once; if the new one is
//! refused within [`PAUSE`], that is told.

use super::sync::{
    AbortHandle, Arc, Handle, Id, Instant, Mutex, MutexGuard, PoisonError, Weak, sleep_until, watch,
};
use super::{Identified, Identity, Placed, Principal, Standing};
use crate::config::Region;
use crate::error::{ErrorKind, Failure};
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// An identity is renewed so long before its end, or half its time before, whichever is less.
const AHEAD: Duration = Duration::from_mins(5);
/// What has ended already is held for so long all the same: our clock may be off, and the store decides.
const LEAST: Duration = Duration::from_secs(10);
/// No identity is held for longer without a look.
const MOST: Duration = Duration::from_hours(24 * 30);
/// After a renewal that failed, the next waits so long, twice as long each time, up to ...
const RETRY: Duration = Duration::from_secs(1);
/// ... so long.
const RETRY_MOST: Duration = Duration::from_mins(1);
/// An identity that was fetched because another was refused is believed for so long.
const PAUSE: Duration = Duration::from_secs(10);
/// How often a source may look whether there is another identity.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What may be held and renewed: OCI's [`Identity`], an access key of S3.
pub(crate) trait Kept: fmt::Debug + Send + Sync + 'static {}

impl<I: fmt::Debug + Send + Sync + 'static> Kept for I {}

/// Where identities come from.
pub(crate) trait Source<I = Identity>: fmt::Debug + Send + Sync {
    /// Fetches a new identity.
    fn fetch(&self) -> Fetching<'_, I>;

    /// Looks, without waiting, whether there is another identity: asked at most once a second, and after a 401.
    fn look(&self) -> Option<Fetched<I>> {
        None
    }

    /// Whether a new identity may be accepted where one was refused.
    fn mends(&self) -> bool {
        true
    }

    /// The region that it belongs to, where it knows one.
    fn region(&self) -> Regional<'_> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// What to tell of an identity that was refused.
    fn advice(&self) -> String;
}

pub(crate) type Fetching<'a, I = Identity> =
    Pin<Box<dyn Future<Output = Result<Fetched<I>, Failure>> + Send + 'a>>;
pub(crate) type Regional<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Region>, Failure>> + Send + 'a>>;

/// A new identity.
#[derive(Debug)]
pub(crate) struct Fetched<I = Identity> {
    pub(crate) identity: Arc<I>,
    /// Until it ends, where that is known.
    pub(crate) left: Option<Duration>,
    /// Whether it is renewed at half its time.
    pub(crate) half: bool,
    /// The tenancy that it belongs to, where it says so.
    pub(crate) tenancy: Option<String>,
}

/// A principal whose identities end. Cheap to clone; clones are the same principal.
#[derive(Debug)]
pub(crate) struct Renewing<I = Identity>(Arc<Shared<I>>);

/// The same, not kept alive.
#[derive(Debug)]
pub(super) struct WeakRenewing<I>(Weak<Shared<I>>);

#[derive(Debug)]
struct Shared<I> {
    source: Box<dyn Source<I>>,
    state: Mutex<State<I>>,
}

#[derive(Debug)]
struct State<I> {
    held: Option<Held<I>>,
    flight: Option<Flight<I>>,
    /// Fetches begun so far.
    begun: u64,
    /// Fetches that failed since one succeeded.
    failures: u32,
    /// When the next fetch is due, where one will be.
    next: Option<Instant>,
    keeper: Option<AbortHandle>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Held<I> {
    identity: Arc<I>,
    tenancy: Option<String>,
    since: Instant,
    ends: Option<Instant>,
    /// Whether the store refused it.
    refused: bool,
    /// Whether it stands for one that the store refused.
    mends: bool,
}

/// A fetch under way. Nobody on another runtime waits for it: a runtime may be driven no more.
#[derive(Debug)]
struct Flight<I> {
    runtime: Id,
    since: Instant,
    landing: watch::Receiver<Option<Landed<I>>>,
}

type Landed<I> = Result<Arc<I>, Failure>;

impl<I> Clone for Renewing<I> {
    fn clone(&self) -> Renewing<I> {
        Renewing(Arc::clone(&self.0))
    }
}

impl<I> WeakRenewing<I> {
    pub(super) fn upgrade(&self) -> Option<Renewing<I>> {
        self.0.upgrade().map(Renewing)
    }
}

impl<I: Kept> Renewing<I> {
    pub(crate) fn new(source: Box<dyn Source<I>>) -> Renewing<I> {
        Renewing(Arc::new(Shared { source, state: Mutex::new(State::new()) }))
    }

    /// One whose first identity is at hand.
    pub(crate) fn holding(source: Box<dyn Source<I>>, first: Fetched<I>) -> Renewing<I> {
        let renewing = Renewing::new(source);
        renewing.0.state().hold(first, Instant::now());
        renewing
    }

    pub(super) fn downgrade(&self) -> WeakRenewing<I> {
        WeakRenewing(Arc::downgrade(&self.0))
    }

    /// The identity that is held, while it is good. Nothing is waited for: a renewal that is due is begun.
    pub(crate) fn held(&self) -> Option<Arc<I>> {
        let now = Instant::now();
        let mut state = self.0.state();
        if state.may_look(now)
            && let Some(fetched) = self.0.source.look()
        {
            state.hold(fetched, now);
        }
        let identity = Arc::clone(&state.good(now)?.identity);
        if state.is_due(now)
            && let Ok(runtime) = Handle::try_current()
        {
            self.0.launch(&mut state, &runtime);
        }
        self.0.keep(&mut state);
        Some(identity)
    }

    /// The store refused the identity: looks again. Whether there is, or will be, another.
    pub(crate) fn refused(&self) -> bool {
        let now = Instant::now();
        let mut state = self.0.state();
        if let Some(fetched) = self.0.source.look() {
            state.hold(fetched, now);
            return true;
        }
        if !self.0.source.mends() {
            return false;
        }
        let Some(held) = &mut state.held else { return true };
        let is_new = held.mends && now.saturating_duration_since(held.since) < PAUSE;
        if is_new && !held.refused {
            return false;
        }
        held.refused = true;
        true
    }

    /// The identity, fetched where none is held.
    pub(crate) async fn obtain(&self) -> Landed<I> {
        let runtime = Handle::current();
        // A fetch ends without a result only with its runtime, or by a panic.
        for _ in 0..2 {
            let mut landing = {
                let mut state = self.0.state();
                if let Some(held) = state.good(Instant::now()) {
                    return Ok(Arc::clone(&held.identity));
                }
                match &state.flight {
                    Some(flight) if flight.runtime == runtime.id() && flight.is_alive() => {
                        flight.landing.clone()
                    }
                    _ => self.0.launch(&mut state, &runtime),
                }
            };
            let landed = landing.wait_for(Option::is_some).await;
            if let Some(landed) = landed.ok().and_then(|landed| landed.clone()) {
                return landed;
            }
        }
        Err(Failure::new(ErrorKind::Config)
            .message("a provider of credentials ended without a result"))
    }
}

impl<I: Kept> Shared<I> {
    fn state(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a fetch.
    fn launch(
        self: &Arc<Shared<I>>,
        state: &mut State<I>,
        runtime: &Handle,
    ) -> watch::Receiver<Option<Landed<I>>> {
        state.begun += 1;
        let number = state.begun;
        let (sender, landing) = watch::channel(None);
        let shared = Arc::clone(self);
        runtime.spawn(async move {
            let fetched = shared.source.fetch().await;
            let _ = sender.send(Some(shared.land(number, fetched)));
        });
        let flight =
            Flight { runtime: runtime.id(), since: Instant::now(), landing: landing.clone() };
        state.flight = Some(flight);
        landing
    }

    fn land(self: &Arc<Shared<I>>, number: u64, fetched: Result<Fetched<I>, Failure>) -> Landed<I> {
        let now = Instant::now();
        let mut state = self.state();
        if state.begun == number {
            state.flight = None;
        }
        let landed = match fetched {
            Ok(fetched) => Ok(state.hold(fetched, now)),
            Err(failure) => {
                state.put_off(&failure, now);
                Err(failure)
            }
        };
        self.keep(&mut state);
        landed
    }

    /// Sees to it that a task renews what is due later.
    fn keep(self: &Arc<Shared<I>>, state: &mut State<I>) {
        let is_kept = state.keeper.as_ref().is_some_and(|keeper| !keeper.is_finished());
        if state.next.is_none() || is_kept {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let keeper = runtime.spawn(renew_each(Arc::downgrade(self)));
            state.keeper = Some(keeper.abort_handle());
        }
    }
}

impl<I> Drop for Shared<I> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = &state.keeper {
            keeper.abort();
        }
    }
}

/// Fetches whenever that is due, until nothing is, or nobody has the principal any more.
async fn renew_each<I: Kept>(shared: Weak<Shared<I>>) {
    let due = |shared: &Weak<Shared<I>>| shared.upgrade().and_then(|shared| shared.state().next);
    while let Some(next) = due(&shared) {
        sleep_until(next).await;
        let landing = {
            let Some(shared) = shared.upgrade() else { return };
            let mut state = shared.state();
            let now = Instant::now();
            match &state.flight {
                Some(flight) if flight.is_awaited(now) => Some(flight.landing.clone()),
                _ if state.is_due(now) => Some(shared.launch(&mut state, &Handle::current())),
                _ => None,
            }
        };
        if let Some(mut landing) = landing
            && landing.wait_for(Option::is_some).await.is_err()
        {
            return;
        }
    }
}

impl<I> Flight<I> {
    fn is_alive(&self) -> bool {
        // Its sender is dropped when it has sent, or when its task is no more.
        self.landing.has_changed().is_ok()
    }

    /// Whether a renewal in the background may wait for it, whatever its runtime.
    fn is_awaited(&self, now: Instant) -> bool {
        self.is_alive() && now.saturating_duration_since(self.since) < RETRY_MOST
    }
}

impl<I> State<I> {
    fn new() -> State<I> {
        State {
            held: None,
            flight: None,
            begun: 0,
            failures: 0,
            next: None,
            keeper: None,
            looked: None,
        }
    }

    /// What is held, while it is good.
    fn good(&self, now: Instant) -> Option<&Held<I>> {
        self.held.as_ref().filter(|held| !held.refused && held.ends.is_none_or(|ends| now < ends))
    }

    fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| now >= next)
            && !self.flight.as_ref().is_some_and(|flight| flight.is_awaited(now))
    }

    fn hold(&mut self, fetched: Fetched<I>, now: Instant) -> Arc<I> {
        let Fetched { identity, left, half, tenancy } = fetched;
        let left = left.map(|left| left.clamp(LEAST, MOST));
        let ahead = |left: Duration| if half { left / 2 } else { AHEAD.min(left / 2) };
        self.next = left.map(|left| now + left - ahead(left));
        self.failures = 0;
        let mends = self.held.as_ref().is_some_and(|held| held.refused);
        let ends = left.map(|left| now + left);
        let kept = Arc::clone(&identity);
        self.held = Some(Held { identity, tenancy, since: now, ends, refused: false, mends });
        kept
    }

    /// A fetch failed: the next is made while the held identity is good. After that, callers ask for it.
    fn put_off(&mut self, failure: &Failure, now: Instant) {
        let wait = RETRY.saturating_mul(1 << self.failures.min(16)).min(RETRY_MOST);
        self.failures += 1;
        let next = now + wait.mul_f64(0.5 + fastrand::f64() / 2.0);
        let left = self.good(now).map(|held| held.ends);
        self.next = left.is_some_and(|ends| ends.is_none_or(|ends| next < ends)).then_some(next);
        if let Some(ends) = left {
            let left = ends.map(|ends| ends.saturating_duration_since(now));
            tracing::warn!(?left, error = failure.message, "an identity could not be renewed yet");
        }
    }

    /// Whether the source may be looked at again.
    fn may_look(&mut self, now: Instant) -> bool {
        let due =
            self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK_EVERY);
        if due {
            self.looked = Some(now);
        }
        due
    }
}

impl Principal for Renewing {
    fn current(&self) -> Option<Arc<Identity>> {
        self.held()
    }

    fn identity(&self) -> Identified<'_> {
        Box::pin(self.obtain())
    }

    fn refresh(&self) -> bool {
        self.refused()
    }

    fn advice(&self) -> String {
        self.0.source.advice()
    }

    fn standing(&self) -> Placed<'_> {
        Box::pin(async {
            self.obtain().await?;
            let tenancy = self.0.state().held.as_ref().and_then(|held| held.tenancy.clone());
            Ok(Standing { region: self.0.source.region().await?, tenancy })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
    use storescope_sign::PrivateKey;
    use tokio::sync::Semaphore;
    use zeroize::Zeroizing;

    /// Counts fetches, each of which needs a permit.
    #[derive(Debug)]
    struct Counting {
        key: PrivateKey,
        fetched: Arc<AtomicU64>,
        failing: Arc<AtomicBool>,
        permits: Arc<Semaphore>,
        left: Option<Duration>,
    }

    impl Source for Counting {
        fn fetch(&self) -> Fetching<'_> {
            Box::pin(async {
                let number = self.fetched.fetch_add(1, Relaxed) + 1;
                self.permits.acquire().await.unwrap().forget();
                if self.failing.load(Relaxed) {
                    return Err(Failure::new(ErrorKind::Connect).message("down"));
                }
                let key_id = Zeroizing::new(format!("ST${number}"));
                let identity = Identity { key_id, key: self.key.clone(), delegation: None };
                let (left, identity) = (self.left, Arc::new(identity));
                Ok(Fetched { identity, left, half: false, tenancy: None })
            })
        }

        fn advice(&self) -> String {
            "advice".to_owned()
        }
    }

    struct World {
        principal: Renewing,
        fetched: Arc<AtomicU64>,
        failing: Arc<AtomicBool>,
        permits: Arc<Semaphore>,
    }

    fn world(left: Option<Duration>, permits: usize) -> World {
        let (fetched, failing) = (Arc::default(), Arc::default());
        let permits = Arc::new(Semaphore::new(permits));
        let source = Counting {
            key: PrivateKey::generate(2048).unwrap(),
            fetched: Arc::clone(&fetched),
            failing: Arc::clone(&failing),
            permits: Arc::clone(&permits),
            left,
        };
        World { principal: Renewing::new(Box::new(source)), fetched, failing, permits }
    }

    impl World {
        fn fetched(&self) -> u64 {
            self.fetched.load(Relaxed)
        }

        /// The key id that requests are signed with now, where nothing is waited for.
        fn held(&self) -> Option<String> {
            self.principal.current().map(|identity| identity.key_id.to_string())
        }
    }

    const TWENTY: Option<Duration> = Some(Duration::from_mins(20));

    /// Lets tasks run for so long.
    async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_renewed_ahead_of_its_end_without_being_asked() {
        let world = world(TWENTY, 100);
        assert!(world.held().is_none());
        world.principal.identity().await.unwrap();
        pass(Duration::from_secs(899)).await;
        assert_eq!((world.fetched(), world.held().as_deref()), (1, Some("ST$1")));
        pass(Duration::from_secs(2)).await;
        assert_eq!((world.fetched(), world.held().as_deref()), (2, Some("ST$2")));
        pass(Duration::from_hours(1)).await;
        assert_eq!(world.fetched(), 6, "each quarter of an hour");
        assert!(world.held().is_some(), "nobody waits");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_renewal_and_those_who_must_share_one() {
        let world = world(TWENTY, 1);
        world.principal.identity().await.unwrap();
        pass(Duration::from_mins(16)).await;
        assert_eq!(world.fetched(), 2, "under way");
        assert_eq!(world.held().as_deref(), Some("ST$1"), "the old one serves meanwhile");
        pass(Duration::from_mins(5)).await;
        assert!(world.held().is_none(), "it has ended");
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let principal = world.principal.clone();
                tokio::spawn(async move { principal.identity().await.unwrap().key_id.to_string() })
            })
            .collect();
        pass(Duration::from_secs(1)).await;
        let began = world.fetched();
        world.permits.add_permits(100);
        for one in waiting {
            assert!(one.await.unwrap().as_str() >= "ST$2");
        }
        assert_eq!(world.fetched(), began, "one fetch serves all");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_outlives_its_waiters() {
        let world = world(TWENTY, 0);
        let waited = tokio::time::timeout(Duration::from_secs(1), world.principal.identity()).await;
        assert!(waited.is_err() && world.fetched() == 1);
        world.permits.add_permits(1);
        let identity = world.principal.identity().await.unwrap();
        assert_eq!((world.fetched(), identity.key_id.as_str()), (1, "ST$1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_fails_is_repeated_while_the_old_one_serves() {
        let world = world(TWENTY, 1000);
        world.principal.identity().await.unwrap();
        world.failing.store(true, Relaxed);
        pass(Duration::from_mins(19)).await;
        let tried = world.fetched();
        assert!((5..20).contains(&tried), "{tried}");
        assert_eq!(world.held().as_deref(), Some("ST$1"));
        world.failing.store(false, Relaxed);
        pass(Duration::from_mins(1)).await;
        assert_ne!(world.held().as_deref(), Some("ST$1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_reaches_all_who_wait_and_the_next_call_asks_again() {
        let world = world(TWENTY, 100);
        world.failing.store(true, Relaxed);
        assert_eq!(world.principal.identity().await.unwrap_err().kind, ErrorKind::Connect);
        pass(Duration::from_mins(10)).await;
        assert_eq!(world.fetched(), 1, "nobody asks");
        world.failing.store(false, Relaxed);
        world.principal.identity().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_identity_is_fetched_anew_once() {
        let world = world(None, 100);
        world.principal.identity().await.unwrap();
        pass(Duration::from_hours(100)).await;
        assert_eq!(world.fetched(), 1, "it never ends");
        assert!(world.principal.refresh() && world.held().is_none());
        assert!(world.principal.refresh(), "others hear of it too, before it is fetched");
        assert_eq!(world.principal.identity().await.unwrap().key_id.as_str(), "ST$2");
        assert!(!world.principal.refresh(), "the new one is refused as well");
        assert_eq!(world.held().as_deref(), Some("ST$2"));
        pass(PAUSE).await;
        assert!(world.principal.refresh(), "later, it may have been revoked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_keeper_ends_with_its_principal() {
        let world = world(TWENTY, 100);
        world.principal.identity().await.unwrap();
        let keeper = world.principal.0.state().keeper.clone().unwrap();
        drop(world.principal);
        pass(Duration::from_secs(1)).await;
        assert!(keeper.is_finished());
        pass(Duration::from_hours(1)).await;
        assert_eq!(world.fetched.load(Relaxed), 1);
    }

    #[test]
    fn a_runtime_that_ended_leaves_nobody_waiting() {
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = world(TWENTY, 0);
        let first = runtime();
        let waiting = world.principal.clone();
        first.block_on(async {
            let begun = tokio::spawn(async move { waiting.identity().await });
            while world.fetched() == 0 {
                tokio::task::yield_now().await;
            }
            begun.abort();
        });
        // Not driven any more, and not ended either.
        world.permits.add_permits(100);
        let identity = runtime().block_on(world.principal.identity()).unwrap();
        assert_eq!(identity.key_id.as_str(), "ST$2");
        drop(first);
    }
}
