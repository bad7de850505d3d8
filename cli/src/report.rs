// SPDX-License-Identifier: Apache-2.0
//! `report`: what was measured or recorded before, to look at.

use crate::exit::{Ended, Exit};
use clap::Args;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use storescope_instrument::{Run, report};

/// Make a page of runs: a verdict, the stages of a job, quantiles with intervals, percentile curves, latency over time,
/// phases.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope bench --emulator s3-standard --out run1 && storescope report run1      writes run1/report.html
  storescope report before after --out both.html         two runs in one page, overlaid
  storescope report executor-*.hlog --out job.html       the sum of many logs: counts are added, no percentile is averaged
  storescope report run1/report.html --json              the run that a report holds, as JSON
  storescope report job --out job.html                   a job of Spark: how long each stage waited for storage

A run is a folder that `bench --out` wrote, its run.json, a report (it holds its runs), or a .hlog file (an HdrHistogram
log, as `bench --out`, `--scope-out` and the bindings write them). Logs that have no run.json beside them are one run.
The page is below 300 KB and loads nothing: send it as it is.")]
pub(crate) struct Report {
    /// Folders of runs, run.json files, reports, or .hlog files.
    #[arg(required = true)]
    runs: Vec<PathBuf>,

    /// Where the page goes; without it, report.html beside the first run. `-` is standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// What stands above it; without it, what was measured.
    #[arg(long)]
    title: Option<String>,

    /// Print JSON instead of a page: the run as in run.json, a list of several; of logs alone, the histograms by key.
    #[arg(long)]
    json: bool,
}

impl Report {
    pub(crate) fn run(self) -> Ended {
        let runs = read(&self.runs)?;
        let mut stdout = std::io::stdout().lock();
        if self.json {
            return Ok(writeln!(
                stdout,
                "{}",
                crate::escape::json_lines(&json(&self.runs, &runs))
            )?);
        }
        let page = report::page(&runs, self.title.as_deref());
        let out = self.out.unwrap_or_else(|| beside(&self.runs[0]));
        if out.as_os_str() == "-" {
            return Ok(stdout.write_all(page.as_bytes())?);
        }
        // A report may be all that is left of a run.
        if self.runs.iter().any(|run| same(run, &out)) {
            let out = out.display();
            return Err(Exit::usage(format!("{out} is read: say by --out where the page goes")));
        }
        std::fs::write(&out, page).map_err(|error| Exit::cannot("write", &out, &error))?;
        Ok(writeln!(stdout, "{}", crate::escape::path(&out))?)
    }
}

/// The runs in the order they were named; logs alone are added to the first of them.
fn read(paths: &[PathBuf]) -> Result<Vec<Run>, Exit> {
    let mut runs: Vec<Run> = Vec::new();
    let mut log: Option<usize> = None;
    for path in paths {
        let read = Run::read_all(path).map_err(|error| Exit::usage(error.to_string()))?;
        match log {
            Some(at) if is_log(path) => read.iter().for_each(|run| add(&mut runs[at], run)),
            _ => {
                log = log.or_else(|| is_log(path).then_some(runs.len()));
                runs.extend(read);
            }
        }
    }
    Ok(runs)
}

/// Whether it is a log (or a folder of one) that no run.json tells more of.
fn is_log(path: &Path) -> bool {
    let file = if path.is_dir() { path.join("run.hlog") } else { path.to_owned() };
    let is_hlog = file.extension().is_some_and(|extension| extension == "hlog");
    is_hlog && file.is_file() && !file.with_extension("json").exists()
}

/// Adds a log of another process.
fn add(sum: &mut Run, log: &Run) {
    sum.about.processes += 1;
    sum.about.url = format!("{} + {}", sum.about.url, log.about.url);
    for (mine, theirs) in sum.cells.iter_mut().zip(&log.cells) {
        mine.attempts.merge(&theirs.attempts);
        mine.elapsed = mine.attempts.elapsed();
    }
}

/// Logs alone have their histograms by key; runs are as in run.json.
fn json(paths: &[PathBuf], runs: &[Run]) -> Value {
    match runs {
        [run] if paths.iter().all(|path| is_log(path)) => run.sum().attempts.to_json(),
        [run] => run.to_json(),
        runs => runs.iter().map(Run::to_json).collect(),
    }
}

fn beside(run: &Path) -> PathBuf {
    if run.is_dir() { run.join("report.html") } else { run.with_file_name("report.html") }
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
