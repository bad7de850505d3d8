// SPDX-License-Identifier: Apache-2.0
//! Who may send a read, and hold its bytes: one budget of bytes and one limit of requests for the process.
//!
//! ```text
//!  demand ── fits? ──▶ Permit { bytes, request }            what is not asked for any more makes room first:
//!     └─ else in line, first come first served ◀────────────  blocks that were read, then the oldest unread ones
//!  readahead ── fits, nobody in line, within its share? ──▶ Permit, else nothing: it asks again when something ends
//! ```
//!
//! It promises: the bytes of all permits are never more than the budget; a demand waits only for demands before it, for
//! what is under way, and for a second where callers who have stopped reading hold the rest: what they left lying is
//! dropped then, and fetched again if they go on. A throttled store (429, 503) halves the limit of requests at most once
//! in a while; requests that end well raise it again, one by one. Readahead goes no wider than the path takes
//! (`width.rs`).

use super::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, oneshot, timeout};
use super::width::Width;
use crate::timing::{Gauges, now_ns};
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Readahead holds at most this share of the budget, so that demands find room.
const AHEAD_SHARE: (u64, u64) = (15, 16);
/// The limit of requests is halved at most this often, in nanoseconds: one throttled moment is one reason.
const CALM_NS: u64 = 100_000_000;
/// Bytes that their caller has not come for in this time, in nanoseconds, make room for those who wait.
const STALE_NS: u64 = 1_000_000_000;
/// The limit of requests never falls below.
const LEAST_REQUESTS: f64 = 4.0;

/// What can be dropped to make room.
pub(crate) trait Evict: Send + Sync {
    /// Drops itself if nobody needs it at the moment.
    fn evict(&self);

    /// Drops itself although somebody needs it, if nobody has looked at it since `before`, a time of `now_ns`.
    fn evict_stale(&self, before: u64);
}

/// What a block that no reader needs is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// All of it was read, and may be read again: it goes first.
    Read,
    /// A reader may still come for its bytes.
    Unread,
}

#[derive(Debug)]
pub(crate) struct Admission {
    budget: u64,
    most_requests: f64,
    gauges: Arc<Gauges>,
    books: Mutex<Books>,
}

struct Books {
    held: u64,
    ahead: u64,
    most_held: u64,
    running: u32,
    /// Those of them that read ahead.
    running_ahead: u32,
    width: Width,
    limit: f64,
    calmed: u64,
    line: VecDeque<(u64, oneshot::Sender<Permit>)>,
    read: VecDeque<Weak<dyn Evict>>,
    unread: VecDeque<Weak<dyn Evict>>,
    /// All that have arrived.
    there: Vec<Weak<dyn Evict>>,
}

/// Leave to send one request and to hold so many bytes. Dropped, both are free.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    bytes: u64,
    ahead: bool,
    running: bool,
}

/// A permit, or a place in the line.
#[derive(Debug)]
pub(crate) enum Ticket {
    Now(Permit),
    Later(Turn),
}

/// A place in the line.
#[derive(Debug)]
pub(crate) struct Turn {
    admission: Arc<Admission>,
    permit: oneshot::Receiver<Permit>,
}

impl Turn {
    /// The permit, when it is there; `None` if the process ends.
    pub(crate) async fn admitted(mut self) -> Option<Permit> {
        loop {
            match timeout(Duration::from_nanos(STALE_NS), &mut self.permit).await {
                Ok(permit) => return permit.ok(),
                Err(_) => self.admission.reclaim_stale(now_ns().saturating_sub(STALE_NS)),
            }
        }
    }
}

impl Admission {
    pub(crate) fn new(budget: u64, requests: u32, gauges: &Arc<Gauges>) -> Arc<Admission> {
        let most_requests = f64::from(requests).max(LEAST_REQUESTS);
        let books = Books {
            held: 0,
            ahead: 0,
            most_held: 0,
            running: 0,
            running_ahead: 0,
            width: Width::new(most_requests),
            limit: most_requests,
            calmed: 0,
            line: VecDeque::new(),
            read: VecDeque::new(),
            unread: VecDeque::new(),
            there: Vec::new(),
        };
        let books = Mutex::new(books);
        Arc::new(Admission { budget, most_requests, gauges: Arc::clone(gauges), books })
    }

    /// The budget, in bytes.
    pub(crate) fn budget(&self) -> u64 {
        self.budget
    }

    /// Bytes held now, and held at most so far.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (u64, u64) {
        let books = self.books();
        (books.held, books.most_held)
    }

    /// What readahead may hold, in bytes.
    pub(crate) fn ahead_share(&self) -> u64 {
        self.budget / AHEAD_SHARE.1 * AHEAD_SHARE.0
    }

    /// For a read that somebody waits for. It is at most the budget.
    pub(crate) fn demand(self: &Arc<Self>, bytes: u64) -> Ticket {
        let bytes = bytes.min(self.budget);
        let mut books = self.books();
        if books.line.is_empty() && self.fits(&books, bytes) {
            return Ticket::Now(self.grant(&mut books, bytes, false));
        }
        let (tell, permit) = oneshot::channel();
        books.line.push_back((bytes, tell));
        drop(books);
        self.make_room();
        Ticket::Later(Turn { admission: Arc::clone(self), permit })
    }

    /// For a read that nobody waits for yet.
    pub(crate) fn ahead(self: &Arc<Self>, bytes: u64) -> Option<Permit> {
        let mut books = self.books();
        let fits = books.line.is_empty()
            && self.fits(&books, bytes)
            && books.ahead + bytes <= self.ahead_share();
        let running = books.running_ahead;
        let fits = fits && books.width.admits(running);
        fits.then(|| self.grant(&mut books, bytes, true))
    }

    /// A block is there and nobody waits for it: it may go when room is needed.
    pub(crate) fn idle(self: &Arc<Self>, block: Weak<dyn Evict>, idle: Idle) {
        let mut books = self.books();
        let line = !books.line.is_empty();
        let idle = match idle {
            Idle::Read => &mut books.read,
            Idle::Unread => &mut books.unread,
        };
        idle.push_back(block);
        // What was read meanwhile, or whose reader is gone, need not be remembered.
        if idle.len().is_multiple_of(64) {
            idle.retain(|block| block.strong_count() > 0);
        }
        drop(books);
        if line {
            self.make_room();
        }
    }

    /// A block has arrived.
    pub(crate) fn arrived(&self, block: Weak<dyn Evict>) {
        let there = &mut self.books().there;
        if there.len() == there.capacity() {
            there.retain(|block| block.strong_count() > 0);
        }
        there.push(block);
    }

    /// Drops what its callers have left lying since `before`.
    fn reclaim_stale(self: &Arc<Self>, before: u64) {
        let there = std::mem::take(&mut self.books().there);
        for block in there.iter().filter_map(Weak::upgrade) {
            block.evict_stale(before);
        }
        self.books().there.extend(there.into_iter().filter(|block| block.strong_count() > 0));
        self.make_room();
    }

    /// The store asked for less.
    pub(crate) fn throttled(&self, now: u64) {
        let mut books = self.books();
        if now >= books.calmed {
            books.limit = (books.limit / 2.0).max(LEAST_REQUESTS);
            books.calmed = now + CALM_NS;
        }
    }

    /// Drops what nobody needs, oldest first, until the first in line fits.
    fn make_room(self: &Arc<Self>) {
        loop {
            let idle = {
                let mut books = self.books();
                match books.line.front() {
                    Some((bytes, _)) if books.held + bytes > self.budget => {}
                    _ => break,
                }
                match books.read.pop_front() {
                    Some(idle) => idle,
                    None => match books.unread.pop_front() {
                        Some(idle) => idle,
                        None => break,
                    },
                }
            };
            if let Some(block) = idle.upgrade() {
                block.evict();
            }
        }
        self.serve();
    }

    /// Lets in whoever is next in line and fits.
    fn serve(self: &Arc<Self>) {
        let mut admitted = Vec::new();
        let mut books = self.books();
        while let Some((bytes, _)) = books.line.front() {
            if !self.fits(&books, *bytes) {
                break;
            }
            let Some((bytes, tell)) = books.line.pop_front() else { break };
            if !tell.is_closed() {
                admitted.push((tell, self.grant(&mut books, bytes, false)));
            }
        }
        drop(books);
        // One who has gone meanwhile gives it back, and the next is served.
        for (tell, permit) in admitted {
            drop(tell.send(permit));
        }
    }

    fn fits(&self, books: &Books, bytes: u64) -> bool {
        books.held + bytes <= self.budget && f64::from(books.running) < books.limit
    }

    fn grant(self: &Arc<Self>, books: &mut Books, bytes: u64, ahead: bool) -> Permit {
        books.held += bytes;
        books.most_held = books.most_held.max(books.held);
        self.gauges.read_held.store(books.held, Relaxed);
        books.running += 1;
        books.running_ahead += u32::from(ahead);
        books.ahead += if ahead { bytes } else { 0 };
        Permit { admission: Arc::clone(self), bytes, ahead, running: true }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The request has ended; its bytes stay.
    pub(crate) fn end_request(&mut self, well: bool) {
        if std::mem::take(&mut self.running) {
            let mut books = self.admission.books();
            books.running -= 1;
            if self.ahead {
                books.running_ahead -= 1;
                books.width.ended(self.bytes, now_ns());
            }
            if well {
                books.limit = (books.limit + 1.0).min(self.admission.most_requests);
            }
            drop(books);
            self.admission.make_room();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut books = self.admission.books();
        books.held -= self.bytes;
        self.admission.gauges.read_held.store(books.held, Relaxed);
        books.ahead -= if self.ahead { self.bytes } else { 0 };
        books.running -= u32::from(self.running);
        books.running_ahead -= u32::from(self.running && self.ahead);
        let line = !books.line.is_empty();
        drop(books);
        if line {
            self.admission.serve();
        }
    }
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Books")
            .field("held", &self.held)
            .field("running", &self.running)
            .field("in_line", &self.line.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(ticket: Ticket) -> Permit {
        match ticket {
            Ticket::Now(permit) => permit,
            Ticket::Later(..) => panic!("it does not fit"),
        }
    }

    fn turn(ticket: Ticket) -> oneshot::Receiver<Permit> {
        match ticket {
            Ticket::Now(_) => panic!("it fits"),
            Ticket::Later(turn) => turn.permit,
        }
    }

    #[test]
    fn first_come_first_served_and_never_above_the_budget() {
        let admission = Admission::new(100, 8, &Arc::default());
        let first = now(admission.demand(60));
        let mut large = turn(admission.demand(60));
        let mut small = turn(admission.demand(10));
        assert!(small.try_recv().is_err(), "it would fit, but it came later");
        assert!(admission.ahead(1).is_none(), "somebody is in line");
        drop(first);
        let (_large, _small) = (large.try_recv().unwrap(), small.try_recv().unwrap());
        assert_eq!(admission.held(), (70, 70));
    }

    #[test]
    fn who_leaves_the_line_holds_nobody_up() {
        let admission = Admission::new(100, 8, &Arc::default());
        let first = now(admission.demand(100));
        drop(turn(admission.demand(100)));
        let mut second = turn(admission.demand(100));
        drop(first);
        assert!(second.try_recv().is_ok());
    }

    #[test]
    fn readahead_has_its_share() {
        let admission = Admission::new(160, 8, &Arc::default());
        let ahead = admission.ahead(150).unwrap();
        assert!(admission.ahead(1).is_none());
        drop(now(admission.demand(10)));
        drop(ahead);
        assert_eq!(admission.held().0, 0);
    }

    #[test]
    fn a_throttled_store_is_asked_less_and_then_more_again() {
        let admission = Admission::new(100, 8, &Arc::default());
        admission.throttled(1_000_000_000);
        admission.throttled(1_000_000_001);
        let mut permits: Vec<_> = (0..4).map(|_| now(admission.demand(1))).collect();
        let mut fifth = turn(admission.demand(1));
        permits[0].end_request(true);
        assert!(fifth.try_recv().is_ok());
        permits[1].end_request(false);
        assert!(matches!(admission.demand(1), Ticket::Now(_)));
    }

    #[test]
    fn blocks_that_were_read_make_room_before_unread_ones() {
        struct Block(Mutex<Option<Permit>>);
        impl Evict for Block {
            fn evict(&self) {
                let permit = self.0.lock().unwrap().take();
                drop(permit);
            }

            fn evict_stale(&self, _: u64) {}
        }
        let admission = Admission::new(100, 8, &Arc::default());
        let block = || Arc::new(Block(Mutex::new(Some(now(admission.demand(50))))));
        let (unread, read): (Arc<dyn Evict>, Arc<dyn Evict>) = (block(), block());
        admission.idle(Arc::downgrade(&unread), Idle::Unread);
        admission.idle(Arc::downgrade(&read), Idle::Read);
        let mut turn = turn(admission.demand(30));
        let _permit = turn.try_recv().unwrap();
        assert_eq!(admission.held().0, 80);
        assert!(admission.books().read.is_empty() && admission.books().unread.len() == 1);
    }
}
