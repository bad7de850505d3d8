// SPDX-License-Identifier: Apache-2.0
//! What changed, written down: a log of checksummed lines in the data folder, from which the
//! store is made again.
//!
//! ```text
//!  body ─► blob on disk (synced) ─► line in the journal ─► the store in memory ─► answer
//! ```
//!
//! A change is done when its line is whole, so `kill -9` leaves each object old or new: a torn
//! last line is cut off at the next start, a blob that no line names is removed, and the log is
//! written anew as a snapshot, as it is when it has grown long. Lines are handed to the system, not synced: a machine that crashes
//! may lose its latest changes, but no object comes back with other bytes than were put, as blobs
//! are synced before their line and a blob that is too short drops its object.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::content::{Blob, Content, DataFolder, Extent, Piece};
use crate::folder::create_private;
use crate::state::{Change, State};

/// A log shorter than this is not written anew before the next start.
const MIN_REWRITE: u64 = 16 << 20;

/// The log, open for more.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    length: u64,
    /// At this length it is written anew.
    rewrite_at: u64,
    /// An earlier line could neither be written nor be taken back.
    broken: bool,
}

/// A change as the log has it.
type LoggedChange = Change<Vec<Extent>>;

impl Journal {
    /// Reads what is in the folder, and begins its log anew.
    pub(crate) fn open(folder: &Arc<DataFolder>) -> io::Result<(Journal, State)> {
        let mut state = State::default();
        let blobs: HashMap<u64, Arc<Blob>> = folder.blobs()?.into_iter().collect();
        let (changes, whole) = read(&path(folder))?;
        for change in changes {
            state.apply(change.with_contents(&|extents: &Vec<Extent>| find(&blobs, extents)));
        }
        // Those that nothing names are removed here.
        drop(blobs);
        let dropped = state.drop_broken();
        let (file, length) = match write_snapshot(folder, &state) {
            Ok(fresh) => fresh,
            // On a full disk there may be no room for two: the old one serves, as far as it is
            // whole. Where objects were dropped it would bring them back.
            Err(error) if whole > 0 && !dropped => {
                tracing::warn!(%error, "the journal cannot be written anew: the old one is kept");
                (keep_old(folder, whole)?, whole)
            }
            Err(error) => return Err(error),
        };
        Ok((Journal { file, length, rewrite_at: rewrite_at(length), broken: false }, state))
    }

    /// Writes a log that has grown long anew, as a snapshot of the store.
    pub(crate) fn shorten(&mut self, folder: &DataFolder, state: &State) {
        if self.length < self.rewrite_at {
            return;
        }
        match write_snapshot(folder, state) {
            Ok((file, length)) => {
                (self.file, self.length, self.rewrite_at) = (file, length, rewrite_at(length));
            }
            Err(error) => {
                // There may be no room for two: the old one stays, and serves.
                tracing::warn!(%error, "the journal cannot be written anew");
                self.rewrite_at = self.length.saturating_mul(2);
            }
        }
    }

    /// Writes a change; if that fails, the log is as it was.
    pub(crate) fn write(&mut self, change: &Change) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier line of the journal is torn"));
        }
        let line = line(change)?;
        if let Err(error) = self.file.write_all_at(&line, self.length) {
            self.broken = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

fn path(folder: &DataFolder) -> PathBuf {
    folder.path().join("journal")
}

/// The contents of these extents. A blob that is not there leaves its bytes out, which
/// [`State::drop_broken`] finds by the object's size.
fn find(blobs: &HashMap<u64, Arc<Blob>>, extents: &[Extent]) -> Content {
    extents
        .iter()
        .filter_map(|Extent(id, from, length)| {
            let blob = blobs.get(id)?.clone();
            Some(Piece::File { blob, range: *from..from + length })
        })
        .collect()
}

/// The changes of a log, and the bytes that they take: what comes after them is torn.
fn read(path: &Path) -> io::Result<(Vec<LoggedChange>, u64)> {
    let mut lines = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error),
    };
    let mut changes = Vec::new();
    let mut whole = 0;
    let mut bytes = Vec::new();
    while lines.read_until(b'\n', &mut bytes)? > 0 {
        let Some(change) = parse(&bytes) else {
            tracing::warn!(after = changes.len(), "the journal is torn: the rest is dropped");
            break;
        };
        changes.push(change);
        whole += bytes.len() as u64;
        bytes.clear();
    }
    Ok((changes, whole))
}

/// `CRC32C in hex, space, JSON, LF`.
fn line(change: &Change) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(change)?;
    let mut line = format!("{:08x} ", crc32c::crc32c(&json)).into_bytes();
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

fn parse(line: &[u8]) -> Option<LoggedChange> {
    let (sum, json) = line.strip_suffix(b"\n")?.split_at_checked(9)?;
    let sum = std::str::from_utf8(sum.strip_suffix(b" ")?).ok()?;
    (format!("{:08x}", crc32c::crc32c(json)) == sum).then(|| serde_json::from_slice(json).ok())?
}

/// Writes the store as it is into a new log, which takes the place of the old one at once.
fn write_snapshot(folder: &DataFolder, state: &State) -> io::Result<(File, u64)> {
    let draft = folder.path().join("journal.new");
    let write = || {
        let mut file = BufWriter::new(create_private(&draft)?);
        for change in state.changes() {
            file.write_all(&line(&change)?)?;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let length = file.metadata()?.len();
        std::fs::rename(&draft, path(folder))?;
        Ok((file, length))
    };
    write().inspect_err(|_| {
        // Half of it takes room that others need; if it stays, it is only that.
        let _ = std::fs::remove_file(&draft);
    })
}

/// The log as it is, cut where it is torn.
fn keep_old(folder: &DataFolder, whole: u64) -> io::Result<File> {
    let file = File::options().write(true).open(path(folder))?;
    file.set_len(whole)?;
    Ok(file)
}

/// When a log is long that was of this length when it was new.
fn rewrite_at(length: u64) -> u64 {
    MIN_REWRITE.max(length.saturating_mul(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_none() {
        let change = Change::<Content>::Delete { bucket: "b".into(), name: "a".into() };
        let whole = line(&change).unwrap();
        assert!(parse(&whole).is_some());
        for cut in 0..whole.len() {
            assert!(parse(&whole[..cut]).is_none(), "cut at {cut}");
        }
        for byte in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[byte] ^= 1;
            assert!(parse(&flipped).is_none(), "flipped at {byte}");
        }
    }
}
