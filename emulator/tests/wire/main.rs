// SPDX-License-Identifier: Apache-2.0
//! The emulator on the wire: what its sockets say to a client that shares no code with it but the
//! signature crate.

mod access;
mod actions;
mod admin;
mod client;
mod conditions;
mod data;
mod faults;
mod latency;
mod lists;
mod memory;
mod policies;
mod principals;
mod records;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "s3")]
mod s3_errors;
#[cfg(feature = "s3")]
mod s3_lists;
#[cfg(feature = "s3")]
mod s3_signatures;
#[cfg(feature = "s3")]
mod s3_uploads;
mod signatures;
mod uploads;
