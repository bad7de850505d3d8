// SPDX-License-Identifier: Apache-2.0
//! A write by parts between its begin and its end: whatever happens to its writer, no part is left behind.

use super::{Begun, warn_of};
use crate::backend::Part;
use crate::context::Target;
use crate::error::Result;
use crate::timing::Operation;
use crate::types::Upload;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// An upload that is to be aborted unless it comes to its end, and its parts under way.
pub(crate) struct Pending {
    target: Target,
    upload: Option<Upload>,
    /// Uploads that requests without an answer began.
    strays: Vec<Upload>,
    pub(crate) sending: JoinSet<Result<Part>>,
    runtime: Handle,
}

impl Pending {
    /// Must be made on the runtime on which an abort is to run.
    pub(crate) fn new(target: &Target, begun: Begun) -> Pending {
        Pending {
            target: target.clone(),
            upload: Some(begun.upload),
            strays: begun.strays,
            sending: JoinSet::new(),
            runtime: Handle::current(),
        }
    }

    pub(crate) fn upload(&self) -> &Upload {
        self.upload.as_ref().expect("taken only at the end")
    }

    /// It came to its end.
    pub(crate) async fn done(mut self) {
        self.upload = None;
        self.clear().await;
    }

    async fn clear(&mut self) {
        if !self.strays.is_empty() {
            Box::pin(clear(&self.target, std::mem::take(&mut self.strays))).await;
        }
    }

    pub(crate) async fn abort(mut self) -> Result<()> {
        // A part that arrived after the abort would be left behind: they end first.
        self.sending.shutdown().await;
        let aborted = match self.upload.take() {
            Some(upload) => abort(&self.target, upload).await,
            None => Ok(()),
        };
        self.clear().await;
        aborted
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        let (target, mut sending) = (self.target.clone(), std::mem::take(&mut self.sending));
        let strays = std::mem::take(&mut self.strays);
        // Counted from now on, so that a shutdown waits for it.
        let held = target.context().hold();
        self.runtime.spawn(async move {
            sending.shutdown().await;
            // What failed is logged.
            let _ = abort(&target, upload).await;
            clear(&target, strays).await;
            drop(held);
        });
    }
}

/// Aborts an upload; one that is gone is aborted.
async fn abort(target: &Target, upload: Upload) -> Result<()> {
    let key: Arc<str> = upload.key.as_str().into();
    let mut call = target.begin_always(Operation::AbortUpload, key, None);
    let aborted = call.discard_upload(&upload).await;
    let ended = call.end(aborted);
    if let Err(error) = &ended {
        tracing::warn!(key = upload.key, id = upload.id, %error, "an upload could not be aborted: its parts are left");
    }
    ended
}

/// Aborts the strays of a write that has ended, unless they hold a part.
async fn clear(target: &Target, strays: Vec<Upload>) {
    for stray in strays {
        let key: Arc<str> = stray.key.as_str().into();
        let mut call = target.begin_always(Operation::ListUploads, key, None);
        let parts = call.has_parts(&stray).await;
        match call.end(parts) {
            Ok(false) => {
                // What failed is logged.
                let _ = abort(target, stray).await;
            }
            Ok(true) => warn_of(&[stray], "it holds parts"),
            // Its writer has ended it.
            Err(error) if error.is_not_found() => {}
            Err(error) => warn_of(&[stray], &error.to_string()),
        }
    }
}
