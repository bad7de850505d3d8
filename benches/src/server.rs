// SPDX-License-Identifier: Apache-2.0
//! The plain server: http/1.1, nothing verified, as cheap as can be, in a process of its own.
//!
//! A GET with a Range is answered 206 with the bytes asked, one without 200 with the whole object, HEAD and PUT 200; any
//! name exists and has the bytes of [`content`]: as many as the digits behind its last `-` say (`events-64315021`), else
//! [`OBJECT_SIZE`]. It counts the requests that it answers and the bytes of their bodies ([`Server::served`]). A POST is a step of a write by parts, of OCI's native API or of S3: it is
//! answered with an upload's id or as a commit, and nothing is remembered of it. What is put is read and forgotten. A
//! thread serves a connection, with blocking calls; head and body of a small
//! answer leave in one `writev`. The headers are about those of OCI Object Storage, so that every client parses what it
//! would parse there.
//!
//! The process is the bench's own executable, started once more with [`SERVE`]: it prints its port and ends with its
//! standard input, so that it never outlives the bench.

use crate::content::{PERIOD, content};
use crate::measure::Served;
use std::io::{self, BufRead as _, BufReader, IoSlice, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The size of an object whose name has none, in bytes.
pub const OBJECT_SIZE: u64 = 1 << 30;

/// The argument that makes a bench the server.
pub const SERVE: &str = "--plain-server";

/// A running plain server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts the server as a process of its own. Panics if it does not start: there is no bench without it.
    pub fn start() -> Server {
        let mut child = Command::new(std::env::current_exe().expect("the executable has a path"))
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bench's own executable starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped above");
        BufReader::new(stdout).read_line(&mut line).expect("the server prints its address");
        let address = line.trim().parse().expect("the server prints its address");
        Server { child, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has served since it started; asking is not counted.
    pub fn served(&self) -> Served {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        write!(stream, "GET {COUNTS} HTTP/1.1\r\n\r\n").expect("it reads");
        stream.shutdown(std::net::Shutdown::Write).expect("connected above");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, counts) = answer.split_once("\r\n\r\n").expect("a head");
        let (requests, bytes) = counts.split_once(' ').expect("two counts");
        let count = |text: &str| text.parse().expect("a number");
        Served { requests: count(requests), bytes: count(bytes) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, or it ends now; nobody can be told of more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves, and does not return, if this process was started to be the server. The first line of every bench's `main`.
pub fn serve_if_asked() {
    if !std::env::args().any(|argument| argument == SERVE) {
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    println!("{}", listener.local_addr().expect("bound above"));
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    serve(&listener);
}

/// Answers everybody who connects, for ever.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // A client that goes away ends its thread, and that is all.
        std::thread::spawn(move || Connection::new(stream)?.run());
    }
}

/// Where the server tells its counts; no client's object is there.
const COUNTS: &str = "/-/counts";

static REQUESTS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The headers that every answer has; ends in the middle of the head.
const COMMON: &str = "content-type: application/octet-stream\r\n\
    accept-ranges: bytes\r\n\
    etag: \"5f3d8a1e-9c07-4a52-8b1d-2e6f7a0c4d93\"\r\n\
    last-modified: Sun, 01 Nov 2026 00:00:00 GMT\r\n\
    date: Sun, 22 Nov 2026 00:00:00 GMT\r\n\
    opc-request-id: phx-1:q8x1fWbZ3kD0v2yT7mN5cR9sH4jL6aPe\r\n\
    version-id: 1f0c9d6e-3b7a-4e58-a2d4-c8b59e7f6013\r\n\
    storage-tier: Standard\r\n";

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    scratch: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let received = Vec::with_capacity(64 << 10);
        Ok(Connection { stream, received, scratch: vec![0; 128 << 10], answer: Vec::new() })
    }

    fn run(mut self) -> io::Result<()> {
        while let Some(head) = self.read_head()? {
            self.answer(&head)?;
        }
        Ok(())
    }

    /// The next request's head, taken off what was received; `None` at the end of the connection.
    fn read_head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = Head::parse(&self.received[..end]);
                self.received.drain(..end + 4);
                return Ok(Some(head));
            }
            if self.receive()? == 0 {
                return Ok(None);
            }
        }
    }

    fn receive(&mut self) -> io::Result<usize> {
        let before = self.received.len();
        self.received.resize(before + (16 << 10), 0);
        let read = self.stream.read(&mut self.received[before..])?;
        self.received.truncate(before + read);
        Ok(read)
    }

    fn answer(&mut self, head: &Head) -> io::Result<()> {
        match head.method {
            Method::Get => {
                let range = head.range.clone().unwrap_or(0..head.size);
                self.begin(if head.range.is_some() { "206 Partial Content" } else { "200 OK" });
                write!(self.answer, "content-length: {}\r\n", range.end - range.start)?;
                if head.range.is_some() {
                    let (first, last) = (range.start, range.end - 1);
                    write!(self.answer, "content-range: bytes {first}-{last}/{}\r\n", head.size)?;
                }
                self.send(range)
            }
            Method::Head => {
                self.begin("200 OK");
                write!(self.answer, "content-length: {}\r\n", head.size)?;
                self.send(0..0)
            }
            Method::Put => {
                if head.expects_continue {
                    self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
                self.discard(head.length)?;
                self.begin("200 OK");
                self.answer.extend_from_slice(b"content-length: 0\r\n");
                self.send(0..0)
            }
            Method::Counts => {
                let counts = format!("{} {}", REQUESTS.load(Relaxed), BYTES.load(Relaxed));
                write!(
                    self.stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{counts}",
                    counts.len()
                )
            }
            Method::Post(document) => {
                self.discard(head.length)?;
                self.begin("200 OK");
                write!(self.answer, "content-length: {}\r\n\r\n{document}", document.len())?;
                self.stream.write_all(&self.answer)
            }
            Method::Other => {
                self.begin("405 Method Not Allowed");
                self.answer.extend_from_slice(b"content-length: 0\r\n");
                self.send(0..0)
            }
        }
    }

    fn begin(&mut self, status: &str) {
        REQUESTS.fetch_add(1, Relaxed);
        self.answer.clear();
        for part in ["HTTP/1.1 ", status, "\r\n", COMMON] {
            self.answer.extend_from_slice(part.as_bytes());
        }
    }

    /// Sends the head begun, and the content of `body` with it.
    fn send(&mut self, mut body: Range<u64>) -> io::Result<()> {
        self.answer.extend_from_slice(b"\r\n");
        let mut head = self.answer.as_slice();
        while !head.is_empty() || !body.is_empty() {
            let piece = content(body.start..body.end.min(body.start + PERIOD));
            let written = self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(piece)])?;
            let of_head = written.min(head.len());
            head = &head[of_head..];
            body.start += (written - of_head) as u64;
            BYTES.fetch_add((written - of_head) as u64, Relaxed);
        }
        Ok(())
    }

    /// Reads a body and forgets it, in pieces that stay in the CPU's caches.
    fn discard(&mut self, mut length: u64) -> io::Result<()> {
        let here = length.min(self.received.len() as u64);
        self.received.drain(..here as usize);
        length -= here;
        while length > 0 {
            let most = length.min(self.scratch.len() as u64) as usize;
            match self.stream.read(&mut self.scratch[..most])? {
                0 => break,
                read => length -= read as u64,
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Put,
    /// What the server has counted.
    Counts,
    /// With the document that answers it.
    Post(&'static str),
    Other,
}

/// What a POST is answered with: an upload's id, or, of S3, the end of one. A commit of OCI has no document, and nobody
/// minds this one.
fn document(target: &[u8]) -> &'static str {
    if target.starts_with(b"/n/") {
        r#"{"uploadId":"plain"}"#
    } else if target.ends_with(b"?uploads") {
        "<InitiateMultipartUploadResult><UploadId>plain</UploadId></InitiateMultipartUploadResult>"
    } else {
        "<CompleteMultipartUploadResult><ETag>\"plain\"</ETag></CompleteMultipartUploadResult>"
    }
}

/// What of a request matters here.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    method: Method,
    /// The object's.
    size: u64,
    range: Option<Range<u64>>,
    length: u64,
    expects_continue: bool,
}

impl Head {
    fn parse(head: &[u8]) -> Head {
        let target = head.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
        let method = match head {
            [b'G', b'E', b'T', b' ', ..] if target == COUNTS.as_bytes() => Method::Counts,
            [b'G', b'E', b'T', b' ', ..] => Method::Get,
            [b'H', b'E', b'A', b'D', b' ', ..] => Method::Head,
            [b'P', b'U', b'T', b' ', ..] => Method::Put,
            [b'P', b'O', b'S', b'T', b' ', ..] => Method::Post(document(target)),
            _ => Method::Other,
        };
        let size = size(target);
        let mut parsed = Head { method, size, range: None, length: 0, expects_continue: false };
        for line in head.split(|&byte| byte == b'\n').skip(1) {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let value = || std::str::from_utf8(&line[colon + 1..]).unwrap_or_default().trim();
            match colon {
                5 if line[..5].eq_ignore_ascii_case(b"range") => {
                    parsed.range = range(value(), size);
                }
                6 if line[..6].eq_ignore_ascii_case(b"expect") => parsed.expects_continue = true,
                14 if line[..14].eq_ignore_ascii_case(b"content-length") => {
                    parsed.length = value().parse().unwrap_or(0);
                }
                _ => {}
            }
        }
        parsed
    }
}

/// The size of the object that a request is for.
fn size(target: &[u8]) -> u64 {
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let digits = path.rsplit(|&byte| byte == b'-').next().unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(OBJECT_SIZE)
}

/// The bytes that a Range header's value names, cut at the end of an object of that size.
fn range(value: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => {
            let end = last.parse::<u64>().ok()?.checked_add(1)?;
            first.parse().ok()?..end.min(size)
        }
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_each_form() {
        assert_eq!(range("bytes=10-19", 100), Some(10..20));
        assert_eq!(range("bytes=10-", 100), Some(10..100));
        assert_eq!(range("bytes=-10", 100), Some(90..100));
        assert_eq!(range(&format!("bytes=0-{}", u64::MAX - 1), 100), Some(0..100));
        for wrong in ["bytes=19-10", "bytes=a-b", "10-19", "bytes=10"] {
            assert_eq!(range(wrong, 100), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_may_tell_the_size() {
        assert_eq!(size(b"/bench/lake/events-64315021?x-id=GetObject"), 64_315_021);
        assert_eq!(size(b"/bench/lake/events-000123.root"), OBJECT_SIZE);
    }

    #[test]
    fn a_head_is_read_whatever_the_case_of_its_names() {
        let head = Head::parse(b"GET /o HTTP/1.1\r\nHost: h\r\nRANGE: bytes=0-4095");
        assert_eq!((head.method, head.range), (Method::Get, Some(0..4096)));
        let head =
            Head::parse(b"PUT /o HTTP/1.1\r\nexpect: 100-continue\r\nContent-Length: 7\r\nHost: h");
        assert_eq!((head.method, head.length, head.expects_continue), (Method::Put, 7, true));
    }

    /// Sends `request` whole and returns all that comes until the server has nothing left to say.
    fn talk(request: &[u8]) -> Vec<u8> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let server = std::thread::spawn(|| Connection::new(stream).unwrap().run().unwrap());
        client.write_all(request).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        server.join().unwrap();
        answer
    }

    #[test]
    fn requests_on_one_connection_are_answered_in_turn() {
        let answer = talk(
            b"PUT /o HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello\
              GET /o HTTP/1.1\r\nrange: bytes=5-2097156\r\n\r\n\
              HEAD /o HTTP/1.1\r\n\r\nPOST /o?uploads HTTP/1.1\r\n\r\nDELETE /o HTTP/1.1\r\n\r\n",
        );
        let mut rest = answer.as_slice();
        let mut expect = |part: &[u8]| {
            let place = rest.windows(part.len()).position(|bytes| bytes == part);
            let place = place.unwrap_or_else(|| panic!("{} is missing", part.escape_ascii()));
            rest = &rest[place + part.len()..];
            place
        };
        assert_eq!(expect(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), 0);
        expect(b"HTTP/1.1 206 Partial Content\r\n");
        expect(b"content-length: 2097152\r\ncontent-range: bytes 5-2097156/1073741824\r\n\r\n");
        for piece in [5..5 + PERIOD, 5 + PERIOD..2_097_157] {
            assert_eq!(expect(content(piece)), 0);
        }
        assert_eq!(expect(b"HTTP/1.1 200 OK\r\n"), 0);
        expect(b"content-length: 1073741824\r\n\r\nHTTP/1.1 200 ");
        expect(b"<UploadId>plain</UploadId></InitiateMultipartUploadResult>HTTP/1.1 405 ");
    }
}
