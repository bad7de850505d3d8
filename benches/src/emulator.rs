// SPDX-License-Identifier: Apache-2.0
//! The emulator in a process of its own, and what its record says of the requests that came.
//!
//! The process is the bench's own executable, started once more with [`SERVE`], like the plain server's: it prints the
//! line of `storescope serve` and ends with its standard input.

use crate::measure::Served;
use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use storescope_emulator::{Emulator, Ready, RecordLine};
use storescope_model::Model;

/// The argument that makes a bench the emulator; the model's name and the buckets' follow.
pub const SERVE: &str = "--emulator-server";

/// A running emulator; it ends when this is dropped.
#[derive(Debug)]
pub struct Emulated {
    child: Child,
    ready: Ready,
}

impl Emulated {
    /// Starts the emulator as a process of its own. Panics if it does not start.
    pub fn start(model: &str, buckets: &[&str]) -> Emulated {
        let mut child = Command::new(std::env::current_exe().expect("the executable has a path"))
            .arg(SERVE)
            .arg(model)
            .args(buckets)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bench's own executable starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped above");
        BufReader::new(stdout).read_line(&mut line).expect("the emulator prints its line");
        let ready = serde_json::from_str(&line).expect("the emulator prints what it is");
        Emulated { child, ready }
    }

    /// Where it listens, and what its clients need.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Forgets the requests so far.
    pub fn clear_record(&self) {
        self.admin("DELETE", "/record");
    }

    /// The requests since, counted by what they did and how they ended.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        let mut counted = BTreeMap::new();
        for line in self.record() {
            *counted.entry(kind(&line)).or_default() += 1;
        }
        counted
    }

    /// The requests since, and the bytes of their answers' bodies.
    pub fn served(&self) -> Served {
        let lines = self.record();
        let bytes = lines.iter().map(|line| line.bytes_out).sum();
        Served { requests: lines.len() as u64, bytes }
    }

    fn record(&self) -> Vec<RecordLine> {
        serde_json::from_slice(&self.admin("GET", "/record")).expect("the record is JSON")
    }

    /// The body of the admin API's answer. HTTP/1.0, so that it ends with the connection.
    fn admin(&self, method: &str, path: &str) -> Vec<u8> {
        let host = self.ready.admin.strip_prefix("http://").expect("the admin API is http");
        let mut stream = TcpStream::connect(host).expect("the emulator listens");
        write!(stream, "{method} {path} HTTP/1.0\r\nhost: {host}\r\n\r\n").expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        assert!(answer[9..].starts_with(b"20"), "{method} {path}");
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        answer.split_off(head)
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        // It ends with its standard input, and takes its folder with it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A request's method and, of a POST, its action; what was not a success, with its status.
fn kind(line: &RecordLine) -> String {
    let (path, query) = line.target.split_once('?').unwrap_or((&line.target, ""));
    let action = match path.rsplit_once("/actions/") {
        Some((_, action)) => Some(format!(" {action}")),
        None if line.method == "POST" => Some(format!(" ?{query}")),
        None => None,
    };
    let status = line.status.filter(|status| !(200..300).contains(status));
    let status = status.map(|status| format!(" ({status})"));
    [line.method.clone(), action.unwrap_or_default(), status.unwrap_or_default()].concat()
}

/// Serves, and does not return, if this process was started to be the emulator. Stands at the top of a bench's `main`.
pub fn serve_if_asked() {
    let mut arguments = std::env::args().skip_while(|argument| argument != SERVE).skip(1);
    let Some(model) = arguments.next() else { return };
    let model = Model::named(&model).expect("a model of that name");
    let builder = Emulator::builder().model(model);
    let emulator = arguments.fold(builder, |builder, bucket| builder.bucket(&bucket)).start();
    let emulator = emulator.expect("the emulator starts");
    println!("{}", serde_json::to_string(emulator.ready()).expect("it is JSON"));
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    emulator.stop();
    std::process::exit(0);
}
