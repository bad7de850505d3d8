// SPDX-License-Identifier: Apache-2.0
//! `compare`: whether a run is slower than another.

use crate::escape;
use crate::exit::{Ended, Exit};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use std::io::Write;
use std::path::{Path, PathBuf};
use storescope_instrument::{CellComparison, CompareOptions, Comparison, Run};

/// Compare two runs of `bench`: p50, p90, p99, p99.9 and throughput, each change with its interval, and a verdict.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope bench --emulator s3-standard --out before
  storescope bench --emulator s3-standard --out after --seed 2
  storescope compare before after                      exit code 1 if `after` is slower by 5 % or more
  storescope compare before.html after.html            reports hold their runs
  storescope compare before after --threshold 10
  storescope compare before after --markdown >> \"$GITHUB_STEP_SUMMARY\"
  storescope compare before after --json | jq .verdict

A figure is slower or faster if its change is at least the threshold and the interval of the change excludes zero; the same
if it is neither, and a change of twice the threshold would have been found; else the runs are too short, and how many calls
it takes is told. Cells of a sweep are compared with those of the same setup, stages of a job with those of the same name.

Exit codes: 0 no regression found (also where the runs are too short to tell), 1 slower or more calls failed, 2 a run that
cannot be read, or no cells of the same setup.")]
pub(crate) struct Compare {
    /// The run to compare with: a folder, run.json, run.hlog or a report.
    a: PathBuf,

    /// The run that may be slower.
    b: PathBuf,

    /// Smaller changes are no regression.
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
    threshold: f64,

    /// Print Markdown, for a pull request.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub(crate) fn run(self) -> Ended {
        let (a, b) = (read(&self.a)?, read(&self.b)?);
        let options =
            CompareOptions { threshold_percent: self.threshold, ..CompareOptions::default() };
        let comparison = Comparison::of(&a, &b, &options);
        if comparison.cells.is_empty() {
            let notes = comparison.notes().join("; ");
            let (a, b) = (self.a.display(), self.b.display());
            return Err(Exit::usage(format!(
                "{a} (A) and {b} (B) have no setup in common: {notes}"
            )));
        }
        let mut stdout = std::io::stdout().lock();
        if self.json {
            let json = serde_json::to_value(&comparison).expect("texts and numbers");
            writeln!(stdout, "{}", escape::json_lines(&json))?;
        } else if self.markdown {
            stdout.write_all(comparison.to_markdown().as_bytes())?;
        } else {
            print(&comparison, &mut stdout)?;
        }
        if comparison.is_regression() { Err(Exit::of_many()) } else { Ok(()) }
    }
}

/// A run that has measured something.
fn read(path: &Path) -> Result<Run, Exit> {
    let run = Run::read(path).map_err(|error| Exit::usage(error.to_string()))?;
    if run.cells.is_empty() {
        let path = path.display();
        return Err(Exit::usage(format!(
            "{path} has measured nothing (it was interrupted before): run it again"
        )));
    }
    Ok(run)
}

fn print(comparison: &Comparison, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{}", escape::line(&comparison.in_words()))?;
    for cell in &comparison.cells {
        writeln!(out, "\n{}", escape::line(&cell.setup))?;
        if comparison.cells.len() > 1 {
            writeln!(out, "{}", escape::line(&cell.in_words(comparison.threshold_percent)))?;
        }
        table(cell).lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))?;
    }
    writeln!(out, "\n{}", comparison.rule())?;
    comparison.notes().iter().try_for_each(|note| writeln!(out, "note: {}", escape::line(note)))
}

fn table(cell: &CellComparison) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["", "A", "B", "change", ""]);
    for figure in &cell.figures {
        table.add_row([
            format!("{} {}", figure.name, figure.unit),
            figure.value(figure.a),
            figure.value(figure.b),
            figure.told_change(),
            figure.told_verdict(),
        ]);
    }
    table.add_row(["calls".to_owned(), cell.calls[0].to_string(), cell.calls[1].to_string()]);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if (1..=3).contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// `5`, `2.5` or `5%`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 1_000.0 => Ok(percent),
        _ => Err("a threshold is a number of per cent above 0, such as 5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        assert_eq!((percent("5"), percent("2.5%")), (Ok(5.0), Ok(2.5)));
        for text in ["", "0", "-1", "nan", "inf", "many", "5 % more"] {
            percent(text).unwrap_err();
        }
    }
}
