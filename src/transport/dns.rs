// SPDX-License-Identifier: Apache-2.0
//! Names to addresses: kept for a while, forgotten after a failure, handed out in turn.

use super::failure::unconnected;
use crate::error::{ErrorKind, Failure};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Dns {
    ttl: Duration,
    kept: Mutex<HashMap<String, Cached>>,
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Cached {
    addresses: Vec<IpAddr>,
    until: Instant,
}

impl Dns {
    pub(super) fn new(ttl: Duration) -> Dns {
        Dns { ttl, kept: Mutex::default(), turn: AtomicUsize::new(0) }
    }

    /// The addresses of a host, never none: the families alternating (RFC 8305), and beginning one further each time,
    /// so that new connections spread over all of them.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, port)]);
        }
        let kept = self
            .kept()
            .get(host)
            .filter(|kept| Instant::now() < kept.until)
            .map(|kept| kept.addresses.clone());
        let addresses = match kept {
            Some(addresses) => addresses,
            None => self.ask(host).await?,
        };
        let turn = self.turn.fetch_add(1, Relaxed);
        Ok(in_turn(&addresses, turn)
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect())
    }

    /// Asks again next time: none of the addresses could be connected to.
    pub(super) fn forget(&self, host: &str) {
        self.kept().remove(host);
    }

    async fn ask(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        let unresolved = || {
            Failure::new(ErrorKind::Connect).message(format!("the name {host:?} does not resolve"))
        };
        let answer =
            tokio::net::lookup_host((host, 0)).await.map_err(|e| match e.raw_os_error() {
                Some(_) => unconnected(&host, e),
                None => unresolved().source(e),
            })?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in answer.map(|address| address.ip()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(unresolved());
        }
        let kept = Cached { addresses: addresses.clone(), until: Instant::now() + self.ttl };
        self.kept().insert(host.to_owned(), kept);
        Ok(addresses)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Cached>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each family rotated by `turn`, then one of each by turns, the family of the resolver's first answer first.
fn in_turn(addresses: &[IpAddr], turn: usize) -> Vec<IpAddr> {
    let first_is_v6 = addresses[0].is_ipv6();
    let rotated = |v6: bool| {
        let mut family: Vec<IpAddr> =
            addresses.iter().copied().filter(|a| a.is_ipv6() == v6).collect();
        if !family.is_empty() {
            let by = turn % family.len();
            family.rotate_left(by);
        }
        family
    };
    let (first, second) = (rotated(first_is_v6), rotated(!first_is_v6));
    let mut order = Vec::with_capacity(addresses.len());
    for index in 0..first.len().max(second.len()) {
        order.extend(first.get(index));
        order.extend(second.get(index));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_and_each_address_has_its_turn() {
        let parse =
            |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|t| t.parse().unwrap()).collect() };
        let addresses = parse(&["::1", "::2", "10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(
            in_turn(&addresses, 0),
            parse(&["::1", "10.0.0.1", "::2", "10.0.0.2", "10.0.0.3"])
        );
        assert_eq!(
            in_turn(&addresses, 1),
            parse(&["::2", "10.0.0.2", "::1", "10.0.0.3", "10.0.0.1"])
        );
    }

    #[tokio::test]
    async fn literals_are_not_asked_for_and_unknown_names_say_so() {
        let dns = Dns::new(Duration::from_secs(30));
        assert_eq!(dns.resolve("::1", 80).await.unwrap(), ["[::1]:80".parse().unwrap()]);
        let failure = dns.resolve("no-such-host.invalid", 80).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Connect);
        assert!(failure.message.contains("no-such-host.invalid"));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_kept_for_their_time_and_forgotten_on_demand() {
        let dns = Dns::new(Duration::from_secs(30));
        let marked = |until| Cached { addresses: vec!["192.0.2.1".parse().unwrap()], until };
        dns.kept().insert("localhost".to_owned(), marked(Instant::now() + Duration::from_secs(30)));
        assert_eq!(dns.resolve("localhost", 1).await.unwrap()[0].ip().to_string(), "192.0.2.1");
        dns.forget("localhost");
        assert!(dns.resolve("localhost", 1).await.unwrap()[0].ip().is_loopback());
        dns.kept().insert("localhost".to_owned(), marked(Instant::now()));
        assert!(dns.resolve("localhost", 1).await.unwrap()[0].ip().is_loopback());
    }
}
