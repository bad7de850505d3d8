// SPDX-License-Identifier: Apache-2.0
//! The built binary against the emulator, by both APIs: what a user types, and what is there afterwards.

mod bench;
mod copies;
mod endpoints;
mod signals;
mod stores;
mod world;
