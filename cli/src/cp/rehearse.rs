// SPDX-License-Identifier: Apache-2.0
//! `--dry-run`: what a copy would meet, as far as looking tells. Nothing is written anywhere.

use super::plan::{Job, Source, Target};
use crate::exit::Exit;
use std::fs::File;
use std::path::Path;
use storescope::{ObjectMeta, Store};

/// The bytes that a job would copy, where that is known before they are read; the error it would end with, where that
/// can be seen.
pub(super) async fn rehearsed(job: &Job) -> Result<Option<u64>, Exit> {
    if let Target::File(path) = &job.to {
        target(path)?;
    }
    match &job.from {
        Source::Standard => Ok(None),
        Source::File(path) => file(path),
        Source::Object(store, meta) => Ok(Some(object(store, meta).await?.size)),
    }
}

fn file(path: &Path) -> Result<Option<u64>, Exit> {
    let cannot = |e| Exit::failed(format!("cannot read {}: {e}", path.display()));
    let metadata = path.metadata().map_err(cannot)?;
    // To open a pipe would wait for its writer.
    if !metadata.is_file() {
        return Ok(None);
    }
    File::open(path).map_err(cannot)?;
    Ok(Some(metadata.len()))
}

async fn object(store: &Store, meta: &ObjectMeta) -> Result<ObjectMeta, Exit> {
    match meta.etag {
        Some(_) => Ok(meta.clone()),
        // It was named, not listed.
        None => Ok(store.head(&meta.key).await?),
    }
}

/// Whether a file can be made there.
fn target(path: &Path) -> Result<(), Exit> {
    if path.is_dir() {
        return Err(Exit::failed(format!("{} is a folder", path.display())));
    }
    let above = path.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok());
    match above {
        Some(above) if !above.is_dir() => {
            Err(Exit::failed(format!("cannot make a folder of the file {}", above.display())))
        }
        _ => Ok(()),
    }
}
