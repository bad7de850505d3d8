// SPDX-License-Identifier: Apache-2.0
//! What environment variables give to a principal: a value, or the absolute path of a file that has it, which is read
//! again for each new identity.

use super::token::Token;
use crate::error::{Error, ErrorKind, Failure, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storescope_sign::PrivateKey;
use zeroize::Zeroizing;

/// Looks a variable up. Tests have an environment of their own.
pub(super) type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The variables of a principal.
#[derive(Clone)]
pub(super) struct Variables {
    lookup: Arc<Lookup>,
    /// What stands behind each name.
    suffix: &'static str,
}

impl Variables {
    pub(super) fn new(lookup: Arc<Lookup>) -> Variables {
        Variables { lookup, suffix: "" }
    }

    pub(super) fn of_process() -> Variables {
        Variables::new(Arc::new(|name| std::env::var(name).ok()))
    }

    /// The same for variables whose names end so.
    pub(super) fn suffixed(&self, suffix: &'static str) -> Variables {
        Variables { lookup: Arc::clone(&self.lookup), suffix }
    }

    /// A variable's whole name.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    /// The value of a variable; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(&self.name(name)).filter(|value| !value.is_empty())
    }

    /// The value of a variable that must be set.
    pub(super) fn require(&self, name: &str) -> Result<String> {
        let lacks =
            || Error::config(format!("environment variable {} is not set", self.name(name)));
        self.get(name).ok_or_else(lacks)
    }

    /// What a variable that must be set gives.
    pub(super) fn given(&self, name: &str) -> Result<Given> {
        Ok(Given::new(self.name(name), self.require(name)?))
    }
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Variables")
    }
}

/// A value, or the file that has it.
pub(super) struct Given {
    name: String,
    what: What,
}

enum What {
    Value(Zeroizing<String>),
    File(PathBuf),
}

impl Given {
    pub(super) fn new(name: impl Into<String>, value: String) -> Given {
        let what = if Path::new(&value).is_absolute() {
            What::File(value.into())
        } else {
            What::Value(Zeroizing::new(value))
        };
        Given { name: name.into(), what }
    }

    /// The value as it is now, without the white space around it.
    pub(super) fn read(&self) -> Result<Token, Failure> {
        let file = match &self.what {
            What::Value(value) => return Ok(Zeroizing::new(value.trim().to_owned())),
            What::File(file) => file,
        };
        let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|e| {
            let what = format!("{} names {}, which cannot be read", self.name, file.display());
            Failure::new(ErrorKind::Config).message(what).source(e)
        })?;
        Ok(Zeroizing::new(text.trim().to_owned()))
    }

    /// The value as a private key. One that is encrypted takes a while.
    fn key(&self, passphrase: Option<&Given>) -> Result<PrivateKey, Failure> {
        let passphrase = passphrase.map(Given::read).transpose()?;
        let passphrase = passphrase.as_ref().map(|text| text.as_bytes());
        PrivateKey::from_pem(self.read()?.as_bytes(), passphrase).map_err(|e| {
            let what = format!("{} gives a key that cannot be used: {e}", self.name);
            Failure::new(ErrorKind::Config).message(what)
        })
    }

    /// Where the value comes from, for messages.
    pub(super) fn place(&self) -> String {
        match &self.what {
            What::Value(_) => self.name.clone(),
            What::File(file) => format!("{} ({})", file.display(), self.name),
        }
    }
}

/// A private key, and its passphrase, where it has one.
#[derive(Clone, Debug)]
pub(super) struct GivenKey(Arc<(Given, Option<Given>)>);

impl GivenKey {
    pub(super) fn new(key: Given, passphrase: Option<Given>) -> GivenKey {
        GivenKey(Arc::new((key, passphrase)))
    }

    /// The key as it is now, read off the async threads.
    pub(super) async fn read(&self) -> Result<PrivateKey, Failure> {
        let given = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || given.0.key(given.1.as_ref())).await;
        read.map_err(|e| Failure::new(ErrorKind::Config).source(e))?
    }
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("name", &self.name).finish_non_exhaustive()
    }
}
