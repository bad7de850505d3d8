// SPDX-License-Identifier: Apache-2.0
//! One bucket, and the part of it below a prefix, with all that its requests are made with.

use super::Context;
use crate::attempt::Call;
use crate::backend::Backend;
use crate::config::Config;
use crate::error::Result;
use crate::options::ChecksumMode;
use crate::timing::{Live, Operation, Recorders, Scope};
use crate::types::{ObjectMeta, Upload};
use crate::url::StoreUrl;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where operations are made: a bucket and prefix of a backend. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Target(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    context: Arc<Context>,
    backend: Arc<dyn Backend>,
    url: StoreUrl,
    recorders: Recorders,
    verify: bool,
    writing: WriteSettings,
    live: Arc<Live>,
}

impl Target {
    pub(crate) fn new(
        context: &Arc<Context>,
        backend: Arc<dyn Backend>,
        url: &StoreUrl,
        config: &Config,
        scopes: &[Scope],
    ) -> Target {
        let recorders = context.recorders(None, url);
        Target(Arc::new(Parts {
            context: Arc::clone(context),
            backend,
            url: url.clone(),
            recorders: scopes.iter().fold(recorders, |recorders, scope| recorders.also(scope)),
            verify: config.verify,
            writing: WriteSettings::new(config),
            live: Arc::new(Live::new(context.config().hedge_at)),
        }))
    }

    /// The same place, its requests recorded in `scope`, too.
    pub(crate) fn with_scope(&self, scope: &Scope) -> Target {
        let recorders = self.recorders_in(scope);
        Target(Arc::new(Parts { recorders, ..(*self.0).clone() }))
    }

    /// The same place, its requests recorded in `scope` beside the scopes it has.
    pub(crate) fn also_in(&self, scope: &Scope) -> Target {
        let recorders = self.0.recorders.also(scope);
        Target(Arc::new(Parts { recorders, ..(*self.0).clone() }))
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.0.context
    }

    pub(crate) fn backend(&self) -> &Arc<dyn Backend> {
        &self.0.backend
    }

    pub(crate) fn url(&self) -> &StoreUrl {
        &self.0.url
    }

    pub(crate) fn recorders(&self) -> &Recorders {
        &self.0.recorders
    }

    /// The same for requests made in `scope`.
    pub(crate) fn recorders_in(&self, scope: &Scope) -> Recorders {
        self.0.context.recorders(Some(scope), &self.0.url)
    }

    /// The live quantiles of its reads.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.0.live
    }

    /// Whether whole objects are checked against the store's checksum.
    pub(crate) fn verify(&self) -> bool {
        self.0.verify
    }

    /// The settings of writes.
    pub(crate) fn writing(&self) -> &WriteSettings {
        &self.0.writing
    }

    /// The prefix of all its names.
    pub(crate) fn prefix(&self) -> &str {
        self.0.url.key()
    }

    /// An object's name from the bucket on.
    pub(crate) fn full(&self, key: &str) -> Arc<str> {
        match self.prefix() {
            "" => key.into(),
            prefix => [prefix, key].concat().into(),
        }
    }

    /// What is known of an object, under its name below the prefix.
    pub(crate) fn relative(&self, mut meta: ObjectMeta) -> ObjectMeta {
        meta.key.drain(..self.prefix().len());
        meta
    }

    /// An upload as the store names it, its key from the bucket on.
    pub(crate) fn full_upload(&self, upload: &Upload) -> Upload {
        Upload { key: self.full(&upload.key).to_string(), ..upload.clone() }
    }

    /// Begins a call about the object `key`, a name below the prefix. Fails once the client was shut down.
    pub(crate) fn begin(
        &self,
        operation: Operation,
        key: &str,
        deadline: Option<Duration>,
    ) -> Result<Box<Call>> {
        self.0.context.check_open()?;
        Ok(self.begin_always(operation, self.full(key), deadline))
    }

    /// Begins a call about a full name although the client may have been shut down: what was begun is cleared away.
    pub(crate) fn begin_always(
        &self,
        operation: Operation,
        key: Arc<str>,
        deadline: Option<Duration>,
    ) -> Box<Call> {
        let Parts { context, backend, recorders, .. } = &*self.0;
        Call::begin(backend, context.policy(), recorders, operation, key, deadline)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("url", &self.0.url).finish_non_exhaustive()
    }
}

/// What the settings say of writes.
#[derive(Clone, Debug)]
pub(crate) struct WriteSettings {
    verify: bool,
    pub(crate) part_size: u64,
    pub(crate) part_concurrency: usize,
    pub(crate) copy_part_size: u64,
}

impl WriteSettings {
    pub(crate) fn new(config: &Config) -> WriteSettings {
        WriteSettings {
            verify: config.verify,
            part_size: config.part_size,
            part_concurrency: config.part_concurrency.max(1) as usize,
            copy_part_size: config.copy_part_size,
        }
    }

    /// The checksum that a write is sent with, of what its caller asked for.
    pub(crate) fn checksum(&self, mode: ChecksumMode) -> ChecksumMode {
        match mode {
            ChecksumMode::Auto if self.verify => ChecksumMode::Crc32c,
            ChecksumMode::Auto => ChecksumMode::Off,
            chosen => chosen,
        }
    }
}
