// SPDX-License-Identifier: Apache-2.0
//! Who asks: a signature that is good, or nobody where a token or a public bucket allows it.

use http::header::AUTHORIZATION;
use storescope_sign::{Authorization, Rule};

use super::pars;
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::identity::Caller;
use crate::request::text;
use crate::server::Server;
use crate::target::Target;

const DELEGATION_TOKEN: &str = "opc-obo-token";

/// A signature that is good, and who made it.
pub(super) struct Signed {
    pub(super) authorization: Authorization,
    pub(super) caller: Caller,
}

impl Exchange<'_> {
    /// Who asks: a signature that is good, or nobody where a token or a public bucket allows it.
    pub(super) fn authorize(
        &self,
        target: &Target,
        rule: Rule,
    ) -> Result<Option<Signed>, ApiError> {
        let Server { identity, clock, .. } = &**self.server;
        let storage = &*self.storage;
        let (now, method) = (clock.wall(), self.parts.method.as_str());
        if let Some(token) = &target.token {
            return pars::check_token(storage, token, method, target, now).map(|()| None);
        }
        if !self.parts.headers.contains_key(AUTHORIZATION)
            && pars::check_public(storage, method, target)?
        {
            return Ok(None);
        }
        let mut caller = None;
        let authorization = storescope_sign::verify(
            &self.signed_request(&|name| text(&self.parts.headers, name)),
            rule,
            None,
            |key_id| {
                let (key, signer) = identity.signer(key_id, now)?;
                caller = Some(signer);
                Some(key)
            },
            Some(now),
        )
        .map_err(|refusal| ApiError::not_authenticated(&refusal))?;
        // Unsigned, anybody between could have put it there.
        if let Some(token) = text(&self.parts.headers, DELEGATION_TOKEN) {
            if !authorization.signs(DELEGATION_TOKEN) {
                return Err(ApiError::not_authenticated(&"opc-obo-token is not signed"));
            }
            if !identity.delegates(token, now) {
                return Err(ApiError::not_authenticated(&"opc-obo-token is not a good one"));
            }
        }
        Ok(caller.map(|caller| Signed { authorization, caller }))
    }

    /// Compares a body's hash with the signed one, if one was signed.
    pub(super) fn check_body(
        &self,
        authorization: Option<&Authorization>,
        sha256: impl FnOnce() -> [u8; 32],
    ) -> Result<(), ApiError> {
        let Some(authorization) = authorization.filter(|signed| signs_body(signed)) else {
            return Ok(());
        };
        let header = |name: &str| text(&self.parts.headers, name);
        authorization
            .check_body(&self.signed_request(&header), &sha256())
            .map_err(|refusal| ApiError::not_authenticated(&refusal))
    }
}

pub(super) fn signs_body(authorization: &Authorization) -> bool {
    authorization.signs("x-content-sha256")
}
