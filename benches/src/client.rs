// SPDX-License-Identifier: Apache-2.0
//! Clients that read ranges: bare hyper, and storescope.

use crate::measure::Slice;
use crate::{ACCESS_KEY, BUCKET, KEY, REGION, SECRET_KEY};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, RANGE};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storescope::config::Secret;
use storescope::{Client, Config, GetOptions, Store, StoreOptions};
use storescope_sign::PrivateKey;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::runtime::Builder;

/// Requests before those that count: connection, signature and histograms are there after them.
const WARM_UP: u64 = 500;

/// A client with its settings, that reads ranges of one object.
#[expect(async_fn_in_trait, reason = "benches run them where they are, never boxed, never sent")]
pub trait Reads {
    /// The bytes of a range. Panics on any failure: a bench has none.
    async fn read(&mut self, range: Range<u64>) -> Bytes;
}

/// hyper's `conn::http1` on one kept connection: no pool, no signature, nothing checked. What every client over hyper
/// costs at least.
#[derive(Debug)]
pub struct BareHyper {
    sender: SendRequest<Empty<Bytes>>,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl BareHyper {
    /// Connects, and spawns the task that drives the connection.
    pub async fn connect(address: SocketAddr) -> BareHyper {
        let stream = TcpStream::connect(address).await.expect("the plain server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("no I/O");
        tokio::spawn(connection);
        let headers = vec![(HOST, header(&address.to_string()))];
        BareHyper { sender, uri: format!("/{BUCKET}/{KEY}").parse().expect("a path"), headers }
    }

    /// The same, sending what a signed OCI request carries, made beforehand: the share of a signed request that its
    /// bytes alone are to blame for.
    pub async fn with_oci_headers(address: SocketAddr) -> BareHyper {
        let mut bare = BareHyper::connect(address).await;
        let ocid = |kind| format!("ocid1.{kind}.oc1..{}", "a".repeat(60));
        let authorization = format!(
            "Signature algorithm=\"rsa-sha256\",headers=\"date (request-target) host\",keyId=\"{}/{}/{}\",signature=\"{}\",version=\"1\"",
            ocid("tenancy"),
            ocid("user"),
            ["aa"; 16].join(":"),
            "A".repeat(344)
        );
        for (name, value) in [
            ("date", "Sun, 22 Nov 2026 00:00:00 GMT"),
            ("authorization", authorization.as_str()),
            ("user-agent", "storescope/0.1.0 (rust)"),
            ("opc-client-request-id", "0123456789abcdef0123456789abcdef"),
        ] {
            bare.headers.push((HeaderName::from_static(name), header(value)));
        }
        bare.uri = format!("/n/plain/b/{BUCKET}/o/{KEY}").parse().expect("a path");
        bare
    }

    /// The same, with a timer armed on its runtime that never rings: what any timeout costs on tokio, which then waits
    /// for the socket with a timeout.
    pub async fn with_timer(address: SocketAddr) -> BareHyper {
        tokio::spawn(tokio::time::sleep(Duration::from_hours(1)));
        tokio::task::yield_now().await;
        BareHyper::connect(address).await
    }

    /// The answer to a ranged GET, its body to come.
    pub async fn answer(&mut self, range: Range<u64>) -> Response<Incoming> {
        let mut request = Request::new(Empty::new());
        request.uri_mut().clone_from(&self.uri);
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 1);
        headers.extend(self.headers.iter().cloned());
        headers.insert(RANGE, header(&format!("bytes={}-{}", range.start, range.end - 1)));
        *request.headers_mut() = headers;
        self.sender.ready().await.expect("the server keeps connections");
        self.sender.send_request(request).await.expect("the server answers")
    }
}

impl Reads for BareHyper {
    async fn read(&mut self, range: Range<u64>) -> Bytes {
        let answer = self.answer(range).await;
        answer.into_body().collect().await.expect("the body is whole").to_bytes()
    }
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ASCII")
}

/// An OCI configuration file with an API key made for it, for as long as this lives.
#[derive(Debug)]
pub struct Profile(TempDir);

impl Profile {
    /// Makes key and file.
    pub fn generate() -> Profile {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = PrivateKey::generate(2048).expect("2048 bits are allowed");
        let key_file = folder.path().join("key.pem");
        write_private(&key_file, key.to_pkcs8_pem().as_bytes());
        let config = format!(
            "[DEFAULT]\ntenancy=ocid1.tenancy.oc1..{0}\nuser=ocid1.user.oc1..{0}\nfingerprint={1}\nkey_file={2}\nregion=us-ashburn-1\n",
            "a".repeat(60),
            key.public_key().fingerprint(),
            key_file.display()
        );
        let profile = Profile(folder);
        write_private(&profile.config_file(), config.as_bytes());
        profile
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.0.path().join("config")
    }
}

fn write_private(path: &Path, text: &[u8]) {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    std::io::Write::write_all(&mut file.expect("a new folder of ours"), text).expect("room");
}

/// storescope: signed with reuse, checked, retried, pooled, timed.
#[derive(Clone, Debug)]
pub struct Storescope(Store);

impl Storescope {
    /// A client of its own on the plain server, OCI-signed, all settings their defaults but `timing`. No I/O yet.
    pub fn new(config_file: PathBuf, address: SocketAddr, timing: bool) -> Storescope {
        Storescope::oci(config_file, address, Config::default().timing(timing))
    }

    /// The same with other settings.
    pub fn oci(config_file: PathBuf, address: SocketAddr, config: Config) -> Storescope {
        let config = config.config_file(config_file).endpoint(format!("http://{address}"));
        Storescope(store(config, &format!("oci://{BUCKET}@plain/")))
    }

    /// A client of its own that speaks S3 to the plain server: path style, SigV4.
    pub fn s3(address: SocketAddr, config: Config) -> Storescope {
        let config = config
            .endpoint(format!("http://{address}"))
            .region(REGION.to_owned())
            .access_key_id(ACCESS_KEY.to_owned())
            .secret_access_key(Secret::from(SECRET_KEY.to_owned()));
        Storescope(store(config, &format!("s3://{BUCKET}/")))
    }

    /// The bucket.
    pub fn store(&self) -> &Store {
        &self.0
    }
}

/// A store with a client of its own.
pub fn store(config: Config, url: &str) -> Store {
    let client = Client::builder().config(config).build().expect("the settings are right");
    let url = url.parse().expect("a store's URL");
    client.store(&url, StoreOptions::new()).expect("the URL names a bucket")
}

impl Reads for Storescope {
    async fn read(&mut self, range: Range<u64>) -> Bytes {
        let answer = self.0.get(KEY, GetOptions::new().range(range)).await;
        answer.expect("the server answers").bytes().await.expect("the body is whole")
    }
}

/// Connects on a fresh current-thread runtime, warms up, and returns what reads `count` ranges of `size` bytes.
pub fn reading<R: Reads + 'static>(
    count: u64,
    size: u64,
    connect: impl AsyncFnOnce() -> R,
) -> Slice {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut client = runtime.block_on(async {
        let mut client = connect().await;
        read_many(&mut client, WARM_UP, size).await;
        client
    });
    Box::new(move || runtime.block_on(read_many(&mut client, count, size)))
}

/// Reads ranges one after the other, `size` bytes each, through the object again and again.
async fn read_many(client: &mut impl Reads, count: u64, size: u64) {
    for number in 0..count {
        let start = number * size % (crate::server::OBJECT_SIZE - size);
        let bytes = client.read(start..start + size).await;
        assert_eq!(bytes.len() as u64, size);
    }
}
