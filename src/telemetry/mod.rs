// SPDX-License-Identifier: Apache-2.0
//! What a client tells of itself while it runs, by its settings. All of it reads snapshots; no request waits for it.
//!
//! ```text
//!  metrics_endpoint ─▶ endpoint.rs  one listener for each address of a process, shared by its clients
//!                       ├ clients.rs  what they add up to
//!                       └ server.rs   GET /metrics · /hlog · /hgrm/KEY · /json
//!  metrics_log      ─▶ timing::Collector   an interval log
//!  otlp_endpoint    ─▶ push.rs      OTLP over HTTP, each interval
//!                        worker.rs   the thread that each of these has, with a runtime of its own
//! ```
//!
//! It promises:
//! * it runs on threads of its own, so it goes on when the caller's runtime is busy or has ended;
//! * what cannot work is an error when the client is built: a port that is taken, a file that cannot be written, a URL that
//!   is none. What fails later is logged once, and tried again;
//! * it ends with the client's last clone, and with `shutdown`.

mod clients;
mod endpoint;
mod push;
mod server;
mod worker;

use crate::config::Config;
use crate::error::{ErrorKind, Failure, Result};
use crate::timing::{Collector, Metrics};
use endpoint::Membership;
use push::Push;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use endpoint::forked;

/// What runs for one client.
#[derive(Debug, Default)]
pub(crate) struct Telemetry(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    endpoint: Option<Membership>,
    log: Option<Collector>,
    push: Option<Push>,
}

impl Telemetry {
    /// Starts what the settings ask for; nothing by default.
    pub(crate) fn start(
        config: &Config,
        user_agent: &'static str,
        metrics: &Metrics,
    ) -> Result<Telemetry> {
        let interval = config.metrics_interval;
        let asked = config.metrics_log.is_some() || config.otlp_endpoint.is_some();
        if asked && interval.is_zero() {
            return Err(Failure::new(ErrorKind::Config)
                .message("metrics_interval must be longer than 0")
                .into());
        }
        let log = config.metrics_log.as_deref().map(|path| {
            Collector::start(metrics.scope(), path, interval).map_err(|e| {
                Failure::new(ErrorKind::Config)
                    .message(format!("metrics_log={}: {e}", path.display()))
                    .hint("name a file that this process can make or append to")
                    .source(e)
            })
        });
        let push = config
            .otlp_endpoint
            .as_deref()
            .map(|url| Push::start(url, config, user_agent, metrics));
        let endpoint = match &config.metrics_endpoint {
            Some(listen) => Membership::join(listen, metrics)?,
            None => None,
        };
        Ok(Telemetry(Mutex::new(Running {
            endpoint,
            log: log.transpose()?,
            push: push.transpose()?,
        })))
    }

    /// Where the scrape endpoint listens, if there is one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.running().endpoint.as_ref().map(Membership::address)
    }

    /// Writes the interval log and pushes, now. Whether the log was written, and the push taken within `grace`, is returned;
    /// what is not there has not failed.
    pub(crate) async fn flush(&self, grace: Duration) -> bool {
        let (written, pushed) = {
            let running = self.running();
            let written = running.log.as_ref().is_none_or(|log| log.flush().is_ok());
            (written, running.push.as_ref().map(Push::now))
        };
        match pushed {
            Some(pushed) => tokio::time::timeout(grace, pushed).await == Ok(Ok(true)) && written,
            None => written,
        }
    }

    /// Flushes, and ends all.
    pub(crate) async fn end(&self, grace: Duration) {
        let Running { endpoint, log, push } = std::mem::take(&mut *self.running());
        drop((endpoint, log));
        if let Some(push) = push {
            // The push has logged what fails.
            let _ = tokio::time::timeout(grace, push.last()).await;
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
