// SPDX-License-Identifier: Apache-2.0
//! Store URLs, and the one way object names are percent-encoded.

use crate::error::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use zeroize::Zeroizing;

/// What is encoded: every byte but `A-Z a-z 0-9 - . _ ~`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `oci://bucket@namespace/key`, `s3://bucket/key`, or the URL of a pre-authenticated request.
///
/// Everything after the first `/` behind the authority is the object's name, literally: nothing is decoded, and `?`
/// and `#` belong to it. `oci://@namespace` and `s3://` name the service, whose buckets can be listed. Without
/// `@namespace` the namespace is asked of the service once.
///
/// `https://host/p/TOKEN/n/NAMESPACE/b/BUCKET/o/KEY` is what OCI gives out as a pre-authenticated request: it needs no
/// signature, and it is percent-encoded, so here the key is decoded. The token is a secret, and is never shown.
/// `https://host/n/NAMESPACE/b/BUCKET/o/KEY` is an object at an endpoint, with whatever `auth` says.
///
/// ```
/// use storescope::StoreUrl;
/// let url: StoreUrl = "oci://lake@ns/a b/100%?.root".parse()?;
/// assert_eq!((url.bucket(), url.namespace(), url.key()), (Some("lake"), Some("ns"), "a b/100%?.root"));
/// assert_eq!(url.to_string(), "oci://lake@ns/a b/100%?.root");
/// # Ok::<(), storescope::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StoreUrl {
    scheme: Scheme,
    bucket: Option<String>,
    namespace: Option<String>,
    key: String,
    at: Option<At>,
}

/// The endpoint that a URL of the web names.
#[derive(Clone, PartialEq, Eq, Hash)]
struct At {
    origin: String,
    /// The token of a pre-authenticated request, as it stands in the URL.
    token: Option<Token>,
}

/// A token that is cleared from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
struct Token(Zeroizing<String>);

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

/// Which protocol a store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// The native API of OCI Object Storage.
    Oci,
    /// S3.
    S3,
    /// Files of this machine: `file:///folder/name`.
    File,
    /// A store that was handed over ([`Client::object_store`](crate::Client::object_store)); no URL says so.
    Wrapped,
}

impl StoreUrl {
    /// The protocol.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The bucket; `None` for the service itself.
    pub fn bucket(&self) -> Option<&str> {
        self.bucket.as_deref()
    }

    /// The OCI namespace, where the URL says it.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The object's name, or a prefix of names; empty for the bucket.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The bucket's own URL, without a name of an object; empty where there are no buckets.
    pub(crate) fn place(&self) -> String {
        let bucket = self.bucket.as_deref().unwrap_or_default();
        match (self.scheme, &self.namespace) {
            (Scheme::Oci, Some(namespace)) => format!("oci://{bucket}@{namespace}"),
            (Scheme::Oci, None) => format!("oci://{bucket}"),
            (Scheme::S3, _) => format!("s3://{bucket}"),
            (Scheme::File, _) => "file://".to_owned(),
            (Scheme::Wrapped, _) => String::new(),
        }
    }

    /// A URL of something that has no buckets.
    pub(crate) fn bare(scheme: Scheme, key: &str) -> StoreUrl {
        StoreUrl { scheme, bucket: None, namespace: None, key: key.to_owned(), at: None }
    }

    /// Whether it names a bucket, or something that has none.
    pub(crate) fn holds_objects(&self) -> bool {
        self.bucket.is_some() || matches!(self.scheme, Scheme::File | Scheme::Wrapped)
    }

    /// The endpoint, where the URL names one.
    pub(crate) fn origin(&self) -> Option<&str> {
        self.at.as_ref().map(|at| at.origin.as_str())
    }

    /// The token of a pre-authenticated request, percent-encoded. A secret.
    pub(crate) fn token(&self) -> Option<&str> {
        self.at.as_ref()?.token.as_ref().map(|Token(text)| text.as_str())
    }

    fn web(text: &str) -> Result<StoreUrl> {
        let shown = |why: &str| {
            Error::invalid(format!(
                "the URL {:?} {why}; expected https://host/p/TOKEN/n/NAMESPACE/b/BUCKET/o/KEY",
                redacted(text)
            ))
        };
        let after = text.find("://").map_or(0, |at| at + 3);
        let host = text[after..].find('/').ok_or_else(|| shown("has no path"))? + after;
        if host == after {
            return Err(shown("names no host"));
        }
        if text[after..host].contains('@') {
            return Err(shown("holds user information"));
        }
        // An endpoint may have a path of its own.
        let below = [text[host..].find("/p/"), text[host..].find("/n/")];
        let below = below.into_iter().flatten().min().ok_or_else(|| shown("names no namespace"))?;
        let (origin, mut rest) = text.split_at(host + below);
        let mut token = None;
        if let Some(behind) = rest.strip_prefix("/p/") {
            let end = behind.find('/').ok_or_else(|| shown("ends after its token"))?;
            token = Some(Token(Zeroizing::new(behind[..end].to_owned())));
            rest = &behind[end..];
        }
        let rest = rest.strip_prefix("/n/").ok_or_else(|| shown("names no namespace"))?;
        let (namespace, rest) = rest.split_once("/b/").ok_or_else(|| shown("names no bucket"))?;
        let (bucket, key) = rest.split_once("/o").unwrap_or((rest, ""));
        let key = match key.strip_prefix('/') {
            Some(key) => decoded(key).ok_or_else(|| shown("is not percent-encoded UTF-8"))?,
            None if key.is_empty() => String::new(),
            None => return Err(shown("names no object")),
        };
        let good = |name: &str| !name.is_empty() && name.chars().all(is_name_char);
        if !good(namespace) || !good(bucket) {
            return Err(shown("has no name of a namespace or bucket in its place"));
        }
        Ok(StoreUrl {
            scheme: Scheme::Oci,
            bucket: Some(bucket.to_owned()),
            namespace: Some(namespace.to_owned()),
            key,
            at: Some(At { origin: origin.to_owned(), token }),
        })
    }

    /// Whether a text that may be a path or a URL is meant as a URL: it begins with `scheme://`, or with a scheme that is
    /// known here and a colon. Such a text is parsed, and refused if it is malformed, rather than taken for a path.
    ///
    /// ```
    /// use storescope::StoreUrl;
    /// assert!(StoreUrl::is_meant("s3://bucket/key") && StoreUrl::is_meant("s3:/bucket/key"));
    /// assert!(!StoreUrl::is_meant("./s3:/bucket/key") && !StoreUrl::is_meant("a:b"));
    /// ```
    pub fn is_meant(text: &str) -> bool {
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        let is_scheme = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric());
        is_scheme || scheme_of(text).is_some()
    }

    /// A URL as messages show it, parsed or not: without user information, the token of a pre-authenticated request or
    /// the query of a web address.
    ///
    /// ```
    /// use storescope::StoreUrl;
    /// assert_eq!(StoreUrl::redacted("https://user:secret@host/x"), "https://\u{2026}@host/x");
    /// ```
    pub fn redacted(text: &str) -> String {
        redacted(text)
    }

    /// The same bucket with another name in it.
    #[must_use]
    pub fn with_key(&self, key: &str) -> StoreUrl {
        StoreUrl { key: key.to_owned(), ..self.clone() }
    }

    /// The same service and namespace with another bucket, and no key.
    #[must_use]
    pub fn with_bucket(&self, bucket: &str) -> StoreUrl {
        StoreUrl { bucket: Some(bucket.to_owned()), key: String::new(), ..self.clone() }
    }
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<StoreUrl> {
        let shown = redacted(text);
        let (scheme, rest) = text.split_once("://").ok_or_else(|| no_scheme(&shown))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "oci" => Scheme::Oci,
            "s3" => Scheme::S3,
            "http" | "https" => return StoreUrl::web(text),
            "file" => match rest.strip_prefix('/') {
                Some(path) => return Ok(StoreUrl::bare(Scheme::File, path)),
                None => {
                    return Err(Error::invalid(format!(
                        "{shown:?}: a file's URL has no host: file:///folder/name"
                    )));
                }
            },
            other => {
                return Err(Error::invalid(format!(
                    "{shown:?}: the scheme {other:?} is not known; use oci://, s3:// or file://"
                )));
            }
        };
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        let (bucket, namespace) = match authority.split_once('@') {
            Some((bucket, namespace)) => (bucket, Some(namespace)),
            None => (authority, None),
        };
        if namespace.is_some_and(|namespace| namespace.contains('@')) {
            return Err(Error::invalid(format!(
                "{shown:?} has more than one @: expected oci://bucket@namespace/key"
            )));
        }
        if scheme == Scheme::S3 && namespace.is_some() {
            return Err(Error::invalid(format!("{shown:?}: an s3 URL has no @namespace")));
        }
        if namespace == Some("") {
            return Err(Error::invalid(format!("{shown:?}: the namespace after @ is empty")));
        }
        if let Some(bad) = authority.chars().find(|c| !is_authority_char(*c)) {
            return Err(Error::invalid(format!(
                "{shown:?}: {bad:?} cannot stand in the name of a bucket or namespace"
            )));
        }
        if bucket.is_empty() && !key.is_empty() {
            return Err(Error::invalid(format!("{shown:?}: an object name without a bucket")));
        }
        Ok(StoreUrl {
            scheme,
            bucket: (!bucket.is_empty()).then(|| bucket.to_owned()),
            namespace: namespace.map(str::to_owned),
            key: key.to_owned(),
            at: None,
        })
    }
}

/// What to say of a text without `://`, by what may be shown of it.
fn no_scheme(shown: &str) -> Error {
    Error::invalid(match scheme_of(shown) {
        Some((scheme, rest)) => {
            let slashes = if scheme == "file" { ":///" } else { "://" };
            let meant = [scheme.as_str(), slashes, rest.trim_start_matches('/')].concat();
            format!("{shown:?} is no URL: write {meant:?}, or ./ in front of a file's name")
        }
        None => {
            format!(
                "{shown:?} is no store URL: expected oci://bucket@namespace/key or s3://bucket/key"
            )
        }
    })
}

/// A scheme that is known here, in lower case, and what follows its colon.
fn scheme_of(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    matches!(scheme.as_str(), "oci" | "s3" | "file" | "http" | "https").then_some((scheme, rest))
}

/// What stands in place of a secret.
const HIDDEN: &str = "\u{2026}";

/// See [`StoreUrl::redacted`].
pub(crate) fn redacted(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(at) => text.split_at(at + 3),
        None => match scheme_of(text) {
            Some((scheme, _)) => text.split_at(scheme.len() + 1),
            None => ("", text),
        },
    };
    let slashes = rest.len() - rest.trim_start_matches('/').len();
    let (slashes, rest) = rest.split_at(slashes);
    let is_a = |name: &str| {
        scheme.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case(name))
    };
    if is_a("file") {
        return text.to_owned();
    }
    let store = is_a("oci") || is_a("s3");
    let ends = if store { &['/'][..] } else { &['/', '?', '#'][..] };
    let (authority, path) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
    let mut shown = [scheme, slashes].concat();
    match authority.rsplit_once('@') {
        Some((user, host)) if !store || user.contains(':') => {
            shown.extend([HIDDEN, "@", host]);
        }
        // A colon belongs to no bucket, and to a port's digits: a password may hold what ends an authority.
        _ if (!scheme.is_empty() || text.contains('@')) && has_password(authority, store) => {
            return shown + HIDDEN;
        }
        _ => shown.push_str(authority),
    }
    if store || scheme.is_empty() {
        return shown + path;
    }
    let (path, query) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    // Without a host, the mark of a token stands where the host would.
    let is_hostless = !slashes.is_empty() && authority == "p" && path.starts_with('/');
    let token = if is_hostless { Some(1) } else { path.find("/p/").map(|at| at + 3) };
    match token.map(|at| path.split_at(at)) {
        Some((before, token)) => {
            let rest = token.find('/').map_or("", |end| &token[end..]);
            shown.extend([before, HIDDEN, rest]);
        }
        None => shown.push_str(path),
    }
    if !query.is_empty() {
        shown.extend([&query[..1], HIDDEN]);
    }
    shown
}

fn has_password(authority: &str, store: bool) -> bool {
    // The colons of an IPv6 literal stand in brackets, which it begins with.
    let literal = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let behind = literal.map_or(authority, |(_, behind)| behind);
    behind
        .split_once(':')
        .is_some_and(|(_, port)| store || !port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// One `@` parts the bucket from the namespace.
fn is_authority_char(c: char) -> bool {
    is_name_char(c) || c == '@'
}

/// Bucket names are letters, digits, `-`, `_` and `.` (OCI and S3 alike).
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Percent-decoded; `None` where a `%` has no two digits behind it, or the result is not UTF-8. A `+` is a plus sign.
pub(crate) fn decoded(text: &str) -> Option<String> {
    // The crate passes on what is not encoded right.
    let is_whole = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_whole) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(At { origin, token }) = &self.at {
            let token = if token.is_some() { "/p/\u{2026}" } else { "" };
            let (namespace, bucket) =
                (self.namespace().unwrap_or_default(), self.bucket().unwrap_or_default());
            return write!(f, "{origin}{token}/n/{namespace}/b/{bucket}/o/{}", self.key);
        }
        f.write_str(match self.scheme {
            Scheme::Oci => "oci://",
            Scheme::S3 => "s3://",
            Scheme::File => return write!(f, "file:///{}", self.key),
            Scheme::Wrapped => return write!(f, "object-store:///{}", self.key),
        })?;
        f.write_str(self.bucket().unwrap_or_default())?;
        if let Some(namespace) = self.namespace() {
            write!(f, "@{namespace}")?;
        }
        if self.bucket.is_some() { write!(f, "/{}", self.key) } else { Ok(()) }
    }
}

/// Appends `text` percent-encoded for a path segment or a query value: every byte but `A-Z a-z 0-9 - . _ ~`, with
/// upper-case digits, `/` included. What Oracle's Python SDK sends since 2.169, and unambiguous everywhere.
pub(crate) fn encode_into(into: &mut String, text: &str) {
    into.extend(utf8_percent_encode(text, ENCODED));
}

/// The same with `/` kept, as S3 has it in paths.
#[cfg(feature = "s3")]
pub(crate) fn encode_path_into(into: &mut String, text: &str) {
    const IN_PATHS: &AsciiSet = &ENCODED.remove(b'/');
    into.extend(utf8_percent_encode(text, IN_PATHS));
}

#[cfg(test)]
mod tests;
