// SPDX-License-Identifier: Apache-2.0
//! The `storescope` binary: what the library does, for a terminal.
//!
//! Data goes to standard output, progress and notes to standard error. Exit codes: see [`exit`].

mod bench;
mod child;
mod exit;
mod objects;
mod report;
mod serve;
mod settings;

use clap::{CommandFactory, Parser, Subcommand};
use exit::Exit;
use settings::Settings;
use std::io::Write;
use std::process::ExitCode;

const EXIT_CODES: &str = "Exit codes:
  0    done
  1    the store or the network failed, or some requests of a bench did
  2    usage or configuration
  3    object or bucket not found
  4    not authenticated, or not permitted
  130  interrupted";

const EXAMPLES: &str = "Examples:
  storescope bench --emulator s3-standard               measure a simulated store, nothing else needed
  storescope bench oci://lake@ns/big.root --size 1MiB   measure a real one
  storescope ls oci://lake@ns/ -l
  storescope cat oci://lake@ns/notes.txt --range 0-99
  storescope serve --model oci-native                   an OCI and S3 object store on this machine";

/// Measure an object store, and see where the time goes.
#[derive(Debug, Parser)]
#[command(
    name = "storescope",
    version,
    long_version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("STORESCOPE_COMMIT"), ", features: oci; serve: oci, s3)"),
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
    /// Measure ranged reads: latency by phase, percentiles, throughput.
    Bench(bench::Bench),
    /// List objects, or buckets.
    Ls(objects::Ls),
    /// Write an object's bytes to standard output.
    Cat(objects::Cat),
    /// Tell what an object is.
    Stat(objects::Stat),
    /// Run a local object store, OCI's API and S3's: signatures checked, latency by a model, faults on demand.
    Serve(serve::Serve),
    /// Write completions for a shell to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

fn examples_and_codes() -> String {
    format!("{EXAMPLES}\n\n{EXIT_CODES}")
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.settings.start_log();
    let ended = match cli.command {
        Command::Bench(bench) => bench.run(&cli.settings),
        Command::Ls(ls) => ls.run(&cli.settings),
        Command::Cat(cat) => cat.run(&cli.settings),
        Command::Stat(stat) => stat.run(&cli.settings),
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
