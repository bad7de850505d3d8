// SPDX-License-Identifier: Apache-2.0
//! Pages of a list of objects.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::object::Object;

/// What to list.
#[derive(Clone, Debug)]
pub(crate) struct ListQuery {
    pub(crate) prefix: String,
    /// The first name that may be listed.
    pub(crate) start: Option<String>,
    /// The name after which listing begins.
    pub(crate) start_after: Option<String>,
    /// The first name that is not listed.
    pub(crate) end: Option<String>,
    pub(crate) limit: usize,
    /// Names are rolled up at the next of these after the prefix.
    pub(crate) delimiter: Option<String>,
}

/// A page: objects and prefixes share the limit, and no prefix is cut by a page's end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<(String, Arc<Object>)>,
    pub(crate) prefixes: Vec<String>,
    /// The first name that was not returned.
    pub(crate) next: Option<String>,
}

pub(crate) fn list(objects: &BTreeMap<String, Arc<Object>>, query: &ListQuery) -> Page {
    let mut page = Page::default();
    let mut from = first(query);
    while let Some((name, object)) =
        objects.range::<str, _>((borrow(&from), Bound::Unbounded)).next()
    {
        let ended = query.end.as_ref().is_some_and(|end| name >= end);
        if ended || !name.starts_with(&query.prefix) {
            break;
        }
        if page.objects.len() + page.prefixes.len() == query.limit {
            page.next = Some(name.clone());
            break;
        }
        from = match rolled(name, query) {
            None => {
                page.objects.push((name.clone(), object.clone()));
                Bound::Excluded(name.clone())
            }
            Some(rolled) => {
                page.prefixes.push(rolled.to_owned());
                match after_all(rolled) {
                    Some(next) => Bound::Included(next),
                    None => break,
                }
            }
        };
    }
    page
}

/// The prefix into which a name is rolled up.
fn rolled<'a>(name: &'a str, query: &ListQuery) -> Option<&'a str> {
    let delimiter = query.delimiter.as_deref()?;
    let at = name[query.prefix.len()..].find(delimiter)?;
    Some(&name[..query.prefix.len() + at + delimiter.len()])
}

/// The first text that is greater than all which begin so. UTF-8 orders as its characters do.
pub(crate) fn after_all(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    loop {
        // Past the surrogates, which are no characters.
        let next = match text.pop()? {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
}

/// The greatest of the lower bounds.
fn first(query: &ListQuery) -> Bound<String> {
    let start = query.start.as_ref().filter(|start| **start > query.prefix);
    let start = start.unwrap_or(&query.prefix);
    match &query.start_after {
        Some(after) if after >= start => Bound::Excluded(after.clone()),
        _ => Bound::Included(start.clone()),
    }
}

fn borrow(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(name) => Bound::Included(name),
        Bound::Excluded(name) => Bound::Excluded(name),
        Bound::Unbounded => Bound::Unbounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_prefix() {
        for (prefix, next) in [
            ("a/", Some("a0")),
            ("ü", Some("ý")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
        ] {
            assert_eq!(after_all(prefix).as_deref(), next, "{prefix}");
        }
    }
}
