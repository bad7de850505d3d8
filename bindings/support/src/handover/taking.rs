// SPDX-License-Identifier: Apache-2.0
//! The executor's side: asks every worker, and reads what those have left that have ended.

use super::wire::{self, Trouble};
use super::{Folder, Handed, LEFT, SOCKET};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long one worker may take to answer. One that has no time is asked again the next time.
const PATIENCE: Duration = Duration::from_millis(500);

/// All that the workers of an executor recorded since the last time: one value for each worker and task. It waits at most
/// half a second for each worker. What cannot be read is logged once, and its file removed; where there is no folder, there is
/// nothing.
pub fn take(folder: &Path) -> Vec<Handed> {
    let Ok(open) = Folder::open(folder) else { return Vec::new() };
    let mut all = Vec::new();
    for name in names_in(folder) {
        let taken = match name.rsplit_once('.') {
            Some((_, SOCKET)) => ask(&open, &name),
            Some((_, LEFT)) => read(&open, &name),
            _ => continue,
        };
        taken.map_or_else(|trouble| give_up(&open, &name, &trouble), |taken| all.extend(taken));
    }
    all
}

/// In the order of their names.
pub(super) fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

fn ask(folder: &Folder, name: &str) -> Result<Vec<Handed>, Trouble> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Where too many wait already, it is an error and no wait.
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(folder.file(name))?)?;
    socket.set_nonblocking(false)?;
    let mut stream = UnixStream::from(socket);
    let limited = Limited { stream: &stream, until: Instant::now() + PATIENCE };
    let handed = wire::decode(&mut BufReader::new(limited))?;
    // Where it cannot be confirmed, it stays with the worker.
    wire::confirm(&mut stream)?;
    Ok(handed)
}

fn read(folder: &Folder, name: &str) -> Result<Vec<Handed>, Trouble> {
    let path = folder.file(name);
    let all = || {
        let bytes = fs::read(&path)?;
        // What could not be removed would be read twice.
        fs::remove_file(&path)?;
        wire::decode(&mut bytes.as_slice())
    };
    // It is whole, and its writer is gone: what cannot be read now never can.
    all().map_err(|trouble| Trouble::Malformed(trouble.to_string()))
}

/// Nothing was taken: tells it where it is wrong, and removes what is of no use any more.
fn give_up(folder: &Folder, name: &str, trouble: &Trouble) {
    let of_no_use = match trouble {
        Trouble::Cut(error) if error.kind() == ErrorKind::NotFound => return,
        Trouble::Cut(error) => error.kind() == ErrorKind::ConnectionRefused || !runs(name),
        Trouble::Malformed(_) => true,
    };
    if matches!(trouble, Trouble::Malformed(_)) {
        tracing::warn!("a Python worker's record is lost: {name}: {trouble}");
    } else {
        tracing::debug!("a Python worker was not asked: {name}: {trouble}");
    }
    if of_no_use {
        // It may be gone already.
        let _ = fs::remove_file(folder.file(name));
    }
}

/// Whether the process that a file is named after runs.
fn runs(name: &str) -> bool {
    let pid = name.split('.').next().unwrap_or_default();
    Path::new("/proc").join(pid).exists()
}

/// Reads until a moment.
struct Limited<'a> {
    stream: &'a UnixStream,
    until: Instant,
}

impl Read for Limited<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(into)
    }
}
