// SPDX-License-Identifier: Apache-2.0
//! When the bytes of an exchange were written and read, noted where it happens: in the wrapper of the socket.

use super::clock::now_ns;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The times of the exchange under way on one connection, in `now_ns`; 0 is none.
///
/// Over TLS they are those of the plaintext: what rustls has taken and not yet sent (64 KiB at most) counts as written.
#[derive(Debug, Default)]
pub(crate) struct SocketTimes {
    last_write: AtomicU64,
    first_read: AtomicU64,
    last_read: AtomicU64,
    /// Bytes written, the request's head included.
    written: AtomicU64,
    /// Until when a limit of ours held the request's body back.
    held: AtomicU64,
}

impl SocketTimes {
    /// Forgets the exchange before.
    pub(crate) fn begin(&self) {
        self.last_write.store(0, Relaxed);
        self.first_read.store(0, Relaxed);
        self.last_read.store(0, Relaxed);
        self.written.store(0, Relaxed);
        self.held.store(0, Relaxed);
    }

    /// Until when a limit of ours holds, or last held, the request's body back; 0 where none did.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// Notes that a limit of ours holds the request's body back until then.
    pub(crate) fn hold(&self, until: u64) {
        self.held.store(until, Relaxed);
    }

    /// Bytes of the request written so far, its head included.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// When the last byte of the request, so far, was written.
    pub(crate) fn last_write(&self) -> Option<u64> {
        some(&self.last_write)
    }

    /// When the first byte of the answer was read.
    pub(crate) fn first_read(&self) -> Option<u64> {
        some(&self.first_read)
    }

    /// When the last byte of the answer, so far, was read.
    pub(crate) fn last_read(&self) -> Option<u64> {
        some(&self.last_read)
    }

    /// Notes a write of so many bytes, now.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.written.store(self.written() + bytes as u64, Relaxed);
        // What is written once the answer has begun (the rest of a refused upload) belongs to no phase.
        if self.first_read.load(Relaxed) == 0 {
            self.last_write.store(now_ns(), Relaxed);
        }
    }

    /// Notes a read, now.
    pub(crate) fn read(&self) {
        let now = now_ns();
        self.last_read.store(now, Relaxed);
        if self.first_read.load(Relaxed) == 0 {
            self.first_read.store(now, Relaxed);
        }
    }
}

fn some(cell: &AtomicU64) -> Option<u64> {
    match cell.load(Relaxed) {
        0 => None,
        time => Some(time),
    }
}
