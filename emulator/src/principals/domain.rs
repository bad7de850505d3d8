// SPDX-License-Identifier: Apache-2.0
//! An identity domain: a client exchanges a token of the identity provider for a user's session
//! token (UPST). Errors are those of OAuth.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::json;

use super::{public_key, token_reply};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::identity::{Caller, DOMAIN_USER, Identity, Kind, TENANCY};
use crate::reply::Reply;
use crate::request::text;
use crate::target::Target;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const WANTED: &str = "urn:oci:token-type:oci-upst";

impl Exchange<'_> {
    /// POST `/oauth2/v1/token`, a form.
    pub(super) fn exchange_token(&self, body: &[u8]) -> Result<Reply, ApiError> {
        let Identity { domain, tokens, .. } = &self.server.identity;
        let now = self.server.clock.wall();
        let known = format!("{}:{}", domain.client_id, domain.client_secret);
        let sent = self.credentials("Basic").and_then(|sent| STANDARD.decode(sent).ok());
        if sent.as_deref() != Some(known.as_bytes()) {
            let why = "The client's id or secret is wrong";
            return Ok(refusal(StatusCode::UNAUTHORIZED, "invalid_client", why));
        }
        let refused = |error, why: &str| Ok(refusal(StatusCode::BAD_REQUEST, error, why));
        let form = text(&self.parts.headers, "content-type").unwrap_or_default();
        if !form.starts_with("application/x-www-form-urlencoded") {
            return refused("invalid_request", "The body is not a form");
        }
        let form = Target::parse(&format!("/?{}", String::from_utf8_lossy(body)));
        if form.query("grant_type") != Some(GRANT) {
            return refused("unsupported_grant_type", "grant_type is not a token exchange");
        }
        if form.query("requested_token_type") != Some(WANTED)
            || form.query("subject_token_type") != Some("jwt")
        {
            return refused("invalid_request", "The types of the tokens are not known");
        }
        let subject = form.query("subject_token");
        if !subject.is_some_and(|token| self.server.identity.is_subject(token, now)) {
            return refused("invalid_grant", "subject_token is not good, or has expired");
        }
        let Ok(key) = public_key(form.query("public_key").unwrap_or_default()) else {
            return refused("invalid_request", "public_key is not a public key of RSA");
        };
        let caller = Caller::new(DOMAIN_USER, TENANCY);
        token_reply(tokens.mint(Kind::Domain, &caller, Some(&key), now))
    }
}

fn refusal(status: StatusCode, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({ "error": error, "error_description": description }))
}
