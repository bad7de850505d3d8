// SPDX-License-Identifier: Apache-2.0
//! A workload of an OKE cluster as a principal: the token of the pod's service account is exchanged for a session token
//! of a key made for it, by a service of the cluster.

use super::given::{Given, Variables};
use super::renewing::{Fetched, Fetching, Regional, Source};
use super::resource;
use super::token::{self, Token};
use crate::auth::web::{Answer, Ask, Web};
use crate::config::{Config, Region, Regions};
use crate::error::{Error, ErrorKind, Failure, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderName};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use zeroize::Zeroizing;

const HOST: &str = "KUBERNETES_SERVICE_HOST";
const CA: &str = "OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH";
const DEFAULT_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// All SDKs have it fixed.
const PORT: u16 = 12250;

#[derive(Debug)]
pub(super) struct Workload {
    web: Web,
    url: String,
    account: Given,
    region: Option<Region>,
}

/// The answer, inside a text in base64.
#[derive(Deserialize)]
struct Issued {
    #[serde(deserialize_with = "token::secret")]
    token: Token,
}

impl Workload {
    /// Where it is asked: below the setting `workload_endpoint`, else at the cluster's own address.
    fn endpoint(config: &Config, variables: &Variables) -> Option<String> {
        let named = config.workload_endpoint.as_deref();
        let named = named.map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        named.or_else(|| {
            let host = variables.get(HOST)?;
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            Some(format!("https://{host}:{PORT}"))
        })
    }

    /// The file of the service account's token.
    fn account(config: &Config) -> PathBuf {
        config.service_account_token_file.clone().unwrap_or_else(|| TOKEN.into())
    }

    /// Why this process is no workload of a cluster, as far as can be seen without asking.
    pub(super) fn absence(config: &Config, variables: &Variables) -> Option<String> {
        if Workload::endpoint(config, variables).is_none() {
            return Some(format!("{HOST} is not set"));
        }
        let account = Workload::account(config);
        (!account.exists()).then(|| format!("there is no {}", account.display()))
    }

    /// `config` is the store's, `transport` the client's.
    pub(super) fn new(
        config: &Config,
        transport: &Config,
        user_agent: &'static str,
        variables: &Variables,
        regions: &Regions,
    ) -> Result<Workload> {
        let endpoint = Workload::endpoint(config, variables)
            .ok_or_else(|| Error::config(format!("environment variable {HOST} is not set")))?;
        let ca = variables.get(CA).unwrap_or_else(|| DEFAULT_CA.to_owned());
        // Without one, what the client trusts.
        let ca = Path::new(&ca);
        let web = Web::near(transport, user_agent, ca.exists().then_some(ca));
        let account = std::path::absolute(Workload::account(config));
        let account = account.unwrap_or_default().to_string_lossy().into_owned();
        Ok(Workload {
            web,
            url: format!("{endpoint}/resourcePrincipalSessionTokens"),
            account: Given::new("service_account_token_file", account),
            region: resource::region(variables, regions),
        })
    }

    async fn exchange(&self) -> Result<Fetched, Failure> {
        let account = self.account.read()?;
        if token::expiry(&account).is_some_and(|ends| ends <= SystemTime::now()) {
            let what =
                format!("the service account's token of {} has expired", self.account.place());
            return Err(Failure::new(ErrorKind::Config).message(what));
        }
        let session = token::session_key().await?;
        let key = STANDARD.encode(session.public_key().spki_der());
        let body = serde_json::json!({ "podKey": key }).to_string().into_bytes();
        let id = || format!("{:032x}", fastrand::u128(..));
        let answer = self.web.ask(Ask {
            what: "the cluster's token service",
            method: Method::POST,
            url: self.url.clone(),
            headers: vec![
                (AUTHORIZATION, Zeroizing::new(format!("Bearer {}", *account))),
                (
                    HeaderName::from_static("opc-request-id"),
                    Zeroizing::new(format!("{}/{}/{}", id(), id(), id())),
                ),
            ],
            body: Some(("application/json", Zeroizing::new(body))),
            signed: None,
        });
        let answer = answer.await.map_err(|refusal| {
            let is_basic = refusal.status == Some(StatusCode::FORBIDDEN);
            let failure = Failure::from(refusal);
            if is_basic {
                failure.hint("workload identity needs an enhanced cluster")
            } else {
                failure
            }
        })?;
        let token = issued(&answer)?;
        let fetched = token::identity(&token, session, answer.date)?;
        Ok(Fetched { half: true, ..fetched })
    }
}

/// The token of an answer: JSON in base64 in a JSON text, with the `ST$` of a key id.
fn issued(answer: &Answer) -> Result<Token, Failure> {
    let text: Token = Zeroizing::new(answer.json()?);
    let decoded = STANDARD.decode(text.as_bytes()).map(Zeroizing::new);
    let decoded = decoded.map_err(|_| answer.strange("is no base64"))?;
    let Issued { token } =
        serde_json::from_slice(&decoded).map_err(|_| answer.strange("has no token"))?;
    Ok(match token.strip_prefix("ST$") {
        Some(bare) => Zeroizing::new(bare.to_owned()),
        None => token,
    })
}

impl Source for Workload {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.exchange())
    }

    fn region(&self) -> Regional<'_> {
        Box::pin(std::future::ready(Ok(self.region.clone())))
    }

    fn advice(&self) -> String {
        "the request was signed as a workload of this cluster; a policy must allow its service account what it asks"
            .to_owned()
    }
}
