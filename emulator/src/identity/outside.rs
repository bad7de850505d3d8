// SPDX-License-Identifier: Apache-2.0
//! Tokens of others that are given in for a security token: a pod's service account token by
//! Kubernetes, and a user's token by an identity provider. Both are signed by the emulator's key.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::json;
use storescope_sign::{PrivateKey, PublicKey, SignError};

use super::jwt;
use super::tokens::unix;

const CLUSTER_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const PROVIDER: &str = "https://identity-provider.example.com";
const LIFE: Duration = Duration::from_hours(24);

/// A service account's token, as Kubernetes projects it into a pod. `id` is this token's own.
pub(super) fn service_account_token(
    issuer: &PrivateKey,
    id: &str,
    now: SystemTime,
) -> Result<String, SignError> {
    let claims = json!({
        "aud": ["api"],
        "exp": unix(now) + LIFE.as_secs(),
        "iat": unix(now),
        "nbf": unix(now),
        "iss": CLUSTER_ISSUER,
        "jti": id,
        "kubernetes.io": {
            "namespace": "default",
            "pod": {"name": "emulated"},
            "serviceaccount": {"name": "emulated"},
        },
        "sub": "system:serviceaccount:default:emulated",
    });
    jwt::mint(issuer, &claims)
}

/// A user's token by an identity provider that the domain trusts.
pub(super) fn subject_token(issuer: &PrivateKey, now: SystemTime) -> Result<String, SignError> {
    let claims = json!({
        "iss": PROVIDER,
        "sub": "emulated",
        "aud": "emulator",
        "exp": unix(now) + LIFE.as_secs(),
        "iat": unix(now),
    });
    jwt::mint(issuer, &claims)
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: u64,
    jti: Option<String>,
}

/// Whether a text is the service account's token of this id and is good at `now`.
pub(super) fn is_service_account(
    token: &str,
    issuer: &PublicKey,
    id: &str,
    now: SystemTime,
) -> bool {
    jwt::read::<Claims>(token, issuer).is_some_and(|claims| {
        claims.iss == CLUSTER_ISSUER && claims.jti.as_deref() == Some(id) && unix(now) < claims.exp
    })
}

/// Whether a text is a token of the identity provider and is good at `now`.
pub(super) fn is_subject(token: &str, issuer: &PublicKey, now: SystemTime) -> bool {
    jwt::read::<Claims>(token, issuer)
        .is_some_and(|claims| claims.iss == PROVIDER && unix(now) < claims.exp)
}
