// SPDX-License-Identifier: Apache-2.0
//! X.509 certificates, as far as the federation of instances needs them: who the subject is, and
//! the names by which the certificate and its key are known. Nothing is verified: the service does.

use std::fmt;

use pkcs8::ObjectIdentifier;
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode as _, Reader as _, SliceReader, Tag, Tagged as _};

use crate::{KeyError, pem};

/// The attribute `organizationalUnitName` of a distinguished name.
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

/// A certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    units: Vec<String>,
    spki: Vec<u8>,
}

impl Certificate {
    /// Reads every certificate of a PEM text, in its order. At least one must be there.
    pub fn from_pem(pem: &[u8]) -> Result<Vec<Self>, KeyError> {
        let read: Result<Vec<_>, _> = pem::all(pem, |label| label == "CERTIFICATE")?
            .iter()
            .map(|block| Self::from_der(&block.der()?))
            .collect();
        read.and_then(|read| if read.is_empty() { Err(KeyError::NotPem) } else { Ok(read) })
    }

    /// Reads a certificate in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let (units, spki) =
            parts(der).map_err(|_| KeyError::Malformed { what: "not a certificate in DER" })?;
        Ok(Self { der: der.to_vec(), units, spki })
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The organizational units of its subject, in their order.
    #[must_use]
    pub fn units(&self) -> &[String] {
        &self.units
    }

    /// The key that it certifies, as DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The name of the certificate in a `keyId`: SHA-1 of its DER, upper-case hex, colons.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
        digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.der)
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect::<Vec<_>>()
            .join(":")
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("units", &self.units)
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

/// The subject's organizational units, and the key.
fn parts(der: &[u8]) -> pkcs8::der::Result<(Vec<String>, Vec<u8>)> {
    let certificate = AnyRef::from_der(der)?;
    let signed = SliceReader::new(of(certificate, Tag::Sequence)?)?.decode::<AnyRef<'_>>()?;
    let mut fields = SliceReader::new(of(signed, Tag::Sequence)?)?;
    let mut next: AnyRef<'_> = fields.decode()?;
    // The version, which old certificates lack.
    if next.tag().is_context_specific() {
        next = fields.decode()?;
    }
    next.tag().assert_eq(Tag::Integer)?;
    // The algorithm, the issuer, the dates.
    for _ in 0..3 {
        of(fields.decode()?, Tag::Sequence)?;
    }
    let subject: AnyRef<'_> = fields.decode()?;
    let spki = fields.tlv_bytes()?;
    Ok((units(of(subject, Tag::Sequence)?)?, spki.to_vec()))
}

/// What a value of this tag holds.
fn of(value: AnyRef<'_>, tag: Tag) -> pkcs8::der::Result<&[u8]> {
    value.tag().assert_eq(tag)?;
    Ok(value.value())
}

/// The organizational units of a distinguished name: a sequence of sets of attributes.
fn units(name: &[u8]) -> pkcs8::der::Result<Vec<String>> {
    let (mut sets, mut units) = (SliceReader::new(name)?, Vec::new());
    while !sets.is_finished() {
        let mut attributes = SliceReader::new(of(sets.decode()?, Tag::Set)?)?;
        while !attributes.is_finished() {
            let mut parts = SliceReader::new(of(attributes.decode()?, Tag::Sequence)?)?;
            let kind: ObjectIdentifier = parts.decode()?;
            let value: AnyRef<'_> = parts.decode()?;
            if kind == ORGANIZATIONAL_UNIT {
                units.push(String::from_utf8_lossy(value.value()).into_owned());
            }
        }
    }
    Ok(units)
}
