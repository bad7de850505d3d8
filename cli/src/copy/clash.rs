// SPDX-License-Identifier: Apache-2.0
//! Two sources with one target: refused before anything is copied.
//!
//! A source lands under its own last name, so only sources of one last name can meet. Those are walked, or listed, once
//! more beforehand, side by side in the order of their names: nothing is held of them but a name each. What a tree
//! holds by itself has names of its own; of those, only `a` and `a/b` cannot both be files, which [`Ancestors`] tells.

use super::ancestors::Ancestors;
use super::job::Step;
use super::plan::Plan;
use crate::exit::Exit;
use crate::place::{Place, prefix, root};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use storescope::{Client, StoreUrl};

/// What a source becomes, and which it is.
type Named = (String, String);

/// Refuses two sources with one target, naming both, and a target that another source is read from.
pub(super) async fn check(plan: &Plan, client: &Client) -> Result<(), Exit> {
    if plan.sources.len() < 2 {
        return Ok(());
    }
    check_chains(plan)?;
    let mut groups: BTreeMap<String, Vec<&Place>> = BTreeMap::new();
    for source in &plan.sources {
        // A source without a name is told when its turn comes.
        let own = if plan.may_match(source) { Ok(String::new()) } else { plan.own_name(source) };
        let Ok(own) = own else { continue };
        groups.entry(own).or_default().push(source);
    }
    // What a whole bucket holds lands beside all else, as does what a pattern matches.
    if groups.contains_key("") {
        let all = groups.into_values().flatten().collect();
        groups = BTreeMap::from([(String::new(), all)]);
    }
    // What is there does not matter yet.
    let plan = Plan { looks: false, ..plan.clone() };
    for sources in groups.into_values().filter(|sources| sources.len() > 1) {
        let mut named = Vec::new();
        for source in sources {
            let found = names(plan.jobs_of(client, source).await?);
            named.push(if lists_in_order(client, source)? { found } else { sorted(found).await });
        }
        check_names(named, matches!(plan.target, Place::Local(_))).await?;
    }
    Ok(())
}

/// What a source's jobs make, in the order of its names.
fn names(steps: BoxStream<'static, Step>) -> BoxStream<'static, Named> {
    let named = steps.filter_map(|step| {
        std::future::ready(match step {
            Step::Copy(job) => Some((job.to.shown(), job.from.shown())),
            _ => None,
        })
    });
    named.boxed()
}

/// Whether the names of a source come in their order.
fn lists_in_order(client: &Client, source: &Place) -> Result<bool, Exit> {
    Ok(match source {
        Place::Store(url) => root(client, url)?.lists_in_order(),
        _ => true,
    })
}

async fn sorted(named: BoxStream<'static, Named>) -> BoxStream<'static, Named> {
    let mut all: Vec<_> = named.collect().await;
    all.sort();
    stream::iter(all).boxed()
}

/// Reads the names of several sources side by side.
async fn check_names(
    mut sources: Vec<BoxStream<'static, Named>>,
    are_files: bool,
) -> Result<(), Exit> {
    let mut next = BinaryHeap::new();
    for (at, source) in sources.iter_mut().enumerate() {
        next.extend(source.next().await.map(|named| Reverse((named, at))));
    }
    let mut before: Option<Named> = None;
    let mut files = Ancestors::default();
    while let Some(Reverse(((target, shown), at))) = next.pop() {
        if let Some((_, other)) = before.as_ref().filter(|(before, _)| *before == target) {
            return Err(one_target(other, &shown, &target));
        }
        if are_files && let Some(other) = files.above(&target, &shown) {
            return Err(Exit::usage(format!(
                "{shown} to {target}: {other} becomes a file where this needs a folder; nothing was copied: give them \
                 different targets"
            )));
        }
        before = Some((target, shown));
        next.extend(sources[at].next().await.map(|named| Reverse((named, at))));
    }
    Ok(())
}

fn one_target(one: &str, other: &str, target: &str) -> Exit {
    if one == other {
        return Exit::usage(format!("{one} is named twice, and would become {target} twice"));
    }
    Exit::usage(format!(
        "{one} and {other} would both become {target}; nothing was copied: give them different targets"
    ))
}

/// A source whose copy lands where another source is read from: it may be read before or after.
fn check_chains(plan: &Plan) -> Result<(), Exit> {
    let Place::Store(target) = &plan.target else { return Ok(()) };
    let bucket = target.with_key("");
    let here = |source: &Place| match source {
        Place::Store(url) if url.with_key("") == bucket => Some(url.clone()),
        _ => None,
    };
    for (at, source) in plan.sources.iter().enumerate() {
        // What a pattern matches is looked at name by name, as it is listed.
        if plan.may_match(source) {
            continue;
        }
        let Ok(own) = plan.own_name(source) else { continue };
        let lands = prefix(target.key()) + &own;
        for (other, read) in plan.sources.iter().enumerate() {
            let meet = |url: &StoreUrl| match (plan.names.pattern(url), plan.recursive) {
                _ if at == other => false,
                (Ok(Some(pattern)), false) => pattern.takes(&lands, false),
                (Ok(Some(pattern)), true) => {
                    is_within(pattern.folder(), &lands) || is_within(&lands, pattern.folder())
                }
                (_, false) => url.key() == lands,
                (_, true) => is_within(url.key(), &lands) || is_within(&lands, url.key()),
            };
            if here(read).as_ref().is_some_and(meet) {
                let landing = bucket.with_key(&lands);
                return Err(Exit::usage(format!(
                    "{source} would become {landing}, which is read as {read}; nothing was copied: copy one after the other"
                )));
            }
        }
    }
    Ok(())
}

/// Whether one name is another's, or that of a folder that it lies in.
fn is_within(folder: &str, name: &str) -> bool {
    let folder = prefix(folder);
    prefix(name).starts_with(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_within_names() {
        assert!(is_within("a", "a") && is_within("a", "a/b") && is_within("", "x"));
        assert!(!is_within("a", "ab") && !is_within("a/b", "a"));
    }
}
