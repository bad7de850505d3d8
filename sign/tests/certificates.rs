// SPDX-License-Identifier: Apache-2.0
//! Certificates as an instance's metadata service gives them out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use storescope_sign::{Certificate, KeyError};

/// Made by `openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj /OU=opc-certtype:instance/…`; the fingerprint is
/// that of `openssl x509 -fingerprint -sha1`.
const LEAF: &str = include_str!("leaf.pem");
const FINGERPRINT: &str = "A8:C3:33:48:34:2A:0C:30:FA:EB:39:3A:9A:7F:2E:DC:62:A4:26:EF";

fn leaf() -> Certificate {
    Certificate::from_pem(LEAF.as_bytes()).unwrap().remove(0)
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

#[test]
fn the_subject_and_the_fingerprint_are_what_openssl_says() {
    let read = leaf();
    assert_eq!(read.fingerprint(), FINGERPRINT);
    let units = [
        "opc-certtype:instance",
        "opc-compartment:ocid1.compartment.oc1..c",
        "opc-instance:ocid1.instance.oc1..i",
        "opc-tenant:ocid1.tenancy.oc1..t",
    ];
    assert_eq!(read.units(), units, "{read:?}");
    assert!(storescope_sign::PublicKey::from_spki_der(read.spki_der()).is_ok());
}

#[test]
fn each_certificate_of_a_text_is_read() {
    let read = Certificate::from_pem(format!("# two\n{LEAF}{LEAF}").as_bytes()).unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(read[1].der(), leaf().der());
    assert_eq!(Certificate::from_pem(b"nothing").unwrap_err(), KeyError::NotPem);
    let cut = pem(&leaf().der()[..200]);
    assert!(matches!(Certificate::from_pem(cut.as_bytes()), Err(KeyError::Malformed { .. })));
}

/// The certificate of the recorded federation calls, whose key id holds its fingerprint.
#[test]
fn the_recorded_key_id_is_made_of_the_recorded_certificate() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/vectors/oci-auth-exchanges.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", file.display());
        eprintln!("skipped: there is no {}", file.display());
        return;
    };
    let exchanges: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut federated = 0;
    for exchange in exchanges.as_array().unwrap() {
        if exchange["target"] != "/v1/x509" {
            continue;
        }
        federated += 1;
        // The recording may have cut the body behind the certificate.
        let body = exchange["body"].as_str().unwrap();
        let der = body.split('"').nth(3).map(|base64| STANDARD.decode(base64).unwrap());
        let leaf = Certificate::from_der(&der.unwrap()).unwrap();
        let tenancy = leaf.units().iter().find_map(|unit| unit.strip_prefix("opc-tenant:"));
        let key_id = format!("{}/fed-x509/{}", tenancy.unwrap(), leaf.fingerprint());
        assert_eq!(exchange["auth"]["params"]["keyId"], key_id);
    }
    assert!(federated > 0);
}

proptest! {
    #[test]
    fn no_bytes_panic(at in 0_usize..900, byte: u8, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut der = leaf().der().to_vec();
        let at = at % der.len();
        der[at] = byte;
        let _ = Certificate::from_der(&der);
        let _ = Certificate::from_der(&bytes);
    }
}
