// SPDX-License-Identifier: Apache-2.0
//! Whether a target holds what its source does: by size and checksum; by size and time where the store tells no
//! checksum that can be compared.

use super::plan::{Known, Source, Target};
use crate::exit::Exit;
use md5::{Digest, Md5};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;
use storescope::{Checksum, ObjectMeta, Store};

/// Whether the target is there and holds what the source does.
pub(super) async fn is_equal(
    source: &Source,
    target: &Target,
    known: &Known,
) -> Result<bool, Exit> {
    match (source, target) {
        (Source::File(path), Target::Object(store, key)) => {
            let Some(object) = there(store, key, known).await? else { return Ok(false) };
            let file = metadata(path)?;
            file_is_object(path, &file, store, &object, Order::FileFirst).await
        }
        (Source::Object(store, object), Target::File(path)) => match std::fs::metadata(path) {
            Ok(file) if file.is_file() => {
                file_is_object(path, &file, store, object, Order::ObjectFirst).await
            }
            _ => Ok(false),
        },
        (Source::Object(from, source), Target::Object(to, key)) => {
            let Some(target) = there(to, key, known).await? else { return Ok(false) };
            objects_are_equal(from, source, to, &target).await
        }
        _ => Ok(false),
    }
}

/// Whether the target is there at all.
pub(super) async fn exists(target: &Target, known: &Known) -> Result<bool, Exit> {
    match target {
        Target::Object(store, key) => Ok(there(store, key, known).await?.is_some()),
        Target::File(path) | Target::Folder(path) => Ok(path.symlink_metadata().is_ok()),
        Target::Standard => Ok(false),
    }
}

/// What the listing said, or a HEAD does.
async fn there(store: &Store, key: &str, known: &Known) -> Result<Option<ObjectMeta>, Exit> {
    match known {
        Known::There(meta) => Ok(Some(meta.as_ref().clone())),
        Known::Absent => Ok(None),
        Known::Nothing => match store.head(key).await {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        },
    }
}

/// Which of the two is the source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    FileFirst,
    ObjectFirst,
}

async fn file_is_object(
    path: &Path,
    file: &Metadata,
    store: &Store,
    object: &ObjectMeta,
    order: Order,
) -> Result<bool, Exit> {
    if file.len() != object.size {
        return Ok(false);
    }
    if object.size == 0 {
        return Ok(true);
    }
    let told = match object.checksum {
        Some(told) => Some(told),
        None => store.head(&object.key).await?.checksum,
    };
    if let Some(told) = told
        && let Some(ours) = checksum_of(path, told).await?
    {
        return Ok(ours == told);
    }
    let file = file.modified().ok();
    Ok(match order {
        Order::FileFirst => is_as_old(file, object.last_modified),
        Order::ObjectFirst => is_as_old(object.last_modified, file),
    })
}

async fn objects_are_equal(
    from: &Store,
    source: &ObjectMeta,
    to: &Store,
    target: &ObjectMeta,
) -> Result<bool, Exit> {
    if source.size != target.size {
        return Ok(false);
    }
    if source.size == 0 {
        return Ok(true);
    }
    if let Some(equal) = compared(source.checksum, target.checksum) {
        return Ok(equal);
    }
    let (source, target) = (from.head(&source.key).await?, to.head(&target.key).await?);
    Ok(compared(source.checksum, target.checksum)
        .unwrap_or_else(|| is_as_old(source.last_modified, target.last_modified)))
}

/// `None` where the two are not of one kind.
fn compared(one: Option<Checksum>, other: Option<Checksum>) -> Option<bool> {
    match (one?, other?) {
        (Checksum::Crc32c(one), Checksum::Crc32c(other)) => Some(one == other),
        (Checksum::Md5(one), Checksum::Md5(other)) => Some(one == other),
        _ => None,
    }
}

/// Whether the source is not newer than its copy.
fn is_as_old(source: Option<SystemTime>, copy: Option<SystemTime>) -> bool {
    matches!((source, copy), (Some(source), Some(copy)) if source <= copy)
}

/// The checksum of a file, of the same kind as `like`.
async fn checksum_of(path: &Path, like: Checksum) -> Result<Option<Checksum>, Exit> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || match like {
        Checksum::Crc32c(_) => {
            let mut crc = 0;
            each_piece(&owned, |piece| crc = crc32c::crc32c_append(crc, piece))?;
            Ok(Some(Checksum::Crc32c(crc)))
        }
        Checksum::Md5(_) => {
            let mut md5 = Md5::new();
            each_piece(&owned, |piece| md5.update(piece))?;
            Ok(Some(Checksum::Md5(md5.finalize().into())))
        }
        _ => Ok(None),
    });
    let read: io::Result<_> = read.await.map_err(io::Error::from)?;
    read.map_err(|e| Exit::failed(format!("{} cannot be read: {e}", path.display())))
}

fn each_piece(path: &Path, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            read => take(&piece[..read]),
        }
    }
}

fn metadata(path: &Path) -> Result<Metadata, Exit> {
    path.metadata().map_err(|e| Exit::failed(format!("{} cannot be read: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn only_checksums_of_one_kind_are_compared() {
        let (crc, md5) = (Checksum::Crc32c(1), Checksum::Md5([0; 16]));
        assert_eq!(compared(Some(crc), Some(crc)), Some(true));
        assert_eq!(compared(Some(crc), Some(Checksum::Crc32c(2))), Some(false));
        assert_eq!(compared(Some(crc), Some(md5)), None);
        assert_eq!(compared(None, Some(md5)), None);
    }

    #[test]
    fn a_newer_source_is_not_taken_for_its_copy() {
        let (old, new) = (Some(UNIX_EPOCH), Some(UNIX_EPOCH + Duration::from_secs(1)));
        assert!(is_as_old(old, new) && is_as_old(old, old));
        assert!(!is_as_old(new, old) && !is_as_old(None, new));
    }
}
