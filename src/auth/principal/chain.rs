// SPDX-License-Identifier: Apache-2.0
//! Principals that are tried one after the other, where nothing says who signs. The first that works is kept.

use super::renewing::{Fetched, Fetching, Regional, Source};
use crate::error::{ErrorKind, Failure, Result};
use std::fmt;
use std::sync::OnceLock;

pub(super) struct Chain {
    /// Why nothing that was looked at before counts.
    before: String,
    links: Vec<Link>,
    chosen: OnceLock<usize>,
}

/// A principal that may be there.
pub(super) struct Link {
    /// What it is called.
    pub(super) name: &'static str,
    /// The principal, or why it is not there.
    pub(super) source: Result<Box<dyn Source>, String>,
    /// Whether its failure is the chain's: it was named, not guessed.
    pub(super) is_named: bool,
}

impl Chain {
    pub(super) fn new(before: String, links: Vec<Link>) -> Chain {
        Chain { before, links, chosen: OnceLock::new() }
    }

    fn chosen(&self) -> Option<&dyn Source> {
        let link = self.links.get(*self.chosen.get()?)?;
        link.source.as_deref().ok()
    }

    async fn choose(&self) -> Result<Fetched, Failure> {
        let mut tried = self.before.clone();
        for (number, Link { name, source, is_named }) in self.links.iter().enumerate() {
            let why = match source {
                Err(why) => why.clone(),
                Ok(source) => match source.fetch().await {
                    Ok(fetched) => {
                        tracing::debug!(
                            principal = name,
                            "requests are signed as this from now on"
                        );
                        let _ = self.chosen.set(number);
                        return Ok(fetched);
                    }
                    Err(mut failure) if *is_named => {
                        failure.message = format!("{name}: {}", failure.message);
                        return Err(failure);
                    }
                    Err(failure) => match &failure.hint {
                        Some(hint) => format!("{} ({hint})", failure.reasons()),
                        None => failure.reasons(),
                    },
                },
            };
            tried = format!("{tried}; {name}: {why}");
        }
        Err(Failure::new(ErrorKind::Config)
            .message(format!(
                "nothing says who signs (auth=auto); tried in this order: settings and profile: {tried}"
            ))
            .hint(
                "run `oci setup config` for an API key or `oci session authenticate` for a session, or name a principal by auth (docs/AUTH.md)",
            ))
    }
}

impl Source for Chain {
    fn fetch(&self) -> Fetching<'_> {
        match self.chosen() {
            Some(source) => source.fetch(),
            None => Box::pin(self.choose()),
        }
    }

    fn region(&self) -> Regional<'_> {
        match self.chosen() {
            Some(source) => source.region(),
            None => Box::pin(std::future::ready(Ok(None))),
        }
    }

    fn advice(&self) -> String {
        self.chosen().map(Source::advice).unwrap_or_default()
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.links.iter().map(|link| link.name).collect();
        f.debug_struct("Chain").field("links", &names).finish_non_exhaustive()
    }
}
