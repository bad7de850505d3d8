// SPDX-License-Identifier: Apache-2.0
//! A session token, in a file. Other tools may renew it; the identity service renews it, too, ahead of its end, and
//! then the file is written.

use super::Identity;
use super::instance::TokenAnswer;
use super::key::Key;
use super::renewing::{Fetched, Fetching, Renewing, Source};
use super::token::{self, Token};
use super::token_file::TokenFile;
use crate::auth::web::{Ask, Signing, Web};
use crate::config::Profile;
use crate::error::{Failure, Result};
use hyper::{Method, StatusCode};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use storescope_sign::{PrivateKey, Rule};
use zeroize::Zeroizing;

/// A session token (`oci session authenticate`): read again when its file has changed, and with it the key, which a
/// new session has anew.
#[derive(Debug)]
pub(super) struct SessionToken {
    profile: Profile,
    web: Arc<Web>,
    /// The identity service, where a region or setting tells of it.
    auth_endpoint: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    identity: Arc<Identity>,
    file: TokenFile,
}

/// A request for the next token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refresh<'a> {
    current_token: &'a str,
}

impl SessionToken {
    pub(super) fn load(
        key: PrivateKey,
        profile: &Profile,
        web: &Arc<Web>,
        auth_endpoint: Option<String>,
    ) -> Result<Renewing> {
        let mend = "`oci session authenticate` makes one";
        let (file, token) = TokenFile::open(profile, "security_token_file", mend)?;
        let first = token::identity(&token, key, None).map_err(|_| {
            let what = "names the token of another key than the one that is given; `oci session authenticate` makes both";
            profile.error("security_token_file", what)
        })?;
        let session = SessionToken {
            profile: profile.clone(),
            web: Arc::clone(web),
            auth_endpoint,
            state: Mutex::new(State { identity: Arc::clone(&first.identity), file }),
        };
        let first = session.lasting(first);
        Ok(Renewing::holding(Box::new(session), first))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What cannot be renewed is used for as long as the store takes it.
    fn lasting(&self, mut fetched: Fetched) -> Fetched {
        if self.auth_endpoint.is_none() || fetched.left.is_some_and(|left| left.is_zero()) {
            fetched.left = None;
        }
        fetched
    }

    async fn renew(&self) -> Result<Fetched, Failure> {
        if let Some(fetched) = self.look() {
            return Ok(fetched);
        }
        let identity = Arc::clone(&self.state().identity);
        let unchanged = |identity| Fetched { identity, left: None, half: false, tenancy: None };
        let Some(endpoint) = &self.auth_endpoint else { return Ok(unchanged(identity)) };
        let token = identity.key_id.trim_start_matches("ST$");
        if token::expiry(token).is_some_and(|ends| ends <= SystemTime::now()) {
            return Ok(unchanged(identity));
        }
        // Written into what is large enough: one that grows would leave its former place behind uncleared.
        let mut body = Zeroizing::new(Vec::with_capacity(token.len() + 64));
        serde_json::to_writer(&mut *body, &Refresh { current_token: token })
            .expect("writing to memory");
        let signed = Signing { key_id: &identity.key_id, key: &identity.key, rule: Rule::Body };
        let answer = self.web.ask(Ask {
            what: "the identity service",
            method: Method::POST,
            url: format!("{endpoint}/v1/authentication/refresh"),
            headers: Vec::new(),
            body: Some(("application/json", body)),
            signed: Some(signed),
        });
        let answer = match answer.await {
            Err(refusal) if refusal.status == Some(StatusCode::UNAUTHORIZED) => {
                tracing::warn!(
                    error = Failure::from(refusal).message,
                    "the session token cannot be renewed any more; `oci session authenticate` makes another"
                );
                return Ok(unchanged(identity));
            }
            answered => answered?,
        };
        let TokenAnswer { token } = answer.json()?;
        let fetched = token::identity(&token, identity.key.clone(), answer.date)?;
        self.keep(&fetched.identity, token).await;
        Ok(fetched)
    }

    /// Writes the new token for others, and for this process's next start.
    async fn keep(&self, identity: &Arc<Identity>, token: Token) {
        let path = {
            let mut state = self.state();
            state.identity = Arc::clone(identity);
            state.file.path.clone()
        };
        let file = path.clone();
        let written = tokio::task::spawn_blocking(move || write(&file, &token)).await;
        match written {
            Ok(Ok(())) => self.state().file.note(),
            Ok(Err(error)) => tracing::warn!(
                file = %path.display(), %error,
                "a renewed session token could not be written; only this process has it"
            ),
            Err(_) => {}
        }
    }
}

/// Replaces a file, whole or not at all, readable by its owner alone.
fn write(path: &std::path::Path, token: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let path = std::fs::canonicalize(path)?;
    let mut name = path.clone().into_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&fresh).and_then(|mut file| file.write_all(token.as_bytes()));
    let replaced = written.and_then(|()| std::fs::rename(&fresh, &path));
    if replaced.is_err() {
        let _ = std::fs::remove_file(&fresh);
    }
    replaced
}

impl Source for SessionToken {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.renew())
    }

    fn look(&self) -> Option<Fetched> {
        let mut state = self.state();
        let (token, modified) = state.file.look()?;
        let Ok(Key { private: key, .. }) = Key::load(&self.profile) else {
            // Half-written, perhaps: looked at again in a second.
            return None;
        };
        // Of another key: the session's other file is still to be written.
        let fetched = token::identity(&token, key, None).ok()?;
        state.file.modified = modified;
        if *fetched.identity.key_id == *state.identity.key_id {
            return None;
        }
        state.identity = Arc::clone(&fetched.identity);
        tracing::debug!(file = %state.file.path.display(), "session token read again");
        Some(self.lasting(fetched))
    }

    fn mends(&self) -> bool {
        false
    }

    fn advice(&self) -> String {
        let state = self.state();
        let file = state.file.path.display();
        match token::expiry(&state.identity.key_id) {
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
