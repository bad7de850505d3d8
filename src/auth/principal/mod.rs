// SPDX-License-Identifier: Apache-2.0
//! Principals that live in settings and a profile: an API key, a session token, and either on behalf of another.
//!
//! ```text
//!  load ─▶ ApiKey (api_key.rs) │ SessionToken (session.rs) ─▶ Delegated (delegation.rs), where a delegation token is named
//!              │                       │      │                      │
//!              └───────────────────────┴──────┼──────────────────────┼── key.rs: the private key of a profile
//!                                             └──────────────────────┴── token_file.rs: a token that other tools renew
//! ```

mod api_key;
mod delegation;
mod key;
mod session;
#[cfg(test)]
mod tests;
mod token_file;

use crate::config::{Auth, Config, Profile, Source};
use crate::error::{Failure, Result};
use api_key::ApiKey;
use delegation::Delegated;
use key::Key;
use session::SessionToken;
use std::fmt;
use std::sync::Arc;
use storescope_sign::PrivateKey;
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

/// Somebody a store knows. API key, session token and delegation are here; instance, resource and workload principals are
/// to implement the same trait.
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
