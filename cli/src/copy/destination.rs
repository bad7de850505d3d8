// SPDX-License-Identifier: Apache-2.0
//! Where listed objects go, and what is there already.

use super::ancestors::Ancestors;
use super::job::{Job, Known, Source, Step, Target};
use crate::escape;
use crate::exit::Exit;
use crate::listing::objects;
use crate::names::Pattern;
use crate::place::{path_below, relative, url_of};
use crate::progress::note;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream, Peekable};
use std::path::PathBuf;
use std::pin::Pin;
use storescope::{ObjectMeta, Store};

/// Jobs for listed objects, whose names count from behind `from`.
pub(super) fn from_listing(
    store: &Store,
    from: String,
    entries: BoxStream<'static, Result<ObjectMeta, Exit>>,
    into: Destination,
) -> BoxStream<'static, Step> {
    let (store, failed) = (store.clone(), url_of(store, &from));
    let jobs = stream::unfold((entries, into), move |(mut entries, mut into)| {
        let (store, from, failed) = (store.clone(), from.clone(), failed.clone());
        async move {
            let step = match entries.next().await? {
                Ok(meta) => {
                    let shown = url_of(&store, &meta.key);
                    match into.target(&meta, &from, &shown).await {
                        Ok((to, known)) => {
                            let job = Job::new(Source::Object(store, Box::new(meta)), to);
                            Step::Copy(Job { known, of_tree: true, ..job })
                        }
                        Err(exit) => Step::Fail(shown, exit),
                    }
                }
                Err(exit) => Step::Fail(failed, exit),
            };
            Some((step, (entries, into)))
        }
    });
    jobs.boxed()
}

/// The names that are being copied.
pub(super) enum Among {
    Only(String),
    Below(String),
    Matched(Pattern, bool),
}

impl Among {
    fn has(&self, key: &str) -> bool {
        match self {
            Among::Only(name) => key == name,
            Among::Below(prefix) => key.starts_with(prefix),
            Among::Matched(pattern, recursive) => pattern.takes(key, *recursive),
        }
    }
}

/// Where what is listed goes.
pub(super) enum Destination {
    /// A folder, and the files in it that a folder may be needed in the place of.
    Folder(PathBuf, Ancestors),
    Store {
        listing: Box<Listing>,
        store: Store,
        below: String,
        /// Where nothing may arrive: the listing of the sources would find it.
        kept_out: Vec<Among>,
    },
}

impl Destination {
    async fn target(
        &mut self,
        meta: &ObjectMeta,
        from: &str,
        shown: &str,
    ) -> Result<(Target, Known), Exit> {
        let name = relative(&meta.key, from)?;
        match self {
            Destination::Folder(folder, _) if name.is_empty() => {
                Ok((Target::Folder(folder.clone()), Known::Nothing))
            }
            Destination::Folder(folder, files) => {
                let path = path_below(folder, name).map_err(Exit::failed)?;
                if let Some(other) = files.above(name, shown) {
                    return Err(Exit::failed(format!(
                        "{other} is an object, too, and becomes a file where this needs a folder"
                    )));
                }
                match (name.ends_with('/'), meta.size) {
                    (true, 0) => Ok((Target::Folder(path), Known::Nothing)),
                    (true, size) => Err(Exit::failed(format!(
                        "the name {name:?} is that of a folder, but it has {size} bytes"
                    ))),
                    (false, _) => Ok((Target::File(path), Known::Nothing)),
                }
            }
            Destination::Store { listing, store, below, kept_out } => {
                let key = format!("{below}{name}");
                if kept_out.iter().any(|sources| sources.has(&key)) {
                    let why = format!("its new name {key:?} is among those that are being copied");
                    return Err(Exit::failed(why));
                }
                let known = listing.look(&key).await;
                Ok((Target::Object(store.clone(), key), known))
            }
        }
    }
}

/// What is below the target, read beside the sources: both are in the order of names.
pub(super) struct Listing(Option<Entries>);

type Entries = Pin<Box<Peekable<BoxStream<'static, storescope::Result<ObjectMeta>>>>>;

impl Listing {
    /// Of what nothing is known.
    pub(super) fn unknown() -> Listing {
        Listing(None)
    }

    /// Of a store that lists in no order, nothing is known.
    pub(super) fn new(store: &Store, prefix: &str) -> Listing {
        if !store.lists_in_order() {
            return Listing(None);
        }
        Listing(Some(Box::pin(objects(store, prefix).boxed().peekable())))
    }

    /// Whether a name is there, where the listing tells. Names must be asked for in their order.
    pub(super) async fn look(&mut self, key: &str) -> Known {
        let Some(entries) = self.0.as_mut() else { return Known::Nothing };
        loop {
            match entries.as_mut().peek().await {
                Some(Ok(meta)) if meta.key.as_str() < key => {
                    entries.next().await;
                }
                Some(Ok(meta)) if meta.key == key => return Known::There(Box::new(meta.clone())),
                Some(Ok(_)) | None => return Known::Absent,
                Some(Err(error)) => {
                    // Not everybody who may write may list.
                    let error = escape::line(&error.to_string()).into_owned();
                    note(&format!("storescope: {error}; each name is looked for by itself"));
                    self.0 = None;
                    return Known::Nothing;
                }
            }
        }
    }
}
