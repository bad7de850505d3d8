// SPDX-License-Identifier: Apache-2.0
//! Handles of native objects for Java: an index and its generation. A handle that was closed, or was never given, finds
//! nothing.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What Java holds handles of.
pub(crate) struct Handles<T>(RwLock<Table<T>>);

struct Table<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

struct Entry<T> {
    generation: u32,
    held: Option<T>,
}

impl<T: Clone> Handles<T> {
    pub(crate) const fn new() -> Handles<T> {
        Handles(RwLock::new(Table { entries: Vec::new(), free: Vec::new() }))
    }

    pub(crate) fn add(&self, held: T) -> i64 {
        let mut table = self.write();
        let at = table.free.pop().unwrap_or_else(|| {
            table.entries.push(Entry { generation: 0, held: None });
            table.entries.len() as u32 - 1
        });
        let entry = &mut table.entries[at as usize];
        // 0 is no generation: a handle that was never set is no handle.
        entry.generation = entry.generation.wrapping_add(1).max(1);
        entry.held = Some(held);
        (i64::from(entry.generation) << 32) | i64::from(at)
    }

    pub(crate) fn remove(&self, handle: i64) -> Option<T> {
        let mut table = self.write();
        let (at, generation) = parts(handle);
        let entry = table.entries.get_mut(at as usize)?;
        let held = if entry.generation == generation { entry.held.take() } else { None };
        if held.is_some() {
            table.free.push(at);
        }
        held
    }

    pub(crate) fn get(&self, handle: i64) -> Option<T> {
        let (at, generation) = parts(handle);
        let table = self.read();
        let entry =
            table.entries.get(at as usize).filter(|entry| entry.generation == generation)?;
        entry.held.clone()
    }

    /// How many open objects satisfy the predicate.
    pub(crate) fn count(&self, predicate: impl Fn(&T) -> bool) -> usize {
        self.read()
            .entries
            .iter()
            .filter_map(|entry| entry.held.as_ref())
            .filter(|held| predicate(held))
            .count()
    }

    fn read(&self) -> RwLockReadGuard<'_, Table<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parts(handle: i64) -> (u32, u32) {
    (handle as u32, (handle >> 32) as u32)
}
