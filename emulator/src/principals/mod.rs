// SPDX-License-Identifier: Apache-2.0
//! The endpoints by which principals get their tokens: instance metadata, the identity service, an
//! identity domain, and the proxy of a cluster's nodes.
//!
//! ```text
//!  Exchange ─► path ─┬ metadata    /opc/v2: certificate, key, region of an instance
//!                    ├ federation  /v1/x509: a certificate's signature for a token
//!                    ├ session     /v1/authentication/refresh: a session token for a fresh one
//!                    ├ resource    /20180711/…, /v1/resourcePrincipalSessionToken
//!                    ├ domain      /oauth2/v1/token: a token of others for one of ours
//!                    ├ scoped      /v1/oauth2/scoped: a token or key for a token of a scope
//!                    └ workload    /resourcePrincipalSessionTokens: a pod's, over TLS only
//!                          │
//!                          └─► Identity mints ─► faults ─► Reply
//! ```
//!
//! **Promises.** A token is given only for what the service asks for: the signature, the
//! certificate, the client's secret, the pod's token. Faults fire for requests that were found
//! good; the latency model does not apply.

mod domain;
mod federation;
mod metadata;
mod ready;
mod resource;
mod scoped;
mod session;
mod workload;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::json;
use storescope_sign::{Authorization, PublicKey, Rule, SignError};

pub(crate) use self::ready::ready;
use crate::error::ApiError;
use crate::exchange::{Broken, Exchange};
use crate::reply::Reply;
use crate::request::{raw_target, text};

/// Most bytes of a body.
const MAX_BODY: u64 = 1 << 20;

impl Exchange<'_> {
    /// Answers a request to the identity endpoints.
    pub(crate) async fn act_by_identity(&mut self) -> Result<Result<Reply, ApiError>, Broken> {
        let body = match self.read_body(MAX_BODY).await? {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        // The first certificate costs a key: a tenth of a second.
        let reply = match tokio::task::block_in_place(|| self.identify(&body)) {
            Ok(reply) => reply,
            Err(error) => return Ok(Err(error)),
        };
        let target = raw_target(self.parts);
        self.plan = self.server.faults.plan(self.parts.method.as_str(), target, self.reused);
        if self.plan.reset {
            self.connection.reset();
            return Err(Broken("the connection is reset by a fault"));
        }
        Ok(Ok(self.plan.error.take().map_or(reply, Reply::from)))
    }

    fn identify(&self, body: &[u8]) -> Result<Reply, ApiError> {
        let target = raw_target(self.parts);
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let tls = self.connection.tls;
        match (self.parts.method.as_str(), path) {
            ("GET", path) if path.starts_with("/opc/") && !tls => self.metadata(path),
            ("POST", "/v1/x509") => self.federate(body),
            ("POST", "/v1/authentication/refresh") => self.refresh_session(body),
            ("POST", "/v1/resourcePrincipalSessionToken") => self.resource_session(body),
            ("GET", path) if path.starts_with("/20180711/") => self.resource_token(path),
            ("POST", "/oauth2/v1/token") => self.exchange_token(body),
            ("POST", "/v1/oauth2/scoped") => self.scoped_token(body),
            (
                "POST",
                "/resourcePrincipalSessionTokens" | "/resourcePrincipalSessionTokensWithCaching",
            ) if tls => self.workload_token(body),
            _ => Err(not_found()),
        }
    }

    /// Verifies a signed request whose key `key` finds.
    fn verify(
        &self,
        rule: Rule,
        body: &[u8],
        key: impl FnOnce(&str) -> Option<PublicKey>,
    ) -> Result<Authorization, ApiError> {
        storescope_sign::verify(
            &self.signed_request(&|name| text(&self.parts.headers, name)),
            rule,
            Some(&storescope_sign::sha256(body)),
            key,
            Some(self.server.clock.wall()),
        )
        .map_err(|refusal| ApiError::not_authenticated(&refusal))
    }

    /// What follows a scheme in the `Authorization` header.
    fn credentials(&self, scheme: &str) -> Option<&str> {
        let value = text(&self.parts.headers, AUTHORIZATION.as_str())?;
        let (given, rest) = value.split_once(' ')?;
        given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
    }
}

/// `{"token":"…"}`
fn token_reply(token: Result<String, SignError>) -> Result<Reply, ApiError> {
    Ok(Reply::json(StatusCode::OK, &json!({ "token": token.map_err(failed)? })))
}

#[expect(clippy::needless_pass_by_value, reason = "a function of map_err")]
fn failed(error: impl ToString) -> ApiError {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    ApiError::new(status, "InternalServerError", error.to_string())
}

/// A public key as clients send one: base64 of its DER, or PEM.
fn public_key(text: &str) -> Result<PublicKey, ApiError> {
    let key = match STANDARD.decode(text.trim()) {
        Ok(der) => PublicKey::from_spki_der(&der),
        Err(_) => PublicKey::from_pem(text.as_bytes()),
    };
    key.map_err(|error| ApiError::bad_request("InvalidParameter", format!("public key: {error}")))
}

fn not_found() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "NotAuthorizedOrNotFound",
        "Authorization failed or requested resource not found",
    )
}
