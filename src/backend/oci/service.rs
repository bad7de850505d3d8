// SPDX-License-Identifier: Apache-2.0
//! What a store of OCI finds out before its first request: endpoint, principal, compartment.

use super::Oci;
use crate::auth::{Credentials, Principal, Principals, Signer, Standing};
use crate::config::{Auth, Config, Profile, Regions};
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
        Box::pin(self.service.get_or_try_init(|| self.find_out())).await
    }

    async fn find_out(&self) -> Result<Service, Failure> {
        let mut config = self.config.clone();
        if let Some(origin) = self.url.origin() {
            config = config.oci_endpoint(origin.to_owned());
        }
        if self.url.token().is_some() {
            config.auth = Auth::None;
        }
        // Files are read, and a key may have to be decrypted.
        let (principals, given) = (Arc::clone(&self.principals), self.given.clone());
        let namespace = self.url.namespace().map(str::to_owned);
        let load = move || Loaded::load(config, &principals, given.as_ref(), namespace);
        let loaded = tokio::task::spawn_blocking(load).await;
        let loaded = loaded.map_err(|e| Failure::new(ErrorKind::Config).source(e))??;
        let Place { url, compartment, region, principal } = loaded.place().await?;
        let (origin, base) = (url.origin(), url.path().to_owned());
        let signer =
            principal.map(|principal| Signer::new(principal, origin.authority(), &self.config));
        let host = HeaderValue::from_str(origin.authority())
            .map_err(|e| Failure::new(ErrorKind::Config).source(e))?;
        let endpoint = self.transport.endpoint(origin);
        Ok(Service { endpoint, base, host, signer, compartment, region })
    }
}

/// What settings and files say.
struct Loaded {
    config: Config,
    profile: Profile,
    regions: Regions,
    namespace: Option<String>,
    /// Nobody, where requests go unsigned.
    principal: Option<Box<dyn Principal>>,
}

/// What is made of it, and of what the principal knows.
struct Place {
    url: BaseUrl,
    compartment: Option<String>,
    region: Option<String>,
    principal: Option<Box<dyn Principal>>,
}

impl Loaded {
    fn load(
        config: Config,
        principals: &Principals,
        given: Option<&Arc<dyn Credentials>>,
        namespace: Option<String>,
    ) -> Result<Loaded, Error> {
        let mut named = config.clone();
        if principals.gives(given) {
            // As where nobody signs: the file may be absent.
            named.auth = Auth::None;
        }
        let profile = Profile::load(&named)?;
        let principal = match config.auth {
            Auth::None => None,
            _ => Some(principals.load(&config, &profile, given)?),
        };
        let regions = Regions::of_process();
        Ok(Loaded { config, profile, regions, namespace, principal })
    }

    async fn place(self) -> Result<Place, Failure> {
        let Loaded { config, profile, regions, namespace, principal } = self;
        // Settings and profile go before what the principal knows, which may have to be asked for.
        let standing = match &principal {
            Some(principal) => principal.standing().await?,
            None => Standing::default(),
        };
        let named = config.region_of(Scheme::Oci).or_else(|| profile.get("region"));
        let region = named.map(|named| regions.find(named)).or(standing.region);
        let endpoint = match (config.endpoint_of(Scheme::Oci), &region) {
            (Some(endpoint), _) => endpoint.to_owned(),
            (None, Some(region)) if config.realm_endpoint => {
                region.own_endpoint(namespace.as_deref())
            }
            (None, Some(region)) => region.endpoint("objectstorage"),
            (None, None) => {
                let mend = "set region (STORESCOPE_REGION) or endpoint (STORESCOPE_ENDPOINT)";
                return Err(profile.lacks("region", mend).into());
            }
        };
        let tenancy = || profile.get("tenancy").map(str::to_owned).or(standing.tenancy);
        let compartment = config.compartment.clone().or_else(tenancy);
        let region = region.map(|region| region.name);
        Ok(Place { url: BaseUrl::parse(&endpoint)?, compartment, region, principal })
    }
}
