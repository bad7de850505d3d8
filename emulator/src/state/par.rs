// SPDX-License-Identifier: Apache-2.0
//! Pre-authenticated requests.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// A pre-authenticated request: who has its token needs no signature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Par {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) name: String,
    /// The object, or the prefix of those that it opens.
    pub(crate) object: Option<String>,
    pub(crate) access: String,
    pub(crate) listing: bool,
    pub(crate) created: SystemTime,
    pub(crate) expires: SystemTime,
}
