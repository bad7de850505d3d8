// SPDX-License-Identifier: Apache-2.0
//! The emulator's admin API, by one connection a call. It is on this machine, and answers at once.

use crate::exit::Exit;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// No answer takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The admin API at one address.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    address: String,
}

impl Admin {
    /// That of a ready line: `http://HOST:PORT`.
    pub(super) fn at(url: &str) -> Result<Admin, Exit> {
        let address = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let address = address.ok_or_else(|| Exit::usage(format!("{url} is no admin API")))?;
        Ok(Admin { address: address.to_owned() })
    }

    /// A call; its answer, which is null where it has no content.
    pub(super) fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, Exit> {
        let failed =
            |what: &str| Exit::failed(format!("the emulator's admin API, {method} {path}: {what}"));
        let answer = self.exchange(method, path, body).map_err(|e| failed(&e.to_string()))?;
        let (head, content) =
            answer.split_once("\r\n\r\n").ok_or_else(|| failed("an answer without a head"))?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            return Err(failed(&format!("{status} {content}")));
        }
        if content.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(content).map_err(|e| failed(&e.to_string()))
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> io::Result<String> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // By HTTP/1.0 the answer ends with its connection.
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{body}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
