// SPDX-License-Identifier: Apache-2.0
//! The concurrent parts of storescope under schedules that a model checker chooses.
//!
//! The sources are the library's own, included by `#[path]`: what is checked is what is shipped. Each takes its primitives from the
//! `sync` module beside it; here that module has loom's or shuttle's in place of those of std and tokio. What else a source imports
//! from the library (its errors, its clock) is stood in for by a few lines.
//!
//! ```text
//!  src/timing/histogram.rs          loom      every order of the relaxed loads and stores, up to a number of preemptions
//!  src/limiter/admission.rs         shuttle   random and PCT schedules, by fixed seeds
//!  src/auth/principal/renewing.rs   shuttle
//!  src/read/block.rs, buffer.rs     shuttle
//! ```
//!
//! A schedule that fails is printed; `SHUTTLE_RANDOM_SEED` sets another seed.
#![allow(dead_code, reason = "the sources have more than the models call")]

mod auth;
mod config;
mod error;
mod limiter;
mod read;
mod schedules;
mod timing;

/// The models, by the part that they check. The tests call each.
pub mod models {
    pub use crate::auth::principal::models as renewing;
    pub use crate::limiter::models as admission;
    pub use crate::read::models as block;
    pub use crate::timing::models as histogram;
}
