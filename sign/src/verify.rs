// SPDX-License-Identifier: Apache-2.0
//! The server's side: is this request what the holder of the key signed, and did they sign
//! enough of it? The rules are those of the service (spec: OCI signature version 1); the caller
//! says which operation it is, finds the key and tells the time.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::request::{BODY_SHA256, TARGET};
use crate::{Authorization, MissingHeader, PublicKey, Request, Rule, signing_string};

/// How far a request's date may be from the server's clock.
pub const MAX_SKEW: Duration = Duration::from_secs(5 * 60);

/// Verifies a request against its `authorization` header.
///
/// `key` finds the public key of a `keyId`. `body_sha256` is the hash of the body that came;
/// `None` leaves the body unchecked, for a caller that has not read it yet: it must then call
/// [`Authorization::check_body`] itself. `now` is the clock for the skew check; `None` leaves it
/// out.
///
/// # Errors
/// The first [`Refusal`] found, in this order: header, key, what must be signed, signature, body,
/// date. A body or a date is judged only when the signature over it is good.
pub fn verify(
    request: &Request<'_>,
    rule: Rule,
    body_sha256: Option<&[u8; 32]>,
    key: impl FnOnce(&str) -> Option<PublicKey>,
    now: Option<SystemTime>,
) -> Result<Authorization, Refusal> {
    let authorization =
        Authorization::parse((request.header)("authorization").ok_or(Refusal::NotSigned)?)?;
    let key = key(authorization.key_id()).ok_or(Refusal::UnknownKey)?;
    check_coverage(request, rule, &authorization)?;
    let text = signing_string(request, authorization.signed_headers())?;
    if !key.verify(text.as_bytes(), authorization.signature()) {
        return Err(Refusal::BadSignature);
    }
    if let Some(sha256) = body_sha256 {
        authorization.check_body(request, sha256)?;
    }
    if let Some(now) = now {
        check_date(request, now)?;
    }
    Ok(authorization)
}

/// Why a request is not taken. All of them are 401 `NotAuthenticated` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No `Authorization` header, or one of another scheme.
    #[error("the request carries no signature")]
    NotSigned,
    /// The `Authorization` header cannot be read.
    #[error("malformed Authorization header: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// `version` is there and is not "1".
    #[error("the signature's version is not 1")]
    Version,
    /// `algorithm` is not rsa-sha256.
    #[error("the signature's algorithm is not rsa-sha256")]
    Algorithm,
    /// The key is not known (or its token is not accepted).
    #[error("the key is not known")]
    UnknownKey,
    /// A header that every request must sign is not in the list.
    #[error("`{header}` is not signed")]
    Unsigned {
        /// `(request-target)`, `host`, or the date header that counts.
        header: &'static str,
    },
    /// The operation has a body that must be signed, and `content-length`, `content-type` or
    /// `x-content-sha256` is not in the list.
    #[error("the headers of the body are not signed")]
    BodyHeadersUnsigned,
    /// A header is listed as signed but is not in the request.
    #[error(transparent)]
    MissingHeader(#[from] MissingHeader),
    /// The signature is not this key's over this request.
    #[error("the signature does not match the request")]
    BadSignature,
    /// `x-content-sha256` is signed but is not the hash of the body.
    #[error("x-content-sha256 is not the hash of the body")]
    BodyHash,
    /// The date that counts is not an HTTP date.
    #[error("the request's date cannot be read")]
    BadDate,
    /// The date is more than [`MAX_SKEW`] from the server's clock.
    #[error("the request's date is more than 5 minutes from the server's clock")]
    Skew {
        /// The request's date.
        sent: SystemTime,
        /// The server's clock.
        now: SystemTime,
    },
}

impl Authorization {
    /// Compares a body's hash with `x-content-sha256`, if that header is signed.
    ///
    /// # Errors
    /// [`Refusal::BodyHash`].
    pub fn check_body(&self, request: &Request<'_>, sha256: &[u8; 32]) -> Result<(), Refusal> {
        if !self.signs(BODY_SHA256) {
            return Ok(());
        }
        match (request.header)(BODY_SHA256) {
            Some(sent) if sent == STANDARD.encode(sha256) => Ok(()),
            _ => Err(Refusal::BodyHash),
        }
    }
}

/// What the operation's rule asks to be signed, whatever the client listed.
fn check_coverage(
    request: &Request<'_>,
    rule: Rule,
    authorization: &Authorization,
) -> Result<(), Refusal> {
    let host = (rule != Rule::Federation).then_some("host");
    for header in [TARGET, date_header(request)].into_iter().chain(host) {
        if !authorization.signs(header) {
            return Err(Refusal::Unsigned { header });
        }
    }
    let body = ["content-length", "content-type", BODY_SHA256];
    if rule.covers_body() && !body.into_iter().all(|header| authorization.signs(header)) {
        return Err(Refusal::BodyHeadersUnsigned);
    }
    Ok(())
}

/// The date that counts: `x-date` where it is sent (a browser cannot set `date`).
fn date_header(request: &Request<'_>) -> &'static str {
    if (request.header)("x-date").is_some() { "x-date" } else { "date" }
}

fn check_date(request: &Request<'_>, now: SystemTime) -> Result<(), Refusal> {
    let sent = (request.header)(date_header(request))
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .ok_or(Refusal::BadDate)?;
    let skew = now.duration_since(sent).unwrap_or_else(|ahead| ahead.duration());
    if skew > MAX_SKEW { Err(Refusal::Skew { sent, now }) } else { Ok(()) }
}
