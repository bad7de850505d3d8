// SPDX-License-Identifier: Apache-2.0
//! Principals of profiles.

mod chain;
mod fake;
mod given_out;
mod remote;

use super::renewing::LOOK_EVERY;
use super::*;
use crate::config::{Config, Profile};
use crate::error::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The principal that settings and profile name.
fn load(config: &Config, profile: &Profile) -> Result<Box<dyn Principal>> {
    Principals::new(config, "test", None).load(config, profile, None)
}

fn profile(dir: &Path, key: &str, extra: &str) -> Result<Box<dyn Principal>> {
    std::fs::write(dir.join("key.pem"), key).unwrap();
    let text = format!(
        "[DEFAULT]\nuser=ocid1.user.oc1..u\ntenancy=ocid1.tenancy.oc1..t\nfingerprint=00:11\nkey_file={}\n{extra}",
        dir.join("key.pem").display()
    );
    std::fs::write(dir.join("config"), text).unwrap();
    let config = Config::default().config_file(dir.join("config"));
    load(&config, &Profile::load(&config)?)
}

fn vectors() -> serde_json::Value {
    let file = Path::new("fixtures/oci-signing.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn bad_keys_name_the_file_the_profile_and_the_mend() {
    let dir = tempfile::tempdir().unwrap();
    let vectors = vectors();
    let key = |name: &str| vectors["keys"]["main"][name].as_str().unwrap().to_owned();
    for (pem, extra, mend) in [
        (key("private_pkcs8_encrypted_pem"), "", "add pass_phrase"),
        (key("private_pkcs8_encrypted_pem"), "pass_phrase=wrong", "correct pass_phrase"),
        (key("private_pkcs1_encrypted_pem"), "pass_phrase=wrong", "correct pass_phrase"),
        (key("public_pem"), "", "private key of the pair"),
        ("nothing".to_owned(), "", "PEM"),
    ] {
        let error = profile(dir.path(), &pem, extra).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            text.contains("key.pem") && text.contains("[DEFAULT]") && text.contains(mend),
            "{text}"
        );
    }
    profile(dir.path(), &key("private_pkcs1_encrypted_pem"), "pass_phrase=correct-horse").unwrap();
}

#[test]
fn a_fingerprint_that_is_not_the_keys_is_told_with_both() {
    let dir = tempfile::tempdir().unwrap();
    let vectors = vectors();
    let main = &vectors["keys"]["main"];
    let principal = profile(dir.path(), main["private_pkcs1_pem"].as_str().unwrap(), "").unwrap();
    let advice = principal.advice();
    assert!(
        advice.contains("00:11") && advice.contains(main["fingerprint"].as_str().unwrap()),
        "{advice}"
    );
}

#[tokio::test]
async fn a_key_that_was_corrected_is_read_again_after_a_401() {
    let dir = tempfile::tempdir().unwrap();
    let keys = &vectors()["keys"];
    let key = |name: &str| keys[name]["private_pkcs1_pem"].as_str().unwrap().to_owned();
    let principal = profile(dir.path(), &key("main"), "").unwrap();
    let first = principal.current().unwrap();
    assert!(!principal.refresh() && Arc::ptr_eq(&first, &principal.current().unwrap()));
    renew(&dir.path().join("key.pem"), &key("leaf"), 5);
    assert!(Arc::ptr_eq(&first, &principal.current().unwrap()), "only after a 401");
    assert!(principal.refresh());
    let second = principal.current().unwrap();
    assert_eq!(second.key_id, first.key_id);
    let config = dir.path().join("config");
    let text = std::fs::read_to_string(&config).unwrap();
    renew(&config, "[DEFAULT]\nuser=", 9);
    assert!(!principal.refresh(), "half-written");
    renew(&config, &text.replace("ocid1.user.oc1..u", "ocid1.user.oc1..v"), 12);
    assert!(principal.refresh() && !principal.refresh());
    assert_eq!(
        *principal.current().unwrap().key_id,
        "ocid1.tenancy.oc1..t/ocid1.user.oc1..v/00:11"
    );
    assert!(principal.advice().contains("fingerprint is 00:11"), "{}", principal.advice());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_renewed_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "a.e30.c\n").unwrap();
    let vectors = vectors();
    let pem = vectors["keys"]["main"]["private_pkcs8_pem"].as_str().unwrap().to_owned();
    let principal =
        profile(dir.path(), &pem, &format!("security_token_file={}", token.display())).unwrap();
    let first = principal.current().unwrap();
    assert_eq!(*first.key_id, "ST$a.e30.c");
    std::fs::write(&token, "b.e30.c").unwrap();
    std::fs::File::open(&token)
        .unwrap()
        .set_modified(SystemTime::now() + Duration::from_secs(5))
        .unwrap();
    assert!(Arc::ptr_eq(&first, &principal.current().unwrap()), "not looked at within a second");
    tokio::time::advance(LOOK_EVERY).await;
    assert_eq!(*principal.current().unwrap().key_id, "ST$b.e30.c");
    assert!(!format!("{principal:?}").contains("e30"));
}

/// Writes a token as its tool would: with a date of its own.
fn renew(file: &Path, token: &str, later: u64) {
    std::fs::write(file, token).unwrap();
    let date = SystemTime::now() + Duration::from_secs(later);
    std::fs::File::options().append(true).open(file).unwrap().set_modified(date).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_delegation_token_makes_another_identity_and_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (token, session) = (dir.path().join("obo"), dir.path().join("session"));
    std::fs::write(&token, "first.obo.token\n").unwrap();
    std::fs::write(&session, "a.e30.c").unwrap();
    let vectors = vectors();
    let pem = vectors["keys"]["main"]["private_pkcs8_pem"].as_str().unwrap().to_owned();
    let extra = format!(
        "delegation_token_file={}\nsecurity_token_file={}",
        token.display(),
        session.display()
    );
    let principal = profile(dir.path(), &pem, &extra).unwrap();
    let told = |identity: &Identity| {
        (identity.key_id.to_string(), identity.delegation.as_deref().cloned().unwrap())
    };
    let first = principal.current().unwrap();
    assert_eq!(told(&first), ("ST$a.e30.c".to_owned(), "first.obo.token".to_owned()));
    assert!(Arc::ptr_eq(&first, &principal.current().unwrap()), "one, while nothing changes");
    renew(&token, "second.obo.token", 5);
    assert!(Arc::ptr_eq(&first, &principal.current().unwrap()), "not looked at yet");
    tokio::time::advance(LOOK_EVERY).await;
    let second = principal.current().unwrap();
    assert_eq!(told(&second).1, "second.obo.token");
    renew(&session, "b.e30.c", 5);
    assert!(principal.refresh());
    let third = principal.current().unwrap();
    assert_eq!(told(&third), ("ST$b.e30.c".to_owned(), "second.obo.token".to_owned()));
    renew(&token, "", 9);
    assert!(!principal.refresh(), "half-written");
    assert!(Arc::ptr_eq(&third, &principal.current().unwrap()));
    let shown = format!("{principal:?} {}", principal.advice());
    assert!(!shown.contains("obo.token") && shown.contains("obo"), "{shown}");
    std::fs::write(&token, " ").unwrap();
    let empty = profile(dir.path(), &pem, &extra).unwrap_err().to_string();
    assert!(empty.contains("is empty") && empty.contains("[DEFAULT]"), "{empty}");
}

#[test]
fn settings_go_before_the_profile_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let vectors = vectors();
    let main = &vectors["keys"]["main"];
    let pem = main["private_pkcs8_encrypted_pem"].as_str().unwrap();
    std::fs::write(dir.path().join("token"), "a.e30.c").unwrap();
    let file = dir.path().join("config");
    std::fs::write(&file, "[DEFAULT]\nkey_file=/nowhere/key.pem\nsecurity_token_file=/nowhere/t\n")
        .unwrap();
    let mut config = Config::from_variables(|name| match name {
        "OCI_CLI_KEY_CONTENT" => Some("not a key".to_owned()),
        "OCI_CLI_USER" => Some("ocid1.user.oc1..u".to_owned()),
        _ => None,
    })
    .unwrap()
    .config_file(file);
    let load = |config: &Config| load(config, &Profile::load(config)?);
    let error = load(&config).unwrap_err().to_string();
    assert!(error.contains("OCI_CLI_KEY_CONTENT") && !error.contains("not a key"), "{error}");
    config.set("key_content", pem).unwrap();
    let error = load(&config).unwrap_err().to_string();
    assert!(error.contains("setting key_content") && error.contains("pass_phrase"), "{error}");
    config.set("pass_phrase", "correct-horse").unwrap();
    let error = load(&config).unwrap_err().to_string();
    assert!(error.contains("/nowhere/t") && error.contains("[DEFAULT]"), "{error}");
    config.set("tenancy", "ocid1.tenancy.oc1..t").unwrap();
    config.set("fingerprint", main["fingerprint"].as_str().unwrap()).unwrap();
    let user = load(&config).expect("a whole user goes before the profile's token");
    for part in ["OCI_CLI_USER", "setting tenancy", "setting key_content"] {
        assert!(user.advice().contains(part), "{part} in {}", user.advice());
    }
    let shown = format!("{config:?} {user:?} {}", user.advice());
    assert!(!shown.contains("correct-horse") && !shown.contains("PRIVATE KEY"), "{shown}");
    // A file that code names goes before content that the environment gives.
    std::fs::write(dir.path().join("key.pem"), pem).unwrap();
    let variables = |name: &str| (name == "OCI_CLI_KEY_CONTENT").then(|| "x".to_owned());
    let config = Config::from_variables(variables)
        .unwrap()
        .user("ocid1.user.oc1..u".to_owned())
        .tenancy("ocid1.tenancy.oc1..t".to_owned())
        .fingerprint("00:11".to_owned())
        .pass_phrase(crate::config::Secret::from("correct-horse"))
        .key_file(dir.path().join("key.pem"));
    assert!(load(&config).unwrap().advice().contains("key.pem"));
}
