// SPDX-License-Identifier: Apache-2.0
//! What all requests of one emulator share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::Clock;
use crate::fault::Faults;
use crate::identity::Identity;
use crate::latency::Latency;
use crate::record::Record;
use crate::storage::Storage;
use crate::timer::Timer;
use crate::work_requests::Works;

/// All that the requests of one emulator share.
pub(crate) struct Server {
    /// The store of the first tenancy's namespace.
    pub(crate) storage: Arc<Storage>,
    /// Those of the tenancies that were added, in memory.
    pub(crate) others: RwLock<Vec<Arc<Storage>>>,
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) timer: Timer,
    pub(crate) record: Arc<Record>,
    pub(crate) faults: Faults,
    pub(crate) latency: Latency,
    pub(crate) works: Works,
    pub(crate) last_request: AtomicU64,
    pub(crate) last_connection: AtomicU64,
}

impl Server {
    /// The store of a namespace. The first tenancy's answers for a namespace that is nobody's.
    pub(crate) fn storage_of(&self, namespace: &str) -> Arc<Storage> {
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        let other = others.iter().find(|storage| storage.namespace() == namespace);
        other.unwrap_or(&self.storage).clone()
    }

    /// Makes a store for a namespace that has none.
    pub(crate) fn add_storage(&self, namespace: &str) {
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        let is_known = |storage: &Arc<Storage>| storage.namespace() == namespace;
        if !others.iter().chain([&self.storage]).any(is_known) {
            others.push(Arc::new(Storage::new(namespace.to_owned())));
        }
    }
}
