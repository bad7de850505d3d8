// SPDX-License-Identifier: Apache-2.0
//! The bytes of objects: shared pieces in memory or in files, never copied once they have come.
//!
//! A [`Content`] is a list of pieces. A commit joins the contents of its parts and a rename or a
//! copy shares them all, whatever their size; a reader holds on to what it began to read. A
//! [`Blob`] is one file of the data folder; the file goes with the last content that holds it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use crate::folder::{FolderLock, create_private_dir};

/// The bytes of an object or of a part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content(Arc<[Placed]>);

/// A piece and where it ends in its content.
#[derive(Clone, Debug)]
struct Placed {
    piece: Piece,
    end: u64,
}

/// Bytes on their way out: a range of a content, or an answer of our own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    pub(crate) pieces: VecDeque<Piece>,
    length: u64,
}

/// A run of bytes in one place.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Memory(Bytes),
    File { blob: Arc<Blob>, range: Range<u64> },
}

/// A run of bytes as the journal writes it: blob, offset, length.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Extent(pub(crate) u64, pub(crate) u64, pub(crate) u64);

impl Content {
    pub(crate) fn len(&self) -> u64 {
        self.0.last().map_or(0, |last| last.end)
    }

    /// All of these, one after the other.
    pub(crate) fn joined<'a>(contents: impl IntoIterator<Item = &'a Content>) -> Content {
        contents
            .into_iter()
            .flat_map(|content| content.0.iter())
            .map(|placed| placed.piece.clone())
            .collect()
    }

    /// A part of it, which must lie within it; costs nothing by its length.
    #[cfg(any(test, feature = "s3"))]
    pub(crate) fn slice(&self, range: Range<u64>) -> Content {
        self.payload(range).pieces.into_iter().collect()
    }

    /// A range of it, which must lie within it, to be sent.
    pub(crate) fn payload(&self, range: Range<u64>) -> Payload {
        let first = self.0.partition_point(|placed| placed.end <= range.start);
        let pieces = self.0[first..]
            .iter()
            .map(|placed| (placed.end - placed.piece.len(), &placed.piece))
            .take_while(|(start, _)| *start < range.end)
            .map(|(start, piece)| {
                let from = range.start.saturating_sub(start);
                piece.slice(from..piece.len().min(range.end - start))
            })
            .filter(|piece| piece.len() > 0)
            .collect();
        Payload { pieces, length: range.end - range.start }
    }

    /// All of it, to be sent.
    pub(crate) fn whole(&self) -> Payload {
        self.payload(0..self.len())
    }

    /// Whether all its files are as long as they must be.
    pub(crate) fn is_sound(&self) -> bool {
        self.0.iter().all(|placed| match &placed.piece {
            Piece::Memory(_) => true,
            Piece::File { blob, range } => blob.length >= range.end,
        })
    }
}

impl FromIterator<Piece> for Content {
    fn from_iter<I: IntoIterator<Item = Piece>>(pieces: I) -> Content {
        let mut end = 0;
        let placed = pieces.into_iter().filter(|piece| piece.len() > 0).map(|piece| {
            end += piece.len();
            Placed { piece, end }
        });
        Content(placed.collect())
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Content {
        Content::from_iter([Piece::Memory(bytes)])
    }
}

impl Serialize for Content {
    /// As extents: a journal is kept only where all bytes are in files.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().filter_map(|placed| match &placed.piece {
            Piece::Memory(_) => None,
            Piece::File { blob, range } => {
                Some(Extent(blob.id, range.start, range.end - range.start))
            }
        }))
    }
}

impl Payload {
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Its first bytes, so many at most.
    pub(crate) fn first(self, most: u64) -> Payload {
        let length = self.length.min(most);
        let mut left = length;
        let pieces = self.pieces.into_iter().map_while(|piece| {
            let taken = piece.len().min(left);
            left -= taken;
            (taken > 0).then(|| piece.slice(0..taken))
        });
        Payload { pieces: pieces.collect(), length }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Payload {
        Payload { length: bytes.len() as u64, pieces: VecDeque::from([Piece::Memory(bytes)]) }
    }
}

impl Piece {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Piece::Memory(bytes) => bytes.len() as u64,
            Piece::File { range, .. } => range.end - range.start,
        }
    }

    fn slice(&self, part: Range<u64>) -> Piece {
        match self {
            Piece::Memory(bytes) => {
                Piece::Memory(bytes.slice(part.start as usize..part.end as usize))
            }
            Piece::File { blob, range } => Piece::File {
                blob: blob.clone(),
                range: range.start + part.start..range.start + part.end,
            },
        }
    }
}

/// A file that holds the body of one upload.
#[derive(Debug)]
pub(crate) struct Blob {
    id: u64,
    /// Bytes that are its own in the folder's count.
    length: u64,
    folder: Arc<DataFolder>,
}

impl Blob {
    fn path(&self) -> PathBuf {
        self.folder.blob_path(self.id)
    }

    pub(crate) fn open(&self) -> io::Result<File> {
        File::open(self.path())
    }

    /// Takes room for so many more bytes.
    pub(crate) fn grow(&mut self, bytes: u64) -> io::Result<()> {
        let used = self.folder.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.length += bytes;
        if self.folder.limit.is_some_and(|limit| used > limit) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Its bytes as a content.
    pub(crate) fn into_content(self) -> Content {
        let range = 0..self.length;
        Content::from_iter([Piece::File { blob: Arc::new(self), range }])
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        self.folder.used.fetch_sub(self.length, Ordering::Relaxed);
        if !self.folder.closing.load(Ordering::Relaxed) {
            // One that stays is found to be nobody's at the next start.
            let _ = std::fs::remove_file(self.path());
        }
    }
}

/// Reads a run of a file: fewer bytes than asked for are an error.
pub(crate) fn read_at(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

/// The data folder: blobs, and the journal beside them.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    last_blob: AtomicU64,
    used: AtomicU64,
    /// Most bytes of all blobs.
    limit: Option<u64>,
    /// Set when the emulator stops: what is dropped then stays on disk.
    closing: AtomicBool,
    /// Held as long as the folder is open.
    _lock: FolderLock,
}

impl DataFolder {
    /// Opens the folder, which is made if it is not there, and which nobody else may have open.
    pub(crate) fn open(path: &Path, limit: Option<u64>) -> io::Result<DataFolder> {
        create_private_dir(&path.join("blobs"))?;
        let lock = FolderLock::take(path, "lock", "data")?;
        Ok(DataFolder {
            path: std::path::absolute(path)?,
            last_blob: AtomicU64::new(0),
            used: AtomicU64::new(0),
            limit,
            closing: AtomicBool::new(false),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn blob_path(&self, id: u64) -> PathBuf {
        self.path.join("blobs").join(format!("{id:016x}"))
    }

    /// A new blob and its file, to be written.
    pub(crate) fn new_blob(self: &Arc<DataFolder>) -> io::Result<(Blob, File)> {
        let id = self.last_blob.fetch_add(1, Ordering::Relaxed) + 1;
        let blob = Blob { id, length: 0, folder: self.clone() };
        let file = File::create_new(blob.path())?;
        Ok((blob, file))
    }

    /// The blobs that lie in the folder. One that is dropped takes its file with it.
    pub(crate) fn blobs(self: &Arc<DataFolder>) -> io::Result<Vec<(u64, Arc<Blob>)>> {
        let mut blobs = Vec::new();
        for entry in std::fs::read_dir(self.path.join("blobs"))? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(id) = name.to_str().and_then(|name| u64::from_str_radix(name, 16).ok()) else {
                continue;
            };
            let length = entry.metadata()?.len();
            self.last_blob.fetch_max(id, Ordering::Relaxed);
            self.used.fetch_add(length, Ordering::Relaxed);
            blobs.push((id, Arc::new(Blob { id, length, folder: self.clone() })));
        }
        Ok(blobs)
    }

    /// From now on what is dropped stays on disk.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(payload: Payload) -> Vec<u8> {
        let read = |piece| match piece {
            Piece::Memory(bytes) => bytes,
            Piece::File { blob, range } => read_at(&blob.open().unwrap(), range).unwrap(),
        };
        payload.pieces.into_iter().flat_map(read).collect()
    }

    #[test]
    fn ranges_cross_pieces() {
        let parts = ["abc", "", "d", "efgh"].map(|part| Content::from(Bytes::from(part)));
        let content = Content::joined(&parts);
        assert_eq!(content.len(), 8);
        for from in 0..=8 {
            for to in from..=8 {
                let expected = &b"abcdefgh"[from as usize..to as usize];
                assert_eq!(bytes(content.payload(from..to)), expected);
                assert_eq!(content.payload(from..to).len(), to - from);
                assert_eq!(bytes(content.slice(from..to).whole()), expected);
                let first = content.payload(from..8).first(to - from);
                assert_eq!((first.len(), &bytes(first)[..]), (to - from, expected));
            }
        }
    }

    #[test]
    fn a_blob_lives_as_long_as_its_contents_and_outlives_a_close() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Arc::new(DataFolder::open(temporary.path(), Some(5)).unwrap());
        let files = || std::fs::read_dir(temporary.path().join("blobs")).unwrap().count();
        let make = || {
            let (mut blob, file) = folder.new_blob().unwrap();
            blob.grow(3)?;
            file.write_all_at(b"xyz", 0).unwrap();
            io::Result::Ok(blob.into_content())
        };
        let content = make().unwrap();
        let copy = content.slice(1..3);
        assert_eq!(make().unwrap_err().kind(), io::ErrorKind::StorageFull);
        drop(content);
        assert_eq!((files(), bytes(copy.whole())), (1, b"yz".to_vec()));
        drop(copy);
        assert_eq!(files(), 0);
        let content = make().unwrap();
        folder.close();
        drop(content);
        assert_eq!(files(), 1);
    }
}
