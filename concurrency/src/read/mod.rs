// SPDX-License-Identifier: Apache-2.0
//! Blocks that readers share.

#[path = "../../../src/read/block.rs"]
mod block;
#[path = "../../../src/read/buffer.rs"]
mod buffer;
pub mod models;
#[path = "../../../src/read/plan.rs"]
mod plan;
mod sync;
