// SPDX-License-Identifier: Apache-2.0
//! CompleteMultipartUpload.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::HeaderMap;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::checksums::{ALGORITHMS, checksum_type, header, set_checksums};
use super::errors::{detailed, error, invalid};
use super::object_headers::encryption;
use super::shared::{Answer, Shared};
use super::stored::{etag, part_etag, write_error};
use super::uploads::part_number;
use super::write::condition;
use crate::assembly::{assemble, checksum};
use crate::request::text;
use crate::state::{Completed, Part as StoredPart, Upload};

/// Makes an object of an upload. S3 answers who asks again as it did the first time, for a while.
pub(super) fn complete(
    api: &Shared,
    request: S3Request<CompleteMultipartUploadInput>,
) -> Answer<CompleteMultipartUploadOutput> {
    let input = request.input.clone();
    match complete_once(api, request) {
        Err(failed) if *failed.code() == S3ErrorCode::NoSuchUpload => {
            repeated(api, input)?.ok_or(failed).map(S3Response::new)
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
        return invalid(format!(
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
        return invalid(format!(
            "The provided 'x-amz-mp-object-size' header value {told} does not match what was \
             computed: {size}"
        ));
    }
    let computed = checksum(upload, chosen);
    for algorithm in ALGORITHMS {
        let Some(sent) = text(headers, &header(algorithm)) else { continue };
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
            return invalid(format!(
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
