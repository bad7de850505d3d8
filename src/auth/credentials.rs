// SPDX-License-Identifier: Apache-2.0
//! Identities that a program gives out itself.

use crate::error::{Error, Result};
use std::fmt;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use storescope_sign::{KeyError, PrivateKey};
use zeroize::Zeroizing;

/// A source of identities for OCI stores, in place of those that the settings name:
/// [`ClientBuilder::credentials`](crate::ClientBuilder::credentials),
/// [`StoreOptions::credentials`](crate::StoreOptions::credentials).
///
/// It is asked before the first request, again ahead of the end of what it gave, and once after the store refused that
/// (401). Calls that wait share one question; nobody waits while the last answer is good.
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
    pub(super) key: PrivateKey,
    pub(super) ends: Option<SystemTime>,
    pub(super) delegation: Option<Zeroizing<String>>,
}

#[derive(Clone)]
pub(super) enum Signs {
    ByKeyId(String),
    ByToken(Zeroizing<String>),
}

impl Credential {
    /// A user's API key: the key in PEM, and its passphrase, where it is encrypted.
    pub fn api_key(
        tenancy: &str,
        user: &str,
        fingerprint: &str,
        pem: &str,
        pass_phrase: Option<&str>,
    ) -> Result<Credential> {
        let signs = Signs::ByKeyId(format!("{tenancy}/{user}/{fingerprint}"));
        Credential::new(signs, pem, pass_phrase)
    }

    /// A session token and its key. It ends when the token says so.
    pub fn session(token: &str, pem: &str, pass_phrase: Option<&str>) -> Result<Credential> {
        let token = Zeroizing::new(token.trim().to_owned());
        Credential::new(Signs::ByToken(token), pem, pass_phrase)
    }

    fn new(signs: Signs, pem: &str, pass_phrase: Option<&str>) -> Result<Credential> {
        let unusable =
            |e: KeyError| Error::config(format!("the key of a credential cannot be used: {e}"));
        let key = PrivateKey::from_pem(pem.as_bytes(), pass_phrase.map(str::as_bytes));
        Ok(Credential { signs, key: key.map_err(unusable)?, ends: None, delegation: None })
    }

    /// When it ends: it is renewed ahead of that.
    #[must_use]
    pub fn ends(mut self, at: SystemTime) -> Credential {
        self.ends = Some(at);
        self
    }

    /// Requests are made on behalf of whom this token names (`opc-obo-token`).
    #[must_use]
    pub fn on_behalf_of(mut self, token: &str) -> Credential {
        self.delegation = Some(Zeroizing::new(token.trim().to_owned()));
        self
    }

    /// Until it ends, where that was said.
    pub(super) fn left(&self) -> Option<Duration> {
        self.ends.map(|ends| ends.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("ends", &self.ends).finish_non_exhaustive()
    }
}
