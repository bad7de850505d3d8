// SPDX-License-Identifier: Apache-2.0
//! Uploads by parts by the S3 API.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::lists::{encoded, limit};
use super::objects::{checksum_type, condition, etag, kept_headers, receive, source, write_error};
use super::{Answer, Shared, error, metadata, set_checksums};
use crate::intake::{Algorithm, Received};
use crate::objects::{check_name, default_tier, new_etag};
use crate::reply::ApiError;
use crate::storage::{Checksums, Condition, Part as StoredPart, Upload, s3_etag};
use crate::uploads::{MAX_PART, assemble, new_upload_id};

/// A part's ETag: its MD5 in hex.
fn part_etag(part: &StoredPart) -> String {
    s3_etag(&STANDARD.encode(part.md5))
}

pub(super) fn create(
    api: &Shared,
    request: S3Request<CreateMultipartUploadInput>,
) -> Answer<CreateMultipartUploadOutput> {
    let input = request.input;
    check_name(&input.key).map_err(error)?;
    metadata::check(&request.headers)?;
    let name = api.name(&input.bucket);
    let algorithm = match &input.checksum_algorithm {
        None => None,
        Some(named) => Some(Algorithm::named(named.as_str()).ok_or(S3ErrorCode::InvalidRequest)?),
    };
    let asked = input.checksum_type.as_ref().map(ChecksumType::as_str);
    let of_whole = match asked {
        None => algorithm == Some(Algorithm::Crc64Nvme),
        Some(asked) => asked == ChecksumType::FULL_OBJECT,
    };
    let upload = Upload {
        id: new_upload_id(),
        name: input.key.clone(),
        created: api.now(),
        storage_tier: default_tier(api.storage(), &name).map_err(error)?,
        checksum: algorithm.map(|algorithm| algorithm.name().to_owned()),
        checksum_of_whole: of_whole,
        condition: Condition::default(),
        headers: kept_headers(&request.headers),
        parts: BTreeMap::new(),
    };
    let id = upload.id.clone();
    api.storage().begin_upload(&name, upload).map_err(error)?;
    let kind = algorithm.map(|_| ChecksumType::from_static(checksum_type(!of_whole)));
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: kind,
        ..Default::default()
    }))
}

/// The number of a part, if it is one.
fn part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number).ok().filter(|number| (1..=MAX_PART).contains(number)).ok_or_else(|| {
        S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            format!("Part number must be an integer between 1 and {MAX_PART}, inclusive"),
        )
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
    let also = upload.checksum.as_deref().and_then(Algorithm::named);
    let (received, checksums) = receive(api, &request, body, length, also).await?;
    let part = Arc::new(stored_part(api, received, checksums));
    api.storage().put_part(&name, place, number, part.clone()).map_err(error)?;
    let etag = ETag::Strong(part_etag(&part));
    let mut output = UploadPartOutput { e_tag: Some(etag), ..Default::default() };
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
        Some(range) => {
            let range = Range::parse(range).ok().and_then(|range| range.check(found.size).ok());
            found.content.slice(range.ok_or(S3ErrorCode::InvalidRange)?)
        }
    };
    let wanted: Vec<_> = upload.checksum.iter().filter_map(|name| Algorithm::named(name)).collect();
    let storage = |failed| error(ApiError::storage(failed));
    let received = Received::again(content, &wanted).await.map_err(storage)?;
    let checksum = |taken: &Algorithm| Some((taken.name().to_owned(), received.base64(*taken)?));
    let checksums = wanted.iter().filter_map(checksum).collect();
    let part = Arc::new(stored_part(api, received, checksums));
    api.storage().put_part(&name, place, number, part.clone()).map_err(error)?;
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(part_etag(&part))),
        last_modified: Some(part.modified.into()),
        ..Default::default()
    };
    set_checksums!(result, &part.checksums);
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..Default::default()
    }))
}

pub(super) fn complete(
    api: &Shared,
    request: S3Request<CompleteMultipartUploadInput>,
) -> Answer<CompleteMultipartUploadOutput> {
    let input = request.input;
    let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let place = (input.key.as_str(), input.upload_id.as_str());
    let name = api.name(&input.bucket);
    let upload = api.storage().upload(&name, place).map_err(error)?;
    let chosen = chosen(&upload, &named)?;
    let stored = api
        .storage()
        .commit_upload(&name, place, &condition(&request.headers)?, |upload| {
            assemble(upload, &chosen, api.now())
        })
        .map_err(|failed| write_error(api, &input.bucket, &input.key, failed))?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        e_tag: Some(etag(&stored)),
        checksum_type: upload
            .checksum
            .map(|_| ChecksumType::from_static(checksum_type(!upload.checksum_of_whole))),
        bucket: Some(input.bucket),
        key: Some(input.key),
        ..Default::default()
    };
    set_checksums!(output, &stored.checksums);
    Ok(S3Response::new(output))
}

/// The parts that are named, which must be there, in ascending order; others are left out.
fn chosen(upload: &Upload, named: &[CompletedPart]) -> S3Result<BTreeMap<u32, Arc<StoredPart>>> {
    if named.is_empty() {
        return Err(S3ErrorCode::MalformedXML.into());
    }
    let mut chosen = BTreeMap::new();
    for CompletedPart { part_number: number, e_tag, .. } in named {
        let number = part_number(number.unwrap_or_default())?;
        if chosen.last_key_value().is_some_and(|(last, _)| *last >= number) {
            return Err(S3ErrorCode::InvalidPartOrder.into());
        }
        let part = upload
            .parts
            .get(&number)
            .filter(|part| e_tag.as_ref().is_none_or(|etag| etag.value() == part_etag(part)))
            .ok_or(S3ErrorCode::InvalidPart)?;
        chosen.insert(number, part.clone());
    }
    Ok(chosen)
}

pub(super) fn abort(
    api: &Shared,
    request: S3Request<AbortMultipartUploadInput>,
) -> Answer<AbortMultipartUploadOutput> {
    let input = request.input;
    let place = (input.key.as_str(), input.upload_id.as_str());
    api.storage().abort_upload(&api.name(&input.bucket), place).map_err(error)?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub(super) fn list_parts(
    api: &Shared,
    request: S3Request<ListPartsInput>,
) -> Answer<ListPartsOutput> {
    let input = request.input;
    let place = (input.key.as_str(), input.upload_id.as_str());
    let upload = api.storage().upload(&api.name(&input.bucket), place).map_err(error)?;
    let (limit, after) = (limit(input.max_parts)?, input.part_number_marker.unwrap_or_default());
    let after = u32::try_from(after).map_err(|_| S3ErrorCode::InvalidArgument)?;
    let rest: Vec<_> = upload.parts.range(after + 1..).take(limit + 1).collect();
    let parts: Vec<Part> = rest
        .iter()
        .take(limit)
        .map(|(number, stored)| {
            let mut part = Part {
                e_tag: Some(ETag::Strong(part_etag(stored))),
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
        part_number_marker: input.part_number_marker,
        next_part_number_marker: parts.last().filter(|_| truncated).and_then(|p| p.part_number),
        is_truncated: Some(truncated),
        parts: Some(parts),
        ..Default::default()
    }))
}

pub(super) fn list(
    api: &Shared,
    request: S3Request<ListMultipartUploadsInput>,
) -> Answer<ListMultipartUploadsOutput> {
    let input = request.input;
    let (limit, encoding) = (limit(input.max_uploads)?, input.encoding_type.as_ref());
    let prefix = input.prefix.clone().unwrap_or_default();
    let mut uploads = api.storage().uploads(&api.name(&input.bucket)).map_err(error)?;
    let key_marker = input.key_marker.clone().unwrap_or_default();
    let id_marker = input.upload_id_marker.clone().unwrap_or_default();
    uploads.retain(|upload| {
        let is_after = match upload.name.cmp(&key_marker) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => !id_marker.is_empty() && upload.id > id_marker,
            std::cmp::Ordering::Less => false,
        };
        upload.name.starts_with(&prefix) && is_after
    });
    let truncated = uploads.len() > limit;
    uploads.truncate(limit);
    let last = uploads.last().filter(|_| truncated);
    Ok(S3Response::new(ListMultipartUploadsOutput {
        next_key_marker: last.map(|upload| encoded(&upload.name, encoding)),
        next_upload_id_marker: last.map(|upload| upload.id.clone()),
        uploads: Some(
            uploads
                .iter()
                .map(|upload| MultipartUpload {
                    initiated: Some(upload.created.into()),
                    key: Some(encoded(&upload.name, encoding)),
                    upload_id: Some(upload.id.clone()),
                    ..Default::default()
                })
                .collect(),
        ),
        bucket: Some(input.bucket),
        is_truncated: Some(truncated),
        key_marker: input.key_marker,
        upload_id_marker: input.upload_id_marker,
        max_uploads: Some(limit as i32),
        prefix: input.prefix,
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }))
}
