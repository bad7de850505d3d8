// SPDX-License-Identifier: Apache-2.0
//! Tokens of a scope: a principal gets another token of its own. The emulator's services know no
//! scopes: what the token may do is what its principal may.

use serde::Deserialize;
use storescope_sign::Rule;

use super::{public_key, token_reply};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::identity::Kind;
use crate::reply::Reply;
use crate::request::parse_json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    scope: String,
    public_key: String,
    target_compartment: String,
}

impl Exchange<'_> {
    /// POST `/v1/oauth2/scoped`, signed by the principal.
    pub(super) fn scoped_token(&self, body: &[u8]) -> Result<Reply, ApiError> {
        let (identity, now) = (&self.server.identity, self.server.clock.wall());
        let mut caller = None;
        self.verify(Rule::Body, body, |key_id| {
            let (key, signer) = identity.signer(key_id, now)?;
            caller = Some(signer);
            Some(key)
        })?;
        let Asked { scope, public_key: key, target_compartment } = parse_json(body)?;
        if scope.is_empty() || !target_compartment.starts_with("ocid1.") {
            let why = "scope or target_compartment is missing";
            return Err(ApiError::bad_request("InvalidParameter", why));
        }
        let key = public_key(&key)?;
        let caller = caller.ok_or_else(|| ApiError::not_authenticated(&"nobody signed"))?;
        token_reply(identity.tokens.mint(Kind::Scoped, &caller, Some(&key), now))
    }
}
