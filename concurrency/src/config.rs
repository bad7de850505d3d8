// SPDX-License-Identifier: Apache-2.0
//! Stands in for the library's settings.

#[derive(Clone, Debug)]
pub(crate) struct Region;
