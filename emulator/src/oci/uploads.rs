// SPDX-License-Identifier: Apache-2.0
//! Uploads by parts: create, put a part, list, commit, abort.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use http::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::described::written;
use super::digests::{base64_crc, check_algorithm, check_received};
use super::validation::{check_name, check_tier, header, metadata_headers};
use crate::assembly::{MAX_PART, assemble, new_upload_id};
use crate::buckets::default_tier;
use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::intake::Received;
use crate::metadata::check_metadata;
use crate::reply::Reply;
use crate::request::{chosen, condition, limit, page_name, parse_json};
use crate::state::{BucketName, Part, Upload, new_etag};
use crate::storage::Storage;
use crate::target::Target;

/// CreateMultipartUpload.
pub(super) fn create(
    storage: &Storage,
    bucket: &BucketName,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        object: String,
        content_type: Option<String>,
        content_language: Option<String>,
        content_encoding: Option<String>,
        content_disposition: Option<String>,
        cache_control: Option<String>,
        storage_tier: Option<String>,
        metadata: Option<BTreeMap<String, Option<String>>>,
    }
    let details: Details = parse_json(body)?;
    check_name(&details.object)?;
    let checksum = chosen(headers, "opc-checksum-algorithm");
    check_algorithm(checksum)?;
    let content = [
        ("content-type", details.content_type.or(Some("application/octet-stream".to_owned()))),
        ("content-language", details.content_language),
        ("content-encoding", details.content_encoding),
        ("content-disposition", details.content_disposition),
        ("cache-control", details.cache_control),
    ];
    let content = content.into_iter().map(|(name, value)| (name.to_owned(), value));
    let kept = content
        .chain(metadata_headers(details.metadata.unwrap_or_default()))
        .filter_map(|(name, value)| Some((name, value?)))
        .map(|(name, value)| header(&name, &value))
        .collect::<Result<_, _>>()?;
    check_metadata(&kept)?;
    let upload = Upload {
        id: new_upload_id(),
        name: details.object,
        created: now,
        storage_tier: match details.storage_tier {
            Some(tier) => check_tier(&tier)?,
            None => default_tier(storage, bucket)?,
        },
        checksum: checksum.map(str::to_ascii_lowercase),
        checksum_of_whole: false,
        condition: condition(headers)?,
        headers: kept,
        parts: BTreeMap::new(),
    };
    let told = described(bucket, &upload);
    let location = format!("/n/{}/b/{}/u", bucket.namespace, bucket.name);
    storage.begin_upload(bucket, upload)?;
    Ok(Reply::json(StatusCode::OK, &told).with_text("location", &location))
}

fn described(bucket: &BucketName, upload: &Upload) -> Value {
    json!({
        "namespace": bucket.namespace,
        "bucket": bucket.name,
        "object": upload.name,
        "uploadId": upload.id,
        "timeCreated": rfc3339(upload.created),
        "storageTier": upload.storage_tier,
    })
}

/// The upload that a request names.
pub(super) fn id(target: &Target) -> Result<&str, ApiError> {
    target.query("uploadId").ok_or_else(|| {
        ApiError::bad_request("MissingUploadId", "The query parameter uploadId is missing")
    })
}

/// The part that a request names.
pub(super) fn part_number(target: &Target) -> Result<u32, ApiError> {
    target
        .query("uploadPartNum")
        .and_then(|number| number.parse().ok())
        .filter(|number| (1..=MAX_PART).contains(number))
        .ok_or_else(|| {
            ApiError::bad_request(
                "InvalidUploadPartNumber",
                format!("uploadPartNum is a number from 1 to {MAX_PART}"),
            )
        })
}

/// UploadPart; a part of this number that is there already is replaced.
pub(super) fn put_part(
    storage: &Storage,
    bucket: &BucketName,
    (name, target): (&str, &Target),
    headers: &HeaderMap,
    received: Received,
    now: SystemTime,
) -> Result<Reply, ApiError> {
    let part = Arc::new(Part {
        checksums: check_received(headers, &received)?,
        size: received.content.len(),
        content: received.content,
        etag: new_etag(),
        md5: received.md5,
        crc32c: received.crc32c,
        modified: now,
    });
    let numbered = (part_number(target)?, part.clone());
    storage.put_part(bucket, (name, id(target)?), numbered, &condition(headers)?)?;
    let mut reply = Reply::empty(StatusCode::OK)
        .with_text("etag", &part.etag)
        .with_text("opc-content-md5", &STANDARD.encode(part.md5))
        .with_text("opc-content-crc32c", &base64_crc(part.crc32c));
    for (algorithm, value) in &part.checksums {
        reply = match algorithm.as_str() {
            "sha256" => reply.with_text("opc-content-sha256", value),
            _ => reply.with_text("opc-content-sha384", value),
        };
    }
    Ok(reply)
}

/// ListMultipartUploads.
pub(super) fn list(
    storage: &Storage,
    bucket: &BucketName,
    target: &Target,
) -> Result<Reply, ApiError> {
    let after = target.query("page").map(page_name).transpose()?;
    let place = |upload: &Upload| format!("{}\0{}", upload.name, upload.id);
    let mut uploads = storage.uploads(bucket)?;
    uploads.retain(|upload| after.as_ref().is_none_or(|after| place(upload) > *after));
    let more = uploads.len() > limit(target)?;
    uploads.truncate(limit(target)?);
    let told: Vec<Value> = uploads.iter().map(|upload| described(bucket, upload)).collect();
    let next = uploads.last().filter(|_| more).map(place);
    Ok(paged(&told, next))
}

/// ListMultipartUploadParts.
pub(super) fn list_parts(
    storage: &Storage,
    bucket: &BucketName,
    name: &str,
    target: &Target,
) -> Result<Reply, ApiError> {
    let upload = storage.upload(bucket, (name, id(target)?))?;
    let after = match target.query("page").map(page_name).transpose()? {
        None => 0,
        Some(page) => page
            .parse()
            .map_err(|_| ApiError::bad_request("InvalidPage", "The page is not one of ours"))?,
    };
    let limit = limit(target)?;
    let parts: Vec<_> = upload.parts.range(after + 1..).take(limit + 1).collect();
    let told: Vec<Value> = parts
        .iter()
        .take(limit)
        .map(|(number, part)| {
            json!({
                "partNumber": number,
                "etag": part.etag,
                "md5": STANDARD.encode(part.md5),
                "size": part.size,
            })
        })
        .collect();
    let next = (parts.len() > limit).then(|| parts[limit - 1].0.to_string());
    Ok(paged(&told, next))
}

fn paged(told: &[Value], next: Option<String>) -> Reply {
    let reply = Reply::json(StatusCode::OK, &told);
    match next {
        Some(next) => reply.with_text("opc-next-page", &URL_SAFE_NO_PAD.encode(next)),
        None => reply,
    }
}

/// CommitMultipartUpload.
pub(super) fn commit(
    storage: &Storage,
    bucket: &BucketName,
    (name, target): (&str, &Target),
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        parts_to_commit: Vec<Named>,
        parts_to_exclude: Option<Vec<u32>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        part_num: u32,
        etag: String,
    }
    let Details { parts_to_commit, parts_to_exclude } = parse_json(body)?;
    let excluded = parts_to_exclude.unwrap_or_default();
    let object =
        storage.commit_upload(bucket, (name, id(target)?), &condition(headers)?, |upload| {
            let mut chosen = BTreeMap::new();
            for Named { part_num, etag } in &parts_to_commit {
                let part = upload.parts.get(part_num).filter(|part| part.etag == *etag);
                let part = part.ok_or_else(|| invalid_part(*part_num, "has another ETag"))?;
                if chosen.insert(*part_num, part.clone()).is_some() {
                    return Err(invalid_part(*part_num, "is named twice"));
                }
            }
            check_exclusion(upload, &chosen, &excluded)?;
            assemble(upload, &chosen, now)
        })?;
    Ok(written(&object)
        .with_text("opc-multipart-md5", &object.md5)
        .with_text("opc-content-crc32c", &base64_crc(object.crc32c))
        .with_checksums(&object))
}

/// Every part that was put is in exactly one of the two lists.
fn check_exclusion(
    upload: &Upload,
    chosen: &BTreeMap<u32, Arc<Part>>,
    excluded: &[u32],
) -> Result<(), ApiError> {
    for number in excluded {
        if chosen.contains_key(number) {
            return Err(invalid_part(*number, "is both committed and excluded"));
        }
        if !upload.parts.contains_key(number) {
            return Err(invalid_part(*number, "is excluded and was not put"));
        }
    }
    let forgotten = |number: &&u32| !chosen.contains_key(number) && !excluded.contains(number);
    match upload.parts.keys().find(forgotten) {
        Some(number) => Err(invalid_part(*number, "is neither committed nor excluded")),
        None => Ok(()),
    }
}

fn invalid_part(number: u32, why: &str) -> ApiError {
    ApiError::bad_request("InvalidUploadPart", format!("The part {number} {why}"))
}

/// AbortMultipartUpload.
pub(super) fn abort(
    storage: &Storage,
    bucket: &BucketName,
    name: &str,
    target: &Target,
) -> Result<Reply, ApiError> {
    storage.abort_upload(bucket, (name, id(target)?), |_| Ok(()))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
