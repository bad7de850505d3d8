// SPDX-License-Identifier: Apache-2.0
//! TLS by rustls, its provider given here and never installed process-wide.

use crate::config::{Certificates, Config};
use crate::error::{ErrorKind, Failure};
use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore,
    SignatureScheme,
};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The first byte of a certificate in DER.
const DER: u8 = 0x30;

#[derive(Debug)]
pub(super) struct Tls {
    bundle: Option<Named>,
    given: Option<Certificates>,
    config: OnceLock<Arc<ClientConfig>>,
}

/// Where the setting `ca_bundle` points, and what set it, as messages name it.
#[derive(Clone, Debug)]
struct Named {
    path: PathBuf,
    source: String,
    /// Whether it was set for us: then a certificate that does not parse is told. In what other tools read, it is passed
    /// over, as they do.
    ours: bool,
}

impl Tls {
    pub(super) fn new(config: &Config) -> Tls {
        let bundle = config.ca_bundle.clone().map(|path| {
            let variable = config.variable_of("ca_bundle");
            let ours = variable.is_none_or(|variable| variable.starts_with("STORESCOPE_"));
            let source = variable.map_or_else(String::new, |variable| format!(" ({variable})"));
            Named { path, source: format!("ca_bundle{source}"), ours }
        });
        Tls { bundle, given: config.certificates.clone(), config: OnceLock::new() }
    }

    pub(super) async fn handshake(
        &self,
        host: &str,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| {
            Failure::new(ErrorKind::Config)
                .message(format!("{host:?} is no host name for TLS"))
                .source(e)
        })?;
        let connector = TlsConnector::from(self.config().await?);
        connector.connect(name, tcp).await.map_err(|e| refused(host, e))
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        // The platform's store is some hundred files on disk.
        let (bundle, given) = (self.bundle.clone(), self.given.clone());
        let trusted = tokio::task::spawn_blocking(move || match (bundle, given) {
            (Some(named), _) => named.load(),
            (None, Some(given)) => those(&given),
            (None, None) => platform(),
        });
        let trusted = trusted.await.map_err(|e| Failure::new(ErrorKind::Tls).source(e))??;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let webpki = WebPkiServerVerifier::builder_with_provider(
            Arc::new(trusted.roots),
            Arc::clone(&provider),
        );
        let webpki = webpki.build().map_err(|e| Failure::new(ErrorKind::Tls).source(e))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Failure::new(ErrorKind::Tls).source(e))?
            // What rustls calls dangerous: the verifier below adds one case to webpki's.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { webpki, own: trusted.own }))
            .with_no_client_auth();
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }
}

/// Trusts what webpki does, and a server's own certificate that is itself among those trusted. webpki takes those for
/// authorities alone: it refuses one that says it is an authority (as `openssl req -x509` makes them) for a server's,
/// and one whose issuer is not known, although the very certificate was named.
#[derive(Debug)]
struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    own: HashSet<Fingerprint>,
}

type Fingerprint = [u8; digest::SHA256_OUTPUT_LEN];

fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    let mut fingerprint = [0; digest::SHA256_OUTPUT_LEN];
    fingerprint.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    fingerprint
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.webpki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(error) if is_of_path(&error) && self.own.contains(&fingerprint(end_entity)) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.webpki.root_hint_subjects()
    }
}

/// Whether webpki found no path to an authority, and nothing else wrong. It looks at a certificate's dates before it
/// says either of these.
fn is_of_path(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

/// What is trusted: authorities, and the certificates that are taken as they are.
struct Trusted {
    roots: RootCertStore,
    own: HashSet<Fingerprint>,
}

impl Trusted {
    /// Those that parse.
    fn of(certificates: Vec<CertificateDer<'static>>) -> Trusted {
        let own = certificates.iter().map(fingerprint).collect();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        Trusted { roots, own }
    }
}

impl Named {
    fn load(&self) -> Result<Trusted, Failure> {
        let Named { path, source, ours } = self;
        let unusable = |why: &str| {
            Failure::new(ErrorKind::Config).message(format!("{source} {} {why}", path.display()))
        };
        let trusted = if path.is_dir() {
            Trusted::of(rustls_native_certs::load_certs_from_paths(None, Some(path)).certs)
        } else if !ours {
            Trusted::of(certificates(path, &unusable)?)
        } else {
            let mut roots = RootCertStore::empty();
            let certificates = certificates(path, &unusable)?;
            let own = certificates.iter().map(fingerprint).collect();
            for certificate in certificates {
                roots
                    .add(certificate)
                    .map_err(|e| unusable("holds a certificate that does not parse").source(e))?;
            }
            Trusted { roots, own }
        };
        if trusted.roots.is_empty() { Err(unusable("holds no certificate")) } else { Ok(trusted) }
    }
}

/// Any number of certificates in PEM, or one in DER.
fn certificates(
    file: &Path,
    unusable: &impl Fn(&str) -> Failure,
) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bytes = std::fs::read(file).map_err(|e| unusable("cannot be read").source(e))?;
    if bytes.first() == Some(&DER) {
        return Ok(vec![bytes.into()]);
    }
    let read: Result<_, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    read.map_err(|e| unusable("is no PEM of certificates").source(e))
}

/// The collection of a host program, of which those count that parse.
fn those(given: &Certificates) -> Result<Trusted, Failure> {
    let trusted = Trusted::of(given.iter().map(|der| CertificateDer::from(der.to_vec())).collect());
    if trusted.roots.is_empty() {
        return Err(Failure::new(ErrorKind::Config)
            .message("none of the certificates that were given to the client can be used")
            .hint("set ca_bundle"));
    }
    Ok(trusted)
}

/// The certificates of `SSL_CERT_FILE` and `SSL_CERT_DIR`, where they are set, else the platform's.
fn platform() -> Result<Trusted, Failure> {
    let found = rustls_native_certs::load_native_certs();
    let trusted = Trusted::of(found.certs);
    if !trusted.roots.is_empty() {
        return Ok(trusted);
    }
    let named: Vec<&str> = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some())
        .collect();
    let none = Failure::new(ErrorKind::Tls);
    let none = if named.is_empty() {
        none.message("the platform has no certificate authorities")
            .hint("install ca-certificates, or set ca_bundle")
    } else {
        none.message(format!("there are no certificates where {} point", named.join(" and ")))
            .hint("correct or unset them, or set ca_bundle")
    };
    Err(match found.errors.into_iter().next() {
        Some(error) => none.source(error),
        None => none,
    })
}

/// Says which of the usual three it was: unknown authority, wrong name, expired.
fn refused(host: &str, error: io::Error) -> Failure {
    let why = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
            CertificateError::UnknownIssuer => {
                "its certificate is from an authority that is not trusted here".to_owned()
            }
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                format!("its certificate is not for {host:?}: it names no host (subjectAltName)")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("its certificate is not for {host:?}")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            CertificateError::Other(_)
                if is_of_path(&rustls::Error::InvalidCertificate(certificate.clone())) =>
            {
                "its own certificate is an authority's, and is not among those trusted here"
                    .to_owned()
            }
            other => format!("its certificate is not valid: {other:?}"),
        },
        Some(other) => other.to_string(),
        None => {
            return Failure::new(ErrorKind::Reset)
                .message("the connection broke during the TLS handshake")
                .source(error);
        }
    };
    Failure::new(ErrorKind::Tls).message(format!("{host}: {why}")).source(error)
}
