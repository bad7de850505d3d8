// SPDX-License-Identifier: Apache-2.0
//! Connections and what they run on: reuse, caps and ages, names on the wire, TLS, phases, runtimes.

mod common;

use common::{
    BUCKET, World, block_on, bucket_url, client, config, emulator, impatient, pattern, raw_server,
    read, read_head, read_range, store, store_at, store_elsewhere, until,
};
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use storescope::timing::{Connection, Level, Operation, Outcome, Phase, Scope, Snapshot};
use storescope::{
    Client, DeleteOptions, ErrorKind, GetOptions, ListEntry, ListOptions, PutMode, PutOptions,
    StoreOptions, blocking,
};
use storescope_emulator::{Action, Emulator, Fault};
use tokio::runtime::{Builder, Runtime};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The connection of each request that ended, in their order.
fn connections(world: &World) -> Vec<u64> {
    world.record().into_iter().map(|line| line.connection).collect()
}

fn distinct(mut values: Vec<u64>) -> usize {
    values.sort_unstable();
    values.dedup();
    values.len()
}

/// How many successful attempts had a phase, over all operations.
fn having(snapshot: &Snapshot, phase: Phase) -> u64 {
    snapshot
        .select(|key| key.phase == phase && key.outcome == Outcome::Ok)
        .map_or(0, |times| times.count())
}

// ---- the pool (contracts 1.1, 1.2) --------------------------------------------------------------------------------

#[tokio::test]
async fn requests_in_turn_share_a_connection() {
    let world = World::impatient(3);
    world.object("k", 100_000).await;
    for n in 0..5 {
        read(&world.store, "k").await.unwrap();
        read_range(&world.store, "k", n..n + 10).await.unwrap();
        world.store.head("k").await.unwrap();
        world.store.list("", ListOptions::new()).next().await.unwrap().unwrap();
        assert!(world.store.head("absent").await.unwrap_err().is_not_found());
        assert!(read(&world.store, "absent").await.unwrap_err().is_not_found());
    }
    world.fault(common::status(503).count(1));
    read(&world.store, "k").await.unwrap();
    let used = connections(&world);
    assert_eq!(
        (distinct(used.clone()), used.len()),
        (1, 32),
        "answers of all kinds leave it usable"
    );
    assert_eq!(world.client.metrics().connections_open(), 1);
}

#[tokio::test]
async fn two_stores_of_a_client_share_its_connections() {
    let world = World::new();
    world.object("a/k", 10).await;
    let below = store_at(&world.client, &(bucket_url(&world.emulator) + "a/"));
    read(&world.store, "a/k").await.unwrap();
    read(&below, "k").await.unwrap();
    assert_eq!(distinct(connections(&world)), 1);
}

#[tokio::test]
async fn the_connection_used_last_is_used_next() {
    let world = World::new();
    for key in ["a", "b", "c"] {
        world.object(key, 1_000).await;
    }
    // Three answers held at once are three connections; they go back in the order a, b, c.
    let get = |key| world.store.get(key, GetOptions::new());
    let (a, b, c) = (get("a").await.unwrap(), get("b").await.unwrap(), get("c").await.unwrap());
    for held in [a, b, c] {
        held.bytes().await.unwrap();
    }
    let held = connections(&world);
    assert_eq!(distinct(held.clone()), 3);
    world.emulator.admin().clear_record();
    for _ in 0..3 {
        read(&world.store, "a").await.unwrap();
    }
    assert_eq!(connections(&world), [connection_of(&world, "a"); 3]);
    // c went back last; then it alone was used, and the one below it is b's.
    let (first, second) = (get("a").await.unwrap(), get("b").await.unwrap());
    first.bytes().await.unwrap();
    second.bytes().await.unwrap();
    let used = connections(&world);
    assert_eq!((used[0], used[3], used[4]), (held[2], held[2], held[1]));
}

fn connection_of(world: &World, key: &str) -> u64 {
    let line = world.record().into_iter().find(|line| line.target.ends_with(&format!("/o/{key}")));
    line.unwrap().connection
}

#[tokio::test]
async fn a_connection_idle_for_too_long_is_not_used_again() {
    let world = World::with(|config| config.idle_timeout(ms(50)));
    world.object("k", 10).await;
    read(&world.store, "k").await.unwrap();
    // Idleness is what is tested.
    tokio::time::sleep(ms(120)).await;
    read(&world.store, "k").await.unwrap();
    assert_eq!(distinct(connections(&world)), 2);
    until("the old one is closed", || world.client.metrics().connections_open() == 1).await;
}

#[tokio::test]
async fn there_are_no_more_connections_than_the_cap() {
    let world = World::with(|config| config.max_connections(2_u32));
    world.object("k", 10).await;
    world.fault(Fault::new(Action::Delay { ms: 30 }));
    let began = Instant::now();
    for read in join_all((0..8).map(|_| read(&world.store, "k"))).await {
        read.unwrap();
    }
    assert_eq!(distinct(connections(&world)), 2);
    assert!(began.elapsed() >= ms(4 * 30), "two at a time");
    // Requests that overlap, as the server saw them: at most two at any moment.
    let lines = world.record();
    for line in &lines {
        let during = lines.iter().filter(|other| {
            other.head_read_ns <= line.head_read_ns
                && line.head_read_ns < other.first_byte_ns.unwrap()
        });
        assert!(during.count() <= 2);
    }
    let seen = world.client.metrics().snapshot();
    let waited = seen.attempts(Operation::Get, Phase::Pool, Outcome::Ok).unwrap();
    assert!(waited.max() >= 60_000_000, "the wait for a connection is told: {waited:?}");
}

#[tokio::test]
async fn a_reused_connection_that_was_dead_costs_no_retry() {
    // One attempt, and no budget: what is repeated here is repeated free of charge.
    let world = World::with(|config| impatient(config, 1).retry_budget(0_u32));
    let bytes = world.object("k", 100).await;
    for method in ["GET", "HEAD", "PUT"] {
        world.emulator.admin().clear_record();
        world.fault(Fault::new(Action::Reset).method(method).reused(true).count(1));
        match method {
            "GET" => assert_eq!(read(&world.store, "k").await.unwrap(), bytes),
            "HEAD" => assert_eq!(world.store.head("k").await.unwrap().size, 100),
            _ => {
                world.store.put("k", bytes.clone(), PutOptions::new()).await.unwrap();
            }
        }
        let lines = world.record();
        assert_eq!(lines.iter().map(|line| line.status).collect::<Vec<_>>(), [None, Some(200)]);
        assert_ne!(lines[0].connection, lines[1].connection);
    }
    assert_eq!(world.client.metrics().retries(), 0);

    // Once: a new connection that dies, too, is no stale one.
    world.fault(Fault::new(Action::Reset).method("GET"));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Reset, 2), "{error}");
}

#[tokio::test]
async fn a_new_connection_that_dies_costs_a_retry() {
    let world = World::impatient(2);
    world.emulator.fault(Fault::new(Action::Reset).reused(false).count(1));
    world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    assert_eq!(world.client.metrics().retries(), 1);
}

#[tokio::test]
async fn conditional_writes_survive_a_dead_connection() {
    let world = World::impatient(3);
    world.object("k", 10).await;
    for (method, n) in [("PUT", 0), ("DELETE", 1)] {
        world.fault(Fault::new(Action::Reset).method(method).reused(true).count(1));
        match n {
            0 => {
                let create = PutOptions::new().mode(PutMode::Create);
                world.store.put("new", &b"x"[..], create).await.unwrap();
            }
            _ => world.store.delete("new", DeleteOptions::new()).await.unwrap(),
        }
    }
    assert!(world.store.head("new").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_is_no_trouble() {
    let emulator = emulator();
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let address = raw_server(move |mut stream| {
        if read_head(&mut stream) {
            count.fetch_add(1, Relaxed);
            // Closed without a word of it.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\netag: e\r\n\r\nabc");
        }
    });
    let store =
        store_elsewhere(&emulator, format!("http://{address}"), |config| impatient(config, 1));
    for _ in 0..20 {
        assert_eq!(read(&store, "k").await.unwrap(), b"abc");
    }
    assert_eq!(served.load(Relaxed), 20);
}

// ---- names on the wire (contracts 1.3, 1.5) -----------------------------------------------------------------------

#[tokio::test]
async fn reads_that_share_a_signature_share_neither_range_nor_id() {
    let world = World::new();
    world.object("k", 100).await;
    for range in [0..100, 10..20, 0..5] {
        read_range(&world.store, "k", range).await.unwrap();
        read(&world.store, "k").await.unwrap();
        world.store.head("k").await.unwrap();
    }
    let reads: Vec<_> = world.record().into_iter().filter(|line| line.method != "PUT").collect();
    let ranges: Vec<_> = reads.iter().map(|line| line.range.as_deref()).collect();
    let sent = ["bytes=0-99", "bytes=10-19", "bytes=0-4"].map(|range| [Some(range), None, None]);
    assert_eq!(ranges, sent.concat());
    let mut ids: Vec<_> = reads.into_iter().map(|line| line.client_request_id.unwrap()).collect();
    assert!(ids.iter().all(|id| id.len() == 32), "{ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 9);
}

#[tokio::test]
async fn names_reach_the_server_byte_for_byte() {
    let world = World::new();
    for (name, encoded) in [
        ("..", ".."),
        (".", "."),
        ("a/../b", "a%2F..%2Fb"),
        ("//lead", "%2F%2Flead"),
        ("a//b/", "a%2F%2Fb%2F"),
        ("100% +~é?#", "100%25%20%2B~%C3%A9%3F%23"),
    ] {
        world.emulator.admin().clear_record();
        world.store.put(name, name.as_bytes().to_vec(), PutOptions::new()).await.unwrap();
        assert_eq!(read(&world.store, name).await.unwrap(), name.as_bytes());
        world.store.head(name).await.unwrap();
        world.store.delete(name, DeleteOptions::new()).await.unwrap();
        let target = format!("/n/{}/b/{BUCKET}/o/{encoded}", world.emulator.ready().oci.namespace);
        let lines = world.record();
        assert_eq!(lines.iter().map(|line| &line.target).collect::<Vec<_>>(), [&target; 4]);
        assert!(lines.iter().all(|line| line.status.is_some_and(|status| status < 300)));
    }
    // The DELETE of `..` was of an object, not of the bucket.
    world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
}

#[tokio::test]
async fn an_ipv6_literal_stands_in_endpoint_host_and_signature() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    }
    let emulator =
        Emulator::builder().bucket(BUCKET).address(Ipv6Addr::LOCALHOST.into()).start().unwrap();
    assert!(emulator.ready().oci.endpoint.starts_with("http://[::1]:"));
    let tls = emulator.ready().oci.clone();
    let world = World::on(emulator, |config| config);
    let bytes = world.object("k", 100).await;
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);

    let over_tls = store_elsewhere(&world.emulator, tls.tls_endpoint, |config| {
        config.ca_bundle(Path::new(&tls.ca_bundle).to_owned())
    });
    assert_eq!(read(&over_tls, "k").await.unwrap(), bytes);
    assert!(world.record().last().unwrap().tls);
}

#[tokio::test]
async fn a_name_is_resolved_and_stands_in_the_signature() {
    let emulator = emulator();
    let named = emulator.ready().oci.endpoint.replace("127.0.0.1", "localhost");
    let client = client(config(&emulator).endpoint(named));
    let store = store(&client, &emulator);
    // Where localhost is ::1, too, nothing listens there: the next address is tried.
    store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    read(&store, "k").await.unwrap();
    let seen = client.metrics().snapshot();
    assert_eq!((having(&seen, Phase::Dns), having(&seen, Phase::Connect)), (1, 1));
}

// ---- TLS (contracts 1.7) ------------------------------------------------------------------------------------------

#[tokio::test]
async fn tls_is_verified_against_the_bundle_and_timed_once() {
    let emulator = emulator();
    let oci = emulator.ready().oci.clone();
    let client = client(
        config(&emulator)
            .endpoint(oci.tls_endpoint.clone())
            .ca_bundle(Path::new(&oci.ca_bundle).to_owned()),
    );
    let store = store(&client, &emulator);
    let bytes = pattern(200_000);
    store.put("k", bytes.clone(), PutOptions::new()).await.unwrap();
    for _ in 0..3 {
        assert!(read(&store, "k").await.unwrap() == bytes);
    }
    let lines = emulator.record();
    assert!(lines.len() == 4 && lines.iter().all(|line| line.tls));
    assert_eq!(distinct(lines.iter().map(|line| line.connection).collect()), 1);
    let seen = client.metrics().snapshot();
    let tls = seen.attempts(Operation::Put, Phase::Tls, Outcome::Ok).unwrap();
    assert!(tls.count() == 1 && tls.min() > 0, "{tls:?}");
    assert_eq!(having(&seen, Phase::Tls), 1, "none on a reused connection");
    for (connection, count) in [(Connection::New, 1), (Connection::Reused, 3)] {
        let total = seen.select(|key| key.phase == Phase::Total && key.connection == connection);
        assert_eq!(total.unwrap().count(), count, "{connection:?}");
    }
}

/// An authority, and certificates from it.
struct Authority {
    params: rcgen::CertificateParams,
    key: rcgen::KeyPair,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { params, key, pem }
    }

    /// A TLS server with a certificate from this authority.
    fn serve(&self, names: &[&str], until_year: i32) -> SocketAddr {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(until_year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(self.params.clone(), &self.key);
        serve_tls(&params.signed_by(&key, &issuer).unwrap(), &key)
    }
}

/// A certificate as `openssl req -x509` makes it for a server: self-signed, and an authority by its own word.
struct SelfSigned {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl SelfSigned {
    fn new(name: &str, until_year: i32) -> SelfSigned {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(until_year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        SelfSigned { certificate: params.self_signed(&key).unwrap(), key }
    }

    fn serve(&self) -> SocketAddr {
        serve_tls(&self.certificate, &self.key)
    }
}

fn serve_tls(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> SocketAddr {
    serve_der(certificate.der().clone(), key.serialize_der())
}

/// A TLS server that answers every request with three bytes.
fn serve_der(certificate: CertificateDer<'static>, key: Vec<u8>) -> SocketAddr {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = PrivatePkcs8KeyDer::from(key).into();
    let key = provider.key_provider.load_private_key(key).unwrap();
    serve_key(CertifiedKey::new(vec![certificate], key))
}

/// The same, whether the key is the certificate's or not.
fn serve_key(key: CertifiedKey) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    let config = Arc::new(config);
    raw_server(move |stream| {
        let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(tls, stream);
        while read_head(&mut stream) {
            let answer =
                b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\netag: e\r\nopc-request-id: r\r\n\r\nabc";
            if stream.write_all(answer).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    })
}

/// Reads `k` of a server whose certificate must be among those of the bundle.
async fn trusting(
    emulator: &Emulator,
    bundle: &Path,
    address: SocketAddr,
) -> storescope::Result<Vec<u8>> {
    let store = store_elsewhere(emulator, format!("https://{address}"), |config| {
        impatient(config, 3).ca_bundle(bundle.to_owned())
    });
    read(&store, "k").await
}

#[tokio::test]
async fn a_servers_own_certificate_in_the_bundle_is_trusted_for_its_names_and_dates() {
    let emulator = emulator();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    let good = SelfSigned::new("127.0.0.1", 2100);
    let elsewhere = SelfSigned::new("store.example", 2100);
    let expired = SelfSigned::new("127.0.0.1", 2020);
    let stranger = SelfSigned::new("127.0.0.1", 2100);
    let pems = [&good, &elsewhere, &expired].map(|own| own.certificate.pem());
    // Several in one file, with what OpenSSL prints between them.
    std::fs::write(&bundle, pems.join("subject=CN = store\nissuer=CN = store\n")).unwrap();
    assert_eq!(trusting(&emulator, &bundle, good.serve()).await.unwrap(), b"abc");
    // The very certificate, shown by one who lacks its key.
    let impostor = serve_tls(&good.certificate, &stranger.key);
    let unknown = SelfSigned::new("127.0.0.1", 2100);
    for (address, why) in [
        (elsewhere.serve(), "not for \"127.0.0.1\""),
        (expired.serve(), "expired"),
        (unknown.serve(), "not among those trusted"),
        (impostor, "BadSignature"),
    ] {
        let error = trusting(&emulator, &bundle, address).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Tls, 1), "{error}");
        assert!(error.to_string().contains(why), "{why:?} in {error}");
    }
}

/// A certificate whose issuer is not known is trusted where it is named itself, and only it.
#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_trusted_where_it_is_named_itself() {
    let emulator = emulator();
    let folder = tempfile::tempdir().unwrap();
    let (pem, der) = (folder.path().join("own.pem"), folder.path().join("own.der"));
    let authority = Authority::new("unknown");
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(authority.params.clone(), &authority.key);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(&pem, certificate.pem()).unwrap();
    std::fs::write(&der, certificate.der()).unwrap();
    let address = serve_tls(&certificate, &key);
    for bundle in [pem.as_path(), &der, folder.path()] {
        assert_eq!(trusting(&emulator, bundle, address).await.unwrap(), b"abc", "{bundle:?}");
        let sibling = authority.serve(&["127.0.0.1"], 2100);
        let error = trusting(&emulator, bundle, sibling).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{bundle:?}: {error}");
    }
}

/// `openssl req -x509` itself, where it is installed.
#[tokio::test]
async fn a_certificate_that_openssl_made_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (key, bundle) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=store"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&bundle)
        .output();
    match made {
        Ok(made) => assert!(made.status.success(), "{made:?}"),
        Err(e) => {
            assert!(std::env::var_os("CI").is_none(), "openssl: {e}");
            eprintln!("skipped: openssl: {e}");
            return;
        }
    }
    let pem = std::fs::read_to_string(&key).unwrap();
    let key = rcgen::KeyPair::from_pem(&pem).unwrap();
    let certificate = std::fs::read(&bundle).unwrap();
    let certificate = CertificateDer::from_pem_slice(&certificate).unwrap();
    let address = serve_der(certificate.clone(), key.serialize_der());
    let emulator = emulator();
    assert_eq!(trusting(&emulator, &bundle, address).await.unwrap(), b"abc");
}

#[test]
fn the_platforms_variables_name_what_is_trusted() {
    // A process of its own: the environment belongs to it alone.
    let folder = tempfile::tempdir().unwrap();
    let own = SelfSigned::new("127.0.0.1", 2100);
    let address = own.serve();
    let (file, certificates) = (folder.path().join("own.pem"), folder.path().join("certificates"));
    std::fs::create_dir(&certificates).unwrap();
    std::fs::write(&file, own.certificate.pem()).unwrap();
    std::fs::write(certificates.join("store.crt"), own.certificate.pem()).unwrap();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, SelfSigned::new("127.0.0.1", 2100).certificate.pem()).unwrap();
    let mixed = folder.path().join("mixed.pem");
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&mixed, own.certificate.pem() + odd).unwrap();
    let run = |variables: &[(&str, &Path)]| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "reads_by_the_environment", "--ignored"]);
        for name in [
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "AWS_CA_BUNDLE",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
        ] {
            command.env_remove(name);
        }
        let command = command.envs(variables.iter().copied());
        command.env("STORESCOPE_TEST_URL", format!("https://{address}")).output().unwrap()
    };
    let (file, other) = (file.as_path(), other.as_path());
    for trusted in [
        &[("SSL_CERT_FILE", file)][..],
        &[("SSL_CERT_DIR", &certificates)],
        &[("AWS_CA_BUNDLE", file), ("SSL_CERT_FILE", other)],
        &[("REQUESTS_CA_BUNDLE", &certificates)],
        &[("CURL_CA_BUNDLE", file)],
        &[("STORESCOPE_CA_BUNDLE", file), ("AWS_CA_BUNDLE", other)],
        &[("AWS_CA_BUNDLE", file), ("REQUESTS_CA_BUNDLE", other)],
        // What other tools pass over.
        &[("AWS_CA_BUNDLE", &mixed)],
        &[("SSL_CERT_FILE", &mixed)],
    ] {
        let ran = run(trusted);
        assert!(ran.status.success(), "{trusted:?}: {ran:?}");
    }
    for refused in [
        &[][..],
        &[("SSL_CERT_FILE", other)],
        &[("SSL_CERT_FILE", Path::new("/nowhere"))],
        &[("AWS_CA_BUNDLE", other), ("SSL_CERT_FILE", file)],
        &[("STORESCOPE_CA_BUNDLE", other), ("AWS_CA_BUNDLE", file)],
        &[("STORESCOPE_CA_BUNDLE", &mixed)],
    ] {
        assert!(!run(refused).status.success(), "{refused:?}");
    }
}

/// Run by the test above, with an environment of its own.
#[tokio::test]
#[ignore = "a part of the_platforms_variables_name_what_is_trusted"]
async fn reads_by_the_environment() {
    let url = std::env::var("STORESCOPE_TEST_URL").unwrap();
    let config = impatient(storescope::Config::from_env().unwrap(), 1)
        .endpoint(url)
        .auth(storescope::config::Auth::None);
    let store = store_at(&client(config), "oci://bucket@ns/");
    assert_eq!(read(&store, "k").await.unwrap(), b"abc");
}

#[tokio::test]
async fn certificates_that_are_not_right_are_told_apart() {
    let emulator = emulator();
    let (ours, other) = (Authority::new("ours"), Authority::new("another"));
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, &ours.pem).unwrap();
    let ask = |address: SocketAddr| {
        let store = store_elsewhere(&emulator, format!("https://{address}"), |config| {
            impatient(config, 3).ca_bundle(bundle.clone())
        });
        async move { read(&store, "k").await }
    };
    assert_eq!(ask(ours.serve(&["127.0.0.1"], 2100)).await.unwrap(), b"abc");
    for (address, why) in [
        (other.serve(&["127.0.0.1"], 2100), "authority"),
        (ours.serve(&["store.example"], 2100), "not for \"127.0.0.1\""),
        (ours.serve(&["127.0.0.1"], 2020), "expired"),
    ] {
        let error = ask(address).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Tls, 1), "{error}");
        assert!(error.to_string().contains(why), "{why:?} in {error}");
        assert!(error.hint().unwrap().contains("ca_bundle"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

/// As a host program gives them that has a trust store of its own.
#[tokio::test]
async fn certificates_of_the_program_stand_in_for_the_platforms() {
    let emulator = emulator();
    let (ours, other) = (Authority::new("ours"), Authority::new("another"));
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, &other.pem).unwrap();
    let address = ours.serve(&["127.0.0.1"], 2100);
    let der = |authority: &Authority| {
        CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap().to_vec()
    };
    let ask = |given: Vec<Vec<u8>>, bundle: Option<&Path>| {
        let mut config = impatient(config(&emulator), 2).endpoint(format!("https://{address}"));
        if let Some(bundle) = bundle {
            config = config.ca_bundle(bundle.to_owned());
        }
        let built = Client::builder().config(config).trusted_certificates(given).build().unwrap();
        let store = store(&built, &emulator);
        async move { read(&store, "k").await }
    };
    // What does not parse is left out, as long as anything is left.
    let given = vec![der(&other), b"no certificate".to_vec(), der(&ours)];
    assert_eq!(ask(given, None).await.unwrap(), b"abc");
    for (given, bundle, kind) in [
        (vec![der(&other)], None, ErrorKind::Tls),
        (vec![der(&ours)], Some(bundle.as_path()), ErrorKind::Tls),
        (vec![b"no certificate".to_vec()], None, ErrorKind::Config),
        (vec![], None, ErrorKind::Config),
    ] {
        let error = ask(given, bundle).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn an_earlier_authority_of_the_same_name_is_not_trusted() {
    let (before, now) = (emulator(), emulator());
    let store = store_elsewhere(&now, now.ready().oci.tls_endpoint.clone(), |config| {
        impatient(config, 2).ca_bundle(Path::new(&before.ready().oci.ca_bundle).to_owned())
    });
    let error = read(&store, "k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(now.record().is_empty());
}

#[tokio::test]
async fn a_bundle_that_is_none_is_told_with_its_file() {
    let emulator = emulator();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let ask = || {
        let store =
            store_elsewhere(&emulator, emulator.ready().oci.tls_endpoint.clone(), |config| {
                impatient(config, 2).ca_bundle(file.clone())
            });
        async move { read(&store, "k").await.unwrap_err() }
    };
    let absent = ask().await;
    std::fs::write(&file, "no certificate").unwrap();
    for error in [absent, ask().await] {
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Config, 0), "{error}");
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_come_ends_by_the_connect_timeout() {
    let emulator = emulator();
    // Takes what comes and never says a word.
    let address = raw_server(|mut stream| while matches!(stream.read(&mut [0; 1024]), Ok(1..)) {});
    let store = store_elsewhere(&emulator, format!("https://{address}"), |config| {
        let bundle = Path::new(&emulator.ready().oci.ca_bundle).to_owned();
        impatient(config, 1).ca_bundle(bundle).connect_timeout(ms(150))
    });
    let began = Instant::now();
    let error = read(&store, "k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(began.elapsed() >= ms(150) && began.elapsed() < ms(1_650), "{error}");
    assert!(error.to_string().contains("connect_timeout"), "{error}");
}

// ---- phases -------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_phases_are_the_request() {
    const READS: usize = 200;
    let model = storescope_model::Model::from_toml("ttfb = \"20ms\"").unwrap();
    let emulator = Emulator::builder().bucket(BUCKET).model(model).start().unwrap();
    let world = World::on(emulator, |config| config);
    world.object("k", 65_536).await;
    let attempts: Arc<Mutex<Vec<(u64, u64, u64)>>> = Arc::default();
    let seen = Arc::clone(&attempts);
    let observed = world.client.metrics().scope().observe(move |attempt| {
        let parts = Phase::PARTS.iter().filter_map(|phase| attempt.phase_ns(*phase)).sum();
        seen.lock().unwrap().push((attempt.total_ns, parts, attempt.bytes));
    });
    assert!(observed);
    let four = (0..4).map(|_| async {
        for _ in 0..READS / 4 {
            read_range(&world.store, "k", 0..65_536).await.unwrap();
        }
    });
    join_all(four).await;

    let snapshot = world.client.metrics().snapshot();
    let ttfb = snapshot.attempts(Operation::Get, Phase::Ttfb, Outcome::Ok).unwrap();
    assert_eq!(ttfb.count(), READS as u64);
    let median = ttfb.quantile(0.5);
    assert!((20_000_000..30_000_000).contains(&median), "{median} ns");
    // The wait begins where the write returned to us, which a busy machine may put off: not for one in ten.
    assert!(ttfb.quantile(0.1) >= 19_500_000, "{ttfb:?}");
    let attempts = attempts.lock().unwrap();
    assert_eq!(attempts.len(), READS);
    let told = attempts.iter().filter(|(total, parts, _)| parts * 100 >= total * 99).count();
    assert!(told * 100 >= READS * 99, "{told} of {READS}: {attempts:?}");
    assert!(attempts.iter().all(|(total, parts, bytes)| parts <= total && *bytes == 65_536));
    let delivered = snapshot.attempts(Operation::Get, Phase::BytesDelivered, Outcome::Ok).unwrap();
    assert_eq!(delivered.sum(), READS as u64 * 65_536);
}

#[tokio::test]
async fn a_slow_body_is_body_and_a_slow_reader_is_paused() {
    let model = storescope_model::Model::from_toml("stream = \"10MB/s\"").unwrap();
    let emulator = Emulator::builder().bucket(BUCKET).model(model).start().unwrap();
    let world = World::on(emulator, |config| config);
    world.object("k", 1_000_000).await;
    read(&world.store, "k").await.unwrap();
    let times =
        |phase| world.client.metrics().snapshot().attempts(Operation::Get, phase, Outcome::Ok);
    let body = times(Phase::Body).unwrap();
    // A tenth of a second is what the model takes.
    assert!((80_000_000..400_000_000).contains(&body.max()), "{body:?}");
    let paused = times(Phase::Paused).map_or(0, |paused| paused.sum());
    assert!(paused < 50_000_000, "{paused} ns");
}

#[tokio::test]
async fn a_scope_and_its_parents_have_what_ran_in_them() {
    let world = World::new();
    world.object("k", 1_000).await;
    let (job, other) = (Scope::new("job"), Scope::new("other"));
    let stage = world.store.with_scope(&job.child("stage"));
    for _ in 0..3 {
        read(&stage, "k").await.unwrap();
    }
    read(&world.store.with_scope(&other), "k").await.unwrap();
    read(&world.store, "k").await.unwrap();
    for level in [Level::Attempt, Level::Call] {
        let count = |scope: &Scope| scope.snapshot().outcomes(level, Operation::Get);
        assert_eq!(count(&job), [(Outcome::Ok, 3)].into());
        assert_eq!(count(&other), [(Outcome::Ok, 1)].into());
        assert_eq!(count(world.client.metrics().scope()), [(Outcome::Ok, 5)].into());
    }
    assert_eq!(distinct(connections(&world)), 1, "a scope is no pool of its own");
}

#[tokio::test]
async fn without_timing_everything_works_and_nothing_is_recorded() {
    let world = World::with(|config| {
        impatient(config, 2).timing(false).first_byte_timeout(ms(200)).stall_timeout(ms(200))
    });
    all_calls(&world.store).await;
    let bytes = world.object("k", 100_000).await;
    world.fault(Fault::new(Action::Reset).method("GET").reused(true).count(1));
    assert!(read(&world.store, "k").await.unwrap() == bytes, "a dead connection");
    world.fault(Fault::new(Action::Truncate { after: 5_000 }).method("GET").count(1));
    assert!(read(&world.store, "k").await.unwrap() == bytes, "a broken body");
    world.fault(Fault::new(Action::Stall { after: 5_000, ms: None }).method("GET").count(1));
    assert!(read(&world.store, "k").await.unwrap() == bytes, "a stalled body");
    world.fault(Fault::new(Action::Delay { ms: 600_000 }).method("GET"));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 2), "{error}");
    assert!(error.elapsed() >= ms(400), "{error}");
    assert!(world.client.metrics().snapshot().is_empty());
    assert_eq!(world.client.metrics().attempts_in_flight(), 0);
}

// ---- runtimes (contracts 6.1, 6.2) --------------------------------------------------------------------------------

/// Held by the tests that count the threads of a client's own runtime.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads of this process that a client made.
fn own_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "storescope").count()
}

fn single() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Every kind of call, and what it answers.
async fn all_calls(store: &storescope::Store) {
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

#[test]
fn futures_without_a_runtime_run_on_the_clients_own() {
    let _alone = alone();
    let world = World::impatient(4);
    block_on(all_calls(&world.store));
    assert!(own_threads() > 0);
    // Retries sleep, bodies resume: both need a runtime's clock.
    block_on(world.store.put("k", pattern(100_000), PutOptions::new())).unwrap();
    world.fault(common::status(503).count(1));
    world.fault(Fault::new(Action::Truncate { after: 5_000 }).method("GET").nth(2));
    assert!(block_on(read(&world.store, "k")).unwrap() == pattern(100_000));
    block_on(world.client.shutdown(Duration::from_secs(10))).unwrap();
}

#[test]
fn no_thread_outlives_its_client() {
    let _alone = alone();
    let before = own_threads();
    let world = World::new();
    assert_eq!(own_threads(), before, "none is started before it is needed");
    block_on(world.store.put("k", &b"x"[..], PutOptions::new())).unwrap();
    assert!(own_threads() > before);
    let World { store, client, emulator } = world;
    drop((store, client));
    single().block_on(until("the client's threads end", || own_threads() == before));
    drop(emulator);
}

#[test]
fn a_client_runs_on_the_runtime_it_was_given() {
    let _alone = alone();
    let before = own_threads();
    let given = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let emulator = emulator();
    let client = Client::builder()
        .config(config(&emulator))
        .runtime(given.handle().clone())
        .build()
        .unwrap();
    let store = store(&client, &emulator);
    block_on(all_calls(&store));
    // And from within another runtime, which then may end.
    let other = single();
    other.block_on(all_calls(&store));
    drop(other);
    block_on(all_calls(&store));
    assert_eq!(own_threads(), before, "it needed none of its own");
    let used: Vec<u64> = emulator.record().into_iter().map(|line| line.connection).collect();
    // A body dropped unread closes its connection: so one more for each of the three rounds.
    assert!(distinct(used.clone()) <= 4, "one pool: {used:?}");
}

#[test]
fn a_runtime_that_ends_breaks_no_other() {
    let world = World::impatient(1);
    let (first, second) = (single(), single());
    first.block_on(all_calls(&world.store));
    first.block_on(world.store.put("k", pattern(1_000), PutOptions::new())).unwrap();
    second.block_on(read(&world.store, "k")).unwrap();
    world.emulator.admin().clear_record();
    let store = world.store.clone();
    world.fault(Fault::new(Action::Delay { ms: 300 }).count(1));
    let under_way = std::thread::spawn(move || {
        second.block_on(async {
            let first = read(&store, "k").await;
            (first, read(&store, "k").await)
        })
    });
    single().block_on(until("a request is under way", || {
        world.client.metrics().attempts_in_flight() == 1
    }));
    drop(first);
    let (one, two) = under_way.join().unwrap();
    assert_eq!((one.unwrap(), two.unwrap()), (pattern(1_000), pattern(1_000)));
    assert_eq!(distinct(connections(&world)), 1, "its own connection served it throughout");
    // A third finds nothing of theirs in its way.
    assert_eq!(single().block_on(read(&world.store, "k")).unwrap(), pattern(1_000));
    assert_eq!(world.client.metrics().retries(), 0);
}

#[test]
fn many_runtimes_leave_no_connections_behind() {
    let world = World::impatient(1);
    for _ in 0..10 {
        single().block_on(async {
            world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
            read(&world.store, "k").await.unwrap();
        });
    }
    assert_eq!(world.client.metrics().connections_open(), 0);
    assert_eq!(world.client.metrics().attempts_in_flight(), 0);
}

#[test]
fn blocking_calls_wait_on_a_plain_thread() {
    let _alone = alone();
    let world = World::impatient(2);
    let url = bucket_url(&world.emulator).parse().unwrap();
    let store = blocking::Store::open(&world.client, &url, StoreOptions::new()).unwrap();
    for key in ["a", "b", "c"] {
        store.put(key, pattern(1_000), PutOptions::new()).unwrap();
    }
    let (meta, bytes) = store.get("a", GetOptions::new().range(10..20)).unwrap();
    assert_eq!((meta.size, &bytes[..]), (1_000, &pattern(1_000)[10..20]));
    assert_eq!(store.head("b").unwrap().size, 1_000);
    store.delete("b", DeleteOptions::new()).unwrap();
    assert!(store.get("b", GetOptions::new()).unwrap_err().is_not_found());
    let entries: Vec<_> = store.list("", ListOptions::new().page_size(1)).collect();
    assert_eq!(entries.len(), 2);
    assert!(entries.into_iter().all(|entry| entry.is_ok()));

    // Many threads, one client.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope
                .spawn(|| assert_eq!(store.get("a", GetOptions::new()).unwrap().1, pattern(1_000)));
        }
    });

    world.fault(common::status(503));
    let mut failing = store.list("", ListOptions::new());
    assert!(failing.next().unwrap().is_err());
    assert!(failing.next().is_none(), "a listing ends with its error");
}

#[tokio::test]
async fn blocking_calls_on_a_runtimes_thread_are_misuse() {
    let _alone = alone();
    let world = World::new();
    let url = bucket_url(&world.emulator).parse().unwrap();
    let store = blocking::Store::open(&world.client, &url, StoreOptions::new()).unwrap();
    let mut listed = store.list("", ListOptions::new());
    for error in [
        store.put("k", &b"x"[..], PutOptions::new()).unwrap_err(),
        store.get("k", GetOptions::new()).unwrap_err(),
        store.head("k").unwrap_err(),
        store.delete("k", DeleteOptions::new()).unwrap_err(),
        listed.next().unwrap().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    }
    // `for entry in store.list(..)` must come to an end.
    assert!(listed.next().is_none(), "a listing ends with its error");
    let elsewhere = std::thread::spawn(move || store.head("k").unwrap_err().is_not_found());
    assert!(elsewhere.join().unwrap());
    // Nothing was sent by the misuse. A HEAD's first 404 is explained by a GET.
    let methods: Vec<_> = world.record().iter().map(|line| line.method.clone()).collect();
    assert_eq!(methods, ["HEAD", "GET"]);
}
