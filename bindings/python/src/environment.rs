// SPDX-License-Identifier: Apache-2.0
//! What stores take from outside their options: environment variables, and the files that settings name.

use pyo3::prelude::*;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use storescope::config::SETTINGS;
use storescope::{Config, Error, ErrorKind};

/// A number for both at one moment, the same in each process. Two that differ may mean other settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// That of stores with these settings.
    pub(crate) fn of_store(config: &Config) -> Fingerprint {
        let mut hasher = DefaultHasher::new();
        let mut variables: Vec<_> = std::env::vars_os().filter(|(name, _)| is_read(name)).collect();
        variables.sort_unstable();
        variables.hash(&mut hasher);
        stamp(config.files(), &mut hasher);
        Fingerprint(hasher.finish())
    }

    /// That of a client with these settings: what its settings do not show.
    pub(crate) fn of_client(config: &Config) -> Fingerprint {
        let mut hasher = DefaultHasher::new();
        stamp(config.certificate_files(), &mut hasher);
        Fingerprint(hasher.finish())
    }
}

/// Whether a variable of this name may be read for a store.
fn is_read(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let prefixes = ["STORESCOPE_", "OCI_", "AWS_", "SSL_CERT_"];
    name == "HOME"
        || prefixes.iter().any(|prefix| name.starts_with(prefix))
        || SETTINGS.iter().any(|setting| setting.also.contains(&name))
}

/// What tells files from themselves after a change.
fn stamp(files: Vec<PathBuf>, hasher: &mut DefaultHasher) {
    for file in files {
        let found = std::fs::metadata(&file).ok();
        let found = found.map(|at| (at.ino(), at.size(), at.mtime(), at.mtime_nsec()));
        (file, found).hash(hasher);
    }
}

/// The fingerprint of stores without options.
#[pyfunction]
pub(crate) fn _surroundings() -> u64 {
    // What is wrong with the environment is told where a store is opened.
    Fingerprint::of_store(&Config::from_env().unwrap_or_default()).0
}

/// Failures so far that another environment may mend.
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// Counts an error, if other settings may mend it.
pub(crate) fn note(error: &Error) {
    use ErrorKind::{
        BucketNotFound, Config, Connect, PermissionDenied, Protocol, Tls, Unauthenticated,
    };
    let kinds = [BucketNotFound, Config, Connect, PermissionDenied, Protocol, Tls, Unauthenticated];
    if kinds.contains(&error.kind()) {
        FAILURES.fetch_add(1, Relaxed);
    }
}

/// How many were counted.
pub(crate) fn failures() -> u64 {
    FAILURES.load(Relaxed)
}
