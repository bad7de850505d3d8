// SPDX-License-Identifier: Apache-2.0
//! Where requests go: a server, and the path below which a service lies there. The one place where the two are joined.

use crate::error::{Error, Result};
use crate::url::redacted;

/// Scheme, host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(super) https: bool,
    /// Without brackets, where it is an IPv6 literal.
    pub(super) host: String,
    pub(super) port: u16,
    /// The Host header: brackets where they are due, the port when the URL has one.
    authority: String,
}

/// The URL of a service: a server, and the path that all targets of the service lie below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    origin: Origin,
    /// Empty, or begins with a slash and ends without one.
    path: String,
}

impl Origin {
    /// Parses `http[s]://host[:port]`; a path is refused.
    #[cfg_attr(
        not(any(test, feature = "s3")),
        expect(dead_code, reason = "asked by the s3 backend")
    )]
    pub(crate) fn parse(url: &str) -> Result<Origin> {
        let BaseUrl { origin, path } = BaseUrl::parse(url)?;
        if path.is_empty() { Ok(origin) } else { Err(refused(url, "has a path")) }
    }

    /// As a URL, with its port.
    pub(super) fn uri(&self) -> Option<hyper::Uri> {
        let scheme = if self.https { "https" } else { "http" };
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}/", self.port).parse().ok()
    }

    /// The Host header: as the URL has it, so with the port when there is one.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}

impl BaseUrl {
    /// Parses `http[s]://host[:port][/path]`. Slashes at the end of the path mean nothing. User information, a query and
    /// a fragment are refused, since no request could carry them.
    pub(crate) fn parse(url: &str) -> Result<BaseUrl> {
        let refused = |why: &str| refused(url, why);
        let uri: hyper::Uri = url.parse().map_err(|_| refused("is no URL"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refused("is neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| refused("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("holds user information"));
        }
        if uri.query().is_some() {
            return Err(refused("has a query"));
        }
        // `Uri` drops a fragment without a word.
        if url.contains('#') {
            return Err(refused("has a fragment"));
        }
        let path = uri.path().trim_end_matches('/');
        if !path.bytes().all(is_path_byte) {
            return Err(refused("has a character in its path that must be percent-encoded"));
        }
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(refused("has . or .. in its path"));
        }
        Ok(BaseUrl {
            origin: Origin {
                https,
                host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
                port: match authority.port_u16() {
                    Some(port) => port,
                    None if authority.as_str() == authority.host() => {
                        if https {
                            443
                        } else {
                            80
                        }
                    }
                    None => return Err(refused("has no port that there is")),
                },
                authority: authority.as_str().to_owned(),
            },
            path: path.to_owned(),
        })
    }

    /// The server.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What stands before a target of the service in a request: empty, or `/path`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// As a URL that ends with a slash: what is appended to it as it is lies below it.
    #[cfg_attr(
        not(any(test, feature = "s3")),
        expect(dead_code, reason = "asked by the s3 backend")
    )]
    pub(crate) fn folder(&self) -> String {
        format!("{}{}/", self.origin, self.path)
    }
}

/// What may stand in a path (RFC 3986), percent-encoded bytes included.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&byte)
}

fn refused(url: &str, why: &str) -> Error {
    Error::config(format!(
        "the endpoint {:?} {why}; expected https://host, http://host:port or https://host/path",
        redacted(url)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn origins() {
        let parse = |url| Origin::parse(url).unwrap();
        let v6 = parse("http://[::1]:8080");
        assert_eq!((v6.host.as_str(), v6.port, v6.authority()), ("::1", 8080, "[::1]:8080"));
        let named = parse("https://objectstorage.us-ashburn-1.oraclecloud.com/");
        assert_eq!((named.port, named.https), (443, true));
        assert_eq!(parse("http://h:80").authority(), "h:80");
        for bad in [
            "h:80",
            "ftp://h",
            "http://u:p@h",
            "http://h/path",
            "http://h?q",
            "http://h#f",
            "http://h:99999",
        ] {
            assert_eq!(Origin::parse(bad).unwrap_err().kind(), ErrorKind::Config, "{bad}");
        }
    }

    #[test]
    fn a_path_is_kept_and_its_last_slashes_are_not() {
        for (url, path, folder) in [
            ("https://h", "", "https://h/"),
            ("https://h//", "", "https://h/"),
            ("https://h:1/storage/v1/s3", "/storage/v1/s3", "https://h:1/storage/v1/s3/"),
            ("https://h/storage/v1/s3///", "/storage/v1/s3", "https://h/storage/v1/s3/"),
            ("http://[::1]/a//b%2Fc/", "/a//b%2Fc", "http://[::1]/a//b%2Fc/"),
        ] {
            let base = BaseUrl::parse(url).unwrap();
            assert_eq!((base.path(), base.folder().as_str()), (path, folder), "{url}");
        }
    }

    #[test]
    fn what_no_request_could_carry_is_refused_and_no_password_is_shown() {
        for (url, why) in [
            ("https://user:pa55@h/v1", "user information"),
            ("https://h/v1?token=pa55", "query"),
            ("https://h/v1#pa55", "fragment"),
            ("https://user:pa55/word@h/v1", "no port"),
            ("https://h/a/../b", ".."),
            ("https://h/a/./b", ".."),
            ("https://h/a|b", "percent-encoded"),
            ("https:///v1", "no URL"),
        ] {
            let error = BaseUrl::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(why) && !shown.contains("pa55"), "{url}: {shown}");
        }
    }
}
