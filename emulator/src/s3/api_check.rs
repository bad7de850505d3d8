// SPDX-License-Identifier: Apache-2.0
//! What a request may ask for: the table of the API is read here, before anything is done. A
//! parameter of the query that is named as a header is one, as presigned requests have it.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use md5::{Digest as _, Md5};
use quick_xml::events::Event;
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::checksums;
use super::errors::{bad_request, not_implemented};
use crate::api::{Place, Refused, Table};
use crate::request::{raw_target, text};
use crate::target::Target;

/// The account that owns all buckets.
const ACCOUNT: &str = "000000000000";

/// The table of this API.
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("../api/s3.tsv")));

const PREFIX: &str = "x-amz-";

/// Parameters that are a signature's own, and no headers.
const SIGNATURE: [&str; 7] = [
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
];

/// The header for which a parameter of the query stands, if it does.
fn header_of(parameter: &str) -> Option<String> {
    let name = parameter.to_ascii_lowercase();
    (name.starts_with(PREFIX) && !SIGNATURE.contains(&name.as_str())).then_some(name)
}

/// Makes headers of the parameters that stand for them.
pub(super) fn take_headers_from_query(parts: &mut Parts) {
    for (name, value) in Target::parse(raw_target(parts)).pairs() {
        let name = header_of(name).and_then(|name| HeaderName::try_from(name).ok());
        if let (Some(name), Ok(value)) = (name, HeaderValue::try_from(value))
            && parts.headers.get(&name) != Some(&value)
        {
            parts.headers.append(name, value);
        }
    }
}

/// Refuses by its name what is not implemented.
pub(super) fn check(operation: &str, headers: &HeaderMap, target: &str) -> S3Result<()> {
    TABLE.check_operation(operation).map_err(not_implemented)?;
    // First, as an operation that came after `s3s` is taken for another by a parameter.
    for (name, value) in Target::parse(target).pairs() {
        if header_of(name).is_none() {
            TABLE.check(Place::Query, name, operation, value).map_err(not_implemented)?;
        }
    }
    TABLE.check_headers(operation, headers, PREFIX).map_err(not_implemented)?;
    check_owners(headers)
}

/// A request without a signature may not say how it is answered.
pub(super) fn check_unsigned(target: &str) -> S3Result<()> {
    if Target::parse(target).pairs().any(|(name, _)| name.starts_with("response-")) {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "Request specific response headers cannot be used for anonymous GET requests.",
        ));
    }
    Ok(())
}

/// All buckets have one owner.
fn check_owners(headers: &HeaderMap) -> S3Result<()> {
    for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
        match text(headers, name) {
            Some(owner) if owner.len() != 12 || !owner.bytes().all(|b| b.is_ascii_digit()) => {
                let why = format!("The value of {name} must be an AWS account ID");
                return Err(bad_request("InvalidBucketOwnerAWSAccountID", &why));
            }
            Some(owner) if owner != ACCOUNT => return Err(S3ErrorCode::AccessDenied.into()),
            _ => {}
        }
    }
    Ok(())
}

/// The error of a request that is no operation that `s3s` knows.
pub(super) fn unknown(asked: &Parts) -> S3Error {
    let target = Target::parse(raw_target(asked));
    let parameter = target.pairs().map(|(name, _)| name).find(|name| *name != "x-id");
    let name = match parameter {
        Some(parameter) => format!("{} ?{parameter}", asked.method),
        None => asked.method.to_string(),
    };
    not_implemented(Refused { place: Place::Operation, name })
}

/// Whether a request has a document as its body: all POSTs but forms, and PUTs that put no bytes.
pub(super) fn has_document(parts: &Parts) -> bool {
    let target = raw_target(parts);
    let path = target.split('?').next().unwrap_or_default();
    let has_key =
        || path.trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
    let is_form =
        || text(&parts.headers, "content-type").is_some_and(|kind| kind.starts_with("multipart/"));
    match parts.method.as_str() {
        "POST" => !is_form(),
        "PUT" => !has_key() || Target::parse(target).pairs().any(|(name, _)| name == "tagging"),
        _ => false,
    }
}

/// Judges the document that is a request's body: what is in it, and its checksums. Bytes that are
/// put are judged as they come.
pub(super) fn check_document(operation: &str, headers: &HeaderMap, body: &[u8]) -> S3Result<()> {
    if ["PutObject", "UploadPart"].contains(&operation) {
        return Ok(());
    }
    check_sums(operation, headers, body)?;
    let malformed = || S3Error::from(S3ErrorCode::MalformedXML);
    let mut reader = quick_xml::Reader::from_reader(body);
    let mut path = String::new();
    loop {
        let (start, is_empty) = match reader.read_event().map_err(|_| malformed())? {
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            Event::End(_) => {
                path.truncate(path.rfind('/').unwrap_or(0));
                continue;
            }
            Event::Eof => return Ok(()),
            _ => continue,
        };
        let above = path.len();
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(std::str::from_utf8(start.local_name().as_ref()).map_err(|_| malformed())?);
        if !TABLE.knows(&path, operation) {
            return Err(malformed());
        }
        TABLE.check(Place::Body, &path, operation, "").map_err(not_implemented)?;
        if is_empty {
            path.truncate(above);
        }
    }
}

/// The checksums of a document, of which DeleteObjects must have one. Where there is no body, they
/// are those of no bytes: Java's SDK sends them with GETs. Those of CompleteMultipartUpload are the
/// object's.
fn check_sums(operation: &str, headers: &HeaderMap, body: &[u8]) -> S3Result<()> {
    checksums::check_md5(headers, &STANDARD.encode(Md5::digest(body)))?;
    if operation == "CompleteMultipartUpload" {
        return Ok(());
    }
    match checksums::Sent::of(headers)? {
        Some(sent) => sent.check(None, &STANDARD.encode(sent.algorithm.of(body))),
        None if operation == "DeleteObjects" && !headers.contains_key("content-md5") => {
            Err(S3Error::with_message(
                S3ErrorCode::InvalidRequest,
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
            ))
        }
        None => Ok(()),
    }
}
