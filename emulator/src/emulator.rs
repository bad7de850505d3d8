// SPDX-License-Identifier: Apache-2.0
//! A running emulator, as its owner holds it.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::admin::Admin;
use crate::fault::Fault;
use crate::folder::StateFolder;
use crate::ready::Ready;
use crate::record::{RecordLine, RecordThread};
use crate::server::Server;
use crate::timer::TimerThread;

/// A running emulator; it stops when it is dropped.
pub struct Emulator {
    pub(crate) ready: Ready,
    pub(crate) server: Arc<Server>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) runtime: Option<JoinHandle<()>>,
    pub(crate) record: Option<RecordThread>,
    pub(crate) _timer: TimerThread,
    pub(crate) _state: StateFolder,
}

impl Emulator {
    /// Where it listens and what its clients need: the line that `storescope serve` prints.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The requests that ended so far, in the order in which they ended, at most
    /// [`RECORD_CAPACITY`](crate::RECORD_CAPACITY): every answer whose last byte a client has got is among them.
    pub fn record(&self) -> Vec<RecordLine> {
        self.server.record.lines(None)
    }

    /// Adds a fault and returns its id.
    pub fn fault(&self, fault: Fault) -> u64 {
        self.server.faults.add(fault)
    }

    /// The admin API in process.
    pub fn admin(&self) -> Admin {
        Admin(self.server.clone())
    }

    /// Stops: listeners and connections close, and the record's file is complete on return.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Gone already if the runtime's thread panicked, which its own hook told.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.runtime.take().map(JoinHandle::join);
        drop(self.record.take());
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("ready", &self.ready).finish_non_exhaustive()
    }
}
