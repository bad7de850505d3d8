// SPDX-License-Identifier: Apache-2.0
//! TCP connections by name: all addresses are tried, the first that answers wins.

use super::dns::Dns;
use crate::error::Failure;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// The next address is tried when the one before has not answered for so long (RFC 8305).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Probes of an idle connection begin after so long.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Names to connections, as yet without a protocol.
#[derive(Debug)]
pub(super) struct Dialer(Dns);

impl Dialer {
    pub(super) fn new(dns_ttl: Duration) -> Dialer {
        Dialer(Dns::new(dns_ttl))
    }

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

    /// Asks for the name again next time.
    pub(super) fn forget(&self, host: &str) {
        self.0.forget(host);
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
}
