// SPDX-License-Identifier: Apache-2.0
//! Identities that a program gives out itself.

use crate::error::{Error, Result};
use std::fmt;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use storescope_sign::{KeyError, PrivateKey};
use zeroize::Zeroizing;

/// A source of identities, in place of those that the settings name: of one store, OCI or S3
/// ([`StoreOptions::credentials`](crate::StoreOptions::credentials)), or of all OCI stores of a client
/// ([`ClientBuilder::credentials`](crate::ClientBuilder::credentials)).
///
/// It is asked before the first request, again ahead of the end of what it gave, and once after the store refused that.
/// Calls that wait share one question; nobody waits while the last answer is good. Its error is the
/// [`source`](std::error::Error::source) of the call's.
///
/// ```
/// use storescope::{Client, Config, Credential, CredentialFuture, Credentials};
///
/// #[derive(Debug)]
/// struct Vault;
///
/// impl Credentials for Vault {
///     fn credential(&self) -> CredentialFuture<'_> {
///         Box::pin(async {
///             let (token, key) = ("…", "-----BEGIN PRIVATE KEY-----…");
///             Ok(Credential::session(token, key, None)?)
///         })
///     }
/// }
///
/// let client = Client::builder().config(Config::default()).credentials(Vault).build()?;
/// # Ok::<(), storescope::Error>(())
/// ```
pub trait Credentials: fmt::Debug + Send + Sync + 'static {
    /// What requests are signed with from now on.
    fn credential(&self) -> CredentialFuture<'_>;
}

/// The answer of [`Credentials::credential`].
pub type CredentialFuture<'a> = Pin<
    Box<
        dyn Future<Output = Result<Credential, Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'a,
    >,
>;

/// What requests are signed with. Neither shown nor logged, and cleared from memory when it is dropped.
#[derive(Clone)]
pub struct Credential {
    pub(super) signs: Signs,
    pub(super) ends: Option<SystemTime>,
    pub(super) delegation: Option<Zeroizing<String>>,
}

#[derive(Clone)]
pub(super) enum Signs {
    KeyId(String, PrivateKey),
    Token(Zeroizing<String>, PrivateKey),
    AccessKey(AccessKey),
}

/// What requests to S3 are signed with.
#[derive(Clone)]
#[cfg_attr(not(feature = "s3"), allow(dead_code))]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: Zeroizing<String>,
    pub(crate) token: Option<Zeroizing<String>>,
    pub(crate) ends: Option<SystemTime>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// What a `keyId` of a session token begins with.
const TOKEN: &str = "ST$";

impl Credential {
    /// A user's API key: the key in PEM, and its passphrase, where it is encrypted.
    pub fn api_key(
        tenancy: &str,
        user: &str,
        fingerprint: &str,
        pem: &str,
        pass_phrase: Option<&str>,
    ) -> Result<Credential> {
        Credential::by_key_id(&format!("{tenancy}/{user}/{fingerprint}"), pem, pass_phrase)
    }

    /// A key by its whole id, as OCI's `Authorization` has it: `TENANCY/USER/FINGERPRINT`, or `ST$` and a session token.
    pub fn by_key_id(key_id: &str, pem: &str, pass_phrase: Option<&str>) -> Result<Credential> {
        match key_id.strip_prefix(TOKEN) {
            Some(token) => Credential::session(token, pem, pass_phrase),
            None => {
                let key = private_key(pem, pass_phrase)?;
                Ok(Credential::new(Signs::KeyId(key_id.trim().to_owned(), key)))
            }
        }
    }

    /// A session token and its key. It ends when the token says so.
    pub fn session(token: &str, pem: &str, pass_phrase: Option<&str>) -> Result<Credential> {
        let token = token.trim();
        let token = Zeroizing::new(token.strip_prefix(TOKEN).unwrap_or(token).to_owned());
        Ok(Credential::new(Signs::Token(token, private_key(pem, pass_phrase)?)))
    }

    /// An access key of S3, and the session token that belongs to it, where there is one.
    pub fn access_key(id: &str, secret: &str, session_token: Option<&str>) -> Credential {
        Credential::new(Signs::AccessKey(AccessKey {
            id: id.trim().to_owned(),
            secret: Zeroizing::new(secret.trim().to_owned()),
            token: session_token.map(|token| Zeroizing::new(token.trim().to_owned())),
            ends: None,
        }))
    }

    fn new(signs: Signs) -> Credential {
        Credential { signs, ends: None, delegation: None }
    }

    /// When it ends: it is renewed ahead of that.
    #[must_use]
    pub fn ends(mut self, at: SystemTime) -> Credential {
        self.ends = Some(at);
        self
    }

    /// Requests are made on behalf of whom this token names (`opc-obo-token`). OCI alone.
    #[must_use]
    pub fn on_behalf_of(mut self, token: &str) -> Credential {
        self.delegation = Some(Zeroizing::new(token.trim().to_owned()));
        self
    }
}

/// Until a time, from now on.
pub(crate) fn left(ends: Option<SystemTime>) -> Option<Duration> {
    ends.map(|ends| ends.duration_since(SystemTime::now()).unwrap_or_default())
}

fn private_key(pem: &str, pass_phrase: Option<&str>) -> Result<PrivateKey> {
    let unusable =
        |e: KeyError| Error::config(format!("the key of a credential cannot be used: {e}"));
    PrivateKey::from_pem(pem.as_bytes(), pass_phrase.map(str::as_bytes)).map_err(unusable)
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("ends", &self.ends).finish_non_exhaustive()
    }
}
