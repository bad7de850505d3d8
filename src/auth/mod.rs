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
//! clock that signatures are dated by, `retry.rs` what a 401 leads to, `secrets.rs`
//! headers and bodies that hold secrets.
//!
//! It promises: RSA runs off the async threads; no secret in `Debug`, logs or errors; a 401 says what was presented. Keys,
//! passphrases, tokens and signatures are cleared from the memory that is ours (SECURITY.md).

mod clock;
mod credentials;
mod principal;
mod retry;
mod reuse;
mod secrets;
mod signer;
mod web;

#[cfg(feature = "s3")]
pub(crate) use clock::Clock;
#[cfg(feature = "s3")]
pub(crate) use credentials::AccessKey;
pub use credentials::{Credential, CredentialFuture, Credentials};
#[cfg(any(test, fuzzing))]
pub(crate) use principal::fuzzing;
#[cfg(feature = "s3")]
pub(crate) use principal::{Fetching, Renewing, Source};
pub(crate) use principal::{Principal, Principals, Standing};
pub(crate) use retry::AuthRetry;
#[cfg(feature = "s3")]
pub(crate) use reuse::{ReadKind, SignatureCache, SignedRead};
#[cfg(feature = "s3")]
pub(crate) use secrets::secret_header;
pub(crate) use secrets::without_signature;
pub(crate) use signer::{Presented, Signed, Signer};

/// What this crate's own benchmarks measure; no part of the public promise.
#[doc(hidden)]
pub mod bench {
    use super::{Credentials, Principal, Principals};
    use crate::config::{Config, Profile};
    use crate::error::Result;
    use std::sync::Arc;

    /// A principal whose identity is held, as it is for all requests but the first.
    #[derive(Clone, Debug)]
    pub struct Held(Arc<dyn Principal>);

    impl Held {
        /// The one that settings name, or the program's own.
        pub async fn of(config: &Config, given: Option<Arc<dyn Credentials>>) -> Result<Held> {
            let profile = Profile::load(config)?;
            let principal = Principals::new(config, "bench", given).load(config, &profile, None)?;
            principal.identity().await?;
            Ok(Held(principal.into()))
        }

        /// Asks for the identity, as each request does.
        #[inline]
        pub fn is_there(&self) -> bool {
            self.0.current().is_some()
        }
    }
}
