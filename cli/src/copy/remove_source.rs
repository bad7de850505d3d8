// SPDX-License-Identifier: Apache-2.0
//! What a move takes away from this machine: files that were copied, and the folders that they leave empty.
//!
//! Nothing outside the named tree is removed. A file is opened, and later removed, by the folder that holds it, and no
//! link is followed on the way there: what takes a folder's place meanwhile is never entered.

use crate::escape;
use crate::exit::Exit;
use crate::progress::note;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

/// A file on its way out.
#[derive(Debug)]
pub(super) struct Leaving<'a> {
    path: &'a Path,
    folder: OwnedFd,
    name: &'a OsStr,
    before: Stat,
}

impl<'a> Leaving<'a> {
    /// Opens a file, which must be no link; below `top`, no folder may be one either.
    pub(super) fn open(path: &'a Path, top: Option<&Path>) -> Result<(Leaving<'a>, File), Exit> {
        let opened = Leaving::find(path, top).and_then(|leaving| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = File::from(openat(&leaving.folder, leaving.name, flags, Mode::empty())?);
            match rustix::fs::fstat(&file) {
                Ok(opened) if is_same(&leaving.before, &opened) => Ok((leaving, file)),
                Ok(_) => Err(io::Error::other("it is being replaced")),
                Err(error) => Err(error.into()),
            }
        });
        opened.map_err(|e| Exit::cannot("move", path, &e))
    }

    fn find(path: &'a Path, top: Option<&Path>) -> io::Result<Leaving<'a>> {
        let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?;
        let parent = path.parent().unwrap_or(Path::new(""));
        let folder = match top {
            Some(top) => {
                let within = parent.strip_prefix(top).map_err(io::Error::other)?;
                let mut folder = open_folder(CWD, top.as_os_str(), OFlags::NOFOLLOW)?;
                for part in within.components() {
                    let Component::Normal(part) = part else { continue };
                    folder = open_folder(&folder, part, OFlags::NOFOLLOW)?;
                }
                folder
            }
            None if parent.as_os_str().is_empty() => {
                open_folder(CWD, OsStr::new("."), OFlags::empty())?
            }
            None => open_folder(CWD, parent.as_os_str(), OFlags::empty())?,
        };
        let before = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(before.st_mode) {
            FileType::RegularFile => Ok(Leaving { path, folder, name, before }),
            FileType::Symlink => Err(io::Error::other(LINK)),
            _ => Err(io::Error::other("it is no file: `cp` copies a stream")),
        }
    }

    /// Removes the file, unless it is another by now.
    pub(super) fn remove(self) -> Result<(), Exit> {
        match statat(&self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(now) if is_same(&self.before, &now) => {}
            Ok(_) => {
                let path = self.path.display();
                let why = format!("{path} changed while it was copied: it is still there");
                return Err(Exit::failed(why));
            }
            Err(error) => return Err(Exit::cannot("read", self.path, &error.into())),
        }
        unlinkat(&self.folder, self.name, AtFlags::empty())
            .map_err(|e| Exit::cannot("remove", self.path, &e.into()))
    }
}

/// Why a link is not moved.
pub(super) const LINK: &str =
    "it is a symbolic link, and `mv` follows none: `cp` copies what it leads to";

/// Removes the folders of a tree whose files were moved; those that still hold something stay.
pub(super) fn remove_emptied(folder: &Path) {
    let top = Path::new(folder.components().as_path());
    match open_folder(CWD, top.as_os_str(), OFlags::NOFOLLOW) {
        Ok(opened) => empty(&opened),
        // The source was a file.
        Err(_) => return,
    }
    if let Err(error) = std::fs::remove_dir(top) {
        note(&format!("storescope: {} stays: {error}", escape::path(folder)));
    }
}

/// Removes the empty folders in a folder.
fn empty(folder: &OwnedFd) {
    let Ok(entries) = Dir::read_from(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_folder = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir());
        if !is_folder {
            continue;
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(inner) = openat(folder, name, flags, Mode::empty()) {
            empty(&inner);
        }
        match unlinkat(folder, name, AtFlags::REMOVEDIR) {
            // The folder above is told, which is not empty then.
            Ok(()) | Err(Errno::NOTEMPTY) => {}
            Err(error) => note(&format!(
                "storescope: {} stays: {error}",
                escape::line(&name.to_string_lossy())
            )),
        }
    }
}

fn open_folder(at: impl std::os::fd::AsFd, name: &OsStr, more: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | more;
    Ok(openat(at, name, flags, Mode::empty())?)
}

/// Whether a file is the one it was, and holds what it did. Its time of change says nothing where a link to it was made
/// or removed.
fn is_same(before: &Stat, now: &Stat) -> bool {
    let id = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size);
    let modified = |stat: &Stat| (stat.st_mtime, stat.st_mtime_nsec);
    let changed = |stat: &Stat| (stat.st_ctime, stat.st_ctime_nsec);
    id(before) == id(now)
        && modified(before) == modified(now)
        && (changed(before) == changed(now) || before.st_nlink != now.st_nlink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (top, outside) = (folder.path().join("t"), folder.path().join("outside"));
        for file in [top.join("in/file"), outside.join("file")] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, b"x").unwrap();
        }
        (folder, top, outside)
    }

    #[test]
    fn a_folder_that_becomes_a_link_is_not_entered() {
        let (_folder, top, outside) = tree();
        let path = top.join("in/file");
        // Before it is opened.
        fs::rename(top.join("in"), top.join("was")).unwrap();
        symlink(&outside, top.join("in")).unwrap();
        Leaving::open(&path, Some(&top)).unwrap_err();
        fs::remove_file(top.join("in")).unwrap();
        fs::rename(top.join("was"), top.join("in")).unwrap();
        // Afterwards: what was copied goes, wherever its folder is by now.
        let (leaving, _) = Leaving::open(&path, Some(&top)).unwrap();
        fs::rename(top.join("in"), top.join("was")).unwrap();
        symlink(&outside, top.join("in")).unwrap();
        leaving.remove().unwrap();
        assert!(outside.join("file").exists() && !top.join("was/file").exists());
    }

    #[test]
    fn a_file_that_becomes_another_stays() {
        let (_folder, top, outside) = tree();
        let path = top.join("in/file");
        let (leaving, _) = Leaving::open(&path, None).unwrap();
        fs::rename(outside.join("file"), &path).unwrap();
        assert!(leaving.remove().unwrap_err().message().contains("still there"));
        let (leaving, _) = Leaving::open(&path, None).unwrap();
        fs::write(&path, b"y").unwrap();
        leaving.remove().unwrap_err();
        let (leaving, _) = Leaving::open(&path, None).unwrap();
        fs::rename(&path, outside.join("file")).unwrap();
        symlink(outside.join("file"), &path).unwrap();
        leaving.remove().unwrap_err();
        assert!(outside.join("file").exists());
        assert!(Leaving::open(&path, None).unwrap_err().message().contains("symbolic link"));
    }

    #[test]
    fn one_of_two_links_to_a_file_leaves_the_other() {
        let (_folder, top, _) = tree();
        let (one, other) = (top.join("in/file"), top.join("in/other"));
        fs::hard_link(&one, &other).unwrap();
        let (first, _) = Leaving::open(&one, Some(&top)).unwrap();
        let (second, _) = Leaving::open(&other, Some(&top)).unwrap();
        first.remove().unwrap();
        second.remove().unwrap();
        assert!(!one.exists() && !other.exists());
    }

    #[test]
    fn only_empty_folders_are_removed_and_no_link_is_followed() {
        let (_folder, top, outside) = tree();
        fs::create_dir_all(outside.join("empty")).unwrap();
        fs::create_dir_all(top.join("deep/er")).unwrap();
        symlink(&outside, top.join("in/link")).unwrap();
        remove_emptied(&top);
        assert!(outside.join("empty").exists() && top.join("in/file").exists());
        assert!(!top.join("deep").exists());
        // A link that was named is no folder.
        let link = outside.join("link");
        fs::create_dir(outside.join("other")).unwrap();
        symlink(outside.join("other"), &link).unwrap();
        remove_emptied(&link);
        assert!(outside.join("other").exists());
        fs::remove_dir_all(top.join("in")).unwrap();
        remove_emptied(&top);
        assert!(!top.exists());
    }
}
