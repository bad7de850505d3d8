// SPDX-License-Identifier: Apache-2.0
//! A server whose every answer a test gives.

use super::raw_server;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

/// A request as a scripted server sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
}

impl Asked {
    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.target.contains(part)
    }
}

/// An answer: `200 OK`, headers of lines that end in `\r\n`, and a body. Its length is told; a HEAD gets no body.
pub(crate) fn reply(status: &str, headers: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

/// A server whose every answer is given by `answer`; `None` closes the connection instead. Its endpoint, and what it was
/// asked.
pub(crate) fn scripted(
    answer: impl Fn(&Asked) -> Option<String> + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let seen: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let noting = Arc::clone(&seen);
    let address = raw_server(move |mut stream| {
        while let Some(asked) = read_request(&mut stream) {
            noting.lock().unwrap().push(asked.clone());
            let Some(mut answer) = answer(&asked) else { return };
            if asked.method == "HEAD" || answer.starts_with("HTTP/1.1 204") {
                answer.truncate(answer.find("\r\n\r\n").unwrap() + 4);
            }
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}"), seen)
}

/// Reads one request, its body included.
fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    let mut words = head.split(' ').map(str::to_owned);
    Some(Asked { method: words.next()?, target: words.next()? })
}
