// SPDX-License-Identifier: Apache-2.0
//! What the workers of a bench do: reads by a pattern, or writes of new objects.

use super::pattern::{Reads, Walk};
use crate::exit::{Ended, Exit};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use storescope::timing::Operation;
use storescope::{PutOptions, Store};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Op {
    Get,
    Put,
}

impl Op {
    pub(super) fn operation(self) -> Operation {
        match self {
            Op::Get => Operation::Get,
            Op::Put => Operation::Put,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Op::Get => "read",
            Op::Put => "write",
        }
    }
}

/// What is read, or written.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Reads(Arc<Reads>),
    Puts(Arc<Puts>),
}

/// New objects of these bytes, by numbers behind this prefix of their names.
#[derive(Debug)]
pub(super) struct Puts {
    below: String,
    bytes: Bytes,
    next: AtomicU64,
}

/// A worker's part of a plan.
#[derive(Debug)]
pub(super) enum Work {
    Read(Walk),
    Write(Arc<Puts>),
}

impl Plan {
    pub(super) fn puts(size: u64, seed: u64, below: &str) -> Plan {
        let mut bytes = vec![0; size as usize];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        let (below, bytes) = (below.to_owned(), bytes.into());
        Plan::Puts(Arc::new(Puts { below, bytes, next: AtomicU64::new(0) }))
    }

    pub(super) fn work(&self) -> Work {
        match self {
            Plan::Reads(reads) => Work::Read(Walk::new(reads)),
            Plan::Puts(puts) => Work::Write(Arc::clone(puts)),
        }
    }
}

impl Work {
    /// Reads, or writes an object: so many bytes.
    pub(super) async fn step(&mut self, store: &Store) -> storescope::Result<u64> {
        match self {
            Work::Read(walk) => walk.step(store).await,
            Work::Write(puts) => {
                let name = format!("{}{}", puts.below, puts.next.fetch_add(1, Relaxed));
                store.put(&name, puts.bytes.clone(), PutOptions::new()).await?;
                Ok(puts.bytes.len() as u64)
            }
        }
    }
}

/// Removes what was written.
pub(super) async fn remove(store: &Store, plan: &Plan) -> Ended {
    let Plan::Puts(puts) = plan else { return Ok(()) };
    let (below, written) = (puts.below.clone(), puts.next.load(Relaxed));
    let names = stream::iter(0..written).map(move |number| format!("{below}{number}")).boxed();
    let mut removed = store.delete_many(names);
    while let Some((_, result)) = removed.next().await {
        match result {
            Err(error) if !error.is_not_found() => {
                return Err(Exit::from(error).about("what the bench wrote is still there"));
            }
            _ => {}
        }
    }
    Ok(())
}
