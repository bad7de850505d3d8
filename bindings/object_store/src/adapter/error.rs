// SPDX-License-Identifier: Apache-2.0
//! What a failure is called in object_store, ours beneath it.

use super::super::object_store::Error;
use super::super::object_store::path::Path;
use std::fmt::Display;
use storescope::ErrorKind;

/// The name of this store in errors and texts.
pub(super) const STORE: &str = "storescope";

/// The error of a call that was about one object or folder.
pub(super) fn of(failure: storescope::Error, path: &(impl Display + ?Sized)) -> Error {
    let path = path.to_string();
    match failure.kind() {
        ErrorKind::NotFound => Error::NotFound { path, source: failure.into() },
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: failure.into() },
        ErrorKind::Precondition | ErrorKind::Changed => {
            Error::Precondition { path, source: failure.into() }
        }
        ErrorKind::Unauthenticated => Error::Unauthenticated { path, source: failure.into() },
        ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: failure.into() },
        ErrorKind::Unsupported => Error::NotSupported { source: failure.into() },
        _ => generic(failure),
    }
}

/// The error of a call that was about a source and a target: the target is what may exist already.
pub(super) fn of_two(failure: storescope::Error, from: &Path, to: &Path) -> Error {
    let about = if failure.kind() == ErrorKind::AlreadyExists { to } else { from };
    of(failure, about)
}

pub(super) fn precondition(failure: storescope::Error, path: &Path) -> Error {
    Error::Precondition { path: path.to_string(), source: failure.into() }
}

pub(super) fn not_implemented(operation: impl Into<String>) -> Error {
    Error::NotImplemented { operation: operation.into(), implementer: STORE.to_owned() }
}

pub(super) fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: STORE, source: source.into() }
}
