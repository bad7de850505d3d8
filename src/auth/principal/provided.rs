// SPDX-License-Identifier: Apache-2.0
//! Identities of a [`Credentials`] of the program's.

use super::renewing::{Fetched, Fetching, Kept, Renewing, Source, WeakRenewing};
use super::{Identity, token};
#[cfg(feature = "s3")]
use crate::auth::credentials::AccessKey;
use crate::auth::credentials::{Credential, Credentials, Signs, left};
use crate::error::{Error, ErrorKind, Failure};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

const ADVICE: &str = "the request was signed with the credentials that the client was given";

#[derive(Debug)]
pub(super) struct Provided(Arc<dyn Credentials>);

/// What each `Credentials` of the program's gave, for all stores that have it; forgotten with the last of them.
#[derive(Debug)]
pub(super) struct Provisions<I>(Mutex<HashMap<usize, WeakRenewing<I>>>);

impl<I: Kept> Provisions<I>
where
    Provided: Source<I>,
{
    pub(super) fn new() -> Provisions<I> {
        Provisions(Mutex::default())
    }

    /// Shared by those that were given the same.
    pub(super) fn of(&self, given: &Arc<dyn Credentials>) -> Renewing<I> {
        // It is kept by what is made of it: while that lives, the address is nobody else's.
        let address = Arc::as_ptr(given).addr();
        let mut provisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = provisions.get(&address).and_then(WeakRenewing::upgrade) {
            return known;
        }
        provisions.retain(|_, known| known.upgrade().is_some());
        let made = Renewing::new(Box::new(Provided(Arc::clone(given))));
        provisions.insert(address, made.downgrade());
        made
    }
}

impl Provided {
    async fn ask(&self) -> Result<Credential, Failure> {
        let given = self.0.credential().await;
        given.map_err(|error| match error.downcast::<Error>() {
            Ok(error) => Failure::from(*error),
            Err(error) => {
                let mut failure = Failure::new(ErrorKind::Unauthenticated)
                    .message(format!("the client's credentials gave none: {error}"));
                // As it is, so that callers find its type.
                failure.source = Some(Arc::from(error));
                failure.unsent = true;
                failure
            }
        })
    }
}

impl Source for Provided {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async { identity(self.ask().await?) })
    }

    fn advice(&self) -> String {
        ADVICE.to_owned()
    }
}

fn identity(Credential { signs, ends, delegation }: Credential) -> Result<Fetched, Failure> {
    let fetched = match signs {
        Signs::Token(token, key) => token::identity(&token, key, None)?,
        Signs::KeyId(id, key) => {
            let identity = Identity { key_id: Zeroizing::new(id), key, delegation: None };
            Fetched { identity: Arc::new(identity), left: None, half: false, tenancy: None }
        }
        Signs::AccessKey(_) => {
            return Err(of_the_other("an access key of S3", "OCI are signed by a private key"));
        }
    };
    let identity = match delegation {
        None => fetched.identity,
        Some(token) => Arc::new(Identity {
            key_id: fetched.identity.key_id.clone(),
            key: fetched.identity.key.clone(),
            delegation: Some(token),
        }),
    };
    Ok(Fetched { identity, left: left(ends).or(fetched.left), ..fetched })
}

#[cfg(feature = "s3")]
impl Source<AccessKey> for Provided {
    fn fetch(&self) -> Fetching<'_, AccessKey> {
        Box::pin(async {
            let Credential { signs, ends, .. } = self.ask().await?;
            let Signs::AccessKey(key) = signs else {
                return Err(of_the_other("a key of OCI", "S3 are signed by an access key"));
            };
            Ok(AccessKey { ends, ..key }.fetched())
        })
    }

    fn advice(&self) -> String {
        ADVICE.to_owned()
    }
}

#[cfg(feature = "s3")]
impl AccessKey {
    pub(crate) fn fetched(self) -> Fetched<AccessKey> {
        let left = left(self.ends);
        Fetched { identity: Arc::new(self), left, half: false, tenancy: None }
    }
}

/// Credentials of the other service.
fn of_the_other(given: &str, needed: &str) -> Failure {
    let what = format!("the client's credentials gave {given}, and requests to {needed}");
    let mut failure = Failure::new(ErrorKind::Config).message(what);
    failure.unsent = true;
    failure
}
