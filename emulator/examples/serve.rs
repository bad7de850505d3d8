// SPDX-License-Identifier: Apache-2.0
//! Runs an emulator until its standard input ends: `cargo run --example serve -- [MODEL] [STATE]`.
//! Prints the line that clients need; the bucket `demo` is there.

use std::io::{Read as _, Write as _};

use storescope_emulator::Emulator;
use storescope_model::Model;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = Model::named(&arguments.next().unwrap_or_else(|| "none".into()))?;
    let mut builder = Emulator::builder().model(model).bucket("demo");
    if let Some(state) = arguments.next() {
        builder = builder.state_dir(state);
    }
    let emulator = builder.start()?;
    println!("{}", serde_json::to_string(emulator.ready())?);
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    emulator.stop();
    Ok(())
}
