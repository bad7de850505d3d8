// SPDX-License-Identifier: Apache-2.0
//! The proxy on a cluster's nodes: a pod gives its service account's token and gets a session
//! token. It is asked over TLS, and nothing is signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{failed, public_key};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::identity::{CLUSTER, Caller, Kind, TENANCY};
use crate::reply::Reply;
use crate::request::parse_json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    pod_key: String,
}

impl Exchange<'_> {
    /// POST `/resourcePrincipalSessionTokens`.
    pub(super) fn workload_token(&self, body: &[u8]) -> Result<Reply, ApiError> {
        let (identity, now) = (&self.server.identity, self.server.clock.wall());
        let token = self.credentials("Bearer");
        if !token.is_some_and(|token| identity.is_service_account(token, now)) {
            return Err(ApiError::not_authenticated(&"the service account's token is not good"));
        }
        let asked: Asked = parse_json(body)?;
        let key = public_key(&asked.pod_key)?;
        let caller = Caller::new(CLUSTER, TENANCY);
        let token = identity.tokens.mint(Kind::Workload, &caller, Some(&key), now);
        let document = json!({ "token": format!("ST${}", token.map_err(failed)?) });
        // A JSON string that is base64 of JSON.
        Ok(Reply::json(StatusCode::OK, &STANDARD.encode(document.to_string())))
    }
}
