// SPDX-License-Identifier: Apache-2.0
//! Uploads by parts: begun, filled and aborted.

use std::collections::BTreeMap;
use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::checksums::{self, Sent, checksum_type, kept_checksums, set_checksums};
use super::copy::source;
use super::errors::{error, invalid, invalid_argument};
use super::metadata;
use super::object_headers::{encryption, kept_headers};
use super::shared::{Answer, Shared};
use super::stored::{part_etag, tier, whole_seconds};
use super::write::receive;
use crate::assembly::{MAX_PART, new_upload_id};
use crate::error::ApiError;
use crate::intake::{Algorithm, Received};
use crate::state::{Checksums, Condition, Part as StoredPart, Upload, new_etag};

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
        invalid(format!(
            "The {kind} checksum type cannot be used with the {name} checksum algorithm."
        ))
    };
    match (algorithm, of_whole) {
        (None, None) => Ok(false),
        (None, Some(_)) => invalid(
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
pub(super) fn part_number(number: i32) -> S3Result<u32> {
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
    let received = Received::of_content(content, &wanted).await.map_err(storage)?;
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
