// SPDX-License-Identifier: Apache-2.0
//! Makes calls: a task at a time, by many workers.

use super::pattern::Walks;
use super::recorder::{Failed, Moved};
use super::stock::Folder;
use super::task::{Op, Task};
use crate::content::Content;
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use storescope::timing::Scope;
use storescope::{
    CopyOptions, DeleteOptions, GetOptions, ListEntry, ListOptions, PutOptions, ReadOptions,
    Reader, Store,
};

/// Names that a listing asks for: a full page of OCI and S3.
pub(super) const PAGE: u32 = 1_000;
/// Reads of more than this are taken piece by piece, and not held in memory.
const WHOLE: u64 = 1 << 20;
/// Bytes of a write by parts that are made before it begins, at most.
const AHEAD: u64 = 64 << 20;
/// The pieces that a longer one is made of while it runs.
const PIECE: u64 = 4 << 20;

/// What calls are made by.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) store: Store,
    /// Of the bytes that are written, and verified.
    pub(super) seed: u64,
    pub(super) verify: bool,
    /// Reads that are patterns of the reading engine rather than single requests.
    pub(super) walks: Option<Arc<Walks>>,
    /// Where new objects go.
    pub(super) folder: Arc<Folder>,
    /// Of reads that go through the reading engine.
    pub(super) readers: Arc<Readers>,
}

/// A reader for each object, as programs have that read an object more than once.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<HashMap<Arc<str>, Arc<Reader>>>);

impl Readers {
    /// Objects that are open at a time, at most.
    const MOST: usize = 1_024;

    fn of(&self, store: &Store, key: &Arc<str>) -> Arc<Reader> {
        let mut open = self.0.lock().expect("no holder panics");
        if open.len() >= Readers::MOST && !open.contains_key(key) {
            // Any: those that read from it keep theirs.
            let closed = open.keys().next().map(Arc::clone);
            closed.and_then(|key| open.remove(&key));
        }
        let reader = open.entry(Arc::clone(key));
        Arc::clone(reader.or_insert_with(|| Arc::new(store.reader(key, ReadOptions::new()))))
    }

    /// What is written or deleted is read anew.
    fn forget(&self, key: &str) {
        self.0.lock().expect("no holder panics").remove(key);
    }
}

impl Caller {
    /// The same, recorded in a scope.
    pub(super) fn recorded(&self, scope: &Scope) -> Caller {
        let (store, readers) = (self.store.with_scope(scope), Arc::default());
        Caller { store, readers, ..self.clone() }
    }

    /// The bytes that a task writes. They are made before its clock starts.
    pub(super) fn payload(&self, task: &Task) -> Bytes {
        match task.op {
            Op::Put => self.content(task).bytes(0, task.size as usize),
            Op::Multipart if task.size <= AHEAD => self.content(task).bytes(0, task.size as usize),
            _ => Bytes::new(),
        }
    }

    /// Makes the call.
    pub(super) async fn call(&self, task: &Task, payload: Bytes) -> Result<Moved, Failed> {
        if matches!(task.op, Op::Put | Op::Multipart | Op::Delete) {
            self.readers.forget(&task.key);
        }
        match (task.op, &self.walks) {
            (Op::Get, None) => self.get(task).await,
            // Boxed, so that the future of a plain read stays small.
            (Op::Get, Some(walks)) => {
                let bytes = Box::pin(walks.step(&self.store)).await?;
                Ok(Moved { bytes, verified: 0 })
            }
            _ => Ok(Moved { bytes: Box::pin(self.other(task, payload)).await?, verified: 0 }),
        }
    }

    /// A call that is no read: the bytes that it moved.
    async fn other(&self, task: &Task, payload: Bytes) -> storescope::Result<u64> {
        let (store, key) = (&self.store, &*task.key);
        match task.op {
            Op::Get => unreachable!("reads are made by `get`"),
            Op::Put => store.put(key, payload, PutOptions::new()).await.map(|_| task.size),
            Op::Head => store.head(key).await.map(|_| 0),
            Op::List => self.list(key).await.map(|()| 0),
            Op::Delete => store.delete(key, DeleteOptions::new()).await.map(|()| 0),
            Op::Copy => {
                let to = task.to.clone().unwrap_or_else(|| self.folder.name(Op::Copy));
                store.copy(key, (store, &to), CopyOptions::new()).await.map(|_| task.size)
            }
            Op::Multipart => self.write_parts(task, payload).await.map(|()| task.size),
        }
    }

    async fn get(&self, task: &Task) -> Result<Moved, Failed> {
        if let (true, Some(range)) = (task.by_reader, &task.range) {
            let bytes = self.readers.of(&self.store, &task.key).read_at(range.clone()).await?;
            let mut moved = Moved::default();
            self.take(task, range.start, &bytes, &mut moved)?;
            return Ok(moved);
        }
        let options = match &task.range {
            Some(range) => GetOptions::new().range(range.clone()),
            None => GetOptions::new(),
        };
        let got = self.store.get(&task.key, options).await?;
        let (start, end) = (got.range().start, got.range().end);
        let mut moved = Moved::default();
        if end - start <= WHOLE {
            self.take(task, start, &got.bytes().await?, &mut moved)?;
        } else {
            let mut pieces = got.into_stream();
            while let Some(piece) = pieces.next().await {
                self.take(task, start + moved.bytes, &piece?, &mut moved)?;
            }
        }
        Ok(moved)
    }

    /// Counts bytes that were read at `offset`, and compares them.
    fn take(
        &self,
        task: &Task,
        offset: u64,
        bytes: &[u8],
        moved: &mut Moved,
    ) -> Result<(), Failed> {
        moved.bytes += bytes.len() as u64;
        if !self.verify {
            return Ok(());
        }
        if let Some(wrong) = self.content(task).first_wrong(offset, bytes) {
            return Err(Failed::Data(format!(
                "{}: byte {} is {:#04x}, and {:#04x} was written (--verify-data, seed {})",
                task.key, wrong.offset, wrong.found, wrong.expected, self.seed
            )));
        }
        moved.verified += bytes.len() as u64;
        Ok(())
    }

    /// One page of names.
    async fn list(&self, prefix: &str) -> storescope::Result<()> {
        let mut names = self.store.list(prefix, ListOptions::new().page_size(PAGE));
        let mut left = PAGE;
        while left > 0
            && let Some(entry) = names.next().await
        {
            let (ListEntry::Object(_) | ListEntry::Prefix(_)) = entry? else { continue };
            left -= 1;
        }
        Ok(())
    }

    async fn write_parts(&self, task: &Task, payload: Bytes) -> storescope::Result<()> {
        let mut writer = self.store.writer(&task.key, PutOptions::new().size(task.size));
        if payload.is_empty() {
            let mut at = 0;
            while at < task.size {
                let length = PIECE.min(task.size - at);
                writer.write(self.content(task).bytes(at, length as usize)).await?;
                at += length;
            }
        } else {
            writer.write(payload).await?;
        }
        writer.finish().await.map(|_| ())
    }

    fn content(&self, task: &Task) -> Content {
        Content::new(self.seed, &task.key)
    }
}
