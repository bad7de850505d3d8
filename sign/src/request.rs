// SPDX-License-Identifier: Apache-2.0
//! What is signed: the request's parts, which of them an operation asks for, and the text made
//! of them. Shared by signer and verifier; names nothing of keys.

use std::fmt::{self, Write as _};

/// A request as it stands on the wire.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method, in any case; it is signed in lower case.
    pub method: &'a str,
    /// Path and query, byte for byte as on the request line.
    pub target: &'a str,
    /// The value of a header by its lower-case name, without surrounding white space.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
}

/// Which headers an operation's signature must cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// GET, HEAD and DELETE.
    Generic,
    /// POST, PUT and PATCH with a JSON or an empty body: the body is hashed and signed.
    Body,
    /// PutObject and UploadPart: signed like [`Rule::Generic`]; body headers are verified if a
    /// client signs them all the same.
    BodyExcluded,
    /// The X.509 federation call: body headers, and no `host`.
    Federation,
}

impl Rule {
    /// The headers Oracle's Python, Go and Java SDKs sign, in their order.
    #[must_use]
    pub fn signed_headers(self) -> &'static [&'static str] {
        match self {
            Self::Generic | Self::BodyExcluded => &["date", TARGET, "host"],
            Self::Body => &["date", TARGET, "host", "content-length", "content-type", BODY_SHA256],
            Self::Federation => &["date", TARGET, "content-length", "content-type", BODY_SHA256],
        }
    }

    /// The same where a request is made on behalf of another, by a delegation token: `opc-obo-token` stands before the
    /// body's headers, as the Python and Go SDKs sign it.
    #[must_use]
    pub fn delegated_headers(self) -> &'static [&'static str] {
        match self {
            Self::Generic | Self::BodyExcluded => &["date", TARGET, "host", DELEGATION],
            Self::Body => {
                &["date", TARGET, "host", DELEGATION, "content-length", "content-type", BODY_SHA256]
            }
            // Nobody is asked on another's behalf who one is.
            Self::Federation => self.signed_headers(),
        }
    }

    /// Whether the body's hash must be signed.
    pub(crate) fn covers_body(self) -> bool {
        matches!(self, Self::Body | Self::Federation)
    }
}

/// The pseudo-header that stands for method and target.
pub(crate) const TARGET: &str = "(request-target)";

/// The header that holds a delegation token.
const DELEGATION: &str = "opc-obo-token";

/// The header that holds base64 of the body's SHA-256.
pub(crate) const BODY_SHA256: &str = "x-content-sha256";

/// The text whose signature is sent: one `name: value` line for each of `signed_headers`, joined
/// by a line feed, none at the end. Names are lower-cased here, whatever their case in the list.
///
/// # Errors
/// [`MissingHeader`] if the request has no header of a listed name.
pub fn signing_string(
    request: &Request<'_>,
    signed_headers: &[impl AsRef<str>],
) -> Result<String, MissingHeader> {
    let mut text = String::with_capacity(256 + request.target.len());
    for name in signed_headers {
        let name = name.as_ref().to_ascii_lowercase();
        if !text.is_empty() {
            text.push('\n');
        }
        if name == TARGET {
            let method = request.method.to_ascii_lowercase();
            write!(text, "{TARGET}: {method} {}", request.target).expect("a String takes all");
        } else {
            let value =
                (request.header)(&name).ok_or_else(|| MissingHeader { name: name.clone() })?;
            write!(text, "{name}: {value}").expect("a String takes all");
        }
    }
    Ok(text)
}

/// A header is listed as signed but is not in the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header `{name}` is listed as signed but is not in the request")]
pub struct MissingHeader {
    /// The header's name, lower-case.
    pub name: String,
}

/// SHA-256 of a body, as `x-content-sha256` holds it in base64.
#[must_use]
pub fn sha256(body: &[u8]) -> [u8; 32] {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body)
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 bytes")
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
