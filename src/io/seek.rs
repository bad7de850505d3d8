// SPDX-License-Identifier: Apache-2.0
//! Where a seek leads.

use std::io::{Error, ErrorKind, Result};

/// The place `offset` bytes from `base` on. Behind the end is allowed, before the start is not.
pub(crate) fn sought(base: u64, offset: i64) -> Result<u64> {
    base.checked_add_signed(offset).ok_or_else(|| {
        let message = format!("a seek to {offset} bytes from {base} lies outside of an object");
        Error::new(ErrorKind::InvalidInput, message)
    })
}
