// SPDX-License-Identifier: Apache-2.0
//! What the answers of the service hold.

use crate::backend::Next;
use crate::backend::http::promise::Promise;
use crate::backend::http::{self, text};
use crate::error::{ErrorKind, Failure};
use crate::types::{Checksum, ObjectMeta};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderMap;
use serde::Deserialize;

/// The metadata that names the call which wrote an object under a condition (`ObjectMeta::mark`).
const MARK: &str = "opc-meta-storescope-write";

/// The header of a whole object's or part's CRC32C.
pub(super) const CRC32C: &str = "opc-content-crc32c";

/// What names of user metadata begin with.
pub(super) const METADATA: &str = "opc-meta-";

pub(super) fn misread(why: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::Protocol).message(why)
}

/// The JSON that an answer is promised to hold.
pub(super) fn parsed<'a, T: Deserialize<'a>>(
    promise: &Promise,
    headers: &HeaderMap,
    document: &'a [u8],
) -> Result<T, Failure> {
    serde_json::from_slice(document).map_err(|e| promise.lacks_document(headers).source(e))
}

/// What an answer's headers say of the object.
pub(super) fn meta(key: &str, size: u64, headers: &HeaderMap) -> ObjectMeta {
    let told = http::described(key, size, headers, METADATA, MARK);
    let version = text(headers, "version-id").map(str::to_owned);
    ObjectMeta { checksum: checksum(headers), version, ..told }
}

/// The whole object's checksum: CRC32C, which every object has, else the MD5 of a single PUT.
fn checksum(headers: &HeaderMap) -> Option<Checksum> {
    if let Some(crc) = text(headers, CRC32C).and_then(http::read_crc32c) {
        return Some(Checksum::Crc32c(crc));
    }
    let md5 = STANDARD.decode(text(headers, "content-md5")?).ok()?;
    md5.try_into().ok().map(Checksum::Md5)
}

/// The checksum that a write's answer tells must be that of the bytes sent.
pub(super) fn check_stored(checksum: Option<Checksum>, headers: &HeaderMap) -> Result<(), Failure> {
    let (name, ours) = match checksum {
        None => return Ok(()),
        Some(Checksum::Crc32c(crc)) => (CRC32C, http::show_crc32c(crc)),
        Some(Checksum::Md5(md5)) => ("opc-content-md5", STANDARD.encode(md5)),
    };
    http::check_stored(name, &ours, text(headers, name))
}

/// The token of the next page.
pub(super) fn next_page(headers: &HeaderMap) -> Option<Next> {
    text(headers, "opc-next-page").map(|page| Next::Token(page.to_owned()))
}
