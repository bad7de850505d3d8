// SPDX-License-Identifier: Apache-2.0
//! object_store's own integration functions and parquet's reader, of either major, on our OCI and S3 stores over the
//! emulator; and what the adapter promises beside them. One source for both majors, as the adapter is.
#![allow(
    clippy::duplicate_mod,
    reason = "the judges are one source for each major of object_store"
)]

mod world;

#[cfg(feature = "v0_13")]
mod v013;
#[cfg(feature = "v0_14")]
mod v014;
