// SPDX-License-Identifier: Apache-2.0
//! A bench by several processes, on one host or on several.
//!
//! ```text
//!  bench --processes 4 ─┬─ orders (stdin) ──▶ bench … --led 1/4   each with its share of rate, concurrency and count
//!        shows the sum  ├─ ◀── words (stdout)   …                 and its run in a folder of its own
//!        adds up runs   └─ …  bench … --led 4/4
//!
//!  bench --worker 1/2 --start-at 12:00Z   on one host, 2/2 on another; `storescope merge` adds up their runs
//! ```
//!
//! * `share.rs`: a worker's share, and its moment. `words.rs`: what is said between processes. `led.rs`: a process that is
//!   led. `lead.rs`: the one that leads. `sum.rs`: what all have told, as one progress.
//!
//! A process that is led ends when its standard input does: none outlives the one that leads.

mod lead;
mod led;
mod share;
mod sum;
mod words;

pub(super) use lead::{Gathered, Lead};
pub(super) use led::Led;
pub(super) use share::{StartAt, Worker, wait};

use super::phase::Stage;

use crate::exit::{Ended, Exit};
use clap::Args;
use std::path::PathBuf;

/// How many processes measure, and which of them this is.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Processes and hosts")]
pub(super) struct ProcessOptions {
    /// Measure by so many processes, each with its share of --rate, --concurrency and --count. The run is their sum.
    #[arg(long, value_name = "N", conflicts_with_all = ["worker", "start_at"],
        value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) processes: Option<u32>,

    /// Be the I-th of N: take this share of --rate, --concurrency and --count. For several hosts: the same command on each,
    /// with the same --start-at; `storescope merge` adds up their runs.
    #[arg(long, value_name = "I/N", conflicts_with = "emulator")]
    pub(super) worker: Option<Worker>,

    /// Begin the warm-up at this moment: RFC 3339, such as 2026-03-01T12:00:00Z, or +10s from now.
    #[arg(long, value_name = "TIME")]
    pub(super) start_at: Option<StartAt>,

    /// With --processes and --out: keep the run of each process, too, as part-1, part-2, … in that folder.
    #[arg(long, requires = "out", requires = "processes")]
    pub(super) keep_parts: bool,

    /// Be a process that is led. Set by the one that leads.
    #[arg(long, hide = true, requires = "part")]
    pub(super) led: Option<Worker>,

    /// Where the run of a process that is led is written.
    #[arg(long, hide = true)]
    pub(super) part: Option<PathBuf>,
}

impl ProcessOptions {
    /// Which worker this process is; the only one of one where nothing is said.
    pub(super) fn worker(&self) -> Worker {
        self.led.or(self.worker).unwrap_or_default()
    }

    /// How many processes this one leads: none where it measures itself.
    pub(super) fn leads(&self) -> Option<u32> {
        self.processes.filter(|count| self.led.is_none() && *count > 1)
    }

    /// Refuses shares of nothing.
    pub(super) fn check(&self, concurrency: u32, count: Option<u64>) -> Ended {
        let of = self.leads().unwrap_or(self.worker().of());
        if concurrency < of || count.is_some_and(|count| count < u64::from(of)) {
            return Err(Exit::usage(format!(
                "{of} processes cannot share --concurrency {concurrency}{}: each needs at least 1",
                count.map(|count| format!(" and --count {count}")).unwrap_or_default()
            )));
        }
        Ok(())
    }
}
