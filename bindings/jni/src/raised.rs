// SPDX-License-Identifier: Apache-2.0
//! What goes wrong, and the exception that Java gets for it.

use crate::java;
use jni::Env;
use jni::errors::ErrorPolicy;
use std::any::Any;
use std::ops::Range;
use storescope::{Error, ErrorKind};

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

    /// The kind by which `Failures` picks the exception, the object's URL, and the message.
    pub(crate) fn told(&self) -> (&'static str, Option<&str>, String) {
        match self {
            Raised::Store(error) => (kind(error.kind()), error.object(), whole(error)),
            Raised::Closed(what) => ("closed", None, format!("{what} is closed")),
            Raised::Interrupted => {
                ("interrupted", None, "interrupted while waiting for the store".to_owned())
            }
            Raised::Partly { count, from, to, error } => (
                // FileNotFoundException and FileAlreadyExistsException mean that nothing was done.
                match error.kind() {
                    ErrorKind::NotFound | ErrorKind::AlreadyExists => "partly",
                    other => kind(other),
                },
                error.object(),
                format!(
                    "{}; {count} objects of {from} were renamed to {to} before, the others have their old names",
                    whole(error)
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

/// The error and its sources, on one line.
fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    if let Some(hint) = error.hint().filter(|hint| !text.contains(hint)) {
        text = format!("{text} ({hint})");
    }
    text
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not_found",
        ErrorKind::BucketNotFound => "bucket_not_found",
        ErrorKind::AlreadyExists => "already_exists",
        ErrorKind::Precondition => "precondition",
        ErrorKind::Changed => "changed",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::Throttled => "throttled",
        ErrorKind::InvalidRange => "invalid_range",
        ErrorKind::Connect => "connect",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Config => "config",
        ErrorKind::InvalidInput => "invalid_input",
        ErrorKind::Unsupported => "unsupported",
        _ => "other",
    }
}

/// Throws what was raised; a panic is an `IOException`, too, and never crosses into the JVM.
pub(crate) struct Throw;

impl<T: Default> ErrorPolicy<T, Raised> for Throw {
    type Captures<'env: 'native, 'native> = ();

    fn on_error<'env: 'native, 'native>(
        env: &mut Env<'env>,
        (): &mut (),
        raised: Raised,
    ) -> jni::errors::Result<T> {
        if !env.exception_check() {
            let failure = java::failure(env, &raised)?;
            // Throwing answers an error of its own: that it was thrown.
            let _ = env.throw(failure);
        }
        Ok(T::default())
    }

    fn on_panic<'env: 'native, 'native>(
        env: &mut Env<'env>,
        captures: &mut (),
        payload: Box<dyn Any + Send + 'static>,
    ) -> jni::errors::Result<T> {
        let why = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let raised = Raised::Told(format!("a defect of storescope, please report it: {why}"));
        <Throw as ErrorPolicy<T, Raised>>::on_error(env, captures, raised)
    }
}
