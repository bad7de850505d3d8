// SPDX-License-Identifier: Apache-2.0
//! What admission waits and is shared by. The models in `concurrency/` compile `admission.rs` with shuttle's in this place.

pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
pub(super) use tokio::sync::oneshot;
pub(super) use tokio::time::timeout;
