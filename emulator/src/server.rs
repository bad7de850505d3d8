// SPDX-License-Identifier: Apache-2.0
//! What all requests of one emulator share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

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
    pub(crate) storage: Storage,
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
