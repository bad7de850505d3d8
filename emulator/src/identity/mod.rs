// SPDX-License-Identifier: Apache-2.0
//! Who may ask: the keys, the tokens and the certificates of one emulator, and the files in the
//! state folder by which clients find them.
//!
//! ```text
//!  users ─ API keys ──────────┐
//!  tokens ─ security tokens ──┼─► Identity::signer ─► public key and Caller ─► policies
//!  instance ─ certificate ────┤
//!  outside ─ tokens of others ┴─► what `principals/` gives security tokens for
//!  files: config (profiles), keys, tokens, ca.pem (tls)
//! ```
//!
//! **Promises.** Keys and tokens are this start's own. A token is good until it expires, or until
//! all are made to expire. What is rotated replaces its files by whole ones.

mod certificates;
mod instance;
mod jwt;
mod keys;
mod names;
mod outside;
mod policies;
mod profiles;
mod tls;
mod tokens;
mod users;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use storescope_sign::{PrivateKey, PublicKey};

pub(crate) use self::instance::Instance;
use self::keys::Keys;
pub(crate) use self::names::{
    CLUSTER, COMPARTMENT, DOMAIN_USER, INSTANCE, PARENTS, REGION, REGION_KEY, RESOURCE, TENANCY,
    USER,
};
pub(crate) use self::policies::{Need, Policies};
pub use self::policies::{Policy, ResourceType, Verb};
use self::profiles::Profiles;
pub(crate) use self::tls::tls_config;
pub(crate) use self::tokens::{Caller, Kind, Tokens};
use self::users::Users;
pub use self::users::{NewUser, User};
use crate::error::StartError;
use crate::folder::{replace_private, write_private};

/// What is replaced by a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rotated {
    /// The instance's key and certificate; the old certificate is refused.
    Instance,
    /// The resource's key and session token.
    Resource,
    /// Key and token of profile SESSION.
    Session,
    /// The token of profile DELEGATED.
    Delegation,
    /// The pod's service account token; the old one is refused.
    ServiceAccount,
}

/// The verifier's side: which public key a `keyId` stands for, and who holds it.
pub(crate) struct Identity {
    folder: PathBuf,
    pub(crate) tokens: Tokens,
    pub(crate) policies: Policies,
    pub(crate) domain: Domain,
    users: Users,
    /// Fingerprint of the API key of DEFAULT.
    user: String,
    current: Mutex<Current>,
}

/// The client that an identity domain lets exchange tokens.
pub(crate) struct Domain {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

/// What can be rotated.
struct Current {
    /// Made when it is first asked for.
    instance: Option<Arc<Instance>>,
    resource: PublicKey,
    /// Fingerprint of the session's key.
    session: String,
    /// The id of the service account's token.
    service_account: String,
}

impl Identity {
    /// Makes keys and tokens and writes `config` and what it names into `folder`. Tokens are
    /// dated by `now`, the clock that the emulator shows.
    pub(crate) fn create(
        folder: &Path,
        namespace: &str,
        now: SystemTime,
    ) -> Result<Identity, StartError> {
        let keys = Keys::generate()?;
        let identity = Identity {
            folder: folder.to_owned(),
            policies: Policies::default(),
            domain: Domain { client_id: random(12), client_secret: random(24) },
            users: Users::new(namespace, keys.user.public_key()),
            user: keys.user.public_key().fingerprint(),
            current: Mutex::new(Current {
                instance: None,
                resource: keys.resource.public_key().clone(),
                session: keys.session.public_key().fingerprint(),
                service_account: random(12),
            }),
            tokens: Tokens::new(keys.issuer.clone()),
        };
        identity.write_files(&keys, now)?;
        Ok(identity)
    }

    fn write_files(&self, keys: &Keys, now: SystemTime) -> Result<(), StartError> {
        let (tokens, failed) = (&self.tokens, StartError::identity);
        let user = Caller::new(USER, TENANCY);
        let session = keys.session.public_key();
        for (name, key) in [("key.pem", &keys.user), ("wrong_key.pem", &keys.wrong)] {
            write_private(&self.file(name), key.to_pkcs8_pem().as_bytes())?;
        }
        let expired = tokens.mint_expired(&user, session, now).map_err(failed)?;
        let subject = outside::subject_token(tokens.issuer(), now).map_err(failed)?;
        for (name, token) in [("expired_token", &expired), ("subject_token", &subject)] {
            write_private(&self.file(name), token.as_bytes())?;
        }
        self.write_delegation(now)?;
        self.write_session(&keys.session, now)?;
        self.write_resource(&keys.resource, now)?;
        let id = self.lock().service_account.clone();
        self.write_service_account(&id, now)?;
        self.write_config()
    }

    /// The key of a `keyId` and who holds it, if it is an API key or a token that is good at
    /// `now`.
    pub(crate) fn signer(&self, key_id: &str, now: SystemTime) -> Option<(PublicKey, Caller)> {
        let Some(text) = key_id.strip_prefix("ST$") else { return self.users.find(key_id) };
        let token = self.tokens.open(text, now)?;
        Some((token.key.clone()?, token.caller.clone()))
    }

    /// Whether a token lets others ask on somebody's behalf at `now`.
    pub(crate) fn delegates(&self, token: &str, now: SystemTime) -> bool {
        self.tokens.open(token, now).is_some_and(|token| token.kind == Kind::Delegation)
    }

    /// Whether a pod's token is the current one and good at `now`.
    pub(crate) fn is_service_account(&self, token: &str, now: SystemTime) -> bool {
        let id = self.lock().service_account.clone();
        outside::is_service_account(token, self.tokens.issuer().public_key(), &id, now)
    }

    /// Whether a token is the identity provider's and good at `now`.
    pub(crate) fn is_subject(&self, token: &str, now: SystemTime) -> bool {
        outside::is_subject(token, self.tokens.issuer().public_key(), now)
    }

    /// The key pair's public key of a resource that signs with its own key.
    pub(crate) fn resource_key(&self) -> PublicKey {
        self.lock().resource.clone()
    }

    /// The instance's certificate; its key is made at the first call.
    pub(crate) fn instance(&self, now: SystemTime) -> Result<Arc<Instance>, StartError> {
        let mut current = self.lock();
        if let Some(instance) = &current.instance {
            return Ok(instance.clone());
        }
        let instance = Arc::new(Instance::create(self.tokens.issuer(), now)?);
        current.instance = Some(instance.clone());
        Ok(instance)
    }

    /// The tenancy that a namespace belongs to.
    pub(crate) fn owner(&self, namespace: &str) -> Option<String> {
        self.users.owner(namespace)
    }

    /// The namespace of a tenancy.
    pub(crate) fn namespace(&self, tenancy: &str) -> Option<String> {
        self.users.namespace(tenancy)
    }

    /// Tokens given out from now on live so long.
    pub(crate) fn set_lifetime(&self, lifetime: Duration) {
        self.tokens.set_lifetime(lifetime);
    }

    /// Refuses all tokens given out so far.
    pub(crate) fn expire(&self) {
        self.tokens.expire();
    }

    /// Puts a new key or token in the place of one.
    pub(crate) fn rotate(&self, what: Rotated, now: SystemTime) -> Result<(), StartError> {
        let fresh = || PrivateKey::generate(2048).map_err(StartError::identity);
        match what {
            Rotated::Instance => {
                let instance = Arc::new(Instance::create(self.tokens.issuer(), now)?);
                self.lock().instance = Some(instance);
                Ok(())
            }
            Rotated::Resource => {
                let key = fresh()?;
                self.lock().resource = key.public_key().clone();
                self.write_resource(&key, now)
            }
            Rotated::Session => {
                let key = fresh()?;
                self.lock().session = key.public_key().fingerprint();
                self.write_session(&key, now)?;
                self.write_config()
            }
            Rotated::Delegation => self.write_delegation(now),
            Rotated::ServiceAccount => {
                let id = random(12);
                self.lock().service_account.clone_from(&id);
                self.write_service_account(&id, now)
            }
        }
    }

    /// Adds a user with a key of its own, and a profile for it.
    pub(crate) fn add_user(&self, new: &NewUser) -> Result<User, StartError> {
        let (caller, namespace) = self.users.plan(new).map_err(StartError::User)?;
        let key = PrivateKey::generate(2048).map_err(StartError::identity)?;
        let file = self.file(&format!("{}_key.pem", new.profile));
        write_private(&file, key.to_pkcs8_pem().as_bytes())?;
        let user = User {
            profile: new.profile.clone(),
            tenancy: caller.tenancy.clone(),
            namespace,
            user: caller.id.clone(),
            fingerprint: key.public_key().fingerprint(),
            key_file: file.display().to_string(),
        };
        self.users.add(user.clone(), caller, key.public_key());
        self.write_config()?;
        Ok(user)
    }

    /// The users that were added.
    pub(crate) fn users(&self) -> Vec<User> {
        self.users.added()
    }

    /// A file of the state folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write_session(&self, key: &PrivateKey, now: SystemTime) -> Result<(), StartError> {
        let caller = Caller::new(USER, TENANCY);
        self.write_pair(Kind::Session, &caller, key, ("session_key.pem", "token"), now)
    }

    fn write_resource(&self, key: &PrivateKey, now: SystemTime) -> Result<(), StartError> {
        let caller = Caller::new(RESOURCE, TENANCY);
        self.write_pair(Kind::Resource, &caller, key, ("resource_key.pem", "rpst"), now)
    }

    fn write_delegation(&self, now: SystemTime) -> Result<(), StartError> {
        let user = Caller::new(USER, TENANCY);
        let token = self.tokens.mint(Kind::Delegation, &user, None, now);
        let token = token.map_err(StartError::identity)?;
        Ok(replace_private(&self.file("delegation_token"), token.as_bytes())?)
    }

    /// Writes a key and a token that holds it.
    fn write_pair(
        &self,
        kind: Kind,
        caller: &Caller,
        key: &PrivateKey,
        (key_file, token_file): (&str, &str),
        now: SystemTime,
    ) -> Result<(), StartError> {
        let token = self.tokens.mint(kind, caller, Some(key.public_key()), now);
        let token = token.map_err(StartError::identity)?;
        replace_private(&self.file(key_file), key.to_pkcs8_pem().as_bytes())?;
        Ok(replace_private(&self.file(token_file), token.as_bytes())?)
    }

    fn write_service_account(&self, id: &str, now: SystemTime) -> Result<(), StartError> {
        let token = outside::service_account_token(self.tokens.issuer(), id, now);
        let token = token.map_err(StartError::identity)?;
        Ok(replace_private(&self.file("service_account_token"), token.as_bytes())?)
    }

    fn write_config(&self) -> Result<(), StartError> {
        let session = self.lock().session.clone();
        let profiles = Profiles {
            folder: &self.folder,
            user: &self.user,
            session: &session,
            added: &self.users.added(),
        };
        Ok(replace_private(&config_file(&self.folder), profiles.text().as_bytes())?)
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn config_file(folder: &Path) -> PathBuf {
    folder.join("config")
}

/// Random text of so many random bytes.
fn random(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random).expect("the system has randomness");
    URL_SAFE_NO_PAD.encode(random)
}
