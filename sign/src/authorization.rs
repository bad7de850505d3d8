// SPDX-License-Identifier: Apache-2.0
//! The `Authorization` header's value: written as Oracle's Python SDK writes it, read as any SDK
//! writes it. Knows the grammar only; what must be signed is for [`verify`](crate::verify).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Refusal;

/// The value of the `Authorization` header, in the Python SDK's order of parameters.
///
/// `signed_headers` must be the list that the signed text was made from, in its order.
#[must_use]
pub fn authorization(key_id: &str, signed_headers: &[&str], signature: &[u8]) -> String {
    format!(
        r#"Signature algorithm="rsa-sha256",headers="{}",keyId="{key_id}",signature="{}",version="1""#,
        signed_headers.join(" "),
        STANDARD.encode(signature),
    )
}

/// The parsed value of an `Authorization` header of scheme `Signature`.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    key_id: String,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
}

impl Authorization {
    /// Reads a header's value. Parameters are found by name, in any order; an absent `version`
    /// means "1". Parameters that are not known are passed over; one given twice is refused.
    ///
    /// # Errors
    /// [`Refusal::NotSigned`] for another scheme, [`Refusal::Algorithm`], [`Refusal::Version`],
    /// else [`Refusal::Malformed`].
    pub fn parse(value: &str) -> Result<Self, Refusal> {
        let Parameters { algorithm, headers, key_id, signature, version } =
            Parameters::parse(after_scheme(value).ok_or(Refusal::NotSigned)?)?;
        if version.is_some_and(|version| version != "1") {
            return Err(Refusal::Version);
        }
        let algorithm = algorithm.ok_or(Refusal::Malformed { what: "no algorithm" })?;
        if !algorithm.eq_ignore_ascii_case("rsa-sha256") {
            return Err(Refusal::Algorithm);
        }
        let headers = headers.ok_or(Refusal::Malformed { what: "no headers" })?;
        let key_id = key_id.filter(|id| !id.is_empty());
        let signature = signature.ok_or(Refusal::Malformed { what: "no signature" })?;
        Ok(Self {
            key_id: key_id.ok_or(Refusal::Malformed { what: "no keyId" })?.to_owned(),
            signed_headers: headers.split_ascii_whitespace().map(str::to_owned).collect(),
            signature: STANDARD
                .decode(signature)
                .map_err(|_| Refusal::Malformed { what: "the signature is not base64" })?,
        })
    }

    /// `keyId`, as sent. Holds a token if it starts with `ST$`.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The names in `headers`, in the order and the case in which they were sent.
    #[must_use]
    pub fn signed_headers(&self) -> &[String] {
        &self.signed_headers
    }

    /// The signature's bytes.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether a header is listed as signed, in any case.
    #[must_use]
    pub fn signs(&self, header: &str) -> bool {
        self.signed_headers.iter().any(|name| name.eq_ignore_ascii_case(header))
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key_id = if self.key_id.starts_with("ST$") { "ST$…" } else { &self.key_id };
        f.debug_struct("Authorization")
            .field("key_id", &key_id)
            .field("signed_headers", &self.signed_headers)
            .finish_non_exhaustive()
    }
}

/// What follows `Signature `, in any case.
fn after_scheme(value: &str) -> Option<&str> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("Signature").then_some(rest)
}

#[derive(Default)]
struct Parameters<'a> {
    algorithm: Option<&'a str>,
    headers: Option<&'a str>,
    key_id: Option<&'a str>,
    signature: Option<&'a str>,
    version: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    fn parse(mut rest: &'a str) -> Result<Self, Refusal> {
        let mut found = Self::default();
        loop {
            let (name, after) = rest
                .split_once('=')
                .ok_or(Refusal::Malformed { what: "a parameter has no value" })?;
            let (value, after) = after
                .trim_start()
                .strip_prefix('"')
                .and_then(|after| after.split_once('"'))
                .ok_or(Refusal::Malformed { what: "a value is not in quotes" })?;
            found.set(name.trim(), value)?;
            match after.trim_start() {
                "" => return Ok(found),
                after => {
                    rest = after
                        .strip_prefix(',')
                        .ok_or(Refusal::Malformed { what: "no comma between parameters" })?;
                }
            }
        }
    }

    fn set(&mut self, name: &str, value: &'a str) -> Result<(), Refusal> {
        let place = match name {
            "algorithm" => &mut self.algorithm,
            "headers" => &mut self.headers,
            "keyId" => &mut self.key_id,
            "signature" => &mut self.signature,
            "version" => &mut self.version,
            _ => return Ok(()),
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(Refusal::Malformed { what: "a parameter is given twice" }),
        }
    }
}
