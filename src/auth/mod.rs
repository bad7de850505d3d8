// SPDX-License-Identifier: Apache-2.0
//! Who asks: principals, and the signer that makes their signatures and reuses them while they are valid. The clock and
//! the cache of signed reads serve S3's signer (`backend/s3/signer.rs`) too.
//!
//! ```text
//!  settings, profile ─▶ Principal ── identity: key id + key ─▶ Signer ── SignatureCache ─▶ date, authorization
//!                         ▲  looked at again, or fetched anew ◀── 401 ──┘  Clock ◀── the server's Date
//!                         └─ Web: instance metadata, identity service, identity domain
//! ```
//!
//! `principal/` has the principals, `web.rs` the requests that identities are fetched by, `credentials.rs` the trait for
//! identities of the program's own, `signer.rs` OCI's signatures, `reuse.rs` the cache of signed reads, `clock.rs` the
//! clock that signatures are dated by, `retry.rs` what a 401 leads to.
//!
//! It promises: RSA runs off the async threads; no secret in `Debug`, logs or errors; a 401 says what was presented.

mod clock;
mod credentials;
mod principal;
mod retry;
mod reuse;
mod signer;
mod web;

#[cfg(feature = "s3")]
pub(crate) use clock::Clock;
pub use credentials::{Credential, CredentialFuture, Credentials};
pub(crate) use principal::{Principal, Principals, Standing};
pub(crate) use retry::AuthRetry;
#[cfg(feature = "s3")]
pub(crate) use reuse::{ReadKind, SignatureCache, SignedRead};
pub(crate) use signer::{Presented, Signed, Signer};
