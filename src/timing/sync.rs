// SPDX-License-Identifier: Apache-2.0
//! What the histograms are shared by. The models in `concurrency/` compile `histogram.rs` with loom's in this place.

pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize};
pub(super) use std::sync::{Mutex, OnceLock, PoisonError};
