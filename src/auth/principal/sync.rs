// SPDX-License-Identifier: Apache-2.0
//! What renewals run on and are shared by. The models in `concurrency/` compile `renewing.rs` with shuttle's in this place.

pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
pub(super) use tokio::runtime::{Handle, Id};
pub(super) use tokio::sync::watch;
pub(super) use tokio::task::AbortHandle;
pub(super) use tokio::time::{Instant, sleep_until};
