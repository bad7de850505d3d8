// SPDX-License-Identifier: Apache-2.0
//! What is to be copied where: each source of the command line becomes a stream of jobs, or of words why not.
//!
//! Trees of files and listings of names come in the order of their names, so that a listing of the target can run
//! beside them and tell what is there by one request for a thousand names.

use super::walk;
use crate::exit::Exit;
use crate::place::{Place, last, name_of, path_below, prefix, root, url_of};
use futures_util::stream::{self, BoxStream, Peekable};
use futures_util::{Stream, StreamExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use storescope::{Client, ListEntry, ListOptions, ObjectMeta, Store};

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

/// A job, or the name of what cannot be one and why.
pub(crate) type Step = Result<Job, (String, Exit)>;

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
        Job { from, to, known: Known::Nothing, of_tree: false }
    }
}

/// The command line's sources and target.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) sources: Vec<Place>,
    pub(crate) target: Place,
    pub(crate) recursive: bool,
}

impl Plan {
    /// Refuses what can be seen to make no sense before anything is done.
    pub(crate) fn check(&self) -> Result<(), Exit> {
        let Plan { sources, target, recursive } = self;
        let several = sources.len() > 1;
        if several && !target.is_folder() && !(*recursive && matches!(target, Place::Store(_))) {
            return Err(Exit::usage(format!("several sources need a folder: {target} is none")));
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
                    if from == to || (*recursive && is_within(from, to)) =>
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

    /// The jobs, as they are found.
    pub(crate) async fn jobs(&self, client: &Client) -> Result<BoxStream<'static, Step>, Exit> {
        let mut all = Vec::new();
        for source in &self.sources {
            all.push(match source {
                Place::Local(path) if self.recursive && path.is_dir() => {
                    self.tree(client, path).await?
                }
                Place::Store(url) if self.recursive => {
                    let store = root(client, url)?;
                    match self.listed(client, &store, url.key()).await? {
                        Some(jobs) => jobs,
                        None => self.one(client, source)?,
                    }
                }
                _ => self.one(client, source)?,
            });
        }
        Ok(stream::iter(all).flatten().boxed())
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
        let step = self.target_of(client, source).map(|to| Job::new(from, to));
        Ok(stream::once(std::future::ready(step.map_err(|exit| (source.to_string(), exit))))
            .boxed())
    }

    /// Where a single source goes: into the target's place, or below it under its own name.
    fn target_of(&self, client: &Client, source: &Place) -> Result<Target, Exit> {
        let below = self.target.is_folder() || self.sources.len() > 1;
        let name = || match source {
            Place::Standard => Err(Exit::usage("standard input has no name")),
            Place::Local(path) => own_name(path),
            Place::Store(url) => last(url.key()).map(str::to_owned).ok_or_else(|| {
                Exit::usage(format!("{source} has no last name: say the target's in full"))
            }),
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
        let own = if self.sources.len() > 1 { own_name(path)? + "/" } else { String::new() };
        let (store, below) = (root(client, url)?, prefix(url.key()) + &own);
        let folder = path.to_owned();
        let walked = tokio::task::spawn_blocking(move || walk::files(&folder));
        let walked = walked.await.map_err(std::io::Error::from)?;
        let mut found: Vec<_> = walked
            .into_iter()
            .map(|found| {
                let walk::Found { path, relative, trouble } = found;
                let named = match trouble {
                    Some(why) => Err(format!("{}: {why}", path.display())),
                    None => name_of(&relative),
                };
                (path, named)
            })
            .collect();
        found.sort_by(|(_, one), (_, other)| one.as_ref().ok().cmp(&other.as_ref().ok()));
        let listing = Listing::new(&store, &below);
        let jobs = stream::unfold((found.into_iter(), listing), move |(mut found, mut listing)| {
            let (store, below) = (store.clone(), below.clone());
            async move {
                let (path, named) = found.next()?;
                let step = match named {
                    Ok(name) => {
                        let key = below + &name;
                        let known = listing.look(&key).await;
                        let to = Target::Object(store, key);
                        Ok(Job { known, of_tree: true, ..Job::new(Source::File(path), to) })
                    }
                    Err(why) => Err((path.display().to_string(), Exit::failed(why))),
                };
                Some((step, (found, listing)))
            }
        });
        Ok(jobs.boxed())
    }

    /// The objects below a name; `None` where there are none, but the name may be that of an object.
    async fn listed(
        &self,
        client: &Client,
        from_store: &Store,
        key: &str,
    ) -> Result<Option<BoxStream<'static, Step>>, Exit> {
        let from = prefix(key);
        let mut entries = Box::pin(objects(from_store, &from).peekable());
        if entries.as_mut().peek().await.is_none() && !key.is_empty() {
            return Ok(None);
        }
        let own = match last(key.strip_suffix('/').unwrap_or(key)) {
            Some(own) if self.sources.len() > 1 => format!("{own}/"),
            _ => String::new(),
        };
        let into = match &self.target {
            Place::Standard => unreachable!("checked before"),
            Place::Local(folder) => {
                let folder = if own.is_empty() {
                    folder.clone()
                } else {
                    path_below(folder, &own).map_err(Exit::usage)?
                };
                Destination::Folder(folder)
            }
            Place::Store(url) => {
                let (store, below) = (root(client, url)?, prefix(url.key()) + &own);
                let kept_out = (store.url() == from_store.url()).then(|| from.clone());
                let listing = match from_store.lists_in_order() {
                    true => Box::new(Listing::new(&store, &below)),
                    false => Box::new(Listing(None)),
                };
                Destination::Store { listing, store, below, kept_out }
            }
        };
        let (store, failed) = (from_store.clone(), url_of(from_store, &from));
        let jobs = stream::unfold((entries, into), move |(mut entries, mut into)| {
            let (store, from, failed) = (store.clone(), from.clone(), failed.clone());
            async move {
                let step = match entries.next().await? {
                    Ok(meta) => {
                        let shown = url_of(&store, &meta.key);
                        let to = into.target(&meta, &from).await;
                        to.map_err(|exit| (shown, exit)).map(|(to, known)| Job {
                            known,
                            of_tree: true,
                            ..Job::new(Source::Object(store, Box::new(meta)), to)
                        })
                    }
                    Err(error) => Err((failed, error.into())),
                };
                Some((step, (entries, into)))
            }
        });
        Ok(Some(jobs.boxed()))
    }
}

/// Where what is listed goes.
enum Destination {
    Folder(PathBuf),
    Store {
        listing: Box<Listing>,
        store: Store,
        below: String,
        /// Where nothing may arrive: the listing of the sources would find it.
        kept_out: Option<String>,
    },
}

impl Destination {
    async fn target(&mut self, meta: &ObjectMeta, from: &str) -> Result<(Target, Known), Exit> {
        let name = meta
            .key
            .strip_prefix(from)
            .ok_or_else(|| Exit::failed(format!("the listing of {from:?} names {:?}", meta.key)))?;
        match self {
            Destination::Folder(folder) if name.is_empty() => {
                Ok((Target::Folder(folder.clone()), Known::Nothing))
            }
            Destination::Folder(folder) => {
                let path = path_below(folder, name).map_err(Exit::failed)?;
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
                if kept_out.as_ref().is_some_and(|sources| key.starts_with(sources)) {
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
        std::future::ready(match entry {
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
                Some(Err(_)) => {
                    // Not everybody who may write may list: each name is looked for by itself.
                    self.0 = None;
                    return Known::Nothing;
                }
            }
        }
    }
}

fn own_name(path: &Path) -> Result<String, Exit> {
    // `.` and `..` have names, too, once they are resolved.
    let resolved = if path.file_name().is_some() { path.to_owned() } else { path.canonicalize()? };
    let name = resolved.file_name().map(Path::new);
    name.map_or(Ok(String::new()), name_of).map_err(Exit::usage)
}

/// Whether what is copied there would be found again by the listing that it came from.
fn is_within(from: &storescope::StoreUrl, to: &storescope::StoreUrl) -> bool {
    from.with_key("") == to.with_key("") && prefix(to.key()).starts_with(&prefix(from.key()))
}
