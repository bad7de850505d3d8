// SPDX-License-Identifier: Apache-2.0
//! The runtime that work belongs to: the one given to the builder, else the caller's, else one of the client's own. A
//! connection lives on the runtime it was made on.

use super::Context;
use crate::error::{ErrorKind, Failure, Result};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::OnceLock;
use tokio::runtime::{Handle, Runtime};

/// A runtime that is started when it is first needed.
#[derive(Debug, Default)]
pub(super) struct OwnRuntime(OnceLock<Background>);

/// Its end waits for nothing, so that it may come on any thread.
#[derive(Debug)]
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl OwnRuntime {
    fn get(&self) -> Result<&Runtime> {
        if self.0.get().is_none() {
            let built = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("storescope")
                .enable_all()
                .build()
                .map_err(|e| {
                    Failure::new(ErrorKind::Exhausted)
                        .message("no runtime could be started")
                        .source(e)
                })?;
            // Another thread may have been first; this one then just ends.
            let _ = self.0.set(Background(Some(built)));
        }
        let runtime = self.0.get().and_then(|own| own.0.as_ref());
        Ok(runtime.expect("set above, and taken only on drop"))
    }
}

impl Context {
    /// The runtime to enter for work begun here: `None` where the caller's own will do.
    pub(crate) fn foreign_runtime(&self) -> Result<Option<Handle>> {
        if let Some(runtime) = &self.given {
            return Ok(Some(runtime.clone()));
        }
        match Handle::try_current() {
            Ok(_) => Ok(None),
            Err(_) => self.own_runtime().map(|runtime| Some(runtime.handle().clone())),
        }
    }

    /// A runtime of the client's own, for callers without one.
    pub(crate) fn own_runtime(&self) -> Result<&Runtime> {
        self.own.get()
    }

    /// The runtime that work begun here belongs to.
    pub(crate) fn handle(&self) -> Result<Handle> {
        Ok(self.foreign_runtime()?.unwrap_or_else(Handle::current))
    }

    /// Polls `work` inside the runtime it belongs to.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        on_runtime!(self, work)
    }
}

/// Polls `work` inside `runtime`, whichever thread polls it.
pub(crate) async fn entered<T>(
    runtime: Handle,
    mut work: Pin<Box<impl Future<Output = T> + Send>>,
) -> T {
    poll_fn(|cx| {
        let _entered = runtime.enter();
        work.as_mut().poll(cx)
    })
    .await
}

/// Awaits a call where it is, in the caller's runtime, or inside the one it belongs to. A macro, since handing a future
/// over would move it, and it is large.
macro_rules! on_runtime {
    ($context:expr, $call:expr) => {
        match $context.foreign_runtime()? {
            None => $call.await,
            Some(runtime) => $crate::context::entered(runtime, Box::pin($call)).await,
        }
    };
}
pub(crate) use on_runtime;
