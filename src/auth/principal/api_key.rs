// SPDX-License-Identifier: Apache-2.0
//! A user's API signing key.

use super::key::{Key, warn_once};
use super::{Identified, Identity, Principal};
use crate::config::{Config, Dated, Profile};
use crate::error::Result;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// A user's API signing key. After a 401 it is looked for again: a profile or key file may have been corrected.
#[derive(Debug)]
pub(super) struct ApiKey {
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
    pub(super) fn load(key: Key, profile: &Profile, config: &Config) -> Result<ApiKey> {
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
