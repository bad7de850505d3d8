// SPDX-License-Identifier: Apache-2.0
//! A file that is written beside its place, and takes it when it is whole; and what keeps two objects out of one file.

use crate::exit::Exit;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tempfile::TempPath;

/// What is written at once.
const CHUNK: usize = 1 << 20;

/// The name of a file that is not whole yet: so long and random a one is nobody else's.
const PREFIX: &str = ".storescope-";
const RANDOM: usize = 20;
const SUFFIX: &str = ".part";

/// Whether a file of this name is what a download that was killed left behind, or one that is under way.
pub(crate) fn is_partial(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let random =
        name.strip_prefix(PREFIX.as_bytes()).and_then(|name| name.strip_suffix(SUFFIX.as_bytes()));
    random.is_some_and(|it| it.len() == RANDOM && it.iter().all(u8::is_ascii_alphanumeric))
}

/// A file to be.
pub(super) struct LocalFile<'a> {
    arrivals: &'a Arrivals,
    path: PathBuf,
    file: Option<File>,
    /// `None` where the place is a device or a pipe, which is written to as it is.
    temporary: Option<TempPath>,
    create: bool,
    /// Whether the file system may take another name for this one.
    ambiguous: bool,
    pieces: Vec<Bytes>,
    held: usize,
}

impl<'a> LocalFile<'a> {
    /// Of a tree, what stands in a file's place is replaced, be it a link; otherwise, what the link leads to is.
    pub(super) fn create(
        arrivals: &'a Arrivals,
        path: &Path,
        of_tree: bool,
        create: bool,
    ) -> Result<LocalFile<'a>, Exit> {
        let place = path.metadata().ok();
        if place.as_ref().is_some_and(Metadata::is_dir) {
            return Err(Exit::failed(format!("{} is a folder", path.display())));
        }
        let mut local = LocalFile {
            arrivals,
            path: path.to_owned(),
            file: None,
            temporary: None,
            create,
            ambiguous: false,
            pieces: Vec::new(),
            held: 0,
        };
        if !of_tree && place.as_ref().is_some_and(|place| !place.is_file()) {
            let opened = File::options().write(true).open(path);
            local.file = Some(opened.map_err(|e| Exit::cannot("write", path, &e))?);
            return Ok(local);
        }
        if !of_tree && place.is_some() {
            local.path = path.canonicalize().map_err(|e| Exit::cannot("write", path, &e))?;
            // Its folder may be known by another name: the file itself tells it from others.
            local.ambiguous = true;
        }
        let folder = folder_of(&local.path);
        std::fs::create_dir_all(folder).map_err(|e| Exit::cannot("make", folder, &e))?;
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(RANDOM)
            .suffix(SUFFIX)
            // What a new file may be, less the umask.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder);
        let (file, temporary) = made.map_err(|e| Exit::cannot("write", path, &e))?.into_parts();
        // Tells `downloads` that it is under way. On a file system without locks nothing tells it.
        let _ = file.try_lock();
        local.ambiguous |= arrivals.enter(folder_of(path), &temporary)? || !is_ascii(path);
        (local.file, local.temporary) = (Some(file), Some(temporary));
        Ok(local)
    }

    pub(super) async fn write(&mut self, piece: Bytes) -> Result<(), Exit> {
        self.held += piece.len();
        self.pieces.push(piece);
        if self.held < CHUNK { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<(), Exit> {
        let (pieces, file) = (std::mem::take(&mut self.pieces), self.file.take());
        self.held = 0;
        let Some(mut file) = file else { return Ok(()) };
        let written = tokio::task::spawn_blocking(move || {
            pieces.iter().try_for_each(|piece| file.write_all(piece))?;
            Ok::<_, io::Error>(file)
        });
        let written = written.await.map_err(io::Error::from)?;
        self.file = Some(written.map_err(|e| Exit::cannot("write", &self.path, &e))?);
        Ok(())
    }

    /// Puts the file in its place.
    pub(super) async fn finish(mut self) -> Result<(), Exit> {
        self.flush().await?;
        let Some(temporary) = self.temporary.take() else { return Ok(()) };
        if self.ambiguous {
            return self.arrivals.arrive(temporary, &self.path, self.create);
        }
        persist(temporary, &self.path, self.create)
    }
}

fn persist(temporary: TempPath, path: &Path, create: bool) -> Result<(), Exit> {
    let persisted =
        if create { temporary.persist_noclobber(path) } else { temporary.persist(path) };
    persisted.map_err(|e| Exit::cannot("write", path, &e.error))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn is_ascii(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().is_ascii())
}

/// The folders that files of this run arrive in, each by one path; and the files, where one may have several names: on a
/// file system that folds case or normalises Unicode.
///
/// It holds an entry for each folder, and one for each file of an ambiguous name.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<Arrived>);

#[derive(Debug, Default)]
struct Arrived {
    /// By device and number: the path, and whether names in it that differ in case are one.
    folders: HashMap<(u64, u64), (PathBuf, bool)>,
    files: HashSet<(u64, u64)>,
}

impl Arrivals {
    /// Whether names in the folder that differ in case are one. It is an error that the folder is known by another
    /// path: then two objects may become one file.
    fn enter(&self, folder: &Path, temporary: &Path) -> Result<bool, Exit> {
        let metadata = folder.metadata().map_err(|e| Exit::cannot("read", folder, &e))?;
        let mut arrived = self.0.lock().expect("no holder panics");
        let id = (metadata.dev(), metadata.ino());
        let (known, folds) =
            arrived.folders.entry(id).or_insert_with(|| (folder.to_owned(), folds_case(temporary)));
        if known.as_path() == folder {
            return Ok(*folds);
        }
        let (known, folder) = (known.display(), folder.display());
        Err(Exit::failed(format!(
            "{folder} and {known} are one folder, by a link or because the file system takes one name for the other: \
             two objects could become one file"
        )))
    }

    /// Puts a file in its place, unless another of this run is there, by a name that the file system takes for this.
    fn arrive(&self, temporary: TempPath, path: &Path, create: bool) -> Result<(), Exit> {
        let mut arrived = self.0.lock().expect("no holder panics");
        let id =
            |path: &Path| path.symlink_metadata().map(|metadata| (metadata.dev(), metadata.ino()));
        if id(path).is_ok_and(|id| arrived.files.contains(&id)) {
            return Err(Exit::failed(format!(
                "{}: another object of this run became that file: the file system takes one name for the other",
                path.display()
            )));
        }
        let own = id(&temporary).map_err(|e| Exit::cannot("write", path, &e))?;
        persist(temporary, path, create)?;
        arrived.files.insert(own);
        Ok(())
    }
}

/// Whether a file is found by its name in capitals.
fn folds_case(file: &Path) -> bool {
    let capitals = file.file_name().map(OsStr::to_ascii_uppercase);
    capitals.is_some_and(|name| file.with_file_name(name).symlink_metadata().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_our_own_names_are_ours() {
        let folder = tempfile::tempdir().unwrap();
        let arrivals = Arrivals::default();
        let local = LocalFile::create(&arrivals, &folder.path().join("x"), true, false).unwrap();
        let temporary = local.temporary.as_ref().unwrap();
        assert!(is_partial(temporary.file_name().unwrap()));
        for users in [
            ".storescope-",
            ".storescope-config",
            ".storescope-notes.part",
            ".storescope-abcdefghij0123456789",
            ".storescope-abcdefghij012345678_.part",
            "x.storescope-abcdefghij0123456789.part",
        ] {
            assert!(!is_partial(OsStr::new(users)), "{users}");
        }
    }

    #[test]
    fn one_folder_by_two_paths_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, link) = (folder.path().join("plain"), folder.path().join("link"));
        std::fs::create_dir(&plain).unwrap();
        symlink(&plain, &link).unwrap();
        let arrivals = Arrivals::default();
        let local = |path: PathBuf| LocalFile::create(&arrivals, &path, true, false).map(|_| ());
        local(plain.join("x")).unwrap();
        local(plain.join("y")).unwrap();
        let told = local(link.join("x")).unwrap_err();
        assert!(told.message().contains("one folder"), "{told:?}");
    }

    #[tokio::test]
    async fn a_name_that_the_file_system_takes_for_another_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("\u{e9}");
        std::fs::write(&path, b"older").unwrap();
        let arrivals = Arrivals::default();
        let local = async |bytes: &'static [u8]| {
            let mut local = LocalFile::create(&arrivals, &path, true, false).unwrap();
            local.write(Bytes::from_static(bytes)).await?;
            local.finish().await
        };
        local(b"one").await.unwrap();
        // As if by its other normal form.
        let told = local(b"two").await.unwrap_err();
        assert!(told.message().contains("another object"), "{told:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
    }
}
