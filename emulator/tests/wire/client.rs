// SPDX-License-Identifier: Apache-2.0
//! A blocking HTTP/1.1 client over a bare socket, as small as the tests need: it signs, keeps its
//! connection, and shows whatever comes, broken or whole.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use storescope_emulator::{Emulator, Ready};
use storescope_sign::{PrivateKey, Request, Rule, authorization, sha256, signing_string};

pub(crate) const BUCKET: &str = "/n/emulator/b/demo";

/// An emulator with the bucket `demo` and a client of its DEFAULT profile.
pub(crate) fn start() -> (Emulator, Client) {
    let emulator = Emulator::builder().bucket("demo").start().unwrap();
    let client = Client::new(&emulator, "DEFAULT");
    (emulator, client)
}

/// The target of an object whose name needs no encoding.
pub(crate) fn object(name: &str) -> String {
    format!("{BUCKET}/o/{name}")
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

pub(crate) struct Client {
    address: String,
    ca: Option<String>,
    pub(crate) key_id: String,
    pub(crate) key: PrivateKey,
    /// Added to the date of requests.
    pub(crate) skew: i64,
    stream: Option<BufReader<Box<dyn Stream>>>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Body bytes that were promised and did not come.
    pub(crate) missing: usize,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn new(emulator: &Emulator, profile: &str) -> Client {
        Client::of(emulator.ready(), profile)
    }

    /// A client of an emulator in another process.
    pub(crate) fn of(ready: &Ready, profile: &str) -> Client {
        let oci = &ready.oci;
        let config = std::fs::read_to_string(&oci.config_file).unwrap();
        let setting = |name: &str| {
            let of = |section: &str| {
                let start = config.find(&format!("[{section}]"))?;
                let section = config[start + 1..].split("\n[").next()?;
                section
                    .lines()
                    .find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(" = ")?.to_owned()))
            };
            of(profile).or_else(|| of("DEFAULT"))
        };
        let key_id = match setting("security_token_file") {
            Some(file) => format!("ST${}", std::fs::read_to_string(file).unwrap()),
            None => ["tenancy", "user", "fingerprint"].map(|name| setting(name).unwrap()).join("/"),
        };
        Client {
            address: oci.endpoint.trim_start_matches("http://").to_owned(),
            ca: None,
            key_id,
            key: PrivateKey::from_pem(&std::fs::read(setting("key_file").unwrap()).unwrap(), None)
                .unwrap(),
            skew: 0,
            stream: None,
        }
    }

    /// The same over TLS.
    pub(crate) fn tls(emulator: &Emulator) -> Client {
        let oci = &emulator.ready().oci;
        Client {
            address: oci.tls_endpoint.trim_start_matches("https://").to_owned(),
            ca: Some(oci.ca_bundle.clone()),
            ..Client::new(emulator, "DEFAULT")
        }
    }

    /// A client of the server at `url`, which signs so.
    pub(crate) fn at(url: &str, ca: Option<&str>, key_id: &str, key: &PrivateKey) -> Client {
        let (_, address) = url.split_once("://").unwrap();
        Client {
            address: address.to_owned(),
            ca: ca.map(str::to_owned),
            key_id: key_id.to_owned(),
            key: key.clone(),
            skew: 0,
            stream: None,
        }
    }

    /// Sends an unsigned request.
    pub(crate) fn unsigned(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.extend(["content-length: ", &body.len().to_string(), "\r\n\r\n", body]);
        self.send(request.as_bytes()).unwrap();
        self.receive(method).unwrap()
    }

    /// The same client on a connection of its own.
    pub(crate) fn another(&self) -> Client {
        Client {
            address: self.address.clone(),
            ca: self.ca.clone(),
            key_id: self.key_id.clone(),
            key: self.key.clone(),
            skew: self.skew,
            stream: None,
        }
    }

    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], b"")
    }

    pub(crate) fn put(&mut self, name: &str, body: &[u8]) -> Response {
        let response = self.request("PUT", &object(name), &[], body);
        assert_eq!(response.status, 200, "{:?}", response.text());
        response
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.try_request(method, target, headers, body).unwrap()
    }

    pub(crate) fn try_request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let head = self.head(method, target, headers, body);
        self.send(&[head.as_bytes(), body].concat())?;
        self.receive(method)
    }

    /// A signed head.
    pub(crate) fn head(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> String {
        let rule = match method {
            "POST" => Rule::Body,
            "PUT" => Rule::BodyExcluded,
            _ => Rule::Generic,
        };
        self.head_by(rule, (method, target), headers, body)
    }

    /// A head that is signed by this rule.
    pub(crate) fn head_by(
        &self,
        rule: Rule,
        (method, target): (&str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> String {
        let shift = Duration::from_secs(self.skew.unsigned_abs());
        let now = SystemTime::now();
        let date = if self.skew < 0 { now - shift } else { now + shift };
        let mut all = vec![
            ("date".to_owned(), httpdate::fmt_http_date(date)),
            ("host".to_owned(), self.address.clone()),
        ];
        if method == "PUT" || method == "POST" {
            all.push(("content-length".into(), body.len().to_string()));
        }
        if matches!(rule, Rule::Body | Rule::Federation) {
            all.push(("content-type".into(), "application/json".into()));
            all.push(("x-content-sha256".into(), STANDARD.encode(sha256(body))));
        }
        all.extend(headers.iter().map(|(key, value)| ((*key).into(), (*value).into())));
        let find =
            |name: &str| all.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let request = Request { method, target, header: &find };
        let signed = rule.signed_headers();
        let signature =
            self.key.sign(signing_string(&request, signed).unwrap().as_bytes()).unwrap();
        let authorization = authorization(&self.key_id, signed, &signature);
        let lines = all.iter().map(|(key, value)| format!("{key}: {value}\r\n"));
        format!(
            "{method} {target} HTTP/1.1\r\nauthorization: {authorization}\r\n{}\r\n",
            lines.collect::<String>()
        )
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.stream.is_none() {
            self.stream = Some(BufReader::new(self.connect()?));
        }
        let stream = self.stream.as_mut().unwrap().get_mut();
        stream.write_all(bytes)?;
        stream.flush()
    }

    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let tcp = TcpStream::connect(&self.address)?;
        tcp.set_nodelay(true)?;
        // A test that waits longer than this has found a hang.
        tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
        let Some(ca) = &self.ca else { return Ok(Box::new(tcp)) };
        let mut roots = rustls::RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "127.0.0.1".try_into().unwrap();
        let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        Ok(Box::new(rustls::StreamOwned::new(session, tcp)))
    }

    /// Reads one answer, an interim one too; on an error the connection is given up.
    pub(crate) fn receive(&mut self, method: &str) -> io::Result<Response> {
        let stream = self.stream.as_mut().unwrap();
        let response = read_response(stream, method == "HEAD");
        let ends = |response: &Response| {
            response.missing > 0 || response.header("connection") == Some("close")
        };
        if response.as_ref().map_or(true, ends) {
            self.stream = None;
        }
        response
    }

    /// Body bytes of an answer that may never end: reads so many.
    pub(crate) fn receive_part(&mut self, bytes: usize) -> Vec<u8> {
        let stream = self.stream.as_mut().unwrap();
        read_head(stream).unwrap();
        let mut part = vec![0; bytes];
        stream.read_exact(&mut part).unwrap();
        part
    }
}

fn read_response(stream: &mut impl BufRead, head_only: bool) -> io::Result<Response> {
    let (status, headers) = read_head(stream)?;
    let mut response = Response { status, headers, body: Vec::new(), missing: 0 };
    if !head_only && status >= 200 {
        let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        let read = stream.take(length as u64).read_to_end(&mut response.body);
        // TLS says of a connection that was cut that it was cut.
        if let Err(error) = read
            && error.kind() != io::ErrorKind::UnexpectedEof
        {
            return Err(error);
        }
        response.missing = length - response.body.len();
    }
    Ok(response)
}

fn read_head(stream: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        line.ends_with("\r\n")
            .then(|| line.trim_end().to_owned())
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    };
    let status = line()?.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else { return Ok((status, headers)) };
        headers.push((name.to_owned(), value.to_owned()));
    }
}
