// SPDX-License-Identifier: Apache-2.0
//! JSON Web Tokens by RS256, and RSA keys as JSON Web Keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use storescope_sign::{PrivateKey, PublicKey, SignError};

/// A token with these claims.
pub(super) fn mint(issuer: &PrivateKey, claims: &impl Serialize) -> Result<String, SignError> {
    let claims = serde_json::to_vec(claims).expect("claims are plain JSON");
    let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256","kid":"emulator","typ":"JWT"}"#);
    let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = issuer.sign(text.as_bytes())?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The claims of a token that the issuer signed.
pub(super) fn read<T: DeserializeOwned>(token: &str, issuer: &PublicKey) -> Option<T> {
    let (text, signature) = token.rsplit_once('.')?;
    if !issuer.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?) {
        return None;
    }
    let claims = URL_SAFE_NO_PAD.decode(text.split_once('.')?.1).ok()?;
    serde_json::from_slice(&claims).ok()
}

#[derive(Serialize, Deserialize)]
struct Jwk {
    #[serde(default)]
    kty: String,
    #[serde(default)]
    kid: String,
    #[serde(default, rename = "use")]
    usage: String,
    #[serde(default)]
    alg: String,
    n: String,
    e: String,
}

/// A public key as JSON text, as the claim `jwk` of a token holds it.
pub(super) fn jwk(key: &PublicKey) -> String {
    let jwk = Jwk {
        kty: "RSA".into(),
        kid: "session".into(),
        usage: "sig".into(),
        alg: "RS256".into(),
        n: URL_SAFE_NO_PAD.encode(key.modulus()),
        e: URL_SAFE_NO_PAD.encode(key.exponent()),
    };
    serde_json::to_string(&jwk).expect("a key is plain JSON")
}

/// The key that such a text holds.
pub(super) fn key_of(jwk: &str) -> Option<PublicKey> {
    let jwk: Jwk = serde_json::from_str(jwk).ok()?;
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    PublicKey::from_components(&part(&jwk.n)?, &part(&jwk.e)?).ok()
}
