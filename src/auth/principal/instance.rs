// SPDX-License-Identifier: Apache-2.0
//! An instance as a principal: its certificate (of the metadata service) is exchanged for a session token of the
//! identity service, which belongs to a key made for it.

use super::metadata::Metadata;
use super::renewing::{Fetched, Fetching, Regional, Source};
use super::token::{self, Token};
use crate::auth::web::{Answer, Ask, Signing, Web};
use crate::error::{ErrorKind, Failure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::try_join3;
use hyper::Method;
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use storescope_sign::{Certificate, KeyError, PrivateKey, Rule};
use zeroize::Zeroizing;

/// How the subject of a certificate names the tenancy.
const TENANCY: [&str; 2] = ["opc-tenant:", "opc-identity:"];

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) metadata: Metadata,
    pub(super) web: Arc<Web>,
    /// The identity service, where the settings name it.
    pub(super) auth_endpoint: Option<String>,
    /// The tenancy of the first certificate: later ones must have the same.
    pub(super) tenancy: Mutex<Option<String>>,
}

/// The answer of the identity service, whichever way it was asked.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    #[serde(deserialize_with = "token::secret")]
    pub(super) token: Token,
}

/// What the metadata service says that the instance is.
struct Leaf {
    certificate: Certificate,
    key: PrivateKey,
    intermediates: Vec<Certificate>,
}

impl Source for Instance {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.federate())
    }

    fn region(&self) -> Regional<'_> {
        Box::pin(async { self.metadata.region().await.map(Some) })
    }

    fn advice(&self) -> String {
        let tenancy = self.tenancy.lock().unwrap_or_else(PoisonError::into_inner);
        format!(
            "the request was signed as this instance, of tenancy {}; a dynamic group and a policy must allow what it asks",
            tenancy.as_deref().unwrap_or("unknown")
        )
    }
}

impl Instance {
    async fn federate(&self) -> Result<Fetched, Failure> {
        let Leaf { certificate, key, intermediates } = self.leaf().await?;
        let tenancy = self.tenancy_of(&certificate)?;
        let endpoint = match &self.auth_endpoint {
            Some(endpoint) => endpoint.clone(),
            None => self.metadata.region().await?.endpoint("auth"),
        };
        let session = token::session_key().await?;
        let base64 = |certificate: &Certificate| STANDARD.encode(certificate.der());
        let body = serde_json::json!({
            "certificate": base64(&certificate),
            "publicKey": STANDARD.encode(session.public_key().spki_der()),
            "intermediateCertificates": intermediates.iter().map(base64).collect::<Vec<_>>(),
        });
        let key_id = format!("{tenancy}/fed-x509/{}", certificate.fingerprint());
        let answer = self.web.ask(Ask {
            what: "the identity service",
            method: Method::POST,
            url: format!("{endpoint}/v1/x509"),
            headers: Vec::new(),
            body: Some(("application/json", Zeroizing::new(body.to_string().into_bytes()))),
            signed: Some(Signing { key_id: &key_id, key: &key, rule: Rule::Federation }),
        });
        let answer = answer.await?;
        let TokenAnswer { token } = answer.json()?;
        let fetched = token::identity(&token, session, answer.date)?;
        Ok(Fetched { tenancy: Some(tenancy), ..fetched })
    }

    /// The certificate and its key, which are renewed now and then: once more, where a renewal came in between.
    async fn leaf(&self) -> Result<Leaf, Failure> {
        let leaf = self.read_leaf().await?;
        if leaf.certificate.spki_der() == leaf.key.public_key().spki_der() {
            return Ok(leaf);
        }
        self.read_leaf().await
    }

    async fn read_leaf(&self) -> Result<Leaf, Failure> {
        let get = |path| self.metadata.get(path);
        let (certificate, key, intermediates) = try_join3(
            get("/identity/cert.pem"),
            get("/identity/key.pem"),
            get("/identity/intermediate.pem"),
        )
        .await?;
        let strange = |answer: &Answer, error: KeyError| {
            answer.strange("is not what it should be").source(error)
        };
        let intermediates =
            Certificate::from_pem(intermediates.bytes()).map_err(|e| strange(&intermediates, e))?;
        let mut read =
            Certificate::from_pem(certificate.bytes()).map_err(|e| strange(&certificate, e))?;
        let key = PrivateKey::from_pem(key.bytes(), None).map_err(|e| strange(&key, e))?;
        Ok(Leaf { certificate: read.swap_remove(0), key, intermediates })
    }

    fn tenancy_of(&self, certificate: &Certificate) -> Result<String, Failure> {
        let found = certificate.units().iter().find_map(|unit| {
            TENANCY.iter().find_map(|start| unit.strip_prefix(start)).map(str::to_owned)
        });
        let refused = |why: String| {
            let mut failure = Failure::new(ErrorKind::Unauthenticated).message(why);
            failure.unsent = true;
            failure
        };
        let found = found.ok_or_else(|| {
            refused("the instance's certificate names no tenancy (opc-tenant)".to_owned())
        })?;
        let mut known = self.tenancy.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(known) if *known != found => Err(refused(format!(
                "the instance's certificate was of tenancy {known} and is of {found} now"
            ))),
            _ => Ok(known.insert(found).clone()),
        }
    }
}
