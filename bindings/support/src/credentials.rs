// SPDX-License-Identifier: Apache-2.0
//! What a provider of the host language gives out, as a credential of the core's.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};
use storescope::{Credential, Error};

/// Beyond it no time is meant: ten thousand years.
const MOST: Duration = Duration::from_hours(24 * 365 * 10_000);

/// What a provider told.
pub struct Told {
    /// `token`, `access_key`, or else a key id.
    pub kind: String,
    /// Token, access key or key id.
    pub id: String,
    /// PEM, or the secret of an access key.
    pub secret: String,
    /// Passphrase, or session token of an access key.
    pub more: Option<String>,
    /// When it ends, since 1970.
    pub ends: Option<Duration>,
    /// A delegation token.
    pub on_behalf_of: Option<String>,
}

impl Told {
    /// The credential. A key that is encrypted takes a while.
    pub fn made(&self) -> Result<Credential, Error> {
        let Told { kind, id, secret, .. } = self;
        let more = self.more.as_deref();
        let mut made = match kind.as_str() {
            "token" => Credential::session(id, secret, more)?,
            "access_key" => Credential::access_key(id, secret, more),
            _ => Credential::by_key_id(id, secret, more)?,
        };
        if let Some(ends) = self.ends {
            made = made.ends(UNIX_EPOCH + ends.min(MOST));
        }
        if let Some(token) = &self.on_behalf_of {
            made = made.on_behalf_of(token);
        }
        Ok(made)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Told;
    use std::time::Duration;

    fn told(kind: &str, ends: Option<Duration>) -> Told {
        let (id, secret) = ("id".to_owned(), "hidden".to_owned());
        Told { kind: kind.to_owned(), id, secret, more: None, ends, on_behalf_of: None }
    }

    #[test]
    fn an_access_key_is_taken_and_a_key_that_is_none_is_told() {
        let made = told("access_key", Some(Duration::MAX)).made().unwrap();
        assert!(!format!("{made:?} {:?}", told("x", None)).contains("hidden"));
        for kind in ["token", "key_id"] {
            let error = told(kind, None).made().unwrap_err();
            assert!(error.to_string().contains("key of a credential"), "{error}");
        }
    }
}
