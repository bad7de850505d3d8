// SPDX-License-Identifier: Apache-2.0
//! The operations that write. What a failed one may have done is remembered as such, until the name is read.

use super::model::Body;
use super::shared::Trouble;
use super::worker::{Step, Worker};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use storescope::{
    CopyOptions, DeleteOptions, Error, ErrorKind, GetOptions, ObjectMeta, PutMode, PutOptions,
    RenameOptions, Result, Upload,
};
use tokio::time::timeout;

/// Parts of an object that is written by parts, at most.
const PARTS: u64 = 3;

impl Worker {
    /// A write has ended: the name stands for what it made, or may do so.
    fn wrote(&mut self, slot: usize, body: Body, ended: Result<ObjectMeta>) -> Step {
        let at = &mut self.slots[slot];
        let meta = match ended {
            Ok(meta) => meta,
            Err(error) => {
                at.belief.may_be(Some(body));
                at.may_leave_upload = true;
                return Err(error.into());
            }
        };
        at.belief.is(Some(body));
        if meta.size != body.size {
            let why = format!("{} bytes are told of {} that were written", meta.size, body.size);
            return Err(Trouble::Wrong(why));
        }
        self.shared.tally.written.fetch_add(body.size, Relaxed);
        Ok(true)
    }

    pub(super) async fn put(&mut self) -> Step {
        let Some(slot) = self.pick_free() else { return Ok(false) };
        let size = self.size();
        self.put_at(slot, size, PutMode::Overwrite).await
    }

    async fn put_at(&mut self, slot: usize, size: u64, mode: PutMode) -> Step {
        let body = self.body(slot, size);
        let (store, key) = self.at(slot);
        let put = store.put(&key, body.bytes(), PutOptions::new().mode(mode)).await;
        self.wrote(slot, body, put)
    }

    /// An object that is only written and read as a whole, and whose bytes may come flipped: its checksum tells.
    pub(super) async fn whole(&mut self) -> Step {
        let Some(slot) = self.pick(|slot| slot.whole && !slot.belief.frozen) else {
            return Ok(false);
        };
        if self.slots[slot].belief.there().is_none() || self.rng.u32(0..4) == 0 {
            let size = self.rng.u64(16..64 << 10);
            return self.put_at(slot, size, PutMode::Overwrite).await;
        }
        let (store, key) = self.at(slot);
        let bytes = store.get(&key, GetOptions::new()).await?.bytes().await?;
        self.slots[slot].belief.observe(Some(&bytes)).map_err(Trouble::Wrong)?;
        self.shared.tally.read.fetch_add(bytes.len() as u64, Relaxed);
        Ok(true)
    }

    /// A write that must not replace anything.
    pub(super) async fn create(&mut self) -> Step {
        let Some(slot) = self.pick(|slot| !slot.whole && slot.belief.known().is_some()) else {
            return Ok(false);
        };
        let is_there = self.slots[slot].belief.there().is_some();
        let size = self.size();
        let body = self.body(slot, size);
        let (store, key) = self.at(slot);
        let options = PutOptions::new().mode(PutMode::Create);
        let created = store.put(&key, body.bytes(), options).await;
        match created {
            Ok(_) if is_there => Err(Trouble::Wrong("it replaced what was there".to_owned())),
            Err(error) if is_there && error.kind() == ErrorKind::AlreadyExists => Ok(true),
            // What is there is not replaced, whatever the error.
            Err(error) if is_there => Err(error.into()),
            created => self.wrote(slot, body, created),
        }
    }

    /// A write that replaces one version alone.
    pub(super) async fn update(&mut self) -> Step {
        let Some(slot) = self.pick(|slot| !slot.whole && slot.belief.there().is_some()) else {
            return Ok(false);
        };
        let (store, key) = self.at(slot);
        let Some(etag) = store.head(&key).await?.etag else {
            return Err(Trouble::Wrong("it has no entity tag".to_owned()));
        };
        let size = self.size();
        self.put_at(slot, size, PutMode::Update(etag)).await
    }

    /// A write that its caller drops: it may take effect later, so that the name is left alone in this round.
    pub(super) async fn cancel_write(&mut self) -> Step {
        let Some(slot) = self.pick_free() else { return Ok(false) };
        let (size, after) = (self.size(), Duration::from_micros(self.rng.u64(0..10_000)));
        let body = self.body(slot, size);
        let (store, key) = self.at(slot);
        match timeout(after, store.put(&key, body.bytes(), PutOptions::new())).await {
            Ok(put) => self.wrote(slot, body, put),
            Err(_) => {
                let belief = &mut self.slots[slot].belief;
                belief.may_be(Some(body));
                belief.frozen = true;
                Ok(true)
            }
        }
    }

    /// The bytes of a body in pieces of any size.
    fn pieces(&mut self, body: Body) -> Vec<Bytes> {
        let (mut pieces, mut at) = (Vec::new(), 0);
        while at < body.size {
            let end = (at + self.rng.u64(1..=300 << 10)).min(body.size);
            pieces.push(body.part(at, end));
            at = end;
        }
        pieces
    }

    /// A write by parts: finished, or aborted at its end.
    pub(super) async fn multipart(&mut self) -> Step {
        let Some(slot) = self.pick_free() else { return Ok(false) };
        let part = self.side(slot).part_size;
        let size = self.rng.u64(part..PARTS * part);
        let body = self.body(slot, size);
        let pieces = self.pieces(body);
        let aborts = self.rng.u32(0..6) == 0;
        let (store, key) = self.at(slot);
        let mut writer = store.writer(&key, PutOptions::new());
        for piece in pieces {
            if let Err(error) = writer.write(piece).await {
                return self.failed(slot, error);
            }
        }
        if !aborts {
            let made = writer.finish().await;
            return self.wrote(slot, body, made);
        }
        match writer.abort().await {
            Ok(()) => Ok(true),
            Err(error) => self.failed(slot, error),
        }
    }

    /// A write failed before it could make an object.
    fn failed(&mut self, slot: usize, error: Error) -> Step {
        self.slots[slot].may_leave_upload = true;
        Err(error.into())
    }

    /// A write by parts that is dropped half-way: what was there stays, and its upload is aborted.
    pub(super) async fn abandon(&mut self) -> Step {
        let Some(slot) = self.pick_free() else { return Ok(false) };
        let part = self.side(slot).part_size;
        let size = self.rng.u64(part + 1..PARTS * part);
        let body = self.body(slot, size);
        let pieces = self.pieces(body);
        let (store, key) = self.at(slot);
        let mut writer = store.writer(&key, PutOptions::new());
        for piece in pieces {
            if let Err(error) = writer.write(piece).await {
                return self.failed(slot, error);
            }
        }
        drop(writer);
        Ok(true)
    }

    /// A write by parts whose steps are calls of their own.
    pub(super) async fn upload(&mut self) -> Step {
        let Some(slot) = self.pick_free() else { return Ok(false) };
        let count = self.rng.u32(1..=4);
        let sizes: Vec<u64> = (0..count).map(|_| self.rng.u64(1..200 << 10)).collect();
        let body = self.body(slot, sizes.iter().sum());
        // Of a begin whose answer was lost, a warning names the upload that may be left.
        self.slots[slot].may_leave_upload = true;
        let (store, key) = self.at(slot);
        let upload = match store.begin_upload(&key, PutOptions::new()).await {
            Ok(upload) => upload,
            Err(error) => return self.failed(slot, error),
        };
        let (mut parts, mut at) = (Vec::new(), 0);
        for (number, size) in (1..).zip(sizes) {
            match store.put_part(&upload, number, body.part(at, at + size)).await {
                Ok(part) => parts.push(part),
                Err(error) => return self.given_up(slot, &upload, error).await,
            }
            at += size;
        }
        match store.complete_upload(&upload, parts).await {
            Ok(made) => self.wrote(slot, body, Ok(made)),
            Err(error) => {
                self.slots[slot].belief.may_be(Some(body));
                self.given_up(slot, &upload, error).await
            }
        }
    }

    /// Aborts an upload that could not be gone on with.
    async fn given_up(&mut self, slot: usize, upload: &Upload, error: Error) -> Step {
        let (store, _) = self.at(slot);
        // What is left of it is found between the rounds.
        let _ = store.abort_upload(upload).await;
        self.failed(slot, error)
    }

    pub(super) async fn copy(&mut self) -> Step {
        let Some(from) = self.pick(|slot| !slot.whole && slot.belief.there().is_some()) else {
            return Ok(false);
        };
        let side = self.slots[from].side;
        self.copy_to(from, side).await
    }

    pub(super) async fn copy_across(&mut self) -> Step {
        let Some(from) = self.pick(|slot| !slot.whole && slot.belief.there().is_some()) else {
            return Ok(false);
        };
        let others = self.shared.sides.len();
        let side = (self.slots[from].side + 1) % others;
        if others < 2 { Ok(false) } else { self.copy_to(from, side).await }
    }

    async fn copy_to(&mut self, from: usize, side: usize) -> Step {
        let key = self.slots[from].key.clone();
        let own = self.slots[from].side;
        let to = self.pick(|slot| {
            slot.side == side
                && !slot.whole
                && !slot.belief.frozen
                && (slot.side != own || slot.key != key)
        });
        let (Some(to), Some(body)) = (to, self.slots[from].belief.there()) else {
            return Ok(false);
        };
        let (target, name) = self.at(to);
        let (store, _) = self.at(from);
        self.about = format!("{} to {}:{name}", self.about, self.side(to).name);
        let copied = store.copy(&key, (&target, &name), CopyOptions::new()).await;
        self.wrote(to, body, copied)
    }

    pub(super) async fn rename(&mut self) -> Step {
        let Some(from) = self.pick(|slot| !slot.whole && slot.belief.there().is_some()) else {
            return Ok(false);
        };
        let (side, key) = (self.slots[from].side, self.slots[from].key.clone());
        let to = self.pick(|slot| {
            slot.side == side && !slot.whole && !slot.belief.frozen && slot.key != key
        });
        let (Some(to), Some(body)) = (to, self.slots[from].belief.there()) else {
            return Ok(false);
        };
        let (store, _) = self.at(from);
        let name = self.slots[to].key.clone();
        self.about = format!("{} to {name}", self.about);
        let renamed = store.rename(&key, &name, RenameOptions::new()).await;
        match &renamed {
            Ok(_) => self.slots[from].belief.is(None),
            Err(_) => self.slots[from].belief.may_be(None),
        }
        self.wrote(to, body, renamed)
    }

    pub(super) async fn delete(&mut self) -> Step {
        let Some(slot) = self.pick(|slot| slot.belief.known().is_some()) else {
            return Ok(false);
        };
        let (store, key) = self.at(slot);
        let deleted = store.delete(&key, DeleteOptions::new()).await;
        self.deleted(slot, deleted)
    }

    /// A removal has ended. Of what was not there, OCI says so, and S3 does not.
    fn deleted(&mut self, slot: usize, ended: Result<()>) -> Step {
        let belief = &mut self.slots[slot].belief;
        match ended {
            Ok(()) => belief.is(None),
            Err(error) if error.is_not_found() => {
                if !belief.allows(None) {
                    return Err(Trouble::Wrong(format!("it is told to be gone: it is {belief}")));
                }
                belief.is(None);
            }
            Err(error) => {
                belief.may_be(None);
                return Err(error.into());
            }
        }
        Ok(true)
    }

    pub(super) async fn delete_many(&mut self) -> Step {
        let Some(first) = self.pick_free() else { return Ok(false) };
        let side = self.slots[first].side;
        let mut slots: Vec<usize> = (0..self.slots.len())
            .filter(|&at| self.slots[at].side == side && !self.slots[at].belief.frozen)
            .collect();
        self.rng.shuffle(&mut slots);
        slots.truncate(self.rng.usize(1..=4));
        let keys: Vec<String> = slots.iter().map(|&at| self.slots[at].key.clone()).collect();
        let (store, _) = self.at(first);
        self.about = format!("{}:{}", self.side(first).name, keys.join(" "));
        let results: Vec<_> = store.delete_many(stream::iter(keys.clone()).boxed()).collect().await;
        let answered: Vec<&String> = results.iter().map(|(key, _)| key).collect();
        if answered != keys.iter().collect::<Vec<_>>() {
            return Err(Trouble::Wrong(format!("the answers are of {answered:?}")));
        }
        let mut ended = Ok(true);
        for (slot, (_, deleted)) in slots.into_iter().zip(results) {
            let this = self.deleted(slot, deleted);
            ended = ended.and(this);
        }
        ended
    }
}
