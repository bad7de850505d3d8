// SPDX-License-Identifier: Apache-2.0
//! One thing to copy: its source, its target, and what is known of the target beforehand.

use crate::exit::Exit;
use crate::place::url_of;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storescope::{ObjectMeta, Store};

/// Where bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Standard input.
    Standard,
    /// A file of this machine.
    File(PathBuf),
    /// An object. Of one that was not listed nothing but the name is known: its size is 0, and it has no ETag.
    Object(Store, Box<ObjectMeta>),
}

/// Where bytes go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Standard output.
    Standard,
    /// A file of this machine.
    File(PathBuf),
    /// A folder of this machine: what the marker of one (`name/`, empty) becomes.
    Folder(PathBuf),
    /// The object of this name.
    Object(Store, String),
}

/// One thing to copy.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) from: Source,
    pub(crate) to: Target,
    pub(crate) known: Known,
    /// Whether it is part of a tree.
    pub(crate) of_tree: bool,
    /// The folder that was named, where the source is a file of a tree.
    pub(crate) top: Option<Arc<Path>>,
}

/// What is known of the target before it is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// Nothing.
    Nothing,
    /// A listing did not have it.
    Absent,
    /// A listing had it.
    There(Box<ObjectMeta>),
}

/// What comes of a name below a source.
#[derive(Debug)]
pub(crate) enum Step {
    /// It is to be copied.
    Copy(Job),
    /// What has this name is none of the data; why.
    Skip(String, &'static str),
    /// What has this name cannot be copied; why.
    Fail(String, Exit),
}

impl Source {
    pub(crate) fn shown(&self) -> String {
        match self {
            Source::Standard => "-".to_owned(),
            Source::File(path) => path.display().to_string(),
            Source::Object(store, meta) => url_of(store, &meta.key),
        }
    }
}

impl Target {
    pub(crate) fn shown(&self) -> String {
        match self {
            Target::Standard => "-".to_owned(),
            Target::File(path) => path.display().to_string(),
            Target::Folder(path) => format!("{}/", path.display()),
            Target::Object(store, key) => url_of(store, key),
        }
    }
}

impl Job {
    pub(super) fn new(from: Source, to: Target) -> Job {
        Job { from, to, known: Known::Nothing, of_tree: false, top: None }
    }
}
