// SPDX-License-Identifier: Apache-2.0
//! The command line: its commands, and what each line of a file of commands may be.

use crate::exit::{Ended, Exit};
use crate::run::{Parse, Task};
use crate::settings::Settings;
use crate::{
    bench, buckets, compare, cp, downloads, du, fit, merge, objects, report, rm, run, serve, soak,
    sync, trace, uploads,
};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;
use storescope::StoreUrl;

const EXIT_CODES: &str = "Exit codes:
  0    done
  1    the store, the network or a file failed; of many things, some did
  2    usage or configuration
  3    object or bucket not found
  4    not authenticated, or not permitted
  130  interrupted";

const EXAMPLES: &str = "Examples:
  storescope bench --emulator s3-standard               measure a simulated store
  storescope bench oci://lake@ns/big.root --size 1MiB   measure a real one
  storescope compare before after                       exit code 1 if it is slower
  storescope fit run1 --out lake.toml                   a model of a store that was measured, for --emulator
  storescope ls oci://lake@ns/ -l
  storescope cat s3://lake/notes.txt --range 0-99
  storescope cp -r results oci://lake@ns/runs/17        a second run copies what has changed
  storescope sync site s3://lake/site --delete --dry-run
  storescope ls 's3://lake/2026/*/part-?.parquet'       wildcards; --raw turns them off
  storescope serve --model oci-native                   OCI Object Storage and S3 on this machine

URLs (names in them are literal: nothing is decoded; *, ? and [ are wildcards in a source, unless --raw is given):
  oci://BUCKET@NAMESPACE/NAME   without @NAMESPACE the service is asked for it
  s3://BUCKET/NAME
  file:///PATH
  https://HOST/p/TOKEN/n/NAMESPACE/b/BUCKET/o/NAME   a pre-authenticated request, percent-encoded";

/// Read, write and measure object stores, and see where the time goes.
#[derive(Debug, Parser)]
#[command(
    name = "storescope",
    version,
    long_version = long_version(),
    after_help = EXIT_CODES,
    after_long_help = examples_and_codes(),
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure ranged reads, or writes: latency by phase, percentiles, throughput.
    Bench(Box<bench::Bench>),
    /// Make a page of what was recorded: percentile curves, phases, a table.
    Report(report::Report),
    /// Tell what a trace of requests holds, or write it as CSV.
    Trace(trace::Trace),
    /// Tell whether a run is slower than another, and how sure that is.
    Compare(compare::Compare),
    /// Add runs up: the parts of one, or one after another.
    Merge(merge::Merge),
    /// Fit a latency model to measured runs.
    Fit(fit::FitRuns),
    /// List objects, or buckets.
    Ls(objects::Ls),
    /// Write an object's bytes to standard output.
    Cat(objects::Cat),
    /// Tell what an object is.
    Stat(objects::Stat),
    /// Copy files and objects: into a store, out of one, between stores.
    Cp(cp::Cp),
    /// Move files and objects; rename within a bucket.
    Mv(cp::Mv),
    /// Make a tree like another: what differs is copied, what is too much can be removed.
    Sync(sync::Sync),
    /// Remove objects.
    Rm(rm::Rm),
    /// Count bytes and objects by folder.
    Du(du::Du),
    /// Run a file of commands over one client.
    Run(run::Run),
    /// Make a bucket.
    Mb(buckets::Mb),
    /// Remove an empty bucket.
    Rb(buckets::Rb),
    /// List, or abort, uploads by parts that were begun and never ended.
    Uploads(uploads::Uploads),
    /// List, or remove, files of downloads that were begun and never ended.
    Downloads(downloads::Downloads),
    /// Mixed calls of an emulator that injects faults, each byte and the state of each object checked.
    #[command(hide = true)]
    Soak(soak::Soak),
    /// Run a local OCI Object Storage: signatures checked, latency by a model, faults on demand.
    Serve(serve::Serve),
    /// Write completions for a shell to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Version, commit and the features of this build.
fn long_version() -> String {
    let mut features = vec!["oci"];
    if cfg!(feature = "s3") {
        features.push("s3");
    }
    if cfg!(feature = "object-store") {
        features.push("object-store");
    }
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("STORESCOPE_COMMIT"));
    format!("{version} ({commit}, features: {})", features.join(", "))
}

fn examples_and_codes() -> String {
    format!("{EXAMPLES}\n\n{EXIT_CODES}")
}

impl Cli {
    /// The command line of this process, or its end: with help, or with what is wrong.
    pub(crate) fn read() -> Cli {
        Cli::try_parse().unwrap_or_else(|error| redacted(error).exit())
    }

    /// Does it.
    pub(crate) fn run(self) -> Ended {
        let settings = &self.settings;
        settings.start_log();
        match self.command {
            Command::Bench(bench) => bench.run(settings),
            Command::Report(report) => report.run(),
            Command::Trace(trace) => trace.run(),
            Command::Compare(compare) => compare.run(),
            Command::Merge(merge) => merge.run(),
            Command::Fit(fit) => fit.run(),
            Command::Ls(ls) => ls.run(settings),
            Command::Cat(cat) => cat.run(settings),
            Command::Stat(stat) => stat.run(settings),
            Command::Cp(cp) => cp.run(settings),
            Command::Mv(mv) => mv.run(settings),
            Command::Sync(sync) => sync.run(settings),
            Command::Rm(rm) => rm.run(settings),
            Command::Du(du) => du.run(settings),
            Command::Run(run) => run.run(settings, line_reader()),
            Command::Mb(mb) => mb.run(settings),
            Command::Rb(rb) => rb.run(settings),
            Command::Uploads(uploads) => uploads.run(settings),
            Command::Downloads(downloads) => downloads.run(),
            Command::Soak(soak) => soak.run(settings),
            Command::Serve(serve) => serve.run(),
            Command::Completions { shell } => {
                let mut text = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "storescope", &mut text);
                std::io::stdout().write_all(&text).map_err(Exit::from)
            }
        }
    }
}

/// clap shows the value it refuses, which may be a URL with a password.
fn redacted(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        let shown = StoreUrl::redacted(value);
        error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    }
    error
}

/// What a line of `run` may be.
fn line_reader() -> impl Parse {
    // Once for all lines: it takes longer to build than to use.
    let mut parser = Cli::command();
    move |words: Vec<OsString>| {
        let words = [OsString::from("storescope")].into_iter().chain(words);
        let parsed = parser.try_get_matches_from_mut(words);
        let cli = parsed
            .and_then(|it| Cli::from_arg_matches(&it))
            .map_err(|error| said(&redacted(error)))?;
        if !cli.settings.is_empty() {
            return Err("settings are those of `run`, for all lines alike".to_owned());
        }
        task_of(cli.command)
    }
}

fn task_of(command: Command) -> Result<Task, String> {
    Ok(match command {
        Command::Cp(cp) if cp.is_of_standard_streams() => {
            return Err("standard input and output are those of `run`".to_owned());
        }
        Command::Cp(cp) => Task::Cp(cp),
        Command::Mv(mv) => Task::Mv(mv),
        Command::Rm(rm) => Task::Rm(rm),
        Command::Sync(sync) => Task::Sync(sync),
        Command::Ls(ls) => Task::Ls(ls),
        Command::Stat(stat) => Task::Stat(stat),
        Command::Du(du) => Task::Du(du),
        Command::Mb(mb) => Task::Mb(mb),
        Command::Rb(rb) => Task::Rb(rb),
        _ => return Err("a line may be cp, mv, rm, sync, ls, stat, du, mb or rb".to_owned()),
    })
}

/// What the argument parser says, in one line.
fn said(error: &clap::Error) -> String {
    use clap::error::ErrorKind;
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return "asks for help, and does nothing".to_owned();
    }
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<_> = first.lines().map(str::trim).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Line;

    fn parsed(line: &str) -> Result<Option<Line>, String> {
        Line::parse(&mut line_reader(), 7, line.as_bytes(), false)
    }

    #[test]
    fn lines_are_quoted_as_in_a_shell() {
        let line = parsed(r#"  rm 's3://b/a b' "s3://b/it's" s3://b/c\ d # and this is a comment"#);
        let shown = format!("{:?}", line.unwrap().unwrap().task);
        for key in ["a b", "it's", "c d"] {
            assert!(shown.contains(&format!("s3://b/{key}")), "{key} in {shown}");
        }
        assert!(!shown.contains("comment"), "{shown}");
        for empty in ["", "   ", "# rm s3://b/x", "\t#"] {
            assert!(parsed(empty).unwrap().is_none(), "{empty:?}");
        }
    }

    #[test]
    fn a_line_is_not_told_by_the_one_before_it() {
        let mut parse = line_reader();
        let mut parsed = |line: &str| Line::parse(&mut parse, 1, line.as_bytes(), false);
        parsed("rm -r --yes s3://b/").unwrap();
        parsed("rm s3://b/ --exclude '*'").unwrap_err();
        let shown = format!("{:?}", parsed("rm s3://b/x").unwrap().unwrap().task);
        assert!(shown.contains("recursive: false") && shown.contains("rules: []"), "{shown}");
    }

    #[test]
    fn what_cannot_be_run_says_why() {
        for (line, why) in [
            ("rm 's3://b/x", "quote"),
            ("rm s3://b/x \\", "quote"),
            ("rm", "required"),
            ("frobnicate x", "frobnicate"),
            ("rm s3://b/", "-r"),
            ("rm s3://b/x --endpoint http://x", "settings"),
            ("rm s3://b/x -v", "settings"),
            ("rm --help", "help"),
            ("cat s3://b/x", "may be"),
            ("run other", "may be"),
            ("serve", "may be"),
            ("cp - s3://b/x", "standard input"),
            ("cp s3://b/x -", "standard input"),
            ("cp a b", "neither"),
            ("rm 's3://b/a*['", "pattern"),
        ] {
            let said = parsed(line).unwrap_err();
            assert!(said.contains(why) && !said.contains('\n'), "{line}: {said}");
        }
    }
}
