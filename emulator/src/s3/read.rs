// SPDX-License-Identifier: Apache-2.0
//! GetObject and HeadObject.

use std::ops::Range as Bytes;
use std::time::SystemTime;

use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES,
    HeaderMap, HeaderName, HeaderValue,
};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::checksums::checksum_type;
use super::errors::{detailed, invalid, invalid_argument, not_implemented};
use super::shared::{Answer, Shared, Ticket, header_map, plan};
use super::stored::{find, storage_class};
use super::tags::{self, TAGGING};
use crate::api::{Place, Refused};
use crate::assembly::MAX_PART;
use crate::request::text;
use crate::state::Object as Stored;
use crate::target::Target;

/// Parameters that replace a header of the answer.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-content-type", CONTENT_TYPE),
    ("response-content-language", CONTENT_LANGUAGE),
    ("response-content-encoding", CONTENT_ENCODING),
    ("response-content-disposition", CONTENT_DISPOSITION),
    ("response-cache-control", CACHE_CONTROL),
    ("response-expires", EXPIRES),
];

const CHECKSUMS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

pub(super) fn get(api: &Shared, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
    let (input, headers) = (&request.input, &request.headers);
    let version = input.version_id.as_deref();
    let stored = find(api, (&input.bucket, &input.key), version, headers)?;
    if stored.is_archived(api.now()) {
        return Err(S3ErrorCode::InvalidObjectState.into());
    }
    let asked = Requested::of(&request, &stored, (input.range.as_ref(), input.part_number))?;
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
    let asked = Requested::of(&request, &stored, (input.range.as_ref(), input.part_number))?;
    let bytes = asked.bytes(&stored);
    let mut response = S3Response::new(HeadObjectOutput {
        content_length: Some((bytes.end - bytes.start) as i64),
        content_range: asked.content_range(&stored, 0),
        ..Default::default()
    });
    response.headers = asked.described(&stored, api.now())?;
    Ok(response)
}

/// What of an object is asked for, and how its answer is to be told.
struct Requested<'a> {
    target: Target,
    headers: &'a HeaderMap,
    /// None is all of it.
    range: Option<Bytes<u64>>,
    /// The place of the part that is asked for, of an object that was made of parts.
    part: Option<usize>,
}

impl<'a> Requested<'a> {
    fn of<T>(
        request: &'a S3Request<T>,
        stored: &Stored,
        (range, part): (Option<&Range>, Option<i32>),
    ) -> S3Result<Requested<'a>> {
        let plan = plan(request);
        let target = request.extensions.get::<Ticket>().map_or("", |ticket| &ticket.0.target);
        let mut asked = Requested {
            target: Target::parse(target),
            headers: &request.headers,
            range: None,
            part: None,
        };
        match (range, part) {
            (Some(_), Some(_)) => {
                return invalid("Cannot specify both Range header and partNumber query parameter");
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
        return Err(not_implemented(refused));
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
