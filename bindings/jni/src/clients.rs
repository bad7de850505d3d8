// SPDX-License-Identifier: Apache-2.0
//! The clients of the process, by their settings, and the certificates that Java gave for them.

use crate::raised::{Raised, Result};
use crate::runtime;
use std::sync::{Arc, Mutex};
use storescope::timing::{Scope, Snapshot};
use storescope::{Client, Config, Face, StoreOptions};
use storescope_bindings::clients::Clients;
use storescope_bindings::lock::locked;
use storescope_bindings::options::Options;

/// Names certificates that were given by [`trust`], among the settings of a store.
const TRUSTED: &str = "trusted";

/// By the settings of level *client*, and the numbers of the certificates to trust.
static CLIENTS: Clients<(Options, Vec<String>)> = Clients::new();

static CERTIFICATES: Mutex<Vec<Arc<[Vec<u8>]>>> = Mutex::new(Vec::new());

/// The client with those settings of the list that are a client's, and the options of a store with the others.
pub(crate) fn client(settings: Vec<(String, String)>) -> Result<(Client, StoreOptions)> {
    let (trusted, settings): (Vec<_>, Vec<_>) =
        settings.into_iter().partition(|(name, _)| name == TRUSTED);
    let trusted = trusted.into_iter().map(|(_, number)| number).collect();
    let (of_client, of_store) = Options::split(settings);
    let client = CLIENTS.get_or_build((of_client, trusted), |(options, trusted)| {
        let mut builder = Client::builder().runtime(runtime::handle().clone()).face(Face::Jvm);
        for number in trusted {
            builder = builder.trusted_certificates(certificates(number)?);
        }
        let config = options.over(Config::from_env()?)?;
        Ok::<_, Raised>(builder.config(config).build()?)
    })?;
    Ok((client, of_store.of_store()))
}

/// All clients so far.
pub(crate) fn all() -> Vec<Client> {
    CLIENTS.all()
}

/// What all of them have recorded.
pub(crate) fn snapshot() -> Snapshot {
    let all = all();
    let whole = all.iter().map(|client| client.metrics().snapshot()).reduce(|mut whole, one| {
        whole.merge(&one);
        whole
    });
    whole.unwrap_or_else(|| Scope::new("nothing yet").snapshot())
}

/// Keeps certificates for the clients to come; the number that stands for them among a store's settings.
pub(crate) fn trust(der: Vec<Vec<u8>>) -> usize {
    let mut certificates = locked(&CERTIFICATES);
    certificates.iter().position(|known| **known == *der).unwrap_or_else(|| {
        certificates.push(der.into());
        certificates.len() - 1
    })
}

fn certificates(number: &str) -> Result<Vec<Vec<u8>>> {
    let certificates = locked(&CERTIFICATES);
    let given = number.parse().ok().and_then(|number: usize| certificates.get(number));
    let unknown = || Raised::Told(format!("no certificates were given as number {number}"));
    given.map(|given| given.to_vec()).ok_or_else(unknown)
}
