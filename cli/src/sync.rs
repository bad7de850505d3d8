// SPDX-License-Identifier: Apache-2.0
//! `sync`: a tree made like another: what differs is copied, and with `--delete` what is not in the source is removed.
//!
//! ```text
//!  names of the target (--delete) ─▶ copies as `cp -r` makes them; each takes its target off those names
//!                                 ─▶ all went well, and the source was not empty ─▶ the names that are left are removed
//! ```

use crate::copy::{Compare, Copying, How, Plan, Target, is_partial};
use crate::escape;
use crate::exit::{Ended, Exit};
use crate::filter::Filter;
use crate::listing::objects;
use crate::names::Names;
use crate::place::{self, Place, name_of, prefix, relative, root, url_of};
use crate::progress::note;
use crate::removal::remove;
use crate::session::{self, Work};
use crate::settings::Settings;
use crate::tally::Tally;
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::fs::{DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use storescope::{Client, Store, StoreUrl};

/// Make what is below TARGET like what is below SOURCE: up, down, or between stores. What differs is copied, as `cp -r`
/// does; with --delete, what is not below SOURCE is removed.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "Examples:
  storescope sync site s3://lake/site --dry-run            what would be copied
  storescope sync site s3://lake/site --delete --dry-run   and what would be removed
  storescope sync s3://lake/site site --delete
  storescope sync oci://lake@ns/2026 s3://lake/2026 --include '*.parquet'

Removals come last, and only if every copy went well. Nothing is removed if SOURCE cannot be read
in full, nor if it is empty (unless --allow-empty is given), and never outside TARGET. Names that
--include and --exclude leave out are neither copied nor removed. What appears in TARGET while sync
runs stays. Links in a local TARGET are neither followed nor removed. Names are literal: * is not a
wildcard here.")]
pub(crate) struct Sync {
    /// A folder of this machine, or a prefix of names.
    #[arg(value_parser = place::parser())]
    source: Place,

    /// A folder of this machine, or a prefix of names.
    #[arg(value_parser = place::parser())]
    target: Place,

    /// Remove what is below TARGET and not below SOURCE.
    #[arg(long)]
    delete: bool,

    /// With --delete: an empty SOURCE removes all that is below TARGET.
    #[arg(long, requires = "delete")]
    allow_empty: bool,

    /// With --delete: remove nothing if more than so many would be removed.
    #[arg(long, value_name = "COUNT", requires = "delete")]
    max_delete: Option<usize>,

    /// What has the same size is equal.
    #[arg(long, conflicts_with = "checksum")]
    size_only: bool,

    /// Only what has the same checksum is equal; time decides nothing.
    #[arg(long)]
    checksum: bool,

    /// Print what would be copied and removed, and write nothing.
    #[arg(long)]
    dry_run: bool,

    /// Copies under way at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,

    /// One JSON object a line for each file, and one for the sum.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    filter: Filter,
}

impl Sync {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::perform(settings, &self)
    }

    /// Writes nothing, and says what would be done.
    pub(crate) fn rehearse(&mut self) {
        self.dry_run = true;
    }

    fn copying(&self) -> Copying {
        let compare = match (self.size_only, self.checksum) {
            (true, _) => Compare::Size,
            (_, true) => Compare::Checksum,
            _ => Compare::ChecksumOrTime,
        };
        let plan = Plan {
            sources: vec![self.source.clone()],
            target: self.target.clone(),
            recursive: true,
            follow_links: true,
            looks: true,
            names: Names::literal(),
            filter: self.filter.clone(),
            of_trees: true,
        };
        let how = How { compare, dry_run: self.dry_run, ..How::default() };
        Copying { plan, how, concurrency: self.concurrency }
    }

    /// What may have to go, before anything is copied.
    async fn candidates(&self, client: &Client) -> Result<Surplus, Exit> {
        match &self.target {
            Place::Store(url) => self.objects(client, url).await,
            Place::Local(folder) => {
                let (folder, filter) = (folder.clone(), self.filter.clone());
                let walked = tokio::task::spawn_blocking(move || files(&folder, &filter));
                Ok(Surplus::Files(walked.await.map_err(io::Error::from)??, HashSet::new()))
            }
            Place::Standard => unreachable!("checked before"),
        }
    }

    async fn objects(&self, client: &Client, url: &StoreUrl) -> Result<Surplus, Exit> {
        let (store, below) = (root(client, url)?, prefix(url.key()));
        let mut listed = objects(&store, &below);
        let mut names = BTreeMap::new();
        while let Some(meta) = listed.try_next().await? {
            let relative = relative(&meta.key, &below)?;
            // The marker of a folder that is in the source stays.
            let marks = relative.is_empty() || relative.ends_with('/');
            let is_folder = match &self.source {
                Place::Local(source) => marks && source.join(relative).is_dir(),
                _ => relative.is_empty(),
            };
            if !is_folder && self.filter.takes(relative) {
                names.insert(meta.key, meta.size);
            }
        }
        Ok(Surplus::Objects(store, names))
    }

    /// Removes what is left over, if it may be.
    async fn clear(&self, mut surplus: Surplus, copied: usize, tally: &Tally) -> Ended {
        surplus.settle();
        let count = surplus.len();
        if count == 0 {
            return Ok(());
        }
        if tally.failures() > 0 {
            note(&format!(
                "storescope: {count} to remove from {} stay: not every copy went well",
                self.target
            ));
            return Ok(());
        }
        if copied == 0 && !self.allow_empty {
            return Err(Exit::usage(format!(
                "nothing is below {}: --allow-empty removes all {count} from {}",
                self.source, self.target
            )));
        }
        if let Some(most) = self.max_delete.filter(|most| count > *most) {
            return Err(Exit::usage(format!(
                "{count} would be removed from {}, more than --max-delete {most}: none was",
                self.target
            )));
        }
        if self.dry_run {
            surplus.tell(tally);
            return Ok(());
        }
        match surplus {
            Surplus::Objects(store, names) => {
                remove(&store, stream::iter(names.into_keys().map(Ok)).boxed(), tally).await
            }
            Surplus::Files(files, _) => {
                let Place::Local(top) = &self.target else { return Ok(()) };
                for (path, seen) in files {
                    remove_file(&path, seen, top, tally);
                }
                Ok(())
            }
        }
    }
}

impl Work for Sync {
    fn check(&self) -> Ended {
        if let (Place::Standard, _) | (_, Place::Standard) = (&self.source, &self.target) {
            return Err(Exit::usage("sync takes folders and prefixes: `cp` copies a stream"));
        }
        if let Place::Local(path) = &self.source
            && !path.is_dir()
        {
            return Err(Exit::usage(format!("{} is no folder: `cp` copies files", path.display())));
        }
        self.copying().check(self.json)?;
        if let (Place::Store(from), Place::Store(to)) = (&self.source, &self.target)
            && overlap(from, to, self.delete)
        {
            return Err(Exit::usage(format!("{from} and {to} overlap: one lies within the other")));
        }
        Ok(())
    }

    fn tally(&self) -> Option<Tally> {
        let tally = self.copying().counting(Tally::new("copied", self.json));
        Some(if self.delete { tally.with_removals() } else { tally })
    }

    async fn work(&self, client: &Client, tally: &Arc<Tally>) -> Ended {
        let mut surplus = if self.delete { Some(self.candidates(client).await?) } else { None };
        let mut copied = 0;
        let seen = |target: &Target| {
            copied += 1;
            if let Some(surplus) = &mut surplus {
                surplus.keep(target);
            }
        };
        self.copying().run(client, tally, seen).await?;
        match surplus {
            Some(surplus) => self.clear(surplus, copied, tally).await,
            None => Ok(()),
        }
    }
}

/// What is below the target and was not found below the source.
enum Surplus {
    /// Names and sizes.
    Objects(Store, BTreeMap<String, u64>),
    /// Files, and which files of the source stand here by other paths: through a link, or in another case.
    Files(BTreeMap<PathBuf, Seen>, HashSet<Id>),
}

/// Device and number of a file.
type Id = (u64, u64);

/// A file as it was when it was found.
type Seen = (u64, Option<SystemTime>);

impl Surplus {
    fn len(&self) -> usize {
        match self {
            Surplus::Objects(_, names) => names.len(),
            Surplus::Files(files, _) => files.len(),
        }
    }

    /// The source has it.
    fn keep(&mut self, target: &Target) {
        match (self, target) {
            (Surplus::Objects(_, names), Target::Object(_, key)) => {
                names.remove(key);
            }
            (Surplus::Files(files, others), Target::File(path)) => {
                let other = if files.remove(path).is_none() { id(path) } else { None };
                others.extend(other);
            }
            _ => {}
        }
    }

    /// The source has all that it has: what is one of its files by another path is not left over.
    fn settle(&mut self) {
        if let Surplus::Files(files, others) = self {
            files.retain(|path, _| !id(path).is_some_and(|id| others.contains(&id)));
        }
    }

    /// Says what would be removed.
    fn tell(&self, tally: &Tally) {
        let one = |name: String, bytes: u64| {
            if !tally.is_json() {
                tally.print(&format!("remove {}", escape::name(&name)));
            }
            tally.removed(json!({ "name": name, "bytes": bytes }));
        };
        match self {
            Surplus::Objects(store, names) => {
                for (key, bytes) in names {
                    one(url_of(store, key), *bytes);
                }
            }
            Surplus::Files(files, _) => {
                for (path, (bytes, _)) in files {
                    one(path.display().to_string(), *bytes);
                }
            }
        }
    }
}

/// The files below a folder that a filter takes; links, what is no file, and downloads under way are left alone.
fn files(top: &Path, filter: &Filter) -> Result<BTreeMap<PathBuf, Seen>, Exit> {
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let cannot = |e: io::Error| Exit::failed(format!("cannot read {}: {e}", folder.display()));
        let entries = match folder.read_dir() {
            Err(e) if e.kind() == io::ErrorKind::NotFound && folder == top => break,
            entries => entries.map_err(cannot)?,
        };
        for entry in entries {
            let entry: DirEntry = entry.map_err(cannot)?;
            let (path, metadata) = (entry.path(), entry.metadata().map_err(cannot)?);
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file() && !is_partial(&entry.file_name()) {
                // A name that is not UTF-8 cannot be that of an object: it did not come from a store.
                let relative = path.strip_prefix(top).map(name_of);
                if relative.is_ok_and(|name| name.is_ok_and(|name| filter.takes(&name))) {
                    found.insert(path, seen(&metadata));
                }
            }
        }
    }
    Ok(found)
}

/// Which file a path leads to, if there is one.
fn id(path: &Path) -> Option<Id> {
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn seen(metadata: &Metadata) -> Seen {
    (metadata.len(), metadata.modified().ok())
}

/// Removes a file that is still what was found, and the folders below `top` that it leaves empty.
fn remove_file(path: &Path, found: Seen, top: &Path, tally: &Tally) {
    let about = json!({ "name": path.display().to_string() });
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => tally.skipped("gone", about),
        Ok(metadata) if !metadata.is_file() || seen(&metadata) != found => {
            tally.skipped("changed", about);
        }
        looked => match looked.and_then(|_| std::fs::remove_file(path)) {
            Ok(()) => {
                tally.removed(about);
                let above = path.ancestors().skip(1).take_while(|folder| *folder != top);
                let _ = above.map(std::fs::remove_dir).take_while(Result::is_ok).count();
            }
            Err(error) => {
                let why = format!("cannot remove {}: {error}", path.display());
                tally.failed(Exit::failed(why), about);
            }
        },
    }
}

/// Whether one of two trees may lie within the other. One bucket may have two APIs: where names are removed, that counts,
/// too, unless the trees would be the same.
fn overlap(one: &StoreUrl, other: &StoreUrl, removes: bool) -> bool {
    let namespaces = one.namespace().zip(other.namespace());
    let (here, there) = (prefix(one.key()), prefix(other.key()));
    let may_be_one = if one.scheme() == other.scheme() {
        namespaces.is_none_or(|(one, other)| one == other)
    } else {
        removes && here != there
    };
    may_be_one
        && one.bucket() == other.bucket()
        && (here.starts_with(&there) || there.starts_with(&here))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_that_overlap_are_seen() {
        let url = |text: &str| text.parse::<StoreUrl>().unwrap();
        for (one, other, overlaps, if_removing) in [
            ("s3://b/a", "s3://b/a/b", true, true),
            ("s3://b/a/", "s3://b", true, true),
            ("s3://b/a", "s3://b/ab", false, false),
            ("s3://b/a", "s3://c/a", false, false),
            ("oci://b@ns/a", "oci://b/a", true, true),
            ("oci://b@ns/a", "oci://b@other/a", false, false),
            ("oci://b@ns/a", "s3://b/a", false, false),
            ("oci://b@ns/a", "s3://b", false, true),
            ("s3://b/a", "oci://b@ns/a/b", false, true),
            ("oci://b@ns/a", "s3://c", false, false),
        ] {
            let (one, other) = (url(one), url(other));
            assert_eq!(overlap(&one, &other, false), overlaps, "{one} {other}");
            assert_eq!(overlap(&one, &other, true), if_removing, "{one} {other}");
        }
    }

    #[test]
    fn only_files_that_are_what_was_found_are_removed() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        for name in ["a/b/1", "a/2", "3"] {
            std::fs::write(top.join(name), name).unwrap();
        }
        std::fs::create_dir(top.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(top.join("elsewhere"), top.join("a/link")).unwrap();
        std::os::unix::fs::symlink(top.join("3"), top.join("a/file")).unwrap();
        let found = files(top, &Filter::default()).unwrap();
        let names: Vec<_> = found.keys().map(|path| path.strip_prefix(top).unwrap()).collect();
        assert_eq!(names, [Path::new("3"), Path::new("a/2"), Path::new("a/b/1")]);

        std::fs::write(top.join("3"), "changed since").unwrap();
        let tally = Tally::default().with_removals();
        for (path, seen) in found {
            remove_file(&path, seen, top, &tally);
        }
        assert!(top.join("3").exists() && top.join("a/link").exists());
        assert!(!top.join("a/2").exists() && !top.join("a/b").exists(), "emptied folders go");
    }
}
