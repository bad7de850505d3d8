// SPDX-License-Identifier: Apache-2.0
//! The address of a server of ours.

use super::value::Value;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where a server listens: an address, and a port or a range of ports of which the first that is free is taken.
///
/// ```
/// use storescope::config::Listen;
/// let port: Listen = "9464".parse().unwrap();
/// assert_eq!(port.to_string(), "127.0.0.1:9464");
/// let range: Listen = "[::1]:9464-9479".parse().unwrap();
/// assert_eq!(range.to_string(), "[::1]:9464-9479");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    host: IpAddr,
    first: u16,
    last: u16,
}

impl Listen {
    /// Whether any port will do.
    pub(crate) fn is_any(&self) -> bool {
        self.first == 0
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        (self.first..=self.last).map(|port| SocketAddr::new(self.host, port))
    }
}

impl From<u16> for Listen {
    /// That port of 127.0.0.1; 0 for any.
    fn from(port: u16) -> Listen {
        Listen { host: Ipv4Addr::LOCALHOST.into(), first: port, last: port }
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Listen {
        Listen { host: address.ip(), first: address.port(), last: address.port() }
    }
}

impl std::str::FromStr for Listen {
    type Err = String;

    /// `PORT`, `:PORT` or `ADDRESS:PORT`, each with a port or a range `FIRST-LAST`.
    fn from_str(text: &str) -> Result<Listen, String> {
        let expected = || {
            "expected a port (9464), a range (9464-9479) or an address with one (0.0.0.0:9464)"
                .to_owned()
        };
        let (host, ports) = text.rsplit_once(':').unwrap_or(("", text));
        let host = match host {
            "" | "localhost" => Ipv4Addr::LOCALHOST.into(),
            _ => match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(host) => IpAddr::V6(host.parse().map_err(|_| expected())?),
                None => IpAddr::V4(host.parse().map_err(|_| expected())?),
            },
        };
        let port = |text: &str| text.parse::<u16>().map_err(|_| expected());
        let (first, last) = match ports.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(ports)?, port(ports)?),
        };
        if first > last || (first == 0 && last > 0) {
            return Err(format!("{first}-{last} is no range of ports"));
        }
        Ok(Listen { host, first, last })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", SocketAddr::new(self.host, self.first))?;
        if self.first == self.last { Ok(()) } else { write!(f, "-{}", self.last) }
    }
}

impl Value for Option<Listen> {
    const KIND: &'static str = "port or address, such as `9464`";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_of_loopback() {
        for (text, shown) in [
            ("9464", "127.0.0.1:9464"),
            (":9464", "127.0.0.1:9464"),
            ("localhost:9464", "127.0.0.1:9464"),
            ("0.0.0.0:9464", "0.0.0.0:9464"),
            ("[::]:0", "[::]:0"),
            (":9464-9466", "127.0.0.1:9464-9466"),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), shown, "{text}");
        }
        let range: Listen = "9464-9466".parse().unwrap();
        assert_eq!(
            range.addresses().map(|address| address.port()).collect::<Vec<_>>(),
            [9464, 9465, 9466]
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "x",
            "70000",
            "example.org:80",
            "::1",
            "1.2.3:80",
            "9466-9464",
            "0-9",
            "[1.2.3.4]:1",
            "-1",
        ] {
            let refused = Option::<Listen>::parse(text);
            assert!(refused.is_err(), "{text}: {refused:?}");
        }
    }
}
