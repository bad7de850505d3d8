// SPDX-License-Identifier: Apache-2.0
//! The files of a tree. Links are followed, but not round in a circle; or each is told as what cannot be one.

use super::remove_source::LINK;
use crate::exit::Exit;
use crate::filter::Filter;
use crate::place::name_of;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file below a folder: its name as an object's, or why it has none.
pub(super) struct Walked {
    pub(super) path: PathBuf,
    pub(super) named: Result<String, String>,
}

/// The files of a tree that a filter takes, in the order of their names.
pub(super) async fn walked(
    folder: &Path,
    follow_links: bool,
    filter: &Filter,
) -> Result<Vec<Walked>, Exit> {
    let folder = folder.to_owned();
    let found = tokio::task::spawn_blocking(move || files(&folder, follow_links));
    let found = found.await.map_err(std::io::Error::from)?;
    let named = found.into_iter().filter_map(|Found { path, relative, trouble }| {
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

/// A file, or what cannot be one.
#[derive(Debug)]
struct Found {
    path: PathBuf,
    /// Below the folder that was walked.
    relative: PathBuf,
    trouble: Option<String>,
}

/// Every file below a folder. What cannot be read is among them, with its trouble.
fn files(folder: &Path, follow_links: bool) -> Vec<Found> {
    let mut walk = Walk { top: folder, follow_links, found: Vec::new(), within: Vec::new() };
    match folder.metadata() {
        Ok(metadata) => walk.folder(folder, &metadata),
        Err(error) => walk.tell(folder, Some(error.to_string())),
    }
    walk.found
}

struct Walk<'a> {
    top: &'a Path,
    follow_links: bool,
    found: Vec<Found>,
    /// Device and number of the folders that lead here.
    within: Vec<(u64, u64)>,
}

impl Walk<'_> {
    fn folder(&mut self, path: &Path, metadata: &Metadata) {
        let id = (metadata.dev(), metadata.ino());
        if self.within.contains(&id) {
            return self.tell(path, Some("a link to a folder that it is in".to_owned()));
        }
        let entries = match path.read_dir() {
            Ok(entries) => entries,
            Err(error) => return self.tell(path, Some(error.to_string())),
        };
        self.within.push(id);
        for entry in entries {
            match entry {
                Ok(entry) => self.entry(&entry.path()),
                Err(error) => self.tell(path, Some(error.to_string())),
            }
        }
        self.within.pop();
    }

    fn entry(&mut self, path: &Path) {
        let metadata = if self.follow_links { path.metadata() } else { path.symlink_metadata() };
        match metadata {
            Ok(metadata) if metadata.is_symlink() => self.tell(path, Some(LINK.to_owned())),
            Ok(metadata) if metadata.is_dir() => self.folder(path, &metadata),
            Ok(metadata) if metadata.is_file() => self.tell(path, None),
            Ok(_) => self.tell(path, Some("is neither a file nor a folder".to_owned())),
            Err(error) => self.tell(path, Some(error.to_string())),
        }
    }

    fn tell(&mut self, path: &Path, trouble: Option<String>) {
        let relative = path.strip_prefix(self.top).unwrap_or(path).to_owned();
        self.found.push(Found { path: path.to_owned(), relative, trouble });
    }
}
