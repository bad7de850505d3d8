// SPDX-License-Identifier: Apache-2.0
//! Folders and files of an emulator: who may read them, and that one emulator at a time uses a
//! folder.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The exclusive use of a folder. The system releases it however the process ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks the file `name` of the folder and writes the process id into it. `purpose` is the
    /// folder's, for the error that another emulator has it.
    pub(crate) fn take(folder: &Path, name: &str, purpose: &str) -> io::Result<FolderLock> {
        // Not truncated before it is locked: it names the process that holds the lock.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(folder.join(name))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {
                let folder = folder.display();
                let holder = holder(&mut file).map(|id| format!(" (process {id})"));
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    format!(
                        "another emulator uses the {purpose} folder {folder}{}: stop it, or choose \
                         another folder",
                        holder.unwrap_or_default()
                    ),
                ));
            }
        }
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        Ok(FolderLock { _file: file })
    }
}

/// The process id in a lock file, if it is written yet.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.parse().ok()
}

/// The folder of keys, configuration and record, and its lock.
#[derive(Debug)]
pub(crate) struct StateFolder {
    pub(crate) path: PathBuf,
    _lock: FolderLock,
    _temporary: Option<tempfile::TempDir>,
}

impl StateFolder {
    /// This folder, or a temporary one.
    pub(crate) fn open(folder: Option<&Path>) -> io::Result<StateFolder> {
        let (path, temporary) = match folder {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                (std::path::absolute(folder)?, None)
            }
            None => {
                let made = tempfile::Builder::new().prefix("storescope-emulator-").tempdir()?;
                (made.path().to_owned(), Some(made))
            }
        };
        // Not the name that the data folder's has: both may be one folder.
        let lock = FolderLock::take(&path, "state.lock", "state")?;
        Ok(StateFolder { path, _lock: lock, _temporary: temporary })
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.path.join("ca.pem")
    }

    pub(crate) fn record_file(&self) -> PathBuf {
        self.path.join("record.jsonl")
    }
}

/// Makes a folder that only its owner may enter; one that is there stays as it is.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a file that only its owner may read, in the place of one that may be there.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    // A file of an earlier start may have another mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// The same with these bytes in it.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create_private(path)?.write_all(bytes)
}

/// The same in the place of a file that clients may be reading: they see the one or the other.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    write_private(Path::new(&next), bytes)?;
    std::fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_user_whose_process_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let take = |purpose| FolderLock::take(folder.path(), "lock", purpose);
        let first = take("state").unwrap();
        for _ in 0..2 {
            let error = take("data").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
            let told = error.to_string();
            let id = format!("(process {})", std::process::id());
            for part in ["data folder", folder.path().to_str().unwrap(), &id, "choose another"] {
                assert!(told.contains(part), "{part}: {told}");
            }
        }
        drop(first);
        take("state").unwrap();
    }
}
