// SPDX-License-Identifier: Apache-2.0
//! Store URLs, and the one way object names are percent-encoded.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// `oci://bucket@namespace/key` or `s3://bucket/key`.
///
/// Everything after the first `/` behind the authority is the object's name, literally: nothing is decoded, and `?`
/// and `#` belong to it. `oci://@namespace` and `s3://` name the service, whose buckets can be listed. Without
/// `@namespace` the namespace is asked of the service once.
///
/// ```
/// use storescope::StoreUrl;
/// let url: StoreUrl = "oci://lake@ns/a b/100%?.root".parse()?;
/// assert_eq!((url.bucket(), url.namespace(), url.key()), (Some("lake"), Some("ns"), "a b/100%?.root"));
/// assert_eq!(url.to_string(), "oci://lake@ns/a b/100%?.root");
/// # Ok::<(), storescope::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreUrl {
    scheme: Scheme,
    bucket: Option<String>,
    namespace: Option<String>,
    key: String,
}

/// Which protocol a store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// The native API of OCI Object Storage.
    Oci,
    /// S3.
    S3,
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
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no store URL: expected oci://bucket@namespace/key or s3://bucket/key"
            ))
        })?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "oci" => Scheme::Oci,
            "s3" => Scheme::S3,
            other => {
                return Err(Error::invalid(format!(
                    "{text:?}: the scheme {other:?} is not known; use oci:// or s3://"
                )));
            }
        };
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        let (bucket, namespace) = match authority.split_once('@') {
            Some((bucket, namespace)) => (bucket, Some(namespace)),
            None => (authority, None),
        };
        if scheme == Scheme::S3 && namespace.is_some() {
            return Err(Error::invalid(format!("{text:?}: an s3 URL has no @namespace")));
        }
        if namespace == Some("") {
            return Err(Error::invalid(format!("{text:?}: the namespace after @ is empty")));
        }
        if let Some(bad) = authority.chars().find(|c| !is_authority_char(*c)) {
            return Err(Error::invalid(format!(
                "{text:?}: {bad:?} cannot stand in the name of a bucket or namespace"
            )));
        }
        if bucket.is_empty() && !key.is_empty() {
            return Err(Error::invalid(format!("{text:?}: an object name without a bucket")));
        }
        Ok(StoreUrl {
            scheme,
            bucket: (!bucket.is_empty()).then(|| bucket.to_owned()),
            namespace: namespace.map(str::to_owned),
            key: key.to_owned(),
        })
    }
}

/// Bucket names are letters, digits, `-`, `_` and `.` (OCI and S3 alike); one `@` parts them from the namespace.
fn is_authority_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@')
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Oci => "oci://",
            Scheme::S3 => "s3://",
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
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(byte as char);
        } else {
            into.push('%');
            into.push(HEX[usize::from(byte >> 4)] as char);
            into.push(HEX[usize::from(byte & 15)] as char);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_literal() {
        for key in [
            "a b",
            "100%",
            "a+b",
            "..",
            "a/../b",
            "//lead",
            "x?y#z",
            "caf\u{e9}",
            "\u{1f980}",
            "a@b:c",
            "",
        ] {
            let text = format!("oci://b@ns/{key}");
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!((url.key(), url.to_string()), (key, text));
        }
    }

    #[test]
    fn services_and_missing_namespaces() {
        let service: StoreUrl = "oci://@ns".parse().unwrap();
        assert_eq!((service.bucket(), service.namespace()), (None, Some("ns")));
        let s3: StoreUrl = "s3://".parse().unwrap();
        assert_eq!(
            (s3.scheme(), s3.bucket(), s3.to_string().as_str()),
            (Scheme::S3, None, "s3://")
        );
        let asked: StoreUrl = "oci://bucket/key".parse().unwrap();
        assert_eq!((asked.bucket(), asked.namespace()), (Some("bucket"), None));
    }

    #[test]
    fn what_is_no_url_says_why() {
        for (text, why) in [
            ("bucket/key", "no store URL"),
            ("http://bucket/key", "scheme"),
            ("s3://b@ns/key", "no @namespace"),
            ("oci://b@/key", "namespace after @"),
            ("oci:///key", "without a bucket"),
            ("oci://b?x@ns/key", "cannot stand"),
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn encoding_is_that_of_the_python_sdk() {
        let mut out = String::new();
        encode_into(&mut out, "a/b c+%~&'()!*\u{fc}..");
        assert_eq!(out, "a%2Fb%20c%2B%25~%26%27%28%29%21%2A%C3%BC..");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_round_trips(text in "(oci|s3)://[a-z@._-]{0,8}/?\\PC{0,40}") {
            if let Ok(url) = text.parse::<StoreUrl>() {
                prop_assert_eq!(url.to_string().parse::<StoreUrl>().unwrap(), url);
            }
        }
    }
}
