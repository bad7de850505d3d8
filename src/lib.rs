// SPDX-License-Identifier: Apache-2.0
//! storescope
#![forbid(unsafe_code)]
pub mod timing;
