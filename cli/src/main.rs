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
//!  bench · buckets · compare · cp · du · fit · merge · objects · report · rm · serve · sync · trace · uploads
//!  copy                                                    what cp, mv and sync do
//!  names · removal · session                               what names mean · removing many · runtime, client and signals
//!  filter · settings · tally
//!  model · place
//!  exit
//!  progress
//!  escape · fetch · figures · listing · wildcard
//! ```

mod bench;
mod buckets;
mod command;
mod compare;
mod copy;
mod cp;
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
