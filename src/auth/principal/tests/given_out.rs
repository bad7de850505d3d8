// SPDX-License-Identifier: Apache-2.0
//! Identities of the program's own, and sessions that the identity service renews.

use super::fake::{Asked, Fake, ok, refused, token};
use super::remote::{config, load};
use crate::auth::principal::{Principal, Principals};
use crate::auth::{Credential, CredentialFuture, Credentials};
use crate::config::{Auth, Config, Profile};
use crate::error::ErrorKind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use storescope_sign::{PrivateKey, Rule};

/// Counts what it gives out.
#[derive(Debug)]
struct Vault {
    pem: String,
    given: AtomicUsize,
}

impl Credentials for Vault {
    fn credential(&self) -> CredentialFuture<'_> {
        Box::pin(async {
            match self.given.fetch_add(1, Relaxed) {
                1 => Err("sealed".into()),
                number => {
                    let user = format!("u{number}");
                    let made = Credential::api_key("t", &user, "f", &self.pem, None)?;
                    Ok(made.ends(SystemTime::now() + Duration::from_mins(20)).on_behalf_of("obo"))
                }
            }
        })
    }
}

#[tokio::test]
async fn a_program_gives_out_identities_itself() {
    let pem = PrivateKey::generate(2048).unwrap().to_pkcs8_pem().to_string();
    let vault: Arc<dyn Credentials> = Arc::new(Vault { pem, given: AtomicUsize::new(0) });
    let config = Config::default().auth(Auth::ApiKey);
    let principals = Principals::new(&config, "test", Some(Arc::clone(&vault)));
    let profile = Profile::load(&Config::default().auth(Auth::InstancePrincipal)).unwrap();
    let principal = principals.load(&config, &profile, None).unwrap();
    let first = principal.identity().await.unwrap();
    assert_eq!(*first.key_id, "t/u0/f");
    assert_eq!(first.delegation.as_deref().map(String::as_str), Some("obo"));
    let other = principals.load(&config, &profile, Some(&vault)).unwrap();
    assert!(Arc::ptr_eq(&first, &other.current().unwrap()), "shared, and before the settings");
    assert!(principal.refresh());
    let failure = principal.identity().await.unwrap_err();
    assert!(failure.kind == ErrorKind::Unauthenticated && failure.message.contains("sealed"));
    assert_eq!(*principal.identity().await.unwrap().key_id, "t/u2/f", "asked again");
    let bad = Credential::session("t", "no key", None).unwrap_err();
    assert_eq!(bad.kind(), ErrorKind::Config);
    let shown = format!("{principal:?} {principals:?}");
    assert!(!shown.contains("PRIVATE") || shown.contains("Vault"), "the vault's Debug is its own");
}

/// A session whose token ends in so many seconds.
fn session(fake: &Fake, dir: &Path, key: &PrivateKey, seconds: u64) -> (Config, String) {
    let token = token(seconds, &STANDARD.encode(key.public_key().spki_der()));
    std::fs::write(dir.join("token"), &token).unwrap();
    std::fs::write(dir.join("key.pem"), key.to_pkcs8_pem().as_bytes()).unwrap();
    let config = config(Auth::SecurityToken, fake)
        .security_token_file(dir.join("token"))
        .key_file(dir.join("key.pem"));
    (config, token)
}

/// Waits until the principal signs by this token.
async fn signs_by(principal: &dyn Principal, token: &str) {
    let wanted = format!("ST${token}");
    while principal.current().is_none_or(|identity| *identity.key_id != wanted) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_ahead_of_its_end_and_its_file_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate(2048).unwrap();
    let second = token(3600, &STANDARD.encode(key.public_key().spki_der()));
    let given = second.clone();
    let fake = Fake::new(move |_: &Asked| ok(serde_json::json!({ "token": given }).to_string()));
    let (config, first) = session(&fake, dir.path(), &key, 3600);
    let principal = load(&config, &[]).unwrap();
    signs_by(&*principal, &first).await;
    tokio::time::sleep(Duration::from_mins(54)).await;
    assert!(fake.asked().is_empty());
    tokio::time::advance(Duration::from_secs(70)).await;
    // The server answers in real time.
    tokio::time::resume();
    signs_by(&*principal, &second).await;
    let asked = fake.asked();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("POST", "/v1/authentication/refresh")
    );
    assert_eq!(asked.json(), serde_json::json!({ "currentToken": first }));
    asked.is_signed(&format!("ST${first}"), key.public_key(), Rule::Body);
    while std::fs::read_to_string(dir.path().join("token")).unwrap() != second {
        tokio::task::yield_now().await;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn a_session_that_has_ended_is_presented_and_the_store_decides() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::new(|_: &Asked| refused(401));
    let key = PrivateKey::generate(2048).unwrap();
    let (config, first) = session(&fake, dir.path(), &key, 0);
    let principal = load(&config, &[]).unwrap();
    assert_eq!(*principal.current().unwrap().key_id, format!("ST${first}"));
    assert!(!principal.refresh());
    let advice = principal.advice();
    assert!(advice.contains("expired at") && advice.contains("oci session"), "{advice}");
    assert!(fake.asked().is_empty(), "it cannot be renewed");
}
