// SPDX-License-Identifier: Apache-2.0
//! What a refusal of who asks leads to.

/// What a 401 leads to.
#[derive(Debug)]
pub(crate) enum AuthRetry {
    /// Something was mended: send it once more.
    Retry,
    /// Nothing to mend; advice for the error.
    GiveUp(String),
}

impl AuthRetry {
    /// What the refusal of a request that was not signed leads to.
    pub(crate) fn unsigned() -> AuthRetry {
        AuthRetry::GiveUp("the store does not take unsigned requests".to_owned())
    }
}
