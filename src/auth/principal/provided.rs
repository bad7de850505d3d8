// SPDX-License-Identifier: Apache-2.0
//! Identities of a [`Credentials`] of the program's.

use super::renewing::{Fetched, Fetching, Source};
use super::{Identity, token};
use crate::auth::credentials::{Credential, Credentials, Signs};
use crate::error::{Boxed, Error, ErrorKind, Failure};
use std::sync::Arc;
use zeroize::Zeroizing;

#[derive(Debug)]
pub(super) struct Provided(pub(super) Arc<dyn Credentials>);

impl Source for Provided {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let given = self.0.credential().await;
            let credential = given.map_err(|error| match error.downcast::<Error>() {
                Ok(error) => Failure::from(*error),
                Err(error) => {
                    let mut failure = Failure::new(ErrorKind::Unauthenticated)
                        .message(format!("the client's credentials gave none: {error}"))
                        .source(Boxed(error));
                    failure.unsent = true;
                    failure
                }
            })?;
            made(credential)
        })
    }

    fn advice(&self) -> String {
        "the request was signed with the credentials that the client was given".to_owned()
    }
}

fn made(credential: Credential) -> Result<Fetched, Failure> {
    let left = credential.left();
    let Credential { signs, key, delegation, .. } = credential;
    let fetched = match signs {
        Signs::ByToken(token) => token::identity(&token, key, None)?,
        Signs::ByKeyId(id) => {
            let identity = Identity { key_id: Zeroizing::new(id), key, delegation: None };
            Fetched { identity: Arc::new(identity), left: None, half: false, tenancy: None }
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
    Ok(Fetched { identity, left: left.or(fetched.left), ..fetched })
}
