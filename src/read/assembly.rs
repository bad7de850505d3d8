// SPDX-License-Identifier: Apache-2.0
//! The bytes of one range as they come together: as one piece brought them, or in one buffer for all that bring some.

use super::buffer::RangeBuffer;
use crate::error::Result;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// What is there of one range.
#[derive(Debug, Default)]
pub(crate) enum Assembly {
    #[default]
    Empty,
    /// All of it, as it arrived.
    Whole(Bytes),
    Parts(Arc<RangeBuffer>),
}

impl Assembly {
    /// The buffer that the parts of `range` share.
    pub(crate) fn buffer(&mut self, range: &Range<u64>) -> Arc<RangeBuffer> {
        if let Assembly::Parts(buffer) = self {
            return Arc::clone(buffer);
        }
        let buffer = RangeBuffer::new(range.clone());
        *self = Assembly::Parts(Arc::clone(&buffer));
        buffer
    }

    /// The same, if there is one yet.
    pub(crate) fn shared(&self) -> Option<&Arc<RangeBuffer>> {
        match self {
            Assembly::Parts(buffer) => Some(buffer),
            _ => None,
        }
    }

    /// No caller comes for it: what still arrives lies elsewhere.
    pub(crate) fn discard(self) {
        if let Assembly::Parts(buffer) = self {
            buffer.close();
        }
    }

    /// Adds some of the bytes of `range` at a place of the object, by a copy.
    pub(crate) fn add(&mut self, range: &Range<u64>, at: u64, bytes: &[u8]) -> Result<()> {
        self.buffer(range).add(at, bytes, range.end)
    }

    /// The bytes of `range`, which may have turned out to end sooner than it did at first.
    pub(crate) fn bytes(self, range: &Range<u64>) -> Result<Bytes> {
        match self {
            Assembly::Empty => Ok(Bytes::new()),
            Assembly::Whole(bytes) => Ok(bytes),
            Assembly::Parts(buffer) => buffer.join(range.end),
        }
    }
}
