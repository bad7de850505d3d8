// SPDX-License-Identifier: Apache-2.0
//! What is to be copied where: each source of the command line becomes a stream of jobs, or of words why not.
//!
//! Trees of files and listings of names come in the order of their names, so that a listing of the target can run
//! beside them and tell what is there by one request for a thousand names.

use super::ancestors::Ancestors;
use super::destination::{Among, Destination, Listing, from_listing};
use super::job::{Job, Source, Step, Target};
use super::local_file::is_partial;
use super::remove_source;
use super::walk::{Walked, walked};
use crate::exit::Exit;
use crate::filter::Filter;
use crate::listing::objects;
use crate::names::{Meant, Names, Pattern};
use crate::place::{Place, last, name_of, path_below, prefix, root};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storescope::{Client, ObjectMeta, Store, StoreUrl};

/// Why a partial file is not copied.
const PARTIAL: &str = "partial: a download that is under way, or was killed, left it";

/// The command line's sources and target.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub(crate) struct Plan {
    pub(crate) sources: Vec<Place>,
    pub(crate) target: Place,
    pub(crate) recursive: bool,
    /// Whether links of this machine are followed.
    pub(crate) follow_links: bool,
    /// Whether it is of use to know what is there.
    pub(crate) looks: bool,
    /// Whether names of sources may be patterns.
    pub(crate) names: Names,
    /// Which names below the sources are meant.
    pub(crate) filter: Filter,
    /// Whether a source with nothing below is empty, and not an object.
    pub(crate) of_trees: bool,
}

impl Plan {
    /// Refuses what can be seen to make no sense before anything is done.
    pub(crate) fn check(&self) -> Result<(), Exit> {
        let Plan { sources, target, recursive, .. } = self;
        let several = sources.len() > 1;
        if several && !target.is_folder() && !(*recursive && matches!(target, Place::Store(_))) {
            return Err(Exit::usage(format!("several sources need a folder: {target} is none")));
        }
        for source in sources {
            let Place::Store(url) = source else { continue };
            if self.names.pattern(url)?.is_some() && !target.is_folder() && !recursive {
                return Err(Exit::usage(format!(
                    "{url} is a pattern, which may match several names: they need a folder, and {target} is none; \
                     --raw takes it as a name"
                )));
            }
        }
        for source in sources {
            let why = match (source, target) {
                (Place::Local(_) | Place::Standard, Place::Local(_) | Place::Standard) => {
                    "neither is in a store: use the system's own tools"
                }
                (Place::Store(url), _) if url.bucket().is_none() => {
                    "a service is no source: name a bucket"
                }
                (_, Place::Store(url)) if url.bucket().is_none() => {
                    "a service is no target: name a bucket"
                }
                (Place::Store(from), Place::Store(to))
                    if from == to || self.is_itself(from, to) =>
                {
                    "the target is the source, or lies within it"
                }
                (_, Place::Standard) if *recursive => "a tree does not go to standard output",
                (Place::Standard, _) if *recursive => "standard input is no tree",
                (Place::Standard, _) if target.is_folder() => {
                    "standard input has no name: say the object's"
                }
                (Place::Store(url), _) if !recursive && url.key().is_empty() => {
                    "that is a whole bucket: -r copies what is in it"
                }
                (Place::Local(path), _) if !self.follow_links && is_link(path) => {
                    remove_source::LINK
                }
                (Place::Local(path), _) if !recursive && path.is_dir() => {
                    "that is a folder: -r copies what is in it"
                }
                (_, Place::Local(path)) if *recursive && path.is_file() => {
                    "a tree goes into a folder, and there is a file of that name"
                }
                _ => continue,
            };
            return Err(Exit::usage(format!("{source} to {target}: {why}")));
        }
        Ok(())
    }

    /// Whether there may be more than one thing to copy.
    pub(crate) fn is_of_many(&self) -> bool {
        self.recursive || self.sources.len() > 1 || self.sources.iter().any(|it| self.may_match(it))
    }

    /// Whether a source is a pattern, as it is written.
    pub(super) fn may_match(&self, source: &Place) -> bool {
        match source {
            Place::Store(url) => matches!(self.names.pattern(url), Ok(Some(_))),
            _ => false,
        }
    }

    /// Whether what is copied has its name already, or would be found again by the listing that it came from.
    fn is_itself(&self, from: &StoreUrl, to: &StoreUrl) -> bool {
        if from.with_key("") != to.with_key("") {
            return false;
        }
        if self.recursive {
            return prefix(to.key()).starts_with(&prefix(from.key()));
        }
        let into_folder = self.target.is_folder() || self.sources.len() > 1;
        into_folder && last(from.key()).is_some_and(|own| prefix(to.key()) + own == from.key())
    }

    /// The name under which a source lands, where it does not take the target's place; empty for a whole bucket.
    pub(super) fn own_name(&self, source: &Place) -> Result<String, Exit> {
        match source {
            Place::Standard => Err(Exit::usage("standard input has no name")),
            Place::Local(path) => own_name(path),
            Place::Store(url) => match own_of(url, self.recursive) {
                Some(own) => Ok(own.to_owned()),
                None if self.recursive => Ok(String::new()),
                None => {
                    Err(Exit::usage(format!("{source} has no last name: say the target's in full")))
                }
            },
        }
    }

    /// The jobs, as they are found.
    pub(crate) async fn jobs(&self, client: &Client) -> Result<BoxStream<'static, Step>, Exit> {
        let mut all = Vec::new();
        for source in &self.sources {
            all.push(self.jobs_of(client, source).await?);
        }
        let mut all = stream::iter(all).flatten().boxed();
        if let [Place::Store(url)] = &self.sources[..]
            && self.names.pattern(url)?.is_some()
        {
            // A pattern that nothing matches is the command's own error.
            let mut steps = Box::pin(all.peekable());
            if let Some(Step::Fail(_, exit)) = steps.as_mut().peek().await
                && exit.is_missing()
                && let Some(Step::Fail(_, exit)) = steps.next().await
            {
                return Err(exit);
            }
            all = steps.boxed();
        }
        Ok(all)
    }

    /// The jobs of one source, in the order of its names.
    pub(super) async fn jobs_of(
        &self,
        client: &Client,
        source: &Place,
    ) -> Result<BoxStream<'static, Step>, Exit> {
        let named = match source {
            Place::Local(path) if self.recursive && path.is_dir() => {
                return self.tree(client, path).await;
            }
            Place::Store(url) => {
                let meant = self.names.meant(client, url, self.recursive, true).await?;
                let store = root(client, url)?;
                let below = match meant {
                    Meant::Pattern(pattern) => return self.matched(client, &store, pattern),
                    Meant::Name if self.recursive => self.listed(client, &store, url.key()).await?,
                    Meant::Name => None,
                };
                if let Some(jobs) = below {
                    return Ok(jobs);
                }
                last(url.key()).unwrap_or_default().into()
            }
            Place::Local(path) => path.file_name().unwrap_or_default().to_string_lossy(),
            // A stream has no name to filter by.
            Place::Standard => return self.one(client, source),
        };
        if self.filter.takes(&named) {
            self.one(client, source)
        } else {
            Ok(stream::empty().boxed())
        }
    }

    fn one(&self, client: &Client, source: &Place) -> Result<BoxStream<'static, Step>, Exit> {
        let from = match source {
            Place::Standard => Source::Standard,
            Place::Local(path) => Source::File(path.clone()),
            Place::Store(url) => {
                let mut meta = ObjectMeta::default();
                url.key().clone_into(&mut meta.key);
                Source::Object(root(client, url)?, Box::new(meta))
            }
        };
        let step = match self.target_of(client, source) {
            Ok(to) if from.shown() == to.shown() => {
                let exit = Exit::usage("the target is the source");
                Step::Fail(source.to_string(), exit)
            }
            Ok(to) => Step::Copy(Job::new(from, to)),
            Err(exit) => Step::Fail(source.to_string(), exit),
        };
        Ok(stream::once(ready(step)).boxed())
    }

    /// Where a single source goes: into the target's place, or below it under its own name.
    fn target_of(&self, client: &Client, source: &Place) -> Result<Target, Exit> {
        let below = self.target.is_folder() || self.sources.len() > 1;
        let name = || match (self.own_name(source)?, source) {
            (own, Place::Store(_)) if own.is_empty() => {
                Err(Exit::usage(format!("{source} has no last name: say the target's in full")))
            }
            (own, _) => Ok(own),
        };
        Ok(match &self.target {
            Place::Standard => Target::Standard,
            Place::Local(folder) if below => {
                Target::File(path_below(folder, &name()?).map_err(Exit::failed)?)
            }
            Place::Local(path) => Target::File(path.clone()),
            Place::Store(url) if below => {
                Target::Object(root(client, url)?, prefix(url.key()) + &name()?)
            }
            Place::Store(url) => Target::Object(root(client, url)?, url.key().to_owned()),
        })
    }

    /// The files of a tree.
    async fn tree(&self, client: &Client, path: &Path) -> Result<BoxStream<'static, Step>, Exit> {
        let Place::Store(url) = &self.target else { unreachable!("checked before") };
        let own = if self.sources.len() > 1 { prefix(&own_name(path)?) } else { String::new() };
        let (store, below) = (root(client, url)?, prefix(url.key()) + &own);
        let found = walked(path, self.follow_links, &self.filter).await?;
        let (listing, top) = (self.listing(&store, &below), Arc::<Path>::from(path));
        let jobs = stream::unfold((found.into_iter(), listing), move |(mut found, mut listing)| {
            let (store, below, top) = (store.clone(), below.clone(), Arc::clone(&top));
            async move {
                let Walked { path, named } = found.next()?;
                let step = match named {
                    Ok(_) if path.file_name().is_some_and(is_partial) => {
                        Step::Skip(path.display().to_string(), PARTIAL)
                    }
                    Ok(name) => {
                        let key = below + &name;
                        let known = listing.look(&key).await;
                        let to = Target::Object(store, key);
                        let job = Job::new(Source::File(path), to);
                        Step::Copy(Job { known, of_tree: true, top: Some(top), ..job })
                    }
                    Err(why) => Step::Fail(path.display().to_string(), Exit::failed(why)),
                };
                Some((step, (found, listing)))
            }
        });
        Ok(jobs.boxed())
    }

    /// What is below the target, where that is of use.
    fn listing(&self, store: &Store, prefix: &str) -> Listing {
        if self.looks { Listing::new(store, prefix) } else { Listing::unknown() }
    }

    /// The objects below a name; `None` where there are none, but the name may be that of an object.
    async fn listed(
        &self,
        client: &Client,
        store: &Store,
        key: &str,
    ) -> Result<Option<BoxStream<'static, Step>>, Exit> {
        let from = prefix(key);
        let mut entries = Box::pin(objects(store, &from).peekable());
        if entries.as_mut().peek().await.is_none() && !key.is_empty() && !self.of_trees {
            return Ok(None);
        }
        let own = match last(key.strip_suffix('/').unwrap_or(key)) {
            Some(own) if self.sources.len() > 1 => prefix(own),
            _ => String::new(),
        };
        let (filter, top) = (self.filter.clone(), from.clone());
        let entries = entries.map_err(Exit::from);
        let taken = entries.try_filter_map(move |meta| ready(filter.chosen(meta, &top)));
        let into = self.destination(client, store, &own, Among::Below(from.clone()))?;
        Ok(Some(from_listing(store, from, taken.boxed(), into)))
    }

    /// The objects that a pattern matches: they keep their names from the folder of the first wildcard on.
    fn matched(
        &self,
        client: &Client,
        store: &Store,
        pattern: Pattern,
    ) -> Result<BoxStream<'static, Step>, Exit> {
        let entries = pattern.chosen(store, self.recursive, &self.filter);
        let from = pattern.folder().to_owned();
        let among = Among::Matched(pattern, self.recursive);
        Ok(from_listing(store, from, entries, self.destination(client, store, "", among)?))
    }

    /// Where listed objects go: the target, or the folder `own` in it.
    fn destination(
        &self,
        client: &Client,
        from: &Store,
        own: &str,
        sources: Among,
    ) -> Result<Destination, Exit> {
        Ok(match &self.target {
            Place::Standard => unreachable!("checked before"),
            Place::Local(folder) if own.is_empty() => {
                Destination::Folder(folder.clone(), Ancestors::default())
            }
            Place::Local(folder) => {
                let folder = path_below(folder, own).map_err(Exit::usage)?;
                Destination::Folder(folder, Ancestors::default())
            }
            Place::Store(url) => {
                let (store, below) = (root(client, url)?, prefix(url.key()) + own);
                let kept_out = if store.url() == from.url() {
                    self.kept_out(url, sources)
                } else {
                    Vec::new()
                };
                // Only names that come in their order can be looked up beside a listing.
                let listing = Box::new(if from.lists_in_order() {
                    self.listing(&store, &below)
                } else {
                    Listing::unknown()
                });
                Destination::Store { listing, store, below, kept_out }
            }
        })
    }

    /// Where what is copied within a bucket may not arrive: a listing of sources would find it. Of plain names this was
    /// seen beforehand.
    fn kept_out(&self, target: &StoreUrl, sources: Among) -> Vec<Among> {
        let mut all = Vec::new();
        if matches!(sources, Among::Matched(..)) {
            let read = self.sources.iter().filter_map(|source| match source {
                Place::Store(url) if url.with_key("") == target.with_key("") => Some(url),
                _ => None,
            });
            all.extend(read.map(|url| match self.names.pattern(url) {
                Ok(Some(pattern)) => Among::Matched(pattern, self.recursive),
                _ if self.recursive => Among::Below(prefix(url.key())),
                _ => Among::Only(url.key().to_owned()),
            }));
        }
        all.push(sources);
        all
    }
}

/// The last name of a store's URL, as that of a folder or an object.
fn own_of(url: &StoreUrl, recursive: bool) -> Option<&str> {
    let key = url.key();
    last(if recursive { key.strip_suffix('/').unwrap_or(key) } else { key })
}

fn is_link(path: &Path) -> bool {
    // With a `/` behind it, the system would look at what it leads to.
    let path: PathBuf = path.components().collect();
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink())
}

fn own_name(path: &Path) -> Result<String, Exit> {
    // `.` and `..` have names, too, once they are resolved.
    let resolved = if path.file_name().is_some() { path.to_owned() } else { path.canonicalize()? };
    let name = resolved.file_name().map(Path::new);
    name.map_or(Ok(String::new()), name_of).map_err(Exit::usage)
}
