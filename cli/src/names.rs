// SPDX-License-Identifier: Apache-2.0
//! What a URL on the command line means: one name, or all that match a pattern ([`wildcard`](crate::wildcard)).
//!
//! A name is literal in a URL; on the command line it is a pattern where it holds `*`, `?` or `[`, unless `--raw` is
//! given. Names may hold those characters, too. Where an object has the pattern itself for its name, that object is
//! meant if nothing else matches; if something else does, a command that acts refuses to guess.

use crate::exit::Exit;
use crate::filter::Filter;
use crate::listing::objects;
use crate::place::{prefix, root, url_of};
use crate::wildcard::{Glob, WILDCARDS, has_wildcard};
use clap::Args;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::future::ready;
use storescope::{Client, ListEntry, ListOptions, ObjectMeta, Store, StoreUrl};

/// The option that turns patterns off.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Names {
    /// Take names literally: *, ? and [ are characters, not wildcards.
    #[arg(long, visible_alias = "literal")]
    raw: bool,
}

impl Names {
    /// No name is a pattern.
    pub(crate) fn literal() -> Names {
        Names { raw: true }
    }

    /// The pattern that a URL's name is, if it is one. Pre-authenticated requests name one object, percent-encoded.
    pub(crate) fn pattern(self, url: &StoreUrl) -> Result<Option<Pattern>, Exit> {
        if self.raw || !has_wildcard(url.key()) || is_of_the_web(url) {
            return Ok(None);
        }
        match Pattern::new(url.key()) {
            Ok(pattern) => Ok(Some(pattern)),
            // A bracket that does not close is a character, as in a shell.
            Err(_) if !url.key().contains(['*', '?']) => Ok(None),
            Err(why) => {
                Err(Exit::usage(format!("{url}: {why}; --raw takes the name as it is written")))
            }
        }
    }

    /// What a URL means, once the store has been looked at. `acts`: whether a wrong guess could do harm.
    pub(crate) async fn meant(
        self,
        client: &Client,
        url: &StoreUrl,
        recursive: bool,
        acts: bool,
    ) -> Result<Meant, Exit> {
        let Some(pattern) = self.pattern(url)? else { return Ok(Meant::Name) };
        let store = root(client, url)?;
        if !is_there(&store, url.key(), recursive).await? {
            return Ok(Meant::Pattern(pattern));
        }
        let own = prefix(url.key());
        let is_other = |key: &str| key != url.key() && !(recursive && key.starts_with(&own));
        let mut matched = pattern.objects(&store, recursive);
        while let Some(meta) = matched.try_next().await? {
            if is_other(&meta.key) {
                if acts {
                    return Err(ambiguous(url, &url_of(&store, &meta.key)));
                }
                return Ok(Meant::Pattern(pattern));
            }
        }
        Ok(Meant::Name)
    }
}

/// Whether a URL is one of the web, in which names are percent-encoded.
fn is_of_the_web(url: &StoreUrl) -> bool {
    url.to_string().get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"))
}

/// What a URL on the command line stands for.
#[derive(Debug)]
pub(crate) enum Meant {
    /// The object of that name, or what is below it.
    Name,
    /// All names that match.
    Pattern(Pattern),
}

/// A name with wildcards.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: String,
    glob: Glob,
    /// How much of the text stands before the first wildcard.
    literal: usize,
}

impl Pattern {
    fn new(text: &str) -> Result<Pattern, String> {
        let literal = text.find(WILDCARDS).unwrap_or(text.len());
        Ok(Pattern { text: text.to_owned(), glob: Glob::new(text)?, literal })
    }

    /// What every name that matches begins with.
    fn literal(&self) -> &str {
        &self.text[..self.literal]
    }

    /// The folder in which the first wildcard stands; names are told, and copied, relative to it.
    pub(crate) fn folder(&self) -> &str {
        folder_of(self.literal())
    }

    /// The prefix to list: S3's directory buckets take none but folders.
    fn listed<'a>(&'a self, store: &Store) -> &'a str {
        if store.lists_in_order() { self.literal() } else { self.folder() }
    }

    /// Whether it may match names anywhere in the bucket.
    pub(crate) fn is_of_whole_bucket(&self) -> bool {
        self.literal == 0
    }

    /// Whether a listing of one level has all that matches.
    fn is_of_one_level(&self) -> bool {
        !self.text[self.literal..].trim_end_matches('/').contains('/') && !self.text.contains("**")
    }

    /// Whether a name matches; with `recursive`, whether a folder above it does.
    pub(crate) fn takes(&self, name: &str, recursive: bool) -> bool {
        self.glob.is_match(name) || (recursive && self.folder_of(name).is_some())
    }

    /// The folder that matches and holds a name, or is it: `a/b/` of `a/b/c` for `a/*`.
    pub(crate) fn folder_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        let folders = name.match_indices('/').map(|(at, _)| &name[..=at]);
        folders.into_iter().find(|folder| {
            self.glob.is_match(folder) || self.glob.is_match(&folder[..folder.len() - 1])
        })
    }

    /// The objects whose names match; with `recursive`, those below folders that match, too.
    pub(crate) fn objects(
        &self,
        store: &Store,
        recursive: bool,
    ) -> BoxStream<'static, storescope::Result<ObjectMeta>> {
        let pattern = self.clone();
        let wanted = move |meta: &ObjectMeta| pattern.takes(&meta.key, recursive);
        if !recursive && self.is_of_one_level() {
            let listed = store.list(self.listed(store), ListOptions::new().delimiter(true));
            let objects = listed.try_filter_map(move |entry| {
                ready(Ok(match entry {
                    ListEntry::Object(meta) if wanted(&meta) => Some(meta),
                    _ => None,
                }))
            });
            return objects.boxed();
        }
        objects(store, self.listed(store)).try_filter(move |meta| ready(wanted(meta))).boxed()
    }

    /// The objects that match, those that a filter does not take left out; an error if no name matches at all.
    pub(crate) fn chosen(
        &self,
        store: &Store,
        recursive: bool,
        filter: &Filter,
    ) -> BoxStream<'static, Result<ObjectMeta, Exit>> {
        let mut nothing = Some(self.matched_nothing(store));
        let (folder, filter) = (self.folder().to_owned(), filter.clone());
        let end = stream::once(ready(None));
        let found = self.objects(store, recursive).map(Some).chain(end).filter_map(move |step| {
            let step = match step {
                None => nothing.take().map(Err),
                Some(found) => {
                    nothing = None;
                    match found {
                        Ok(meta) => filter.chosen(meta, &folder).transpose(),
                        Err(error) => Some(Err(error.into())),
                    }
                }
            };
            ready(step)
        });
        found.boxed()
    }

    /// Names and folders of the level that the pattern describes, in the order of the listing.
    pub(crate) fn entries(
        &self,
        store: &Store,
    ) -> BoxStream<'static, storescope::Result<ListEntry>> {
        let (pattern, flat) = (self.clone(), !self.is_of_one_level());
        let listed = store.list(self.listed(store), ListOptions::new().delimiter(!flat));
        let mut told = BTreeSet::new();
        let entries = listed.try_filter_map(move |entry| {
            let entry = match entry {
                ListEntry::Object(meta) if pattern.glob.is_match(&meta.key) => {
                    Some(ListEntry::Object(meta))
                }
                // A folder is told once, at the first name in it.
                ListEntry::Object(meta) if flat => {
                    pattern.folder_of(&meta.key).and_then(|folder| {
                        let is_new = !told.contains(folder) && told.insert(folder.to_owned());
                        is_new.then(|| ListEntry::Prefix(folder.to_owned()))
                    })
                }
                ListEntry::Prefix(folder) => {
                    pattern.folder_of(&folder).is_some().then_some(ListEntry::Prefix(folder))
                }
                _ => None,
            };
            ready(Ok(entry))
        });
        entries.boxed()
    }

    /// What to say where no name matches.
    pub(crate) fn matched_nothing(&self, store: &Store) -> Exit {
        Exit::missing(format!(
            "{}: no name matches the pattern (with -r, folders match, too); --raw takes it as a name",
            url_of(store, &self.text)
        ))
    }
}

/// Whether the name is that of an object, or (`recursive`) of a folder with something in it.
async fn is_there(store: &Store, key: &str, recursive: bool) -> Result<bool, Exit> {
    // In order, the name itself comes first of those that begin with it. Else its folder is read.
    let ordered = store.lists_in_order();
    let mut named = if ordered {
        store.list(key, ListOptions::new().page_size(1))
    } else {
        store.list(folder_of(key), ListOptions::new().delimiter(true))
    };
    while let Some(entry) = named.try_next().await? {
        if matches!(&entry, ListEntry::Object(meta) if meta.key == key) {
            return Ok(true);
        }
        if ordered {
            break;
        }
    }
    if !recursive {
        return Ok(false);
    }
    let mut below = store.list(&prefix(key), ListOptions::new().page_size(1));
    Ok(below.try_next().await?.is_some())
}

/// What stands up to the last `/` of a name.
fn folder_of(name: &str) -> &str {
    &name[..name.rfind('/').map_or(0, |slash| slash + 1)]
}

fn ambiguous(url: &StoreUrl, other: &str) -> Exit {
    Exit::usage(format!(
        "{url} is the name of an object, and a pattern that {other} matches: --raw means the object; [*], [?] and [[] \
         in a pattern match the characters themselves"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).unwrap()
    }

    #[test]
    fn a_star_stays_within_a_folder_and_two_do_not() {
        for (text, takes, refuses) in [
            (
                "2026/*/part-?.parquet",
                &["2026/11/part-1.parquet"][..],
                &["2026/11/x/part-1.parquet", "2026/part-1.parquet", "2026/11/part-10.parquet"][..],
            ),
            ("a/**", &["a/b", "a/b/c", "a/"], &["b/a/c", "ab", "a"]),
            ("**/x", &["x", "a/x", "a/b/x"], &["ax", "a/xx"]),
            ("a/**/x", &["a/x", "a/b/c/x"], &["a/b/xx", "ax"]),
            ("*", &["a", ".a", ""], &["a/b", "a/"]),
            ("[a-c]?", &["b1", "c?"], &["d1", "a/", "b"]),
            ("[!a]", &["b", "*"], &["a", "/"]),
            ("a[*]b", &["a*b"], &["axb"]),
            ("\u{e9}*", &["\u{e9}\u{1f980}"], &["e"]),
        ] {
            for name in takes {
                assert!(pattern(text).takes(name, false), "{text} takes {name}");
            }
            for name in refuses {
                assert!(!pattern(text).takes(name, false), "{text} does not take {name}");
            }
        }
    }

    #[test]
    fn with_recursive_a_folder_that_matches_brings_what_is_below() {
        let years = pattern("20*");
        assert!(years.takes("2025", true) && years.takes("2026/11/a", true));
        assert!(!years.takes("2026/11/a", false) && !years.takes("x/2026/a", true));
        let folders = pattern("2026/*/");
        assert!(folders.takes("2026/11/a", true) && !folders.takes("2026/a", true));
        assert_eq!(folders.folder_of("2026/11/a/b"), Some("2026/11/"));
    }

    #[test]
    fn what_is_listed_is_what_stands_before_the_first_wildcard() {
        for (text, literal, folder, one_level) in [
            ("2026/*/part", "2026/", "2026/", false),
            ("2026/part-*", "2026/part-", "2026/", true),
            ("2026/part-*/", "2026/part-", "2026/", true),
            ("2026/**", "2026/", "2026/", false),
            ("a[12]", "a", "", true),
            ("*", "", "", true),
        ] {
            let pattern = pattern(text);
            assert_eq!(
                (pattern.literal(), pattern.folder(), pattern.is_of_one_level()),
                (literal, folder, one_level),
                "{text}"
            );
        }
    }

    #[test]
    fn a_bracket_that_does_not_close_is_a_character() {
        let names = Names::default();
        let is_pattern = |key: &str| {
            let url: StoreUrl = format!("s3://b/{key}").parse().unwrap();
            names
                .pattern(&url)
                .map(|pattern| pattern.is_some())
                .map_err(|exit| exit.message().len())
        };
        for (name, pattern) in
            [("a[1", false), ("[]", false), ("a]", false), ("a[1]", true), ("a?", true)]
        {
            assert_eq!(is_pattern(name), Ok(pattern), "{name}");
        }
        is_pattern("a*[").unwrap_err();
    }

    #[test]
    fn what_is_no_pattern_is_refused_and_not_taken_for_a_name() {
        for text in ["a[b", "a***", "a**b", "[]", "**a"] {
            assert!(Pattern::new(text).unwrap_err().contains(&format!("{text:?}")), "{text}");
        }
    }
}
