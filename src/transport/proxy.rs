// SPDX-License-Identifier: Apache-2.0
//! Ways through a proxy: HTTP CONNECT and SOCKS5, by hyper-util. Everything is tunnelled, plain HTTP too, so that
//! what is signed is what the store gets.

use super::Origin;
use super::connect::{Dialer, unconnected};
use crate::config::Config;
use crate::error::{Boxed, ErrorKind, Failure};
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

/// Never proxied, whatever is set: this machine, and the metadata service of a cloud's instance.
const NEVER: [&str; 4] = ["127.0.0.1", "::1", "localhost", "169.254.169.254"];

/// Which requests go through which proxy.
pub(super) struct Proxies(Option<Matcher>);

impl Proxies {
    pub(super) fn new(config: &Config) -> Proxies {
        let reveal = |secret: &Option<crate::config::Secret>| {
            secret.as_ref().map(|secret| secret.reveal().to_owned()).unwrap_or_default()
        };
        let (http, https) = (reveal(&config.http_proxy), reveal(&config.https_proxy));
        if http.is_empty() && https.is_empty() {
            return Proxies(None);
        }
        let no = config.no_proxy.clone().unwrap_or_default();
        Proxies(Some(Matcher::builder().http(http).https(https).no(no).build()))
    }

    /// The proxy that leads to a server, if one does.
    pub(super) fn of(&self, origin: &Origin) -> Option<Intercept> {
        let matcher = self.0.as_ref()?;
        if NEVER.contains(&origin.host.as_str()) {
            return None;
        }
        matcher.intercept(&origin.uri()?)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is inside may hold a password.
        f.debug_tuple("Proxies").field(&self.0.is_some()).finish()
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

fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
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
            let told = |failure: Failure| io::Error::other(crate::Error::from(failure));
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
    use crate::config::Secret;

    fn leads(config: Config, to: &str) -> bool {
        Proxies::new(&config).of(&Origin::parse(to).unwrap()).is_some()
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
    fn no_password_is_shown() {
        let config = Config::default().http_proxy(Secret::from("http://u:pa55@proxy:3128"));
        let shown = format!("{:?} {config:?}", Proxies::new(&config));
        assert!(!shown.contains("pa55"), "{shown}");
    }
}
