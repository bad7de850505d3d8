// SPDX-License-Identifier: Apache-2.0
//! `fit`: a latency model from measured runs.

use crate::exit::{Ended, Exit};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use storescope::config::parse_size;
use storescope_instrument::Run;
use storescope_instrument::fit::{Fit, Needs, Price, fit};
use storescope_model::Rate;

/// Fit a latency model to measured runs: the first byte, a stream's bandwidth, ceilings, stalls, and how well they tell what
/// was measured.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope bench s3://lake/2026/ --size 64KiB,1MiB..16MiB --concurrency 1..64 --out run1
  storescope fit run1 --out lake.toml                        the model, and how well it fits
  storescope bench --emulator lake.toml --size 1MiB          the same store, on this machine
  storescope serve --model lake.toml
  storescope fit run1 run2 cold/report.html > lake.toml      more runs of the same store, counted together
  storescope fit run1 --target 10Gbit/s --size 8MiB          how many reads must be under way for that
  storescope fit run1 --price-per-10000-gets 0.004 --size 8MiB

What the runs do not tell is left out of the model, with a comment that says which run would tell it. Sweeps of --size and
--concurrency tell the most; --connections new tells what a connection costs.")]
pub(crate) struct FitRuns {
    /// Folders that hold a run, their files, or reports.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,

    /// Write the model into this file, and print how well it fits; without it, the model is printed, with the rest as
    /// comments.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Print JSON: the model, its parts, what was not fitted.
    #[arg(long)]
    json: bool,

    /// What the model is called; without it, the name of the first run's folder or file.
    #[arg(long)]
    name: Option<String>,

    /// Tell how many reads must be under way for this rate, such as 10Gbit/s or 1GB/s.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    target: Option<Rate>,

    /// Bytes of a read, for --target and --price-per-10000-gets.
    #[arg(long, value_parser = size, default_value = "8MiB")]
    size: u64,

    /// What 10,000 GET requests cost, in any currency: tells the cost of a million requests and of a terabyte.
    #[arg(long, value_name = "PRICE", value_parser = price)]
    price_per_10000_gets: Option<f64>,
}

impl FitRuns {
    pub(crate) fn run(self) -> Ended {
        let runs = self.runs.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let shown: Vec<_> = self.runs.iter().map(|path| path.display().to_string()).collect();
        let name = self.name.clone().unwrap_or_else(|| name(&self.runs[0]));
        let fit = fit(&runs, &name)
            .map_err(|error| Exit::failed(error.to_string()).about(&shown.join(", ")))?;
        if self.target.is_some() && fit.model.stream.is_none() && self.size >= BODIES {
            return Err(Exit::failed(
                "--target: these runs do not tell the bandwidth of a stream: give fit a run of larger reads, too, such \
                 as bench --size 4MiB --concurrency 2 --count 400",
            ));
        }
        let needs = self.target.map(|target| Needs::new(&fit.model, target, self.size));
        let price = self.price_per_10000_gets.map(|price| Price::new(price, self.size));
        self.told(&fit, needs.as_ref(), price.as_ref())
    }

    fn told(&self, fit: &Fit, needs: Option<&Needs>, price: Option<&Price>) -> Ended {
        let more: Vec<_> = needs
            .map(|needs| fit.needs_lines(needs))
            .into_iter()
            .flatten()
            .chain(price.map(Price::told))
            .collect();
        let mut stdout = std::io::stdout().lock();
        if let Some(out) = &self.out {
            write(out, &fit.to_toml(&more))?;
        }
        if self.json {
            let json = fit.to_json(needs, price);
            return Ok(writeln!(stdout, "{}", crate::escape::json_lines(&json))?);
        }
        if self.out.is_none() {
            return Ok(stdout.write_all(fit.to_toml(&more).as_bytes())?);
        }
        for line in fit.lines().iter().chain(&more) {
            writeln!(stdout, "{}", crate::escape::line(line))?;
        }
        Ok(())
    }
}

/// Reads from this size on take as long as their bandwidth says, in bytes: `fit` learns it from them alone.
const BODIES: u64 = 256 << 10;

fn read(path: &Path) -> Result<Run, Exit> {
    Run::read(path).map_err(|error| Exit::usage(error.to_string()))
}

/// Beside its name first: what was there before stays whole until then.
fn write(path: &Path, text: &str) -> Ended {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|error| Exit::cannot("write", path, &error))
}

/// A run's folder, or its file without what follows the dot.
fn name(run: &Path) -> String {
    let is_file =
        run.extension().is_some_and(|ext| ["json", "hlog", "html"].iter().any(|it| ext == *it));
    let name = if is_file {
        let stem = run.file_stem().filter(|stem| *stem != "run" && *stem != "report");
        stem.or_else(|| run.parent()?.file_name())
    } else {
        run.file_name()
    };
    name.map_or_else(|| "fitted".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn rate(text: &str) -> Result<Rate, String> {
    let rate: Rate = text.parse().map_err(|error| format!("{error}"))?;
    if rate.bytes_per_second() > 0.0 { Ok(rate) } else { Err("it is not above 0".to_owned()) }
}

fn size(text: &str) -> Result<u64, String> {
    let size = parse_size(text)?;
    if size > 0 { Ok(size) } else { Err("a read has at least one byte".to_owned()) }
}

fn price(text: &str) -> Result<f64, String> {
    let price: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    let valid = price.is_finite() && price >= 0.0;
    if valid { Ok(price) } else { Err("a price is not below 0".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_after_its_run() {
        for (path, expected) in [
            ("runs/lake", "lake"),
            ("lake/run", "run"),
            ("lake.2026", "lake.2026"),
            ("runs/lake/run.json", "lake"),
            ("lake/report.html", "lake"),
            ("monday.html", "monday"),
            ("run.json", "fitted"),
            ("..", "fitted"),
        ] {
            assert_eq!(name(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn impossible_numbers_are_refused() {
        assert!(rate("0B/s").is_err() && rate("10Gbit").is_err() && rate("10Gbit/s").is_ok());
        assert!(size("0").is_err() && size("8MiB").is_ok());
        assert!(price("-1").is_err() && price("nan").is_err() && price("0.004").is_ok());
    }
}
