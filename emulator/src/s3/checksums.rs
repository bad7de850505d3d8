// SPDX-License-Identifier: Apache-2.0
//! Checksums that a request sends of its body, or announces as a trailer, and those that answers
//! tell.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderMap;
use s3s::dto::ChecksumType;
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders};

use super::errors::{bad_request, detailed, invalid};
use crate::intake::{Algorithm, Received};
use crate::request::text;
use crate::state::{Checksums, Upload};

/// The algorithms of this API.
pub(super) const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

/// The one checksum of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) algorithm: Algorithm,
    /// It is none where a trailer has it.
    value: Option<String>,
}

/// The header or trailer that has a checksum.
pub(super) fn header(algorithm: Algorithm) -> String {
    format!("x-amz-checksum-{}", algorithm.name())
}

impl Sent {
    /// What the headers say: there is one at most, and it is well-formed.
    pub(super) fn of(headers: &HeaderMap) -> S3Result<Option<Sent>> {
        let trailers = text(headers, "x-amz-trailer").unwrap_or_default().to_ascii_lowercase();
        let mut trailers: Vec<_> =
            trailers.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let mut sent = Vec::new();
        for algorithm in ALGORITHMS {
            let name = header(algorithm);
            let announced = trailers.len();
            trailers.retain(|trailer| *trailer != name);
            let is_trailer = trailers.len() < announced;
            match text(headers, &name) {
                Some(value) => sent.push(Sent { algorithm, value: Some(value.to_owned()) }),
                None if is_trailer => sent.push(Sent { algorithm, value: None }),
                None => {}
            }
        }
        if !trailers.is_empty() {
            return invalid("The value specified in the x-amz-trailer header is not supported");
        }
        if sent.len() > 1 {
            return invalid(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not \
                 allowed.",
            );
        }
        let sent = sent.pop();
        if let Some(Sent { algorithm, value: Some(value) }) = &sent {
            check_value(*algorithm, value)?;
        }
        match (text(headers, "x-amz-sdk-checksum-algorithm"), &sent) {
            (Some(_), None) => invalid(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* \
                 or x-amz-trailer headers were found.",
            ),
            (Some(named), Some(sent)) if Algorithm::named(named) != Some(sent.algorithm) => {
                invalid("Value for x-amz-sdk-checksum-algorithm header is invalid.")
            }
            _ => Ok(sent),
        }
    }

    /// Compares it with what was computed.
    pub(super) fn check(&self, trailers: Option<&TrailingHeaders>, computed: &str) -> S3Result<()> {
        let name = header(self.algorithm);
        let trailer =
            || trailers?.read(|trailers| text(trailers, &name).map(str::to_owned)).flatten();
        let Some(value) = self.value.clone().or_else(trailer) else {
            return Err(bad_request(
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform \
                 to our published schema.",
            ));
        };
        check_value(self.algorithm, &value)?;
        if value == computed {
            return Ok(());
        }
        Err(S3Error::with_message(
            S3ErrorCode::BadDigest,
            format!(
                "The {} you specified did not match the calculated checksum.",
                self.algorithm.name().to_uppercase()
            ),
        ))
    }
}

/// Whether a checksum is one of its kind.
fn check_value(algorithm: Algorithm, value: &str) -> S3Result<()> {
    let decoded = STANDARD.decode(value).map_or(0, |bytes| bytes.len());
    if decoded == algorithm.of(b"").len() {
        return Ok(());
    }
    invalid(format!("Value for {} header is invalid.", header(algorithm)))
}

pub(super) fn check_md5(headers: &HeaderMap, computed: &str) -> S3Result<()> {
    let Some(sent) = text(headers, "content-md5") else { return Ok(()) };
    if STANDARD.decode(sent).map_or(0, |md5| md5.len()) != 16 {
        return Err(S3ErrorCode::InvalidDigest.into());
    }
    if sent != computed {
        let error = S3Error::with_message(
            S3ErrorCode::BadDigest,
            "The Content-MD5 you specified did not match what we received.",
        );
        return Err(detailed(error, &[("ExpectedDigest", sent), ("CalculatedDigest", computed)]));
    }
    Ok(())
}

/// The checksum of a part must be the one that its upload was begun with; it may be left out
/// where that of the whole is asked for.
pub(super) fn check_part(upload: &Upload, sent: Option<&Sent>) -> S3Result<()> {
    let Some(expected) = upload.checksum.as_deref() else { return Ok(()) };
    let actual = match sent {
        Some(sent) => sent.algorithm.name(),
        None if upload.checksum_of_whole => return Ok(()),
        None => "null",
    };
    if actual == expected {
        return Ok(());
    }
    invalid(format!(
        "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum \
         Type: {actual}"
    ))
}

pub(super) fn checksum_type(composite: bool) -> &'static str {
    if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT }
}

/// The checksums of a content that are kept.
pub(super) fn kept_checksums(received: &Received, wanted: &[Algorithm]) -> Checksums {
    let kept = |taken: &Algorithm| Some((taken.name().to_owned(), received.base64(*taken)?));
    wanted.iter().filter_map(kept).collect()
}

/// Fills the checksum fields of an output.
macro_rules! set_checksums {
    ($output:expr, $checksums:expr) => {
        for (algorithm, value) in $checksums {
            let value = Some(value.clone());
            match algorithm.as_str() {
                "crc32" => $output.checksum_crc32 = value,
                "crc32c" => $output.checksum_crc32c = value,
                "crc64nvme" => $output.checksum_crc64nvme = value,
                "sha1" => $output.checksum_sha1 = value,
                "sha256" => $output.checksum_sha256 = value,
                _ => {}
            }
        }
    };
}
pub(super) use set_checksums;
