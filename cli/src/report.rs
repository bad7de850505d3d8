// SPDX-License-Identifier: Apache-2.0
//! `report`: what was recorded before, to look at.

use crate::exit::{Ended, Exit};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use storescope::timing::Snapshot;

/// Make a page of what was recorded: curves of percentiles, the share of each phase, a table.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope bench --emulator s3-standard --out run1 && storescope report run1      writes run1/report.html
  storescope report executor-*.hlog --out job.html       the sum of many: counts are added, no percentile is averaged
  storescope report run1 --json                          the histograms' figures as JSON

What is read are .hlog files (HdrHistogram logs), as `bench --out`, `--scope-out` and the bindings write them.")]
pub(crate) struct Report {
    /// Folders that hold a run.hlog, or .hlog files.
    #[arg(required = true)]
    runs: Vec<PathBuf>,

    /// Where the page goes; without it, report.html beside the first run. `-` is standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// What stands above it; without it, the runs' names.
    #[arg(long)]
    title: Option<String>,

    /// Print JSON instead of a page.
    #[arg(long)]
    json: bool,
}

impl Report {
    pub(crate) fn run(self) -> Ended {
        let mut sum: Option<Snapshot> = None;
        for run in &self.runs {
            let run = read(&log(run))?;
            match &mut sum {
                Some(sum) => sum.merge(&run),
                None => sum = Some(run),
            }
        }
        let sum = sum.ok_or_else(|| Exit::usage("there is no run"))?;
        let mut stdout = std::io::stdout().lock();
        if self.json {
            return Ok(writeln!(stdout, "{}", crate::escape::json_lines(&sum.to_json()))?);
        }
        let names: Vec<_> = self.runs.iter().map(|run| run.display().to_string()).collect();
        let page = sum.to_html(&self.title.unwrap_or_else(|| names.join(" + ")));
        let out = self.out.unwrap_or_else(|| log(&self.runs[0]).with_file_name("report.html"));
        if out.as_os_str() == "-" {
            return Ok(stdout.write_all(page.as_bytes())?);
        }
        std::fs::write(&out, page)
            .map_err(|e| Exit::failed(format!("cannot write {}: {e}", out.display())))?;
        Ok(writeln!(stdout, "{}", crate::escape::path(&out))?)
    }
}

fn log(run: &Path) -> PathBuf {
    if run.is_dir() { run.join("run.hlog") } else { run.to_owned() }
}

fn read(path: &Path) -> Result<Snapshot, Exit> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Exit::usage(format!("cannot read {}: {e}", path.display())))?;
    Snapshot::from_hlog(&text)
        .map_err(|e| Exit::usage(format!("{} is no log of ours: {e}", path.display())))
}
