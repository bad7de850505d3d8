// SPDX-License-Identifier: Apache-2.0
//! What blocks and their buffers are shared by. The models in `concurrency/` compile them with shuttle's in this place.

pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
