// SPDX-License-Identifier: Apache-2.0
//! Runs an emulator until SIGTERM: `cargo run --example serve -- [--model NAME] [--state DIR]
//! [--data DIR] [--data-limit BYTES] [--bucket NAME] [--identity-tls-port PORT] [--s3-dialect oci|aws]
//! [--s3-bucket-region NAME=REGION]`. Prints the line that clients need; the bucket `demo` is
//! there.

use std::io::Write as _;

use storescope_emulator::{Builder, Emulator};
use storescope_model::Model;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Emulator::builder().bucket("demo");
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} has no value"))?;
        builder = set(builder, &option, &value)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut terminate = {
        let _entered = runtime.enter();
        signal(SignalKind::terminate())?
    };
    let emulator = builder.start()?;
    println!("{}", serde_json::to_string(emulator.ready())?);
    std::io::stdout().flush()?;
    runtime.block_on(terminate.recv());
    emulator.stop();
    Ok(())
}

fn set(builder: Builder, option: &str, value: &str) -> Result<Builder, Box<dyn std::error::Error>> {
    Ok(match option {
        "--model" => builder.model(Model::named(value)?),
        "--state" => builder.state_dir(value),
        "--data" => builder.data_dir(value),
        "--data-limit" => builder.data_limit(value.parse()?),
        "--bucket" => builder.bucket(value),
        "--identity-tls-port" => builder.identity_tls_port(value.parse()?),
        "--s3-dialect" => builder.s3_dialect_oci(value == "oci"),
        "--s3-bucket-region" => {
            let (bucket, region) = value.split_once('=').ok_or("NAME=REGION is wanted")?;
            builder.s3_bucket_region(bucket, region)
        }
        other => return Err(format!("{other} is not an option").into()),
    })
}
