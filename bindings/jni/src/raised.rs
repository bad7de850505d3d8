// SPDX-License-Identifier: Apache-2.0
//! Why a native method fails: the kind and the message of the exception that Java gets (`throw.rs`).

use crate::credentials::thrown_beneath;
use std::borrow::Cow;
use std::ops::Range;
use storescope::{Error, ErrorKind, escaped};
use storescope_bindings::errors::{kind_name, one_line};

pub(crate) type Result<T> = std::result::Result<T, Raised>;

/// Why a native method gives no answer.
#[derive(Debug)]
pub(crate) enum Raised {
    /// The core's error.
    Store(Error),
    /// A handle that was closed, or was never one: of what.
    Closed(&'static str),
    /// The Java thread was interrupted while it waited.
    Interrupted,
    /// A tree was renamed in part.
    Partly { count: u64, from: String, to: String, error: Error },
    /// The object ends here, inside this range, which was to be read whole.
    Short(u64, Range<u64>),
    /// Arguments that Java's side should not have let through, or a file that cannot be written.
    Told(String),
    /// JNI itself; an exception may be pending.
    Jni(jni::errors::Error),
}

impl From<Error> for Raised {
    fn from(error: Error) -> Raised {
        Raised::Store(error)
    }
}

impl From<jni::errors::Error> for Raised {
    fn from(error: jni::errors::Error) -> Raised {
        Raised::Jni(error)
    }
}

impl Raised {
    /// The same for another who waits.
    pub(crate) fn again(&self) -> Raised {
        match self {
            Raised::Store(error) => Raised::Store(error.clone()),
            Raised::Closed(what) => Raised::Closed(what),
            other => Raised::Told(other.told().2),
        }
    }

    /// The number of what a Java class threw beneath; 0 where none did.
    pub(crate) fn thrown(&self) -> i64 {
        match self {
            Raised::Store(error) | Raised::Partly { error, .. } => thrown_beneath(error),
            _ => 0,
        }
    }

    /// The kind by which `Failures` picks the exception, the object's URL for people, and the message.
    pub(crate) fn told(&self) -> (&'static str, Option<Cow<'_, str>>, String) {
        match self {
            Raised::Store(error) => {
                (kind_name(error.kind()), error.object().map(escaped), whole(error))
            }
            Raised::Closed(what) => ("closed", None, format!("{what} is closed")),
            Raised::Interrupted => {
                ("interrupted", None, "interrupted while waiting for the store".to_owned())
            }
            Raised::Partly { count, from, to, error } => (
                // FileNotFoundException and FileAlreadyExistsException mean that nothing was done.
                match error.kind() {
                    ErrorKind::NotFound | ErrorKind::AlreadyExists => "partly",
                    other => kind_name(other),
                },
                error.object().map(escaped),
                format!(
                    "{}; {count} objects of {} were renamed to {} before, the others have their old names",
                    whole(error),
                    escaped(from),
                    escaped(to)
                ),
            ),
            Raised::Short(end, range) => (
                "invalid_range",
                None,
                format!(
                    "the object ends at {end}, inside the range {}..{}",
                    range.start, range.end
                ),
            ),
            Raised::Told(why) => ("misuse", None, why.clone()),
            Raised::Jni(error) => {
                ("jni", None, format!("the native library and Java do not agree: {error}"))
            }
        }
    }
}

/// The error, its causes and what to do, on one line.
fn whole(error: &Error) -> String {
    let text = one_line(error);
    match error.hint().map(escaped).filter(|hint| !text.contains(hint.as_ref())) {
        Some(hint) => format!("{text} ({hint})"),
        None => text,
    }
}
