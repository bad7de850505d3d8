// SPDX-License-Identifier: Apache-2.0
//! An emulator in a process of its own, so that its work is not counted as the client's.

use crate::exit::Exit;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use storescope_emulator::Ready;

/// Runs `storescope serve` until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    ready: Ready,
}

impl Server {
    pub(crate) fn start(model: &str, seed: u64) -> Result<Server, Exit> {
        // Told here, before a process is started for nothing.
        crate::model::model(model)?;
        let program = std::env::current_exe()?;
        let mut process = Command::new(program)
            .args(["serve", "--until-stdin-ends", "--model", model, "--seed", &seed.to_string()])
            // Ctrl-C on the terminal is its parent's: calls under way need their server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped above");
        BufReader::new(stdout).read_line(&mut line)?;
        let ready = serde_json::from_str(&line)
            .map_err(|e| Exit::failed(format!("the emulator did not start: {e}")))?;
        Ok(Server { process, ready })
    }

    pub(crate) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its standard input ends, and with it the server, which removes its folder.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
