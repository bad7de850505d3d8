// SPDX-License-Identifier: Apache-2.0
//! Sessions of users: a token is refreshed while it is good, and its session has not ended.

use serde::Deserialize;
use storescope_sign::Rule;

use super::token_reply;
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::identity::Kind;
use crate::reply::Reply;
use crate::request::parse_json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    current_token: String,
}

impl Exchange<'_> {
    /// POST `/v1/authentication/refresh`, signed with the token that is to be refreshed.
    pub(super) fn refresh_session(&self, body: &[u8]) -> Result<Reply, ApiError> {
        let (tokens, now) = (&self.server.identity.tokens, self.server.clock.wall());
        let mut used = None;
        let signed = self.verify(Rule::Body, body, |key_id| {
            let token = tokens.open(key_id.strip_prefix("ST$")?, now)?;
            let key = token.key.clone();
            used = Some(token);
            key
        })?;
        let asked: Asked = parse_json(body)?;
        let refused = |why: &'static str| Err(ApiError::not_authenticated(&why));
        let Some(token) = used.filter(|token| token.kind == Kind::Session) else {
            return refused("the token is not one of a session");
        };
        if signed.key_id().strip_prefix("ST$") != Some(&asked.current_token) {
            return refused("currentToken is not the token that signed");
        }
        if !token.is_refreshable(now) {
            return refused("the session has ended");
        }
        token_reply(tokens.refresh(&token, now))
    }
}
