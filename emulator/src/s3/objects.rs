// SPDX-License-Identifier: Apache-2.0
//! Objects by the S3 API: get, head, put, copy, delete.

use std::ops::Range as Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_core::Stream as _;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES,
    HeaderMap, HeaderName, HeaderValue,
};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::checksums::{self, Sent};
use super::documents::{self, detailed, invalid_argument};
use super::lists::NULL;
use super::tags::{self, TAGGING};
use super::{Answer, Shared, Ticket, error, gate, header_map, metadata, plan, set_checksums};
use crate::actions::copied;
use crate::api::{Place, Refused};
use crate::intake::{Algorithm, Intake, Received};
use crate::objects::{KEPT, default_tier, new_object, text};
use crate::reply::ApiError;
use crate::storage::{Checksums, Condition, Headers, Object as Stored, matches};
use crate::target::{Target, form_text};
use crate::uploads::MAX_PART;

/// Most bytes of one PUT and of one CopyObject.
const MAX_BYTES: u64 = 5 << 30;
/// Most keys of one DeleteObjects.
const MAX_KEYS: usize = 1000;

pub(super) fn etag(stored: &Stored) -> ETag {
    ETag::Strong(stored.s3_etag())
}

/// Headers beside the content's that are kept with what is put, and told again.
const TOLD_AGAIN: [HeaderName; 2] = [
    HeaderName::from_static("x-amz-server-side-encryption"),
    HeaderName::from_static("x-amz-website-redirect-location"),
];

/// The storage classes that OCI's tiers are.
const CLASSES: [(&str, &str); 3] =
    [("STANDARD", "Standard"), ("STANDARD_IA", "InfrequentAccess"), ("GLACIER", "Archive")];

/// Parameters that replace a header of the answer.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-content-type", CONTENT_TYPE),
    ("response-content-language", CONTENT_LANGUAGE),
    ("response-content-encoding", CONTENT_ENCODING),
    ("response-content-disposition", CONTENT_DISPOSITION),
    ("response-cache-control", CACHE_CONTROL),
    ("response-expires", EXPIRES),
];

/// The storage class of an object, as lists tell it.
pub(super) fn storage_class(tier: &str) -> &'static str {
    CLASSES.iter().find(|(_, known)| *known == tier).map_or("STANDARD", |(class, _)| class)
}

/// The tier of what is put: that of the class that is asked for, or the bucket's.
pub(super) fn tier(api: &Shared, bucket: &str, headers: &HeaderMap) -> S3Result<String> {
    let of_bucket = default_tier(api.storage(), &api.name(bucket)).map_err(error)?;
    let asked = text(headers, "x-amz-storage-class");
    let named = asked.map(|asked| CLASSES.iter().find(|(class, _)| *class == asked));
    match named {
        None => Ok(of_bucket),
        Some(Some((_, tier))) => Ok((*tier).to_owned()),
        Some(None) => Err(S3ErrorCode::InvalidStorageClass.into()),
    }
}

/// What of an object is asked for, and how its answer is to be told.
struct Asked<'a> {
    target: Target,
    headers: &'a HeaderMap,
    /// None is all of it.
    range: Option<Bytes<u64>>,
    /// The place of the part that is asked for, of an object that was made of parts.
    part: Option<usize>,
}

impl<'a> Asked<'a> {
    fn of<T>(
        request: &'a S3Request<T>,
        stored: &Stored,
        (range, part): (Option<&Range>, Option<i32>),
    ) -> S3Result<Asked<'a>> {
        let plan = plan(request);
        let target = request.extensions.get::<Ticket>().map_or("", |ticket| &ticket.0.target);
        let mut asked = Asked {
            target: Target::parse(target),
            headers: &request.headers,
            range: None,
            part: None,
        };
        match (range, part) {
            (Some(_), Some(_)) => {
                return checksums::invalid(
                    "Cannot specify both Range header and partNumber query parameter",
                );
            }
            (Some(range), None) if !plan.ignore_range => {
                // Of an empty object, the last bytes are none, too.
                let within = range.check(stored.size).ok().filter(|range| !range.is_empty());
                asked.range = Some(within.ok_or_else(|| out_of_range(stored.size))?);
            }
            (None, Some(number)) => (asked.range, asked.part) = part_of(stored, number)?,
            _ => {}
        }
        Ok(asked)
    }

    /// The bytes of the answer.
    fn bytes(&self, stored: &Stored) -> Bytes<u64> {
        self.range.clone().unwrap_or(0..stored.size)
    }

    fn content_range(&self, stored: &Stored, off: u64) -> Option<String> {
        let range = self.range.as_ref().filter(|range| !range.is_empty())?;
        let (first, last) = (range.start + off, range.end - 1 + off);
        Some(format!("bytes {first}-{last}/{}", stored.size))
    }

    /// What GetObject and HeadObject tell of an object.
    fn described(&self, stored: &Stored, now: SystemTime) -> S3Result<HeaderMap> {
        let mut told = header_map(&[
            ("accept-ranges", "bytes".to_owned()),
            ("etag", format!("\"{}\"", stored.s3_etag())),
            ("last-modified", httpdate::fmt_http_date(stored.modified)),
        ])?;
        for (name, value) in &stored.headers {
            if let Some(key) = name.as_str().strip_prefix("opc-meta-") {
                let name = HeaderName::try_from(format!("x-amz-meta-{key}"));
                told.append(name.map_err(S3Error::internal_error)?, value.clone());
            } else if *name != TAGGING {
                told.append(name.clone(), value.clone());
            }
        }
        told.extend(header_map(&self.counted(stored, now))?);
        // What the request wants to be told goes before what was kept.
        for (parameter, header) in OVERRIDES {
            if let Some(value) = self.target.query(parameter) {
                let value = HeaderValue::try_from(value).map_err(|_| {
                    let why = "Header value cannot be represented using ISO-8859-1.";
                    S3Error::with_message(S3ErrorCode::InvalidArgument, why)
                })?;
                told.insert(header, value);
            }
        }
        Ok(told)
    }

    /// What is told of some objects only.
    fn counted(&self, stored: &Stored, now: SystemTime) -> Vec<(&'static str, String)> {
        let mut told = Vec::new();
        let tags = tags::of(&stored.headers).len();
        if tags > 0 {
            told.push(("x-amz-tagging-count", tags.to_string()));
        }
        if stored.storage_tier != "Standard" {
            told.push(("x-amz-storage-class", storage_class(&stored.storage_tier).to_owned()));
        }
        if let Some(until) = stored.restored_until.filter(|until| *until > now) {
            let until = httpdate::fmt_http_date(until);
            let text = format!("ongoing-request=\"false\", expiry-date=\"{until}\"");
            told.push(("x-amz-restore", text));
        }
        if self.part.is_some() {
            told.push(("x-amz-mp-parts-count", stored.parts.len().to_string()));
        }
        told.extend(self.checksums(stored));
        told
    }

    /// The checksums of what is told, if they are asked for; those of a range are not known.
    fn checksums(&self, stored: &Stored) -> Vec<(&'static str, String)> {
        let mode = text(self.headers, "x-amz-checksum-mode").unwrap_or_default();
        let is_composite = stored.checksums.iter().any(|(_, value)| value.contains('-'));
        let known = match (self.part, &self.range) {
            _ if !mode.eq_ignore_ascii_case("enabled") => return Vec::new(),
            (Some(part), _) if is_composite => &stored.parts[part].checksums,
            (_, Some(range)) if *range != (0..stored.size) => return Vec::new(),
            _ => &stored.checksums,
        };
        let name = |algorithm: &str| {
            let name = format!("x-amz-checksum-{algorithm}");
            CHECKSUMS.into_iter().find(|known| **known == *name)
        };
        let mut told: Vec<_> = known
            .iter()
            .filter_map(|(algorithm, value)| Some((name(algorithm)?, value.clone())))
            .collect();
        if !told.is_empty() {
            told.push(("x-amz-checksum-type", checksum_type(is_composite).to_owned()));
        }
        told
    }
}

const CHECKSUMS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// The bytes of a part, and its place. An object that was put whole has one part, the first.
fn part_of(stored: &Stored, number: i32) -> S3Result<(Option<Bytes<u64>>, Option<usize>)> {
    let asked = u32::try_from(number).ok().filter(|number| (1..=MAX_PART).contains(number));
    let asked = asked.ok_or_else(|| {
        let why = format!("Part number must be an integer between 1 and {MAX_PART}, inclusive");
        invalid_argument("partNumber", Some(&number.to_string()), why)
    })?;
    if stored.parts.is_empty() && stored.is_multipart() {
        // It was kept in a folder by an emulator that forgot the parts.
        let refused = Refused { place: Place::Query, name: "partNumber".to_owned() };
        return Err(gate::not_implemented(refused));
    }
    if stored.parts.is_empty() && asked == 1 {
        return Ok(((stored.size > 0).then_some(0..stored.size), None));
    }
    let mut start = 0;
    for (place, part) in stored.parts.iter().enumerate() {
        if part.number == asked {
            return Ok((Some(start..start + part.size), Some(place)));
        }
        start += part.size;
    }
    let code = S3ErrorCode::Custom("InvalidPartNumber".into());
    let mut error = S3Error::with_message(code, "The requested partnumber is not satisfiable");
    error.set_status_code(StatusCode::RANGE_NOT_SATISFIABLE);
    let (asked, count) = (number.to_string(), stored.parts.len().max(1).to_string());
    Err(detailed(error, &[("PartNumberRequested", &asked), ("ActualPartCount", &count)]))
}

fn out_of_range(size: u64) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::InvalidRange);
    let told = [("content-range", format!("bytes */{size}"))];
    error.set_headers(header_map(&told).unwrap_or_default());
    error
}

pub(super) fn checksum_type(composite: bool) -> &'static str {
    if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT }
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

/// An object, or the version of it that is named: its only one is the null version, and by the
/// native API's id of it it is found, too.
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

/// A time as headers tell it.
pub(super) fn whole_seconds(time: SystemTime) -> SystemTime {
    let told = httpdate::fmt_http_date(time);
    httpdate::parse_http_date(&told).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The conditions of a read; those of a copy's source have a prefix.
pub(super) fn check_read(stored: &Stored, headers: &HeaderMap, prefix: &str) -> S3Result<()> {
    let sent = |name: &str| text(headers, &format!("{prefix}{name}"));
    let date = |name| sent(name).and_then(|date| httpdate::parse_http_date(date).ok());
    let modified = whole_seconds(stored.modified);
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
    let (input, headers) = (&request.input, &request.headers);
    let version = input.version_id.as_deref();
    let stored = find(api, (&input.bucket, &input.key), version, headers)?;
    if stored.is_archived(api.now()) {
        return Err(S3ErrorCode::InvalidObjectState.into());
    }
    let asked = Asked::of(&request, &stored, (input.range.as_ref(), input.part_number))?;
    let off = u64::from(plan(&request).wrong_content_range);
    let payload = stored.content.payload(asked.bytes(&stored));
    let mut response = S3Response::new(GetObjectOutput {
        content_length: Some(payload.len() as i64),
        content_range: asked.content_range(&stored, off),
        ..Default::default()
    });
    response.headers = asked.described(&stored, api.now())?;
    response.extensions.insert(payload);
    Ok(response)
}

/// HeadObject; the status of a part is that of its `content-range`.
pub(super) fn head(api: &Shared, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
    let (input, headers) = (&request.input, &request.headers);
    let version = input.version_id.as_deref();
    let stored = find(api, (&input.bucket, &input.key), version, headers)?;
    let asked = Asked::of(&request, &stored, (input.range.as_ref(), input.part_number))?;
    let bytes = asked.bytes(&stored);
    let mut response = S3Response::new(HeadObjectOutput {
        content_length: Some((bytes.end - bytes.start) as i64),
        content_range: asked.content_range(&stored, 0),
        ..Default::default()
    });
    response.headers = asked.described(&stored, api.now())?;
    Ok(response)
}

/// All headers that are kept with what is put.
pub(super) fn kept_headers(headers: &HeaderMap) -> S3Result<Headers> {
    let mut kept = content_headers(headers);
    kept.extend(told_again(headers)?);
    kept.extend(tags::kept(headers.get(TAGGING))?.map(|tags| (TAGGING, tags)));
    Ok(kept)
}

/// The headers of the content, and user metadata.
fn content_headers(headers: &HeaderMap) -> Headers {
    let mut kept = metadata::kept(headers);
    for (name, value) in headers {
        if *name == CONTENT_ENCODING {
            // `aws-chunked` is of the transfer, not of the object.
            let text = value.to_str().unwrap_or_default();
            let text: Vec<_> =
                text.split(',').map(str::trim).filter(|one| *one != "aws-chunked").collect();
            let value = HeaderValue::try_from(text.join(",")).ok();
            kept.extend(value.filter(|v| !v.is_empty()).map(|value| (name.clone(), value)));
        } else if KEPT.contains(name) || *name == EXPIRES {
            kept.push((name.clone(), value.clone()));
        }
    }
    if !headers.contains_key(CONTENT_TYPE) {
        kept.push((CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream")));
    }
    kept
}

/// What else is told as it came.
fn told_again(headers: &HeaderMap) -> S3Result<Headers> {
    let redirect = text(headers, "x-amz-website-redirect-location");
    let is_place = |to: &str| ["/", "http://", "https://"].iter().any(|p| to.starts_with(p));
    if redirect.is_some_and(|to| !is_place(to)) {
        return Err(gate::bad_request(
            "InvalidRedirectLocation",
            "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
        ));
    }
    let kept = |name: HeaderName| Some((name.clone(), headers.get(name)?.clone()));
    Ok(TOLD_AGAIN.into_iter().filter_map(kept).collect())
}

/// What answers to a write tell of the encryption that was asked for.
pub(super) fn encryption(headers: &Headers) -> Option<ServerSideEncryption> {
    let (_, value) = headers.iter().find(|(name, _)| *name == TOLD_AGAIN[0])?;
    Some(ServerSideEncryption::from(value.to_str().ok()?.to_owned()))
}

/// What a write asks for.
pub(super) fn condition(headers: &HeaderMap) -> S3Result<Condition> {
    let (known, other) = (text(headers, "if-match"), text(headers, "if-none-match"));
    let refuse = |name: &str| Err(gate::not_implemented(Refused::header(name)));
    match (known, other) {
        (Some(_), Some(_)) => refuse("if-match,if-none-match"),
        (Some("*"), _) => refuse("if-match"),
        (_, Some(other)) if other != "*" => refuse("if-none-match"),
        _ => Ok(Condition { if_match: known.map(str::to_owned), absent: other.is_some() }),
    }
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
    let tier = tier(api, &bucket, &request.headers)?;
    let (condition, kept) = (condition(&request.headers)?, kept_headers(&request.headers)?);
    let (body, length) = (request.input.body.take(), request.input.content_length);
    let (received, checksums) = receive(api, &request, body, length, None).await?;
    let stored = Stored {
        md5: STANDARD.encode(received.md5),
        crc32c: received.crc32c,
        checksums,
        ..new_object(received.content, &tier, kept, api.now())
    };
    let stored = api
        .storage()
        .put(&api.name(&bucket), &key, stored, &condition)
        .map_err(|failed| write_error(api, &bucket, &key, failed))?;
    let mut output = PutObjectOutput {
        e_tag: Some(etag(&stored)),
        server_side_encryption: encryption(&stored.headers),
        checksum_type: stored.checksums.first().map(|_| checksum_type(false).to_owned().into()),
        ..Default::default()
    };
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
    let sent = Sent::of(headers)?;
    let is_wanted = |algorithm: &Algorithm| {
        sent.as_ref().is_some_and(|sent| sent.algorithm == *algorithm) || also == Some(*algorithm)
    };
    let wanted: Vec<_> = checksums::ALGORITHMS.into_iter().filter(is_wanted).collect();
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
    checksums::check_md5(headers, &STANDARD.encode(received.md5))?;
    if let Some(sent) = sent {
        let computed = received.base64(sent.algorithm).unwrap_or_default();
        sent.check(request.trailing_headers.as_ref(), &computed)?;
    }
    let kept = kept_checksums(&received, &wanted);
    Ok((received, kept))
}

/// The checksums of a content that are kept.
pub(super) fn kept_checksums(received: &Received, wanted: &[Algorithm]) -> Checksums {
    let kept = |taken: &Algorithm| Some((taken.name().to_owned(), received.base64(*taken)?));
    wanted.iter().filter_map(kept).collect()
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

pub(super) async fn copy(
    api: &Shared,
    request: S3Request<CopyObjectInput>,
) -> Answer<CopyObjectOutput> {
    let (input, headers) = (&request.input, &request.headers);
    metadata::check(headers)?;
    let found = source(api, headers)?;
    if found.size > MAX_BYTES {
        return checksums::invalid(format!(
            "The specified copy source is larger than the maximum allowable size for a copy \
             source: {MAX_BYTES}"
        ));
    }
    let (bucket, key, _) = copy_source(headers)?;
    if (&bucket, &key) == (&input.bucket, &input.key) && !changes(headers) {
        return checksums::invalid(
            "This copy request is illegal because it is trying to copy an object to itself \
             without changing the object's metadata, storage class, website redirect location or \
             encryption attributes.",
        );
    }
    let (tier, kept) = (tier(api, &input.bucket, headers)?, copied_headers(&found, headers)?);
    let stored = hashed(&found, headers, copied(&found, &tier, kept, api.now())).await?;
    let stored = api
        .storage()
        .put(&api.name(&input.bucket), &input.key, stored, &condition(headers)?)
        .map_err(|failed| write_error(api, &input.bucket, &input.key, failed))?;
    let mut result = CopyObjectResult {
        e_tag: Some(etag(&stored)),
        last_modified: Some(stored.modified.into()),
        checksum_type: stored.checksums.first().map(|_| checksum_type(false).to_owned().into()),
        ..Default::default()
    };
    set_checksums!(result, &stored.checksums);
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        server_side_encryption: encryption(&stored.headers),
        ..Default::default()
    }))
}

/// Whether a copy asks for anything that its source may not be.
fn changes(headers: &HeaderMap) -> bool {
    let is_asked = |name: &HeaderName| headers.contains_key(name);
    replaces(headers, "x-amz-metadata-directive")
        || headers.contains_key("x-amz-storage-class")
        || TOLD_AGAIN.iter().any(is_asked)
}

fn replaces(headers: &HeaderMap, directive: &str) -> bool {
    text(headers, directive).is_some_and(|value| value.eq_ignore_ascii_case("REPLACE"))
}

/// What is kept with a copy: each of metadata and tags is the source's or the request's.
fn copied_headers(found: &Stored, headers: &HeaderMap) -> S3Result<Headers> {
    let of_source = |kept: &&(HeaderName, HeaderValue)| !kept.0.as_str().starts_with("x-amz-");
    let mut kept = if replaces(headers, "x-amz-metadata-directive") {
        content_headers(headers)
    } else {
        found.headers.iter().filter(of_source).cloned().collect()
    };
    kept.extend(told_again(headers)?);
    if replaces(headers, "x-amz-tagging-directive") {
        kept.extend(tags::kept(headers.get(TAGGING))?.map(|tags| (TAGGING, tags)));
    } else {
        kept.extend(found.headers.iter().filter(|(name, _)| *name == TAGGING).cloned());
    }
    Ok(kept)
}

/// A copy has the checksum that is asked for, and is whole: one of an object of parts has the MD5
/// and the checksums of all bytes.
async fn hashed(found: &Stored, headers: &HeaderMap, copy: Stored) -> S3Result<Stored> {
    let asked = text(headers, "x-amz-checksum-algorithm").and_then(Algorithm::named);
    if asked.is_none() && !found.is_multipart() {
        return Ok(copy);
    }
    let of_source = found.checksums.iter().filter_map(|(name, _)| Algorithm::named(name));
    let wanted: Vec<_> = asked.map_or_else(|| of_source.collect(), |asked| vec![asked]);
    let received = Received::again(found.content.clone(), &wanted)
        .await
        .map_err(|failed| error(ApiError::storage(failed)))?;
    Ok(Stored {
        md5: STANDARD.encode(received.md5),
        checksums: kept_checksums(&received, &wanted),
        parts: Vec::new(),
        ..copy
    })
}

/// What must be true of an object that is deleted.
#[derive(Default)]
struct Expected<'a> {
    etag: Option<&'a str>,
    size: Option<i64>,
    modified: Option<Timestamp>,
    version: Option<&'a str>,
}

impl Expected<'_> {
    fn check(&self, stored: &Stored) -> Result<(), ApiError> {
        stored.check_if_match(self.etag)?;
        let has_size = self.size.is_none_or(|size| i64::try_from(stored.size) == Ok(size));
        let is_then = |time: &Timestamp| *time == whole_seconds(stored.modified).into();
        if !has_size || !self.modified.as_ref().is_none_or(is_then) {
            return Err(ApiError::if_match_failed());
        }
        Ok(())
    }

    /// Whether another came since the one that is named was found.
    fn is_other_version(&self, stored: &Stored) -> bool {
        self.version.is_some_and(|version| version != NULL && version != stored.version)
    }
}

/// DeleteObject: what is not there is deleted already, unless it was to have an ETag.
pub(super) fn delete(
    api: &Shared,
    request: S3Request<DeleteObjectInput>,
) -> Answer<DeleteObjectOutput> {
    let (input, place) = (&request.input, (&*request.input.bucket, &*request.input.key));
    let expected = Expected {
        etag: text(&request.headers, "if-match"),
        size: input.if_match_size,
        modified: input.if_match_last_modified_time.clone(),
        version: input.version_id.as_deref(),
    };
    delete_one(api, place, &expected)?;
    Ok(S3Response::new(DeleteObjectOutput {
        version_id: input.version_id.clone(),
        ..Default::default()
    }))
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
        let expected = Expected {
            etag: object.e_tag.as_ref().map(ETag::value),
            size: object.size,
            modified: object.last_modified_time.clone(),
            version: object.version_id.as_deref(),
        };
        match delete_one(api, (&bucket, &object.key), &expected) {
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

/// Deletes an object, or the version of it that is named, if it is as it is expected. One that is not there is deleted
/// already, unless a certain one was expected.
fn delete_one(api: &Shared, place: (&str, &str), expected: &Expected<'_>) -> S3Result<()> {
    match delete_found(api, place, expected) {
        Err(failed) if *failed.code() == S3ErrorCode::NoSuchVersion => Ok(()),
        Err(failed) if *failed.code() == S3ErrorCode::NoSuchKey && expected.etag.is_none() => {
            Ok(())
        }
        done => done,
    }
}

fn delete_found(
    api: &Shared,
    (bucket, key): (&str, &str),
    expected: &Expected<'_>,
) -> S3Result<()> {
    let name = api.name(bucket);
    api.storage().bucket(&name).map_err(error)?;
    if expected.version.is_some() {
        find_version(api, (bucket, key), expected.version)?;
    }
    let deleted = api.storage().delete(&name, key, |stored| {
        if expected.is_other_version(stored) {
            return Err(ApiError::object_not_found(bucket, key));
        }
        expected.check(stored)
    });
    deleted.map(|_| ()).map_err(error)
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
