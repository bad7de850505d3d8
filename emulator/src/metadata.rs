// SPDX-License-Identifier: Apache-2.0
//! Headers that are kept with an object: those of its content, and user metadata.

use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE,
    HeaderName, HeaderValue,
};

use crate::error::ApiError;
use crate::state::Headers;

/// Content headers that are kept with an object and sent again; `opc-meta-*` are kept too.
pub(crate) const CONTENT_HEADERS: [HeaderName; 5] =
    [CONTENT_TYPE, CONTENT_LANGUAGE, CONTENT_ENCODING, CONTENT_DISPOSITION, CACHE_CONTROL];

/// The names of user metadata begin so.
pub(crate) const METADATA: &str = "opc-meta-";
/// Most bytes of user metadata, names and values together.
const MAX_METADATA: usize = 4096;

/// Refuses user metadata that is too much.
pub(crate) fn check_metadata(headers: &Headers) -> Result<(), ApiError> {
    let length = |(name, value): &(HeaderName, HeaderValue)| {
        Some(name.as_str().strip_prefix(METADATA)?.len() + value.len())
    };
    check_metadata_length(headers.iter().filter_map(length).sum())
}

/// The limit of the names and values of an object's or a bucket's user metadata.
pub(crate) fn check_metadata_length(length: usize) -> Result<(), ApiError> {
    if length <= MAX_METADATA {
        return Ok(());
    }
    Err(ApiError::bad_request(
        "MetadataTooLarge",
        format!("The metadata has {length} bytes, more than {MAX_METADATA}"),
    ))
}
