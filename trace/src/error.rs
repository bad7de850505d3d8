// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a trace.

use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a trace, and where: file and line.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {message}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct TraceError {
    path: PathBuf,
    line: Option<u64>,
    message: String,
    #[source]
    source: Option<io::Error>,
}

impl TraceError {
    pub(crate) fn new(path: &Path, line: Option<u64>, message: impl Into<String>) -> TraceError {
        TraceError { path: path.to_owned(), line, message: message.into(), source: None }
    }

    pub(crate) fn io(path: &Path, doing: &str, source: io::Error) -> TraceError {
        let message = format!("{doing}: {source}");
        TraceError { path: path.to_owned(), line: None, message, source: Some(source) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line, from 1, where it is about one.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// The system's error, where it is about one.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.source.as_ref().map(io::Error::kind)
    }
}
