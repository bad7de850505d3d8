// SPDX-License-Identifier: Apache-2.0
//! The certificates of the TLS listeners.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::error::StartError;

/// Makes a CA and a server certificate of it, writes the CA to `ca_file`, and returns the TLS
/// listener's configuration.
pub(crate) fn tls_config(
    ca_file: &Path,
    address: IpAddr,
) -> Result<Arc<rustls::ServerConfig>, StartError> {
    let identity = StartError::identity::<rcgen::Error>;
    let tls = StartError::identity::<rustls::Error>;
    let mut ca = rcgen::CertificateParams::new(Vec::new()).map_err(identity)?;
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(rcgen::DnType::CommonName, "storescope emulator CA");
    let ca_key = rcgen::KeyPair::generate().map_err(identity)?;
    std::fs::write(ca_file, ca.self_signed(&ca_key).map_err(identity)?.pem())?;

    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !names.contains(&address.to_string()) {
        names.push(address.to_string());
    }
    let mut server = rcgen::CertificateParams::new(names).map_err(identity)?;
    server.distinguished_name.push(rcgen::DnType::CommonName, "storescope emulator");
    server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let server_key = rcgen::KeyPair::generate().map_err(identity)?;
    let certificate =
        server.signed_by(&server_key, &rcgen::Issuer::new(ca, &ca_key)).map_err(identity)?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(server_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .map_err(tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
