// SPDX-License-Identifier: Apache-2.0
//! Signatures of version 4, in a header or in the query, judged by the emulator's clock and refused in S3's words: an
//! error holds the canonical request and the text to sign that were computed here. `s3s` judges once more what is
//! good here, by its own rules; so that it takes it, the request that it gets has its date in `x-amz-date` and an
//! expiry that does not end, and is signed again where that changed what was signed.

use std::time::{Duration, SystemTime};

use aws_lc_rs::{constant_time, digest};
use http::header::{AUTHORIZATION, DATE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::canonical::{
    CONTENT_SHA256, UNSIGNED, canonical_query, canonical_value, encoded_path, hex, hmac_sha256,
    is_payload_hash, iso, long, names, parse_iso, payload_hash, set_target, spelled,
};
use super::errors::{detailed, invalid_argument};
use super::keys::Keys;
use crate::request::{raw_target, text};
use crate::target::query_pairs;

/// How far a request's date may be from the emulator's clock.
const SKEW: Duration = Duration::from_mins(15);
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: &str = "x-amz-security-token";
/// Seconds that a presigned request may be good for.
const WEEK: u64 = 604_800;
/// The longest expiry that `s3s` reads.
const ENDLESS: u32 = u32::MAX;
/// What a signature in a query consists of.
const IN_QUERY: [&str; 6] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
];

/// What a request says of who signed it, when and how.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    place: SignedIn,
    access_key_id: String,
    scope: Scope,
    /// Names of headers, in order.
    signed: Vec<String>,
    signature: String,
    time: SystemTime,
    /// The time as it was sent.
    sent: String,
    /// Of a presigned request, the seconds for which it is good.
    expires: Option<u64>,
    /// The token of a session.
    token: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignedIn {
    Header,
    Query,
}

/// `DATE/REGION/s3/aws4_request`
#[derive(Clone, Debug)]
struct Scope {
    date: String,
    region: String,
}

/// The request as `s3s` is to judge it, with its [`Claim`] as an extension; one that is not signed stays as it is.
pub(super) fn judged(asked: &Parts, keys: &Keys, now: SystemTime) -> S3Result<Parts> {
    let mut parts = asked.clone();
    let Some(claim) = Claim::of(asked)? else { return Ok(parts) };
    claim.check_time(now)?;
    claim.check_headers(&asked.headers, keys)?;
    claim.check_signature(asked, keys)?;
    claim.hand_on(&mut parts, keys)?;
    parts.extensions.insert(claim);
    Ok(parts)
}

impl Claim {
    fn of(asked: &Parts) -> S3Result<Option<Claim>> {
        let header = asked.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or("?"));
        let query = query_pairs(raw_target(asked));
        let in_query = query.iter().any(|(name, _)| IN_QUERY.contains(&name.as_str()));
        let is_old = header.is_some_and(|header| header.starts_with("AWS "))
            || query.iter().any(|(name, _)| name == "AWSAccessKeyId");
        match header {
            _ if is_old => Err(S3Error::with_message(
                S3ErrorCode::InvalidRequest,
                "The authorization mechanism you have provided is not supported. Please use \
                 AWS4-HMAC-SHA256.",
            )),
            Some(header) if in_query => Err(invalid_argument(
                "Authorization",
                Some(header),
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, \
                 Signature query string parameter or the Authorization header should be specified"
                    .to_owned(),
            )),
            Some(header) => Claim::in_header(header, &asked.headers).map(Some),
            None if in_query => Claim::in_query(&query).map(Some),
            None => Ok(None),
        }
    }

    fn in_header(header: &str, headers: &HeaderMap) -> S3Result<Claim> {
        let Some(rest) = header.strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' ')) else {
            let message = "Unsupported Authorization Type".to_owned();
            return Err(invalid_argument("Authorization", Some(header), message));
        };
        let part = |name: &str| {
            let mut parts = rest.split(',').filter_map(|part| part.trim().split_once('='));
            parts.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
        };
        let (Some(credential), Some(signed), Some(signature)) =
            (part("Credential"), part("SignedHeaders"), part("Signature"))
        else {
            return Err(SignedIn::Header.malformed(
                "the authorization header requires three components: Credential, SignedHeaders, \
                 and Signature.",
            ));
        };
        let (access_key_id, scope) = Scope::parse(SignedIn::Header, credential)?;
        let sent = |name: &HeaderName| text(headers, name.as_str()).filter(|date| !date.is_empty());
        let sent = sent(&AMZ_DATE).or_else(|| sent(&DATE)).unwrap_or_default();
        let time = parse_iso(sent).or_else(|| httpdate::parse_http_date(sent).ok());
        let claim = Claim {
            place: SignedIn::Header,
            access_key_id,
            scope,
            signed: names(signed),
            signature: signature.to_owned(),
            time: time.ok_or_else(|| {
                S3Error::with_message(
                    S3ErrorCode::AccessDenied,
                    "AWS authentication requires a valid Date or x-amz-date header",
                )
            })?,
            sent: sent.to_owned(),
            expires: None,
            token: text(headers, SECURITY_TOKEN).map(str::to_owned),
        };
        claim.check_scope()?;
        Ok(claim)
    }

    fn in_query(query: &[(String, String)]) -> S3Result<Claim> {
        let refuse = |message: &'static str| {
            S3Error::with_message(S3ErrorCode::AuthorizationQueryParametersError, message)
        };
        let mut found = [""; IN_QUERY.len()];
        for (name, place) in IN_QUERY.iter().zip(&mut found) {
            let value = query.iter().find(|(key, _)| key == name);
            *place = value.map(|(_, value)| value.as_str()).ok_or_else(|| {
                refuse(
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, \
                     X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and \
                     X-Amz-Expires parameters.",
                )
            })?;
        }
        let [algorithm, credential, signature, date, signed, expires] = found;
        if algorithm != ALGORITHM {
            return Err(refuse("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let (access_key_id, scope) = Scope::parse(SignedIn::Query, credential)?;
        let time = parse_iso(date).ok_or_else(|| {
            refuse("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        })?;
        let expires = match expires.parse::<i64>() {
            Err(_) => return Err(refuse("X-Amz-Expires should be a number")),
            Ok(..0) => return Err(refuse("X-Amz-Expires must be non-negative")),
            Ok(expires) => expires.unsigned_abs(),
        };
        if expires > WEEK {
            return Err(refuse(
                "X-Amz-Expires must be less than a week (in seconds) that is 604800",
            ));
        }
        let claim = Claim {
            place: SignedIn::Query,
            access_key_id,
            scope,
            signed: names(signed),
            signature: signature.to_owned(),
            time,
            sent: date.to_owned(),
            expires: Some(expires),
            token: query
                .iter()
                .find(|(name, _)| name == "X-Amz-Security-Token")
                .map(|(_, token)| token.clone()),
        };
        claim.check_scope()?;
        Ok(claim)
    }

    /// The region that it is signed for.
    pub(super) fn region(&self) -> &str {
        &self.scope.region
    }

    /// The error of a request that is signed for another region than this.
    pub(super) fn wrong_region(&self, region: &str) -> S3Error {
        let signed = self.region();
        let why = format!("the region '{signed}' is wrong; expecting '{region}'");
        detailed(self.place.malformed(&why), &[("Region", region)])
    }

    fn iso(&self) -> String {
        iso(self.time)
    }

    fn check_scope(&self) -> S3Result<()> {
        let (dated, date) = (&self.scope.date, &self.iso()[..8]);
        if dated == date {
            return Ok(());
        }
        Err(self.place.malformed(&format!(
            "Invalid credential date \"{dated}\". This date is not the same as X-Amz-Date: \
             \"{date}\"."
        )))
    }

    fn check_time(&self, now: SystemTime) -> S3Result<()> {
        let denied = |message| S3Error::with_message(S3ErrorCode::AccessDenied, message);
        match self.expires {
            None => {
                let off = now.duration_since(self.time).or_else(|_| self.time.duration_since(now));
                if off.unwrap_or_default() <= SKEW {
                    return Ok(());
                }
                let error = S3Error::with_message(
                    S3ErrorCode::RequestTimeTooSkewed,
                    "The difference between the request time and the current time is too large.",
                );
                Err(detailed(
                    error,
                    &[
                        ("RequestTime", &self.sent),
                        ("ServerTime", &long(now)),
                        ("MaxAllowedSkewMilliseconds", &SKEW.as_millis().to_string()),
                    ],
                ))
            }
            Some(_) if self.time > now + SKEW => Err(denied("Request is not yet valid")),
            Some(seconds) => {
                let end = self.time + Duration::from_secs(seconds);
                if now <= end {
                    return Ok(());
                }
                Err(detailed(
                    denied("Request has expired"),
                    &[
                        ("X-Amz-Expires", &seconds.to_string()),
                        ("Expires", &long(end)),
                        ("ServerTime", &long(now)),
                    ],
                ))
            }
        }
    }

    /// What must be signed, and what must be there.
    fn check_headers(&self, headers: &HeaderMap, keys: &Keys) -> S3Result<()> {
        let must_be_signed = |name: &&str| {
            *name == HOST.as_str()
                || *name == "content-md5"
                || name.starts_with("x-amz-")
                    && !(self.place == SignedIn::Query && *name == CONTENT_SHA256)
        };
        let sent = headers.keys().map(HeaderName::as_str).chain([HOST.as_str()]);
        let mut unsigned: Vec<&str> = sent
            .filter(must_be_signed)
            .filter(|name| !self.signed.iter().any(|signed| signed == name))
            .collect();
        unsigned.sort_unstable();
        unsigned.dedup();
        if !unsigned.is_empty() {
            let error = S3Error::with_message(
                S3ErrorCode::AccessDenied,
                "There were headers present in the request which were not signed",
            );
            return Err(detailed(error, &[("HeadersNotSigned", &unsigned.join(", "))]));
        }
        if let Some(token) = self.token.as_ref().filter(|token| **token != keys.session_token) {
            return Err(detailed(S3ErrorCode::InvalidToken.into(), &[("Token-0", token)]));
        }
        match text(headers, CONTENT_SHA256) {
            None if self.place == SignedIn::Header => Err(S3Error::with_message(
                S3ErrorCode::InvalidRequest,
                "Missing required header for this request: x-amz-content-sha256",
            )),
            Some(hash) if !is_payload_hash(hash) => Err(invalid_argument(
                CONTENT_SHA256,
                Some(hash),
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, \
                 STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or a valid sha256 value."
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }

    fn check_signature(&self, asked: &Parts, keys: &Keys) -> S3Result<()> {
        if self.access_key_id != keys.access_key_id {
            let id = [("AWSAccessKeyId", self.access_key_id.as_str())];
            return Err(detailed(S3ErrorCode::InvalidAccessKeyId.into(), &id));
        }
        let hash = payload_hash(asked);
        let path = asked.uri.path();
        let encoded = self.canonical(asked, &encoded_path(path), &hash);
        // A path may have been signed as it is sent, though others would have encoded it.
        let raw = self.canonical(asked, path, &hash);
        if [&encoded, &raw].into_iter().any(|request| self.is_signed(request, keys)) {
            return Ok(());
        }
        let text = self.text_to_sign(&encoded);
        Err(detailed(
            S3ErrorCode::SignatureDoesNotMatch.into(),
            &[
                ("AWSAccessKeyId", &self.access_key_id),
                ("StringToSign", &text),
                ("SignatureProvided", &self.signature),
                ("StringToSignBytes", &spelled(&text)),
                ("CanonicalRequest", &encoded),
                ("CanonicalRequestBytes", &spelled(&encoded)),
            ],
        ))
    }

    fn is_signed(&self, canonical: &str, keys: &Keys) -> bool {
        let signature = self.sign(canonical, keys);
        let (ours, theirs) = (signature.as_bytes(), self.signature.as_bytes());
        constant_time::verify_slices_are_equal(ours, theirs).is_ok()
    }

    /// The canonical request.
    fn canonical(&self, asked: &Parts, path: &str, hash: &str) -> String {
        let lines = self.signed.iter().map(|name| {
            let value = canonical_value(&asked.headers, name);
            format!("{name}:{value}\n")
        });
        format!(
            "{}\n{path}\n{}\n{}\n{}\n{hash}",
            asked.method,
            canonical_query(raw_target(asked)),
            lines.collect::<Vec<_>>().concat(),
            self.signed.join(";")
        )
    }

    fn text_to_sign(&self, canonical: &str) -> String {
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        format!("{ALGORITHM}\n{}\n{}\n{hash}", self.iso(), self.scope.text())
    }

    fn sign(&self, canonical: &str, keys: &Keys) -> String {
        let secret = format!("AWS4{}", keys.secret_access_key).into_bytes();
        let key = self.scope.text().split('/').fold(secret, |key, part| hmac_sha256(&key, part));
        hex(&hmac_sha256(&key, &self.text_to_sign(canonical)))
    }

    /// Makes the request what `s3s` takes.
    fn hand_on(&self, parts: &mut Parts, keys: &Keys) -> S3Result<()> {
        match self.place {
            SignedIn::Header => {
                let date = self.iso();
                if text(&parts.headers, AMZ_DATE.as_str()) == Some(&date) {
                    return Ok(());
                }
                let value = HeaderValue::try_from(date).map_err(S3Error::internal_error)?;
                parts.headers.insert(AMZ_DATE, value);
                if !self.signed.iter().any(|name| *name == AMZ_DATE.as_str()) {
                    return Ok(());
                }
                let hash = payload_hash(parts);
                let path = encoded_path(parts.uri.path());
                let signature = self.sign(&self.canonical(parts, &path, &hash), keys);
                let header = format!(
                    "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
                    self.access_key_id,
                    self.scope.text(),
                    self.signed.join(";")
                );
                let header = HeaderValue::try_from(header).map_err(S3Error::internal_error)?;
                parts.headers.insert(AUTHORIZATION, header);
            }
            SignedIn::Query => {
                let path = parts.uri.path().to_owned();
                let endless = |pair: &str| {
                    let expires = pair.starts_with("X-Amz-Expires=");
                    if expires { format!("X-Amz-Expires={ENDLESS}") } else { pair.to_owned() }
                };
                let query = canonical_query(raw_target(parts));
                let query = query.split('&').map(endless).collect::<Vec<_>>().join("&");
                set_target(parts, &format!("{path}?{query}"))?;
                let canonical = self.canonical(parts, &encoded_path(&path), UNSIGNED);
                let signature = self.sign(&canonical, keys);
                set_target(parts, &format!("{path}?{query}&X-Amz-Signature={signature}"))?;
            }
        }
        Ok(())
    }
}

impl SignedIn {
    /// The error of what is said of the credential.
    fn malformed(self, why: &str) -> S3Error {
        let (code, what) = match self {
            SignedIn::Header => {
                (S3ErrorCode::AuthorizationHeaderMalformed, "The authorization header is malformed")
            }
            SignedIn::Query => (
                S3ErrorCode::AuthorizationQueryParametersError,
                "Error parsing the X-Amz-Credential parameter",
            ),
        };
        S3Error::with_message(code, format!("{what}; {why}"))
    }
}

impl Scope {
    /// The access key and the scope of `KEY/DATE/REGION/s3/aws4_request`.
    fn parse(place: SignedIn, credential: &str) -> S3Result<(String, Scope)> {
        let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
        let &[terminal, service, region, date, key] = parts.as_slice() else {
            return Err(place.malformed(
                "the Credential is mal-formed; expecting \
                 \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
            ));
        };
        if service != "s3" {
            return Err(place.malformed(&format!(
                "incorrect service \"{service}\". This endpoint belongs to \"s3\"."
            )));
        }
        if terminal != "aws4_request" {
            return Err(place.malformed(&format!(
                "incorrect terminal \"{terminal}\". This endpoint uses \"aws4_request\"."
            )));
        }
        if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(place.malformed(&format!(
                "incorrect date format \"{date}\". This date in the credential must be in the \
                 format \"yyyyMMdd\"."
            )));
        }
        Ok((key.to_owned(), Scope { date: date.to_owned(), region: region.to_owned() }))
    }

    fn text(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.date, self.region)
    }
}
