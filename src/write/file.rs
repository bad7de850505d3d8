// SPDX-License-Identifier: Apache-2.0
//! Writes of what a stream gives or a file holds.

use super::writer::Writer;
use crate::context::Target;
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::options::PutOptions;
use crate::timing::Operation;
use crate::types::ObjectMeta;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, SystemTime};

/// What is read of a file at once.
const CHUNK: usize = 1 << 20;

/// The longest tick of the clock that Linux takes a file's times from (HZ=100).
const CLOCK_TICK: Duration = Duration::from_millis(10);

/// Writes what a stream gives. An error of the stream is `Source`, and leaves the object as it was.
pub(crate) async fn put_stream(
    target: &Target,
    key: &str,
    source: impl Stream<Item = io::Result<Bytes>> + Send,
    options: PutOptions,
) -> Result<ObjectMeta> {
    let object = Object { target, key };
    let unread = |e| object.unread("its bytes could not be read", e);
    let source = source.map(|read| read.map_err(unread));
    object.put_pieces(source, options).await
}

/// Writes the file that a path leads to.
pub(crate) async fn put_file(
    target: &Target,
    key: &str,
    path: PathBuf,
    options: PutOptions,
) -> Result<ObjectMeta> {
    let object = Object { target, key };
    let name = path.display().to_string();
    let open = move || Reading::new(File::open(&path)?, path, true);
    let opened = object.aside(open).await?;
    let reading = opened.map_err(|e| object.unread(&format!("{name} cannot be opened"), e))?;
    object.put_reading(reading, options).await
}

/// Writes a file that is open, from where it stands to its end. `path` names it in messages.
pub(crate) async fn put_opened(
    target: &Target,
    key: &str,
    (file, path): (File, PathBuf),
    options: PutOptions,
) -> Result<ObjectMeta> {
    let object = Object { target, key };
    let name = path.display().to_string();
    let reading = object.aside(move || Reading::new(file, path, false)).await?;
    let reading = reading.map_err(|e| object.unread(&format!("{name} cannot be read"), e))?;
    object.put_reading(reading, options).await
}

/// What is written.
#[derive(Clone, Copy)]
struct Object<'a> {
    target: &'a Target,
    key: &'a str,
}

impl Object<'_> {
    async fn put_reading(self, reading: Reading, options: PutOptions) -> Result<ObjectMeta> {
        let options = match reading.size() {
            Some(size) => options.size(size),
            None => options,
        };
        let chunks = stream::try_unfold(reading, |reading| async move {
            let read = self.aside(move || reading.next()).await?;
            read.map_err(|e| match e.get_ref() {
                Some(changed) if changed.is::<Changed>() => self.changed(changed.to_string()),
                _ => self.unread("its bytes could not be read", e),
            })
        });
        self.put_pieces(chunks, options).await
    }

    async fn put_pieces(
        self,
        source: impl Stream<Item = Result<Bytes>> + Send,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let mut writer = Writer::new(self.target, self.key, options);
        let mut source = pin!(source);
        while let Some(read) = source.next().await {
            match read {
                Ok(bytes) => writer.write(bytes).await?,
                Err(error) => {
                    // What is told is why the source failed; an abort that fails is logged.
                    let _ = writer.abort().await;
                    return Err(error);
                }
            }
        }
        writer.finish().await
    }

    /// Runs what blocks where it may.
    async fn aside<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let handle = self.target.context().handle()?;
        handle.spawn_blocking(work).await.map_err(|e| {
            Failure::new(ErrorKind::Source).message("the file's reader ended").source(e).into()
        })
    }

    fn unread(self, why: &str, error: io::Error) -> Error {
        let failure = Failure::new(ErrorKind::Source).message(format!("{why}: {error}"));
        self.source_failed(failure.source(error))
    }

    fn changed(self, why: String) -> Error {
        self.source_failed(Failure::new(ErrorKind::Source).message(why))
    }

    fn source_failed(self, failure: Failure) -> Error {
        let object = self.target.backend().url(&self.target.full(self.key));
        failure.into_error(Some(Operation::Upload), Some(object), 0, Duration::ZERO)
    }
}

/// A file on its way to a store.
struct Reading {
    path: PathBuf,
    /// Whether the path must lead to the file in the end, too.
    by_path: bool,
    file: File,
    /// What the file was when it was opened; `None` of a pipe or a device.
    before: Option<Stamp>,
    read: u64,
}

impl Reading {
    fn new(mut file: File, path: PathBuf, by_path: bool) -> io::Result<Reading> {
        let metadata = settled(&file)?;
        let before = metadata.is_file().then(|| Stamp::of(&metadata));
        let read = if metadata.is_file() { file.stream_position()? } else { 0 };
        Ok(Reading { path, by_path, file, before, read })
    }

    /// How many bytes are to come.
    fn size(&self) -> Option<u64> {
        self.before.as_ref().map(|before| before.size.saturating_sub(self.read))
    }

    /// The next bytes. At the end, the file must be what it was when it was opened.
    fn next(mut self) -> io::Result<Option<(Bytes, Reading)>> {
        let mut chunk = Vec::with_capacity(CHUNK);
        (&mut self.file).take(CHUNK as u64).read_to_end(&mut chunk)?;
        self.read += chunk.len() as u64;
        if chunk.is_empty() || self.before.as_ref().is_some_and(|before| self.read > before.size) {
            self.check()?;
        }
        Ok((!chunk.is_empty()).then(|| (chunk.into(), self)))
    }

    fn check(&self) -> io::Result<()> {
        let Some(before) = &self.before else { return Ok(()) };
        let after = Stamp::of(&self.file.metadata()?);
        let what = before.difference(&after).or_else(|| match self.path.metadata() {
            _ if !self.by_path => None,
            Ok(now) if Stamp::of(&now).id == before.id => None,
            Ok(_) => Some("another file took its place".to_owned()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Some("it was removed".to_owned()),
            Err(e) => Some(e.to_string()),
        });
        let what = what.or_else(|| {
            let short = self.read != before.size;
            short.then(|| format!("it has {} bytes, and gave {}", before.size, self.read))
        });
        match what {
            None => Ok(()),
            Some(what) => {
                let path = self.path.display();
                Err(io::Error::other(Changed(format!("{path} changed while it was read: {what}"))))
            }
        }
    }
}

/// What a file is, once a write to it would leave another time behind: two in one tick of the file system's clock leave
/// the same.
fn settled(file: &File) -> io::Result<Metadata> {
    for _ in 0..3 {
        let metadata = file.metadata()?;
        let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
        let wait = age.and_then(|age| CLOCK_TICK.checked_sub(age));
        let Some(wait) = wait.filter(|_| metadata.is_file()) else { return Ok(metadata) };
        std::thread::sleep(wait + Duration::from_millis(1));
    }
    file.metadata()
}

/// Why a file is not what it was.
#[derive(Debug)]
struct Changed(String);

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Changed {}

/// What tells a file from another, and from itself after a change.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    /// Device and number; 0 where the system has none.
    id: (u64, u64),
    /// When its content or what is known of it changed, which no program can set.
    changed: (i64, i64),
    links: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Stamp {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            id: (metadata.dev(), metadata.ino()),
            #[cfg(unix)]
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            #[cfg(unix)]
            links: metadata.nlink(),
            #[cfg(not(unix))]
            id: (0, 0),
            #[cfg(not(unix))]
            changed: (0, 0),
            #[cfg(not(unix))]
            links: 1,
        }
    }

    fn difference(&self, after: &Stamp) -> Option<String> {
        if self.size != after.size {
            return Some(format!("it had {} bytes, and has {}", self.size, after.size));
        }
        if self.modified != after.modified {
            return Some("its time of modification is another".to_owned());
        }
        // A link to it that is made or removed changes this time, and no byte.
        (self.changed != after.changed && self.links == after.links)
            .then(|| "its time of change is another".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// Reads a file to its end, and changes it once the first bytes are read.
    fn read(size: usize, change: impl FnOnce(&Path)) -> io::Result<usize> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, vec![7; size]).unwrap();
        let (first, mut reading) = open(&path).next()?.unwrap();
        change(&path);
        let mut read = first.len();
        while let Some((bytes, rest)) = reading.next()? {
            (read, reading) = (read + bytes.len(), rest);
        }
        Ok(read)
    }

    fn open(path: &Path) -> Reading {
        Reading::new(File::open(path).unwrap(), path.to_owned(), true).unwrap()
    }

    fn overwrite(path: &Path, bytes: &[u8]) {
        let mut file = File::options().write(true).open(path).unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_told() {
        let size = CHUNK + 7;
        let told = |change: &dyn Fn(&Path)| read(size, change).unwrap_err().to_string();
        let rewritten = told(&|path| overwrite(path, b"8"));
        assert!(rewritten.contains("file changed while it was read"), "{rewritten}");
        let longer = told(&|path| fs::write(path, vec![7; size + 1]).unwrap());
        assert!(longer.contains(&format!("{size} bytes, and has {}", size + 1)), "{longer}");
        let shorter = told(&|path| fs::write(path, b"").unwrap());
        assert!(shorter.contains("and has 0"), "{shorter}");
        let removed = told(&|path| fs::remove_file(path).unwrap());
        assert!(removed.contains("removed"), "{removed}");
        let replaced = told(&|path| {
            let new = path.with_extension("new");
            fs::write(&new, vec![7; size]).unwrap();
            fs::rename(new, path).unwrap();
        });
        assert!(replaced.contains("another file"), "{replaced}");
        // A program that writes and then sets the time back.
        let hidden = told(&|path| {
            let modified = path.metadata().unwrap().modified().unwrap();
            overwrite(path, b"8");
            File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
        });
        assert!(hidden.contains("time of change"), "{hidden}");
    }

    #[test]
    fn a_file_that_does_not_change_is_read_whole() {
        for size in [0, 1, CHUNK, 2 * CHUNK + 1] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            fs::write(&path, vec![7; size]).unwrap();
            let mut reading = Some(open(&path));
            let mut read = 0;
            while let Some((bytes, rest)) = reading.take().and_then(|it| it.next().unwrap()) {
                (read, reading) = (read + bytes.len(), Some(rest));
            }
            assert_eq!(read, size);
        }
        // A second link to it that is removed changes no byte.
        let linked = read(CHUNK + 7, |path| {
            let link = path.with_extension("link");
            fs::hard_link(path, &link).unwrap();
        });
        assert_eq!(linked.unwrap(), CHUNK + 7);
    }

    #[test]
    fn a_change_within_one_tick_of_the_clock_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for _ in 0..20 {
            fs::write(&path, b"one").unwrap();
            let reading = open(&path);
            overwrite(&path, b"two");
            let (_, rest) = reading.next().unwrap().unwrap();
            assert!(rest.next().is_err());
        }
    }
}
