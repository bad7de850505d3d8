// SPDX-License-Identifier: Apache-2.0
//! Listings of objects. A long one is cut into ranges of names, whose pages are asked for at once and told in order:
//!
//! ```text
//!  range   ├─ told ─┼─ waits for its turn ─┼─ asked ─┼─ asked ─┤
//!  names   a …      d …                    m …       t …       z
//! ```
//!
//! A range is cut when a page of it has arrived and there is more ([`split`](super::split)). One may turn out to be empty:
//! their number is bounded by that of the pages.

use super::chain::misread;
use super::names::{Named, Names};
use super::split::{self, Page, Seen};
use crate::backend::{Abilities, ListRequest, Next};
use crate::context::Target;
use crate::error::{Error, Failure, Result};
use crate::options::ListOptions;
use crate::timing::Operation;
use crate::types::ListEntry;
use futures_core::stream::BoxStream;
use futures_util::stream;
use std::collections::VecDeque;
use tokio::task::JoinSet;

/// Pages after which a listing is long.
const LONG: usize = 2;
/// Pages that are asked for at once.
const AT_ONCE: usize = 16;
/// Entries that wait to be told, from which on nothing is asked for that is not waited for.
const WAITING: usize = 32 << 10;
/// Ranges, beside a quarter of the pages, of which more are not cut: the last page of each may hold little or nothing.
const RANGES: usize = 16;

/// The objects of a listing, names relative to the store's prefix.
pub(crate) fn objects(
    target: &Target,
    prefix: &str,
    options: ListOptions,
) -> BoxStream<'static, Result<ListEntry>> {
    let request = ListRequest {
        prefix: target.full(prefix).to_string(),
        delimiter: options.delimiter,
        start: None,
        start_after: options.start_after.map(|key| target.full(&key).to_string()),
        end: options.end.map(|key| target.full(&key).to_string()),
        token: None,
        page_size: options.page_size,
    };
    let abilities = target.backend().abilities();
    let listing = Objects {
        cuts: abilities.ordered_listings && !request.delimiter,
        abilities,
        target: target.clone(),
        ranges: VecDeque::from([NameRange::new(0, request, &abilities)]),
        asked: JoinSet::new(),
        seen: Seen::default(),
        pages: 0,
        numbers: 1,
    };
    Box::pin(stream::try_unfold(listing, Objects::step))
}

/// A listing of objects under way. Dropped, it ends what was asked.
struct Objects {
    target: Target,
    abilities: Abilities,
    /// Whether ranges may be cut.
    cuts: bool,
    /// In the order of names; the first is told.
    ranges: VecDeque<NameRange>,
    asked: JoinSet<Answered>,
    seen: Seen,
    pages: usize,
    /// Of ranges, so far.
    numbers: usize,
}

/// Names from one on to another.
struct NameRange {
    number: usize,
    /// Of the next page; `None` after the last, and while one is asked for.
    request: Option<ListRequest>,
    /// What holds its names against what was asked; `None` while a page is asked for.
    names: Option<Names>,
    entries: VecDeque<ListEntry>,
    failed: Option<Error>,
}

/// A page of a range, with what it was asked by.
struct Answered {
    number: usize,
    request: ListRequest,
    names: Names,
    page: Result<(VecDeque<ListEntry>, Option<Next>)>,
}

impl NameRange {
    fn new(number: usize, request: ListRequest, abilities: &Abilities) -> NameRange {
        let names = Some(Names::new(abilities));
        NameRange { number, request: Some(request), names, entries: VecDeque::new(), failed: None }
    }

    fn is_asked(&self) -> bool {
        self.names.is_none()
    }

    fn is_over(&self) -> bool {
        self.request.is_none() && !self.is_asked()
    }
}

impl Objects {
    async fn step(mut self) -> Result<Option<(ListEntry, Objects)>> {
        loop {
            let mut is_new = false;
            while let Some(answered) = self.asked.try_join_next() {
                self.arrived(answered.map_err(lost)?);
                is_new = true;
            }
            // Who wants a few names is not kept from stopping early.
            if is_new && self.pages >= LONG {
                self.ask()?;
            }
            let Some(told) = self.ranges.front_mut() else { return Ok(None) };
            if let Some(entry) = told.entries.pop_front() {
                return Ok(Some((entry, self)));
            }
            if let Some(error) = told.failed.take() {
                return Err(error);
            }
            if told.is_over() {
                self.ranges.pop_front();
                continue;
            }
            self.ask()?;
            if let Some(answered) = self.asked.join_next().await {
                self.arrived(answered.map_err(lost)?);
                if self.pages >= LONG {
                    self.ask()?;
                }
            }
        }
    }

    /// Asks for pages of ranges that are not asked for, the one that is told first.
    fn ask(&mut self) -> Result<()> {
        let waiting: usize = self.ranges.iter().map(|range| range.entries.len()).sum();
        let Some(told) = self.ranges.front() else { return Ok(()) };
        let ahead = match waiting {
            ..WAITING => usize::MAX,
            _ => usize::from(told.entries.is_empty()),
        };
        let runtime = self.target.context().handle()?;
        for range in self.ranges.iter_mut().take(ahead) {
            if self.asked.len() >= AT_ONCE {
                break;
            }
            let Some(request) = range.request.take() else { continue };
            self.target.context().check_open()?;
            let names = range.names.take().expect("a range with a request is not asked for");
            let asking = ask_for(self.target.clone(), range.number, request, names);
            self.asked.spawn_on(asking, &runtime);
        }
        Ok(())
    }

    /// A page is there: its entries wait for their turn, and its range is asked on, or cut.
    fn arrived(&mut self, answered: Answered) {
        let Answered { number, mut request, names, page } = answered;
        let Some(at) = self.ranges.iter().position(|range| range.number == number) else { return };
        let range = &mut self.ranges[at];
        range.names = Some(names);
        let (entries, next) = match page {
            Ok(page) => page,
            Err(error) => {
                range.failed = Some(error);
                return;
            }
        };
        self.pages += 1;
        let cuts = self.cuts_behind(&entries, next.as_ref(), &request);
        let range = &mut self.ranges[at];
        range.entries.extend(entries);
        let Some(next) = next else { return };
        match next {
            Next::Name(name) => (request.start, request.start_after) = (Some(name), None),
            Next::Token(token) => request.token = Some(token),
            Next::Missing => {}
        }
        range.request = Some(request);
        self.cut(at, cuts);
    }

    /// Where to cut what follows a page, as far as more pages may be asked for at once.
    fn cuts_behind(
        &mut self,
        entries: &VecDeque<ListEntry>,
        next: Option<&Next>,
        request: &ListRequest,
    ) -> Vec<String> {
        let under_way = self.ranges.iter().filter(|range| !range.is_over()).count();
        let most = (RANGES + self.pages / 4).saturating_sub(self.numbers);
        let more = AT_ONCE.saturating_sub(under_way).min(most);
        let (true, Some(first), Some(last)) = (self.cuts, entries.front(), entries.back()) else {
            return Vec::new();
        };
        let store = self.target.prefix();
        let prefix = request.prefix.len();
        self.seen.learn(entries.iter().map(|entry| &name_of(entry)[prefix - store.len()..]));
        if next.is_none() || self.pages < LONG || more == 0 {
            return Vec::new();
        }
        let names = [first, last].map(|entry| [store, name_of(entry)].concat());
        let page = Page { first: &names[0], last: &names[1] };
        let cuts = self.seen.cuts(page, request.end.as_deref(), prefix);
        split::evenly(cuts, more)
    }

    /// Cuts what is left of a range: what lies behind becomes ranges of their own.
    fn cut(&mut self, at: usize, cuts: Vec<String>) {
        let Some(left) = self.ranges[at].request.as_mut() else { return };
        let template = ListRequest { token: None, start: None, start_after: None, ..left.clone() };
        let mut end = left.end.clone();
        for cut in cuts.into_iter().rev() {
            // A service that knows no end knows no inclusive start: the name of the cut is of the range before it then.
            let (start, start_after, before) = if self.abilities.ends_listings {
                (Some(cut.clone()), None, cut)
            } else {
                (None, Some(cut.clone()), format!("{cut}\0"))
            };
            let request = ListRequest { start, start_after, end, ..template.clone() };
            self.ranges.insert(at + 1, NameRange::new(self.numbers, request, &self.abilities));
            self.numbers += 1;
            end = Some(before);
        }
        if let Some(left) = self.ranges[at].request.as_mut() {
            left.end = end;
        }
    }
}

fn name_of(entry: &ListEntry) -> &str {
    match entry {
        ListEntry::Object(meta) => &meta.key,
        ListEntry::Prefix(prefix) => prefix,
    }
}

async fn ask_for(target: Target, number: usize, request: ListRequest, names: Names) -> Answered {
    let mut names = names;
    let page = page(&target, &request, &mut names).await;
    Answered { number, request, names, page }
}

async fn page(
    target: &Target,
    request: &ListRequest,
    names: &mut Names,
) -> Result<(VecDeque<ListEntry>, Option<Next>)> {
    let mut call = target.begin_always(Operation::List, request.prefix.as_str().into(), None);
    let page = call.list(request).await;
    let checked = page.and_then(|page| {
        let (named, next) = names.check(request, page)?;
        Ok((relative(named, target.prefix())?, next))
    });
    call.end(checked)
}

/// A page's task ended before it was done: its runtime has.
fn lost(_: tokio::task::JoinError) -> Error {
    Error::misuse("the runtime of the listing ended")
}

/// Entries by their names below the store's prefix.
fn relative(named: Vec<Named>, below: &str) -> Result<VecDeque<ListEntry>, Failure> {
    let entries = named.into_iter().map(|Named { name, entry }| {
        let Some(rest) = name.strip_prefix(below) else {
            return Err(misread(format!("the listing of {below:?} names {name:?}")));
        };
        Ok(match entry {
            ListEntry::Object(mut meta) => {
                rest.clone_into(&mut meta.key);
                ListEntry::Object(meta)
            }
            _ => ListEntry::Prefix(rest.to_owned()),
        })
    });
    entries.collect()
}
