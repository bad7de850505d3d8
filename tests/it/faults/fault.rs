// SPDX-License-Identifier: Apache-2.0
//! What goes wrong: the list in `tests/faults.json`, and the servers of those faults that are below HTTP.

use crate::common::raw_server;
use crate::tls::Authority;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use storescope_emulator::Action;
use tokio::net::TcpSocket;

/// A fault of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    pub(super) name: String,
    /// How it is made where it is below HTTP.
    network: Option<String>,
    /// The emulator's actions, all of which fire.
    #[serde(default)]
    actions: Vec<serde_json::Value>,
    /// How often; for ever without it.
    pub(super) times: Option<u32>,
    /// The outcomes that may be right.
    pub(super) right: Vec<String>,
    pub(super) meaning: String,
}

pub(super) fn all() -> Vec<Spec> {
    let listed: Vec<Spec> = serde_json::from_str(include_str!("../../faults.json")).unwrap();
    let by_one = |spec: &Spec| spec.network.is_some() == spec.actions.is_empty();
    assert!(listed.iter().all(by_one), "a fault is below HTTP, or the emulator's");
    listed
}

/// Servers that are no object stores.
pub(super) struct Network {
    /// Holds the port on which nothing listens.
    _vacant: TcpSocket,
    refused: String,
    expired: String,
    another_host: String,
    elsewhere: String,
    /// Connections to the server that redirects lead to.
    followed: Arc<AtomicUsize>,
    bundle: PathBuf,
    _folder: tempfile::TempDir,
}

impl Network {
    pub(super) fn new() -> Network {
        let vacant = TcpSocket::new_v4().unwrap();
        vacant.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let authority = Authority::new("faults");
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("ca.pem");
        std::fs::write(&bundle, &authority.pem).unwrap();
        let followed = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&followed);
        let elsewhere = raw_server(move |_| {
            counting.fetch_add(1, Relaxed);
        });
        Network {
            refused: format!("http://{}", vacant.local_addr().unwrap()),
            _vacant: vacant,
            expired: format!("https://{}", authority.serve(&["127.0.0.1"], 2020)),
            another_host: format!("https://{}", authority.serve(&["store.example"], 2100)),
            elsewhere: format!("http://{elsewhere}"),
            followed,
            bundle,
            _folder: folder,
        }
    }

    /// The endpoint of a fault below HTTP, and the certificates that its client trusts.
    pub(super) fn endpoint(&self, spec: &Spec) -> Option<(String, PathBuf)> {
        spec.network.as_ref()?;
        let endpoint = match &*spec.name {
            "connect refused" => &*self.refused,
            "DNS gone" => "http://no-such-host.invalid",
            "certificate expired" => &self.expired,
            "certificate of another host" => &self.another_host,
            other => panic!("{other:?} is not known"),
        };
        Some((endpoint.to_owned(), self.bundle.clone()))
    }

    /// The emulator's actions of a fault.
    pub(super) fn actions(&self, spec: &Spec) -> Vec<Action> {
        let action = |value: &serde_json::Value| {
            let text = value.to_string().replace("http://HOST", &self.elsewhere);
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
        };
        spec.actions.iter().map(action).collect()
    }

    pub(super) fn followed(&self) -> usize {
        self.followed.load(Relaxed)
    }
}
