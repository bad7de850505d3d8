// SPDX-License-Identifier: Apache-2.0
//! The built binary against the emulator, by both APIs: what a user types, and what is there afterwards.

mod answers;
mod bench;
mod bench_files;
mod bench_loads;
mod bench_several;
mod compares;
mod copies;
mod crash_downloads;
mod crash_writes;
mod endpoints;
mod fits;
mod jobs;
mod names;
mod runs;
mod safety;
mod signals;
mod soak;
mod stores;
mod syncs;
mod trace;
mod wildcards;
mod world;
