// SPDX-License-Identifier: Apache-2.0
//! Interval logs in the background: a thread that appends what each interval brought.

use super::export::{header, intervals};
use super::scope::Scope;
use super::snapshot::Snapshot;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The shortest interval; a shorter one is taken for this.
const SHORTEST: Duration = Duration::from_millis(1);

/// How much is read at once to find the end of the last line.
const BLOCK: u64 = 64 << 10;

/// Appends what a scope records, interval by interval, to a file: HdrHistogram's interval log, a tagged line for each key
/// that has new values, which [`Snapshot::from_hlog`] and HdrHistogram's own readers read.
///
/// Each interval is one write, so that collectors of several scopes or processes may share a file. A write that fails (a
/// full disk) is logged once, what was written of it is taken back, and the next interval holds its values, too. When the
/// collector is dropped it writes the last interval and ends.
///
/// ```
/// use std::time::Duration;
/// use storescope::timing::{Collector, Scope};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("job.hlog");
/// let job = Scope::new("job");
/// let collector = Collector::start(&job, &path, Duration::from_secs(10))?;
/// // … requests in the scope …
/// drop(collector);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    scope: Scope,
    path: PathBuf,
    log: Mutex<Log>,
    ending: Mutex<bool>,
    ended: Condvar,
}

#[derive(Debug)]
struct Log {
    file: File,
    /// All that is in the file, or was recorded before the collector began.
    written: Snapshot,
    /// Whether the last write failed.
    failing: bool,
}

impl Collector {
    /// Begins to append to the file, which is made if it is not there; an incomplete last line in it, left by a process
    /// that was killed, is removed. What was recorded before is not written. Fails if the file cannot be opened for
    /// writing, or no thread can be started.
    pub fn start(
        scope: &Scope,
        path: impl AsRef<Path>,
        interval: Duration,
    ) -> io::Result<Collector> {
        let path = path.as_ref().to_owned();
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        remove_cut_line(&mut file)?;
        let written = scope.snapshot();
        file.write_all(header(written.started_at() + written.elapsed()).as_bytes())?;
        let shared = Arc::new(Shared {
            scope: scope.clone(),
            path,
            log: Mutex::new(Log { file, written, failing: false }),
            ending: Mutex::new(false),
            ended: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("storescope-log".to_owned())
            .spawn(move || of_thread.write_until_the_end(interval.max(SHORTEST)))?;
        Ok(Collector { shared, thread: Some(thread) })
    }

    /// The file it appends to.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Writes what was recorded since the last interval, now.
    pub fn flush(&self) -> io::Result<()> {
        self.shared.write()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        *locked(&self.shared.ending) = true;
        self.shared.ended.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed; the log ends with the interval before.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn write_until_the_end(&self, interval: Duration) {
        let mut due = Instant::now() + interval;
        let mut ending = locked(&self.ending);
        while !*ending {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(ending);
                // Told by `write`.
                let _ = self.write();
                // What was missed, of a machine that slept, is not made up for.
                due = (due + interval).max(Instant::now());
                ending = locked(&self.ending);
            } else {
                let waited = self.ended.wait_timeout(ending, left);
                ending = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        drop(ending);
        let _ = self.write();
    }

    /// Appends the interval up to now; nothing where it brought nothing.
    fn write(&self) -> io::Result<()> {
        let mut log = locked(&self.log);
        let now = self.scope.snapshot();
        let interval = now.since(&log.written);
        if !interval.is_empty() {
            let appended = append(&mut log.file, &intervals(&interval));
            if let Err(error) = appended {
                if !std::mem::replace(&mut log.failing, true) {
                    tracing::warn!(
                        path = %self.path.display(), %error,
                        "the interval log cannot be written; what is recorded is kept for the next interval"
                    );
                }
                return Err(error);
            }
        }
        log.failing = false;
        log.written = now;
        Ok(())
    }
}

/// By one write where the system takes it whole; what was written of one that failed is taken back.
fn append(file: &mut File, text: &str) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(text.as_bytes()).inspect_err(|_| {
        let _ = file.set_len(before);
    })
}

/// Cuts the file off after its last line end.
fn remove_cut_line(file: &mut File) -> io::Result<()> {
    let about = file.metadata()?;
    let mut end = if about.is_file() { about.len() } else { 0 };
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        (&*file).take(end - start).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if about.is_file() && end < about.len() { file.set_len(end) } else { Ok(()) }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::{Operation, Outcome, Phase};

    const NEVER: Duration = Duration::from_hours(1000);

    fn record(scope: &Scope, values: u64) {
        for value in 0..values {
            scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, 1_000_000 + value);
        }
    }

    fn count(path: &Path) -> u64 {
        let read = Snapshot::from_hlog(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(!read.is_cut_short());
        read.select(|_| true).map_or(0, |sum| sum.count())
    }

    #[test]
    fn each_interval_is_written_and_the_last_on_drop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.hlog");
        let scope = Scope::new("test");
        record(&scope, 5);
        let collector = Collector::start(&scope, &path, NEVER).unwrap();
        record(&scope, 3);
        collector.flush().unwrap();
        assert_eq!(count(&path), 3, "what was there before is not written");
        collector.flush().unwrap();
        record(&scope, 4);
        drop(collector);
        assert_eq!(count(&path), 7);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("\nTag=").count(), 2, "an interval without values has no line");
        // Another collector goes on.
        let collector = Collector::start(&scope, &path, NEVER).unwrap();
        record(&scope, 1);
        drop(collector);
        assert_eq!(count(&path), 8);
    }

    #[test]
    fn intervals_are_written_without_being_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.hlog");
        let scope = Scope::new("test");
        let collector = Collector::start(&scope, &path, Duration::ZERO).unwrap();
        record(&scope, 2);
        let until = Instant::now() + Duration::from_mins(1);
        while count(&path) < 2 {
            assert!(Instant::now() < until, "no interval came");
            std::thread::yield_now();
        }
        drop(collector);
    }

    #[test]
    fn a_cut_line_is_removed_before_more_is_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.hlog");
        let scope = Scope::new("test");
        let collector = Collector::start(&scope, &path, NEVER).unwrap();
        record(&scope, 3);
        drop(collector);
        let cut = std::fs::read_to_string(&path).unwrap() + "Tag=attempt/get/send/ok/-/-,12";
        std::fs::write(&path, cut).unwrap();
        let collector = Collector::start(&scope, &path, NEVER).unwrap();
        record(&scope, 2);
        drop(collector);
        assert_eq!(count(&path), 5);
        for text in [String::new(), "x".repeat(200_000), format!("a\n{}", "x".repeat(200_000))] {
            std::fs::write(&path, &text).unwrap();
            let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            remove_cut_line(&mut file).unwrap();
            let left = text.rfind('\n').map_or(0, |end| end + 1);
            assert_eq!(file.metadata().unwrap().len(), left as u64);
        }
    }

    #[test]
    fn what_a_full_disk_did_not_take_is_in_the_next_interval() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.hlog");
        let scope = Scope::new("test");
        let collector = Collector::start(&scope, &path, NEVER).unwrap();
        record(&scope, 3);
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let file = std::mem::replace(&mut locked(&collector.shared.log).file, full);
        assert_eq!(collector.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
        locked(&collector.shared.log).file = file;
        record(&scope, 2);
        drop(collector);
        assert_eq!(count(&path), 5);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let scope = Scope::new("test");
        let missing = folder.path().join("missing/log.hlog");
        assert!(Collector::start(&scope, missing, NEVER).is_err());
        assert!(Collector::start(&scope, "/dev/full", NEVER).is_err());
    }
}
