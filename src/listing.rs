// SPDX-License-Identifier: Apache-2.0
//! Listings of objects, buckets and uploads, page by page. Every page is held against what was asked, before an entry of
//! it is handed out: what is removed or copied recursively is what a listing names.
//!
//! ```text
//!  page ─▶ Names: each name lies within prefix, start and end, is rolled up as asked; names ascend, and none comes twice
//!       └▶ Chain: "there is more" comes with a place; no place comes twice; pages that bring nothing are bounded
//! ```
//!
//! Names are compared as UTF-8 bytes, after a backend has decoded them.
//!
//! What comes in no order, and may:
//!
//! * S3's directory buckets (S3 Express), by their documentation. Everything else is checked ([`Abilities::ordered_listings`]).
//! * A listing that is one page: it is put in order here. Older `rclone serve s3` orders by the time of modification.
//! * Buckets and uploads: OCI states no order, and directory buckets have none. What was named before is left out; a page of
//!   nothing else is an error.
//!
//! [`Abilities::ordered_listings`]: crate::backend::Abilities::ordered_listings

use crate::attempt::{Call, Repeat};
use crate::backend::{Abilities, Backend, Bucket, ListPage, ListRequest, Next, Upload};
use crate::client::Client;
use crate::error::{ErrorKind, Failure, Result};
use crate::store::{ListEntry, Store, sink};
use crate::timing::{Operation, Scope, Sink};
use futures_core::stream::BoxStream;
use futures_util::stream;
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Pages in a row that may be empty. S3 answers such pages where much was deleted.
const EMPTY_PAGES: u32 = 1_000;

/// Pages in a row that may tell the same prefix again: a folder of 100 million objects has so many.
const ROLLED_UP_PAGES: u32 = 100_000;

/// The objects of a listing, names relative to the store's prefix.
pub(crate) fn objects(
    store: &Store,
    request: ListRequest,
) -> BoxStream<'static, Result<ListEntry>> {
    let listing = Objects {
        names: Names::new(&store.backend().abilities()),
        store: store.clone(),
        request: Some(request),
        page: VecDeque::new(),
    };
    Box::pin(stream::try_unfold(listing, Objects::step))
}

/// A listing of objects under way.
struct Objects {
    store: Store,
    /// Of the next page.
    request: Option<ListRequest>,
    page: VecDeque<ListEntry>,
    names: Names,
}

impl Objects {
    async fn step(mut self) -> Result<Option<(ListEntry, Objects)>> {
        loop {
            if let Some(entry) = self.page.pop_front() {
                return Ok(Some((entry, self)));
            }
            let Some(request) = self.request.take() else { return Ok(None) };
            self.next_page(request).await?;
        }
    }

    async fn next_page(&mut self, mut request: ListRequest) -> Result<()> {
        let Objects { store, names, .. } = self;
        store.client().check_open()?;
        let mut call = store.begin_always(Operation::List, request.prefix.as_str().into(), None);
        let below = store.url().key();
        let run = async {
            let backend = store.backend();
            let page = call.run(Repeat::Freely, |attempt| backend.list(&request, attempt)).await;
            let checked = page.and_then(|page| {
                let (named, next) = names.check(&request, page)?;
                Ok((relative(named, below)?, next))
            });
            call.end(checked)
        };
        let (page, next) = store.client().run(run).await?;
        self.page = page;
        self.request = next.map(|next| {
            match next {
                Next::Name(name) => (request.start, request.start_after) = (Some(name), None),
                Next::Token(token) => request.token = Some(token),
                Next::Missing => {}
            }
            request
        });
        Ok(())
    }
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

/// An entry beside its name from the bucket on.
#[derive(Debug)]
struct Named {
    name: String,
    entry: ListEntry,
}

/// What a listing of objects has named so far.
#[derive(Debug)]
struct Names {
    /// They come in the order of bytes.
    ordered: bool,
    /// The service knows `end`.
    ends: bool,
    /// The greatest.
    last: Option<String>,
    /// The greatest prefix: a page that begins inside a rolled-up prefix names it again.
    last_prefix: Option<String>,
    chain: Chain,
}

impl Names {
    fn new(abilities: &Abilities) -> Names {
        Names {
            ordered: abilities.ordered_listings,
            ends: abilities.ends_listings,
            last: None,
            last_prefix: None,
            chain: Chain::default(),
        }
    }

    /// The entries of a page, in one order, and where the next one begins.
    fn check(
        &mut self,
        request: &ListRequest,
        page: ListPage,
    ) -> Result<(Vec<Named>, Option<Next>), Failure> {
        let ListPage { objects, prefixes, mut next } = page;
        let empty = objects.is_empty() && prefixes.is_empty();
        let ascend = objects.is_sorted_by(|one, other| one.key < other.key)
            && prefixes.is_sorted_by(|one, other| one < other);
        let alone = next.is_none() && self.chain.is_new();
        let prefixes = prefixes.into_iter().map(|name| {
            let entry = ListEntry::Prefix(String::new());
            Named { name, entry }
        });
        let objects = objects.into_iter().map(|mut meta| {
            let name = std::mem::take(&mut meta.key);
            Named { name, entry: ListEntry::Object(meta) }
        });
        let mut named: Vec<Named> = prefixes.chain(objects).collect();
        self.keep_within(request, &mut named, &mut next)?;
        if !ascend && self.ordered && !alone {
            return Err(out_of_order(&named));
        }
        named.sort_by(|one, other| one.name.cmp(&other.name));
        if let Some(pair) = named.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(misread(format!("a page names {:?} twice", pair[0].name)));
        }
        self.follow(&mut named)?;
        self.chain.turn(next.as_ref(), Brought { fresh: named.len(), empty })?;
        if let (Some(Next::Name(next)), Some(last)) = (&next, &self.last)
            && next <= last
        {
            return Err(misread(format!("the next page begins at {next:?}, after {last:?}")));
        }
        Ok((named, next))
    }

    /// Every name lies where it was asked for. Bounds that the service does not know are drawn here.
    fn keep_within(
        &self,
        request: &ListRequest,
        named: &mut Vec<Named>,
        next: &mut Option<Next>,
    ) -> Result<(), Failure> {
        let mut bounds = request.clone();
        if !self.ends {
            let end = bounds.end.take();
            let before = named.len();
            named.retain(|Named { name, .. }| end.as_ref().is_none_or(|end| name < end));
            if named.len() < before && self.ordered {
                *next = None;
            }
        }
        if !self.ordered {
            let after = bounds.start_after.take();
            named.retain(|Named { name, .. }| after.as_ref().is_none_or(|after| name > after));
        }
        for Named { name, entry } in named {
            let rolled_up = matches!(entry, ListEntry::Prefix(_));
            if let Some(why) = outside(&bounds, name, rolled_up) {
                return Err(misread(format!(
                    "the listing of {:?} names {name:?}, which {why}",
                    request.prefix
                )));
            }
        }
        Ok(())
    }

    /// The names go on behind those of the page before. A prefix that was told is left out.
    fn follow(&mut self, named: &mut Vec<Named>) -> Result<(), Failure> {
        named.retain(|Named { name, entry }| {
            let rolled_up = matches!(entry, ListEntry::Prefix(_));
            !(rolled_up && self.last_prefix.as_ref() == Some(name))
        });
        let (Some(first), Some(newest)) = (named.first(), named.last()) else { return Ok(()) };
        if let Some(last) = self.last.as_ref().filter(|last| self.ordered && first.name <= **last) {
            let first = &first.name;
            return Err(misread(format!("a page names {first:?}, the page before it {last:?}")));
        }
        self.last = Some(newest.name.clone());
        let is_prefix = |named: &&Named| matches!(named.entry, ListEntry::Prefix(_));
        if let Some(prefix) = named.iter().rfind(is_prefix) {
            self.last_prefix = Some(prefix.name.clone());
        }
        Ok(())
    }
}

/// Why a name is none that was asked for.
fn outside(request: &ListRequest, name: &str, rolled_up: bool) -> Option<String> {
    let Some(rest) = name.strip_prefix(&request.prefix) else {
        return Some("does not begin so".to_owned());
    };
    let slash = rest.find('/');
    if rolled_up && !request.delimiter {
        return Some("is rolled up, which was not asked for".to_owned());
    }
    if rolled_up && slash.is_none_or(|at| at + 1 != rest.len()) {
        return Some("is not rolled up at its first /".to_owned());
    }
    if !rolled_up && request.delimiter && slash.is_some() {
        return Some("is not rolled up, as was asked for".to_owned());
    }
    // A prefix stands for names that may lie behind a bound within it.
    let holds = |bound: &str| rolled_up && bound.starts_with(name);
    if let Some(start) = request.start.as_deref().filter(|start| name < *start && !holds(start)) {
        return Some(format!("comes before the start {start:?}"));
    }
    if let Some(after) =
        request.start_after.as_deref().filter(|after| name <= *after && !holds(after))
    {
        return Some(format!("does not come after {after:?}"));
    }
    let end = request.end.as_deref().filter(|end| name >= *end)?;
    Some(format!("does not come before the end {end:?}"))
}

fn out_of_order(named: &[Named]) -> Failure {
    let pair = named.windows(2).find(|pair| {
        let prefix = |named: &Named| matches!(named.entry, ListEntry::Prefix(_));
        prefix(&pair[0]) == prefix(&pair[1]) && pair[0].name >= pair[1].name
    });
    misread(match pair {
        Some([one, other]) => {
            format!(
                "the listing is not in the order of names: {:?} before {:?}",
                one.name, other.name
            )
        }
        _ => "the listing is not in the order of names".to_owned(),
    })
}

/// What a page brought.
#[derive(Clone, Copy, Debug)]
struct Brought {
    /// Entries that were not told before.
    fresh: usize,
    /// Whether it held nothing at all.
    empty: bool,
}

/// The pages of a listing so far: they come to an end.
#[derive(Debug, Default)]
struct Chain {
    pages: u64,
    /// Where pages began.
    places: HashSet<u64>,
    /// Pages in a row that brought nothing.
    idle: u32,
}

impl Chain {
    fn is_new(&self) -> bool {
        self.pages == 0
    }

    fn turn(&mut self, next: Option<&Next>, brought: Brought) -> Result<(), Failure> {
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

fn misread(why: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::Protocol).message(why)
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

/// The buckets of a service.
pub(crate) fn buckets(
    client: &Client,
    backend: &Arc<dyn Backend>,
    scope: Option<&Scope>,
) -> BoxStream<'static, Result<Bucket>> {
    let listing = Buckets {
        sink: sink(client, scope),
        client: client.clone(),
        backend: Arc::clone(backend),
        found: VecDeque::new(),
        next: Some(None),
        once: Once::default(),
    };
    Box::pin(stream::try_unfold(listing, Buckets::step))
}

/// A listing of buckets under way.
struct Buckets {
    client: Client,
    backend: Arc<dyn Backend>,
    sink: Sink,
    found: VecDeque<Bucket>,
    /// What the next page is asked by; `Some(None)` for the first.
    #[expect(clippy::option_option, reason = "three states: the first page, a named one, none")]
    next: Option<Option<String>>,
    once: Once,
}

impl Buckets {
    async fn step(mut self) -> Result<Option<(Bucket, Buckets)>> {
        loop {
            if let Some(bucket) = self.found.pop_front() {
                return Ok(Some((bucket, self)));
            }
            let Some(page) = self.next.take() else { return Ok(None) };
            let Buckets { client, backend, sink, once, .. } = &mut self;
            client.check_open()?;
            let policy = client.policy();
            let mut call =
                Call::begin(backend, policy, sink, Operation::ListBuckets, "".into(), None);
            let list = async {
                let list = call
                    .run(Repeat::Freely, |attempt| backend.list_buckets(page.as_deref(), attempt));
                let listed = list.await.and_then(|page| {
                    once.check(page.buckets, page.next, |bucket| bucket.name.clone())
                });
                call.end(listed)
            };
            let (found, next) = client.run(list).await?;
            (self.found, self.next) = (found, next.map(Some));
        }
    }
}

/// Writes by parts that were begun, names relative to the store's prefix.
pub(crate) fn uploads(store: &Store, prefix: &str) -> BoxStream<'static, Result<Upload>> {
    let listing = Uploads {
        prefix: store.full(prefix),
        store: store.clone(),
        found: VecDeque::new(),
        next: Some(None),
        once: Once::default(),
    };
    Box::pin(stream::try_unfold(listing, Uploads::step))
}

/// A listing of uploads under way.
struct Uploads {
    store: Store,
    prefix: Arc<str>,
    found: VecDeque<Upload>,
    /// What the next page is asked by; `Some(None)` for the first.
    #[expect(clippy::option_option, reason = "three states: the first page, a named one, none")]
    next: Option<Option<String>>,
    once: Once,
}

impl Uploads {
    async fn step(mut self) -> Result<Option<(Upload, Uploads)>> {
        loop {
            if let Some(upload) = self.found.pop_front() {
                return Ok(Some((upload, self)));
            }
            let Some(page) = self.next.take() else { return Ok(None) };
            let Uploads { store, prefix, once, .. } = &mut self;
            let mut call = store.begin(Operation::ListUploads, "", None)?;
            let list = async {
                let backend = store.backend();
                let list = call.run(Repeat::Freely, |attempt| {
                    backend.list_uploads(prefix, page.as_deref(), attempt)
                });
                let listed = list.await.and_then(|page| {
                    let uploads = below(page.uploads, prefix, store.url().key())?;
                    once.check(uploads, page.next, |upload| (upload.key.clone(), upload.id.clone()))
                });
                call.end(listed)
            };
            let (found, next) = store.client().run(list).await?;
            (self.found, self.next) = (found, next.map(Some));
        }
    }
}

/// Uploads under their names below the store's prefix; each lies within the prefix that was asked for.
fn below(uploads: Vec<Upload>, prefix: &str, store: &str) -> Result<Vec<Upload>, Failure> {
    let named = uploads.into_iter().map(|upload| {
        let name = upload.key.strip_prefix(store).filter(|_| upload.key.starts_with(prefix));
        match name.map(str::to_owned) {
            Some(key) => Ok(Upload { key, ..upload }),
            None => Err(misread(format!(
                "the listing of uploads of {prefix:?} names {:?}, which does not begin so",
                upload.key
            ))),
        }
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ObjectMeta;
    use proptest::prelude::*;

    fn names(ordered: bool, ends: bool) -> Names {
        Names { ordered, ends, last: None, last_prefix: None, chain: Chain::default() }
    }

    fn page(names: &[&str], next: Option<&str>) -> ListPage {
        let objects = names
            .iter()
            .map(|name| ObjectMeta { key: (*name).to_owned(), ..ObjectMeta::default() });
        let next = next.map(|next| Next::Token(next.to_owned()));
        ListPage { objects: objects.collect(), prefixes: Vec::new(), next }
    }

    fn told(checked: Result<(Vec<Named>, Option<Next>), Failure>) -> (Vec<String>, bool) {
        let (named, next) = checked.unwrap();
        (named.into_iter().map(|named| named.name).collect(), next.is_some())
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_end_that_the_service_does_not_know_ends_the_listing() {
        let request = ListRequest { end: Some("n".to_owned()), ..ListRequest::default() };
        let mut listing = names(true, false);
        let first = told(listing.check(&request, page(&["a", "m"], Some("1"))));
        assert_eq!(first, (owned(&["a", "m"]), true));
        let last = told(listing.check(&request, page(&["mm", "n", "z"], Some("2"))));
        assert_eq!(last, (owned(&["mm"]), false));
    }

    /// S3 Express: no order, no `start-after`. What lies behind the end may be followed by what does not.
    #[test]
    fn a_directory_bucket_is_listed_in_no_order_and_to_its_end() {
        let request = ListRequest {
            start_after: Some("b".to_owned()),
            end: Some("y".to_owned()),
            ..ListRequest::default()
        };
        let mut listing = names(false, false);
        let first = told(listing.check(&request, page(&["z", "c", "a"], Some("1"))));
        assert_eq!(first, (owned(&["c"]), true));
        let last = told(listing.check(&request, page(&["x", "b", "bb"], None)));
        assert_eq!(last, (owned(&["bb", "x"]), false));
        // What lies outside the prefix does so in any order.
        let request = ListRequest { prefix: "d/".to_owned(), ..ListRequest::default() };
        assert!(names(false, false).check(&request, page(&["e"], None)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_handed_out_was_asked_for(
            prefix in "[a/\u{e9}]{0,3}",
            delimiter in any::<bool>(),
            start_after in prop::option::of("[a-c/\u{e9}]{0,3}"),
            end in prop::option::of("[a-c/\u{e9}]{0,3}"),
            objects in prop::collection::vec("[a-c/\u{e9}]{0,5}", 0..6),
            prefixes in prop::collection::vec("[a-c/\u{e9}]{0,5}", 0..3),
            ordered in any::<bool>(),
            ends in any::<bool>(),
            more in any::<bool>(),
        ) {
            let request = ListRequest {
                prefix, delimiter, start_after, end, ..ListRequest::default()
            };
            let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
            let page = ListPage { prefixes, ..page(&objects, more.then_some("t")) };
            if let Ok((named, _)) = names(ordered, ends).check(&request, page) {
                prop_assert!(named.is_sorted_by(|one, other| one.name < other.name));
                for Named { name, entry } in named {
                    prop_assert!(name.starts_with(&request.prefix));
                    prop_assert!(request.end.as_ref().is_none_or(|end| name < *end));
                    let rolled_up = matches!(entry, ListEntry::Prefix(_));
                    prop_assert!(request.delimiter || !rolled_up);
                    prop_assert!(rolled_up || request.start_after.as_ref().is_none_or(|after| name > *after));
                }
            }
        }
    }
}
