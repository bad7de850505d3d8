// SPDX-License-Identifier: Apache-2.0
//! Users with API keys, and the tenancies that they belong to.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use storescope_sign::PublicKey;

use super::names::{TENANCY, USER};
use super::tokens::Caller;

/// A user to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name of its profile in the configuration file: letters, digits, `-` and `_`.
    pub profile: String,
    /// OCID of its tenancy; without it, that of the other profiles.
    #[serde(default)]
    pub tenancy: Option<String>,
    /// The namespace of a tenancy that is new; without it, a name made of the profile's.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// A user that was added, with an API key of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// Its profile in the configuration file.
    pub profile: String,
    /// OCID of its tenancy.
    pub tenancy: String,
    /// The namespace of its tenancy.
    pub namespace: String,
    /// Its OCID.
    pub user: String,
    /// Fingerprint of its key.
    pub fingerprint: String,
    /// PEM file of its key.
    pub key_file: String,
}

/// All users of one emulator.
#[derive(Debug)]
pub(super) struct Users(RwLock<State>);

#[derive(Debug)]
struct State {
    /// By `keyId`.
    keys: HashMap<String, (PublicKey, Caller)>,
    /// The namespace of each tenancy.
    namespaces: HashMap<String, String>,
    added: Vec<User>,
}

impl Users {
    /// The user of profile DEFAULT, whose tenancy has this namespace.
    pub(super) fn new(namespace: &str, key: &PublicKey) -> Users {
        let caller = Caller::new(USER, TENANCY);
        let keys = HashMap::from([(key_id(&caller, key), (key.clone(), caller))]);
        let namespaces = HashMap::from([(TENANCY.to_owned(), namespace.to_owned())]);
        Users(RwLock::new(State { keys, namespaces, added: Vec::new() }))
    }

    pub(super) fn find(&self, key_id: &str) -> Option<(PublicKey, Caller)> {
        self.read(|state| state.keys.get(key_id).cloned())
    }

    pub(super) fn namespace(&self, tenancy: &str) -> Option<String> {
        self.read(|state| state.namespaces.get(tenancy).cloned())
    }

    pub(super) fn owner(&self, namespace: &str) -> Option<String> {
        self.read(|state| {
            let mut tenancies = state.namespaces.iter();
            tenancies.find(|(_, own)| *own == namespace).map(|(tenancy, _)| tenancy.clone())
        })
    }

    pub(super) fn added(&self) -> Vec<User> {
        self.read(|state| state.added.clone())
    }

    /// Checks what a new user is to be, and completes it: its namespace and its OCID.
    pub(super) fn plan(&self, new: &NewUser) -> Result<(Caller, String), String> {
        let NewUser { profile, tenancy, namespace } = new;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if profile.is_empty() || !profile.bytes().all(legal) {
            return Err("profile is not letters, digits, '-' and '_'".into());
        }
        let taken = ["DEFAULT", "WRONG", "SESSION", "EXPIRED", "DELEGATED"];
        if taken.contains(&profile.as_str()) || self.has(profile) {
            return Err(format!("the profile {profile} exists"));
        }
        let tenancy = tenancy.as_deref().unwrap_or(TENANCY);
        if !tenancy.starts_with("ocid1.tenancy.") {
            return Err(format!("'{tenancy}' is not the OCID of a tenancy"));
        }
        let known = self.namespace(tenancy);
        let made = || namespace.clone().unwrap_or_else(|| profile.to_ascii_lowercase());
        let namespace = match (known, namespace) {
            (Some(known), Some(asked)) if known != *asked => {
                return Err(format!("the namespace of this tenancy is {known}"));
            }
            (Some(known), _) => known,
            (None, _) if self.owner(&made()).is_some() => {
                return Err(format!("the namespace {} is another tenancy's", made()));
            }
            (None, _) => made(),
        };
        let id = format!("ocid1.user.oc1..aaaaaaaaemulator{}", profile.to_ascii_lowercase());
        Ok((Caller { id, tenancy: tenancy.to_owned() }, namespace))
    }

    fn has(&self, profile: &str) -> bool {
        self.read(|state| state.added.iter().any(|user| user.profile == profile))
    }

    pub(super) fn add(&self, user: User, caller: Caller, key: &PublicKey) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.keys.insert(key_id(&caller, key), (key.clone(), caller));
        state.namespaces.insert(user.tenancy.clone(), user.namespace.clone());
        state.added.push(user);
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn key_id(caller: &Caller, key: &PublicKey) -> String {
    format!("{}/{}/{}", caller.tenancy, caller.id, key.fingerprint())
}
