// SPDX-License-Identifier: Apache-2.0
//! TLS by rustls, its provider given here and never installed process-wide.

use crate::config::{Certificates, Config};
use crate::error::{ErrorKind, Failure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[derive(Debug)]
pub(super) struct Tls {
    ca_bundle: Option<PathBuf>,
    given: Option<Certificates>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(config: &Config) -> Tls {
        Tls {
            ca_bundle: config.ca_bundle.clone(),
            given: config.certificates.clone(),
            config: OnceLock::new(),
        }
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
        let (ca_bundle, given) = (self.ca_bundle.clone(), self.given.clone());
        let roots = tokio::task::spawn_blocking(move || match (ca_bundle, given) {
            (Some(file), _) => bundle(&file),
            (None, Some(given)) => those(&given),
            (None, None) => platform(),
        });
        let roots = roots.await.map_err(|e| Failure::new(ErrorKind::Tls).source(e))??;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Failure::new(ErrorKind::Tls).source(e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }
}

fn bundle(file: &Path) -> Result<RootCertStore, Failure> {
    let unusable = |why: &str| {
        Failure::new(ErrorKind::Config).message(format!("ca_bundle {} {why}", file.display()))
    };
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|e| unusable("cannot be read").source(e))?;
    for certificate in certificates {
        let certificate =
            certificate.map_err(|e| unusable("is no PEM of certificates").source(e))?;
        roots
            .add(certificate)
            .map_err(|e| unusable("holds a certificate that does not parse").source(e))?;
    }
    if roots.is_empty() { Err(unusable("holds no certificate")) } else { Ok(roots) }
}

/// A collection of somebody else's may hold certificates that do not parse here: they are left out.
fn those(given: &Certificates) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(given.iter().map(CertificateDer::from));
    if roots.is_empty() {
        return Err(Failure::new(ErrorKind::Config)
            .message("none of the certificates that were given to the client can be used")
            .hint("set ca_bundle"));
    }
    Ok(roots)
}

fn platform() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let none = Failure::new(ErrorKind::Tls)
            .message("the platform has no certificate authorities")
            .hint("install ca-certificates, or set ca_bundle");
        return Err(match found.errors.into_iter().next() {
            Some(error) => none.source(error),
            None => none,
        });
    }
    Ok(roots)
}

/// Says which of the usual three it was: unknown authority, wrong name, expired.
fn refused(host: &str, error: io::Error) -> Failure {
    let why = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
            CertificateError::UnknownIssuer => {
                "its certificate is from an authority that is not trusted here".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("its certificate is not for {host:?}")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
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
