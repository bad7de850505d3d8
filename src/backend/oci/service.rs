// SPDX-License-Identifier: Apache-2.0
//! What a store of OCI finds out before its first request: endpoint, principal, compartment.

use super::{Oci, realm};
use crate::auth::{self, Signer};
use crate::config::{Auth, Config, Profile};
use crate::error::{Error, ErrorKind, Failure};
use crate::transport::{BaseUrl, Endpoint};
use crate::url::Scheme;
use hyper::header::HeaderValue;
use std::sync::Arc;

/// What the first request finds out.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) endpoint: Arc<Endpoint>,
    /// The endpoint's path, which all targets lie below.
    pub(super) base: String,
    pub(super) host: HeaderValue,
    /// None signs nothing.
    pub(super) signer: Option<Signer>,
    pub(super) compartment: Option<String>,
    /// Where the settings or the profile name it.
    pub(super) region: Option<String>,
}

impl Service {
    pub(super) fn compartment(&self) -> Result<&str, Failure> {
        self.compartment.as_deref().ok_or_else(|| {
            Failure::new(ErrorKind::Config)
                .message("no compartment is known: set compartment, or tenancy in the profile")
        })
    }
}

impl Oci {
    pub(super) async fn service(&self) -> Result<&Service, Failure> {
        if let Some(service) = self.service.get() {
            return Ok(service);
        }
        let made = self.service.get_or_try_init(|| async {
            // Files are read, and a key may have to be decrypted.
            let mut config = self.config.clone();
            if let Some(origin) = self.url.origin() {
                config = config.oci_endpoint(origin.to_owned());
            }
            if self.url.token().is_some() {
                config.auth = Auth::None;
            }
            let namespace = self.url.namespace().map(str::to_owned);
            let loaded =
                tokio::task::spawn_blocking(move || load(&config, namespace.as_deref())).await;
            let Loaded { url, principal, compartment, region } =
                loaded.map_err(|e| Failure::new(ErrorKind::Config).source(e))??;
            let (origin, base) = (url.origin(), url.path().to_owned());
            let signer =
                principal.map(|principal| Signer::new(principal, origin.authority(), &self.config));
            let host = HeaderValue::from_str(origin.authority())
                .map_err(|e| Failure::new(ErrorKind::Config).source(e))?;
            let endpoint = self.transport.endpoint(origin);
            Ok(Service { endpoint, base, host, signer, compartment, region })
        });
        Box::pin(made).await
    }
}

struct Loaded {
    url: BaseUrl,
    /// Nobody, where requests go unsigned.
    principal: Option<Box<dyn auth::Principal>>,
    compartment: Option<String>,
    region: Option<String>,
}

fn load(config: &Config, namespace: Option<&str>) -> Result<Loaded, Error> {
    let profile = Profile::load(config)?;
    let principal = match config.auth {
        Auth::None => None,
        _ => Some(auth::load(config, &profile)?),
    };
    let region = config.region_of(Scheme::Oci).or_else(|| profile.get("region"));
    let region = region.map(realm::region);
    let endpoint = match (config.endpoint_of(Scheme::Oci), &region) {
        (Some(endpoint), _) => endpoint.to_owned(),
        (None, Some(region)) if config.realm_endpoint => realm::own_endpoint(region, namespace),
        (None, Some(region)) => realm::endpoint(region),
        (None, None) => {
            let mend = "set region (STORESCOPE_REGION) or endpoint (STORESCOPE_ENDPOINT)";
            return Err(profile.lacks("region", mend));
        }
    };
    let compartment =
        config.compartment.clone().or_else(|| profile.get("tenancy").map(str::to_owned));
    Ok(Loaded { url: BaseUrl::parse(&endpoint)?, principal, compartment, region })
}
