// SPDX-License-Identifier: Apache-2.0
//! An object under writing.

use crate::raised::{Raised, Result};
use crate::runtime::{wait, wait_through};
use crate::store::OpenStore;
use bytes::Bytes;
use jni::Env;
use std::sync::Mutex;
use storescope::timing::Scope;
use storescope::{ObjectMeta, PutMode, PutOptions, Writer};
use storescope_bindings::lock::locked;

pub(crate) struct OpenWriter {
    /// `None` while a thread is at it, and once it has ended.
    writer: Mutex<Option<Writer>>,
    pub(crate) scope: Scope,
}

impl OpenWriter {
    pub(crate) fn open(open: &OpenStore, key: &str, options: PutOptions) -> OpenWriter {
        let scope = open.scope.child("writer");
        let writer = open.store.with_scope(&scope).writer(key, options);
        OpenWriter { writer: Mutex::new(Some(writer)), scope }
    }

    fn take(&self) -> Result<Writer> {
        locked(&self.writer).take().ok_or(Raised::Closed("the stream"))
    }

    /// Takes bytes. An interrupt ends the write: nothing of it stays.
    pub(crate) fn write(&self, env: &mut Env<'_>, bytes: Bytes) -> Result<()> {
        let mut writer = self.take()?;
        let written = wait(env, writer.write(bytes));
        if !matches!(written, Err(Raised::Interrupted)) {
            *locked(&self.writer) = Some(writer);
        }
        written
    }

    pub(crate) fn finish(&self, env: &mut Env<'_>) -> Result<ObjectMeta> {
        wait(env, self.take()?.finish())
    }

    pub(crate) fn abort(&self) -> Result<()> {
        let Some(writer) = locked(&self.writer).take() else { return Ok(()) };
        Ok(wait_through(writer.abort())??)
    }
}

/// The options of a write: how it treats what is there, its size if it is known, and what is kept with the object.
pub(crate) fn options(create: bool, size: Option<u64>, about: &[String]) -> Result<PutOptions> {
    let mut options =
        PutOptions::new().mode(if create { PutMode::Create } else { PutMode::Overwrite });
    if let Some(size) = size {
        options = options.size(size);
    }
    for pair in about.chunks(2) {
        let [name, value] = pair else {
            return Err(Raised::Told("names and values come in pairs".to_owned()));
        };
        options = match name.as_str() {
            "content-type" => options.content_type(value),
            "content-encoding" => options.content_encoding(value),
            "content-language" => options.content_language(value),
            "content-disposition" => options.content_disposition(value),
            "cache-control" => options.cache_control(value),
            _ => match name.strip_prefix("meta-") {
                Some(name) => options.metadata(name, value),
                None => {
                    return Err(Raised::Told(format!(
                        "there is no header {name:?} that an object keeps"
                    )));
                }
            },
        };
    }
    Ok(options)
}
