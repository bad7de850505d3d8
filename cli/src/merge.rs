// SPDX-License-Identifier: Apache-2.0
//! `merge`: several runs as one.

use crate::escape;
use crate::exit::{Ended, Exit};
use crate::progress::note;
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use storescope_instrument::{Run, RunError, merged_named};

/// Add runs of `bench` up: counts are added bucket for bucket, no percentile is averaged.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope merge host1 host2 host3 --out all         parts of one run: their loads add up
  storescope merge monday tuesday --out both           one after another: one longer measurement
  storescope merge part*/report.html --out all && storescope report all

Runs that share more than half of the shorter one's time are parts of one load: concurrency and rate add up, and cells are
matched in their order. Others follow each other: their setups must be equal, and times add up. The clocks of the hosts must
agree. Stages of jobs add up by their names.")]
pub(crate) struct Merge {
    /// Runs: folders, run.json, run.hlog or reports.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,

    /// The folder that run.json and run.hlog are written into. None of the runs.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Merge {
    pub(crate) fn run(self) -> Ended {
        if let Some(run) = self.runs.iter().find(|run| is_in(run, &self.out)) {
            return Err(Exit::usage(format!(
                "{} would be replaced by the sum: give --out a folder of its own",
                run.display()
            )));
        }
        let runs: Vec<_> = self.runs.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
        let names = self.runs.iter().map(|path| path.display().to_string());
        let named: Vec<_> = names.zip(&runs).collect();
        let before: Vec<_> = runs.iter().flat_map(|run| &run.about.notes).collect();
        let sum = merged_named(&named).map_err(|error| Exit::usage(error.to_string()))?;
        sum.write(&self.out).map_err(|error| Exit::failed(error.to_string()))?;
        let is_new = |note: &&String| !before.contains(note);
        for told in sum.about.notes.iter().filter(is_new) {
            note(&format!("storescope: {}", escape::line(told)));
        }
        Ok(writeln!(std::io::stdout(), "{}", escape::path(&self.out))?)
    }
}

fn read(path: &Path) -> Result<Run, Exit> {
    Run::read(path).map_err(|error: RunError| Exit::usage(error.to_string()))
}

/// Whether a run is this folder, or `run.json` or `run.hlog` in it.
fn is_in(run: &Path, folder: &Path) -> bool {
    let (Ok(run), Ok(folder)) = (run.canonicalize(), folder.canonicalize()) else { return false };
    let is_file = ["run.json", "run.hlog"].iter().any(|name| run == folder.join(name));
    run == folder || is_file
}
