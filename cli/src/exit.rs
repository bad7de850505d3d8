// SPDX-License-Identifier: Apache-2.0
//! How a command ends: a code for scripts, a line for people.

use crate::escape;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use storescope::ErrorKind;

/// What a command ends with.
pub(crate) type Ended = Result<(), Exit>;

/// A command that did not succeed. Its message is for a terminal: names, and what a server said, are escaped in it.
#[derive(Debug)]
pub(crate) struct Exit {
    code: u8,
    message: String,
    kind: Option<ErrorKind>,
}

impl Exit {
    /// Usage or configuration.
    pub(crate) fn usage(message: impl Into<String>) -> Exit {
        Exit { code: 2, message: escape::line(&message.into()).into_owned(), kind: None }
    }

    /// The work itself failed.
    pub(crate) fn failed(message: impl Into<String>) -> Exit {
        Exit { code: 1, message: escape::line(&message.into()).into_owned(), kind: None }
    }

    /// Something could not be done to a file or folder: `cannot read x: …`.
    pub(crate) fn cannot(what: &str, path: &Path, error: &io::Error) -> Exit {
        Exit::failed(format!("cannot {what} {}: {error}", path.display()))
    }

    /// Nothing is there of what was named.
    pub(crate) fn missing(message: impl Into<String>) -> Exit {
        let message = escape::line(&message.into()).into_owned();
        Exit { code: 3, message, kind: Some(ErrorKind::NotFound) }
    }

    /// Ctrl-C or SIGTERM; what ran has been told.
    pub(crate) fn interrupted() -> Exit {
        Exit { code: 130, message: "interrupted".to_owned(), kind: None }
    }

    /// Many things were asked for, and this was one that failed: each was told.
    pub(crate) fn of_many() -> Exit {
        Exit::failed("")
    }

    /// Says what it is about, in front.
    pub(crate) fn about(mut self, what: &str) -> Exit {
        self.message = format!("{}: {}", escape::line(what), self.message);
        self
    }

    /// Whether something exists that was not to be replaced.
    pub(crate) fn is_exists(&self) -> bool {
        self.kind == Some(ErrorKind::AlreadyExists)
    }

    /// Whether nothing is there of what was named.
    pub(crate) fn is_missing(&self) -> bool {
        self.kind == Some(ErrorKind::NotFound)
    }

    pub(crate) fn is_interrupt(&self) -> bool {
        self.code == 130
    }

    /// Whether everything else would fail alike: nobody is known, or there is no bucket.
    pub(crate) fn is_everybodys(&self) -> bool {
        matches!(
            self.kind,
            Some(ErrorKind::Config | ErrorKind::BucketNotFound | ErrorKind::Unauthenticated)
        )
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Tells it on standard error.
    pub(crate) fn tell(self) -> ExitCode {
        ExitCode::from(self.told())
    }

    /// Tells it on standard error; the code to end with.
    pub(crate) fn told(self) -> u8 {
        if !self.message.is_empty() {
            crate::progress::note(&format!("storescope: {}", self.message));
        }
        self.code
    }
}

impl From<storescope::Error> for Exit {
    fn from(error: storescope::Error) -> Exit {
        let code = match error.kind() {
            ErrorKind::Config | ErrorKind::InvalidInput | ErrorKind::Unsupported => 2,
            ErrorKind::NotFound | ErrorKind::BucketNotFound => 3,
            ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => 4,
            _ => 1,
        };
        let mut message = escape::line(&error.to_string()).into_owned();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message = format!("{message}\n  caused by: {}", escape::line(&cause.to_string()));
            source = cause.source();
        }
        Exit { code, message, kind: Some(error.kind()) }
    }
}

impl From<io::Error> for Exit {
    fn from(error: io::Error) -> Exit {
        // The reader of a pipe has had enough: `storescope cat … | head` ends well.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Exit { code: 0, message: String::new(), kind: None };
        }
        Exit::failed(error.to_string())
    }
}
