// SPDX-License-Identifier: Apache-2.0
//! The principals of a client: which one the settings name, shared by the stores that have the same.

use super::api_key::ApiKey;
use super::chain::{Chain, Link};
use super::delegation::Delegated;
use super::exchange::TokenExchange;
use super::given::Variables;
use super::instance::Instance;
use super::key::Key;
use super::metadata::{ENDPOINTS, Metadata};
use super::nested::{self, Nested};
use super::provided::Provisions;
use super::renewing::{Renewing, Source};
use super::resource::{self, Exchanged, HandedOver};
use super::session::SessionToken;
use super::workload::Workload;
use super::{Identity, Principal};
#[cfg(feature = "s3")]
use crate::auth::credentials::AccessKey;
use crate::auth::credentials::Credentials;
use crate::auth::web::Web;
use crate::config::Source as ConfigSource;
use crate::config::{Auth, Config, Profile, Regions};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use storescope_sign::sha256;

/// What a profile names who signs by.
const NAMING: [&str; 5] = ["user", "fingerprint", "key_file", "key_content", "security_token_file"];

/// The principals of a client.
#[derive(Debug)]
pub(crate) struct Principals {
    /// Of the client: how services are reached.
    transport: Config,
    user_agent: &'static str,
    variables: Variables,
    given: Option<Arc<dyn Credentials>>,
    provided: Provisions<Identity>,
    #[cfg(feature = "s3")]
    keys: Provisions<AccessKey>,
    web: OnceLock<Arc<Web>>,
    /// By what they were made of.
    shared: Mutex<HashMap<[u8; 32], Renewing>>,
}

impl Principals {
    pub(crate) fn new(
        transport: &Config,
        user_agent: &'static str,
        given: Option<Arc<dyn Credentials>>,
    ) -> Principals {
        Principals {
            transport: transport.clone(),
            user_agent,
            variables: Variables::of_process(),
            given,
            provided: Provisions::new(),
            #[cfg(feature = "s3")]
            keys: Provisions::new(),
            web: OnceLock::new(),
            shared: Mutex::default(),
        }
    }

    /// Those of a test, which has variables of its own.
    #[cfg(test)]
    pub(super) fn with_variables(transport: &Config, variables: Variables) -> Principals {
        Principals { variables, ..Principals::new(transport, "test", None) }
    }

    /// The principal of a store: `given` to it, or to the client, else the one that `config` and `profile` name. Reads
    /// files; asks nothing of a service.
    pub(crate) fn load(
        &self,
        config: &Config,
        profile: &Profile,
        given: Option<&Arc<dyn Credentials>>,
    ) -> Result<Box<dyn Principal>> {
        if let Some(given) = given.or(self.given.as_ref()) {
            return Ok(Box::new(self.provided.of(given)));
        }
        let regions = Regions::of_process();
        let store = Store { principals: self, config, profile, regions };
        let principal = store.principal()?;
        Ok(match profile.get("delegation_token_file") {
            Some(_) => Box::new(Delegated::load(principal, profile)?),
            None => principal,
        })
    }

    /// Whether a store's identities are given out by the program, so that neither settings nor profile name them.
    pub(crate) fn gives(&self, given: Option<&Arc<dyn Credentials>>) -> bool {
        given.or(self.given.as_ref()).is_some()
    }

    /// The access keys that a store's own `given` gives out. What the client was given is for OCI stores.
    #[cfg(feature = "s3")]
    pub(crate) fn access_keys(&self, given: &Arc<dyn Credentials>) -> Renewing<AccessKey> {
        self.keys.of(given)
    }

    fn web(&self) -> &Arc<Web> {
        self.web.get_or_init(|| Arc::new(Web::new(&self.transport, self.user_agent)))
    }

    /// The principal that was made of the same before, or a new one.
    fn share(&self, of: &[&str], make: impl FnOnce() -> Result<Renewing>) -> Result<Renewing> {
        let key = sha256(of.join("\0").as_bytes());
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.get(&key) {
            return Ok(known.clone());
        }
        let made = make()?;
        shared.insert(key, made.clone());
        Ok(made)
    }
}

/// What one store's principal is made of.
struct Store<'a> {
    principals: &'a Principals,
    config: &'a Config,
    profile: &'a Profile,
    regions: Regions,
}

impl Store<'_> {
    fn principal(&self) -> Result<Box<dyn Principal>> {
        let renewing = match self.named()? {
            Auth::ApiKey | Auth::None => {
                let key = Key::load(self.profile)?;
                return Ok(Box::new(ApiKey::load(key, self.profile, self.config)?));
            }
            // Of its own for each store: another store may be opened after the files have changed.
            Auth::SecurityToken => self.session()?,
            Auth::InstancePrincipal => self.instance()?,
            Auth::InstanceOboUser => {
                self.profile.require("delegation_token_file")?;
                self.instance()?
            }
            Auth::ResourcePrincipal => {
                self.share("resource", || Ok(Renewing::new(self.resource()?)))?
            }
            Auth::OkeWorkloadIdentity => {
                self.share("workload", || Ok(Renewing::new(Box::new(self.workload()?))))?
            }
            Auth::TokenExchange => {
                let made = || TokenExchange::new(self.config, self.principals.web());
                self.share("exchange", || Ok(Renewing::new(Box::new(made()?))))?
            }
            Auth::Auto => self.share("auto", || Ok(Renewing::new(Box::new(self.chain()))))?,
        };
        Ok(Box::new(renewing))
    }

    /// Who signs: the settings, else the profile. `Auto` where neither says it.
    fn named(&self) -> Result<Auth> {
        let (config, profile) = (self.config, self.profile);
        if config.auth != Auth::Auto {
            if config.auth == Auth::SecurityToken {
                profile.require("security_token_file")?;
            }
            return Ok(config.auth);
        }
        let by_token = || {
            // A user of the settings goes before a token of the profile: not half of one and half of the other.
            let is_token = match profile.source("security_token_file") {
                Some(ConfigSource::File) => !config.identifies(),
                found => found.is_some(),
            };
            if is_token { Auth::SecurityToken } else { Auth::ApiKey }
        };
        if config.identifies() {
            return Ok(by_token());
        }
        if let Some(kind) = profile.get("authentication_type") {
            return Auth::named(kind)
                .map_err(|why| profile.error("authentication_type", &format!("{kind:?}: {why}")));
        }
        let is_named = NAMING.iter().any(|key| profile.get(key).is_some());
        Ok(if is_named { by_token() } else { Auth::Auto })
    }

    fn session(&self) -> Result<Renewing> {
        let region = self.config.region.as_deref().or_else(|| self.profile.get("region"));
        let regional = || Some(self.regions.find(region?).endpoint("auth"));
        let endpoint = self.auth_endpoint().or_else(regional);
        let key = Key::load(self.profile)?.private;
        SessionToken::load(key, self.profile, self.principals.web(), endpoint)
    }

    fn instance(&self) -> Result<Renewing> {
        self.share("instance", || Ok(Renewing::new(Box::new(self.instance_source()))))
    }

    fn instance_source(&self) -> Instance {
        Instance {
            metadata: self.metadata(),
            web: Arc::clone(self.principals.web()),
            auth_endpoint: self.auth_endpoint(),
            tenancy: Mutex::default(),
        }
    }

    /// What the platform says that this resource is.
    fn resource(&self) -> Result<Box<dyn Source>> {
        let Principals { variables, .. } = self.principals;
        if variables.get(resource::VERSION).as_deref() != Some("3.0") {
            return self.resource_of(variables);
        }
        let (regions, web) = (&self.regions, self.principals.web());
        let leaf = Renewing::new(self.resource_of(&variables.suffixed(nested::LEAF))?);
        Ok(Box::new(Nested::new(variables, regions, web, leaf)?))
    }

    /// A resource that is inside no other.
    fn resource_of(&self, variables: &Variables) -> Result<Box<dyn Source>> {
        let (regions, web) = (&self.regions, self.principals.web());
        let version = variables.require(resource::VERSION)?;
        Ok(match version.as_str() {
            "2.2" => Box::new(HandedOver::new(variables, regions)?),
            "1.1" => {
                // It must not take the lock of those that are shared again.
                let instance: Renewing = Renewing::new(Box::new(self.instance_source()));
                let metadata = self.metadata();
                Box::new(Exchanged::of_instance(variables, regions, web, &metadata, instance)?)
            }
            "2.1" | "2.1.1" | "2.1.2" => {
                let metadata = self.metadata();
                Box::new(Exchanged::of_resource(variables, regions, web, &metadata, &version)?)
            }
            _ => {
                let known = "1.1, 2.1, 2.1.1, 2.1.2, 2.2 and 3.0";
                let name = variables.name(resource::VERSION);
                return Err(Error::config(format!(
                    "{name}={version:?}: resource principals of {known} are known"
                )));
            }
        })
    }

    fn workload(&self) -> Result<Workload> {
        let Principals { variables, transport, user_agent, .. } = self.principals;
        Workload::new(self.config, transport, user_agent, variables, &self.regions)
    }

    fn chain(&self) -> Chain {
        let variables = &self.principals.variables;
        let resource = match variables.get(resource::VERSION) {
            None => Err(format!("{} is not set", resource::VERSION)),
            Some(_) => Ok(self.resource().unwrap_or_else(|error| Box::new(Broken(error)))),
        };
        let workload = match Workload::absence(self.config, variables) {
            Some(absent) => Err(absent),
            None => self.workload().map_err(|error| error.to_string()),
        };
        let links = vec![
            Link { name: "resource principal", source: resource, is_named: true },
            Link {
                name: "OKE workload identity",
                source: workload.map(|workload| Box::new(workload) as _),
                is_named: false,
            },
            Link {
                name: "instance principal",
                source: Ok(Box::new(self.instance_source())),
                is_named: false,
            },
        ];
        Chain::new(self.profile.absence(), links)
    }

    fn metadata(&self) -> Metadata {
        let Principals { transport, user_agent, .. } = self.principals;
        let web = Web::near(transport, user_agent, None);
        match self.config.metadata_endpoint.as_deref() {
            Some(named) => Metadata::new(web, &[named], self.regions.clone()),
            None => Metadata::new(web, &ENDPOINTS, self.regions.clone()),
        }
    }

    /// The identity service, where the settings name it: also as the CLI does, with the path of one call.
    fn auth_endpoint(&self) -> Option<String> {
        let endpoint = self.config.auth_endpoint.as_deref()?.trim_end_matches('/');
        Some(endpoint.strip_suffix("/v1/x509").unwrap_or(endpoint).to_owned())
    }

    /// A principal that stores share where all that it may be made of is equal.
    fn share(&self, kind: &str, make: impl FnOnce() -> Result<Renewing>) -> Result<Renewing> {
        let config = self.config;
        let path = |path: &Option<std::path::PathBuf>| {
            path.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let secret = config.identity_client_secret.as_ref().map_or("", |secret| secret.reveal());
        let mut of = vec![
            kind.to_owned(),
            text(&config.auth_endpoint),
            text(&config.metadata_endpoint),
            text(&config.workload_endpoint),
            path(&config.service_account_token_file),
            text(&config.identity_domain),
            text(&config.identity_client_id),
            path(&config.subject_token_file),
            self.profile.absence(),
        ];
        let variables = &self.principals.variables;
        let leaf = variables.suffixed(nested::LEAF);
        of.extend(nested::VARIABLES.map(|name| text(&variables.get(name))));
        for variables in [variables, &leaf] {
            of.extend(resource::VARIABLES.map(|name| text(&variables.get(name))));
        }
        let of = zeroize::Zeroizing::new(of);
        let of: Vec<&str> = of.iter().map(String::as_str).chain([secret]).collect();
        self.principals.share(&of, make)
    }
}

/// A principal that was named and cannot be made.
#[derive(Debug)]
struct Broken(Error);

impl Source for Broken {
    fn fetch(&self) -> super::renewing::Fetching<'_> {
        Box::pin(std::future::ready(Err(self.0.clone().into())))
    }

    fn advice(&self) -> String {
        String::new()
    }
}
