// SPDX-License-Identifier: Apache-2.0
//! Who requests are signed as.
//!
//! ```text
//!  Principals (principals.rs): which one settings and profile name; a client's stores share them
//!    ├─ ApiKey (api_key.rs)             a key of settings or profile (key.rs)
//!    ├─ Renewing (renewing.rs)          identities that end: held, renewed ahead in the background, one fetch at a time
//!    │    └─ Source: session.rs   a session token in a file, renewed by the identity service
//!    │               instance.rs  an instance's certificate (metadata.rs) for a token
//!    │               resource.rs  what the platform gives to a resource (given.rs)
//!    │               nested.rs    the resource that others are inside of
//!    │               workload.rs  a pod's service account for a token
//!    │               exchange.rs  somebody else's token at an identity domain
//!    │               provided.rs  the program's own `Credentials`; for S3, too, where access keys are held so
//!    │               chain.rs     the first of several that works
//!    └─ Delegated (delegation.rs)       any of them, on behalf of whom a token names (token_file.rs)
//!
//!  token.rs: what a token says of itself      sync.rs: what renewals run on
//! ```

mod api_key;
mod chain;
mod delegation;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod given;
mod instance;
mod key;
mod metadata;
mod nested;
mod principals;
mod provided;
mod renewing;
mod resource;
mod session;
mod sync;
#[cfg(test)]
mod tests;
mod token;
mod token_file;
mod workload;

use crate::config::Region;
use crate::error::{Failure, Result};
pub(crate) use principals::Principals;
#[cfg(feature = "s3")]
pub(crate) use renewing::{Fetching, Renewing, Source};
use std::fmt;
use std::sync::Arc;
use storescope_sign::PrivateKey;
use zeroize::Zeroizing;

/// What a signature is made with. A new one each time the principal's token or key changes, so that two are the same
/// exactly when they are the same allocation.
pub(crate) struct Identity {
    pub(crate) key_id: Zeroizing<String>,
    pub(crate) key: PrivateKey,
    /// The token of whom requests are made on behalf of.
    pub(crate) delegation: Option<Zeroizing<String>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token is a secret; an API key's id is not, but nobody needs to tell them apart here.
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

pub(crate) type Identified<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Arc<Identity>, Failure>> + Send + 'a>>;

/// Where a principal belongs, as far as it knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) region: Option<Region>,
    pub(crate) tenancy: Option<String>,
}

pub(crate) type Placed<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Standing, Failure>> + Send + 'a>>;

/// Somebody a store knows.
pub(crate) trait Principal: fmt::Debug + Send + Sync {
    /// The identity to sign with now, if no I/O is needed to know it.
    fn current(&self) -> Option<Arc<Identity>>;

    /// The identity to sign with now.
    fn identity(&self) -> Identified<'_>;

    /// After a 401: looks again. Whether the identity is another now.
    fn refresh(&self) -> bool;

    /// What to tell somebody whose request got a 401.
    fn advice(&self) -> String;

    /// Where the principal belongs. Settings and profile go before it.
    fn standing(&self) -> Placed<'_> {
        Box::pin(std::future::ready(Ok(Standing::default())))
    }
}
