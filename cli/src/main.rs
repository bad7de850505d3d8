// SPDX-License-Identifier: Apache-2.0
//! The `storescope` binary: what the library does, for a terminal.
//!
//! Data goes to standard output, progress and notes to standard error. Exit codes: see [`exit`].

mod bench;
mod buckets;
mod child;
mod cp;
mod exit;
mod fetch;
mod objects;
mod place;
mod progress;
mod report;
mod rm;
mod saved;
mod serve;
mod session;
mod settings;
mod tally;
mod uploads;

use clap::{CommandFactory, Parser, Subcommand};
use exit::Exit;
use settings::Settings;
use std::io::Write;
use std::process::ExitCode;

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
  storescope ls oci://lake@ns/ -l
  storescope cat s3://lake/notes.txt --range 0-99
  storescope cp -r results oci://lake@ns/runs/17        a second run copies what has changed
  storescope serve --model oci-native                   OCI Object Storage and S3 on this machine

URLs (names in them are literal: nothing is decoded):
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
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure ranged reads, or writes: latency by phase, percentiles, throughput.
    Bench(bench::Bench),
    /// Make a page of what was recorded: percentile curves, phases, a table.
    Report(saved::Report),
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
    /// Remove objects.
    Rm(rm::Rm),
    /// Make a bucket.
    Mb(buckets::Mb),
    /// Remove an empty bucket.
    Rb(buckets::Rb),
    /// List, or abort, uploads by parts that were begun and never ended.
    Uploads(uploads::Uploads),
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

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.settings.start_log();
    let ended = match cli.command {
        Command::Bench(bench) => bench.run(&cli.settings),
        Command::Report(report) => report.run(),
        Command::Ls(ls) => ls.run(&cli.settings),
        Command::Cat(cat) => cat.run(&cli.settings),
        Command::Stat(stat) => stat.run(&cli.settings),
        Command::Cp(cp) => cp.run(&cli.settings),
        Command::Mv(mv) => mv.run(&cli.settings),
        Command::Rm(rm) => rm.run(&cli.settings),
        Command::Mb(mb) => mb.run(&cli.settings),
        Command::Rb(rb) => rb.run(&cli.settings),
        Command::Uploads(uploads) => uploads.run(&cli.settings),
        Command::Serve(serve) => serve.run(),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "storescope", &mut text);
            std::io::stdout().write_all(&text).map_err(Exit::from)
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.tell(),
    }
}

/// What a command ends with.
type Ended = Result<(), Exit>;
