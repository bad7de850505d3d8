// SPDX-License-Identifier: Apache-2.0
//! A worker: names of its own in each store, one operation after another, drawn by its seed. Nobody else writes its names,
//! so what they stand for is known whatever the others do. `reads.rs` and `writes.rs` have the operations.

use super::faults::WHOLE;
use super::model::{Belief, Body};
use super::shared::{Common, Shared, Side, Trouble};
use fastrand::Rng;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use storescope::Store;
use tokio::time::{Instant, timeout};

/// No operation takes as long, whatever happens to it: the longest wait of a request is some seconds, and there are eight.
const PATIENCE: Duration = Duration::from_mins(3);

/// What names end in: characters that a path, a query or a document would take for its own, and neighbours in order.
const ENDINGS: [&str; 12] = [
    "a",
    "a b",
    "a+b",
    "%2F",
    "d//e",
    "t/../u",
    "q?r&s=t",
    "n#m",
    "\u{e9}\u{4e2d}",
    "<&\">",
    "~!$'()*,;:@=",
    "z",
];

/// What an operation came to: whether there was anything to do.
pub(super) type Step = Result<bool, Trouble>;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Get,
    Range,
    Ranges,
    Stream,
    Readahead,
    CancelRead,
    Whole,
    Head,
    List,
    Absent,
    Put,
    Create,
    Update,
    CancelWrite,
    Multipart,
    Upload,
    Abandon,
    Copy,
    CopyAcross,
    Rename,
    Delete,
    DeleteMany,
}

/// How often each is drawn, in relation to the others.
const MIX: [(Op, &str, u32); 22] = [
    (Op::Get, "get", 14),
    (Op::Range, "range", 14),
    (Op::Ranges, "ranges", 8),
    (Op::Stream, "stream", 6),
    (Op::Readahead, "readahead", 6),
    (Op::CancelRead, "cancelled read", 3),
    (Op::Whole, "whole", 5),
    (Op::Head, "head", 4),
    (Op::List, "list", 5),
    (Op::Absent, "absent", 2),
    (Op::Put, "put", 12),
    (Op::Create, "create", 3),
    (Op::Update, "update", 3),
    (Op::CancelWrite, "cancelled write", 1),
    (Op::Multipart, "multipart", 3),
    (Op::Upload, "upload", 1),
    (Op::Abandon, "abandoned write", 1),
    (Op::Copy, "copy", 4),
    (Op::CopyAcross, "copy across", 1),
    (Op::Rename, "rename", 4),
    (Op::Delete, "delete", 4),
    (Op::DeleteMany, "delete many", 2),
];

/// One name in one store.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) side: usize,
    pub(super) key: String,
    pub(super) belief: Belief,
    /// It is read whole alone, since its bytes may come flipped.
    pub(super) whole: bool,
    /// A write of it failed in this round: its upload may be left.
    pub(super) may_leave_upload: bool,
}

/// A worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) rng: Rng,
    pub(super) slots: Vec<Slot>,
    number: usize,
    /// Bodies that were made so far: each has bytes of its own.
    made: u64,
    /// What the operation under way is about.
    pub(super) about: String,
}

/// An object to be read, and what it holds.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) store: Store,
    pub(super) key: String,
    pub(super) body: Body,
}

impl Worker {
    pub(super) fn new(shared: &Arc<Shared>, number: usize) -> Worker {
        let names = |side| {
            let plain = ENDINGS.map(|ending| (format!("w{number}/{ending}"), false));
            let whole = [0, 1].map(|index| (format!("w{number}{WHOLE}{index}"), true));
            plain.into_iter().chain(whole).map(move |(key, whole)| Slot {
                side,
                key,
                belief: Belief::absent(),
                whole,
                may_leave_upload: false,
            })
        };
        Worker {
            slots: (0..shared.sides.len()).flat_map(names).collect(),
            rng: Rng::with_seed(shared.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number as u64),
            shared: Arc::clone(shared),
            number,
            made: 0,
            about: String::new(),
        }
    }

    /// What all its names begin with.
    pub(super) fn prefix(&self) -> String {
        format!("w{}/", self.number)
    }

    /// Does one operation after another.
    pub(super) async fn work(mut self, until: Instant) -> Worker {
        while Instant::now() < until && !self.shared.stopped.load(Relaxed) {
            let (op, name) = self.draw();
            self.about.clear();
            let ended = match timeout(PATIENCE, self.perform(op)).await {
                Ok(Ok(true)) => Ok(()),
                Ok(Ok(false)) => continue,
                Ok(Err(trouble)) => Err(trouble),
                Err(_) => Err(Trouble::Wrong(format!("it did not end within {PATIENCE:?}"))),
            };
            self.shared.tally.ended(name, &self.about, ended);
        }
        self
    }

    fn draw(&mut self) -> (Op, &'static str) {
        let all: u32 = MIX.iter().map(|(_, _, weight)| weight).sum();
        let mut at = self.rng.u32(0..all);
        for (op, name, weight) in MIX {
            if at < weight {
                return (op, name);
            }
            at -= weight;
        }
        (Op::Get, "get")
    }

    async fn perform(&mut self, op: Op) -> Step {
        match op {
            Op::Get => self.get().await,
            Op::Range => self.range().await,
            Op::Ranges => self.ranges().await,
            Op::Stream => self.stream().await,
            Op::Readahead => self.readahead().await,
            Op::CancelRead => self.cancel_read().await,
            Op::Whole => self.whole().await,
            Op::Head => self.head().await,
            Op::List => self.list().await,
            Op::Absent => self.absent().await,
            Op::Put => self.put().await,
            Op::Create => self.create().await,
            Op::Update => self.update().await,
            Op::CancelWrite => self.cancel_write().await,
            Op::Multipart => self.multipart().await,
            Op::Upload => self.upload().await,
            Op::Abandon => self.abandon().await,
            Op::Copy => self.copy().await,
            Op::CopyAcross => self.copy_across().await,
            Op::Rename => self.rename().await,
            Op::Delete => self.delete().await,
            Op::DeleteMany => self.delete_many().await,
        }
    }

    pub(super) fn side(&self, slot: usize) -> &Side {
        &self.shared.sides[self.slots[slot].side]
    }

    /// The store and the name of a slot, which is what the operation is about.
    pub(super) fn at(&mut self, slot: usize) -> (Store, String) {
        let (side, key) = (self.side(slot), self.slots[slot].key.clone());
        let store = side.store.clone();
        self.about = format!("{}:{key}", side.name);
        (store, key)
    }

    /// A slot of those for which this holds.
    pub(super) fn pick(&mut self, wanted: impl Fn(&Slot) -> bool) -> Option<usize> {
        let fit: Vec<usize> = (0..self.slots.len()).filter(|&at| wanted(&self.slots[at])).collect();
        self.rng.choice(fit)
    }

    /// A slot that may be written: no write of it may still take effect.
    pub(super) fn pick_free(&mut self) -> Option<usize> {
        self.pick(|slot| !slot.whole && !slot.belief.frozen)
    }

    /// An object of so many bytes at least.
    pub(super) fn sight(&mut self, least: u64) -> Option<Sight> {
        let own = self
            .pick(|slot| !slot.whole && slot.belief.there().is_some_and(|body| body.size >= least));
        if let (Some(slot), false) = (own, self.rng.u32(0..5) < 2) {
            let body = self.slots[slot].belief.there()?;
            let (store, key) = self.at(slot);
            return Some(Sight { store, key, body });
        }
        let fit = self.shared.common.iter().filter(|common| common.body.size >= least);
        let Common { side, key, body } = self.rng.choice(fit.collect::<Vec<_>>())?.clone();
        let side = &self.shared.sides[side];
        self.about = format!("{}:{key}", side.name);
        Some(Sight { store: side.store.clone(), key, body })
    }

    /// New bytes for a slot.
    pub(super) fn body(&mut self, slot: usize, size: u64) -> Body {
        self.made += 1;
        let label = format!("{}:{}#{}", self.slots[slot].side, self.slots[slot].key, self.made);
        Body::new(self.shared.seed, &label, size)
    }

    /// The size of an object of one request.
    pub(super) fn size(&mut self) -> u64 {
        match self.rng.u32(0..20) {
            0 => 0,
            1 => 1,
            2..=15 => self.rng.u64(2..64 << 10),
            _ => self.rng.u64(64 << 10..1 << 20),
        }
    }

    /// Bytes that were read, and compared.
    pub(super) fn compared(&self, sight: &Sight, from: u64, to: u64, bytes: &[u8]) -> Step {
        if let Some(why) = sight.body.wrong(from, to, bytes) {
            return Err(Trouble::Wrong(format!("wrong bytes of {from}..{to}: {why}")));
        }
        self.shared.tally.read.fetch_add(bytes.len() as u64, Relaxed);
        Ok(true)
    }

    /// Names of which a write of this round may have left an upload, with their sides; forgets them.
    pub(super) fn may_leave_uploads(&mut self) -> BTreeSet<(usize, String)> {
        let left = self.slots.iter_mut().filter_map(|slot| {
            std::mem::take(&mut slot.may_leave_upload).then(|| (slot.side, slot.key.clone()))
        });
        left.collect()
    }
}
