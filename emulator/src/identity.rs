// SPDX-License-Identifier: Apache-2.0
//! Who may ask: the keys, the tokens and the certificates of one emulator, made at its start, and the files in the state folder by which clients find them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use storescope_sign::{KeyError, PrivateKey, PublicKey};

use crate::error::StartError;
use crate::folder::write_private;

pub(crate) const REGION: &str = "us-ashburn-1";
pub(crate) const TENANCY: &str = "ocid1.tenancy.oc1..aaaaaaaaemulatortenancy";
pub(crate) const USER: &str = "ocid1.user.oc1..aaaaaaaaemulatoruser";
pub(crate) const COMPARTMENT: &str = "ocid1.compartment.oc1..aaaaaaaaemulatorcompartment";

/// How long a fresh session token lives; the service's own live as long.
const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// The `ttype` claim of a delegation token.
const DELEGATION: &str = "delegation";

/// The verifier's side: which public key a `keyId` stands for.
pub(crate) struct Identity {
    api_keys: HashMap<String, PublicKey>,
    issuer: PublicKey,
    /// Tokens whose signature was found good, and when they end (Unix seconds).
    tokens: Mutex<HashMap<String, (PublicKey, u64)>>,
}

impl Identity {
    /// Makes keys and tokens and writes `config` and what it names into `folder`. Tokens are
    /// dated by `now`, the clock that the emulator shows.
    pub(crate) fn create(folder: &Path, now: SystemTime) -> Result<Identity, StartError> {
        let keys = Keys::generate()?;
        let fingerprint = keys.user.public_key().fingerprint();
        for (name, key) in [
            ("key.pem", &keys.user),
            ("wrong_key.pem", &keys.wrong),
            ("session_key.pem", &keys.session),
        ] {
            write_private(&folder.join(name), key.to_pkcs8_pem().as_bytes())?;
        }
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let session = session_claims(keys.session.public_key());
        let ends = seconds + TOKEN_LIFE.as_secs();
        for (name, claims, expires) in [
            ("token", &session, ends),
            ("expired_token", &session, seconds - 60),
            ("delegation_token", &serde_json::json!({ "ttype": DELEGATION }), ends),
        ] {
            let token = mint(&keys.issuer, claims, expires)?;
            write_private(&folder.join(name), token.as_bytes())?;
        }
        write_private(&config_file(folder), profiles(folder, &keys).as_bytes())?;
        Ok(Identity {
            api_keys: HashMap::from([(
                format!("{TENANCY}/{USER}/{fingerprint}"),
                keys.user.public_key().clone(),
            )]),
            issuer: keys.issuer.public_key().clone(),
            tokens: Mutex::default(),
        })
    }

    /// The key of a `keyId`, if there is one and its token has not ended at `now`.
    pub(crate) fn key(&self, key_id: &str, now: SystemTime) -> Option<PublicKey> {
        let Some(token) = key_id.strip_prefix("ST$") else {
            return self.api_keys.get(key_id).cloned();
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tokens.get(token).cloned();
        let (key, expires) = known.or_else(|| {
            let read = read_token(token, &self.issuer)?;
            tokens.insert(token.to_owned(), read.clone());
            Some(read)
        })?;
        (now < UNIX_EPOCH + Duration::from_secs(expires)).then_some(key)
    }

    /// Whether a token lets others ask on somebody's behalf at `now`.
    pub(crate) fn delegates(&self, token: &str, now: SystemTime) -> bool {
        #[derive(Deserialize)]
        struct Claims {
            exp: u64,
            ttype: String,
        }
        read_claims::<Claims>(token, &self.issuer).is_some_and(|Claims { exp, ttype }| {
            ttype == DELEGATION && now < UNIX_EPOCH + Duration::from_secs(exp)
        })
    }
}

/// The OCI configuration file. Each profile is whole by itself: Oracle's SDK for Go takes nothing from DEFAULT, those
/// for Python and Java do.
fn profiles(folder: &Path, keys: &Keys) -> String {
    let fingerprint = keys.user.public_key().fingerprint();
    let session = keys.session.public_key().fingerprint();
    let path = |name: &str| folder.join(name).display().to_string();
    let place = format!("tenancy = {TENANCY}\nregion = {REGION}\n");
    let user = format!("user = {USER}\nfingerprint = {fingerprint}\n{place}");
    let api_key = format!("{user}key_file = {}\n", path("key.pem"));
    let session =
        format!("{place}fingerprint = {session}\nkey_file = {}\n", path("session_key.pem"));
    format!(
        "[DEFAULT]\n{api_key}\n\
         # The same ids, another key: every request is refused.\n\
         [WRONG]\n{user}key_file = {}\n\n\
         [SESSION]\n{session}security_token_file = {}\n\n\
         # A token that ended a minute before the start.\n\
         [EXPIRED]\n{session}security_token_file = {}\n\n\
         # The API key, on behalf of somebody.\n\
         [DELEGATED]\n{api_key}delegation_token_file = {}\n",
        path("wrong_key.pem"),
        path("token"),
        path("expired_token"),
        path("delegation_token"),
    )
}

pub(crate) fn config_file(folder: &Path) -> PathBuf {
    folder.join("config")
}

struct Keys {
    user: PrivateKey,
    wrong: PrivateKey,
    session: PrivateKey,
    issuer: PrivateKey,
}

impl Keys {
    /// The API key is this emulator's own. The other three are made once a process: a key takes
    /// a tenth of a second of a core, and tests start an emulator each.
    fn generate() -> Result<Keys, StartError> {
        static SHARED: LazyLock<Result<[PrivateKey; 3], KeyError>> = LazyLock::new(|| {
            Ok([
                PrivateKey::generate(2048)?,
                PrivateKey::generate(2048)?,
                PrivateKey::generate(2048)?,
            ])
        });
        let failed = |error| StartError::Identity(Box::new(error));
        std::thread::scope(|scope| {
            let shared = scope.spawn(|| LazyLock::force(&SHARED));
            let user = PrivateKey::generate(2048).map_err(failed)?;
            let shared = shared.join().expect("generating a key does not panic");
            let [wrong, session, issuer] = shared.clone().map_err(failed)?;
            Ok(Keys { user, wrong, session, issuer })
        })
    }
}

/// What a session's token says: `jwk` is a string that holds the session's public key as JSON.
fn session_claims(session: &PublicKey) -> serde_json::Value {
    let jwk = serde_json::json!({
        "kty": "RSA",
        "kid": "session",
        "use": "sig",
        "alg": "RS256",
        "n": URL_SAFE_NO_PAD.encode(session.modulus()),
        "e": URL_SAFE_NO_PAD.encode(session.exponent()),
    });
    serde_json::json!({ "jwk": jwk.to_string() })
}

/// An RS256 JWT as the identity service gives it out.
fn mint(
    issuer: &PrivateKey,
    claims: &serde_json::Value,
    expires: u64,
) -> Result<String, StartError> {
    let mut claims = claims.clone();
    claims["sub"] = USER.into();
    claims["iss"] = "emulator".into();
    claims["tenant"] = TENANCY.into();
    claims["iat"] = (expires - TOKEN_LIFE.as_secs()).into();
    claims["exp"] = expires.into();
    let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256","kid":"emulator","typ":"JWT"}"#);
    let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature =
        issuer.sign(text.as_bytes()).map_err(|error| StartError::Identity(Box::new(error)))?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The session key and the end of a token that the issuer signed.
fn read_token(token: &str, issuer: &PublicKey) -> Option<(PublicKey, u64)> {
    #[derive(Deserialize)]
    struct Claims {
        exp: u64,
        jwk: String,
    }
    #[derive(Deserialize)]
    struct Jwk {
        n: String,
        e: String,
    }
    let claims: Claims = read_claims(token, issuer)?;
    let jwk: Jwk = serde_json::from_str(&claims.jwk).ok()?;
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let key = PublicKey::from_components(&part(&jwk.n)?, &part(&jwk.e)?).ok()?;
    Some((key, claims.exp))
}

/// What a token says that the issuer signed.
fn read_claims<T: DeserializeOwned>(token: &str, issuer: &PublicKey) -> Option<T> {
    let (text, signature) = token.rsplit_once('.')?;
    if !issuer.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?) {
        return None;
    }
    let claims = URL_SAFE_NO_PAD.decode(text.split_once('.')?.1).ok()?;
    serde_json::from_slice(&claims).ok()
}

/// Makes a CA and a server certificate of it, writes the CA to `ca_file`, and returns the TLS
/// listener's configuration.
pub(crate) fn tls_config(
    ca_file: &Path,
    address: IpAddr,
) -> Result<Arc<rustls::ServerConfig>, StartError> {
    let identity = |error: rcgen::Error| StartError::Identity(Box::new(error));
    let tls = |error: rustls::Error| StartError::Identity(Box::new(error));
    let mut ca = rcgen::CertificateParams::new(Vec::new()).map_err(identity)?;
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(rcgen::DnType::CommonName, "storescope emulator CA");
    let ca_key = rcgen::KeyPair::generate().map_err(identity)?;
    std::fs::write(ca_file, ca.self_signed(&ca_key).map_err(identity)?.pem())?;

    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !names.contains(&address.to_string()) {
        names.push(address.to_string());
    }
    let mut server = rcgen::CertificateParams::new(names).map_err(identity)?;
    server.distinguished_name.push(rcgen::DnType::CommonName, "storescope emulator");
    server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let server_key = rcgen::KeyPair::generate().map_err(identity)?;
    let certificate =
        server.signed_by(&server_key, &rcgen::Issuer::new(ca, &ca_key)).map_err(identity)?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(server_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .map_err(tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
