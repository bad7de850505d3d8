// SPDX-License-Identifier: Apache-2.0
//! The names of a listing of objects, held against what was asked.

use super::chain::{Brought, Chain, misread};
use crate::backend::{Abilities, ListPage, ListRequest, Next};
use crate::error::Failure;
use crate::types::ListEntry;

/// An entry beside its name from the bucket on.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) entry: ListEntry,
}

/// What a listing of objects has named so far.
#[derive(Debug)]
pub(super) struct Names {
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
    pub(super) fn new(abilities: &Abilities) -> Names {
        Names {
            ordered: abilities.ordered_listings,
            ends: abilities.ends_listings,
            last: None,
            last_prefix: None,
            chain: Chain::default(),
        }
    }

    /// The entries of a page, in one order, and where the next one begins.
    pub(super) fn check(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ObjectMeta;
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
