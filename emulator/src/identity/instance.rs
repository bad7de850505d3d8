// SPDX-License-Identifier: Apache-2.0
//! The instance's certificate and key, as its metadata gives them out.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use storescope_sign::{PrivateKey, PublicKey};

use super::certificates::{Subject, Validity, certificate};
use super::names::{COMPARTMENT, INSTANCE, TENANCY};
use crate::error::StartError;

const INTERMEDIATE: &str = "PKISVC Identity Intermediate emulator";
const DAY: Duration = Duration::from_hours(24);
/// What PKCS#8 puts before the PKCS#1 of a key of 2048 bits.
const PKCS8_HEAD: usize = 26;

/// What one rotation made.
pub(crate) struct Instance {
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
    pub(crate) intermediate_pem: String,
    /// DER.
    pub(crate) certificate: Vec<u8>,
    /// DER.
    pub(crate) intermediate: Vec<u8>,
    public: PublicKey,
}

impl Instance {
    /// A fresh key, and its certificate by `issuer`.
    pub(super) fn create(issuer: &PrivateKey, now: SystemTime) -> Result<Instance, StartError> {
        let failed = StartError::identity;
        let key = PrivateKey::generate(2048).map_err(failed)?;
        let units = [
            "opc-certtype:instance".to_owned(),
            format!("opc-compartment:{COMPARTMENT}"),
            format!("opc-instance:{INSTANCE}"),
            format!("opc-tenant:{TENANCY}"),
        ];
        let leaf =
            Subject { common_name: INSTANCE, units: &units, key: key.public_key(), is_ca: false };
        let authority = Subject {
            common_name: INTERMEDIATE,
            units: &[],
            key: issuer.public_key(),
            is_ca: true,
        };
        let by = (INTERMEDIATE, issuer);
        let days = |days| Validity { from: now - DAY, to: now + DAY * days };
        let certificate_der = certificate(&leaf, by, days(30)).map_err(StartError::identity)?;
        let intermediate = certificate(&authority, by, days(365)).map_err(StartError::identity)?;
        Ok(Instance {
            certificate_pem: pem("CERTIFICATE", &certificate_der),
            key_pem: pkcs1_pem(&key),
            intermediate_pem: pem("CERTIFICATE", &intermediate),
            certificate: certificate_der,
            intermediate,
            public: key.public_key().clone(),
        })
    }

    /// The certified key, if the `keyId` of a federation request names this certificate.
    pub(crate) fn key(&self, key_id: &str) -> Option<PublicKey> {
        let (tenancy, rest) = key_id.split_once('/')?;
        let (scheme, fingerprint) = rest.split_once('/')?;
        let algorithm = match scheme {
            "fed-x509" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "fed-x509-sha256" => &digest::SHA256,
            _ => return None,
        };
        let digest = digest::digest(algorithm, &self.certificate);
        let hex: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let is_ours = tenancy == TENANCY && fingerprint.eq_ignore_ascii_case(&hex.join(":"));
        is_ours.then(|| self.public.clone())
    }
}

/// The key in PKCS#1, as instance metadata has it.
fn pkcs1_pem(key: &PrivateKey) -> String {
    let pkcs8 = key.to_pkcs8_pem();
    let base64: String = pkcs8.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(base64).expect("a PEM text that was just written");
    pem("RSA PRIVATE KEY", &der[PKCS8_HEAD..])
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + &format!("-----END {label}-----\n")
}
