// SPDX-License-Identifier: Apache-2.0
//! Whether a target holds what its source does.
//!
//! Sizes that differ are not equal. Of equal size, one checksum of both decides: the MD5 that a listing tells (OCI), an
//! ETag that is the MD5 (S3), else the checksum that a HEAD tells (CRC32C). An ETag of 32 digits that is not the MD5 says
//! little: it may be that of an encrypted object; HEAD decides, and where that tells no checksum, the two count as
//! different. Where nothing can be compared, time decides, or with `--checksum` nothing does.
//!
//! Who may write need not be allowed to look: a target that cannot be looked at is not equal.

use super::job::{Known, Source, Target};
use crate::escape;
use crate::exit::Exit;
use crate::progress::note;
use md5::{Digest, Md5};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;
use storescope::{Checksum, Error, ErrorKind, ObjectMeta, Scheme, Store};

/// What counts as equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compare {
    /// Nothing: all is copied.
    Nothing,
    /// What has the same size.
    Size,
    /// What has the same checksum.
    Checksum,
    /// What has the same checksum; where there is none to compare, what is no newer than its copy.
    #[default]
    ChecksumOrTime,
}

/// Compares, as long as it may look.
#[derive(Debug)]
pub(super) struct Comparer {
    compare: Compare,
    /// HEADs that were answered, and refused.
    seen: AtomicU64,
    refused: AtomicU64,
}

/// So many refusals and no answer: nobody may look at any object. One alone may be S3's answer for a name that is not there,
/// to who may not list.
const REFUSALS: u64 = 8;

impl Comparer {
    pub(super) fn new(compare: Compare) -> Comparer {
        Comparer { compare, seen: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }

    /// Whether looking at an object was refused.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.load(Relaxed) > 0
    }

    /// Whether the target is there and holds what the source does.
    pub(super) async fn is_equal(
        &self,
        source: &Source,
        target: &Target,
        known: &Known,
    ) -> Result<bool, Exit> {
        if self.compare == Compare::Nothing {
            return Ok(false);
        }
        match (source, target) {
            (Source::File(path), Target::Object(store, key)) => {
                let Some(object) = self.there(store, key, known).await? else { return Ok(false) };
                let newer = |file, object| !is_as_old(file, object);
                self.file_is_object(path, &metadata(path)?, (store, &object), newer).await
            }
            (Source::Object(store, object), Target::File(path)) => match std::fs::metadata(path) {
                Ok(file) if file.is_file() => {
                    let newer = |file, object| !is_as_old(object, file);
                    self.file_is_object(path, &file, (store, object), newer).await
                }
                _ => Ok(false),
            },
            (Source::Object(from, source), Target::Object(to, key)) => {
                let Some(target) = self.there(to, key, known).await? else { return Ok(false) };
                self.objects_are_equal((from, source), (to, &target)).await
            }
            _ => Ok(false),
        }
    }

    /// Whether the target is there at all, as far as may be looked.
    pub(super) async fn exists(&self, target: &Target, known: &Known) -> Result<bool, Exit> {
        match target {
            Target::Object(store, key) => Ok(self.there(store, key, known).await?.is_some()),
            Target::File(path) | Target::Folder(path) => Ok(path.symlink_metadata().is_ok()),
            Target::Standard => Ok(false),
        }
    }

    /// What the listing said, or a HEAD does.
    async fn there(
        &self,
        store: &Store,
        key: &str,
        known: &Known,
    ) -> Result<Option<ObjectMeta>, Exit> {
        match known {
            Known::There(meta) => Ok(Some(meta.as_ref().clone())),
            Known::Absent => Ok(None),
            Known::Nothing => self.head(store, key).await,
        }
    }

    /// What a HEAD tells; `None` where nothing is there, or nobody may look.
    async fn head(&self, store: &Store, key: &str) -> Result<Option<ObjectMeta>, Exit> {
        if self.seen.load(Relaxed) == 0 && self.refused.load(Relaxed) >= REFUSALS {
            return Ok(None);
        }
        match store.head(key).await {
            Ok(meta) => {
                self.seen.fetch_add(1, Relaxed);
                Ok(Some(meta))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) if is_refused(&error) => {
                if self.refused.fetch_add(1, Relaxed) == 0 {
                    let error = escape::line(&error.to_string()).into_owned();
                    note(&format!(
                        "storescope: {error}; what may not be looked at cannot be compared, and is written"
                    ));
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn file_is_object(
        &self,
        path: &Path,
        file: &Metadata,
        (store, object): (&Store, &ObjectMeta),
        newer: impl Fn(Option<SystemTime>, Option<SystemTime>) -> bool,
    ) -> Result<bool, Exit> {
        if file.len() != object.size {
            return Ok(false);
        }
        if object.size == 0 || self.compare == Compare::Size {
            return Ok(true);
        }
        let listed = md5_of(store, object);
        let sums = match (listed, object.checksum) {
            (None, None) => None,
            _ => Some(Sums::of(path).await?),
        };
        if let (Some(sums), Some(told)) = (&sums, object.checksum)
            && let Some(equal) = sums.are(told)
        {
            return Ok(equal);
        }
        if sums.as_ref().is_some_and(|sums| Some(sums.md5) == listed) {
            return Ok(true);
        }
        let Some(head) = self.head(store, &object.key).await? else { return Ok(false) };
        if let Some(told) = head.checksum {
            let sums = match sums {
                Some(sums) => sums,
                None => Sums::of(path).await?,
            };
            if let Some(equal) = sums.are(told) {
                return Ok(equal);
            }
        }
        // What looked like an MD5 was another.
        let differs = listed.is_some() || self.compare == Compare::Checksum;
        Ok(!differs && !newer(file.modified().ok(), object.last_modified))
    }

    async fn objects_are_equal(
        &self,
        (from, source): (&Store, &ObjectMeta),
        (to, target): (&Store, &ObjectMeta),
    ) -> Result<bool, Exit> {
        if source.size != target.size {
            return Ok(false);
        }
        if source.size == 0 || self.compare == Compare::Size {
            return Ok(true);
        }
        if let Some(equal) = compared(source.checksum, target.checksum) {
            return Ok(equal);
        }
        let listed = (md5_of(from, source), md5_of(to, target));
        if listed.0.is_some() && listed.0 == listed.1
            || are_of_one_etag((from, source), (to, target))
        {
            return Ok(true);
        }
        let source = self.head(from, &source.key).await?;
        let target = self.head(to, &target.key).await?;
        let (Some(source), Some(target)) = (source, target) else { return Ok(false) };
        if let Some(equal) = compared(source.checksum, target.checksum) {
            return Ok(equal);
        }
        let differs = matches!(listed, (Some(_), Some(_))) || self.compare == Compare::Checksum;
        Ok(!differs && is_as_old(source.last_modified, target.last_modified))
    }
}

/// Whether a store does not let this principal look, though it may let it read or write. OCI tells a lacking permission
/// as a bucket that is not there.
pub(super) fn is_refused(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::BucketNotFound | ErrorKind::Unsupported
    ) || error.status() == Some(405)
}

/// The MD5 of an object, if what is known of it tells one. An ETag of S3 that has its form is one unless the object is
/// encrypted, or the server makes others.
fn md5_of(store: &Store, object: &ObjectMeta) -> Option<[u8; 16]> {
    match object.checksum {
        Some(Checksum::Md5(md5)) => Some(md5),
        _ if store.url().scheme() == Scheme::S3 => md5_of_etag(object.etag.as_deref()?),
        _ => None,
    }
}

fn md5_of_etag(etag: &str) -> Option<[u8; 16]> {
    let digits = etag.trim_matches('"');
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut md5 = [0; 16];
    for (at, byte) in md5.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(md5)
}

/// Whether both are of S3 and have one ETag of the form of MD5s of parts (`…-N`): the same parts.
fn are_of_one_etag(one: (&Store, &ObjectMeta), other: (&Store, &ObjectMeta)) -> bool {
    let of_parts = |(store, object): (&Store, &ObjectMeta)| {
        let etag = object.etag.as_deref()?.trim_matches('"').to_owned();
        let (digits, parts) = etag.split_once('-')?;
        let is_one = store.url().scheme() == Scheme::S3
            && md5_of_etag(digits).is_some()
            && parts.parse::<u32>().is_ok();
        is_one.then_some(etag)
    };
    of_parts(one).is_some_and(|etag| Some(etag) == of_parts(other))
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

/// The checksums of a file, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sums {
    crc32c: u32,
    md5: [u8; 16],
}

impl Sums {
    async fn of(path: &Path) -> Result<Sums, Exit> {
        let owned = path.to_owned();
        let read = tokio::task::spawn_blocking(move || Sums::read(owned));
        let read = read.await.map_err(io::Error::from)?;
        read.map_err(|e| Exit::failed(format!("{} cannot be read: {e}", path.display())))
    }

    fn read(path: PathBuf) -> io::Result<Sums> {
        let mut file = File::open(path)?;
        let (mut crc32c, mut md5) = (0, Md5::new());
        let mut piece = vec![0; 256 << 10];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(Sums { crc32c, md5: md5.finalize().into() }),
                read => {
                    crc32c = crc32c::crc32c_append(crc32c, &piece[..read]);
                    md5.update(&piece[..read]);
                }
            }
        }
    }

    /// Whether they are what the store told; `None` where that is of another kind.
    fn are(&self, told: Checksum) -> Option<bool> {
        match told {
            Checksum::Crc32c(crc32c) => Some(crc32c == self.crc32c),
            Checksum::Md5(md5) => Some(md5 == self.md5),
            _ => None,
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

    #[test]
    fn etags_that_are_an_md5() {
        let md5 = md5_of_etag("\"900150983cd24fb0d6963f7d28e17f72\"");
        assert_eq!(md5, Some(Md5::digest(b"abc").into()));
        assert_eq!(md5, md5_of_etag("900150983CD24FB0D6963F7D28E17F72"));
        for none in ["", "\"\"", "900150983cd24fb0d6963f7d28e17f72-2", "x", &"g".repeat(32)] {
            assert_eq!(md5_of_etag(none), None, "{none}");
        }
    }
}
