// SPDX-License-Identifier: Apache-2.0
//! `--dry-run`: what a copy would meet, as far as looking tells. Nothing is written anywhere.

use super::equal::is_refused;
use super::job::{Job, Source, Target};
use crate::escape;
use crate::exit::Exit;
use std::fs::File;
use std::path::Path;
use storescope::{ErrorKind, ObjectMeta, Store};

/// The bytes that a job would copy, where that is known before they are read; the error it would end with, where that
/// can be seen.
pub(super) async fn rehearsed(job: &Job) -> Result<Option<u64>, Exit> {
    if let Target::File(path) = &job.to {
        target(path)?;
    }
    match &job.from {
        Source::Standard => Ok(None),
        Source::File(path) => file(path),
        Source::Object(store, meta) => object(store, meta).await,
    }
}

fn file(path: &Path) -> Result<Option<u64>, Exit> {
    let metadata = path.metadata().map_err(|e| Exit::cannot("read", path, &e))?;
    // To open a pipe would wait for its writer.
    if !metadata.is_file() {
        return Ok(None);
    }
    File::open(path).map_err(|e| Exit::cannot("read", path, &e))?;
    Ok(Some(metadata.len()))
}

async fn object(store: &Store, meta: &ObjectMeta) -> Result<Option<u64>, Exit> {
    // What was listed is there; what was named is looked for.
    if meta.etag.is_some() {
        return Ok(Some(meta.size));
    }
    match store.head(&meta.key).await {
        Ok(meta) => Ok(Some(meta.size)),
        // Who may not look may read.
        Err(error) if is_refused(&error) && error.kind() != ErrorKind::BucketNotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file can be made there.
fn target(path: &Path) -> Result<(), Exit> {
    if path.is_dir() {
        return Err(Exit::failed(format!("{} is a folder", escape::path(path))));
    }
    let above = path.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok());
    match above {
        Some(above) if !above.is_dir() => {
            Err(Exit::failed(format!("cannot make a folder of the file {}", escape::path(above))))
        }
        _ => Ok(()),
    }
}
