// SPDX-License-Identifier: Apache-2.0
//! `storescope serve`: the emulator, until SIGTERM or Ctrl-C.

use crate::exit::{Ended, Exit};
use crate::model::model;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use storescope::config::parse_size;
use storescope_emulator::{Builder, Emulator, StartError};
use tokio::signal::unix::{SignalKind, signal};

/// Run a local object store that speaks OCI's native API and S3's, on the same objects. Prints one JSON line when it is
/// ready: endpoints, a configuration file and S3 keys made for this run, the admin API (faults, record:
/// docs/EMULATOR.md).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope serve
  storescope serve --model s3-standard --seed 7 --state /tmp/emulator
  storescope serve --data ./objects --data-limit 10GiB       what is stored outlives the process
  storescope serve --s3-dialect oci --s3-port 9000           an S3 API that refuses what OCI's refuses
  storescope serve --address 0.0.0.0                         for other machines; the admin API stays on loopback
  storescope serve --bucket near --bucket far --s3-bucket-region far=eu-frankfurt-1
  storescope serve | jq -r .oci.endpoint")]
pub(crate) struct Serve {
    /// Address that the listeners of both APIs bind to. Only this machine reaches the default. The admin API is not
    /// among them: see --admin-address.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,

    /// Address that the admin API binds to; without it, loopback. The admin API is unsigned: who reaches another address
    /// reads the record and decides what clients are answered.
    #[arg(long, value_name = "IP")]
    admin_address: Option<IpAddr>,

    /// Address that the listeners of instance metadata and of the identity service bind to; without it, loopback.
    /// Instance metadata gives a key to anyone who asks.
    #[arg(long, value_name = "IP")]
    identity_address: Option<IpAddr>,

    /// Port of the plain listener of the native API; 0 is any.
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Port of the TLS listener of the native API; 0 is any.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    tls_port: u16,

    /// Port of the plain listener of the S3 API; 0 is any.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    s3_port: u16,

    /// Port of the TLS listener of the S3 API; 0 is any.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    s3_tls_port: u16,

    /// Port of the plain listener of instance metadata and of the identity service; 0 is any.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    identity_port: u16,

    /// Port of the TLS listener of the identity service and of the proxy of a cluster's nodes, which Oracle's SDKs ask on
    /// port 12250 only; 0 is any.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    identity_tls_port: u16,

    /// Port of the admin API; 0 is any.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    admin_port: u16,

    /// Latency model: a name, or a TOML file.
    #[arg(long, value_name = "NAME|FILE", default_value = "none")]
    model: String,

    /// Where objects are kept, made if it is not there; without it, in memory. What was answered is there after a
    /// `kill -9`. One emulator at a time may use a folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Most bytes of objects in the folder: a write beyond them is refused as on a full disk.
    #[arg(long, value_name = "SIZE", requires = "data", value_parser = parse_size)]
    data_limit: Option<u64>,

    /// Where configuration, CA and record go; without it, a temporary folder. One emulator at a time may use a folder.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Seed of the model's draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// A bucket to make at the start; may be given more than once.
    #[arg(long = "bucket", value_name = "NAME", default_value = "demo")]
    buckets: Vec<String>,

    /// The namespace of the native API.
    #[arg(long, value_name = "NAME", default_value = "emulator", value_parser = NonEmptyStringValueParser::new())]
    namespace: String,

    /// Whose S3 API it is: `oci` refuses what OCI's refuses (bodies in aws-chunked, DeleteObjects with a CRC32).
    #[arg(long, value_name = "DIALECT", value_enum, default_value_t = Dialect::Aws)]
    s3_dialect: Dialect,

    /// Says that a bucket lies in another region: S3 requests that are signed for any other are sent there by a 301.
    /// May be given more than once.
    #[arg(long = "s3-bucket-region", value_name = "NAME=REGION", value_parser = bucket_region)]
    s3_bucket_regions: Vec<(String, String)>,

    /// Seconds that the server's clock is ahead of this machine's (negative: behind).
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    clock_offset: i64,

    /// Stop when standard input ends, too: for a parent process.
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

/// What the S3 API takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// What S3 itself takes.
    Aws,
    /// What OCI's S3 API takes.
    Oci,
}

impl Serve {
    pub(crate) fn run(self) -> Ended {
        let builder = self.builder()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Before the ready line: whoever reads it may send SIGTERM at once.
        let (mut terminate, mut interrupt) = {
            let _entered = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let emulator = builder.start().map_err(|error| match error {
            StartError::WithoutS3 => Exit::usage(error.to_string()),
            error => Exit::failed(with_causes(&error)),
        })?;
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

    fn builder(&self) -> Result<Builder, Exit> {
        let mut builder = Emulator::builder()
            .address(self.address)
            .port(self.port)
            .tls_port(self.tls_port)
            .s3_port(self.s3_port)
            .s3_tls_port(self.s3_tls_port)
            .identity_port(self.identity_port)
            .identity_tls_port(self.identity_tls_port)
            .admin_port(self.admin_port)
            .namespace(&self.namespace)
            .s3_dialect_oci(self.s3_dialect == Dialect::Oci)
            .model(model(&self.model)?)
            .seed(self.seed)
            .clock_offset(self.clock_offset);
        if let Some(address) = self.admin_address {
            builder = builder.admin_address(address);
        }
        if let Some(address) = self.identity_address {
            builder = builder.identity_address(address);
        }
        for bucket in &self.buckets {
            builder = builder.bucket(bucket);
        }
        for (bucket, region) in &self.s3_bucket_regions {
            builder = builder.s3_bucket_region(bucket, region);
        }
        if let Some(state) = &self.state {
            builder = builder.state_dir(state);
        }
        if let Some(data) = &self.data {
            builder = builder.data_dir(data);
        }
        if let Some(limit) = self.data_limit {
            builder = builder.data_limit(limit);
        }
        Ok(builder)
    }
}

/// `NAME=REGION`.
fn bucket_region(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((bucket, region)) if !bucket.is_empty() && !region.is_empty() => {
            Ok((bucket.to_owned(), region.to_owned()))
        }
        _ => Err("a bucket, =, and its region are wanted".to_owned()),
    }
}

async fn stdin_end() {
    let read = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    // Whatever it ended with, nobody is there any more.
    let _ = read.await;
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
