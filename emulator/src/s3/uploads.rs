// SPDX-License-Identifier: Apache-2.0
//! Uploads by parts by the S3 API.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderMap;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::checksums::{self, Sent};
use super::documents::{detailed, invalid_argument};
use super::lists::{encoded, given, limit, owner};
use super::objects::{
    checksum_type, condition, encryption, etag, kept_checksums, kept_headers, receive, source,
    storage_class, tier, whole_seconds, write_error,
};
use super::{Answer, Shared, error, metadata, set_checksums};
use crate::intake::{Algorithm, Received};
use crate::objects::{new_etag, text};
use crate::reply::ApiError;
use crate::storage::{Checksums, Completed, Condition, Part as StoredPart, Upload, s3_etag};
use crate::uploads::{MAX_PART, assemble, checksum, new_upload_id};

/// A part's ETag: its MD5 in hex.
fn part_etag(md5: [u8; 16]) -> String {
    s3_etag(&STANDARD.encode(md5))
}

pub(super) fn create(
    api: &Shared,
    request: S3Request<CreateMultipartUploadInput>,
) -> Answer<CreateMultipartUploadOutput> {
    let input = request.input;
    metadata::check(&request.headers)?;
    let name = api.name(&input.bucket);
    let algorithm = match &input.checksum_algorithm {
        None => None,
        Some(named) => Some(Algorithm::named(named.as_str()).ok_or(S3ErrorCode::InvalidRequest)?),
    };
    let of_whole = is_of_whole(algorithm, input.checksum_type.as_ref().map(ChecksumType::as_str))?;
    let upload = Upload {
        id: new_upload_id(),
        name: input.key.clone(),
        created: api.now(),
        storage_tier: tier(api, &input.bucket, &request.headers)?,
        checksum: algorithm.map(|algorithm| algorithm.name().to_owned()),
        checksum_of_whole: of_whole,
        condition: Condition::default(),
        headers: kept_headers(&request.headers)?,
        parts: BTreeMap::new(),
    };
    let (id, encryption) = (upload.id.clone(), encryption(&upload.headers));
    api.storage().begin_upload(&name, upload).map_err(error)?;
    let kind = algorithm.map(|_| ChecksumType::from_static(checksum_type(!of_whole)));
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: kind,
        server_side_encryption: encryption,
        ..Default::default()
    }))
}

/// Whether an upload's checksum is that of the whole object, if it has one.
fn is_of_whole(algorithm: Option<Algorithm>, kind: Option<&str>) -> S3Result<bool> {
    let of_whole = kind.map(|kind| kind.eq_ignore_ascii_case(ChecksumType::FULL_OBJECT));
    let refused = |kind: &str, algorithm: Algorithm| {
        let name = algorithm.name();
        checksums::invalid(format!(
            "The {kind} checksum type cannot be used with the {name} checksum algorithm."
        ))
    };
    match (algorithm, of_whole) {
        (None, None) => Ok(false),
        (None, Some(_)) => checksums::invalid(
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm \
             header.",
        ),
        (Some(algorithm @ Algorithm::Crc64Nvme), Some(false)) => {
            refused(ChecksumType::COMPOSITE, algorithm)
        }
        (Some(algorithm @ (Algorithm::Sha1 | Algorithm::Sha256)), Some(true)) => {
            refused(ChecksumType::FULL_OBJECT, algorithm)
        }
        (Some(algorithm), None) => Ok(algorithm == Algorithm::Crc64Nvme),
        (Some(_), Some(of_whole)) => Ok(of_whole),
    }
}

/// The number of a part, if it is one.
fn part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number).ok().filter(|number| (1..=MAX_PART).contains(number)).ok_or_else(|| {
        let why = format!("Part number must be an integer between 1 and {MAX_PART}, inclusive");
        invalid_argument("partNumber", Some(&number.to_string()), why)
    })
}

fn stored_part(api: &Shared, received: Received, checksums: Checksums) -> StoredPart {
    StoredPart {
        size: received.content.len(),
        content: received.content,
        etag: new_etag(),
        md5: received.md5,
        crc32c: received.crc32c,
        checksums,
        modified: api.now(),
    }
}

pub(super) async fn put_part(
    api: &Shared,
    mut request: S3Request<UploadPartInput>,
) -> Answer<UploadPartOutput> {
    let (body, length) = (request.input.body.take(), request.input.content_length);
    let input = &request.input;
    let (name, number) = (api.name(&input.bucket), part_number(input.part_number)?);
    let place = (input.key.as_str(), input.upload_id.as_str());
    let upload = api.storage().upload(&name, place).map_err(error)?;
    checksums::check_part(&upload, Sent::of(&request.headers)?.as_ref())?;
    let also = upload.checksum.as_deref().and_then(Algorithm::named);
    let (received, checksums) = receive(api, &request, body, length, also).await?;
    let part = Arc::new(stored_part(api, received, checksums));
    api.storage()
        .put_part(&name, place, (number, part.clone()), &Condition::default())
        .map_err(error)?;
    let etag = ETag::Strong(part_etag(part.md5));
    let mut output = UploadPartOutput {
        e_tag: Some(etag),
        server_side_encryption: encryption(&upload.headers),
        ..Default::default()
    };
    set_checksums!(output, &part.checksums);
    Ok(S3Response::new(output))
}

pub(super) async fn copy_part(
    api: &Shared,
    request: S3Request<UploadPartCopyInput>,
) -> Answer<UploadPartCopyOutput> {
    let input = &request.input;
    let (name, number) = (api.name(&input.bucket), part_number(input.part_number)?);
    let place = (input.key.as_str(), input.upload_id.as_str());
    let upload = api.storage().upload(&name, place).map_err(error)?;
    let found = source(api, &request.headers)?;
    let content = match input.copy_source_range.as_deref() {
        None => found.content.clone(),
        Some(range) => found.content.slice(copied_range(range, found.size)?),
    };
    let wanted: Vec<_> = upload.checksum.iter().filter_map(|name| Algorithm::named(name)).collect();
    let storage = |failed| error(ApiError::storage(failed));
    let received = Received::again(content, &wanted).await.map_err(storage)?;
    let checksums = kept_checksums(&received, &wanted);
    let part = Arc::new(stored_part(api, received, checksums));
    api.storage()
        .put_part(&name, place, (number, part.clone()), &Condition::default())
        .map_err(error)?;
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(part_etag(part.md5))),
        last_modified: Some(part.modified.into()),
        ..Default::default()
    };
    set_checksums!(result, &part.checksums);
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..Default::default()
    }))
}

/// The bytes that a range of a copy's source names: `bytes=FIRST-LAST`, both of them in it.
fn copied_range(range: &str, size: u64) -> S3Result<std::ops::Range<u64>> {
    const NAME: &str = "x-amz-copy-source-range";
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let ends = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let ends = ends.and_then(|(first, last)| Some((number(first)?, number(last)?)));
    match ends.filter(|(first, last)| first <= last) {
        None => Err(invalid_argument(
            NAME,
            Some(range),
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy"
                .to_owned(),
        )),
        Some((first, _)) if first >= size => Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "The specified copy range is invalid for the source object size",
        )),
        Some((_, last)) if last >= size => {
            let why = format!("Range specified is not valid for source object of size: {size}");
            Err(invalid_argument(NAME, Some(range), why))
        }
        Some((first, last)) => Ok(first..last + 1),
    }
}

/// Makes an object of an upload. S3 answers who asks again as it did the first time, for a while.
pub(super) fn complete(
    api: &Shared,
    request: S3Request<CompleteMultipartUploadInput>,
) -> Answer<CompleteMultipartUploadOutput> {
    let again = request.input.clone();
    match complete_once(api, request) {
        Err(failed) if *failed.code() == S3ErrorCode::NoSuchUpload => {
            repeated(api, again)?.ok_or(failed).map(S3Response::new)
        }
        answer => answer,
    }
}

/// What was answered to a request for the same parts of an upload that is completed.
fn repeated(
    api: &Shared,
    input: CompleteMultipartUploadInput,
) -> S3Result<Option<CompleteMultipartUploadOutput>> {
    let place = (input.key.as_str(), input.upload_id.as_str());
    let known = api.storage().completed(&api.name(&input.bucket), place).map_err(error)?;
    let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let is_same = |known: &Completed| {
        known.parts.len() == named.len()
            && known.parts.iter().zip(&named).all(|(part, named)| {
                let etag = named.e_tag.as_ref().map(ETag::value);
                named.part_number == Some(part.number as i32)
                    && etag.is_none_or(|etag| etag == part_etag(part.md5))
            })
    };
    Ok(known.filter(is_same).map(|known| {
        let composite = known.checksums.iter().any(|(_, value)| value.contains('-'));
        let kind = ChecksumType::from_static(checksum_type(composite));
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            e_tag: Some(ETag::Strong(known.s3_etag.clone())),
            checksum_type: (!known.checksums.is_empty()).then_some(kind),
            bucket: Some(input.bucket),
            key: Some(input.key),
            ..Default::default()
        };
        set_checksums!(output, &known.checksums);
        output
    }))
}

fn complete_once(
    api: &Shared,
    request: S3Request<CompleteMultipartUploadInput>,
) -> Answer<CompleteMultipartUploadOutput> {
    let input = request.input;
    let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let place = (input.key.as_str(), input.upload_id.as_str());
    let name = api.name(&input.bucket);
    let upload = api.storage().upload(&name, place).map_err(error)?;
    let kind = upload.checksum.as_ref().map(|_| checksum_type(!upload.checksum_of_whole));
    if let Some(asked) = &input.checksum_type
        && kind.is_none_or(|kind| !kind.eq_ignore_ascii_case(asked.as_str()))
    {
        return checksums::invalid(format!(
            "The upload was created using the {} checksum mode. The complete request must use \
             the same checksum mode.",
            kind.unwrap_or("null")
        ));
    }
    let chosen = chosen(&upload, &named)?;
    check_whole(&upload, &chosen, &request.headers, input.mpu_object_size)?;
    let stored = api
        .storage()
        .commit_upload(&name, place, &condition(&request.headers)?, |upload| {
            assemble(upload, &chosen, api.now())
        })
        .map_err(|failed| write_error(api, &input.bucket, &input.key, failed))?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        e_tag: Some(etag(&stored)),
        checksum_type: kind.map(ChecksumType::from_static),
        server_side_encryption: encryption(&stored.headers),
        bucket: Some(input.bucket),
        key: Some(input.key),
        ..Default::default()
    };
    set_checksums!(output, &stored.checksums);
    Ok(S3Response::new(output))
}

/// What a complete says of the whole object: its size and its checksum.
fn check_whole(
    upload: &Upload,
    chosen: &BTreeMap<u32, Arc<StoredPart>>,
    headers: &HeaderMap,
    told: Option<i64>,
) -> S3Result<()> {
    let size: u64 = chosen.values().map(|part| part.size).sum();
    if let Some(told) = told.filter(|told| u64::try_from(*told) != Ok(size)) {
        return checksums::invalid(format!(
            "The provided 'x-amz-mp-object-size' header value {told} does not match what was \
             computed: {size}"
        ));
    }
    let computed = checksum(upload, chosen);
    for algorithm in checksums::ALGORITHMS {
        let Some(sent) = text(headers, &checksums::header(algorithm)) else { continue };
        // That of parts may be told without their number.
        let is_right = computed.as_ref().is_some_and(|(name, value)| {
            let of_parts = value.split('-').next().unwrap_or_default();
            name == algorithm.name()
                && (sent == value || (!upload.checksum_of_whole && sent == of_parts))
        });
        if !is_right {
            let name = algorithm.name();
            return Err(S3Error::with_message(
                S3ErrorCode::BadDigest,
                format!("The {name} you specified did not match the calculated checksum."),
            ));
        }
    }
    Ok(())
}

/// The parts that are named, which must be there, in ascending order; others are left out.
fn chosen(upload: &Upload, named: &[CompletedPart]) -> S3Result<BTreeMap<u32, Arc<StoredPart>>> {
    if named.is_empty() {
        let why = "You must specify at least one part";
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, why));
    }
    let mut chosen = BTreeMap::new();
    for named in named {
        let number = part_number(named.part_number.unwrap_or_default())?;
        if chosen.last_key_value().is_some_and(|(last, _)| *last >= number) {
            return Err(S3ErrorCode::InvalidPartOrder.into());
        }
        let etag = named.e_tag.as_ref().map(ETag::value);
        let is_it = |part: &&Arc<StoredPart>| {
            etag.is_none_or(|etag| etag == part_etag(part.md5)) && has_checksums(part, named)
        };
        let part = upload.parts.get(&number).filter(is_it).ok_or_else(|| {
            let number = number.to_string();
            let details = [("PartNumber", &*number), ("ETag", etag.unwrap_or_default())];
            detailed(S3ErrorCode::InvalidPart.into(), &details)
        })?;
        if let Some(name) = upload.checksum.as_ref().filter(|_| !upload.checksum_of_whole)
            && !checksums_of(named).iter().any(|(known, _)| known == name)
        {
            return checksums::invalid(format!(
                "The upload was created using a {name} checksum. The complete request must \
                 include the checksum for each part. It was missing for part {number} in the \
                 request."
            ));
        }
        chosen.insert(number, part.clone());
    }
    Ok(chosen)
}

/// The checksums that a complete names of a part.
fn checksums_of(named: &CompletedPart) -> Vec<(&'static str, &str)> {
    [
        ("crc32", &named.checksum_crc32),
        ("crc32c", &named.checksum_crc32c),
        ("crc64nvme", &named.checksum_crc64nvme),
        ("sha1", &named.checksum_sha1),
        ("sha256", &named.checksum_sha256),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    .collect()
}

fn has_checksums(part: &StoredPart, named: &CompletedPart) -> bool {
    checksums_of(named)
        .into_iter()
        .all(|(name, value)| part.checksums.iter().any(|(kept, v)| kept == name && v == value))
}

pub(super) fn abort(
    api: &Shared,
    request: S3Request<AbortMultipartUploadInput>,
) -> Answer<AbortMultipartUploadOutput> {
    let input = request.input;
    let place = (input.key.as_str(), input.upload_id.as_str());
    let judge = |upload: &Upload| match &input.if_match_initiated_time {
        Some(asked) if *asked != whole_seconds(upload.created).into() => {
            Err(ApiError::if_match_failed())
        }
        _ => Ok(()),
    };
    api.storage().abort_upload(&api.name(&input.bucket), place, judge).map_err(error)?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub(super) fn list_parts(
    api: &Shared,
    request: S3Request<ListPartsInput>,
) -> Answer<ListPartsOutput> {
    let input = request.input;
    let place = (input.key.as_str(), input.upload_id.as_str());
    let upload = api.storage().upload(&api.name(&input.bucket), place).map_err(error)?;
    let limit = limit(input.max_parts);
    let after = input.part_number_marker.unwrap_or_default().max(0) as u32;
    let rest: Vec<_> = upload.parts.range(after + 1..).take(limit + 1).collect();
    let parts: Vec<Part> = rest
        .iter()
        .take(limit)
        .map(|(number, stored)| {
            let mut part = Part {
                e_tag: Some(ETag::Strong(part_etag(stored.md5))),
                last_modified: Some(stored.modified.into()),
                part_number: Some(**number as i32),
                size: Some(stored.size as i64),
                ..Default::default()
            };
            set_checksums!(part, &stored.checksums);
            part
        })
        .collect();
    let truncated = rest.len() > limit;
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: Some(limit as i32),
        part_number_marker: Some(after as i32),
        next_part_number_marker: Some(parts.last().and_then(|part| part.part_number).unwrap_or(0)),
        is_truncated: Some(truncated),
        parts: Some(parts),
        checksum_algorithm: upload.checksum.as_deref().map(|name| name.to_uppercase().into()),
        checksum_type: upload
            .checksum
            .map(|_| ChecksumType::from_static(checksum_type(!upload.checksum_of_whole))),
        owner: Some(owner()),
        initiator: Some(initiator()),
        storage_class: Some(storage_class(&upload.storage_tier).to_owned().into()),
        ..Default::default()
    }))
}

pub(super) fn list(
    api: &Shared,
    request: S3Request<ListMultipartUploadsInput>,
) -> Answer<ListMultipartUploadsOutput> {
    let input = request.input;
    let (limit, encoding) = (limit(input.max_uploads), input.encoding_type.as_ref());
    let key_marker = given(input.key_marker.as_ref());
    // Without a key the marker of ids says nothing.
    let id_marker = given(input.upload_id_marker.as_ref()).filter(|_| key_marker.is_some());
    let asked = Asked {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: given(input.delimiter.as_ref()),
        key_marker: key_marker.unwrap_or_default(),
        id_marker: id_marker.unwrap_or_default(),
    };
    let uploads = api.storage().uploads(&api.name(&input.bucket)).map_err(error)?;
    asked.check(&uploads)?;
    let mut entries = asked.entries(&uploads);
    let truncated = entries.len() > limit;
    entries.truncate(limit);
    let (key, id) = match entries.last() {
        Some(Entry::Upload(upload)) => (upload.name.as_str(), upload.id.as_str()),
        Some(Entry::Prefix(prefix)) if truncated => (*prefix, ""),
        _ => ("", ""),
    };
    let uploads = entries.iter().filter_map(|entry| match entry {
        Entry::Upload(upload) => Some(told(upload, encoding)),
        Entry::Prefix(_) => None,
    });
    let prefixes = entries.iter().filter_map(|entry| match entry {
        Entry::Prefix(prefix) => Some(CommonPrefix { prefix: Some(encoded(prefix, encoding)) }),
        Entry::Upload(_) => None,
    });
    Ok(S3Response::new(ListMultipartUploadsOutput {
        uploads: Some(uploads.collect()),
        common_prefixes: Some(prefixes.collect()),
        next_key_marker: Some(encoded(key, encoding)),
        next_upload_id_marker: Some(id.to_owned()),
        bucket: Some(input.bucket),
        is_truncated: Some(truncated),
        key_marker: Some(encoded(&asked.key_marker, encoding)),
        upload_id_marker: Some(asked.id_marker.clone()),
        max_uploads: Some(limit as i32),
        prefix: Some(encoded(&asked.prefix, encoding)),
        delimiter: asked.delimiter.as_deref().map(|text| encoded(text, encoding)),
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }))
}

/// Who began every upload.
fn initiator() -> Initiator {
    Initiator { display_name: None, id: owner().id }
}

/// Which uploads a list names.
struct Asked {
    prefix: String,
    delimiter: Option<String>,
    key_marker: String,
    id_marker: String,
}

/// What a list of uploads holds.
enum Entry<'a> {
    Upload(&'a Upload),
    Prefix(&'a str),
}

impl Asked {
    /// An upload's id is no marker with the key of another object.
    fn check(&self, uploads: &[Upload]) -> S3Result<()> {
        let marked = uploads.iter().find(|upload| upload.id == self.id_marker);
        if marked.is_none_or(|upload| upload.name == self.key_marker) {
            return Ok(());
        }
        let why = "Invalid uploadId marker".to_owned();
        Err(invalid_argument("upload-id-marker", Some(&self.id_marker), why))
    }

    /// All that come after the markers, in order.
    fn entries<'a>(&self, uploads: &'a [Upload]) -> Vec<Entry<'a>> {
        let mut entries = Vec::new();
        for upload in uploads.iter().filter(|upload| upload.name.starts_with(&self.prefix)) {
            match self.rolled(&upload.name) {
                None if self.is_after(upload) => entries.push(Entry::Upload(upload)),
                Some(prefix) if !self.key_marker.starts_with(prefix) => {
                    let is_listed =
                        matches!(entries.last(), Some(Entry::Prefix(last)) if *last == prefix);
                    if upload.name > self.key_marker && !is_listed {
                        entries.push(Entry::Prefix(prefix));
                    }
                }
                _ => {}
            }
        }
        entries
    }

    fn is_after(&self, upload: &Upload) -> bool {
        match upload.name.cmp(&self.key_marker) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => !self.id_marker.is_empty() && upload.id > self.id_marker,
            std::cmp::Ordering::Less => false,
        }
    }

    /// The prefix into which a name is rolled up.
    fn rolled<'a>(&self, name: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref()?;
        let at = name[self.prefix.len()..].find(delimiter)?;
        Some(&name[..self.prefix.len() + at + delimiter.len()])
    }
}

fn told(upload: &Upload, encoding: Option<&EncodingType>) -> MultipartUpload {
    let kind = upload.checksum.as_ref().map(|_| checksum_type(!upload.checksum_of_whole));
    MultipartUpload {
        initiated: Some(upload.created.into()),
        key: Some(encoded(&upload.name, encoding)),
        upload_id: Some(upload.id.clone()),
        owner: Some(owner()),
        initiator: Some(initiator()),
        storage_class: Some(storage_class(&upload.storage_tier).to_owned().into()),
        checksum_algorithm: upload.checksum.as_ref().map(|name| name.to_uppercase().into()),
        checksum_type: kind.map(ChecksumType::from_static),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_a_copy_lies_in_its_source() {
        for (range, taken) in [
            ("bytes=0-0", Ok(0..1)),
            ("bytes=3-9", Ok(3..10)),
            ("bytes=3-10", Err("InvalidArgument")),
            ("bytes=10-10", Err("InvalidRequest")),
            ("bytes=0-99999999999999999999", Err("InvalidArgument")),
            ("bytes=1-0", Err("InvalidArgument")),
            ("bytes=3-", Err("InvalidArgument")),
            ("bytes=-3", Err("InvalidArgument")),
            ("bytes=0-1,3-4", Err("InvalidArgument")),
            ("bytes=0--1", Err("InvalidArgument")),
            ("bytes=+0-1", Err("InvalidArgument")),
            ("0-1", Err("InvalidArgument")),
            ("", Err("InvalidArgument")),
        ] {
            let found = copied_range(range, 10).map_err(|error| error.code().as_str().to_owned());
            assert_eq!(found, taken.map_err(str::to_owned), "{range}");
        }
    }
}
