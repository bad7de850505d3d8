// SPDX-License-Identifier: Apache-2.0
//! The rules of what a client names and gives, and the errors where it breaks one.

use std::collections::BTreeMap;

use http::header::{HeaderName, HeaderValue};

use crate::api::{Place, Refused};
use crate::error::ApiError;
use crate::metadata::METADATA;
use crate::state::{BucketName, Object};

/// The rules of an object's name.
pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    if !(1..=1024).contains(&name.len()) || name.contains(['\r', '\n', '\0']) {
        return Err(ApiError::bad_request(
            "InvalidObjectName",
            "An object's name has 1 to 1024 bytes of UTF-8 and no LF, CR or NUL",
        ));
    }
    Ok(())
}

/// One of the three storage tiers.
pub(super) fn check_tier(tier: &str) -> Result<String, ApiError> {
    if ["Standard", "InfrequentAccess", "Archive"].contains(&tier) {
        return Ok(tier.to_owned());
    }
    Err(ApiError::bad_request(
        "InvalidParameter",
        "The storage tier is one of Standard, InfrequentAccess, Archive",
    ))
}

/// Of an object there is one version: no other is found.
pub(super) fn check_version(
    object: &Object,
    wanted: Option<&str>,
    bucket: &BucketName,
    name: &str,
) -> Result<(), ApiError> {
    if wanted.is_some_and(|version| version != object.version) {
        return Err(ApiError::object_not_found(&bucket.name, name));
    }
    Ok(())
}

/// User metadata as headers; the prefix may be left out.
pub(super) fn metadata_headers(
    metadata: BTreeMap<String, Option<String>>,
) -> impl Iterator<Item = (String, Option<String>)> {
    metadata.into_iter().map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix(METADATA).unwrap_or(&name);
        (format!("{METADATA}{name}"), value)
    })
}

/// A header that is kept with an object.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), ApiError> {
    let invalid =
        || ApiError::bad_request("InvalidMetadata", format!("'{name}: {value}' is no header"));
    Ok((
        HeaderName::try_from(name).map_err(|_| invalid())?,
        HeaderValue::try_from(value).map_err(|_| invalid())?,
    ))
}

/// An operation that no table names.
pub(super) fn not_served(name: &str) -> ApiError {
    Refused { place: Place::Operation, name: name.to_owned() }.into()
}

pub(super) fn not_utf8() -> ApiError {
    ApiError::bad_request("InvalidObjectName", "The object's name is not UTF-8")
}
