// SPDX-License-Identifier: Apache-2.0
//! Every form of key that people have, every way in which a key can be wrong, and no secret shown.
//! `fixtures/oci-keys.json` was written by OpenSSL.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use storescope_sign::{Authorization, KeyError, PrivateKey, PublicKey};

#[test]
fn plain_keys_are_read_in_each_form() {
    let main = &fixture("oci-signing.json")["keys"]["main"];
    for form in ["private_pkcs1_pem", "private_pkcs8_pem", "private_pkcs8_with_label_pem"] {
        let pem = text(main, form);
        let crlf = pem.replace('\n', "\r\n");
        let amid = format!("my key: 1\n\n{pem}\nOCI_API_KEY\n");
        for (how, pem) in [("", pem), ("CRLF", &crlf), ("text around", &amid)] {
            let key = PrivateKey::from_pem(pem.as_bytes(), None)
                .unwrap_or_else(|error| panic!("{form} {how}: {error}"));
            assert_eq!(key.public_key().fingerprint(), text(main, "fingerprint"), "{form} {how}");
        }
        assert!(PrivateKey::from_pem(pem.as_bytes(), Some(b"not needed")).is_ok(), "{form}");
    }
}

#[test]
fn encrypted_keys_are_read_in_each_form() {
    let signing = fixture("oci-signing.json");
    let main = &signing["keys"]["main"];
    let keys = fixture("oci-keys.json");
    let mut read = 0;
    let from_vectors = ["private_pkcs8_encrypted_pem", "private_pkcs1_encrypted_pem"]
        .map(|form| (form, text(main, form)));
    let from_openssl = keys["encrypted"].as_object().unwrap();
    let from_openssl =
        from_openssl.iter().map(|(form, pem)| (form.as_str(), pem.as_str().unwrap()));
    for (form, pem) in from_vectors.into_iter().chain(from_openssl) {
        let open = |passphrase| PrivateKey::from_pem(pem.as_bytes(), passphrase);
        let key = open(Some(b"correct-horse")).unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(key.public_key().fingerprint(), text(main, "fingerprint"), "{form}");
        assert_eq!(open(None).unwrap_err(), KeyError::PassphraseNeeded, "{form}");
        assert_eq!(open(Some(b"")).unwrap_err(), KeyError::PassphraseNeeded, "{form}");
        assert_eq!(open(Some(b"wrong")).unwrap_err(), KeyError::WrongPassphrase, "{form}");
        read += 1;
    }
    assert_eq!(read, 11);
}

/// The file states what its key derivation costs: here, scrypt with 127 lanes of 16 MiB.
#[test]
fn a_key_whose_derivation_costs_too_much_is_refused() {
    let keys = fixture("oci-keys.json");
    let lines = text(&keys["encrypted"], "pkcs8-aes256-scrypt").lines();
    let base64: String = lines.filter(|line| !line.starts_with('-')).collect();
    let mut der = STANDARD.decode(base64).unwrap();
    let cost = [2, 2, 0x40, 0, 2, 1, 8, 2, 1, 1];
    let at = der.windows(cost.len()).position(|bytes| bytes == cost).unwrap();
    der[at + cost.len() - 1] = 127;
    let kind = "ENCRYPTED PRIVATE KEY";
    let pem = format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der));
    let error = PrivateKey::from_pem(pem.as_bytes(), Some(b"correct-horse")).unwrap_err();
    assert!(error.to_string().contains("key derivation is out of bounds"), "{error}");
}

/// About one wrong passphrase in 256 yields valid padding; it must be told as wrong all the same.
#[test]
fn a_wrong_passphrase_is_told_whatever_its_padding() {
    let keys = fixture("oci-keys.json");
    let pem = text(&keys["encrypted"], "pkcs1-aes128");
    for number in 0..2000 {
        let passphrase = format!("wrong {number}");
        assert_eq!(
            PrivateKey::from_pem(pem.as_bytes(), Some(passphrase.as_bytes())).unwrap_err(),
            KeyError::WrongPassphrase,
            "{passphrase}"
        );
    }
}

#[test]
fn each_wrong_key_has_its_own_error() {
    let signing = fixture("oci-signing.json");
    let main = &signing["keys"]["main"];
    let keys = fixture("oci-keys.json");
    let refused = |name: &str| {
        PrivateKey::from_pem(text(&keys["refused"], name).as_bytes(), Some(b"correct-horse"))
            .unwrap_err()
    };
    let read = |pem: &str| PrivateKey::from_pem(pem.as_bytes(), None).unwrap_err();

    assert_eq!(read(""), KeyError::NotPem);
    assert_eq!(read("ssh-rsa AAAA me@here"), KeyError::NotPem);
    assert_eq!(read(text(main, "public_pem")), KeyError::PublicKeyGiven);
    assert_eq!(read(text(&keys, "public_pkcs1")), KeyError::PublicKeyGiven);
    assert_eq!(read(text(&signing["keys"]["leaf"], "certificate_pem")), KeyError::PublicKeyGiven);
    for ec in ["ec-sec1-with-parameters", "ec-pkcs8"] {
        assert_eq!(refused(ec), KeyError::NotRsa { algorithm: "EC".into() }, "{ec}");
    }
    assert_eq!(refused("ed25519"), KeyError::NotRsa { algorithm: "Ed25519".into() });
    assert_eq!(refused("rsa-1024"), KeyError::TooSmall { bits: 1024 });
    for form in ["pkcs1-camellia", "pkcs8-pbes1", "openssh"] {
        assert!(
            matches!(refused(form), KeyError::Unsupported { .. }),
            "{form}: {:?}",
            refused(form)
        );
    }

    let whole = text(main, "private_pkcs1_pem");
    let malformed = [
        whole.split("-----END").next().unwrap().to_owned(),
        whole.replacen("MII", "M!I", 1),
        whole.replacen("MII", "QUJ", 1),
        "-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----\n".to_owned(),
        "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n".to_owned(),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nQUJD\n-----END ENCRYPTED PRIVATE KEY-----\n".to_owned(),
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nQUJD\n-----END RSA PRIVATE KEY-----\n".to_owned(),
    ];
    for pem in malformed {
        assert!(matches!(read(&pem), KeyError::Malformed { .. }), "{:?}", read(&pem));
    }
    assert_eq!(PrivateKey::generate(1024).unwrap_err(), KeyError::TooSmall { bits: 1024 });
    assert!(matches!(PrivateKey::generate(2049), Err(KeyError::Unsupported { .. })));
}

/// A key whose numbers do not fit together would sign wrongly: it is refused when it is read.
#[test]
fn a_key_with_a_damaged_number_is_refused() {
    let main = &fixture("oci-signing.json")["keys"]["main"];
    let pem = text(main, "private_pkcs1_pem");
    let mut lines: Vec<&str> = pem.lines().collect();
    let middle = lines.len() / 2;
    let damaged: String = lines[middle].chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
    lines[middle] = &damaged;
    assert!(matches!(
        PrivateKey::from_pem(lines.join("\n").as_bytes(), None),
        Err(KeyError::Malformed { .. })
    ));
}

#[test]
fn public_keys_are_read_and_refused() {
    let main = &fixture("oci-signing.json")["keys"]["main"];
    let keys = fixture("oci-keys.json");
    let spki = PublicKey::from_pem(text(main, "public_pem").as_bytes()).unwrap();
    assert_eq!(spki, PublicKey::from_pem(text(&keys, "public_pkcs1").as_bytes()).unwrap());
    assert_eq!(spki, PublicKey::from_components(spki.modulus(), spki.exponent()).unwrap());
    assert_eq!(
        spki,
        PublicKey::from_components(&[&[0], spki.modulus()].concat(), &[0, 1, 0, 1]).unwrap()
    );
    assert_eq!(spki, PublicKey::from_spki_der(spki.spki_der()).unwrap());
    assert_eq!((spki.modulus().len(), spki.exponent()), (256, [1, 0, 1].as_slice()));
    assert_eq!(spki.fingerprint(), text(main, "fingerprint"));

    let refused =
        |name: &str| PublicKey::from_pem(text(&keys["refused"], name).as_bytes()).unwrap_err();
    assert_eq!(refused("ec-public"), KeyError::NotRsa { algorithm: "EC".into() });
    assert_eq!(refused("rsa-1024-public"), KeyError::TooSmall { bits: 1024 });
    assert_eq!(refused("openssh"), KeyError::NotPem);
    assert!(matches!(PublicKey::from_spki_der(b"no DER"), Err(KeyError::Malformed { .. })));
    assert_eq!(
        PublicKey::from_components(&[], &[1, 0, 1]).unwrap_err(),
        KeyError::TooSmall { bits: 0 }
    );
    assert!(matches!(
        PublicKey::from_components(spki.modulus(), &[]),
        Err(KeyError::Malformed { .. })
    ));
    assert!(matches!(
        PublicKey::from_components(spki.modulus(), &[2]),
        Err(KeyError::Malformed { .. })
    ));
}

#[test]
fn a_generated_key_survives_its_pem() {
    let key = PrivateKey::generate(2048).unwrap();
    let again = PrivateKey::from_pem(key.to_pkcs8_pem().as_bytes(), None).unwrap();
    assert_eq!(again.public_key(), key.public_key());
    assert_eq!(again.sign(b"message").unwrap(), key.sign(b"message").unwrap());
    assert_eq!(*again.to_pkcs8_pem(), *key.to_pkcs8_pem());
    assert_ne!(PrivateKey::generate(2048).unwrap().public_key(), key.public_key());
}

#[test]
fn our_pem_is_what_openssl_writes() {
    let main = &fixture("oci-signing.json")["keys"]["main"];
    let key = PrivateKey::from_pem(text(main, "private_pkcs1_pem").as_bytes(), None).unwrap();
    assert_eq!(*key.to_pkcs8_pem(), text(main, "private_pkcs8_pem"));
}

#[test]
fn no_secret_is_shown() {
    let signing = fixture("oci-signing.json");
    let main = &signing["keys"]["main"];
    let key = PrivateKey::from_pem(text(main, "private_pkcs1_pem").as_bytes(), None).unwrap();
    let fingerprint = text(main, "fingerprint");
    assert_eq!(format!("{key:?}"), format!("PrivateKey {{ fingerprint: {fingerprint:?}, .. }}"));
    assert_eq!(
        format!("{:?}", key.public_key()),
        format!("PublicKey {{ bits: 2048, fingerprint: {fingerprint:?} }}")
    );
    let error =
        PrivateKey::from_pem(text(main, "private_pkcs8_encrypted_pem").as_bytes(), Some(b"s3cret"))
            .unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"));

    let value =
        r#"Signature headers="date",keyId="ST$to.ke.n",algorithm="rsa-sha256",signature="QUJD""#;
    let token = Authorization::parse(value).unwrap();
    assert_eq!(token.key_id(), "ST$to.ke.n");
    assert_eq!(
        format!("{token:?}"),
        r#"Authorization { key_id: "ST$…", signed_headers: ["date"], .. }"#
    );
}

/// Sent between threads by every caller.
#[test]
fn keys_are_send_and_sync() {
    fn both<T: Send + Sync + Clone>() {}
    both::<PrivateKey>();
    both::<PublicKey>();
}

fn fixture(name: &str) -> Value {
    // Tests run in the folder of their package; where that was when they were compiled is not asked.
    serde_json::from_slice(&fs::read(format!("../fixtures/{name}")).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text `{field}`"))
}
