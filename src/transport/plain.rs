// SPDX-License-Identifier: Apache-2.0
//! Requests without TLS. Anybody on their way can read them, change the answer, and send a signed one again while its
//! signature is good. So they go to this machine and to private networks alone, unless the setting `plain_http` permits
//! others.

use super::Origin;
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

/// Ends of names that no public server has (RFC 2606, 6761, 6762, 8375; `internal` is reserved by ICANN).
const PRIVATE_NAMES: [&str; 6] = ["localhost", "local", "internal", "home.arpa", "test", "invalid"];

/// Whether servers may be asked without TLS.
#[derive(Debug)]
pub(super) struct PlainHttp {
    permitted: bool,
    /// Servers that were warned of.
    warned: Mutex<HashSet<String>>,
}

impl PlainHttp {
    pub(super) fn new(config: &Config) -> PlainHttp {
        PlainHttp { permitted: config.plain_http, warned: Mutex::default() }
    }

    /// Refuses a server of http one of whose addresses is public. Asked before any of them is connected to.
    pub(super) fn check(&self, origin: &Origin, addresses: &[SocketAddr]) -> Result<(), Failure> {
        if origin.https || !addresses.iter().any(|address| is_public(address.ip())) {
            return Ok(());
        }
        self.judge(origin)
    }

    /// Likewise, where a proxy resolves the name.
    pub(super) fn check_proxied(&self, origin: &Origin) -> Result<(), Failure> {
        let is_private = match origin.host.parse::<IpAddr>() {
            Ok(address) => !is_public(address),
            Err(_) => is_private_name(&origin.host),
        };
        if origin.https || is_private { Ok(()) } else { self.judge(origin) }
    }

    fn judge(&self, origin: &Origin) -> Result<(), Failure> {
        if !self.permitted {
            return Err(Failure::new(ErrorKind::Config)
                .message(format!("{origin} has a public address, and http is not encrypted"))
                .hint("use https, or permit it by plain_http"));
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(origin.to_string()) {
            tracing::warn!(
                "requests to {origin} are not encrypted (plain_http): others can read and change them"
            );
        }
        Ok(())
    }
}

/// Whether an address is none of this machine or of a private network (RFC 1918, 3927, 4193, 4291, 6598).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && b & 0b1100_0000 == 64;
            !(ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || is_shared)
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local())
        }
    }
}

fn is_private_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let ends = |end: &str| {
        name.strip_suffix(end).is_some_and(|head| head.is_empty() || head.ends_with('.'))
    };
    !name.contains('.') || PRIVATE_NAMES.into_iter().any(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_of_private_networks() {
        for private in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "::1",
            "::",
            "fd00:c1::a9fe:a9fe",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "172.15.0.1",
            "192.169.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "11.0.0.1",
            "203.0.113.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn names_behind_a_proxy() {
        let plain = PlainHttp::new(&Config::default());
        let of = |url: &str| plain.check_proxied(&Origin::parse(url).unwrap());
        for private in [
            "http://minio:9000",
            "http://store.test",
            "http://localhost",
            "http://a.b.Internal",
            "http://10.0.0.1",
            "http://[::1]:80",
            "https://store.example",
        ] {
            of(private).unwrap();
        }
        for public in
            ["http://store.example", "http://1.1.1.1", "http://a.nottest", "http://[2606::1]"]
        {
            let refused = of(public).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Config, "{public}");
            assert!(refused.hint.as_deref().unwrap().contains("plain_http"), "{public}");
        }
    }

    #[test]
    fn one_public_address_of_several_is_enough() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 80);
        let origin = Origin::parse("http://store.example").unwrap();
        let refusing = PlainHttp::new(&Config::default());
        refusing.check(&origin, &[at("10.0.0.1"), at("::1")]).unwrap();
        refusing.check(&origin, &[at("10.0.0.1"), at("203.0.113.1")]).unwrap_err();
        let tls = Origin::parse("https://store.example").unwrap();
        refusing.check(&tls, &[at("203.0.113.1")]).unwrap();
        let permitting = PlainHttp::new(&Config::default().plain_http(true));
        permitting.check(&origin, &[at("203.0.113.1")]).unwrap();
    }
}
