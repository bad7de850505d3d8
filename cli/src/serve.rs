// SPDX-License-Identifier: Apache-2.0
//! `storescope serve`: the emulator, until SIGTERM or Ctrl-C.

use crate::Ended;
use crate::exit::Exit;
use clap::Args;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use storescope_emulator::Emulator;
use storescope_model::Model;
use tokio::signal::unix::{SignalKind, signal};

/// Run a local OCI Object Storage. Prints one JSON line when it is ready: endpoints, a configuration file with
/// throwaway keys, the admin API (faults, record: docs/EMULATOR.md).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope serve
  storescope serve --model s3-standard --seed 7 --state /tmp/emulator
  storescope serve | jq -r .oci.endpoint")]
pub(crate) struct Serve {
    /// Port of the plain listener; 0 is any.
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Latency model: a name, or a TOML file.
    #[arg(long, value_name = "NAME|FILE", default_value = "none")]
    model: String,

    /// Where configuration, CA and record go; without it, a temporary folder.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Seed of the model's draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// A bucket to make at the start; may be given more than once.
    #[arg(long = "bucket", value_name = "NAME", default_value = "demo")]
    buckets: Vec<String>,

    /// Seconds that the server's clock is ahead of this machine's (negative: behind).
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    clock_offset: i64,

    /// Stop when standard input ends, too: for a parent process.
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

impl Serve {
    pub(crate) fn run(self) -> Ended {
        let mut builder = Emulator::builder()
            .port(self.port)
            .model(model(&self.model)?)
            .seed(self.seed)
            .clock_offset(self.clock_offset);
        for bucket in &self.buckets {
            builder = builder.bucket(bucket);
        }
        if let Some(state) = &self.state {
            builder = builder.state_dir(state);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Before the ready line: whoever reads it may send SIGTERM at once.
        let (mut terminate, mut interrupt) = {
            let _entered = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let emulator = builder.start().map_err(|e| Exit::failed(with_causes(&e)))?;
        let ready = serde_json::to_string(emulator.ready()).expect("plain strings serialise");
        writeln!(std::io::stdout(), "{ready}")?;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = stdin_end(), if self.until_stdin_ends => {}
            }
        });
        emulator.stop();
        // A read of standard input that is still waiting must not hold the process.
        runtime.shutdown_background();
        Ok(())
    }
}

async fn stdin_end() {
    let read = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    // Whatever it ended with, nobody is there any more.
    let _ = read.await;
}

/// A model by name, or from a TOML file.
pub(crate) fn model(name: &str) -> Result<Model, Exit> {
    if !Path::new(name).exists() {
        return Model::named(name).map_err(|e| Exit::usage(format!("{e}; or give a TOML file")));
    }
    let text = std::fs::read_to_string(name)
        .map_err(|e| Exit::usage(format!("cannot read {name}: {e}")))?;
    Model::from_toml(&text).map_err(|e| Exit::usage(format!("{name}: {e}")))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
