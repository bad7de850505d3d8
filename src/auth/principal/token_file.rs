// SPDX-License-Identifier: Apache-2.0
//! A file that holds a token.

use super::renewing::LOOK_EVERY;
use super::token::Token;
use crate::config::{Profile, expand_home};
use crate::error::Result;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// A file that holds a token, which other tools renew.
#[derive(Debug)]
pub(super) struct TokenFile {
    pub(super) path: PathBuf,
    pub(super) modified: Option<SystemTime>,
    looked: tokio::time::Instant,
}

impl TokenFile {
    /// The file that a profile names under `key`, and the token in it.
    pub(super) fn open(profile: &Profile, key: &str, mend: &str) -> Result<(TokenFile, Token)> {
        let path = expand_home(profile.require(key)?);
        let modified = modified(&path);
        let token = read_token(&path).map_err(|e| {
            let path = path.display();
            profile.error(key, &format!("names the token file {path}, which {e}; {mend}"))
        })?;
        Ok((TokenFile { path, modified, looked: tokio::time::Instant::now() }, token))
    }

    /// The file was written by us: it is known as it is.
    pub(super) fn note(&mut self) {
        self.modified = modified(&self.path);
    }

    pub(super) fn is_due(&self) -> bool {
        self.looked.elapsed() >= LOOK_EVERY
    }

    /// The token, if the file's date is not the one that is known, and that date. A file that is half-written, perhaps,
    /// is looked at again.
    pub(super) fn look(&mut self) -> Option<(Token, Option<SystemTime>)> {
        self.looked = tokio::time::Instant::now();
        let modified = modified(&self.path);
        if modified == self.modified {
            return None;
        }
        Some((read_token(&self.path).ok()?, modified))
    }
}

fn read_token(file: &Path) -> Result<Token, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("cannot be read: {e}"))?;
    let token = Zeroizing::new(Zeroizing::new(text).trim().to_owned());
    if token.is_empty() { Err("is empty".to_owned()) } else { Ok(token) }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}
