// SPDX-License-Identifier: Apache-2.0
//! Admission: who may send a read.

#[path = "../../../src/limiter/admission.rs"]
mod admission;
pub mod models;
mod sync;
#[path = "../../../src/limiter/width.rs"]
mod width;

pub(crate) use admission::{Admission, Evict, Idle, Permit, Ticket};
