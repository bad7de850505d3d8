// SPDX-License-Identifier: Apache-2.0
//! ETags: fresh ones, those of the S3 API, and whether a condition names one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::ApiError;

/// A fresh ETag: a UUID, as the service's are.
pub(crate) fn new_etag() -> String {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = bytes.map(|byte| format!("{byte:02x}")).concat();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Base64 of an MD5, with a number of parts or without, as the S3 API writes it.
pub(crate) fn s3_etag(md5: &str) -> String {
    let (digest, parts) = md5.split_at(md5.find('-').unwrap_or(md5.len()));
    let bytes = STANDARD.decode(digest).unwrap_or_default();
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat() + parts
}

/// `if-match` against what is there; ETags are sent bare, quoted ones are taken too.
pub(crate) fn check_if_match(wanted: Option<&str>, present: Option<&str>) -> Result<(), ApiError> {
    match wanted {
        Some(wanted) if !present.is_some_and(|etag| matches(wanted, etag)) => {
            Err(ApiError::if_match_failed())
        }
        _ => Ok(()),
    }
}

/// Whether a conditional header's value names this ETag.
pub(crate) fn matches(wanted: &str, etag: &str) -> bool {
    wanted == "*" || wanted.split(',').any(|one| one.trim().trim_matches('"') == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_are_uuids() {
        let etag = new_etag();
        assert_eq!(etag.len(), 36);
        assert_eq!(etag.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_ne!(etag, new_etag());
    }
}
