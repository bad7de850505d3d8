// SPDX-License-Identifier: Apache-2.0
//! What bounds a client's requests: bytes in memory and requests at once for reads, bytes a second for bodies.
//!
//! ```text
//!  read     ─▶ admission.rs  one budget of bytes, one limit of requests: demand in line, readahead if there is room
//!               └ width.rs   how many requests read ahead: as many as the path takes                  pure
//!  transport ─▶ rate.rs      the least that a body must bring (stall), the most that all may (bytes a second)
//! ```
//!
//! `sync.rs` has what admission is shared by.

mod admission;
mod rate;
mod sync;
mod width;

pub(crate) use admission::{Admission, Evict, Idle, Permit, Ticket, Turn};
pub(crate) use rate::{Limiter, Pace, Throttle};
