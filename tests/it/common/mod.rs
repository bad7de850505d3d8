// SPDX-License-Identifier: Apache-2.0
//! What the integration tests share: an emulator and a client of it, servers that misbehave below HTTP, a log to read,
//! and conditions to wait for.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses its own part")]

pub(crate) mod scripted;
pub(crate) mod server;
pub(crate) mod side;

use futures_util::{StreamExt, TryStreamExt};
use std::fmt::Write as _;
use std::future::Future;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};
use storescope::timing::{Outcome, Phase, Snapshot};
use storescope::{
    Client, Config, DeleteOptions, Error, GetOptions, ListEntry, ListOptions, PutOptions, Result,
    Store, StoreOptions,
};
use storescope_emulator::{Action, Emulator, Fault, RecordLine};

/// The bucket that every emulator of these tests has.
pub(crate) const BUCKET: &str = "bucket";

/// An emulator, a client of it and the store of its bucket. Nothing of this machine's environment reaches the client.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) client: Client,
    pub(crate) emulator: Emulator,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(|config| config)
    }

    /// With settings other than the default ones.
    pub(crate) fn with(settings: impl FnOnce(Config) -> Config) -> World {
        World::on(emulator(), settings)
    }

    /// Where a retry is a matter of milliseconds, and there are `attempts` of them at most.
    pub(crate) fn impatient(attempts: u32) -> World {
        World::with(|config| impatient(config, attempts))
    }

    pub(crate) fn on(emulator: Emulator, settings: impl FnOnce(Config) -> Config) -> World {
        let client = client(settings(config(&emulator)));
        let store = store(&client, &emulator);
        World { store, client, emulator }
    }

    /// Puts an object of so many bytes that tell their place, and forgets that request.
    pub(crate) async fn object(&self, key: &str, size: usize) -> Vec<u8> {
        let bytes = pattern(size);
        self.store.put(key, bytes.clone(), PutOptions::new()).await.unwrap();
        self.emulator.admin().clear_record();
        bytes
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.emulator.fault(fault);
    }

    pub(crate) fn record(&self) -> Vec<RecordLine> {
        self.emulator.record()
    }

    /// Method and status of each request that ended, in their order.
    pub(crate) fn exchanges(&self) -> Vec<(String, Option<u16>)> {
        self.record().into_iter().map(|line| (line.method, line.status)).collect()
    }

    /// The one request with this client request id.
    pub(crate) fn line_of(&self, error: &Error) -> RecordLine {
        let id = error.client_request_id().unwrap_or_else(|| panic!("no id in {error:?}"));
        let mut lines: Vec<_> = self
            .record()
            .into_iter()
            .filter(|line| line.client_request_id.as_deref() == Some(id))
            .collect();
        assert_eq!(lines.len(), 1, "{id} in the record");
        lines.remove(0)
    }
}

pub(crate) fn emulator() -> Emulator {
    Emulator::builder().bucket(BUCKET).start().unwrap()
}

pub(crate) fn config(emulator: &Emulator) -> Config {
    let oci = &emulator.ready().oci;
    Config::default()
        .endpoint(oci.endpoint.clone())
        .config_file(std::path::PathBuf::from(&oci.config_file))
}

/// Settings of a client of the emulator's S3 API.
pub(crate) fn s3_config(emulator: &Emulator) -> Config {
    let s3 = emulator.ready().s3.as_ref().expect("the emulator has one");
    Config::default()
        .endpoint(s3.endpoint.clone())
        .region(s3.region.clone())
        .access_key_id(s3.access_key_id.clone())
        .secret_access_key(storescope::config::Secret::from(s3.secret_access_key.clone()))
}

/// What the emulator answers to a signed POST of JSON: for what the client has no call for.
pub(crate) fn signed_post(emulator: &Emulator, path: &str, document: &str) -> serde_json::Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use std::io::{Read as _, Write as _};
    use storescope_sign::{PrivateKey, Request, Rule, authorization, sha256, signing_string};
    let oci = &emulator.ready().oci;
    let host = oci.endpoint.trim_start_matches("http://");
    let config = std::fs::read_to_string(&oci.config_file).unwrap();
    let value = |key: &str| {
        let line = config.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_prefix('='));
        line.unwrap().trim().to_owned()
    };
    let key = PrivateKey::from_pem(&std::fs::read(value("key_file")).unwrap(), None).unwrap();
    let (length, sha256) =
        (document.len().to_string(), STANDARD.encode(sha256(document.as_bytes())));
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let header = |name: &str| match name {
        "date" => Some(date.as_str()),
        "host" => Some(host),
        "content-length" => Some(length.as_str()),
        "content-type" => Some("application/json"),
        "x-content-sha256" => Some(sha256.as_str()),
        _ => None,
    };
    let names = Rule::Body.signed_headers();
    let request = Request { method: "POST", target: path, header: &header };
    let signature = key.sign(signing_string(&request, names).unwrap().as_bytes()).unwrap();
    let id = format!("{}/{}/{}", value("tenancy"), value("user"), value("fingerprint"));
    let authorization = authorization(&id, names, &signature);
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ndate: {date}\r\nauthorization: {authorization}\r\n\
         content-length: {length}\r\ncontent-type: application/json\r\nx-content-sha256: {sha256}\r\n\
         connection: close\r\n\r\n{document}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap()
}

pub(crate) fn impatient(config: Config, attempts: u32) -> Config {
    config
        .attempts(attempts)
        .backoff_base(Duration::from_millis(1))
        .backoff_cap(Duration::from_millis(2))
}

pub(crate) fn client(config: Config) -> Client {
    Client::builder().config(config).build().unwrap()
}

pub(crate) fn store(client: &Client, emulator: &Emulator) -> Store {
    store_at(client, &bucket_url(emulator))
}

pub(crate) fn store_at(client: &Client, url: &str) -> Store {
    client.store(&url.parse().unwrap(), StoreOptions::new()).unwrap()
}

pub(crate) fn bucket_url(emulator: &Emulator) -> String {
    format!("oci://{BUCKET}@{}/", emulator.ready().oci.namespace)
}

/// A store at an address where no emulator is; what it signs with is the emulator's.
pub(crate) fn store_elsewhere(
    emulator: &Emulator,
    endpoint: String,
    settings: impl FnOnce(Config) -> Config,
) -> Store {
    store(&client(settings(config(emulator)).endpoint(endpoint)), emulator)
}

/// Bytes that tell their place: no two windows of 251 of them are alike nearby, and none is at a multiple of 256.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i % 251) as u8 ^ (i / 251) as u8).collect()
}

pub(crate) async fn read(store: &Store, key: &str) -> Result<Vec<u8>> {
    Ok(store.get(key, GetOptions::new()).await?.bytes().await?.to_vec())
}

pub(crate) async fn read_range(
    store: &Store,
    key: &str,
    range: std::ops::Range<u64>,
) -> Result<Vec<u8>> {
    Ok(store.get(key, GetOptions::new().range(range)).await?.bytes().await?.to_vec())
}

pub(crate) fn status(status: u16) -> Fault {
    Fault::new(Action::Status { status, code: None, message: None, retry_after: None })
}

/// Longer than any test may take: what waits so long waits for ever.
pub(crate) const FOR_EVER: u64 = 600_000;

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The connection of each request that ended, in their order.
pub(crate) fn connections(world: &World) -> Vec<u64> {
    world.record().into_iter().map(|line| line.connection).collect()
}

pub(crate) fn distinct(mut values: Vec<u64>) -> usize {
    values.sort_unstable();
    values.dedup();
    values.len()
}

/// How many successful attempts had a phase, over all operations.
pub(crate) fn having(snapshot: &Snapshot, phase: Phase) -> u64 {
    snapshot
        .select(|key| key.phase == phase && key.outcome == Outcome::Ok)
        .map_or(0, |times| times.count())
}

pub(crate) fn refused(status: u16, code: &str) -> Fault {
    let code = Some(code.to_owned());
    Fault::new(Action::Status { status, code, message: None, retry_after: None })
}

/// Stores of an emulator's bucket by each API.
pub(crate) fn stores(emulator: &Emulator) -> Vec<(&'static str, Store)> {
    vec![
        ("oci", store(&client(impatient(config(emulator), 3)), emulator)),
        #[cfg(feature = "s3")]
        ("s3", store_at(&client(impatient(s3_config(emulator), 3)), &format!("s3://{BUCKET}/"))),
    ]
}

pub(crate) fn methods(emulator: &Emulator) -> Vec<String> {
    emulator.record().into_iter().map(|line| line.method).collect()
}

/// By each API; the emulator is there for its keys.
pub(crate) fn stores_of(emulator: &Emulator, endpoint: &str) -> Vec<Store> {
    vec![
        store_elsewhere(emulator, endpoint.to_owned(), |config| impatient(config, 4)),
        #[cfg(feature = "s3")]
        store_at(
            &client(impatient(s3_elsewhere(endpoint.to_owned()), 4)),
            &format!("s3://{BUCKET}/"),
        ),
    ]
}

/// Every kind of call, and what it answers.
pub(crate) async fn all_calls(store: &Store) {
    let bytes = pattern(300_000);
    store.put("dir/k", bytes.clone(), PutOptions::new()).await.unwrap();
    assert_eq!(store.head("dir/k").await.unwrap().size, 300_000);
    let within = GetOptions::new().deadline(Duration::from_mins(1));
    assert!(store.get("dir/k", within).await.unwrap().bytes().await.unwrap() == bytes);
    let mut stream = store.get("dir/k", GetOptions::new()).await.unwrap().into_stream();
    let mut reached = 0;
    while let Some(part) = stream.next().await {
        reached += part.unwrap().len();
    }
    assert_eq!(reached, bytes.len());
    let listed: Vec<ListEntry> =
        store.list("dir/", ListOptions::new()).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
    drop(store.get("dir/k", GetOptions::new()).await.unwrap());
    store.delete("dir/k", DeleteOptions::new()).await.unwrap();
    assert!(store.head("dir/k").await.unwrap_err().is_not_found());
}

/// Waits for a condition; fails if it has not come true in ten seconds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Polls a future to its end on this thread, with no runtime around it.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

/// What is under an error, down to the last source, and its Debug forms.
pub(crate) fn all_text(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{error:#?}\n");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        writeln!(text, "{error}\n{error:?}").unwrap();
        source = error.source();
    }
    text
}

/// A listener on loopback whose connections a thread each hands to `serve`. It ends with the test's process.
pub(crate) fn raw_server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(std::io::Result::ok) {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads up to the end of one request's head; false at the end of the stream.
pub(crate) fn read_head(stream: &mut impl std::io::Read) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// Settings of a client of an S3 server at this address that checks no signature.
pub(crate) fn s3_elsewhere(endpoint: String) -> Config {
    Config::default()
        .endpoint(endpoint)
        .region("us-east-1".to_owned())
        .access_key_id("AKIAEXAMPLE".to_owned())
        .secret_access_key(storescope::config::Secret::from("secret"))
}

/// What this thread logs by `tracing`, as text.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Listens until the guard is dropped.
    pub(crate) fn listen() -> (Log, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// How many lines of this level hold this text.
    pub(crate) fn count(&self, level: &str, text: &str) -> usize {
        let is_it = |line: &&String| line.starts_with(level) && line.contains(text);
        self.lines().iter().filter(is_it).count()
    }
}

struct Fields<'a>(&'a mut String);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("storescope")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Fields(&mut line));
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
