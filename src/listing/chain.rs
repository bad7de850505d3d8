// SPDX-License-Identifier: Apache-2.0
//! The pages of a listing: they come to an end.

use crate::backend::Next;
use crate::error::{ErrorKind, Failure};
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Pages in a row that may be empty. S3 answers such pages where much was deleted.
const EMPTY_PAGES: u32 = 1_000;

/// Pages in a row that may tell the same prefix again: a folder of 100 million objects has so many.
const ROLLED_UP_PAGES: u32 = 100_000;

pub(super) fn misread(why: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::Protocol).message(why)
}

/// What a page brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brought {
    /// Entries that were not told before.
    pub(super) fresh: usize,
    /// Whether it held nothing at all.
    pub(super) empty: bool,
}

/// The pages of a listing so far: they come to an end.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pages: u64,
    /// Where pages began.
    places: HashSet<u64>,
    /// Pages in a row that brought nothing.
    idle: u32,
}

impl Chain {
    pub(super) fn is_new(&self) -> bool {
        self.pages == 0
    }

    pub(super) fn turn(&mut self, next: Option<&Next>, brought: Brought) -> Result<(), Failure> {
        self.pages += 1;
        let Some(next) = next else { return Ok(()) };
        if *next == Next::Missing {
            return Err(misread(
                "the listing is truncated, and the answer lacks the next page's token",
            ));
        }
        if !self.places.insert(hashed(next_place(next))) {
            let place = next_place(next);
            return Err(misread(format!(
                "the listing does not get past {place:?}: it is told twice"
            )));
        }
        let most = if brought.empty { EMPTY_PAGES } else { ROLLED_UP_PAGES };
        self.idle = if brought.fresh > 0 { 0 } else { self.idle + 1 };
        if self.idle >= most {
            let pages = self.idle;
            return Err(misread(format!(
                "{pages} pages in a row name nothing new, and there is more"
            )));
        }
        Ok(())
    }
}

fn next_place(next: &Next) -> &str {
    match next {
        Next::Name(place) | Next::Token(place) => place,
        Next::Missing => "",
    }
}

fn hashed(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// What came in pages that state no order: each once.
#[derive(Debug, Default)]
pub(crate) struct Once {
    told: HashSet<u64>,
    chain: Chain,
}

impl Once {
    /// The entries of a page that were not told before, and what the next page is asked by.
    pub(crate) fn check<T, K: Hash>(
        &mut self,
        mut entries: Vec<T>,
        next: Option<Next>,
        key: impl Fn(&T) -> K,
    ) -> Result<(VecDeque<T>, Option<String>), Failure> {
        let empty = entries.is_empty();
        entries.retain(|entry| self.told.insert(hashed(key(entry))));
        if !empty && entries.is_empty() && next.is_some() {
            return Err(misread("a page repeats what the pages before it told"));
        }
        self.chain.turn(next.as_ref(), Brought { fresh: entries.len(), empty })?;
        let place = next.as_ref().map(|next| next_place(next).to_owned());
        Ok((entries.into(), place))
    }
}
