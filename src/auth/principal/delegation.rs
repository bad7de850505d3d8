// SPDX-License-Identifier: Apache-2.0
//! Another principal, on behalf of whom a delegation token names.

use super::token::Token;
use super::token_file::TokenFile;
use super::{Identified, Identity, Placed, Principal};
use crate::config::Profile;
use crate::error::Result;
use std::sync::{Arc, Mutex, PoisonError};

/// Another principal, whose requests are made on behalf of whom a delegation token names. The token is in a file that
/// others renew.
#[derive(Debug)]
pub(super) struct Delegated {
    principal: Box<dyn Principal>,
    state: Mutex<Delegation>,
}

#[derive(Debug)]
struct Delegation {
    file: TokenFile,
    token: Token,
    /// The principal's own identity, and what was made of it and the token.
    made: Option<(Arc<Identity>, Arc<Identity>)>,
}

impl Delegated {
    pub(super) fn load(principal: Box<dyn Principal>, profile: &Profile) -> Result<Delegated> {
        let mend = "name the file of a delegation token";
        let (file, token) = TokenFile::open(profile, "delegation_token_file", mend)?;
        Ok(Delegated { principal, state: Mutex::new(Delegation { file, token, made: None }) })
    }
}

impl Delegation {
    /// Reads the file again if its date has changed.
    fn look(&mut self) -> bool {
        let Some((token, modified)) = self.file.look() else { return false };
        self.file.modified = modified;
        if *token == *self.token {
            return false;
        }
        self.token = token;
        self.made = None;
        tracing::debug!(file = %self.file.path.display(), "delegation token read again");
        true
    }

    fn identity(&mut self, of: Arc<Identity>) -> Arc<Identity> {
        if self.file.is_due() {
            self.look();
        }
        match &self.made {
            Some((own, made)) if Arc::ptr_eq(own, &of) => Arc::clone(made),
            _ => {
                let made = Arc::new(Identity {
                    key_id: of.key_id.clone(),
                    key: of.key.clone(),
                    delegation: Some(self.token.clone()),
                });
                self.made = Some((of, Arc::clone(&made)));
                made
            }
        }
    }
}

impl Principal for Delegated {
    fn current(&self) -> Option<Arc<Identity>> {
        let own = self.principal.current()?;
        Some(self.state.lock().unwrap_or_else(PoisonError::into_inner).identity(own))
    }

    fn identity(&self) -> Identified<'_> {
        Box::pin(async {
            let own = self.principal.identity().await?;
            Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner).identity(own))
        })
    }

    fn refresh(&self) -> bool {
        let renewed = self.state.lock().unwrap_or_else(PoisonError::into_inner).look();
        self.principal.refresh() || renewed
    }

    fn standing(&self) -> Placed<'_> {
        self.principal.standing()
    }

    fn advice(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        format!(
            "{}; it was made on behalf of the delegation token in {}, which may have expired",
            self.principal.advice(),
            state.file.path.display()
        )
    }
}
