// SPDX-License-Identifier: Apache-2.0
//! The emulator on the wire: what its sockets say to a client that shares no code with it but the
//! signature crate.

mod client;
mod conditions;
mod faults;
mod latency;
mod lists;
mod records;
mod signatures;
