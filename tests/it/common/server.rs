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
    head: String,
}

impl Asked {
    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.target.contains(part)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, text) = lines.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(text.trim())
    }

    /// First and last byte that are asked for, of an object of so many.
    pub(crate) fn range(&self, size: usize) -> Option<(usize, usize)> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => Some((first, last.min(size - 1))),
            (Ok(first), Err(_)) => Some((first, size - 1)),
            (Err(_), Ok(bytes)) => Some((size.saturating_sub(bytes), size - 1)),
            _ => None,
        }
    }
}

/// An answer: `200 OK`, headers of lines that end in `\r\n`, and a body. Its length is told; a HEAD gets no body.
#[expect(clippy::unnecessary_wraps, reason = "what a script gives back")]
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
    let endpoint = answering(move |asked| {
        noting.lock().unwrap().push(asked.clone());
        let Some(mut answer) = answer(asked) else { return Vec::new() };
        if asked.method == "HEAD" || answer.starts_with("HTTP/1.1 204") {
            answer.truncate(answer.find("\r\n\r\n").unwrap() + 4);
        }
        answer.into_bytes()
    });
    (endpoint, seen)
}

/// A server on loopback that answers each request with these bytes. It closes the connection behind an answer that says
/// so, or instead of an empty one.
pub(crate) fn answering(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> String {
    let address = raw_server(move |mut stream| {
        while let Some(asked) = read_request(&mut stream) {
            let bytes = answer(&asked);
            let closes =
                bytes.is_empty() || bytes.windows(17).any(|part| part == b"connection: close");
            if stream.write_all(&bytes).is_err() || closes {
                return;
            }
        }
    });
    format!("http://{address}")
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
    let (method, target) = (words.next()?, words.next()?);
    Some(Asked { method, target, head })
}
