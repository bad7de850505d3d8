// SPDX-License-Identifier: Apache-2.0
//! A new connection: resolve, connect to the first address that answers, TLS, hyper's handshake.

use super::Origin;
use super::body::RequestBody;
use super::dns::Dns;
use super::io::{Stream, Timed};
use super::proxy::{self, Proxies};
use super::tls::Tls;
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Held, Phase, SocketTimes};
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// The next address is tried when the one before has not answered for so long (RFC 8305).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Bytes of an answer that a connection holds at most before they are taken: hyper's own limit, 400 KiB, comes to more
/// than a small budget where there are many.
const BUFFER: usize = 128 << 10;

/// Probes of an idle connection begin after so long.
const KEEPALIVE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Connector {
    dialer: Arc<Dialer>,
    proxies: Proxies,
    tls: Tls,
    timeout: Duration,
}

/// Names to connections, as yet without a protocol.
#[derive(Debug)]
pub(super) struct Dialer(Dns);

impl Dialer {
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Failure> {
        self.0.resolve(host, port).await
    }

    /// Connects to the first of `host`'s addresses that answers.
    pub(super) async fn dial(&self, host: &str, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        let tcp = first_to_answer(addresses).await.inspect_err(|_| self.forget(host))?;
        tcp.set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
        socket2::SockRef::from(&tcp).set_tcp_keepalive(&keepalive)?;
        Ok(tcp)
    }

    fn forget(&self, host: &str) {
        self.0.forget(host);
    }
}

impl Connector {
    pub(super) fn new(config: &Config) -> Connector {
        Connector {
            dialer: Arc::new(Dialer(Dns::new(config.dns_ttl))),
            proxies: Proxies::new(config),
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
            Some(proxy) => proxy::tunnel(&proxy, origin, &self.dialer).await?,
            None => {
                let addresses = self.dialer.addresses(&origin.host, origin.port).await?;
                timer.lap(Phase::Dns);
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

/// Connects to the addresses in their order, each begun when the one before failed or has not answered for
/// `ATTEMPT_DELAY`; the first that answers wins. The last failure is told.
async fn first_to_answer(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut trying = FuturesUnordered::new();
    let mut failed = io::Error::other("no address");
    loop {
        match waiting.next() {
            Some(address) => trying.push(TcpStream::connect(*address)),
            None if trying.is_empty() => return Err(failed),
            None => {}
        }
        let answer = match waiting.len() {
            0 => trying.next().await,
            _ => tokio::time::timeout(ATTEMPT_DELAY, trying.next()).await.unwrap_or(None),
        };
        match answer {
            Some(Ok(tcp)) => return Ok(tcp),
            Some(Err(e)) => failed = e,
            None => {}
        }
    }
}

/// Says what it was, what has run out included.
pub(super) fn unconnected(what: &dyn std::fmt::Display, error: io::Error) -> Failure {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    let (kind, why) = match (error.raw_os_error(), error.kind()) {
        (Some(EMFILE), _) => (ErrorKind::Exhausted, "this process has no file descriptor left"),
        (Some(ENFILE), _) => (ErrorKind::Exhausted, "this machine has no file descriptor left"),
        (_, io::ErrorKind::AddrNotAvailable) => {
            (ErrorKind::Exhausted, "this machine has no local port left")
        }
        (_, io::ErrorKind::ConnectionRefused) => (ErrorKind::Connect, "nothing listens there"),
        _ => (ErrorKind::Connect, "the connection failed"),
    };
    Failure::new(kind).message(format!("{what}: {why}")).source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_to_the_next() {
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [refusing, listening.local_addr().unwrap()];
        let tcp = first_to_answer(&addresses).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), addresses[1]);
        let error = first_to_answer(&addresses[..1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn what_has_run_out_is_said() {
        let origin = Origin::parse("http://h:1").unwrap();
        let of = |e| unconnected(&origin, e);
        assert_eq!(of(io::Error::from_raw_os_error(24)).kind, ErrorKind::Exhausted);
        assert!(of(io::Error::from_raw_os_error(24)).message.contains("descriptor"));
        let ports = of(io::Error::from(io::ErrorKind::AddrNotAvailable));
        assert!(ports.kind == ErrorKind::Exhausted && ports.message.contains("port"));
        assert_eq!(of(io::Error::from(io::ErrorKind::ConnectionRefused)).kind, ErrorKind::Connect);
    }
}
