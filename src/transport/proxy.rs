// SPDX-License-Identifier: Apache-2.0
//! Ways through a proxy: HTTP CONNECT and SOCKS5, by hyper-util. Everything is tunnelled, plain HTTP too, so that
//! what is signed is what the store gets.

use super::Origin;
use super::dial::Dialer;
use super::failure::unconnected;
use crate::config::{Config, Secret};
use crate::error::{Boxed, ErrorKind, Failure, causes};
use hyper::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower_service::Service;
use zeroize::Zeroizing;

/// Never proxied, whatever is set: this machine, and the metadata service of a cloud's instance.
const NEVER: [&str; 4] = ["127.0.0.1", "::1", "localhost", "169.254.169.254"];

/// Which requests go through which proxy.
pub(super) struct Proxies {
    /// For http and https; each is told by its setting where it is no URL of a proxy.
    http: Way,
    https: Way,
    no: NoProxy,
}

/// The proxy of one scheme.
enum Way {
    Direct,
    Through(Intercept),
    /// The setting of this name holds no URL of a proxy. Nothing is sent past a proxy that was meant.
    Malformed(&'static str),
}

/// Hosts that are asked directly.
struct NoProxy {
    any_port: Matcher,
    /// Entries with a port.
    one_port: Vec<(Matcher, u16)>,
}

impl Way {
    fn new(setting: &'static str, url: Option<&Secret>) -> Way {
        let Some(url) = url.map(Secret::reveal).map(str::trim).filter(|url| !url.is_empty()) else {
            return Way::Direct;
        };
        // hyper-util reads URLs of proxies by their lower-case schemes.
        let url = match url.split_once("://") {
            Some((scheme, rest)) => {
                Zeroizing::new(format!("{}://{rest}", scheme.to_ascii_lowercase()))
            }
            None => Zeroizing::new(url.to_owned()),
        };
        let matcher = Matcher::builder().http(url.as_str()).build();
        match matcher.intercept(&Uri::from_static("http://host/")) {
            Some(proxy) => Way::Through(proxy),
            None => Way::Malformed(setting),
        }
    }
}

impl NoProxy {
    /// Entries stand between commas or spaces: a host and the names below it (`store.example`, `.store.example`,
    /// `*.store.example`), an address or a network, `*`; each with `:port` where it is for that port alone.
    fn new(entries: &str) -> NoProxy {
        let (mut any_port, mut one_port) = (String::new(), Vec::new());
        for entry in entries.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty()) {
            let (host, port) = match entry.rsplit_once(':').map(|(host, port)| (host, port.parse()))
            {
                // The colons of an IPv6 literal without brackets are none of a port.
                Some((host, Ok(port))) if !host.contains(':') || host.ends_with(']') => {
                    (host, Some(port))
                }
                _ => (entry, None),
            };
            let host =
                host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let host = if host.starts_with("*.") { &host[1..] } else { host };
            match port {
                Some(port) => one_port.push((NoProxy::matcher(host), port)),
                None => any_port.extend([host, ","]),
            }
        }
        NoProxy { any_port: NoProxy::matcher(&any_port), one_port }
    }

    /// Intercepts what is not among the hosts.
    fn matcher(hosts: &str) -> Matcher {
        Matcher::builder().all("http://proxy").no(hosts).build()
    }

    fn holds(&self, server: &Uri, port: u16) -> bool {
        let is_among = |matcher: &Matcher| matcher.intercept(server).is_none();
        is_among(&self.any_port)
            || self.one_port.iter().any(|(matcher, only)| *only == port && is_among(matcher))
    }
}

impl Proxies {
    pub(super) fn new(config: &Config) -> Proxies {
        Proxies {
            http: Way::new("http_proxy", config.http_proxy.as_ref()),
            https: Way::new("https_proxy", config.https_proxy.as_ref()),
            no: NoProxy::new(config.no_proxy.as_deref().unwrap_or_default()),
        }
    }

    /// The proxy that leads to a server, if one does.
    pub(super) fn of(&self, origin: &Origin) -> Result<Option<Intercept>, Failure> {
        let way = if origin.https { &self.https } else { &self.http };
        if matches!(way, Way::Direct) || NEVER.contains(&origin.host.as_str()) {
            return Ok(None);
        }
        if origin.uri().is_none_or(|server| self.no.holds(&server, origin.port)) {
            return Ok(None);
        }
        match way {
            Way::Direct => Ok(None),
            Way::Through(proxy) => Ok(Some(proxy.clone())),
            Way::Malformed(setting) => Err(Failure::new(ErrorKind::Config)
                .message(format!("{setting} is no URL of a proxy"))
                .hint("use http://host:port or socks5://host:port")),
        }
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is inside may hold a password.
        f.write_str("Proxies")
    }
}

/// A connection to `origin` through a proxy.
pub(super) async fn tunnel(
    proxy: &Intercept,
    origin: &Origin,
    dialer: &Arc<Dialer>,
) -> Result<TcpStream, Failure> {
    let at = proxy.uri();
    let shown = format!(
        "{}://{}",
        at.scheme_str().unwrap_or("http"),
        at.authority().map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or(""))
    );
    let to = origin.uri().ok_or_else(|| {
        Failure::new(ErrorKind::Config).message(format!("{origin} cannot be asked for by a proxy"))
    })?;
    let dial = Dial(Arc::clone(dialer));
    let through = match at.scheme_str() {
        Some("http") | None => {
            let mut tunnel = Tunnel::new(at.clone(), dial);
            if let Some(credentials) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(credentials.clone());
            }
            tunnel.call(to).await.map_err(|e| Boxed(e.into()))
        }
        Some("socks5" | "socks5h") => {
            let mut socks = SocksV5::new(at.clone(), dial);
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            socks.call(to).await.map_err(|e| Boxed(e.into()))
        }
        Some(scheme) => {
            return Err(Failure::new(ErrorKind::Config)
                .message(format!("a proxy of kind {scheme:?} is not known"))
                .hint("use http://host:port or socks5://host:port"));
        }
    };
    through.map(TokioIo::into_inner).map_err(|e| {
        Failure::new(ErrorKind::Connect)
            .message(format!("the proxy {shown} gave no way to {origin}: {}", causes(&e)))
            .hint("check http_proxy, https_proxy and no_proxy, and the proxy's user and password")
            .source(e)
    })
}

/// Connects to the proxy itself.
#[derive(Clone)]
struct Dial(Arc<Dialer>);

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let dialer = Arc::clone(&self.0);
        Box::pin(async move {
            let host = to.host().unwrap_or_default();
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let port = to.port_u16().unwrap_or(match to.scheme_str() {
                Some("socks5" | "socks5h") => 1080,
                _ => 80,
            });
            let told = |failure: Failure| io::Error::other(crate::error::Error::from(failure));
            let addresses = dialer.addresses(host, port).await.map_err(told)?;
            let tcp =
                dialer.dial(host, &addresses).await.map_err(|e| told(unconnected(&host, e)))?;
            Ok(TokioIo::new(tcp))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(config: Config, to: &str) -> bool {
        Proxies::new(&config).of(&Origin::parse(to).unwrap()).unwrap().is_some()
    }

    #[test]
    fn this_machine_and_metadata_are_never_proxied() {
        let config = || {
            Config::default()
                .http_proxy(Secret::from("http://proxy:3128"))
                .https_proxy(Secret::from("http://proxy:3128"))
                .no_proxy("inside.example,10.0.0.0/8".to_owned())
        };
        assert!(leads(config(), "http://store.example"));
        assert!(leads(config(), "https://store.example:8443"));
        for host in ["127.0.0.1:80", "[::1]:80", "localhost", "169.254.169.254"] {
            assert!(!leads(config(), &format!("http://{host}")), "{host}");
        }
        assert!(!leads(config(), "http://inside.example"));
        assert!(!leads(config(), "http://10.1.2.3"));
        assert!(!leads(Config::default(), "http://store.example"));
        let https = Config::default().https_proxy(Secret::from("http://proxy:3128"));
        assert!(leads(https.clone(), "https://store.example"));
        assert!(!leads(https, "http://store.example"));
    }

    #[test]
    fn forms_of_hosts_that_are_not_proxied() {
        let direct = |entries: &str, to: &str| {
            let config = Config::default().http_proxy(Secret::from("http://proxy:3128"));
            !leads(config.no_proxy(entries.to_owned()), &format!("http://{to}"))
        };
        for (entries, to) in [
            ("store.example", "store.example"),
            ("store.example", "a.b.store.example"),
            (".store.example", "a.store.example"),
            ("*.store.example", "a.store.example"),
            ("STORE.example", "store.EXAMPLE"),
            ("a.example b.example", "b.example:8080"),
            (" a.example , b.example ", "b.example"),
            ("store.example:8080", "store.example:8080"),
            ("store.example:80", "store.example"),
            ("*.store.example:8080", "a.store.example:8080"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("10.1.2.3:80", "10.1.2.3"),
            ("2001:db8::1", "[2001:db8::1]:80"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[2001:db8::1]:8080", "[2001:db8::1]:8080"),
            ("2001:db8::/32", "[2001:db8::7]"),
            ("*", "store.example"),
        ] {
            assert!(direct(entries, to), "{to} by {entries:?}");
        }
        for (entries, to) in [
            ("", "store.example"),
            (",, ,", "store.example"),
            ("store.example", "notstore.example"),
            ("store.example:8080", "store.example"),
            ("[2001:db8::1]:8080", "[2001:db8::1]"),
            ("10.0.0.0/8", "11.1.2.3"),
        ] {
            assert!(!direct(entries, to), "{to} by {entries:?}");
        }
    }

    #[test]
    fn a_proxy_that_is_none_is_refused_rather_than_passed_by() {
        let server = Origin::parse("http://store.example").unwrap();
        for bad in ["http://u:pa55@", "ftp://u:pa55@proxy", "http://u:pa55@pro xy:1", "://"] {
            let proxies = Proxies::new(&Config::default().http_proxy(Secret::from(bad)));
            let failure = proxies.of(&server).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Config, "{bad}");
            let shown = format!("{failure:?}");
            assert!(shown.contains("http_proxy") && !shown.contains("pa55"), "{shown}");
            let local = Origin::parse("http://127.0.0.1:1").unwrap();
            assert!(proxies.of(&local).unwrap().is_none());
        }
        for good in ["HTTP://proxy:3128", "proxy:3128", " socks5h://u:p@proxy "] {
            let proxies = Proxies::new(&Config::default().http_proxy(Secret::from(good)));
            assert!(proxies.of(&server).unwrap().is_some(), "{good}");
        }
    }

    #[test]
    fn lower_case_variables_go_before_upper_case_and_both_before_that_of_all() {
        let proxied = |given: &'static [(&str, &str)]| {
            let variable = move |name: &str| {
                given.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
            };
            let proxies = Proxies::new(&Config::from_variables(variable).unwrap());
            let to = |url: &str| {
                let proxy = proxies.of(&Origin::parse(url).unwrap()).unwrap();
                proxy.and_then(|proxy| proxy.uri().host().map(str::to_owned))
            };
            (to("http://store.example"), to("https://store.example"))
        };
        let some = |host: &str| Some(host.to_owned());
        assert_eq!(proxied(&[("HTTPS_PROXY", "http://up")]), (None, some("up")));
        assert_eq!(
            proxied(&[("HTTPS_PROXY", "http://up"), ("https_proxy", "http://low")]),
            (None, some("low"))
        );
        assert_eq!(
            proxied(&[("ALL_PROXY", "http://all"), ("HTTP_PROXY", "http://up")]),
            (some("up"), some("all"))
        );
        assert_eq!(
            proxied(&[("all_proxy", "http://all"), ("NO_PROXY", "*.example")]),
            (None, None)
        );
    }

    #[test]
    fn no_password_is_shown() {
        let config = Config::default().http_proxy(Secret::from("http://u:pa55@proxy:3128"));
        let shown = format!("{:?} {config:?}", Proxies::new(&config));
        assert!(!shown.contains("pa55"), "{shown}");
    }
}
