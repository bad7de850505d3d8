// SPDX-License-Identifier: Apache-2.0
//! TLS cannot be left out or weakened by accident: a public address is asked by https alone, unless a setting permits
//! more, and no setting turns the verification of certificates off.

use crate::common::{
    self, Log, all_text, client, config, emulator, impatient, ms, read, store, store_at,
    store_elsewhere, stores_of,
};
use std::path::PathBuf;
use storescope::config::{Auth, SETTINGS, Secret};
use storescope::{Config, Error, ErrorKind};

/// An address for documentation (RFC 5737): public by its number, and nobody's.
const PUBLIC: &str = "http://203.0.113.1:9";

fn refused(error: &Error) {
    let text = all_text(error);
    assert_eq!(error.kind(), ErrorKind::Config, "{text}");
    assert!(text.contains("203.0.113.1") && text.contains("plain_http"), "{text}");
}

#[tokio::test]
async fn a_public_endpoint_of_http_is_refused() {
    let emulator = emulator();
    for store in stores_of(&emulator, PUBLIC) {
        refused(&read(&store, "k").await.unwrap_err());
    }
    // A URL of the web names its own.
    let anybody = client(impatient(Config::default(), 1));
    let par = store_at(&anybody, &format!("{PUBLIC}/p/a-token/n/ns/b/b/o/"));
    let error = read(&par, "k").await.unwrap_err();
    refused(&error);
    assert!(!all_text(&error).contains("a-token"));
}

#[tokio::test]
async fn no_identity_is_asked_for_without_tls() {
    let emulator = emulator();
    let identity = &emulator.ready().identity;
    let settings = || impatient(config(&emulator), 1).config_file(PathBuf::from("/nowhere"));
    let instance = settings()
        .auth(Auth::InstancePrincipal)
        .metadata_endpoint(format!("{}/opc/v2", identity.endpoint))
        .auth_endpoint(PUBLIC.to_owned());
    let exchanging = settings()
        .auth(Auth::TokenExchange)
        .identity_domain(PUBLIC.to_owned())
        .identity_client_id(identity.domain.client_id.clone())
        .identity_client_secret(Secret::from(identity.domain.client_secret.clone()))
        .subject_token_file(PathBuf::from(&identity.domain.subject_token_file));
    for config in [instance, exchanging] {
        let store = store(&client(config), &emulator);
        let error = read(&store, "k").await.unwrap_err();
        assert!(error.to_string().contains("203.0.113.1"), "{error}");
        assert!(error.to_string().contains("plain_http"), "{error}");
    }
}

#[tokio::test]
async fn what_is_permitted_is_warned_of_once() {
    let emulator = emulator();
    let (log, _listening) = Log::listen();
    let permitted = |config| impatient(config, 1).plain_http(true).connect_timeout(ms(1));
    let store = store_elsewhere(&emulator, PUBLIC.to_owned(), permitted);
    for _ in 0..2 {
        let error = read(&store, "k").await.unwrap_err();
        assert_ne!(error.kind(), ErrorKind::Config, "{error}");
    }
    assert_eq!(log.count("WARN", "not encrypted"), 1, "{:?}", log.lines());
}

#[tokio::test]
async fn this_machine_needs_no_permission_and_is_not_warned_of() {
    let world = common::World::new();
    let (log, _listening) = Log::listen();
    world.object("k", 10).await;
    assert_eq!(log.count("WARN", ""), 0, "{:?}", log.lines());
}

#[tokio::test]
async fn no_setting_turns_the_verification_of_certificates_off() {
    let emulator = emulator();
    let endpoint = emulator.ready().oci.tls_endpoint.clone();
    let switches =
        SETTINGS.iter().filter(|setting| ["true", "false"].contains(&&*setting.default()));
    let mut tried = 0;
    for setting in switches {
        for value in ["true", "false"] {
            let mut config = impatient(config(&emulator), 1).endpoint(endpoint.clone());
            config.set(setting.name, value).unwrap();
            // Empty is as if it were not set.
            config.set("ca_bundle", "").unwrap();
            let error = read(&store(&client(config), &emulator), "k").await.unwrap_err();
            if setting.name != "realm_endpoint" {
                assert_eq!(error.kind(), ErrorKind::Tls, "{}={value}: {error}", setting.name);
            }
            tried += 1;
        }
    }
    assert!(tried >= 8, "{tried}");
    assert!(emulator.record().is_empty());
}
