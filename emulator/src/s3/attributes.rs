// SPDX-License-Identifier: Apache-2.0
//! GetObjectAttributes.

use bytes::Bytes;
use s3s::dto::*;
use s3s::xml::{Serialize as _, Serializer};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::checksums::{checksum_type, set_checksums};
use super::errors::invalid_argument;
use super::shared::{Answer, Shared};
use super::stored::{find_version, storage_class};
use crate::content::Payload;
use crate::state::{Object as Stored, ObjectPart as StoredPart};

/// Most parts of a page.
const MAX_PARTS: i32 = 1000;

const ATTRIBUTES: &str = "x-amz-object-attributes";

/// What of an object is asked for, and nothing else.
pub(super) fn get(
    api: &Shared,
    request: &S3Request<GetObjectAttributesInput>,
) -> Answer<GetObjectAttributesOutput> {
    let input = &request.input;
    let asked = asked(request)?;
    let is_asked = |name: &str| asked.contains(&name);
    let stored = find_version(api, (&input.bucket, &input.key), input.version_id.as_deref())?;
    let output = GetObjectAttributesOutput {
        e_tag: is_asked(ObjectAttributes::ETAG).then(|| ETag::Strong(stored.s3_etag())),
        checksum: checksum(&stored).filter(|_| is_asked(ObjectAttributes::CHECKSUM)),
        object_parts: if is_asked(ObjectAttributes::OBJECT_PARTS) {
            parts(&stored, input)?
        } else {
            None
        },
        object_size: is_asked(ObjectAttributes::OBJECT_SIZE).then_some(stored.size as i64),
        storage_class: is_asked(ObjectAttributes::STORAGE_CLASS)
            .then(|| storage_class(&stored.storage_tier).to_owned().into()),
        last_modified: Some(stored.modified.into()),
        ..Default::default()
    };
    let payload = Payload::from(document(&output)?);
    let mut response = S3Response::new(output);
    response.extensions.insert(payload);
    Ok(response)
}

/// The attributes that are named, in one header or in several.
fn asked(request: &S3Request<GetObjectAttributesInput>) -> S3Result<Vec<&str>> {
    let known = [
        ObjectAttributes::ETAG,
        ObjectAttributes::CHECKSUM,
        ObjectAttributes::OBJECT_PARTS,
        ObjectAttributes::OBJECT_SIZE,
        ObjectAttributes::STORAGE_CLASS,
    ];
    let values = request.headers.get_all(ATTRIBUTES).iter();
    let asked: Vec<&str> = values
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    match asked.iter().find(|name| !known.contains(*name)) {
        Some(name) => Err(invalid_argument(
            ATTRIBUTES,
            Some(name),
            "Invalid attribute name specified.".into(),
        )),
        None => Ok(asked),
    }
}

/// The checksum of an object, without the number of its parts.
fn checksum(stored: &Stored) -> Option<Checksum> {
    let known: Vec<_> = stored
        .checksums
        .iter()
        .filter(|(name, _)| name != "sha384")
        .map(|(name, value)| (name.clone(), value.split('-').next().unwrap_or_default().to_owned()))
        .collect();
    let mut told = Checksum {
        checksum_type: Some(ChecksumType::from_static(checksum_type(is_composite(stored)))),
        ..Default::default()
    };
    set_checksums!(told, &known);
    (!known.is_empty()).then_some(told)
}

fn is_composite(stored: &Stored) -> bool {
    stored.checksums.iter().any(|(_, value)| value.contains('-'))
}

/// The number of parts of an object that has any; and a page of them where they have checksums of their own.
fn parts(
    stored: &Stored,
    input: &GetObjectAttributesInput,
) -> S3Result<Option<GetObjectAttributesParts>> {
    if stored.parts.is_empty() {
        return Ok(None);
    }
    let total = GetObjectAttributesParts {
        total_parts_count: Some(stored.parts.len() as i32),
        ..Default::default()
    };
    if !is_composite(stored) {
        return Ok(Some(total));
    }
    let number = |name: &str, number: i32| {
        u32::try_from(number).map_err(|_| {
            let why = format!("Argument {name} must be an integer between 0 and 2147483647");
            invalid_argument(name, Some(&number.to_string()), why)
        })
    };
    let limit = number("max-parts", input.max_parts.unwrap_or(MAX_PARTS).min(MAX_PARTS))?;
    let after = number("part-number-marker", input.part_number_marker.unwrap_or_default())?;
    let mut rest: Vec<&StoredPart> =
        stored.parts.iter().filter(|part| part.number > after).collect();
    let is_truncated = rest.len() > limit as usize;
    rest.truncate(limit as usize);
    Ok(Some(GetObjectAttributesParts {
        is_truncated: Some(is_truncated),
        max_parts: Some(limit as i32),
        part_number_marker: Some(after as i32),
        next_part_number_marker: Some(rest.last().map_or(0, |part| part.number as i32)),
        parts: Some(rest.into_iter().map(told).collect()),
        ..total
    }))
}

fn told(part: &StoredPart) -> s3s::dto::ObjectPart {
    let mut told = s3s::dto::ObjectPart {
        part_number: Some(part.number as i32),
        size: Some(part.size as i64),
        ..Default::default()
    };
    set_checksums!(told, &part.checksums);
    told
}

/// The document of an answer. S3 writes the ETag without its quotes here.
fn document(output: &GetObjectAttributesOutput) -> S3Result<Bytes> {
    let mut written = Vec::new();
    let mut serializer = Serializer::new(&mut written);
    serializer
        .decl()
        .and_then(|()| output.serialize(&mut serializer))
        .map_err(S3Error::internal_error)?;
    let text = String::from_utf8(written).map_err(S3Error::internal_error)?;
    Ok(text.replace("<ETag>\"", "<ETag>").replace("\"</ETag>", "</ETag>").into())
}
