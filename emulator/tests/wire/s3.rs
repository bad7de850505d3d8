// SPDX-License-Identifier: Apache-2.0
//! The S3 API on the wire, signed here by hand: what clients that were not made here do not try.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac};
use storescope_emulator::{Action, Builder, Emulator, Fault, S3Ready};
use storescope_model::Model;

use crate::client::{BUCKET, Client, object};

const HASH: &str = "x-amz-content-sha256";

/// A client that signs for a region and sends one request a connection.
#[derive(Clone)]
pub(crate) struct S3 {
    pub(crate) ready: S3Ready,
    pub(crate) region: String,
    /// Seconds that its clock is ahead of this machine's.
    pub(crate) skew: i64,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The `Code` of an error.
    pub(crate) fn code(&self) -> (u16, String) {
        let code = self.text().split("<Code>").nth(1).unwrap().split('<').next().unwrap();
        (self.status, code.to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

impl S3 {
    fn new(emulator: &Emulator) -> S3 {
        let ready = emulator.ready().s3.clone().unwrap();
        S3 { region: ready.region.clone(), ready, skew: 0 }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"").unwrap()
    }

    pub(crate) fn put(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.request("PUT", path, headers, body).unwrap()
    }

    /// Signs and sends; `None` if the connection ends without an answer.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        let signed = self.sign(method, path, headers, (&sha256(body), body.len()));
        send(&signed.host, &signed.head, body)
    }

    /// A head whose body has this hash, unless a header says otherwise, and this length.
    fn sign(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        (hash, length): (&str, usize),
    ) -> Signed {
        let time = date(self.skew);
        let host = self.ready.endpoint.trim_start_matches("http://").to_owned();
        let mut all = vec![
            ("host".to_owned(), host.clone()),
            ("x-amz-date".to_owned(), time),
            (HASH.to_owned(), hash.to_owned()),
        ];
        for (name, value) in headers {
            all.retain(|(known, _)| known != name);
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        all.sort();
        let find = |name: &str| all.iter().find(|(key, _)| key == name).unwrap().1.clone();
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        let signed = names.join(";");
        let lines: Vec<_> = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (raw, query) = path.split_once('?').unwrap_or((path, ""));
        let mut query: Vec<&str> = query.split('&').collect();
        query.sort_unstable();
        let query = query.join("&");
        let request =
            format!("{method}\n{raw}\n{query}\n{}\n{signed}\n{}", lines.concat(), find(HASH));
        let time = find("x-amz-date");
        let scope = format!("{}/{}/s3/aws4_request", &time[..8], self.region);
        let key = self.key(&scope);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(request.as_bytes()));
        let signature = hex(&hmac_sha256(&key, &text));
        let sent: Vec<_> = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{}\
             authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, \
             Signature={signature}\r\n\r\n",
            sent.concat(),
            self.ready.access_key_id,
        );
        Signed { host, head, key, time, scope, signature }
    }

    /// The key that signs in a scope.
    pub(crate) fn key(&self, scope: &str) -> Vec<u8> {
        let secret = format!("AWS4{}", self.ready.secret_access_key).into_bytes();
        scope.split('/').fold(secret, |key, part| hmac_sha256(&key, part))
    }

    /// A target that is signed in its query, at a time so many seconds from this machine's, for so many seconds.
    pub(crate) fn presigned(&self, method: &str, path: &str, skew: i64, expires: u32) -> String {
        let (host, time) = (self.ready.endpoint.trim_start_matches("http://"), date(skew));
        let scope = format!("{}/{}/s3/aws4_request", &time[..8], self.region);
        let credential = format!("{}/{scope}", self.ready.access_key_id).replace('/', "%2F");
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={time}\
             &X-Amz-Expires={expires}&X-Amz-SignedHeaders=host"
        );
        let request = format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(request.as_bytes()));
        let signature = hex(&hmac_sha256(&self.key(&scope), &text));
        format!("{path}?{query}&X-Amz-Signature={signature}")
    }

    /// Sends what is signed in its target, if at all.
    pub(crate) fn open(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let host = self.ready.endpoint.trim_start_matches("http://");
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        send(host, &head, body).unwrap()
    }

    /// A PUT in signed chunks of so many bytes; `forge` may change what was signed.
    fn put_chunks(
        &self,
        path: &str,
        body: &[u8],
        size: usize,
        forge: impl Fn(&mut Vec<u8>),
    ) -> Answer {
        // `SIZE;chunk-signature=64 digits`, and the two line ends, of each chunk.
        let chunks: Vec<&[u8]> = body.chunks(size).chain([&[][..]]).collect();
        let around = |chunk: &&[u8]| format!("{:x}", chunk.len()).len() + 17 + 64 + 4;
        let length = chunks.iter().map(|chunk| chunk.len() + around(chunk)).sum();
        let decoded = body.len().to_string();
        let headers =
            [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", &*decoded)];
        let hash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        let signed = self.sign("PUT", path, &headers, (hash, length));
        let (mut previous, mut sent) = (signed.signature.clone(), Vec::new());
        for chunk in chunks {
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{previous}\n{}\n{}",
                signed.time,
                signed.scope,
                sha256(b""),
                sha256(chunk)
            );
            previous = hex(&hmac_sha256(&signed.key, &text));
            sent.extend(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).into_bytes());
            sent.extend(chunk);
            sent.extend(b"\r\n");
        }
        assert_eq!(sent.len(), length);
        forge(&mut sent);
        send(&signed.host, &signed.head, &sent).unwrap()
    }
}

/// A head, and what signs the chunks that follow it.
struct Signed {
    host: String,
    head: String,
    key: Vec<u8>,
    time: String,
    scope: String,
    signature: String,
}

/// The date of a signature, so many seconds from now.
pub(crate) fn date(skew: i64) -> String {
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(skew);
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

pub(crate) fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

pub(crate) fn send(host: &str, head: &str, body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    let mut answer =
        Answer { status: head.split(' ').nth(1)?.parse().ok()?, head, body: Vec::new() };
    reader.read_to_end(&mut answer.body).ok()?;
    Some(answer)
}

pub(crate) fn start(builder: Builder) -> (Emulator, S3, Client) {
    let emulator = builder.bucket("demo").start().unwrap();
    let (s3, client) = (S3::new(&emulator), Client::new(&emulator, "DEFAULT"));
    (emulator, s3, client)
}

#[test]
fn both_apis_have_the_same_objects() {
    let (emulator, s3, mut client) = start(Emulator::builder());
    let headers = [("content-type", "text/plain"), ("x-amz-meta-a", "b")];
    assert_eq!(s3.put("/demo/x", &headers, b"hello").status, 200);
    let got = client.get(&object("x"));
    assert_eq!((got.text(), got.header("opc-meta-a")), ("hello", Some("b")));
    assert_eq!(got.header("content-type"), Some("text/plain"));
    client.request("PUT", &object("y"), &[("opc-meta-c", "d")], b"there");
    let got = s3.get("/demo/y");
    assert_eq!((got.text(), got.header("x-amz-meta-c")), ("there", Some("d")));
    let native = client.get(&object("y")).header("etag").unwrap().to_owned();
    for etag in [native.as_str(), got.header("etag").unwrap()] {
        let headers = [("if-match", etag)];
        assert_eq!(s3.request("GET", "/demo/y", &headers, b"").unwrap().status, 200);
    }
    let listed = s3.get("/demo?list-type=2");
    assert!(listed.text().contains("<Key>x</Key>") && listed.text().contains("<Key>y</Key>"));
    let lines = emulator.record();
    let put = &lines[0];
    assert_eq!((put.method.as_str(), put.target.as_str()), ("PUT", "/demo/x"));
    assert_eq!((put.status, put.bytes_in), (Some(200), 5));
    assert!(lines.iter().any(|line| line.target == "/demo/y" && line.bytes_out == 5));
}

#[test]
fn who_does_not_sign_well_is_refused() {
    let (emulator, mut s3, mut client) = start(Emulator::builder());
    client.put("x", b"hello");
    assert_eq!(s3.open("GET", "/demo/x", b"").code(), (403, "AccessDenied".to_owned()));
    client.request("POST", BUCKET, &[], br#"{"publicAccessType":"ObjectRead"}"#);
    assert_eq!(s3.open("GET", "/demo/x", b"").text(), "hello");
    let old = [("x-amz-date", "20200101T000000Z")];
    let refused = s3.request("GET", "/demo/x", &old, b"").unwrap();
    assert_eq!(refused.code(), (403, "RequestTimeTooSkewed".to_owned()));
    let other = sha256(b"other");
    let refused = s3.put("/demo/y", &[(HASH, &other)], b"hello");
    assert_eq!(refused.code(), (400, "XAmzContentSHA256Mismatch".to_owned()));
    let key = std::mem::replace(&mut s3.ready.secret_access_key, "wrong".into());
    assert_eq!(s3.get("/demo/x").code(), (403, "SignatureDoesNotMatch".to_owned()));
    s3.ready.secret_access_key = key;
    s3.ready.access_key_id = "nobody".into();
    assert_eq!(s3.get("/demo/x").code(), (403, "InvalidAccessKeyId".to_owned()));
    assert_eq!(client.get(&object("y")).status, 404);
    let refusals = emulator.record().iter().filter(|line| line.status == Some(403)).count();
    assert_eq!(refusals, 4);
}

/// Ten seconds of room on either side for a slow machine.
#[test]
fn one_clock_judges_signatures_and_tells_times() {
    // Beyond the fifteen minutes that s3s, asked, would allow around this machine's clock.
    for offset in [-7200_i64, 0, 7200] {
        let (_emulator, mut s3, _client) = start(Emulator::builder().clock_offset(offset));
        let skewed = (403, "RequestTimeTooSkewed".to_owned());
        for (skew, good) in [(-910, false), (-890, true), (0, true), (890, true), (910, false)] {
            s3.skew = offset + skew;
            let put = s3.put("/demo/x", &[], b"hello");
            assert_eq!(put.status, if good { 200 } else { 403 }, "{offset} {skew}");
            assert!(good || put.code() == skewed, "{offset} {skew}");
        }
        s3.skew = offset;
        let got = s3.get("/demo/x");
        assert_eq!(got.text(), "hello");
        let listed = s3.get("/demo?list-type=2");
        let modified = listed.text().split("<LastModified>").nth(1).unwrap();
        let listed = modified.split('<').next().unwrap().parse::<jiff::Timestamp>().unwrap();
        let header = |name| httpdate::parse_http_date(got.header(name).unwrap()).unwrap();
        let now = SystemTime::now();
        for (what, time) in [
            ("date", header("date")),
            ("last-modified", header("last-modified")),
            ("listed", listed.into()),
        ] {
            let ahead = match time.duration_since(now) {
                Ok(ahead) => ahead.as_secs_f64(),
                Err(behind) => -behind.duration().as_secs_f64(),
            };
            assert!((ahead - offset as f64).abs() < 20.0, "{what} is {ahead} s ahead of {offset}");
        }
    }
}

#[test]
fn presigned_requests_end_by_the_same_clock() {
    for offset in [-7200_i64, 0, 7200] {
        let (_emulator, s3, mut client) = start(Emulator::builder().clock_offset(offset));
        client.skew = offset;
        client.put("x", b"hello");
        let get = |skew, expires| {
            s3.open("GET", &s3.presigned("GET", "/demo/x", offset + skew, expires), b"")
        };
        assert_eq!(get(0, 60).text(), "hello", "{offset}");
        assert_eq!(get(-50, 60).text(), "hello", "{offset}");
        assert_eq!(get(890, 60).text(), "hello", "{offset}");
        for (skew, why) in [(-70, "has expired"), (910, "not yet valid")] {
            let refused = get(skew, 60);
            assert_eq!(refused.code(), (403, "AccessDenied".to_owned()), "{offset} {skew}");
            assert!(refused.text().contains(why), "{offset} {skew}");
        }
        let put = s3.presigned("PUT", "/demo/a%20b", offset, 60);
        assert_eq!(s3.open("PUT", &put, b"there").status, 200, "{offset}");
        assert_eq!(client.get(&object("a%20b")).text(), "there");
        // Nothing of it may be changed, the time least of all.
        let target = s3.presigned("GET", "/demo/x", offset - 70, 60);
        for (method, forged) in [
            ("GET", target.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")),
            ("GET", s3.presigned("GET", "/demo/x", offset, 60).replace("/demo/x?", "/demo/a?")),
            ("HEAD", s3.presigned("GET", "/demo/x", offset, 60)),
        ] {
            assert_eq!(s3.open(method, &forged, b"").status, 403, "{offset} {method} {forged}");
        }
    }
}

#[test]
fn a_bucket_of_another_region_redirects() {
    let builder = Emulator::builder().bucket("far").s3_bucket_region("far", "eu-frankfurt-1");
    let (_emulator, mut s3, _client) = start(builder);
    let refused = s3.get("/far?list-type=2");
    assert_eq!(refused.code(), (301, "PermanentRedirect".to_owned()));
    assert_eq!(refused.header("x-amz-bucket-region"), Some("eu-frankfurt-1"));
    let head = s3.request("HEAD", "/far", &[], b"").unwrap();
    assert_eq!((head.status, head.header("x-amz-bucket-region")), (301, Some("eu-frankfurt-1")));
    s3.region = "eu-frankfurt-1".into();
    assert_eq!(s3.get("/far?list-type=2").status, 200);
    let refused = s3.get("/demo?list-type=2");
    assert_eq!(refused.code(), (400, "AuthorizationHeaderMalformed".to_owned()));
    assert_eq!(refused.header("x-amz-bucket-region"), Some("us-ashburn-1"));
}

#[test]
fn the_dialect_of_oci_refuses_what_oci_refuses() {
    let body = b"<Delete><Object><Key>a</Key></Object></Delete>";
    let (md5, crc32) = {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        use md5::Digest as _;
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body) as u32;
        (STANDARD.encode(md5::Md5::digest(body)), STANDARD.encode(crc.to_be_bytes()))
    };
    for (oci, refused) in [(false, 200), (true, 400)] {
        let (_emulator, s3, _client) = start(Emulator::builder().s3_dialect_oci(oci));
        let delete =
            |headers: &[(&str, &str)]| s3.request("POST", "/demo?delete=", headers, body).unwrap();
        assert_eq!(delete(&[("x-amz-checksum-crc32", &crc32)]).status, refused);
        assert_eq!(delete(&[]).code(), (400, "InvalidRequest".to_owned()));
        assert_eq!(delete(&[("content-md5", &md5)]).status, 200);
        let chunked = [
            (HASH, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let chunks = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        let put = s3.put("/demo/a", &chunked, chunks);
        let expected = if oci { 501 } else { 200 };
        assert_eq!(put.status, expected, "{}", put.text());
    }
}

#[test]
fn faults_and_ceilings_are_the_same() {
    let model = Model::from_toml("requests_per_second = 5.0\n").unwrap();
    let (emulator, s3, mut client) = start(Emulator::builder());
    client.put("x", b"0123456789");
    emulator.fault(Fault::new(Action::Reset).contains("/demo/x").count(1));
    assert!(s3.request("GET", "/demo/x", &[], b"").is_none());
    emulator.fault(Fault::new(Action::Throttle { requests: 1, retry_after: Some(2) }));
    let refused = s3.get("/demo/x");
    assert_eq!(refused.code(), (503, "SlowDown".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("2"));
    emulator.fault(Fault::new(Action::Corrupt { offset: 3 }).count(1));
    assert_eq!(s3.get("/demo/x").body[3], b'3' ^ 0xff);
    emulator.fault(Fault::new(Action::Truncate { after: 4 }).count(1));
    assert_eq!(s3.get("/demo/x").text(), "0123");
    emulator.fault(Fault::new(Action::DropResponse).method("PUT").count(1));
    assert!(s3.request("PUT", "/demo/z", &[], b"done").is_none());
    assert_eq!(s3.get("/demo/z").text(), "done");
    emulator.admin().set_model(&model).unwrap();
    let codes: Vec<_> = (0..20).map(|_| s3.get("/demo/x").status).collect();
    assert_eq!(codes[..5], [200; 5]);
    assert!(codes.contains(&503), "{codes:?}");
}

#[test]
fn conditions_and_checksums_of_writes() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let put = |headers: &[(&str, &str)]| s3.put("/demo/x", headers, b"hello");
    assert_eq!(put(&[("if-match", "\"x\"")]).code(), (404, "NoSuchKey".to_owned()));
    assert_eq!(put(&[("if-none-match", "*")]).status, 200);
    assert_eq!(put(&[("if-none-match", "*")]).code(), (412, "PreconditionFailed".to_owned()));
    assert_eq!(put(&[("if-match", "\"x\"")]).code(), (412, "PreconditionFailed".to_owned()));
    for (name, good) in [
        ("x-amz-checksum-crc32", "NhCmhg=="),
        ("x-amz-checksum-crc32c", "mnG7TA=="),
        ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
        ("x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
    ] {
        assert_eq!(put(&[(name, good)]).status, 200, "{name}");
        let bad = good.replacen(char::is_alphabetic, "1", 1);
        assert_eq!(put(&[(name, &bad)]).code(), (400, "BadDigest".to_owned()), "{name}");
    }
    let mode = [("x-amz-checksum-mode", "ENABLED")];
    put(&[("x-amz-checksum-crc32c", "mnG7TA==")]);
    let head = s3.request("HEAD", "/demo/x", &mode, b"").unwrap();
    assert_eq!(head.header("x-amz-checksum-crc32c"), Some("mnG7TA=="));
    let etag = head.header("etag").unwrap().to_owned();
    let known = [("if-none-match", etag.as_str())];
    let same = s3.request("GET", "/demo/x", &known, b"").unwrap();
    assert_eq!((same.status, same.body.len()), (304, 0));
    let beyond = s3.request("GET", "/demo/x", &[("range", "bytes=5-")], b"").unwrap();
    assert_eq!(beyond.code(), (416, "InvalidRange".to_owned()));
}

#[test]
fn signed_chunks_are_verified_one_by_one() {
    let (_emulator, s3, mut client) = start(Emulator::builder());
    let body: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    for size in [8_192, 65_536, 200_000, 300_000] {
        let put = s3.put_chunks("/demo/x", &body, size, |_| {});
        assert_eq!(put.status, 200, "{}", put.text());
        let got = client.get(&object("x"));
        assert!(got.body == body, "chunks of {size}");
        assert_eq!(got.header("content-encoding"), None, "it is of the transfer");
    }
    assert_eq!(s3.put_chunks("/demo/empty", b"", 1, |_| {}).status, 200);
    assert_eq!(client.get(&object("empty")).body, b"");
    // One byte of the second chunk, and one digit of its signature.
    for at in [8_192 + 100 + 4_000, 8_192 + 100 + 30] {
        let put = s3.put_chunks("/demo/y", &body, 8_192, |sent| sent[at] ^= 1);
        assert_eq!(put.code(), (403, "SignatureDoesNotMatch".to_owned()));
    }
    let (_other, oci, _) = start(Emulator::builder().s3_dialect_oci(true));
    let put = oci.put_chunks("/demo/x", &body, 8_192, |_| {});
    assert_eq!(put.code(), (501, "NotImplemented".to_owned()));
    assert_eq!(client.get(&object("y")).status, 404);
}

#[test]
fn a_copy_names_its_source_as_a_form_does() {
    let (_emulator, s3, mut client) = start(Emulator::builder());
    for name in ["a%20b", "a%2Bb", "%C3%BC/x%3Fy"] {
        client.put(name, name.as_bytes());
    }
    for (source, body) in [
        ("/demo/a%20b", "a%20b"),
        ("demo/a+b", "a%20b"),
        ("demo%2Fa%2Bb", "a%2Bb"),
        ("demo/%C3%BC/x%3Fy", "%C3%BC/x%3Fy"),
    ] {
        let copied = s3.put("/demo/c", &[("x-amz-copy-source", source)], b"");
        assert_eq!(copied.status, 200, "{source}: {}", copied.text());
        assert_eq!(client.get(&object("c")).text(), body, "{source}");
    }
    let version = client.get(&object("c")).header("version-id").unwrap().to_owned();
    for (source, status) in
        [(format!("/demo/c?versionId={version}"), 200), ("/demo/c?versionId=x".to_owned(), 400)]
    {
        assert_eq!(s3.put("/demo/d", &[("x-amz-copy-source", &source)], b"").status, status);
    }
    let same = s3.put("/demo/a%20b", &[("x-amz-copy-source", "demo/a+b")], b"");
    assert_eq!(same.code(), (400, "InvalidRequest".to_owned()));
}

#[test]
fn what_is_too_long_or_too_much_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let builder = Emulator::builder().data_dir(data.path()).data_limit(100_000);
    let (_emulator, s3, mut client) = start(builder);
    let longest = "x".repeat(1024);
    assert_eq!(s3.put(&format!("/demo/{longest}"), &[], b"x").status, 200);
    assert_eq!(s3.get(&format!("/demo/{longest}")).text(), "x");
    let over = format!("/demo/{longest}x");
    for refusal in [
        s3.put(&over, &[], b"x"),
        s3.put(&over, &[("x-amz-copy-source", &format!("demo/{longest}"))], b""),
        s3.request("POST", &format!("{over}?uploads="), &[], b"").unwrap(),
    ] {
        assert_eq!(refusal.code(), (400, "KeyTooLongError".to_owned()));
    }
    assert_eq!(s3.put("/demo/a", &[], &vec![1; 60_000]).status, 200);
    for name in ["a", "b"] {
        let refusal = s3.put(&format!("/demo/{name}"), &[], &vec![2; 60_000]);
        assert_eq!(refusal.code(), (507, "InsufficientStorage".to_owned()));
    }
    assert_eq!(s3.get("/demo/a").body, vec![1; 60_000]);
    assert_eq!(client.get(&object("b")).status, 404);
    // A body that is longer than it says: the rest is no part of it.
    let signed = s3.sign("PUT", "/demo/short", &[], (&sha256(b"hello"), 5));
    assert_eq!(send(&signed.host, &signed.head, b"hello and more").unwrap().status, 200);
    assert_eq!(s3.get("/demo/short").text(), "hello");
}

#[test]
fn what_is_told_of_an_object_can_be_asked_for() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    s3.put("/demo/x", &[("content-type", "text/plain")], b"hello");
    let query = "response-content-disposition=attachment&response-content-type=a%2Fb";
    let got = s3.get(&format!("/demo/x?{query}"));
    assert_eq!(got.header("content-type"), Some("a/b"));
    assert_eq!(got.header("content-disposition"), Some("attachment"));
    assert_eq!(s3.get("/demo/x").header("content-type"), Some("text/plain"));
}
