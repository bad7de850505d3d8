// SPDX-License-Identifier: Apache-2.0
//! What requests are made with. A [`Context`] is the process's side of a client: settings, transport, retry policy, limits,
//! gauges, runtime. A [`Target`] is one bucket and prefix on it. The engines and operations take a target, and know nothing
//! of [`Client`](crate::Client) or [`Store`](crate::Store), which are made of these two.
//!
//! ```text
//!  Client ─▶ Context   mod.rs      one transport, one retry budget, one read budget, one root scope
//!                      runtime.rs  the runtime that work belongs to
//!  Store  ─▶ Target    target.rs   context + backend, prefix, scopes, live quantiles, settings of writes
//! ```

mod runtime;
mod target;

pub(crate) use runtime::{entered, on_runtime};
pub(crate) use target::{Target, WriteSettings};

use crate::attempt::Policy;
use crate::auth::{Credentials, Principals};
use crate::capture::Capture;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::limiter::Admission;
use crate::telemetry::Telemetry;
use crate::timing::{Gauges, Held, Metrics, Recorders, Scope};
use crate::transport::Transport;
use crate::url::StoreUrl;
use runtime::OwnRuntime;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::runtime::Handle;

/// What all stores of a client share.
#[derive(Debug)]
pub(crate) struct Context {
    config: Config,
    transport: Arc<Transport>,
    principals: Arc<Principals>,
    policy: Arc<Policy>,
    admission: Arc<Admission>,
    gauges: Arc<Gauges>,
    metrics: Metrics,
    telemetry: Telemetry,
    capture: Option<Capture>,
    /// The runtime that the client was given.
    given: Option<Handle>,
    own: OwnRuntime,
    closed: AtomicBool,
}

impl Context {
    pub(crate) fn new(
        config: Config,
        user_agent: &'static str,
        runtime: Option<Handle>,
        credentials: Option<Arc<dyn Credentials>>,
    ) -> Result<Arc<Context>> {
        let gauges = Arc::new(Gauges::default());
        let metrics = Metrics::new(Arc::clone(&gauges));
        let traced = config.trace.as_deref();
        let capture = traced
            .map(|path| Capture::begin(path, config.trace_limit, config.trace_names))
            .transpose()?;
        Ok(Arc::new(Context {
            telemetry: Telemetry::start(&config, user_agent, &metrics)?,
            transport: Arc::new(Transport::new(&config, user_agent, &gauges)),
            principals: Arc::new(Principals::new(&config, user_agent, credentials)),
            policy: Arc::new(Policy::new(&config, &gauges)),
            admission: Admission::new(config.read_budget, config.max_connections, &gauges),
            metrics,
            gauges,
            config,
            capture,
            given: runtime,
            own: OwnRuntime::default(),
            closed: AtomicBool::new(false),
        }))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    pub(crate) fn principals(&self) -> &Arc<Principals> {
        &self.principals
    }

    pub(crate) fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    pub(crate) fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Where requests made in `scope`, or in none, are recorded: its chain and the client's own, unless timing is off, and
    /// the trace, if one is written.
    pub(crate) fn recorders(&self, scope: Option<&Scope>, place: &StoreUrl) -> Recorders {
        let recorders = if self.config.timing {
            Recorders::new(scope, self.metrics.scope())
        } else {
            Recorders::off()
        };
        match &self.capture {
            Some(capture) => recorders.traced(capture.of(place.place())),
            None => recorders,
        }
    }

    /// Writes what was traced so far: waits so long at most.
    pub(crate) fn flush_trace(&self, grace: Duration) {
        if let Some(capture) = &self.capture {
            capture.flush(grace);
        }
    }

    /// Takes no new calls from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// Fails once the client was shut down.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Relaxed) {
            Err(Error::misuse("the client was shut down"))
        } else {
            Ok(())
        }
    }

    /// Counts as a call under way, for as long as it lives.
    pub(crate) fn hold(&self) -> Held {
        self.gauges.call()
    }
}
