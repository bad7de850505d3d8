// SPDX-License-Identifier: Apache-2.0
//! Changes of an object's name: by one request where the service has one, else by copy and removal.

use super::copy::{copy, is_same, source};
use super::delete::delete;
use super::get::head;
use crate::attempt::{Call, Doubt, Settle, Verdict, settle, unsettled_by};
use crate::backend::{RenameRequest, etag};
use crate::context::{Target, on_runtime};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::options::{CopyOptions, DeleteOptions, RenameOptions};
use crate::timing::Operation;
use crate::types::ObjectMeta;
use std::sync::Arc;
use std::time::Duration;

/// Gives an object another name in the same bucket; what it is then.
pub(crate) async fn rename(
    target: &Target,
    from: &str,
    to: &str,
    options: RenameOptions,
) -> Result<ObjectMeta> {
    if from == to {
        return Err(Error::invalid(format!("{from:?} has that name already")));
    }
    if target.backend().abilities().rename {
        let call = target.begin(Operation::Rename, from, None)?;
        on_runtime!(target.context(), rename_by(target, call, to, options))
    } else {
        rename_by_copy(target, from, to, options).await
    }
}

/// A copy, then the removal of the source, if that is still what was copied.
async fn rename_by_copy(
    target: &Target,
    from: &str,
    to: &str,
    options: RenameOptions,
) -> Result<ObjectMeta> {
    let source = match options.source {
        Some(known) if known.etag.is_some() => known,
        _ => head(target, from).await?,
    };
    let copied = DeleteOptions { if_match: source.etag.clone() };
    let copying = CopyOptions { mode: options.mode, source: Some(source), progress: None };
    let meta = copy(target, from, (target, to), copying).await?;
    let removed = match delete(target, from, copied).await {
        // Not every server takes a condition here.
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            delete(target, from, DeleteOptions::new()).await
        }
        removed => removed,
    };
    match removed {
        Err(error) if !error.is_not_found() => Err(not_removed(target, from, to, error)),
        _ => Ok(meta),
    }
}

fn not_removed(target: &Target, from: &str, to: &str, error: Error) -> Error {
    let (done, hint) = if error.kind() == ErrorKind::Precondition {
        ("but another replaced it meanwhile, and it was not removed", "rename it again")
    } else {
        ("but not removed", "remove the one that is not wanted")
    };
    let failure = Failure::new(error.kind())
        .message(format!("it was copied to {to:?}, {done}"))
        .hint(hint)
        .source(error);
    let object = target.backend().url(&target.full(from));
    failure.into_error(Some(Operation::Rename), Some(object), 1, Duration::ZERO)
}

async fn rename_by(
    target: &Target,
    mut call: Box<Call>,
    to: &str,
    options: RenameOptions,
) -> Result<ObjectMeta> {
    let source = match source(&mut call, options.source).await {
        Ok(source) => source,
        Err(failure) => return Err(call.fail(failure)),
    };
    let request = RenameRequest {
        from: Arc::clone(call.key()),
        to: target.full(to),
        from_etag: source.etag.clone(),
        mode: options.mode,
    };
    let renamed = settle(&mut call, Renaming { request: &request, source: &source }).await;
    let told = call.end(renamed)?;
    Ok(ObjectMeta {
        key: to.to_owned(),
        etag: told.etag,
        last_modified: told.last_modified,
        version: told.version,
        mark: None,
        ..source
    })
}

struct Renaming<'a> {
    request: &'a RenameRequest,
    source: &'a ObjectMeta,
}

impl Settle for Renaming<'_> {
    type Output = ObjectMeta;

    async fn send(&mut self, call: &mut Call) -> Result<ObjectMeta, Failure> {
        call.rename(self.request).await
    }

    async fn decide(
        &mut self,
        call: &mut Call,
        doubt: Doubt,
    ) -> Result<Verdict<ObjectMeta>, Failure> {
        let Doubt { failure, lost } = doubt;
        if !lost && !failure.is_refusal() && failure.kind != ErrorKind::NotFound {
            return Err(failure);
        }
        // The source, as it was, is there: it was not renamed.
        let there = match call.head(&self.request.from).await {
            Ok(meta) => match (&meta.etag, &self.source.etag) {
                (Some(now), Some(before)) => etag::same(now, before),
                (now, before) => now == before,
            },
            Err(gone) if gone.kind == ErrorKind::NotFound => false,
            Err(unseen) => return Err(unsettled_by(failure, unseen)),
        };
        if there && failure.is_refusal() {
            return Err(failure);
        }
        if there {
            return Ok(Verdict::Again(failure));
        }
        match call.head(&self.request.to).await {
            Ok(meta) if is_same(&meta, self.source) => Ok(Verdict::Done(meta)),
            Ok(_) => Err(failure),
            Err(gone) if gone.kind == ErrorKind::NotFound => Err(failure),
            Err(unseen) => Err(unsettled_by(failure, unseen)),
        }
    }
}
