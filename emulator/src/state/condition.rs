// SPDX-License-Identifier: Apache-2.0
//! What must hold of an object for a write to happen.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::object::Object;
use crate::error::ApiError;

/// What must hold for a write to happen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Condition {
    /// The ETag that must be there, `*` for any.
    pub(crate) if_match: Option<String>,
    /// Nothing may be there.
    pub(crate) absent: bool,
}

impl Condition {
    pub(crate) fn check(&self, present: Option<&Arc<Object>>) -> Result<(), ApiError> {
        if let Some(wanted) = &self.if_match
            && !present.is_some_and(|object| object.is_named_by(wanted))
        {
            return Err(ApiError::if_match_failed());
        }
        if self.absent && present.is_some() {
            return Err(ApiError::if_none_match_failed());
        }
        Ok(())
    }
}
