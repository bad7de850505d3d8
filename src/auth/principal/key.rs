// SPDX-License-Identifier: Apache-2.0
//! The private key of a profile.

use crate::config::{Dated, Profile, expand_home};
use crate::error::Result;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use storescope_sign::{KeyError, PrivateKey};
use zeroize::Zeroizing;

/// The key of a profile.
pub(super) struct Key {
    pub(super) private: PrivateKey,
    /// What to call it in messages.
    pub(super) name: String,
    /// The setting it comes from.
    pub(super) setting: &'static str,
    /// The file it was read from.
    pub(super) file: Option<Dated>,
}

impl Key {
    pub(super) fn load(profile: &Profile) -> Result<Key> {
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
pub(super) fn warn_once(text: &str) {
    static WARNED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if WARNED.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned()) {
        tracing::warn!("{text}");
    }
}
