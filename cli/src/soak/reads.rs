// SPDX-License-Identifier: Apache-2.0
//! The operations that read.

use super::shared::Trouble;
use super::worker::{Sight, Step, Worker};
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use storescope::{GetOptions, ListEntry, ListOptions, ReadOptions, ReadPolicy};
use tokio::time::timeout;

/// Ranges of one call, at most.
const RANGES: usize = 12;
/// Bytes of one of them, at most.
const LONGEST: u64 = 96 << 10;

impl Worker {
    /// An object as a whole: in one piece, or as its bytes arrive.
    pub(super) async fn get(&mut self) -> Step {
        if let Some(slot) =
            self.pick(|slot| !slot.whole && !slot.belief.frozen && slot.belief.known().is_none())
        {
            return self.settle(slot).await;
        }
        let Some(sight) = self.sight(0) else { return Ok(false) };
        let got = sight.store.get(&sight.key, GetOptions::new()).await?;
        let size = sight.body.size;
        if got.range() != (0..size) || got.meta().size != size {
            return Err(Trouble::Wrong(format!("it is told to have {} bytes", got.meta().size)));
        }
        if self.rng.bool() {
            return self.compared(&sight, 0, size, &got.bytes().await?);
        }
        let (mut body, mut at) = (got.into_stream(), 0);
        while let Some(piece) = body.next().await {
            let piece = piece?;
            let end = at + piece.len() as u64;
            self.compared(&sight, at, end.min(size), &piece)?;
            at = end;
        }
        self.compared(&sight, at, size, &[])
    }

    /// Reads a name whose state is not known. From then on it is.
    pub(super) async fn settle(&mut self, slot: usize) -> Step {
        let (store, key) = self.at(slot);
        let read = match store.get(&key, GetOptions::new()).await {
            Ok(got) => Some(got.bytes().await?),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let length = read.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.slots[slot].belief.observe(read.as_deref()).map_err(Trouble::Wrong)?;
        self.shared.tally.read.fetch_add(length, Relaxed);
        Ok(true)
    }

    fn draw_range(&mut self, sight: &Sight) -> Range<u64> {
        let start = self.rng.u64(0..sight.body.size);
        start..start + self.rng.u64(1..=LONGEST)
    }

    pub(super) async fn range(&mut self) -> Step {
        let Some(sight) = self.sight(1) else { return Ok(false) };
        let range = self.draw_range(&sight);
        let options = GetOptions::new().range(range.clone());
        let got = sight.store.get(&sight.key, options).await?;
        let told = got.range();
        let end = range.end.min(sight.body.size);
        if told != (range.start..end) {
            return Err(Trouble::Wrong(format!("{range:?} of it is told to be {told:?}")));
        }
        self.compared(&sight, range.start, end, &got.bytes().await?)
    }

    /// Many ranges by one call, which may overlap.
    pub(super) async fn ranges(&mut self) -> Step {
        let Some(sight) = self.sight(1) else { return Ok(false) };
        let count = self.rng.usize(1..=RANGES);
        let ranges: Vec<_> = (0..count).map(|_| self.draw_range(&sight)).collect();
        let reader = sight.store.reader(&sight.key, ReadOptions::new());
        let mut stream = reader.read_ranges(&ranges);
        let mut came = vec![false; count];
        while let Some((number, bytes)) = stream.next().await {
            let range = &ranges[number];
            self.compared(&sight, range.start, range.end.min(sight.body.size), &bytes?)?;
            if std::mem::replace(&mut came[number], true) {
                return Err(Trouble::Wrong(format!("range {number} came twice")));
            }
        }
        if came.contains(&false) {
            return Err(Trouble::Wrong("a range never came".to_owned()));
        }
        Ok(true)
    }

    /// A range as a stream, which is sometimes left half-way.
    pub(super) async fn stream(&mut self) -> Step {
        let Some(sight) = self.sight(1) else { return Ok(false) };
        let size = sight.body.size;
        let (from, to) = match self.rng.u32(0..3) {
            0 => (0, size),
            1 => (self.rng.u64(0..size), size),
            _ => {
                let from = self.rng.u64(0..size);
                (from, self.rng.u64(from + 1..=size))
            }
        };
        let reader = sight.store.reader(&sight.key, ReadOptions::new());
        let mut stream = if to == size { reader.stream(from..) } else { reader.stream(from..to) };
        let leaves_at = if self.rng.u32(0..5) == 0 { self.rng.u64(from..to) } else { u64::MAX };
        let mut at = from;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes?;
            let end = at + bytes.len() as u64;
            self.compared(&sight, at, end.min(to), &bytes)?;
            at = end;
            if at > leaves_at {
                return Ok(true);
            }
        }
        self.compared(&sight, at, to, &[])
    }

    /// Blocks one after another, which the reader fetches ahead.
    pub(super) async fn readahead(&mut self) -> Step {
        let Some(sight) = self.sight(64 << 10) else { return Ok(false) };
        let policies = [ReadPolicy::Sequential, ReadPolicy::Adaptive, ReadPolicy::WholeFile];
        let policy = policies[self.rng.usize(0..policies.len())];
        let reader = sight.store.reader(&sight.key, ReadOptions::new().policy(policy));
        let block = self.rng.u64(4 << 10..=256 << 10);
        let mut at = self.rng.u64(0..sight.body.size / 2);
        let last = self.rng.u64(at..=sight.body.size);
        let mut room = vec![0; block as usize];
        while at < last {
            let end = (at + block).min(sight.body.size);
            if self.rng.bool() {
                let bytes = reader.read_at(at..at + block).await?;
                self.compared(&sight, at, end, &bytes)?;
            } else {
                let filled = reader.read_into(at, &mut room).await?;
                self.compared(&sight, at, end, &room[..filled])?;
            }
            at = end;
        }
        Ok(true)
    }

    /// A read that its caller drops.
    pub(super) async fn cancel_read(&mut self) -> Step {
        let Some(sight) = self.sight(1) else { return Ok(false) };
        let after = Duration::from_micros(self.rng.u64(0..5_000));
        let range = self.draw_range(&sight);
        let reader = sight.store.reader(&sight.key, ReadOptions::new());
        let (store, key) = (sight.store.clone(), sight.key.clone());
        let end = range.end.min(sight.body.size);
        let read = timeout(after, async {
            if range.start.is_multiple_of(2) {
                return reader.read_at(range.clone()).await;
            }
            store.get(&key, GetOptions::new().range(range.clone())).await?.bytes().await
        });
        match read.await {
            Ok(bytes) => self.compared(&sight, range.start, end, &bytes?),
            Err(_) => Ok(true),
        }
    }

    pub(super) async fn head(&mut self) -> Step {
        let Some(sight) = self.sight(0) else { return Ok(false) };
        let size = sight.store.head(&sight.key).await?.size;
        if size != sight.body.size {
            let why = format!("{size} bytes are told of {}", sight.body.size);
            return Err(Trouble::Wrong(why));
        }
        Ok(true)
    }

    /// A name under which there never was an object.
    pub(super) async fn absent(&mut self) -> Step {
        let side = self.rng.usize(0..self.shared.sides.len());
        let (store, key) =
            (self.shared.sides[side].store.clone(), format!("{}none", self.prefix()));
        self.about = format!("{}:{key}", self.shared.sides[side].name);
        let read = if self.rng.bool() {
            store.head(&key).await.map(|_| ())
        } else {
            store.get(&key, GetOptions::new()).await.map(|_| ())
        };
        match read {
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) => Err(error.into()),
            Ok(()) => Err(Trouble::Wrong("an object that nobody made".to_owned())),
        }
    }

    /// The worker's names in one store, by pages of any size.
    pub(super) async fn list(&mut self) -> Step {
        let side = self.rng.usize(0..self.shared.sides.len());
        let store = self.shared.sides[side].store.clone();
        self.about = format!("{}:{}", self.shared.sides[side].name, self.prefix());
        let options = ListOptions::new().page_size(self.rng.u32(2..30));
        let mut found = BTreeMap::new();
        let mut entries = store.list(&self.prefix(), options);
        while let Some(entry) = entries.next().await {
            if let ListEntry::Object(meta) = entry? {
                found.insert(meta.key, meta.size);
            }
        }
        for slot in self.slots.iter().filter(|slot| slot.side == side) {
            let size = found.remove(&slot.key);
            if !slot.belief.frozen && !slot.belief.allows(size) {
                let (key, belief) = (&slot.key, &slot.belief);
                return Err(Trouble::Wrong(format!("{key} is listed as {size:?}: it is {belief}")));
            }
        }
        match found.first_key_value() {
            None => Ok(true),
            Some((key, _)) => Err(Trouble::Wrong(format!("{key} is listed, which nobody made"))),
        }
    }
}
