// SPDX-License-Identifier: Apache-2.0
//! Entry points of the fuzz targets in `fuzz/`: a function for each kind of outside bytes that this crate reads. Compiled for tests
//! and under `cfg(fuzzing)`; no part of the public promise.
//!
//! Each panics where a property fails: what was read is printed and read again to the same, agrees with a second parser where one is
//! a dependency, and stays within its bounds. The tests below replay the seeds and mutations of them.

use crate::timing::{Distribution, Snapshot, prometheus_text};
use crate::transport::BaseUrl;
use crate::url::{StoreUrl, decoded, encode_into};
use crate::{Scheme, auth, backend, config, read, tfrecord};
use std::sync::LazyLock;
use storescope_sign::{
    Authorization, Certificate, PrivateKey, PublicKey, Request, Rule, authorization, verify,
};

/// URLs of stores and of endpoints, and percent-encoding.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let shown = StoreUrl::redacted(text);
    if let Ok(url) = text.parse::<StoreUrl>() {
        check_url(text, &shown, &url);
    }
    if let Ok(base) = BaseUrl::parse(text) {
        assert_eq!(BaseUrl::parse(&base.folder()).expect("the folder of an endpoint is one"), base);
    }
    for scheme in ["https", "s3", "oci"] {
        let url = format!("{scheme}://user:pa55w0rd-of-fuzz{text}@host/x");
        // The rest of the text may be a path, which is shown.
        let is_elsewhere = text.contains("pa55w0rd-of-fuzz");
        assert!(is_elsewhere || !StoreUrl::redacted(&url).contains("pa55w0rd-of-fuzz"), "{url}");
    }
    let mut encoded = String::new();
    encode_into(&mut encoded, text);
    assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
    assert_eq!(decoded(&encoded).as_deref(), Some(text));
}

/// A URL is shown so that it can be read again; the token of a pre-authenticated request is not shown.
fn check_url(text: &str, shown: &str, url: &StoreUrl) {
    let printed = url.to_string();
    match url.token() {
        Some(token) if token.len() >= 8 && text.matches(token).count() == 1 => {
            assert!(!shown.contains(token) && !printed.contains(token), "{text:?}");
            assert!(!format!("{url:?}").contains(token), "{text:?}");
        }
        // The key of a web address is percent-encoded, and shown as it is.
        None if url.origin().is_none() || !url.key().contains('%') => {
            let again: StoreUrl = printed.parse().unwrap_or_else(|e| panic!("{printed:?}: {e}"));
            assert_eq!(&again, url);
        }
        _ => {}
    }
    if let (Some(bucket), Scheme::Oci | Scheme::S3) = (url.bucket(), url.scheme()) {
        let place: StoreUrl = url.place().parse().expect("the URL of a bucket is one");
        assert_eq!((place.bucket(), place.namespace()), (Some(bucket), url.namespace()));
    }
}

/// The OCI configuration file.
pub fn ini(data: &[u8]) {
    config::fuzzing::ini(data);
}

/// The text of settings: sizes, times, addresses and the rest of the table.
pub fn settings(data: &[u8]) {
    config::fuzzing::settings(data);
}

/// Keys in PEM.
pub fn key(data: &[u8]) {
    for passphrase in [None, Some(&b"correct-horse"[..])] {
        let Ok(key) = PrivateKey::from_pem(data, passphrase) else { continue };
        let printed = key.to_pkcs8_pem();
        let again = PrivateKey::from_pem(printed.as_bytes(), None).expect("a key that was written");
        assert_eq!(again.public_key(), key.public_key());
    }
    if let Ok(key) = PublicKey::from_pem(data) {
        let again = PublicKey::from_spki_der(key.spki_der()).expect("a key that was written");
        assert_eq!(again, key);
        let parts = PublicKey::from_components(key.modulus(), key.exponent());
        assert_eq!(parts.expect("the parts of a key"), key);
    }
}

/// Certificates, of an instance for example: in PEM, else in DER.
pub fn certificate(data: &[u8]) {
    let read = Certificate::from_pem(data);
    let read = read.or_else(|_| Certificate::from_der(data).map(|one| vec![one]));
    for certificate in read.unwrap_or_default() {
        let again = Certificate::from_der(certificate.der()).expect("it was read before");
        assert_eq!(again, certificate);
        assert_eq!(certificate.fingerprint().len(), 20 * 3 - 1);
        let der = rustls::pki_types::CertificateDer::from(certificate.der());
        if let Ok(second) = webpki::EndEntityCert::try_from(&der) {
            assert_eq!(certificate.spki_der(), second.subject_public_key_info().as_ref());
        }
    }
}

/// The `Authorization` header, and the verifier.
pub fn signature(data: &[u8]) {
    static KEY: LazyLock<PrivateKey> =
        LazyLock::new(|| PrivateKey::generate(2048).expect("a key is made"));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(read) = Authorization::parse(text) {
        let signed: Vec<&str> = read.signed_headers().iter().map(String::as_str).collect();
        let printed = authorization(read.key_id(), &signed, read.signature());
        assert_eq!(Authorization::parse(&printed).as_ref(), Ok(&read));
        if let Some(token) = read.key_id().strip_prefix("ST$").filter(|token| token.len() >= 8) {
            let names = read.signed_headers().join(" ");
            assert!(names.contains(token) || !format!("{read:?}").contains(token));
        }
    }
    let header = |name: &str| match name {
        "authorization" => Some(text),
        "host" => Some("host.example"),
        "date" | "x-date" => Some("Sun, 22 Nov 2026 06:00:00 GMT"),
        "content-length" => Some("0"),
        "content-type" => Some("application/json"),
        "x-content-sha256" => Some("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        _ => None,
    };
    let request = Request { method: "GET", target: "/n/ns/b/bucket/o", header: &header };
    for rule in [Rule::Generic, Rule::Body, Rule::BodyExcluded, Rule::Federation] {
        let key = |_: &str| Some(KEY.public_key().clone());
        let verified = verify(&request, rule, None, key, None);
        assert!(verified.is_err(), "nobody signs with this key");
    }
}

/// Session tokens: the claims of a JWT.
pub fn token(data: &[u8]) {
    auth::fuzzing::token(data);
}

/// `Content-Range`, status and length of the answer to a read.
pub fn content_range(data: &[u8]) {
    backend::fuzzing::content_range(data);
}

/// What the headers of an answer tell of an object: user metadata, tags, checksums.
pub fn object_headers(data: &[u8]) {
    backend::fuzzing::object_headers(data);
}

/// Dates: HTTP's, `Retry-After`, those of documents.
pub fn dates(data: &[u8]) {
    backend::fuzzing::dates(data);
}

/// Listings of the native API (JSON).
pub fn oci_list(data: &[u8]) {
    backend::fuzzing::oci_list(data);
}

/// The other documents of the native API: buckets, uploads, batches of removals, work requests.
pub fn oci_documents(data: &[u8]) {
    backend::fuzzing::oci_documents(data);
}

/// Refusals of the native API.
pub fn oci_error(data: &[u8]) {
    backend::fuzzing::oci_error(data);
}

/// Listings of S3 (XML), by the SDK.
#[cfg(feature = "s3")]
pub fn s3_list(data: &[u8]) {
    backend::fuzzing::s3_list(data);
}

/// The other documents of S3: uploads, batches of removals.
#[cfg(feature = "s3")]
pub fn s3_documents(data: &[u8]) {
    backend::fuzzing::s3_documents(data);
}

/// Refusals of S3, and errors inside a success.
#[cfg(feature = "s3")]
pub fn s3_error(data: &[u8]) {
    backend::fuzzing::s3_error(data);
}

/// HdrHistogram interval logs.
pub fn hlog(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = Snapshot::from_hlog(text) else { return };
    let again = Snapshot::from_hlog(&read.to_hlog()).expect("a log that was written");
    assert!(read.iter().map(|(key, _)| key).eq(again.iter().map(|(key, _)| key)));
    for ((_, one), (_, other)) in read.iter().zip(again.iter()) {
        check_same(one, other);
    }
    let mut twice = read.clone();
    twice.merge(&again);
    let _ = (twice.to_json(), prometheus_text(&twice));
    twice.iter().for_each(|(_, distribution)| drop(distribution.to_hgrm()));
    assert!(read.since(&read).is_empty());
}

/// One histogram on a line, as processes hand it over.
pub fn distribution(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = Distribution::decode(text) else { return };
    let again = Distribution::decode(&read.encode()).expect("a histogram that was written");
    if read.count() > 0 {
        check_same(&read, &again);
    }
}

fn check_same(one: &Distribution, other: &Distribution) {
    // Counts that were cut to what they can be are not those that were added up.
    if one.count() > i64::MAX as u64 {
        return;
    }
    assert_eq!((one.count(), one.sum()), (other.count(), other.sum()));
    assert_eq!((one.min(), one.max()), (other.min(), other.max()));
    assert!(one.buckets().eq(other.buckets()));
    for quantile in [0.0, 0.5, 0.999, 1.0] {
        assert_eq!(one.quantile(quantile), other.quantile(quantile));
    }
}

/// Files of TFRecord.
pub fn tfrecords(data: &[u8]) {
    let mut written = Vec::new();
    let mut end = data.len();
    for record in tfrecord::Records::new(data) {
        match record {
            Ok(record) => tfrecord::frame(&data[record], &mut written),
            Err(corrupt) => end = corrupt.offset as usize,
        }
    }
    assert_eq!(written, data[..end]);
}

/// Ranges in, requests out.
pub fn read_plan(data: &[u8]) {
    read::fuzzing::plan(data);
}

#[cfg(test)]
#[path = "../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    macro_rules! replayed {
        ($($(#[$only:meta])* $target:ident)+) => {
            $($(#[$only])* #[test] fn $target() {
                super::replay::replay(stringify!($target), super::$target);
            })+
        };
    }

    replayed! {
        url ini settings key certificate signature token content_range object_headers dates oci_list oci_documents oci_error
        #[cfg(feature = "s3")] s3_list
        #[cfg(feature = "s3")] s3_documents
        #[cfg(feature = "s3")] s3_error
        hlog distribution tfrecords read_plan
    }
}
