// SPDX-License-Identifier: Apache-2.0
//! Principals that live in a profile: an API key, a session token.

use crate::config::{Auth, Config, Profile, expand_home};
use crate::error::{Failure, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storescope_sign::{KeyError, PrivateKey};
use zeroize::Zeroizing;

/// What a signature is made with. A new one each time the principal's token or key changes, so that two are the same
/// exactly when they are the same allocation.
pub(crate) struct Identity {
    pub(crate) key_id: Zeroizing<String>,
    pub(crate) key: PrivateKey,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token is a secret; an API key's id is not, but nobody needs to tell them apart here.
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

pub(crate) type Identified<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Arc<Identity>, Failure>> + Send + 'a>>;

/// Somebody a store knows. API key and session token here; instance, resource and workload principals implement the
/// same trait.
pub(crate) trait Principal: fmt::Debug + Send + Sync {
    /// The identity to sign with now, if no I/O is needed to know it.
    fn current(&self) -> Option<Arc<Identity>>;

    /// The identity to sign with now.
    fn identity(&self) -> Identified<'_>;

    /// After a 401: looks again. Whether the identity is another now.
    fn refresh(&self) -> bool;

    /// What to tell somebody whose request got a 401.
    fn advice(&self) -> String;
}

/// The principal that `config` and `profile` name.
pub(crate) fn load(config: &Config, profile: &Profile) -> Result<Box<dyn Principal>> {
    let token = match config.auth {
        Auth::ApiKey | Auth::None => None,
        Auth::SecurityToken => Some(profile.require("security_token_file")?),
        Auth::Auto => profile.get("security_token_file"),
    };
    let (key, key_file) = load_key(profile)?;
    match token {
        Some(file) => {
            let file = expand_home(file);
            Ok(Box::new(SessionToken::load(file, key, profile.clone())?))
        }
        None => Ok(Box::new(ApiKey::load(key, &key_file, profile)?)),
    }
}

/// A user's API signing key.
#[derive(Debug)]
struct ApiKey {
    identity: Arc<Identity>,
    advice: String,
}

impl ApiKey {
    fn load(key: PrivateKey, key_file: &str, profile: &Profile) -> Result<ApiKey> {
        let (tenancy, user) = (profile.require("tenancy")?, profile.require("user")?);
        let fingerprint = profile.require("fingerprint")?;
        let actual = key.public_key().fingerprint();
        let mut advice = format!(
            "the request was signed as user {user} of tenancy {tenancy} with the key {key_file} ({}); check that this key is uploaded for the user",
            profile.describe()
        );
        if !fingerprint.eq_ignore_ascii_case(&actual) {
            // The profile may be right and the key file stale, or the other way round: the server decides.
            advice = format!(
                "the fingerprint of {} is {fingerprint}, but its key file {key_file} has {actual}: one of the two is not what was uploaded",
                profile.describe()
            );
            warn_once(&advice);
        }
        let key_id = Zeroizing::new(format!("{tenancy}/{user}/{fingerprint}"));
        Ok(ApiKey { identity: Arc::new(Identity { key_id, key }), advice })
    }
}

impl Principal for ApiKey {
    fn current(&self) -> Option<Arc<Identity>> {
        Some(Arc::clone(&self.identity))
    }

    fn identity(&self) -> Identified<'_> {
        Box::pin(std::future::ready(Ok(Arc::clone(&self.identity))))
    }

    fn refresh(&self) -> bool {
        false
    }

    fn advice(&self) -> String {
        self.advice.clone()
    }
}

/// A session token (`oci session authenticate`): a file that other tools renew, read again when it has changed, and
/// with it the key, which a new session has anew.
struct SessionToken {
    file: PathBuf,
    profile: Profile,
    state: Mutex<TokenState>,
}

struct TokenState {
    identity: Arc<Identity>,
    modified: Option<SystemTime>,
    looked: tokio::time::Instant,
}

/// How often the file's date is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl SessionToken {
    fn load(file: PathBuf, key: PrivateKey, profile: Profile) -> Result<SessionToken> {
        let unreadable = |why: &str| {
            profile.error(&format!(
                "names the token file {}, which {why}; `oci session authenticate` makes one",
                file.display()
            ))
        };
        let token = read_token(&file).map_err(|e| unreadable(&format!("cannot be read: {e}")))?;
        if token.is_empty() {
            return Err(unreadable("is empty"));
        }
        let state = Mutex::new(TokenState {
            identity: Arc::new(Identity { key_id: key_id(&token), key }),
            modified: modified(&file),
            looked: tokio::time::Instant::now(),
        });
        Ok(SessionToken { file, profile, state })
    }

    /// Reads the file again if its date has changed.
    fn look(&self, state: &mut TokenState) -> bool {
        state.looked = tokio::time::Instant::now();
        let modified = modified(&self.file);
        if modified == state.modified {
            return false;
        }
        let (Ok(token), Ok((key, _))) = (read_token(&self.file), load_key(&self.profile)) else {
            // Half-written, perhaps: looked at again in a second.
            return false;
        };
        state.modified = modified;
        let key_id = key_id(&token);
        if token.is_empty() || *key_id == *state.identity.key_id {
            return false;
        }
        state.identity = Arc::new(Identity { key_id, key });
        tracing::debug!(file = %self.file.display(), "session token read again");
        true
    }
}

impl Principal for SessionToken {
    fn current(&self) -> Option<Arc<Identity>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_EVERY {
            self.look(&mut state);
        }
        Some(Arc::clone(&state.identity))
    }

    fn identity(&self) -> Identified<'_> {
        let identity = self.current().expect("a session token is always at hand");
        Box::pin(std::future::ready(Ok(identity)))
    }

    fn refresh(&self) -> bool {
        self.look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn advice(&self) -> String {
        let identity =
            Arc::clone(&self.state.lock().unwrap_or_else(PoisonError::into_inner).identity);
        let file = self.file.display();
        match expiry(&identity.key_id) {
            Some(expiry) if expiry < SystemTime::now() => format!(
                "the session token in {file} expired at {}; run `oci session refresh` or `oci session authenticate`",
                httpdate::fmt_http_date(expiry)
            ),
            _ => format!(
                "the request was signed with the session token in {file}; `oci session authenticate` makes a new one"
            ),
        }
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken").field("file", &self.file).finish_non_exhaustive()
    }
}

fn key_id(token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("ST${token}"))
}

fn read_token(file: &Path) -> std::io::Result<Zeroizing<String>> {
    let text = Zeroizing::new(std::fs::read_to_string(file)?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

/// The `exp` claim of a token's payload, unverified: for advice only.
fn expiry(key_id: &str) -> Option<SystemTime> {
    let payload = URL_SAFE_NO_PAD.decode(key_id.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(claims.get("exp")?.as_u64()?))
}

/// The key of a profile, and what to call it in messages.
fn load_key(profile: &Profile) -> Result<(PrivateKey, String)> {
    let (pem, name) = match profile.get("key_content") {
        Some(content) => (Zeroizing::new(content.as_bytes().to_vec()), "in key_content".to_owned()),
        None => {
            let file = profile
                .path("key_file")
                .ok_or_else(|| profile.require("key_file").expect_err("it is missing"))?;
            let pem = std::fs::read(&file).map_err(|e| {
                profile.error(&format!(
                    "names the key file {}, which cannot be read: {e}; correct key_file",
                    file.display()
                ))
            })?;
            warn_if_open(&file);
            (Zeroizing::new(pem), file.display().to_string())
        }
    };
    let passphrase = profile.get("pass_phrase").or_else(|| profile.get("passphrase"));
    let key = PrivateKey::from_pem(&pem, passphrase.map(str::as_bytes))
        .map_err(|e| profile.error(&key_mend(&name, &e)))?;
    Ok((key, name))
}

fn key_mend(name: &str, error: &KeyError) -> String {
    let mend = match error {
        KeyError::PassphraseNeeded => "add pass_phrase to the profile, or set OCI_CLI_PASSPHRASE",
        KeyError::WrongPassphrase => "correct pass_phrase",
        KeyError::PublicKeyGiven => "key_file must name the private key of the pair",
        _ => "key_file must name an RSA private key in PEM",
    };
    format!("names the key {name}, which cannot be used: {error}; {mend}")
}

#[cfg(unix)]
fn warn_if_open(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
        warn_once(&format!("others can read the key file {}; chmod 600 it", file.display()));
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &Path) {}

/// Warns, once a process for each text.
fn warn_once(text: &str) {
    static WARNED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if WARNED.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned()) {
        tracing::warn!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn profile(dir: &Path, key: &str, extra: &str) -> Result<Box<dyn Principal>> {
        std::fs::write(dir.join("key.pem"), key).unwrap();
        let text = format!(
            "[DEFAULT]\nuser=ocid1.user.oc1..u\ntenancy=ocid1.tenancy.oc1..t\nfingerprint=00:11\nkey_file={}\n{extra}",
            dir.join("key.pem").display()
        );
        std::fs::write(dir.join("config"), text).unwrap();
        let config = Config::default().config_file(dir.join("config"));
        load(&config, &Profile::load(&config, |_| None)?)
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
        profile(dir.path(), &key("private_pkcs1_encrypted_pem"), "pass_phrase=correct-horse")
            .unwrap();
    }

    #[test]
    fn a_fingerprint_that_is_not_the_keys_is_told_with_both() {
        let dir = tempfile::tempdir().unwrap();
        let vectors = vectors();
        let main = &vectors["keys"]["main"];
        let principal =
            profile(dir.path(), main["private_pkcs1_pem"].as_str().unwrap(), "").unwrap();
        let advice = principal.advice();
        assert!(
            advice.contains("00:11") && advice.contains(main["fingerprint"].as_str().unwrap()),
            "{advice}"
        );
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
        assert!(
            Arc::ptr_eq(&first, &principal.current().unwrap()),
            "not looked at within a second"
        );
        tokio::time::advance(LOOK_EVERY).await;
        assert_eq!(*principal.current().unwrap().key_id, "ST$b.e30.c");
        assert!(!format!("{principal:?}").contains("e30"));
    }

    #[test]
    fn an_expired_token_is_said_to_be() {
        let payload = URL_SAFE_NO_PAD.encode(br#"{"exp":1000000000}"#);
        let at = expiry(&format!("ST$h.{payload}.s")).unwrap();
        assert_eq!(httpdate::fmt_http_date(at), "Sun, 09 Sep 2001 01:46:40 GMT");
        assert_eq!(expiry("ST$opaque"), None);
    }
}
