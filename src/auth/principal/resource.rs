// SPDX-License-Identifier: Apache-2.0
//! A resource as a principal: what the platform says by `OCI_RESOURCE_PRINCIPAL_…`.
//!
//! Version 2.2 hands over a session token and its key. The others name two services: one tells who the resource is, by
//! two tokens, and the identity service exchanges these for a session token of a key made for it. They are asked as the
//! instance (1.1), or with a key of the resource (2.1, 2.1.1, 2.1.2). A resource of any of these may be inside another
//! (3.0: nested.rs).

use super::given::{Given, GivenKey, Variables};
use super::instance::TokenAnswer;
use super::metadata::Metadata;
use super::renewing::{Fetched, Fetching, Regional, Renewing, Source};
use super::token::{self, Token};
use super::{Identity, Principal as _};
use crate::auth::web::{Answer, Ask, Signing, Web};
use crate::config::{Region, Regions};
use crate::error::{Error, ErrorKind, Failure, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use storescope_sign::{PrivateKey, Rule};
use zeroize::Zeroizing;

pub(super) const VERSION: &str = "OCI_RESOURCE_PRINCIPAL_VERSION";
pub(super) const REGION: &str = "OCI_RESOURCE_PRINCIPAL_REGION";
const RPST: &str = "OCI_RESOURCE_PRINCIPAL_RPST";
const PRIVATE_PEM: &str = "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM";
const PASSPHRASE: &str = "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_PASSPHRASE";
const RPT_ENDPOINT: &str = "OCI_RESOURCE_PRINCIPAL_RPT_ENDPOINT";
const RPST_ENDPOINT: &str = "OCI_RESOURCE_PRINCIPAL_RPST_ENDPOINT";
const RPT_PATH: &str = "OCI_RESOURCE_PRINCIPAL_RPT_PATH";
const RPT_ID: &str = "OCI_RESOURCE_PRINCIPAL_RPT_ID";
const RESOURCE_ID: &str = "OCI_RESOURCE_PRINCIPAL_RESOURCE_ID";
const TENANCY_ID: &str = "OCI_RESOURCE_PRINCIPAL_TENANCY_ID";
const SECURITY_CONTEXT: &str = "OCI_RESOURCE_PRINCIPAL_SECURITY_CONTEXT";

/// All of them: what a principal was made of.
pub(super) const VARIABLES: [&str; 12] = [
    VERSION,
    REGION,
    RPST,
    PRIVATE_PEM,
    PASSPHRASE,
    RPT_ENDPOINT,
    RPST_ENDPOINT,
    RPT_PATH,
    RPT_ID,
    RESOURCE_ID,
    TENANCY_ID,
    SECURITY_CONTEXT,
];

/// What a segment of a path leaves as it is, as Oracle's Python SDK writes it.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// How long the platform may take between its token's file and its key's.
const BETWEEN: Duration = Duration::from_millis(500);

pub(super) const ADVICE: &str = "a dynamic group and a policy must allow what it asks";

/// The region that the platform names.
pub(super) fn region(variables: &Variables, regions: &Regions) -> Option<Region> {
    variables.get(REGION).map(|region| regions.find(&region))
}

/// The key that the platform hands over.
fn key(variables: &Variables) -> Result<GivenKey> {
    let passphrase = variables.get(PASSPHRASE);
    let passphrase = passphrase.map(|value| Given::new(variables.name(PASSPHRASE), value));
    Ok(GivenKey::new(variables.given(PRIVATE_PEM)?, passphrase))
}

/// A token and a key that the platform hands over, and renews in its files (2.2).
#[derive(Debug)]
pub(super) struct HandedOver {
    rpst: Given,
    key: GivenKey,
    region: Option<Region>,
}

impl HandedOver {
    pub(super) fn new(variables: &Variables, regions: &Regions) -> Result<HandedOver> {
        Ok(HandedOver {
            rpst: variables.given(RPST)?,
            key: key(variables)?,
            region: region(variables, regions),
        })
    }
}

impl HandedOver {
    async fn read(&self) -> Result<Fetched, Failure> {
        let token = self.rpst.read()?;
        token::identity(&token, self.key.read().await?, None)
    }
}

impl Source for HandedOver {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let fetched = self.read().await;
            if !fetched.as_ref().is_err_and(token::is_of_another_key) {
                return fetched;
            }
            // One of the two files is written after the other.
            tokio::time::sleep(BETWEEN).await;
            self.read().await
        })
    }

    fn region(&self) -> Regional<'_> {
        Box::pin(std::future::ready(Ok(self.region.clone())))
    }

    fn advice(&self) -> String {
        let place = self.rpst.place();
        format!("the request was signed with the resource's session token of {place}; {ADVICE}")
    }
}

/// A resource whose session token is asked for (1.1, 2.1, 2.1.1, 2.1.2).
#[derive(Debug)]
pub(super) struct Exchanged {
    pub(super) web: Arc<Web>,
    rpt_endpoint: String,
    rpst_endpoint: String,
    path: String,
    /// Stands in place of `{id}` in the path, or behind it. Without it, the instance's.
    id: Option<String>,
    security_context: Option<String>,
    asks: Asks,
    metadata: Metadata,
    region: Option<Region>,
}

/// Who asks for a resource's token.
#[derive(Debug)]
enum Asks {
    Instance(Renewing),
    Resource { key_id: String, key: GivenKey },
}

/// The answer about a resource, which is sent on as it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    #[serde(deserialize_with = "token::secret")]
    resource_principal_token: Token,
    #[serde(deserialize_with = "token::secret")]
    service_principal_session_token: Token,
}

/// A request for a session token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wanted<'a> {
    resource_principal_token: &'a str,
    service_principal_session_token: &'a str,
    session_public_key: String,
}

impl Exchanged {
    /// Of version 1.1, asked for by `instance`.
    pub(super) fn of_instance(
        variables: &Variables,
        regions: &Regions,
        web: &Arc<Web>,
        metadata: &Metadata,
        instance: Renewing,
    ) -> Result<Exchanged> {
        let path = variables.get(RPT_PATH);
        let path = path.unwrap_or_else(|| "/20180711/resourcePrincipalToken/{id}".to_owned());
        let asks = Asks::Instance(instance);
        let id = variables.get(RPT_ID);
        Exchanged::new(variables, regions, web, metadata, (path, id, asks))
    }

    /// Of version 2.1, 2.1.1 or 2.1.2, asked for with the resource's own key.
    pub(super) fn of_resource(
        variables: &Variables,
        regions: &Regions,
        web: &Arc<Web>,
        metadata: &Metadata,
        version: &str,
    ) -> Result<Exchanged> {
        let id = variables.require(RESOURCE_ID)?;
        let key_id = match version {
            "2.1" => format!("resource/v2.1/{id}"),
            _ => format!("resource/v{version}/{}/{id}", variables.require(TENANCY_ID)?),
        };
        let path = match variables.get(RPT_PATH).filter(|_| version == "2.1.2") {
            Some(path) if path.ends_with("{}") => format!("{}{{id}}", path.trim_end_matches("{}")),
            Some(path) => format!("{}/{{id}}", path.trim_end_matches('/')),
            None if version == "2.1.2" => "/20180711/resourcePrincipalTokenV212/{id}".to_owned(),
            None => "/20180711/resourcePrincipalTokenV2/{id}".to_owned(),
        };
        let asks = Asks::Resource { key_id, key: key(variables)? };
        let mut made = Exchanged::new(variables, regions, web, metadata, (path, Some(id), asks))?;
        made.security_context = variables.get(SECURITY_CONTEXT).filter(|_| version == "2.1.2");
        Ok(made)
    }

    fn new(
        variables: &Variables,
        regions: &Regions,
        web: &Arc<Web>,
        metadata: &Metadata,
        (path, id, asks): (String, Option<String>, Asks),
    ) -> Result<Exchanged> {
        let endpoint = |name| {
            let url = variables.require(name)?;
            Ok::<_, Error>(url.trim_end_matches('/').to_owned())
        };
        Ok(Exchanged {
            web: Arc::clone(web),
            rpt_endpoint: endpoint(RPT_ENDPOINT)?,
            rpst_endpoint: endpoint(RPST_ENDPOINT)?,
            path,
            id,
            security_context: None,
            asks,
            metadata: metadata.clone(),
            region: region(variables, regions),
        })
    }

    async fn exchange(&self) -> Result<Fetched, Failure> {
        let (key_id, key) = self.signed_by().await?;
        let told = self.tell(&key_id, &key).await?;
        told.exchange(&self.web, &self.rpst_endpoint, (&key_id, &key)).await
    }

    /// The key that both requests are signed with, and its id.
    async fn signed_by(&self) -> Result<(Zeroizing<String>, PrivateKey), Failure> {
        match &self.asks {
            Asks::Instance(instance) => {
                let identity: Arc<Identity> = instance.identity().await?;
                Ok((identity.key_id.clone(), identity.key.clone()))
            }
            Asks::Resource { key_id, key } => {
                Ok((Zeroizing::new(key_id.clone()), key.read().await?))
            }
        }
    }

    async fn tell(&self, key_id: &str, key: &PrivateKey) -> Result<Told, Failure> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => self.metadata.get("/instance/id").await?.text()?.trim().to_owned(),
        };
        let id = utf8_percent_encode(&id, SEGMENT).to_string();
        let mut headers = vec![(CONTENT_TYPE, Zeroizing::new("application/json".to_owned()))];
        if let Some(context) = &self.security_context {
            let name = HeaderName::from_static("security-context");
            headers.push((name, Zeroizing::new(context.clone())));
        }
        let url = format!("{}{}", self.rpt_endpoint, self.path.replace("{id}", &id));
        tell(&self.web, url, headers, (key_id, key)).await?.json()
    }
}

/// Asks a resource's service for its two tokens.
pub(super) async fn tell(
    web: &Web,
    url: String,
    headers: Vec<(HeaderName, Zeroizing<String>)>,
    (key_id, key): (&str, &PrivateKey),
) -> Result<Answer, Failure> {
    let answer = web.ask(Ask {
        what: "the resource's service",
        method: Method::GET,
        url,
        headers,
        body: None,
        signed: Some(Signing { key_id, key, rule: Rule::Generic }),
    });
    Ok(answer.await?)
}

impl Told {
    /// Exchanges the two for a session token of a key made for it; whoever was told them signs.
    pub(super) async fn exchange(
        &self,
        web: &Web,
        endpoint: &str,
        (key_id, key): (&str, &PrivateKey),
    ) -> Result<Fetched, Failure> {
        let session = token::session_key().await?;
        // Large enough: one that grows would leave its former place behind uncleared.
        let tokens =
            self.resource_principal_token.len() + self.service_principal_session_token.len();
        let mut body = Zeroizing::new(Vec::with_capacity(tokens + 2048));
        let wanted = Wanted {
            resource_principal_token: &self.resource_principal_token,
            service_principal_session_token: &self.service_principal_session_token,
            session_public_key: STANDARD.encode(session.public_key().spki_der()),
        };
        serde_json::to_writer(&mut *body, &wanted).expect("writing to memory");
        let answer = web.ask(Ask {
            what: "the identity service",
            method: Method::POST,
            url: format!("{endpoint}/v1/resourcePrincipalSessionToken"),
            headers: Vec::new(),
            body: Some(("application/json", body)),
            signed: Some(Signing { key_id, key, rule: Rule::Body }),
        });
        let answer = answer.await?;
        let TokenAnswer { token } = answer.json()?;
        token::identity(&token, session, answer.date)
    }
}

impl Source for Exchanged {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let fetched = self.exchange().await;
            if let (Err(failure), Asks::Instance(instance)) = (&fetched, &self.asks)
                && failure.kind == ErrorKind::Unauthenticated
                && instance.refresh()
            {
                return self.exchange().await;
            }
            fetched
        })
    }

    fn region(&self) -> Regional<'_> {
        Box::pin(async {
            match (&self.region, &self.asks) {
                (None, Asks::Instance(_)) => self.metadata.region().await.map(Some),
                (region, _) => Ok(region.clone()),
            }
        })
    }

    fn advice(&self) -> String {
        format!("the request was signed as a resource that {} told of; {ADVICE}", self.rpt_endpoint)
    }
}
