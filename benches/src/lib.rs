// SPDX-License-Identifier: Apache-2.0
//! What the benchmarks share: the server they ask, the clients they compare, and how a figure is made.
//!
//! ```text
//!  benches/cpu_small_get   CPU of a 4 KiB ranged GET, beside peers        ┐
//!  benches/throughput      8 MiB ranges, 4 at a time, beside hyper        ├─▶ server.rs   a process of its own
//!  benches/overhead        the same GET, timing on against off            │
//!  benches/write_parts     1 GiB by parts, beside hyper                   │
//!  benches/read_patterns   scans, columns, baskets …, beside peers        ┤
//!  benches/moves           renames, removals of many                      ┴─▶ emulator.rs   the emulator, likewise
//!  benches/principal       who signs, asked for each request                (no server)
//!  benches/record          one value, one attempt, into histograms          (no server)
//!            │
//!            ├─ client.rs   bare hyper and storescope; the other peers stand in the one bench that links them
//!            ├─ content.rs  what objects hold, and whether it was read right
//!            ├─ measure.rs  rounds, rows by turns, medians with their intervals, instructions by callgrind
//!            └─ report.rs   the machine, the versions, the command line: what a figure is worth nothing without
//! ```
//!
//! It promises: all rows ask the same server, over http, with nothing verified by it; rows take turns, so that a change
//! of the machine's speed meets all of them; a ratio is taken within a round and the median of those is told with its
//! distribution-free 95 % interval; a row that gets a wrong number of bytes panics.
#![forbid(unsafe_code)]

pub mod client;
pub mod content;
pub mod emulator;
pub mod measure;
pub mod report;
pub mod server;

/// The object that reads ask for: a name as data lakes have them.
pub const KEY: &str = "lake/2026/11/22/events-000123.root";

/// The bucket that reads ask for.
pub const BUCKET: &str = "bench";

/// What S3 requests are signed with; nobody checks.
pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// The secret of [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The region that S3 requests are signed for.
pub const REGION: &str = "us-ashburn-1";
