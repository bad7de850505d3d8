// SPDX-License-Identifier: Apache-2.0
//! Session tokens (JWT): what they say of themselves. Nothing is verified here: the store does.

use super::Identity;
use super::renewing::Fetched;
use crate::error::{ErrorKind, Failure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storescope_sign::{KeyError, PrivateKey, PublicKey};
use zeroize::Zeroizing;

/// A token as a file or an answer has it.
pub(super) type Token = Zeroizing<String>;

/// A secret text of a document.
pub(super) fn secret<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Token, D::Error> {
    String::deserialize(text).map(Zeroizing::new)
}

/// The claims that matter here. A token may lack any of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Claims {
    exp: Option<u64>,
    /// The session's public key, as JSON in a text.
    jwk: Option<String>,
    res_tenant: Option<String>,
    opc_tenant: Option<String>,
    tenant: Option<String>,
}

/// A public key of RSA, as JSON.
#[derive(Deserialize)]
struct Jwk {
    n: String,
    e: String,
}

const OF_ANOTHER: &str =
    "the session token belongs to another key than the one that it is used with";

/// The `keyId` of requests that are signed for a token.
pub(super) fn key_id(token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("ST${token}"))
}

/// An identity that signs by a token. `now` is the clock of the server that gave it out, where it was just given out.
pub(super) fn identity(
    token: &str,
    key: PrivateKey,
    now: Option<SystemTime>,
) -> Result<Fetched, Failure> {
    let claims = claims(token);
    if claims.jwk.as_deref().is_some_and(|jwk| is_of_another(jwk, key.public_key())) {
        let mut failure = Failure::new(ErrorKind::Unauthenticated).message(OF_ANOTHER);
        failure.unsent = true;
        return Err(failure);
    }
    let left = claims.exp.map(|exp| {
        let ends = UNIX_EPOCH + Duration::from_secs(exp.min(u64::from(u32::MAX)));
        ends.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default()
    });
    let identity = Arc::new(Identity { key_id: key_id(token), key, delegation: None });
    let tenancy = claims.res_tenant.or(claims.opc_tenant).or(claims.tenant);
    Ok(Fetched { identity, left, half: false, tenancy })
}

/// Whether it failed because token and key do not belong together.
pub(super) fn is_of_another_key(failure: &Failure) -> bool {
    failure.message == OF_ANOTHER
}

/// When a token ends.
pub(super) fn expiry(token: &str) -> Option<SystemTime> {
    let exp = claims(token).exp?;
    Some(UNIX_EPOCH + Duration::from_secs(exp.min(u64::from(u32::MAX))))
}

/// What a token says; nothing, where it is no JWT.
fn claims(token: &str) -> Claims {
    let payload = token.split('.').nth(1).unwrap_or_default().trim_end_matches('=');
    let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).unwrap_or_default());
    serde_json::from_slice(&payload).unwrap_or_default()
}

/// Whether a JWK is that of another key; one that does not parse says nothing.
fn is_of_another(jwk: &str, key: &PublicKey) -> bool {
    let Ok(Jwk { n, e }) = serde_json::from_str(jwk) else { return false };
    let number = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    let read = number(&n).zip(number(&e));
    read.and_then(|(n, e)| PublicKey::from_components(&n, &e).ok()).is_some_and(|read| read != *key)
}

/// A new key of 2048 bits for a session.
pub(super) async fn session_key() -> Result<PrivateKey, Failure> {
    let failed = |error: KeyError| {
        Failure::new(ErrorKind::Config).message("no session key could be made").source(error)
    };
    // A tenth of a second of CPU.
    let made = tokio::task::spawn_blocking(|| PrivateKey::generate(2048)).await;
    made.map_err(|e| Failure::new(ErrorKind::Config).source(e))?.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &serde_json::Value) -> String {
        format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn jwk(key: &PublicKey) -> String {
        let number = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        serde_json::json!({ "n": number(key.modulus()), "e": number(key.exponent()) }).to_string()
    }

    #[test]
    fn a_token_tells_its_end_its_tenancy_and_its_key() {
        let key = PrivateKey::generate(2048).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let claims = serde_json::json!({
            "exp": 1_001_200, "opc_tenant": "t", "jwk": jwk(key.public_key())
        });
        let fetched = identity(&token(&claims), key.clone(), Some(now)).unwrap();
        assert_eq!(fetched.left, Some(Duration::from_mins(20)));
        assert_eq!(fetched.tenancy.as_deref(), Some("t"));
        assert_eq!(*fetched.identity.key_id, format!("ST${}", token(&claims)));
        let other = PrivateKey::generate(2048).unwrap();
        let error = identity(&token(&claims), other, Some(now)).unwrap_err();
        assert!(error.message.contains("another key"), "{error:?}");
        let opaque = identity("opaque", key.clone(), None).unwrap();
        assert!(opaque.left.is_none() && opaque.tenancy.is_none());
        let odd = token(&serde_json::json!({ "exp": u64::MAX, "jwk": "{}" }));
        assert!(identity(&odd, key, None).is_ok());
    }

    #[test]
    fn an_expired_token_is_said_to_be() {
        let at = expiry(&token(&serde_json::json!({ "exp": 1_000_000_000 }))).unwrap();
        assert_eq!(httpdate::fmt_http_date(at), "Sun, 09 Sep 2001 01:46:40 GMT");
        assert_eq!(expiry("opaque"), None);
    }
}
