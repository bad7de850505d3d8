// SPDX-License-Identifier: Apache-2.0
//! Principals.

pub(crate) mod principal;
