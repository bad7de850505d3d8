// SPDX-License-Identifier: Apache-2.0
//! X.509 federation: an instance proves its certificate and gets a token for a session's key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use storescope_sign::Rule;

use super::{failed, public_key, token_reply};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::identity::{Caller, INSTANCE, Kind, TENANCY};
use crate::reply::Reply;
use crate::request::parse_json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    certificate: String,
    public_key: String,
    #[serde(default)]
    intermediate_certificates: Vec<String>,
    #[serde(default)]
    purpose: Option<String>,
    #[serde(default)]
    fingerprint_algorithm: Option<String>,
}

impl Exchange<'_> {
    /// POST `/v1/x509`, signed with the certificate's key.
    pub(super) fn federate(&self, body: &[u8]) -> Result<Reply, ApiError> {
        let (identity, now) = (&self.server.identity, self.server.clock.wall());
        let instance = identity.instance(now).map_err(failed)?;
        let signed = self.verify(Rule::Federation, body, |key_id| instance.key(key_id))?;
        let asked: Asked = parse_json(body)?;
        let is = |text: &str, der: &[u8]| STANDARD.decode(text).is_ok_and(|sent| sent == der);
        let refused = |why: &'static str| Err(ApiError::not_authenticated(&why));
        if !is(&asked.certificate, &instance.certificate) {
            return refused("the certificate is not the one whose key signed");
        }
        if !asked.intermediate_certificates.iter().any(|sent| is(sent, &instance.intermediate)) {
            return refused("the intermediate certificate is missing");
        }
        // SHA-1 is what a service that is told nothing takes a fingerprint for.
        let by_sha256 = signed.key_id().contains("/fed-x509-sha256/");
        let algorithm = asked.fingerprint_algorithm.as_deref();
        if algorithm.map_or(by_sha256, |named| (named == "SHA256") != by_sha256) {
            return refused("fingerprintAlgorithm is not that of the keyId");
        }
        if asked.purpose.is_some_and(|purpose| purpose != "DEFAULT") {
            return Err(ApiError::bad_request("InvalidParameter", "purpose is not DEFAULT"));
        }
        let key = public_key(&asked.public_key)?;
        let caller = Caller::new(INSTANCE, TENANCY);
        token_reply(identity.tokens.mint(Kind::Instance, &caller, Some(&key), now))
    }
}
