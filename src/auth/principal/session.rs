// SPDX-License-Identifier: Apache-2.0
//! A session token, in a file that other tools renew.

use super::key::Key;
use super::token_file::TokenFile;
use super::{Identified, Identity, Principal};
use crate::config::Profile;
use crate::error::Result;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storescope_sign::PrivateKey;
use zeroize::Zeroizing;

/// A session token (`oci session authenticate`): a file that other tools renew, read again when it has changed, and
/// with it the key, which a new session has anew.
#[derive(Debug)]
pub(super) struct SessionToken {
    profile: Profile,
    state: Mutex<(Arc<Identity>, TokenFile)>,
}

impl SessionToken {
    pub(super) fn load(key: PrivateKey, profile: &Profile) -> Result<SessionToken> {
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

fn key_id(token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("ST${token}"))
}

/// The `exp` claim of a token's payload, unverified: for advice only.
pub(super) fn expiry(key_id: &str) -> Option<SystemTime> {
    let payload = URL_SAFE_NO_PAD.decode(key_id.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(claims.get("exp")?.as_u64()?))
}
