// SPDX-License-Identifier: Apache-2.0
//! A new connection: dialled or tunnelled, TLS, hyper's handshake.

use super::Origin;
use super::dial::Dialer;
use super::failure::unconnected;
use super::io::{Stream, Timed};
use super::plain::PlainHttp;
use super::proxy::{self, Proxies};
use super::request_body::RequestBody;
use super::tls::Tls;
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Held, Phase, SocketTimes};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an answer that a connection holds at most before they are taken: hyper's own limit, 400 KiB, comes to more
/// than a small budget where there are many.
const BUFFER: usize = 128 << 10;

#[derive(Debug)]
pub(super) struct Connector {
    dialer: Arc<Dialer>,
    proxies: Proxies,
    plain: PlainHttp,
    tls: Tls,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(config: &Config) -> Connector {
        Connector {
            dialer: Arc::new(Dialer::new(config.dns_ttl)),
            proxies: Proxies::new(config),
            plain: PlainHttp::new(config),
            tls: Tls::new(config),
            timeout: config.connect_timeout,
        }
    }

    /// Time for a connection to be opened.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Opens a connection and spawns the task that drives it, which holds `gauge` for as long as the socket is open.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        timer: &mut AttemptTimer,
        gauge: Held,
    ) -> Result<(SendRequest<RequestBody>, Arc<SocketTimes>), Failure> {
        let times = Arc::new(SocketTimes::default());
        let stream = match tokio::time::timeout(self.timeout, self.open(origin, timer)).await {
            Ok(opened) => opened?,
            Err(_) => {
                self.dialer.forget(&origin.host);
                return Err(Failure::new(ErrorKind::Timeout).message(format!(
                    "no connection to {origin} within {:?} (connect_timeout)",
                    self.timeout
                )));
            }
        };
        let io = TokioIo::new(Timed::new(stream, &times));
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .handshake(io)
            .await
            .map_err(|e| Failure::new(ErrorKind::Connect).source(e))?;
        tokio::spawn(async move {
            // Its failures reach the exchange under way; without one they concern nobody.
            let _ = connection.await;
            drop(gauge);
        });
        Ok((sender, times))
    }

    async fn open(&self, origin: &Origin, timer: &mut AttemptTimer) -> Result<Stream, Failure> {
        let tcp = match self.proxies.of(origin)? {
            Some(proxy) => {
                self.plain.check_proxied(origin)?;
                proxy::tunnel(&proxy, origin, &self.dialer).await?
            }
            None => {
                let addresses = self.dialer.addresses(&origin.host, origin.port).await?;
                timer.lap(Phase::Dns);
                self.plain.check(origin, &addresses)?;
                let dialled = self.dialer.dial(&origin.host, &addresses).await;
                dialled.map_err(|e| unconnected(origin, e))?
            }
        };
        timer.lap(Phase::Connect);
        if !origin.https {
            return Ok(Stream::Plain(tcp));
        }
        let tls = self.tls.handshake(&origin.host, tcp).await?;
        timer.lap(Phase::Tls);
        Ok(Stream::Tls(Box::new(tls)))
    }
}
