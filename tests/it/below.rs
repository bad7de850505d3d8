// SPDX-License-Identifier: Apache-2.0
//! Services that lie below a path of their server, such as `https://ref.example/storage/v1`: every target of every
//! operation lies there, and is signed whole.

use crate::common::{
    self, BUCKET, client, config, emulator, impatient, raw_server, store_at, until,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use storescope::{
    Client, Config, CopyOptions, DeleteOptions, ErrorKind, GetOptions, ListOptions, PutOptions,
    RenameOptions, Store, StoreOptions,
};
use storescope_emulator::Emulator;
use storescope_sign::{Authorization, PrivateKey, Rule, authorization, signing_string};

/// A server in front of the emulator, below a path: checks the signature of each request over the whole target, signs
/// what is left without the path, and hands it on.
struct Front {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

/// What is left of a request's target, and who can sign it.
trait Signs: Send + Sync + 'static {
    /// The target below the path, as the emulator has it.
    fn strip(&self, request: &Request) -> String;
    /// The value of `authorization` for the request, were this its target.
    fn authorize(&self, request: &Request, target: &str) -> String;
}

struct Request {
    method: String,
    target: String,
    headers: HashMap<String, String>,
    head: String,
}

impl Request {
    fn read(stream: &mut TcpStream) -> Option<(Request, Vec<u8>)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ').map(str::to_owned);
        let (method, target) = (first.next()?, first.next()?);
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        Some((Request { method, target, headers, head }, body))
    }

    /// The same for another target, signed so, as the last of its connection.
    fn onward(&self, target: &str, authorization: &str) -> String {
        let mut head = format!("{} {target} HTTP/1.1\r\nconnection: close\r\n", self.method);
        for line in self.head.split("\r\n").skip(1).take_while(|line| !line.is_empty()) {
            if !line.to_ascii_lowercase().starts_with("authorization:") {
                head += line;
                head += "\r\n";
            }
        }
        head + "authorization: " + authorization + "\r\n\r\n"
    }
}

impl Front {
    fn of(endpoint: &str, signs: impl Signs) -> Front {
        let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let (noted, behind) =
            (Arc::clone(&seen), endpoint.trim_start_matches("http://").to_owned());
        let address = raw_server(move |mut stream| {
            while let Some((request, body)) = Request::read(&mut stream) {
                if request.method == "CONNECT" {
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                    continue;
                }
                noted.lock().unwrap().push((request.method.clone(), request.target.clone()));
                let signed = signs.authorize(&request, &request.target);
                if request.headers.get("authorization") != Some(&signed) {
                    stream
                        .write_all(b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n")
                        .unwrap();
                    continue;
                }
                let target = signs.strip(&request);
                let mut server = TcpStream::connect(&behind).unwrap();
                let onward = request.onward(&target, &signs.authorize(&request, &target));
                server.write_all(onward.as_bytes()).unwrap();
                server.write_all(&body).unwrap();
                let mut answer = Vec::new();
                server.read_to_end(&mut answer).unwrap();
                let _ = stream.write_all(&answer);
                return;
            }
        });
        Front { address, seen }
    }

    fn seen(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn targets(&self) -> Vec<String> {
        self.seen().into_iter().map(|(method, target)| format!("{method} {target}")).collect()
    }
}

/// The path, without which every target must be `base` and a slash.
fn below<'a>(target: &'a str, base: &str) -> &'a str {
    let rest = target.strip_prefix(base).unwrap_or_else(|| panic!("{target} is not below {base}"));
    assert!(rest.starts_with('/'), "{target} is not below {base}/");
    rest
}

struct Oci {
    base: &'static str,
    key: PrivateKey,
}

impl Oci {
    fn front(emulator: &Emulator, base: &'static str) -> Front {
        let oci = &emulator.ready().oci;
        let text = std::fs::read_to_string(&oci.config_file).unwrap();
        let key = text.lines().find_map(|line| line.strip_prefix("key_file = ")).unwrap();
        let key = PrivateKey::from_pem(&std::fs::read(key).unwrap(), None).unwrap();
        Front::of(&oci.endpoint, Oci { base, key })
    }
}

impl Signs for Oci {
    fn strip(&self, request: &Request) -> String {
        below(&request.target, self.base).to_owned()
    }

    fn authorize(&self, request: &Request, target: &str) -> String {
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        let given = header("authorization").map(Authorization::parse).unwrap().unwrap();
        let with_body = given.signs("x-content-sha256");
        let names = if with_body { Rule::Body } else { Rule::Generic }.signed_headers();
        let signed = storescope_sign::Request { method: &request.method, target, header: &header };
        let signature = self.key.sign(signing_string(&signed, names).unwrap().as_bytes()).unwrap();
        authorization(given.key_id(), names, &signature)
    }
}

/// Each operation of a store, and of its service, once.
async fn all_operations(client: &Client, store: &Store, service: &str, parts: usize) {
    let put = PutOptions::new;
    for key in ["k", "a b/%2F+", "gone"] {
        store.put(key, &b"abc"[..], put()).await.unwrap();
    }
    assert_eq!(store.get("k", GetOptions::new()).await.unwrap().bytes().await.unwrap(), "abc");
    let ranged = GetOptions::new().range(1..2);
    assert_eq!(store.get("a b/%2F+", ranged).await.unwrap().bytes().await.unwrap(), "b");
    assert_eq!(store.head("k").await.unwrap().size, 3);
    let listed: Vec<_> = store.list("a", ListOptions::new()).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
    store.delete("gone", DeleteOptions::new()).await.unwrap();
    store.rename("k", "renamed", RenameOptions::new()).await.unwrap();
    store.copy("renamed", (store, "copied"), CopyOptions::new()).await.unwrap();
    let mut writer = store.writer("large", put());
    writer.write(vec![7; parts]).await.unwrap();
    writer.write(vec![8; 1_000]).await.unwrap();
    assert_eq!(writer.finish().await.unwrap().size, parts as u64 + 1_000);
    let upload = store.begin_upload("given-up", put()).await.unwrap();
    let uploads: Vec<_> = store.uploads("").try_collect().await.unwrap();
    assert_eq!(uploads.len(), 1);
    store.abort_upload(&upload).await.unwrap();
    let names = ["renamed", "copied"].map(str::to_owned);
    let removed: Vec<_> =
        store.delete_many(futures_util::stream::iter(names).boxed()).collect().await;
    assert!(removed.iter().all(|(_, removed)| removed.is_ok()), "{removed:?}");
    let service = service.parse().unwrap();
    let buckets: Vec<_> =
        client.buckets(&service, StoreOptions::new()).try_collect().await.unwrap();
    assert!(buckets.iter().any(|bucket| bucket.name == BUCKET));
    let made = store.url().with_bucket("made");
    client.create_bucket(&made, StoreOptions::new()).await.unwrap();
    client.delete_bucket(&made, StoreOptions::new()).await.unwrap();
}

fn short_parts(config: Config) -> Config {
    impatient(config, 1).part_size(5_u64 << 20)
}

const PART: usize = 5 << 20;

#[tokio::test]
async fn every_operation_of_oci_lies_below_the_endpoints_path() {
    const BASE: &str = "/storage/v1";
    for slashes in ["", "/"] {
        let emulator = emulator();
        let front = Oci::front(&emulator, BASE);
        let client = client(
            short_parts(config(&emulator))
                .compartment(emulator.ready().oci.compartment.clone())
                .endpoint(format!("http://{}{BASE}{slashes}", front.address)),
        );
        // The namespace is asked for, too.
        let store = store_at(&client, &format!("oci://{BUCKET}/"));
        let service = format!("oci://@{}", emulator.ready().oci.namespace);
        all_operations(&client, &store, &service, PART).await;
        let targets = front.targets();
        let kinds =
            ["GET /n/", "PUT /n/", "HEAD /n/", "DELETE /n/", "POST /n/", "GET /workRequests/"];
        for kind in kinds {
            let kind = kind.replacen(' ', &format!(" {BASE}"), 1);
            assert!(targets.iter().any(|target| target.starts_with(&kind)), "{kind}: {targets:?}");
        }
        for action in ["renameObject", "copyObject", "batchDeleteObjects", "/o/a%20b%2F%252F%2B"] {
            assert!(targets.iter().any(|target| target.ends_with(action)), "{action}");
        }
        assert_eq!(targets.len(), emulator.record().len(), "nothing went elsewhere");
    }
}

#[tokio::test]
async fn a_url_of_the_web_may_have_an_endpoint_with_a_path() {
    let emulator = emulator();
    let front = Oci::front(&emulator, "/gate/oci");
    let namespace = &emulator.ready().oci.namespace;
    let client = client(short_parts(config(&emulator)));
    let url = format!("http://{}/gate/oci/n/{namespace}/b/{BUCKET}/o/", front.address);
    let store = store_at(&client, &url);
    store.put("k", &b"abc"[..], PutOptions::new()).await.unwrap();
    assert_eq!(front.targets(), [format!("PUT /gate/oci/n/{namespace}/b/{BUCKET}/o/k")]);
    // Two endpoints are two services: what goes from one to the other passes through here.
    let other = store_at(&client, &common::bucket_url(&emulator));
    other.put("x", &b"xyz"[..], PutOptions::new()).await.unwrap();
    other.copy("x", (&store, "y"), CopyOptions::new()).await.unwrap();
    let targets = front.targets();
    assert!(targets.iter().any(|target| target.starts_with("PUT ")), "{targets:?}");
    assert!(!targets.iter().any(|target| target.contains("copyObject")), "{targets:?}");
}

#[tokio::test]
async fn an_endpoint_that_no_request_could_carry_is_refused_before_it_is_asked() {
    let emulator = emulator();
    let schemes: &[&str] =
        if cfg!(feature = "s3") { &["oci://bucket@ns/", "s3://bucket/"] } else { &["oci://b@ns/"] };
    for scheme in schemes {
        for endpoint in ["http://u:pa55@h/x", "http://h/x?pa55", "http://h/x#pa55", "http://h/../x"]
        {
            let client = client(
                config(&emulator)
                    .endpoint(endpoint.to_owned())
                    .access_key_id("id".to_owned())
                    .secret_access_key(storescope::config::Secret::from("s")),
            );
            let error = store_at(&client, scheme).head("k").await.unwrap_err();
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Config, 0), "{error}");
            let told = common::all_text(&error) + &format!("{client:?}");
            assert!(!told.contains("pa55"), "{told}");
        }
    }
    until("nothing was asked", || emulator.record().is_empty()).await;
}

#[cfg(feature = "s3")]
mod s3 {
    use super::*;
    use crate::common::s3_config;
    use aws_lc_rs::{digest, hmac};
    use std::fmt::Write as _;
    use storescope::config::{PathStyle, Secret};

    struct S3 {
        base: &'static str,
        secret: String,
        /// Where the host names the bucket.
        host_style: bool,
    }

    impl S3 {
        fn front(emulator: &Emulator, base: &'static str, host_style: bool) -> Front {
            let s3 = emulator.ready().s3.as_ref().unwrap();
            let secret = s3.secret_access_key.clone();
            Front::of(&s3.endpoint, S3 { base, secret, host_style })
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    }

    fn mac(key: &[u8], text: &str) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    }

    impl Signs for S3 {
        fn strip(&self, request: &Request) -> String {
            let rest = below(&request.target, self.base);
            let bucket = request.headers["host"].split('.').next().filter(|_| self.host_style);
            match bucket.filter(|bucket| *bucket != "store") {
                Some(bucket) => format!("/{bucket}{rest}"),
                None => rest.to_owned(),
            }
        }

        /// SigV4, from its description alone.
        fn authorize(&self, request: &Request, target: &str) -> String {
            let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
            let given = header("authorization");
            let part = |name: &str| {
                let part = given.split([' ', ',']).find_map(|part| part.strip_prefix(name));
                part.unwrap_or_else(|| panic!("no {name} in {given}"))
            };
            let (credential, names) = (part("Credential="), part("SignedHeaders="));
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let mut query: Vec<String> = query
                .split('&')
                .filter(|item| !item.is_empty())
                .map(|item| if item.contains('=') { item.to_owned() } else { format!("{item}=") })
                .collect();
            query.sort();
            let headers = names.split(';').fold(String::new(), |mut headers, name| {
                writeln!(headers, "{name}:{}", header(name).trim()).unwrap();
                headers
            });
            let canonical = format!(
                "{}\n{path}\n{}\n{headers}\n{names}\n{}",
                request.method,
                query.join("&"),
                header("x-amz-content-sha256")
            );
            let scope = credential.split_once('/').unwrap().1;
            let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
            let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hashed}", header("x-amz-date"));
            let key = scope
                .split('/')
                .fold(format!("AWS4{}", self.secret).into_bytes(), |key, part| mac(&key, part));
            let signature = hex(&mac(&key, &text));
            let separator = if given.contains(", ") { ", " } else { "," };
            [
                format!("AWS4-HMAC-SHA256 Credential={credential}"),
                format!("SignedHeaders={names}"),
                format!("Signature={signature}"),
            ]
            .join(separator)
        }
    }

    async fn run(client: Client, front: &Front, emulator: &Emulator, base: &str) {
        let store = store_at(&client, &format!("s3://{BUCKET}/"));
        all_operations(&client, &store, "s3://", PART).await;
        let seen = front.seen();
        for (method, target) in &seen {
            below(target, base);
            assert!(!target.contains("//"), "{method} {target}");
        }
        for (method, part) in [
            ("GET", "list-type=2"),
            ("POST", "uploads"),
            ("PUT", "partNumber=2"),
            ("POST", "uploadId="),
            ("DELETE", "uploadId="),
            ("GET", "uploads"),
            ("POST", "delete"),
            ("PUT", "/a%20b/%252F%2B"),
        ] {
            let asked = seen.iter().any(|(asked, target)| asked == method && target.contains(part));
            assert!(asked, "{method} {part}: {seen:?}");
        }
        assert_eq!(seen.len(), emulator.record().len(), "nothing went elsewhere");
    }

    #[tokio::test]
    async fn every_operation_of_s3_lies_below_the_endpoints_path() {
        const BASE: &str = "/storage/v1/s3";
        for slashes in ["", "/", "//"] {
            let emulator = emulator();
            let front = S3::front(&emulator, BASE, false);
            let endpoint = format!("http://{}{BASE}{slashes}", front.address);
            let client = client(short_parts(s3_config(&emulator)).s3_endpoint(endpoint));
            run(client, &front, &emulator, BASE).await;
        }
    }

    /// The bucket stands in the host's name, which a proxy leads here.
    #[tokio::test]
    async fn a_bucket_in_the_hosts_name_leaves_the_path_as_it_is() {
        const BASE: &str = "/storage/v1/s3";
        let emulator = emulator();
        let front = S3::front(&emulator, BASE, true);
        let client = client(
            short_parts(s3_config(&emulator))
                .endpoint(format!("http://store.test{BASE}"))
                .s3_path_style(PathStyle::Off)
                .http_proxy(Secret::from(format!("http://{}", front.address))),
        );
        run(client, &front, &emulator, BASE).await;
    }

    /// The variables of the AWS tools, read by a process of its own.
    #[test]
    fn an_endpoint_of_the_aws_tools_may_have_a_path() {
        const BASE: &str = "/storage/v1/s3";
        for variable in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] {
            let emulator = emulator();
            let front = S3::front(&emulator, BASE, false);
            let s3 = emulator.ready().s3.as_ref().unwrap();
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            let ran = command
                .args(["--exact", "below::s3::writes_by_the_environment", "--ignored"])
                .env_remove("AWS_ENDPOINT_URL_S3")
                .env_remove("AWS_ENDPOINT_URL")
                .env(variable, format!("http://{}{BASE}", front.address))
                .env("AWS_ACCESS_KEY_ID", &s3.access_key_id)
                .env("AWS_SECRET_ACCESS_KEY", &s3.secret_access_key)
                .env("AWS_REGION", &s3.region)
                .output()
                .unwrap();
            assert!(ran.status.success(), "{variable}: {ran:?}");
            let targets = [format!("PUT {BASE}/{BUCKET}/k"), format!("GET {BASE}/{BUCKET}/k")];
            assert_eq!(front.targets(), targets, "{variable}");
        }
    }

    #[tokio::test]
    #[ignore = "a part of an_endpoint_of_the_aws_tools_may_have_a_path"]
    async fn writes_by_the_environment() {
        let store = store_at(&client(impatient(Config::default(), 1)), &format!("s3://{BUCKET}/"));
        store.put("k", &b"abc"[..], PutOptions::new()).await.unwrap();
        assert_eq!(common::read(&store, "k").await.unwrap(), b"abc");
    }
}
