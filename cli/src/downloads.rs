// SPDX-License-Identifier: Apache-2.0
//! `downloads`: files of downloads that were begun and never ended.

use crate::copy::is_partial;
use crate::escape;
use crate::exit::{Ended, Exit};
use crate::figures::{parse_age, rfc3339};
use crate::progress::note;
use clap::Args;
use serde_json::json;
use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// List files of downloads that were begun and never ended: what a process that was killed leaves below a folder. They
/// have names of their own (.storescope-*.part): nothing takes them for the file that was meant.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope downloads down                              size, time of the last write, and name
  storescope downloads down --remove --older-than 1d
  storescope downloads . --json

Links are not followed. A download that is under way locks its file: such a file is listed and never removed. Not every
file system has locks: --remove asks for an age, which counts from the last write. 0s means all.")]
pub(crate) struct Downloads {
    /// Folders; all below them is looked at.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,

    /// Remove them. Prints those that were.
    #[arg(long, requires = "older_than")]
    remove: bool,

    /// Only those that were last written so long ago, such as 1d or 12h.
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    older_than: Option<Duration>,

    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// A file of a download that has not ended.
struct Partial {
    path: PathBuf,
    metadata: Metadata,
    /// Open, and locked where its file system has locks; `None` where the download is under way.
    held: Option<File>,
}

impl Downloads {
    pub(crate) fn run(self) -> Ended {
        let mut failed = false;
        for top in &self.folders {
            let mut folders = vec![top.clone()];
            while let Some(folder) = folders.pop() {
                if let Err(exit) = self.look(&folder, &mut folders) {
                    note(&format!("storescope: {}", exit.message()));
                    failed = true;
                }
            }
        }
        if failed { Err(Exit::failed("not all could be looked at or removed")) } else { Ok(()) }
    }

    /// Tells what is in a folder; adds the folders in it to those that are to be looked at.
    fn look(&self, folder: &Path, folders: &mut Vec<PathBuf>) -> Ended {
        let cannot = |e: io::Error| Exit::cannot("read", folder, &e);
        let mut found = Vec::new();
        for entry in folder.read_dir().map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let kind = entry.file_type().map_err(cannot)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && is_partial(&entry.file_name()) {
                found.push(entry.path());
            }
        }
        found.sort();
        for path in found {
            let Some(partial) = Partial::open(&path)? else { continue };
            if self.is_meant(&partial.metadata) {
                self.tell(partial)?;
            }
        }
        Ok(())
    }

    fn is_meant(&self, metadata: &Metadata) -> bool {
        let Some(least) = self.older_than else { return true };
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        age.unwrap_or_default() >= least
    }

    /// Removes it, if that was asked for, and prints it.
    fn tell(&self, partial: Partial) -> Ended {
        let Partial { path, metadata, held } = partial;
        if self.remove {
            if held.is_none() {
                return Ok(());
            }
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Exit::cannot("remove", &path, &error));
                }
                _ => {}
            }
        }
        let (mut out, size) = (io::stdout().lock(), metadata.len());
        let written = metadata.modified().map(rfc3339).unwrap_or_default();
        if self.json {
            let line = json!({
                "path": path.to_string_lossy(),
                "size": size,
                "written": written,
                "under_way": held.is_none(),
                "removed": self.remove,
            });
            return Ok(writeln!(out, "{}", escape::json(&line))?);
        }
        let word = match (self.remove, &held) {
            (true, _) => "removed  ",
            (false, None) => "under way  ",
            (false, Some(_)) => "",
        };
        Ok(writeln!(out, "{word}{written:20}  {size:>12}  {}", escape::path(&path))?)
    }
}

impl Partial {
    /// `None` where the download has ended meanwhile.
    fn open(path: &Path) -> Result<Option<Partial>, Exit> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Exit::cannot("read", path, &error)),
        };
        let metadata = file.metadata().map_err(|e| Exit::cannot("read", path, &e))?;
        // Without locks on that file system, the age alone decides.
        let under_way = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        Ok(Some(Partial { path: path.to_owned(), metadata, held: (!under_way).then_some(file) }))
    }
}
