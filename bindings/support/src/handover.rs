// SPDX-License-Identifier: Apache-2.0
//! What Python workers of Spark recorded, handed to the JVM of their executor.
//!
//! ```text
//!  Python worker                                    executor's JVM
//!   Tasks ─▶ Server ── PID.sock ◀── connects ─────── take(folder)
//!              │         task ID waited NS length N, N bytes of .hlog; …; end
//!              │         ◀──────────────────── taken ───┘
//!              └── at its end: PID.left (the same bytes) ──▶ read and removed
//! ```
//!
//! The folder is [`FOLDER`] inside the first of Spark's local folders. The executor's plugin makes it; where it is missing,
//! nothing is handed over. Sockets are reached through `/proc/self/fd`: Spark's paths are longer than a socket's name may be.
//!
//! It promises that each value is handed over once: a worker counts as taken what the other side has confirmed, and the other
//! side uses what it could confirm. Lost is what a worker that is killed had not handed over. Both hosts ignore `SIGPIPE`.
//!
//! A child made by fork leaves its parent's server alone: it must neither use nor drop it.

mod server;
mod taking;
mod wire;

#[cfg(test)]
mod tests;

pub use server::Server;
pub use taking::take;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storescope::timing::Snapshot;

/// The folder's name.
pub const FOLDER: &str = "storescope";

/// How the names of sockets end, and those of what is left by workers that have ended.
const SOCKET: &str = "sock";
const LEFT: &str = "left";

/// What a worker recorded of one task since it was last asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Handed {
    /// The task's attempt id.
    pub task: i64,
    /// How long threads of the task were blocked by calls.
    pub waited: Duration,
    /// Its calls and requests.
    pub recorded: Snapshot,
}

/// The folder that belongs to these local folders of Spark (`SPARK_LOCAL_DIRS`, with commas between), if it is there.
pub fn folder(local: &OsStr) -> Option<PathBuf> {
    let first = local.as_bytes().split(|byte| *byte == b',').next()?;
    let folder = Path::new(OsStr::from_bytes(first)).join(FOLDER);
    (!first.is_empty() && folder.is_dir()).then_some(folder)
}

/// An open folder, whose files have short names.
#[derive(Debug)]
struct Folder(File);

impl Folder {
    fn open(path: &Path) -> io::Result<Folder> {
        File::open(path).map(Folder)
    }

    /// A file in it, by a path that is short enough for a socket.
    fn file(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()).into()
    }
}
