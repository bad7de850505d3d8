// SPDX-License-Identifier: Apache-2.0
//! The headers that are kept with an object: of its content, user metadata, tags and the few others
//! that answers return.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPIRES, HeaderMap, HeaderName, HeaderValue};
use s3s::S3Result;
use s3s::dto::ServerSideEncryption;

use super::errors::bad_request;
use super::tags::TAGGING;
use super::{metadata, tags};
use crate::metadata::CONTENT_HEADERS;
use crate::request::text;
use crate::state::{Headers, Object as Stored};

/// Headers beside the content's that are kept with what is put, and returned as they came.
const RETURNED: [HeaderName; 2] = [
    HeaderName::from_static("x-amz-server-side-encryption"),
    HeaderName::from_static("x-amz-website-redirect-location"),
];

/// All headers that are kept with what is put.
pub(super) fn kept_headers(headers: &HeaderMap) -> S3Result<Headers> {
    let mut kept = content_headers(headers);
    kept.extend(returned_headers(headers)?);
    kept.extend(tags::of_header(headers.get(TAGGING))?.map(|tags| (TAGGING, tags)));
    Ok(kept)
}

/// The headers of the content, and user metadata.
fn content_headers(headers: &HeaderMap) -> Headers {
    let mut kept = metadata::user_metadata(headers);
    for (name, value) in headers {
        if *name == CONTENT_ENCODING {
            // `aws-chunked` is of the transfer, not of the object.
            let text = value.to_str().unwrap_or_default();
            let text: Vec<_> =
                text.split(',').map(str::trim).filter(|one| *one != "aws-chunked").collect();
            let value = HeaderValue::try_from(text.join(",")).ok();
            kept.extend(value.filter(|v| !v.is_empty()).map(|value| (name.clone(), value)));
        } else if CONTENT_HEADERS.contains(name) || *name == EXPIRES {
            kept.push((name.clone(), value.clone()));
        }
    }
    if !headers.contains_key(CONTENT_TYPE) {
        kept.push((CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream")));
    }
    kept
}

/// What else is returned as it came.
fn returned_headers(headers: &HeaderMap) -> S3Result<Headers> {
    let redirect = text(headers, "x-amz-website-redirect-location");
    let is_place = |to: &str| ["/", "http://", "https://"].iter().any(|p| to.starts_with(p));
    if redirect.is_some_and(|to| !is_place(to)) {
        return Err(bad_request(
            "InvalidRedirectLocation",
            "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
        ));
    }
    let kept = |name: HeaderName| Some((name.clone(), headers.get(name)?.clone()));
    Ok(RETURNED.into_iter().filter_map(kept).collect())
}

/// What answers to a write tell of the encryption that was asked for.
pub(super) fn encryption(headers: &Headers) -> Option<ServerSideEncryption> {
    let (_, value) = headers.iter().find(|(name, _)| *name == RETURNED[0])?;
    Some(ServerSideEncryption::from(value.to_str().ok()?.to_owned()))
}

/// Whether a copy asks for anything that its source may not be.
pub(super) fn changes(headers: &HeaderMap) -> bool {
    let is_asked = |name: &HeaderName| headers.contains_key(name);
    replaces(headers, "x-amz-metadata-directive")
        || headers.contains_key("x-amz-storage-class")
        || RETURNED.iter().any(is_asked)
}

/// What is kept with a copy: each of metadata and tags is the source's or the request's.
pub(super) fn copied_headers(found: &Stored, headers: &HeaderMap) -> S3Result<Headers> {
    let of_source = |kept: &&(HeaderName, HeaderValue)| !kept.0.as_str().starts_with("x-amz-");
    let mut kept = if replaces(headers, "x-amz-metadata-directive") {
        content_headers(headers)
    } else {
        found.headers.iter().filter(of_source).cloned().collect()
    };
    kept.extend(returned_headers(headers)?);
    if replaces(headers, "x-amz-tagging-directive") {
        kept.extend(tags::of_header(headers.get(TAGGING))?.map(|tags| (TAGGING, tags)));
    } else {
        kept.extend(found.headers.iter().filter(|(name, _)| *name == TAGGING).cloned());
    }
    Ok(kept)
}

fn replaces(headers: &HeaderMap, directive: &str) -> bool {
    text(headers, directive).is_some_and(|value| value.eq_ignore_ascii_case("REPLACE"))
}
