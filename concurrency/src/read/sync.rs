// SPDX-License-Identifier: Apache-2.0
//! shuttle's primitives in place of std's.

pub(super) use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
