// SPDX-License-Identifier: Apache-2.0
//! The renewal of identities, and what stands in for the rest of the library's module.

pub mod models;
#[path = "../../../../src/auth/principal/renewing.rs"]
mod renewing;
mod sync;

use crate::config::Region;
use crate::error::Failure;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// What requests are signed with: here, a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64);

pub(crate) type Identified<'a> =
    Pin<Box<dyn Future<Output = Result<Arc<Identity>, Failure>> + Send + 'a>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) region: Option<Region>,
    pub(crate) tenancy: Option<String>,
}

pub(crate) type Placed<'a> = Pin<Box<dyn Future<Output = Result<Standing, Failure>> + Send + 'a>>;

/// As the library has it.
pub(crate) trait Principal: fmt::Debug + Send + Sync {
    fn current(&self) -> Option<Arc<Identity>>;
    fn identity(&self) -> Identified<'_>;
    fn refresh(&self) -> bool;
    fn advice(&self) -> String;
    fn standing(&self) -> Placed<'_>;
}
