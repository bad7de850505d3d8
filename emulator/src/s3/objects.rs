// SPDX-License-Identifier: Apache-2.0
//! Objects by the S3 API: get, head, put, copy, delete.

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_core::Stream as _;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE,
    HeaderMap, HeaderName, HeaderValue, RANGE,
};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::documents::{self, detailed, invalid_argument};
use super::lists::NULL;
use super::{Answer, Shared, Ticket, error, header_map, metadata, plan, set_checksums};
use crate::actions::copied;
use crate::intake::{Algorithm, Intake, Received};
use crate::objects::{KEPT, default_tier, new_object, text};
use crate::reply::ApiError;
use crate::storage::{Checksums, Condition, Headers, Object as Stored, matches};
use crate::target::form_text;

/// Most bytes of one PUT and of one CopyObject.
const MAX_BYTES: u64 = 5 << 30;
/// Most keys of one DeleteObjects.
const MAX_KEYS: usize = 1000;

pub(super) fn etag(stored: &Stored) -> ETag {
    ETag::Strong(stored.s3_etag())
}

/// What GetObject and HeadObject tell of an object beside its content headers.
fn described(stored: &Stored, headers: &HeaderMap) -> S3Result<HeaderMap> {
    let mut told = header_map(&[
        ("accept-ranges", "bytes".to_owned()),
        ("etag", format!("\"{}\"", stored.s3_etag())),
        ("last-modified", httpdate::fmt_http_date(stored.modified)),
    ])?;
    for (name, value) in &stored.headers {
        if let Some(key) = name.as_str().strip_prefix("opc-meta-") {
            let name = HeaderName::try_from(format!("x-amz-meta-{key}"));
            told.append(name.map_err(S3Error::internal_error)?, value.clone());
        }
    }
    // Those of a range are not known.
    let asked = text(headers, "x-amz-checksum-mode").filter(|_| !headers.contains_key(RANGE));
    if asked.is_some_and(|mode| mode.eq_ignore_ascii_case("enabled")) {
        for (algorithm, value) in &stored.checksums {
            let name = HeaderName::try_from(format!("x-amz-checksum-{algorithm}"));
            let value = HeaderValue::try_from(value).map_err(S3Error::internal_error)?;
            told.insert(name.map_err(S3Error::internal_error)?, value);
            let kind = HeaderValue::from_static(checksum_type(value_is_composite(stored)));
            told.insert("x-amz-checksum-type", kind);
        }
    }
    Ok(told)
}

fn value_is_composite(stored: &Stored) -> bool {
    stored.checksums.iter().any(|(_, value)| value.contains('-'))
}

pub(super) fn checksum_type(composite: bool) -> &'static str {
    if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT }
}

/// One of the content headers that were kept.
fn kept(stored: &Stored, name: &HeaderName) -> Option<String> {
    let (_, value) = stored.headers.iter().find(|(kept, _)| kept == name)?;
    value.to_str().ok().map(str::to_owned)
}

/// Finds an object that is to be read and judges the conditions.
fn find(
    api: &Shared,
    (bucket, key): (&str, &str),
    version: Option<&str>,
    headers: &HeaderMap,
) -> S3Result<Arc<Stored>> {
    let stored = find_version(api, (bucket, key), version)?;
    check_read(&stored, headers, "")?;
    Ok(stored)
}

/// An object, or the version of it that is named: its only one is the null version, and by the native API's id of it
/// it is found, too.
pub(super) fn find_version(
    api: &Shared,
    (bucket, key): (&str, &str),
    version: Option<&str>,
) -> S3Result<Arc<Stored>> {
    let found = api.storage().get(&api.name(bucket), key);
    let invalid = |why: &str| invalid_argument("versionId", version, why.to_owned());
    match (version, found) {
        (None, found) => found.map_err(error),
        (_, Err(failed)) if failed.code == "BucketNotFound" => Err(error(failed)),
        (Some(""), _) => Err(invalid("Version id cannot be the empty string")),
        (Some(NULL), found) => found.map_err(|_| S3ErrorCode::NoSuchVersion.into()),
        (Some(version), Ok(stored)) if version == stored.version => Ok(stored),
        _ => Err(invalid("Invalid version id specified")),
    }
}

/// The conditions of a read; those of a copy's source have a prefix.
pub(super) fn check_read(stored: &Stored, headers: &HeaderMap, prefix: &str) -> S3Result<()> {
    let sent = |name: &str| text(headers, &format!("{prefix}{name}"));
    let date = |name| sent(name).and_then(|date| httpdate::parse_http_date(date).ok());
    // Headers have whole seconds.
    let told = httpdate::fmt_http_date(stored.modified);
    let modified = httpdate::parse_http_date(&told).unwrap_or(SystemTime::UNIX_EPOCH);
    let failed = |condition: &str| {
        let condition = format!("{prefix}{condition}");
        Err(detailed(S3ErrorCode::PreconditionFailed.into(), &[("Condition", &condition)]))
    };
    match sent("if-match") {
        Some(wanted) if !stored.is_named_by(wanted) => return failed("If-Match"),
        None if date("if-unmodified-since").is_some_and(|date| modified > date) => {
            return failed("If-Unmodified-Since");
        }
        _ => {}
    }
    let unchanged = match sent("if-none-match") {
        Some(known) if matches(known, &stored.s3_etag()) || matches(known, &stored.etag) => {
            Some("If-None-Match")
        }
        None if date("if-modified-since").is_some_and(|date| modified <= date) => {
            Some("If-Modified-Since")
        }
        _ => None,
    };
    let Some(unchanged) = unchanged else { return Ok(()) };
    if !prefix.is_empty() {
        return failed(unchanged);
    }
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    error.set_headers(header_map(&[("etag", format!("\"{}\"", stored.s3_etag()))])?);
    Err(error)
}

pub(super) fn get(api: &Shared, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
    let (input, headers, plan) = (&request.input, &request.headers, plan(&request));
    let version = input.version_id.as_deref();
    let stored = find(api, (&input.bucket, &input.key), version, headers)?;
    if stored.is_archived(api.now()) {
        return Err(S3ErrorCode::InvalidObjectState.into());
    }
    let range = match &input.range {
        // Of an empty object, the last bytes are none, too.
        Some(range) if !plan.ignore_range => {
            let within = range.check(stored.size).ok().filter(|range| !range.is_empty());
            Some(within.ok_or_else(|| {
                let mut error = S3Error::new(S3ErrorCode::InvalidRange);
                let told = [("content-range", format!("bytes */{}", stored.size))];
                error.set_headers(header_map(&told).unwrap_or_default());
                error
            })?)
        }
        _ => None,
    };
    let off = u64::from(plan.wrong_content_range);
    let content_range = range.as_ref().map(|range| {
        format!("bytes {}-{}/{}", range.start + off, range.end - 1 + off, stored.size)
    });
    // What the request wants to be told goes before what was kept.
    let told = |asked: &Option<String>, name| asked.clone().or_else(|| kept(&stored, name));
    let payload = stored.content.payload(range.unwrap_or(0..stored.size));
    let mut response = S3Response::new(GetObjectOutput {
        content_length: Some(payload.len() as i64),
        content_range,
        content_type: told(&input.response_content_type, &CONTENT_TYPE),
        content_encoding: told(&input.response_content_encoding, &CONTENT_ENCODING),
        content_language: told(&input.response_content_language, &CONTENT_LANGUAGE),
        content_disposition: told(&input.response_content_disposition, &CONTENT_DISPOSITION),
        cache_control: told(&input.response_cache_control, &CACHE_CONTROL),
        ..Default::default()
    });
    response.headers = described(&stored, headers)?;
    response.extensions.insert(payload);
    Ok(response)
}

pub(super) fn head(api: &Shared, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
    let (input, headers) = (&request.input, &request.headers);
    let version = input.version_id.as_deref();
    let stored = find(api, (&input.bucket, &input.key), version, headers)?;
    let mut response = S3Response::new(HeadObjectOutput {
        content_length: Some(stored.size as i64),
        content_type: kept(&stored, &CONTENT_TYPE),
        content_encoding: kept(&stored, &CONTENT_ENCODING),
        content_language: kept(&stored, &CONTENT_LANGUAGE),
        content_disposition: kept(&stored, &CONTENT_DISPOSITION),
        cache_control: kept(&stored, &CACHE_CONTROL),
        ..Default::default()
    });
    response.headers = described(&stored, headers)?;
    Ok(response)
}

/// The headers that are kept with what is put.
pub(super) fn kept_headers(headers: &HeaderMap) -> Headers {
    let mut kept = metadata::kept(headers);
    for (name, value) in headers {
        if *name == CONTENT_ENCODING {
            // `aws-chunked` is of the transfer, not of the object.
            let text = value.to_str().unwrap_or_default();
            let text: Vec<_> =
                text.split(',').map(str::trim).filter(|one| *one != "aws-chunked").collect();
            let value = HeaderValue::try_from(text.join(",")).ok();
            kept.extend(value.filter(|v| !v.is_empty()).map(|value| (name.clone(), value)));
        } else if KEPT.contains(name) {
            kept.push((name.clone(), value.clone()));
        }
    }
    if !headers.contains_key(CONTENT_TYPE) {
        kept.push((CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream")));
    }
    kept
}

/// What a write asks for.
pub(super) fn condition(headers: &HeaderMap) -> S3Result<Condition> {
    let absent = match text(headers, "if-none-match") {
        None => false,
        Some("*") => true,
        Some(_) => return Err(S3ErrorCode::NotImplemented.into()),
    };
    Ok(Condition { if_match: text(headers, "if-match").map(str::to_owned), absent })
}

/// The error of a conditional write; of an object that is not there, no ETag can match.
pub(super) fn write_error(api: &Shared, bucket: &str, key: &str, failed: ApiError) -> S3Error {
    let absent = || api.storage().get(&api.name(bucket), key).is_err();
    if failed.code == "IfMatchFailed" && absent() {
        return S3ErrorCode::NoSuchKey.into();
    }
    error(failed)
}

pub(super) async fn put(
    api: &Shared,
    mut request: S3Request<PutObjectInput>,
) -> Answer<PutObjectOutput> {
    let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
    metadata::check(&request.headers)?;
    let tier = default_tier(api.storage(), &api.name(&bucket)).map_err(error)?;
    let condition = condition(&request.headers)?;
    let (body, length) = (request.input.body.take(), request.input.content_length);
    let (received, checksums) = receive(api, &request, body, length, None).await?;
    let stored = Stored {
        md5: STANDARD.encode(received.md5),
        crc32c: received.crc32c,
        checksums,
        ..new_object(received.content, &tier, kept_headers(&request.headers), api.now())
    };
    let stored = api
        .storage()
        .put(&api.name(&bucket), &key, stored, &condition)
        .map_err(|failed| write_error(api, &bucket, &key, failed))?;
    let mut output = PutObjectOutput { e_tag: Some(etag(&stored)), ..Default::default() };
    set_checksums!(output, &stored.checksums);
    Ok(S3Response::new(output))
}

/// Takes in a body and compares it with the checksums that came before or after it; those are
/// returned, and `also`.
pub(super) async fn receive<T>(
    api: &Shared,
    request: &S3Request<T>,
    body: Option<StreamingBlob>,
    length: Option<i64>,
    also: Option<Algorithm>,
) -> S3Result<(Received, Checksums)> {
    let headers = &request.headers;
    // A chunked body's own length stands apart; it may come without a Content-Length.
    let decoded = text(headers, "x-amz-decoded-content-length").and_then(|n| n.parse().ok());
    let length = decoded.or(length.map(i64::unsigned_abs));
    let length = length.ok_or(S3ErrorCode::MissingContentLength)?;
    if length > MAX_BYTES {
        let sizes = [("ProposedSize", length), ("MaxSizeAllowed", MAX_BYTES)];
        let sizes = sizes.map(|(name, size)| (name, size.to_string()));
        let sizes = sizes.each_ref().map(|(name, size)| (*name, size.as_str()));
        return Err(detailed(S3ErrorCode::EntityTooLarge.into(), &sizes));
    }
    let wanted = wanted(headers, also);
    let storage = |failed| error(ApiError::storage(failed));
    let mut intake = Intake::begin(api.storage().folder(), length, &wanted).map_err(storage)?;
    if let Some(mut body) = body {
        while let Some(data) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            let data = data.map_err(|failed| broken(request, &*failed))?;
            intake.write(&data).await.map_err(storage)?;
        }
    }
    let received = intake.finish().await.map_err(storage)?;
    if received.content.len() != length {
        return Err(S3ErrorCode::IncompleteBody.into());
    }
    check_md5(headers, &STANDARD.encode(received.md5))?;
    let mut checksums = Checksums::new();
    for algorithm in wanted {
        let computed = received.base64(algorithm).unwrap_or_default();
        let name = format!("x-amz-checksum-{}", algorithm.name());
        let trailer = request.trailing_headers.as_ref().and_then(|trailers| {
            trailers.read(|trailers| text(trailers, &name).map(str::to_owned)).flatten()
        });
        let sent = text(headers, &name).map(str::to_owned).or(trailer);
        if sent.is_some_and(|sent| sent != computed) {
            return Err(S3Error::with_message(
                S3ErrorCode::BadDigest,
                format!(
                    "The {} you specified did not match the calculated checksum.",
                    algorithm.name().to_uppercase()
                ),
            ));
        }
        checksums.push((algorithm.name().to_owned(), computed));
    }
    Ok((received, checksums))
}

/// The checksums to take: those that are sent before or after the body or asked for.
fn wanted(headers: &HeaderMap, also: Option<Algorithm>) -> Vec<Algorithm> {
    let trailers = text(headers, "x-amz-trailer").unwrap_or_default().to_ascii_lowercase();
    let asked = text(headers, "x-amz-sdk-checksum-algorithm").and_then(Algorithm::named);
    let is_wanted = |algorithm: &Algorithm| {
        let name = format!("x-amz-checksum-{}", algorithm.name());
        headers.contains_key(&name)
            || trailers.split(',').any(|trailer| trailer.trim() == name)
            || [asked, also].contains(&Some(*algorithm))
    };
    Algorithm::ALL.into_iter().filter(is_wanted).collect()
}

/// A body that is not the one that was signed.
fn broken<T>(request: &S3Request<T>, why: &(dyn std::error::Error + Send + Sync)) -> S3Error {
    let chunked = text(&request.headers, "x-amz-content-sha256")
        .is_some_and(|hash| hash.starts_with("STREAMING-"));
    let broke_off = request
        .extensions
        .get::<Ticket>()
        .is_some_and(|ticket| ticket.0.broken.load(std::sync::atomic::Ordering::Relaxed));
    let code = match (broke_off, chunked) {
        (true, _) => S3ErrorCode::IncompleteBody,
        (false, true) => S3ErrorCode::SignatureDoesNotMatch,
        (false, false) => {
            let mut error = S3Error::with_message(
                S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            );
            error.set_status_code(http::StatusCode::BAD_REQUEST);
            return error;
        }
    };
    S3Error::with_message(code, why.to_string())
}

fn check_md5(headers: &HeaderMap, computed: &str) -> S3Result<()> {
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

/// Where a copy reads: bucket, key, and the version if one is named.
///
/// The header is read here and not by the service, which takes a `+` for itself: S3 takes it for a
/// space, and clients (s5cmd) encode it so.
pub(super) fn copy_source(headers: &HeaderMap) -> S3Result<(String, String, Option<String>)> {
    let invalid = || {
        S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            "x-amz-copy-source is to be BUCKET/KEY, percent-encoded",
        )
    };
    let raw = text(headers, "x-amz-copy-source").ok_or_else(invalid)?;
    let (path, version) = match raw.split_once("?versionId=") {
        Some((path, version)) => (path, Some(version.to_owned())),
        None => (raw, None),
    };
    let path = form_text(path).map_err(|_| invalid())?;
    let (bucket, key) =
        path.strip_prefix('/').unwrap_or(&path).split_once('/').ok_or_else(invalid)?;
    Ok((bucket.to_owned(), key.to_owned(), version))
}

/// The object that a copy reads.
pub(super) fn source(api: &Shared, headers: &HeaderMap) -> S3Result<Arc<Stored>> {
    let (bucket, key, version) = copy_source(headers)?;
    // What is not there is the source, not what the request's target names.
    let missing = |failed: S3Error| {
        let is_bucket = *failed.code() == S3ErrorCode::NoSuchBucket;
        let name = if is_bucket { ("BucketName", &*bucket) } else { ("Key", &*key) };
        detailed(failed, &[name])
    };
    let stored = find_version(api, (&bucket, &key), version.as_deref()).map_err(missing)?;
    check_read(&stored, headers, "x-amz-copy-source-")?;
    if stored.is_archived(api.now()) {
        return Err(S3ErrorCode::InvalidObjectState.into());
    }
    Ok(stored)
}

pub(super) fn copy(api: &Shared, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
    let (input, headers) = (&request.input, &request.headers);
    metadata::check(headers)?;
    let found = source(api, headers)?;
    if found.size > MAX_BYTES {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            format!(
                "The specified copy source is larger than the maximum allowable size for a copy \
                 source: {MAX_BYTES}"
            ),
        ));
    }
    let directive = input.metadata_directive.as_ref().map(MetadataDirective::as_str);
    let replaced = directive == Some(MetadataDirective::REPLACE);
    let (bucket, key, _) = copy_source(headers)?;
    if (&bucket, &key) == (&input.bucket, &input.key) && !replaced {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "An object is copied to itself only with other metadata",
        ));
    }
    let kept = if replaced { kept_headers(headers) } else { found.headers.clone() };
    let name = api.name(&input.bucket);
    let tier = default_tier(api.storage(), &name).map_err(error)?;
    let stored = api
        .storage()
        .put(&name, &input.key, copied(&found, &tier, kept, api.now()), &condition(headers)?)
        .map_err(|failed| write_error(api, &input.bucket, &input.key, failed))?;
    let mut result = CopyObjectResult {
        e_tag: Some(etag(&stored)),
        last_modified: Some(stored.modified.into()),
        ..Default::default()
    };
    set_checksums!(result, &stored.checksums);
    Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
}

/// DeleteObject: what is not there is deleted already.
pub(super) fn delete(
    api: &Shared,
    request: S3Request<DeleteObjectInput>,
) -> Answer<DeleteObjectOutput> {
    let input = &request.input;
    let (place, if_match) = ((&*input.bucket, &*input.key), text(&request.headers, "if-match"));
    match delete_one(api, place, input.version_id.as_deref(), if_match) {
        // It is deleted already.
        Err(failed) if *failed.code() != S3ErrorCode::NoSuchVersion => Err(failed),
        _ => Ok(S3Response::new(DeleteObjectOutput {
            version_id: input.version_id.clone(),
            ..Default::default()
        })),
    }
}

/// Deletes an object, or the version of it that is named, if it is there.
fn delete_one(
    api: &Shared,
    (bucket, key): (&str, &str),
    version: Option<&str>,
    if_match: Option<&str>,
) -> S3Result<()> {
    let name = api.name(bucket);
    let found = version.map(|_| find_version(api, (bucket, key), version)).transpose()?;
    if let Some((found, wanted)) = found.as_ref().zip(if_match)
        && !found.is_named_by(wanted)
    {
        return Err(error(ApiError::if_match_failed()));
    }
    // The version that was found, and none that came meanwhile.
    let if_match = found.as_ref().map(|found| &*found.etag).or(if_match);
    match api.storage().delete(&name, key, if_match) {
        Err(failed) if failed.code != "ObjectNotFound" => Err(error(failed)),
        _ => Ok(()),
    }
}

pub(super) fn delete_many(
    api: &Shared,
    request: S3Request<DeleteObjectsInput>,
) -> Answer<DeleteObjectsOutput> {
    let DeleteObjectsInput { bucket, delete: Delete { objects, quiet }, .. } = request.input;
    api.storage().bucket(&api.name(&bucket)).map_err(error)?;
    if objects.is_empty() || objects.len() > MAX_KEYS {
        return Err(S3ErrorCode::MalformedXML.into());
    }
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in objects {
        let if_match = object.e_tag.as_ref().map(ETag::value);
        let version = object.version_id.as_deref();
        match delete_one(api, (&bucket, &object.key), version, if_match) {
            Err(failed) => errors.push(refused(object, &failed)),
            Ok(()) => deleted.push(DeletedObject {
                key: Some(object.key),
                version_id: object.version_id,
                ..Default::default()
            }),
        }
    }
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (quiet != Some(true)).then_some(deleted),
        errors: Some(errors),
        ..Default::default()
    }))
}

/// One of many that was not deleted. Here a version that cannot be one is one that is not there.
fn refused(object: ObjectIdentifier, failed: &S3Error) -> Error {
    let code = match failed.code() {
        S3ErrorCode::InvalidArgument => &S3ErrorCode::NoSuchVersion,
        other => other,
    };
    Error {
        code: Some(code.as_str().to_owned()),
        key: Some(object.key),
        message: documents::message(code.as_str()).or(failed.message()).map(str::to_owned),
        version_id: object.version_id,
    }
}
