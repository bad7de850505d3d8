// SPDX-License-Identifier: Apache-2.0
//! Who signs where nothing, or only a profile, says it.

use super::fake::{Asked, Fake, refused};
use super::remote::{config as config_of, load, services};
use crate::config::{Auth, Config};
use crate::error::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

fn with_file(fake: &Fake, dir: &Path, text: &str) -> Config {
    std::fs::write(dir.join("config"), text).unwrap();
    config_of(Auth::Auto, fake).config_file(dir.join("config"))
}

#[tokio::test]
async fn without_any_configuration_the_error_says_what_was_tried() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::new(|_: &Asked| refused(404));
    // A profile that has a region alone.
    let config = with_file(&fake, dir.path(), "[DEFAULT]\nregion=iad\n")
        .metadata_endpoint("http://127.0.0.1:1/opc/v2".to_owned());
    let failure = load(&config, &[]).unwrap().identity().await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Config);
    let told = Error::from(failure).to_string();
    println!("{told}");
    let told = told.replace(&dir.path().display().to_string(), "~/.oci");
    assert_eq!(told, LAPTOP);
}

/// What a machine is told that nothing was set up on.
const LAPTOP: &str = "configuration: nothing says who signs (auth=auto); tried in this order: \
    settings and profile: profile [DEFAULT] of ~/.oci/config names neither a key nor a token; \
    resource principal: OCI_RESOURCE_PRINCIPAL_VERSION is not set; \
    OKE workload identity: KUBERNETES_SERVICE_HOST is not set; \
    instance principal: instance metadata (http://127.0.0.1:1/opc/v2/identity/cert.pem): \
    http://127.0.0.1:1: nothing listens there: Connection refused (os error 111); \
    run `oci setup config` for an API key or `oci session authenticate` for a session, or name a principal by auth \
    (docs/AUTH.md)";

/// A machine that is no instance, and drops what is sent to the address of metadata, is not waited for.
#[test]
fn metadata_is_given_two_seconds_to_be_connected_to() {
    let slow = Config::default().connect_timeout(Duration::from_mins(1));
    let two = Duration::from_secs(2);
    for (config, most) in
        [(Config::default(), two), (slow, two), (hasty(), Duration::from_millis(100))]
    {
        let near = crate::auth::web::Web::nearby(&config, None);
        assert_eq!(near.connect_timeout, most);
    }
}

fn hasty() -> Config {
    Config::default().connect_timeout(Duration::from_millis(100))
}

#[tokio::test]
async fn the_first_that_works_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::new(|asked: &Asked| match asked.target.as_str() {
        "/resourcePrincipalSessionTokens" => refused(403),
        _ => services(asked),
    });
    // A pod of a basic cluster, on an instance.
    std::fs::write(dir.path().join("account"), "opaque").unwrap();
    let config = with_file(&fake, dir.path(), "[DEFAULT]\nregion=phx\n")
        .workload_endpoint(fake.url.clone())
        .service_account_token_file(dir.path().join("account"));
    let principal = load(&config, &[]).unwrap();
    principal.identity().await.unwrap();
    assert!(principal.refresh());
    principal.identity().await.unwrap();
    assert_eq!(fake.asked_for("/resourcePrincipalSessionTokens").len(), 1, "asked once");
    assert_eq!(fake.asked_for("/v1/x509").len(), 2);
    assert!(principal.advice().contains("instance"), "{}", principal.advice());
    assert_eq!(principal.standing().await.unwrap().region.unwrap().name, "us-ashburn-1");
}

#[tokio::test]
async fn a_resource_that_is_named_and_fails_is_told_and_nothing_else_is_tried() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::new(services);
    let config = with_file(&fake, dir.path(), "[DEFAULT]\nregion=phx\n");
    let given = [("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2".to_owned())];
    let failure = load(&config, &given).unwrap().identity().await.unwrap_err();
    assert!(failure.message.starts_with("resource principal: "), "{}", failure.message);
    assert!(failure.message.contains("OCI_RESOURCE_PRINCIPAL_RPST"), "{}", failure.message);
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_profile_names_who_signs_by_its_type_or_by_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::new(services);
    let text = "[DEFAULT]\nauthentication_type=instance_principal\n";
    let config = with_file(&fake, dir.path(), text);
    load(&config, &[]).unwrap().identity().await.unwrap();
    assert_eq!(fake.asked_for("/v1/x509").len(), 1);
    std::fs::write(dir.path().join("obo"), "obo.token").unwrap();
    let obo = format!("{text}delegation_token_file={}\n", dir.path().join("obo").display());
    let config = with_file(&fake, dir.path(), &obo);
    let principal = load(&config, &[]).unwrap();
    let identity = principal.identity().await.unwrap();
    assert_eq!(identity.delegation.as_deref().map(String::as_str), Some("obo.token"));
    assert!(principal.standing().await.unwrap().region.is_some());
    let odd = with_file(&fake, dir.path(), "[DEFAULT]\nauthentication_type=magic\n");
    let odd = load(&odd, &[]).unwrap_err().to_string();
    assert!(odd.contains("magic") && odd.contains("instance_principal"), "{odd}");
    // Half a key is a mistake, not a reason to sign as somebody else.
    let half = with_file(&fake, dir.path(), "[DEFAULT]\nuser=ocid1.user.oc1..u\n");
    let half = load(&half, &[]).unwrap_err().to_string();
    assert!(half.contains("key_file"), "{half}");
    let obo = config.auth(Auth::InstanceOboUser);
    let obo = with_file(&fake, dir.path(), "[DEFAULT]\n").auth(obo.auth);
    let lacking = load(&obo, &[]).unwrap_err().to_string();
    assert!(lacking.contains("delegation_token_file"), "{lacking}");
    // A file that was named and is not there is no reason either.
    assert!(load(&config_of(Auth::Auto, &fake), &[]).is_err());
}
