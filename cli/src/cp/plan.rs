// SPDX-License-Identifier: Apache-2.0
//! What is to be copied where: each source of the command line becomes a stream of jobs, or of words why not.
//!
//! Trees of files and listings of names come in the order of their names, so that a listing of the target can run
//! beside them and tell what is there by one request for a thousand names.

use super::clash::{Ancestors, own_of};
use super::{leaving, sink, walk};
use crate::escape;
use crate::exit::Exit;
use crate::filter::Filter;
use crate::place::{Place, last, name_of, path_below, prefix, relative, root, url_of};
use crate::progress::note;
use crate::wildcard::{Meant, Names, Pattern};
use futures_util::stream::{self, BoxStream, Peekable};
use futures_util::{Stream, StreamExt, TryStreamExt};
use std::future::ready;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use storescope::{Client, ListEntry, ListOptions, ObjectMeta, Store, StoreUrl};

/// Where bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Standard input.
    Standard,
    /// A file of this machine.
    File(PathBuf),
    /// An object. Of one that was not listed nothing but the name is known: its size is 0, and it has no ETag.
    Object(Store, Box<ObjectMeta>),
}

/// Where bytes go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Standard output.
    Standard,
    /// A file of this machine.
    File(PathBuf),
    /// A folder of this machine: what the marker of one (`name/`, empty) becomes.
    Folder(PathBuf),
    /// The object of this name.
    Object(Store, String),
}

/// One thing to copy.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) from: Source,
    pub(crate) to: Target,
    pub(crate) known: Known,
    /// Whether it is part of a tree.
    pub(crate) of_tree: bool,
    /// The folder that was named, where the source is a file of a tree.
    pub(crate) top: Option<Arc<Path>>,
}

/// What is known of the target before it is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// Nothing.
    Nothing,
    /// A listing did not have it.
    Absent,
    /// A listing had it.
    There(Box<ObjectMeta>),
}

/// What comes of a name below a source.
#[derive(Debug)]
pub(crate) enum Step {
    /// It is to be copied.
    Copy(Job),
    /// What has this name is none of the data; why.
    Skip(String, &'static str),
    /// What has this name cannot be copied; why.
    Fail(String, Exit),
}

impl Source {
    pub(crate) fn shown(&self) -> String {
        match self {
            Source::Standard => "-".to_owned(),
            Source::File(path) => path.display().to_string(),
            Source::Object(store, meta) => url_of(store, &meta.key),
        }
    }
}

impl Target {
    pub(crate) fn shown(&self) -> String {
        match self {
            Target::Standard => "-".to_owned(),
            Target::File(path) => path.display().to_string(),
            Target::Folder(path) => format!("{}/", path.display()),
            Target::Object(store, key) => url_of(store, key),
        }
    }
}

impl Job {
    fn new(from: Source, to: Target) -> Job {
        Job { from, to, known: Known::Nothing, of_tree: false, top: None }
    }
}

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
                (Place::Local(path), _) if !self.follow_links && is_link(path) => leaving::LINK,
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
                    Ok(_) if path.file_name().is_some_and(sink::is_partial) => {
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
        if self.looks { Listing::new(store, prefix) } else { Listing(None) }
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
                    Listing(None)
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

/// Jobs for listed objects, whose names count from behind `from`.
fn from_listing(
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
enum Among {
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
enum Destination {
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

/// The objects of a prefix.
pub(crate) fn objects(
    store: &Store,
    prefix: &str,
) -> impl Stream<Item = storescope::Result<ObjectMeta>> + Send + use<> {
    store.list(prefix, ListOptions::new()).filter_map(|entry| {
        ready(match entry {
            Ok(ListEntry::Object(meta)) => Some(Ok(meta)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    })
}

/// What is below the target, read beside the sources: both are in the order of names.
struct Listing(Option<Entries>);

type Entries = Pin<Box<Peekable<BoxStream<'static, storescope::Result<ObjectMeta>>>>>;

impl Listing {
    /// Of a store that lists in no order, nothing is known.
    fn new(store: &Store, prefix: &str) -> Listing {
        if !store.lists_in_order() {
            return Listing(None);
        }
        Listing(Some(Box::pin(objects(store, prefix).boxed().peekable())))
    }

    /// Whether a name is there, where the listing tells. Names must be asked for in their order.
    async fn look(&mut self, key: &str) -> Known {
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

/// Why a partial file is not copied.
const PARTIAL: &str = "partial: a download that is under way, or was killed, left it";

/// A file below a folder: its name as an object's, or why it has none.
struct Walked {
    path: PathBuf,
    named: Result<String, String>,
}

/// The files of a tree that a filter takes, in the order of their names.
async fn walked(folder: &Path, follow_links: bool, filter: &Filter) -> Result<Vec<Walked>, Exit> {
    let folder = folder.to_owned();
    let found = tokio::task::spawn_blocking(move || walk::files(&folder, follow_links));
    let found = found.await.map_err(std::io::Error::from)?;
    let named = found.into_iter().filter_map(|walk::Found { path, relative, trouble }| {
        let name = name_of(&relative);
        let is_left_out = |name: &str| match &trouble {
            // What cannot be read may be a folder with names that are meant.
            Some(_) => filter.leaves_out_all_of(name),
            None => !filter.takes(name),
        };
        if name.as_ref().is_ok_and(|name| is_left_out(name)) {
            return None;
        }
        let named = match trouble {
            Some(why) => Err(format!("{}: {why}", path.display())),
            None => name,
        };
        Some(Walked { path, named })
    });
    let mut walked: Vec<_> = named.collect();
    walked.sort_by(|one, other| one.named.as_ref().ok().cmp(&other.named.as_ref().ok()));
    Ok(walked)
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
