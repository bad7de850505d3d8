// SPDX-License-Identifier: Apache-2.0
//! Who asks: principals, and the signer that makes their signatures and reuses them while they are valid.
//!
//! ```text
//!  profile (config) ─▶ Principal ── identity: key id + key ─▶ Signer ── reuse while valid ─▶ date, authorization
//!                         ▲  re-read (a token's file) ◀── 401 ──┘  clock offset ◀── the server's Date
//! ```
//!
//! It promises: RSA runs off the async threads; no secret in `Debug`, logs or errors; a 401 says what was presented.

mod principal;
mod signer;

pub(crate) use principal::{Principal, load};
#[cfg(feature = "s3")]
pub(crate) use signer::SKEW;
pub(crate) use signer::{Again, Presented, Signed, Signer};
