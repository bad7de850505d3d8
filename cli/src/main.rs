// SPDX-License-Identifier: Apache-2.0
//! The `storescope` binary: what the library does, for a terminal.
//!
//! Data goes to standard output, progress and notes to standard error. Exit codes: see [`exit`].
//!
//! Floors, from top to bottom; a module imports only from lower lines:
//!
//! ```text
//!  command                                                 the command line
//!  run                                                     a file of commands
//!  bench · buckets · compare · cp · downloads · du · fit · merge · objects · report · rm · serve · soak · sync · trace · uploads
//!  copy                                                    what cp, mv and sync do
//!  names · removal · session                               what names mean · removing many · runtime, client and signals
//!  child · filter · settings · tally
//!  model · place
//!  exit
//!  progress
//!  content · escape · fetch · figures · listing · wildcard
//! ```

mod bench;
mod buckets;
mod child;
mod command;
mod compare;
mod content;
mod copy;
mod cp;
mod downloads;
mod du;
mod escape;
mod exit;
mod fetch;
mod figures;
mod filter;
mod fit;
mod listing;
mod merge;
mod model;
mod names;
mod objects;
mod place;
mod progress;
mod removal;
mod report;
mod rm;
mod run;
mod serve;
mod session;
mod settings;
mod soak;
mod sync;
mod tally;
mod trace;
mod uploads;
mod wildcard;

use command::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::read().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.tell(),
    }
}
