// SPDX-License-Identifier: Apache-2.0
//! X.509 certificates of RSA keys, as the identity service gives them to instances: their subject
//! has several organizational units. DER is written here, for no crate of the tree writes a
//! subject that has an attribute twice.

use std::time::SystemTime;

use storescope_sign::{PrivateKey, PublicKey, SignError};

/// What a certificate says of its subject.
pub(super) struct Subject<'a> {
    pub(super) common_name: &'a str,
    pub(super) units: &'a [String],
    pub(super) key: &'a PublicKey,
    pub(super) is_ca: bool,
}

/// How long a certificate is good.
#[derive(Clone, Copy)]
pub(super) struct Validity {
    pub(super) from: SystemTime,
    pub(super) to: SystemTime,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const OBJECT_ID: u8 = 0x06;
const GENERALIZED_TIME: u8 = 0x18;
const UTC_TIME: u8 = 0x17;
/// `[0] EXPLICIT` and `[3] EXPLICIT` of a TBSCertificate.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// 2.5.4.3
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// 2.5.4.11
const UNIT: [u8; 3] = [0x55, 0x04, 0x0b];
/// 2.5.29.19
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
/// SEQUENCE { 1.2.840.113549.1.1.11, NULL }
const SHA256_WITH_RSA: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];

/// A certificate in DER, signed by the key of `issuer`.
pub(super) fn certificate(
    subject: &Subject<'_>,
    (issuer_name, issuer): (&str, &PrivateKey),
    validity: Validity,
) -> Result<Vec<u8>, SignError> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| SignError)?;
    // Positive, and without a leading zero.
    serial[0] = serial[0] & 0x7f | 0x40;
    let constraints = if subject.is_ca { tlv(BOOLEAN, &[0xff]) } else { Vec::new() };
    let extension = [
        tlv(OBJECT_ID, &BASIC_CONSTRAINTS),
        tlv(BOOLEAN, &[0xff]),
        tlv(OCTET_STRING, &tlv(SEQUENCE, &constraints)),
    ];
    let to_be_signed = tlv(
        SEQUENCE,
        &[
            tlv(VERSION, &tlv(INTEGER, &[2])),
            tlv(INTEGER, &serial),
            SHA256_WITH_RSA.to_vec(),
            name(issuer_name, &[]),
            tlv(SEQUENCE, &[time(validity.from), time(validity.to)].concat()),
            name(subject.common_name, subject.units),
            subject.key.spki_der().to_vec(),
            tlv(EXTENSIONS, &tlv(SEQUENCE, &tlv(SEQUENCE, &extension.concat()))),
        ]
        .concat(),
    );
    let signature = issuer.sign(&to_be_signed)?;
    let signature = tlv(BIT_STRING, &[&[0][..], &signature].concat());
    Ok(tlv(SEQUENCE, &[to_be_signed, SHA256_WITH_RSA.to_vec(), signature].concat()))
}

/// A name: its units, then its common name.
fn name(common_name: &str, units: &[String]) -> Vec<u8> {
    let attribute = |kind: &[u8], value: &str| {
        let pair = [tlv(OBJECT_ID, kind), tlv(UTF8_STRING, value.as_bytes())].concat();
        tlv(SET, &tlv(SEQUENCE, &pair))
    };
    let units = units.iter().flat_map(|unit| attribute(&UNIT, unit));
    let all: Vec<u8> = units.chain(attribute(&COMMON_NAME, common_name)).collect();
    tlv(SEQUENCE, &all)
}

/// UTCTime up to 2049, GeneralizedTime beyond.
fn time(time: SystemTime) -> Vec<u8> {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    let text = time.strftime("%Y%m%d%H%M%SZ").to_string();
    match text.strip_prefix("20") {
        Some(short) if short < "50" => tlv(UTC_TIME, short.as_bytes()),
        _ => tlv(GENERALIZED_TIME, text.as_bytes()),
    }
}

/// A value in DER, with its tag and its length.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match u8::try_from(value.len()) {
        Ok(length) if length < 0x80 => der.push(length),
        _ => {
            let length = value.len().to_be_bytes();
            let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
            der.push(0x80 | length.len() as u8);
            der.extend(length);
        }
    }
    der.extend(value);
    der
}
