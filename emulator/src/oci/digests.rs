// SPDX-License-Identifier: Apache-2.0
//! Digests of a body: which are taken, and whether they are those that were sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderMap;

use crate::error::ApiError;
use crate::intake::{Algorithm, Received};
use crate::request::{chosen, text};
use crate::state::Checksums;

/// Digests that are kept because they came or were asked for, and their header. CRC32C is always
/// kept.
const DIGESTS: [(Algorithm, &str); 2] =
    [(Algorithm::Sha256, "opc-content-sha256"), (Algorithm::Sha384, "opc-content-sha384")];

/// Which digests of a body are to be taken: those that were sent or asked for.
pub(super) fn digests(headers: &HeaderMap) -> Vec<Algorithm> {
    let asked = chosen(headers, "opc-checksum-algorithm").and_then(Algorithm::named);
    let wanted = |(algorithm, name): &(Algorithm, &str)| {
        asked == Some(*algorithm) || headers.contains_key(*name)
    };
    DIGESTS.into_iter().filter(wanted).map(|(algorithm, _)| algorithm).collect()
}

/// Compares the checksums that were sent, and returns those beside CRC32C that are to be kept.
pub(super) fn check_received(
    headers: &HeaderMap,
    received: &Received,
) -> Result<Checksums, ApiError> {
    check_md5(headers, &STANDARD.encode(received.md5))?;
    check_algorithm(chosen(headers, "opc-checksum-algorithm"))?;
    check_digest(headers, "opc-content-crc32c", &base64_crc(received.crc32c))?;
    let mut kept = Vec::new();
    // Of those that were taken, a SHA-256 may have been for the signature alone.
    for algorithm in digests(headers) {
        for (_, name) in DIGESTS.iter().filter(|(listed, _)| *listed == algorithm) {
            let computed = received.base64(algorithm).unwrap_or_default();
            check_digest(headers, name, &computed)?;
            kept.push((algorithm.name().to_owned(), computed));
        }
    }
    Ok(kept)
}

/// A checksum algorithm that a client names.
pub(super) fn check_algorithm(asked: Option<&str>) -> Result<(), ApiError> {
    if asked.is_some_and(|asked| !["CRC32C", "SHA256", "SHA384"].contains(&asked)) {
        return Err(ApiError::bad_request(
            "InvalidParameter",
            "opc-checksum-algorithm is one of CRC32C, SHA256, SHA384",
        ));
    }
    Ok(())
}

fn check_md5(headers: &HeaderMap, computed: &str) -> Result<(), ApiError> {
    let Some(sent) = text(headers, "content-md5") else { return Ok(()) };
    if STANDARD.decode(sent).map_or(0, |md5| md5.len()) != 16 {
        return Err(ApiError::bad_request(
            "InvalidContentMD5",
            format!("The Content-MD5 header ({sent}) is not base64 of 16 bytes"),
        ));
    }
    if sent == computed {
        return Ok(());
    }
    Err(ApiError::bad_request(
        "UnmatchedContentMD5",
        format!(
            "The computed MD5 of the request body ({computed}) does not match the Content-MD5 \
             header ({sent})"
        ),
    ))
}

fn check_digest(headers: &HeaderMap, name: &str, computed: &str) -> Result<(), ApiError> {
    match text(headers, name) {
        Some(sent) if sent != computed => {
            let algorithm = name.trim_start_matches("opc-content-").to_ascii_uppercase();
            Err(ApiError::bad_request(
                &format!("UnmatchedContent{algorithm}"),
                format!(
                    "The computed {algorithm} of the request body ({computed}) does not match \
                     the {name} header ({sent})"
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// Base64 of a CRC, big-endian, as headers have it.
pub(super) fn base64_crc(crc: u32) -> String {
    STANDARD.encode(crc.to_be_bytes())
}
