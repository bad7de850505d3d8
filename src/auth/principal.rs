// SPDX-License-Identifier: Apache-2.0
//! Principals that live in settings and a profile: an API key, a session token, and either on behalf of another.

use crate::config::{Auth, Config, Dated, Profile, Source, expand_home};
use crate::error::{Failure, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storescope_sign::{KeyError, PrivateKey};
use zeroize::Zeroizing;

/// What a signature is made with. A new one each time the principal's token or key changes, so that two are the same
/// exactly when they are the same allocation.
pub(crate) struct Identity {
    pub(crate) key_id: Zeroizing<String>,
    pub(crate) key: PrivateKey,
    /// The token of whom requests are made on behalf of.
    pub(crate) delegation: Option<Zeroizing<String>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token is a secret; an API key's id is not, but nobody needs to tell them apart here.
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

pub(crate) type Identified<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Arc<Identity>, Failure>> + Send + 'a>>;

/// Somebody a store knows. API key, session token and delegation here; instance, resource and workload principals implement the
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
    let signs_by_token = match config.auth {
        Auth::ApiKey | Auth::None => false,
        Auth::SecurityToken => profile.require("security_token_file").map(|_| true)?,
        // A user of the settings goes before a token of the profile: not half of one and half of the other.
        Auth::Auto => match profile.source("security_token_file") {
            Some(Source::File) => !config.identifies(),
            found => found.is_some(),
        },
    };
    let key = Key::load(profile)?;
    let principal: Box<dyn Principal> = if signs_by_token {
        Box::new(SessionToken::load(key.private, profile)?)
    } else {
        Box::new(ApiKey::load(key, profile, config)?)
    };
    Ok(match profile.get("delegation_token_file") {
        Some(_) => Box::new(Delegated::load(principal, profile)?),
        None => principal,
    })
}

/// A user's API signing key. After a 401 it is looked for again: a profile or key file may have been corrected.
#[derive(Debug)]
struct ApiKey {
    config: Config,
    state: Mutex<KeyState>,
}

#[derive(Debug)]
struct KeyState {
    identity: Arc<Identity>,
    advice: String,
    /// The files that it was read from.
    files: Vec<Dated>,
}

impl ApiKey {
    fn load(key: Key, profile: &Profile, config: &Config) -> Result<ApiKey> {
        let state = Mutex::new(KeyState::load(key, profile)?);
        Ok(ApiKey { config: config.clone(), state })
    }

    fn state(&self) -> MutexGuard<'_, KeyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the files say now.
    fn again(&self) -> Result<KeyState> {
        let profile = Profile::load(&self.config)?;
        KeyState::load(Key::load(&profile)?, &profile)
    }
}

impl KeyState {
    fn load(key: Key, profile: &Profile) -> Result<KeyState> {
        let (tenancy, user) = (profile.require("tenancy")?, profile.require("user")?);
        let fingerprint = profile.require("fingerprint")?;
        let Key { private: key, name, setting, file } = key;
        let actual = key.public_key().fingerprint();
        let mut advice = format!(
            "the request was signed as user {user} of tenancy {tenancy} with the key {name} ({}); check that this key is uploaded for the user",
            profile.sources(&["user", "tenancy", setting])
        );
        if !fingerprint.eq_ignore_ascii_case(&actual) {
            // The profile may be right and the key file stale, or the other way round: the server decides.
            advice = format!(
                "the fingerprint is {fingerprint}, but the key {name} has {actual} ({}): one of the two is not what was uploaded",
                profile.sources(&["fingerprint", setting])
            );
            warn_once(&advice);
        }
        let key_id = Zeroizing::new(format!("{tenancy}/{user}/{fingerprint}"));
        let identity = Arc::new(Identity { key_id, key, delegation: None });
        let files = file.into_iter().chain([profile.file().clone()]).collect();
        Ok(KeyState { identity, advice, files })
    }

    fn has_changed(&self) -> bool {
        self.files.iter().any(Dated::has_changed)
    }

    /// Whether requests are signed by this as by another.
    fn signs_as(&self, other: &KeyState) -> bool {
        let (own, others) = (&self.identity, &other.identity);
        *own.key_id == *others.key_id
            && own.key.public_key().fingerprint() == others.key.public_key().fingerprint()
    }
}

impl Principal for ApiKey {
    fn current(&self) -> Option<Arc<Identity>> {
        Some(Arc::clone(&self.state().identity))
    }

    fn identity(&self) -> Identified<'_> {
        Box::pin(std::future::ready(Ok(Arc::clone(&self.state().identity))))
    }

    fn refresh(&self) -> bool {
        let mut state = self.state();
        if !state.has_changed() {
            return false;
        }
        // What cannot be read is half-written, perhaps: looked at again after the next 401.
        let Ok(now) = self.again() else { return false };
        let renewed = !now.signs_as(&state);
        *state = now;
        if renewed {
            tracing::debug!("API key read again");
        }
        renewed
    }

    fn advice(&self) -> String {
        self.state().advice.clone()
    }
}

/// A session token (`oci session authenticate`): a file that other tools renew, read again when it has changed, and
/// with it the key, which a new session has anew.
#[derive(Debug)]
struct SessionToken {
    profile: Profile,
    state: Mutex<(Arc<Identity>, TokenFile)>,
}

impl SessionToken {
    fn load(key: PrivateKey, profile: &Profile) -> Result<SessionToken> {
        let mend = "`oci session authenticate` makes one";
        let (file, token) = TokenFile::open(profile, "security_token_file", mend)?;
        let identity = Identity { key_id: key_id(&token), key, delegation: None };
        Ok(SessionToken { profile: profile.clone(), state: Mutex::new((Arc::new(identity), file)) })
    }

    /// Reads the file again if its date has changed.
    fn look(&self, identity: &mut Arc<Identity>, file: &mut TokenFile) -> bool {
        let Some((token, modified)) = file.look() else { return false };
        let Ok(Key { private: key, .. }) = Key::load(&self.profile) else {
            // Half-written, perhaps: looked at again in a second.
            return false;
        };
        file.modified = modified;
        let key_id = key_id(&token);
        if *key_id == *identity.key_id {
            return false;
        }
        *identity = Arc::new(Identity { key_id, key, delegation: None });
        tracing::debug!(file = %file.path.display(), "session token read again");
        true
    }
}

impl Principal for SessionToken {
    fn current(&self) -> Option<Arc<Identity>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, file) = &mut *state;
        if file.is_due() {
            self.look(identity, file);
        }
        Some(Arc::clone(identity))
    }

    fn identity(&self) -> Identified<'_> {
        let identity = self.current().expect("a session token is always at hand");
        Box::pin(std::future::ready(Ok(identity)))
    }

    fn refresh(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, file) = &mut *state;
        self.look(identity, file)
    }

    fn advice(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, file) = &*state;
        let file = file.path.display();
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

/// Another principal, whose requests are made on behalf of whom a delegation token names. The token is in a file that
/// others renew.
#[derive(Debug)]
struct Delegated {
    principal: Box<dyn Principal>,
    state: Mutex<Delegation>,
}

#[derive(Debug)]
struct Delegation {
    file: TokenFile,
    token: Token,
    /// The principal's own identity, and what was made of it and the token.
    made: Option<(Arc<Identity>, Arc<Identity>)>,
}

impl Delegated {
    fn load(principal: Box<dyn Principal>, profile: &Profile) -> Result<Delegated> {
        let mend = "name the file of a delegation token";
        let (file, token) = TokenFile::open(profile, "delegation_token_file", mend)?;
        Ok(Delegated { principal, state: Mutex::new(Delegation { file, token, made: None }) })
    }
}

impl Delegation {
    /// Reads the file again if its date has changed.
    fn look(&mut self) -> bool {
        let Some((token, modified)) = self.file.look() else { return false };
        self.file.modified = modified;
        if *token == *self.token {
            return false;
        }
        self.token = token;
        self.made = None;
        tracing::debug!(file = %self.file.path.display(), "delegation token read again");
        true
    }

    fn identity(&mut self, of: Arc<Identity>) -> Arc<Identity> {
        if self.file.is_due() {
            self.look();
        }
        match &self.made {
            Some((own, made)) if Arc::ptr_eq(own, &of) => Arc::clone(made),
            _ => {
                let made = Arc::new(Identity {
                    key_id: of.key_id.clone(),
                    key: of.key.clone(),
                    delegation: Some(self.token.clone()),
                });
                self.made = Some((of, Arc::clone(&made)));
                made
            }
        }
    }
}

impl Principal for Delegated {
    fn current(&self) -> Option<Arc<Identity>> {
        let own = self.principal.current()?;
        Some(self.state.lock().unwrap_or_else(PoisonError::into_inner).identity(own))
    }

    fn identity(&self) -> Identified<'_> {
        Box::pin(async {
            let own = self.principal.identity().await?;
            Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner).identity(own))
        })
    }

    fn refresh(&self) -> bool {
        let renewed = self.state.lock().unwrap_or_else(PoisonError::into_inner).look();
        self.principal.refresh() || renewed
    }

    fn advice(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        format!(
            "{}; it was made on behalf of the delegation token in {}, which may have expired",
            self.principal.advice(),
            state.file.path.display()
        )
    }
}

/// A token as its file has it.
type Token = Zeroizing<String>;

/// A file that holds a token, which other tools renew.
#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    modified: Option<SystemTime>,
    looked: tokio::time::Instant,
}

/// How often the file's date is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl TokenFile {
    /// The file that a profile names under `key`, and the token in it.
    fn open(profile: &Profile, key: &str, mend: &str) -> Result<(TokenFile, Token)> {
        let path = expand_home(profile.require(key)?);
        let modified = modified(&path);
        let token = read_token(&path).map_err(|e| {
            let path = path.display();
            profile.error(key, &format!("names the token file {path}, which {e}; {mend}"))
        })?;
        Ok((TokenFile { path, modified, looked: tokio::time::Instant::now() }, token))
    }

    fn is_due(&self) -> bool {
        self.looked.elapsed() >= LOOK_EVERY
    }

    /// The token, if the file's date is not the one that is known, and that date. A file that is half-written, perhaps,
    /// is looked at again.
    fn look(&mut self) -> Option<(Token, Option<SystemTime>)> {
        self.looked = tokio::time::Instant::now();
        let modified = modified(&self.path);
        if modified == self.modified {
            return None;
        }
        Some((read_token(&self.path).ok()?, modified))
    }
}

fn key_id(token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("ST${token}"))
}

fn read_token(file: &Path) -> Result<Token, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("cannot be read: {e}"))?;
    let token = Zeroizing::new(Zeroizing::new(text).trim().to_owned());
    if token.is_empty() { Err("is empty".to_owned()) } else { Ok(token) }
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

/// The key of a profile.
struct Key {
    private: PrivateKey,
    /// What to call it in messages.
    name: String,
    /// The setting it comes from.
    setting: &'static str,
    /// The file it was read from.
    file: Option<Dated>,
}

impl Key {
    fn load(profile: &Profile) -> Result<Key> {
        // Where both are there, the one that was set nearer to the caller; a file in the environment does not replace
        // a key that code gave.
        let (content, file) = (profile.source("key_content"), profile.source("key_file"));
        let in_content = content.is_some() && (file.is_none() || content <= file);
        let setting = if in_content { "key_content" } else { "key_file" };
        let value = profile.require(setting)?;
        let (pem, name, file) = if in_content {
            (value.as_bytes().to_vec(), setting.to_owned(), None)
        } else {
            let file = expand_home(value);
            let dated = Dated::now(&file);
            let pem = std::fs::read(&file).map_err(|e| {
                let file = file.display();
                let what = format!(
                    "names the key file {file}, which cannot be read: {e}; correct key_file"
                );
                profile.error(setting, &what)
            })?;
            warn_if_open(&file);
            (pem, file.display().to_string(), Some(dated))
        };
        let passphrase = profile.get("pass_phrase").or_else(|| profile.get("passphrase"));
        let private = PrivateKey::from_pem(&Zeroizing::new(pem), passphrase.map(str::as_bytes))
            .map_err(|e| profile.error(setting, &unusable(&name, &e)))?;
        Ok(Key { private, name, setting, file })
    }
}

fn unusable(name: &str, error: &KeyError) -> String {
    let mend = match error {
        KeyError::PassphraseNeeded => {
            "add pass_phrase to the profile, or set pass_phrase (OCI_CLI_PASSPHRASE)"
        }
        KeyError::WrongPassphrase => "correct pass_phrase",
        KeyError::PublicKeyGiven => "key_file must name the private key of the pair",
        _ => "key_file must name an RSA private key in PEM",
    };
    format!("gives the key {name}, which cannot be used: {error}; {mend}")
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
        assert!(
            Arc::ptr_eq(&first, &principal.current().unwrap()),
            "not looked at within a second"
        );
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
        std::fs::write(
            &file,
            "[DEFAULT]\nkey_file=/nowhere/key.pem\nsecurity_token_file=/nowhere/t\n",
        )
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

    #[test]
    fn an_expired_token_is_said_to_be() {
        let payload = URL_SAFE_NO_PAD.encode(br#"{"exp":1000000000}"#);
        let at = expiry(&format!("ST$h.{payload}.s")).unwrap();
        assert_eq!(httpdate::fmt_http_date(at), "Sun, 09 Sep 2001 01:46:40 GMT");
        assert_eq!(expiry("ST$opaque"), None);
    }
}
