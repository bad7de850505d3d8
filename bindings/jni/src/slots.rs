// SPDX-License-Identifier: Apache-2.0
//! Handles: a slot and its generation. One that was closed is known as such; one that was never given is none.

use crate::listing::OpenListing;
use crate::raised::{Raised, Result};
use crate::reader::OpenReader;
use crate::store::OpenStore;
use crate::writer::OpenWriter;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What Java holds a handle of.
#[derive(Clone)]
pub(crate) enum Held {
    Store(Arc<OpenStore>),
    Listing(Arc<OpenListing>),
    Writer(Arc<OpenWriter>),
    Reader(Arc<OpenReader>),
}

#[derive(Default)]
pub(crate) struct Slots(RwLock<Table>);

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    generation: u32,
    held: Option<Held>,
}

impl Slots {
    pub(crate) fn add(&self, held: Held) -> i64 {
        let mut table = self.write();
        let at = table.free.pop().unwrap_or_else(|| {
            table.slots.push(Slot { generation: 0, held: None });
            table.slots.len() as u32 - 1
        });
        let slot = &mut table.slots[at as usize];
        // 0 is no generation: a handle that was never set is no handle.
        slot.generation = slot.generation.wrapping_add(1).max(1);
        slot.held = Some(held);
        (i64::from(slot.generation) << 32) | i64::from(at)
    }

    pub(crate) fn remove(&self, handle: i64) -> Option<Held> {
        let mut table = self.write();
        let (at, generation) = parts(handle);
        let slot = table.slots.get_mut(at as usize)?;
        let held = if slot.generation == generation { slot.held.take() } else { None };
        if held.is_some() {
            table.free.push(at);
        }
        held
    }

    pub(crate) fn get(&self, handle: i64) -> Option<Held> {
        let (at, generation) = parts(handle);
        let table = self.read();
        let slot = table.slots.get(at as usize).filter(|slot| slot.generation == generation)?;
        slot.held.clone()
    }

    /// How many stores are open.
    pub(crate) fn stores(&self) -> usize {
        let is_store = |slot: &&Slot| matches!(slot.held, Some(Held::Store(_)));
        self.read().slots.iter().filter(is_store).count()
    }

    pub(crate) fn store(&self, handle: i64) -> Result<Arc<OpenStore>> {
        match self.get(handle) {
            Some(Held::Store(store)) => Ok(store),
            _ => Err(Raised::Closed("the file system")),
        }
    }

    pub(crate) fn listing(&self, handle: i64) -> Result<Arc<OpenListing>> {
        match self.get(handle) {
            Some(Held::Listing(listing)) => Ok(listing),
            _ => Err(Raised::Closed("the listing")),
        }
    }

    pub(crate) fn writer(&self, handle: i64) -> Result<Arc<OpenWriter>> {
        match self.get(handle) {
            Some(Held::Writer(writer)) => Ok(writer),
            _ => Err(Raised::Closed("the stream")),
        }
    }

    pub(crate) fn reader(&self, handle: i64) -> Result<Arc<OpenReader>> {
        match self.get(handle) {
            Some(Held::Reader(reader)) => Ok(reader),
            _ => Err(Raised::Closed("the stream")),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parts(handle: i64) -> (u32, u32) {
    (handle as u32, (handle >> 32) as u32)
}
