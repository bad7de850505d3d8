// SPDX-License-Identifier: Apache-2.0
//! The forms a snapshot leaves in.

pub(super) mod hlog;
pub(super) mod html;
pub(super) mod json;
mod prometheus;

pub use hlog::HlogError;
pub use prometheus::prometheus_text;
