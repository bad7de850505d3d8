// SPDX-License-Identifier: Apache-2.0
//! The kinds of principal, each with its secrets.

use super::needles::{Needles, Relay};
use crate::common::{self, BUCKET};
use std::path::{Path, PathBuf};
use storescope::config::{Auth, Secret};
use storescope::{Config, StoreOptions, StoreUrl};
use storescope_emulator::Emulator;

pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) config: Config,
    pub(super) options: StoreOptions,
    pub(super) url: StoreUrl,
    /// Whether the store takes its requests.
    pub(super) works: bool,
    /// Whether they carry a proof.
    pub(super) signs: bool,
    pub(super) relays: Vec<Relay>,
    pub(super) emulator: Emulator,
    secrets: Vec<String>,
}

impl Kind {
    fn new(name: &'static str, config: impl FnOnce(&Emulator, &Config) -> Config) -> Kind {
        let emulator = common::emulator();
        let store = Relay::to(&emulator.ready().oci.endpoint);
        let identity = Relay::to(&emulator.ready().identity.endpoint);
        let basic = Config::default()
            .endpoint(store.endpoint())
            .auth_endpoint(identity.endpoint())
            .metadata_endpoint(format!("{}/opc/v2", identity.endpoint()))
            .config_file(PathBuf::from("/nowhere/config"));
        Kind {
            name,
            config: config(&emulator, &basic),
            options: StoreOptions::new(),
            url: common::bucket_url(&emulator).parse().unwrap(),
            works: true,
            signs: true,
            relays: vec![store, identity],
            emulator,
            secrets: Vec::new(),
        }
    }

    /// All that it must not tell: what the emulator has in its files, and what it was given.
    pub(super) fn needles(&self) -> Needles {
        let mut needles = Needles::default();
        for file in std::fs::read_dir(folder(&self.emulator)).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let secret = name.ends_with("key.pem") || name.contains("token") || name == "rpst";
            if secret && file.is_file() {
                needles.add_key_or_token(&name, &std::fs::read_to_string(&file).unwrap());
            }
        }
        needles.add("the domain's secret", &self.emulator.ready().identity.domain.client_secret);
        for secret in &self.secrets {
            if secret.contains("PRIVATE KEY") {
                needles.add_key_or_token(self.name, secret);
            } else {
                needles.add(self.name, secret);
            }
        }
        needles
    }
}

/// The folder of the emulator's configuration file, which has its keys and tokens, too.
pub(super) fn folder(emulator: &Emulator) -> PathBuf {
    Path::new(&emulator.ready().oci.config_file).parent().unwrap().to_owned()
}

/// A profile of the emulator's configuration file.
pub(super) fn profile(profile: &'static str, works: bool) -> Kind {
    let mut kind = Kind::new(profile, |emulator, basic| {
        let file = PathBuf::from(&emulator.ready().oci.config_file);
        basic.clone().config_file(file).profile(profile.to_owned())
    });
    kind.works = works;
    kind
}

/// A key in a setting, and its passphrase in a store's options. The emulator does not know it.
pub(super) fn encrypted() -> Kind {
    let keys = include_str!("../../../fixtures/oci-keys.json");
    let keys: serde_json::Value = serde_json::from_str(keys).unwrap();
    let pem = keys["encrypted"]["pkcs8-aes256-scrypt"].as_str().unwrap();
    let passphrase = keys["passphrase"].as_str().unwrap();
    let mut kind = Kind::new("encrypted", |_, basic| {
        basic
            .clone()
            .auth(Auth::ApiKey)
            .tenancy("ocid1.tenancy.oc1..x".to_owned())
            .user("ocid1.user.oc1..x".to_owned())
            .fingerprint(keys["fingerprint"].as_str().unwrap().to_owned())
            .key_content(Secret::from(pem))
    });
    kind.options = StoreOptions::new().set("pass_phrase", passphrase);
    kind.works = false;
    kind.secrets = vec![pem.to_owned(), passphrase.to_owned()];
    kind
}

pub(super) fn instance() -> Kind {
    Kind::new("instance", |_, basic| basic.clone().auth(Auth::InstancePrincipal))
}

pub(super) fn delegated_instance() -> Kind {
    Kind::new("delegated instance", |emulator, basic| {
        let file = folder(emulator).join("delegation_token");
        basic.clone().auth(Auth::InstanceOboUser).delegation_token_file(file)
    })
}

/// Its token service is asked by TLS, which no relay can look into.
pub(super) fn workload() -> Kind {
    Kind::new("workload", |emulator, basic| {
        let identity = &emulator.ready().identity;
        basic
            .clone()
            .auth(Auth::OkeWorkloadIdentity)
            .workload_endpoint(identity.tls_endpoint.clone())
            .service_account_token_file(PathBuf::from(&identity.service_account_token_file))
            .ca_bundle(PathBuf::from(&emulator.ready().oci.ca_bundle))
    })
}

pub(super) fn exchanged(works: bool) -> Kind {
    const WRONG: &str = "a wrong secret of the client";
    let mut kind = Kind::new("exchanged", |emulator, basic| {
        let domain = &emulator.ready().identity.domain;
        let secret = if works { domain.client_secret.as_str() } else { WRONG };
        basic
            .clone()
            .auth(Auth::TokenExchange)
            .identity_client_id(domain.client_id.clone())
            .identity_client_secret(Secret::from(secret))
            .subject_token_file(PathBuf::from(&domain.subject_token_file))
    });
    // Through the relay, which sees the client's password.
    let domain = kind.relays[1].endpoint();
    kind.config = kind.config.identity_domain(domain);
    kind.works = works;
    kind.secrets = vec![WRONG.to_owned()];
    kind
}

pub(super) fn pre_authenticated() -> Kind {
    let mut kind = Kind::new("pre-authenticated", |_, basic| basic.clone().auth(Auth::None));
    let namespace = &kind.emulator.ready().oci.namespace;
    let made = common::signed_post(
        &kind.emulator,
        &format!("/n/{namespace}/b/{BUCKET}/p"),
        r#"{"name":"p","accessType":"AnyObjectReadWrite","timeExpires":"2100-01-01T00:00:00Z"}"#,
    );
    let uri = made["accessUri"].as_str().unwrap();
    kind.url = format!("{}{uri}", kind.relays[0].endpoint()).parse().unwrap();
    kind.secrets = vec![uri.split('/').nth(2).unwrap().to_owned()];
    kind.signs = false;
    kind
}

/// Through a proxy that is not there, whose password is in a setting.
pub(super) fn proxied() -> Kind {
    const PASSWORD: &str = "pa55word-of-the-proxy";
    let mut kind = Kind::new("proxied", |emulator, basic| {
        let proxy = format!("http://user:{PASSWORD}@127.0.0.1:1");
        basic
            .clone()
            .config_file(PathBuf::from(&emulator.ready().oci.config_file))
            .http_proxy(Secret::from(proxy))
            .endpoint("http://store.test".to_owned())
    });
    kind.works = false;
    kind.signs = false;
    kind.secrets = vec![PASSWORD.to_owned()];
    kind
}

/// The emulator takes no session tokens.
#[cfg(feature = "s3")]
pub(super) fn access_key(token: Option<&'static str>, is_right: bool) -> Kind {
    const WRONG: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let mut kind = Kind::new("access key", |emulator, _| common::s3_config(emulator));
    let s3 = kind.emulator.ready().s3.clone().unwrap();
    kind.relays = vec![Relay::to(&s3.endpoint)];
    kind.config = kind.config.endpoint(kind.relays[0].endpoint());
    if let Some(token) = token {
        kind.config = kind.config.session_token(Secret::from(token));
    }
    if !is_right {
        kind.config = kind.config.secret_access_key(Secret::from(WRONG));
    }
    kind.url = format!("s3://{BUCKET}/").parse().unwrap();
    kind.works = is_right && token.is_none();
    kind.secrets = vec![WRONG.to_owned(), s3.secret_access_key];
    kind.secrets.extend(token.map(str::to_owned));
    kind
}
