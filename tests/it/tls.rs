// SPDX-License-Identifier: Apache-2.0
//! TLS.

use crate::common::{
    client, config, distinct, emulator, having, impatient, ms, pattern, raw_server, read,
    read_head, store, store_at, store_elsewhere,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use storescope::timing::{Connection, Operation, Outcome, Phase};
use storescope::{Client, ErrorKind, PutOptions};
use storescope_emulator::Emulator;

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
pub(crate) struct Authority {
    params: rcgen::CertificateParams,
    key: rcgen::KeyPair,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { params, key, pem }
    }

    /// A TLS server with a certificate from this authority.
    pub(crate) fn serve(&self, names: &[&str], until_year: i32) -> SocketAddr {
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
        command.args(["--exact", "tls::reads_by_the_environment", "--ignored"]);
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
