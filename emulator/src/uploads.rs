// SPDX-License-Identifier: Apache-2.0
//! Uploads by parts: create, put a part, list, commit, abort. A commit joins what the parts
//! share and copies nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest as _, Md5};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::buckets::{page_name, parse_json};
use crate::clock::rfc3339;
use crate::content::Content;
use crate::intake::{Algorithm, Received};
use crate::objects::{
    METADATA, base64_crc, check_algorithm, check_metadata, check_name, check_received, check_tier,
    chosen, condition, default_tier, limit, new_etag, new_object, written,
};
use crate::reply::{ApiError, Reply};
use crate::storage::{Object, ObjectPart, Part, Storage, Upload};
use crate::target::{BucketName, Target};

/// The greatest number of a part.
pub(crate) const MAX_PART: u32 = 10_000;

/// CreateMultipartUpload.
pub(crate) fn create(
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

/// A fresh id of an upload, in the shape of the service's.
pub(crate) fn new_upload_id() -> String {
    new_etag()
}

/// User metadata as headers; the prefix may be left out.
pub(crate) fn metadata_headers(
    metadata: BTreeMap<String, Option<String>>,
) -> impl Iterator<Item = (String, Option<String>)> {
    metadata.into_iter().map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix(METADATA).unwrap_or(&name);
        (format!("{METADATA}{name}"), value)
    })
}

/// A header that is kept with an object.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), ApiError> {
    let invalid =
        || ApiError::bad_request("InvalidMetadata", format!("'{name}: {value}' is no header"));
    Ok((
        HeaderName::try_from(name).map_err(|_| invalid())?,
        HeaderValue::try_from(value).map_err(|_| invalid())?,
    ))
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
pub(crate) fn id(target: &Target) -> Result<&str, ApiError> {
    target.query("uploadId").ok_or_else(|| {
        ApiError::bad_request("MissingUploadId", "The query parameter uploadId is missing")
    })
}

/// The part that a request names.
pub(crate) fn part_number(target: &Target) -> Result<u32, ApiError> {
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
pub(crate) fn put_part(
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
pub(crate) fn list(
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
pub(crate) fn list_parts(
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
pub(crate) fn commit(
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

/// The object that these parts make, in the order of their numbers.
pub(crate) fn assemble(
    upload: &Upload,
    chosen: &BTreeMap<u32, Arc<Part>>,
    now: SystemTime,
) -> Result<Object, ApiError> {
    if chosen.is_empty() {
        return Err(ApiError::bad_request("InvalidUploadPart", "There are no parts to commit"));
    }
    let parts = || chosen.values();
    let md5 = parts().fold(Md5::new(), |md5, part| md5.chain_update(part.md5)).finalize();
    let crc32c =
        parts().fold(0, |crc, part| crc32c::crc32c_combine(crc, part.crc32c, part.size as usize));
    let content = Content::joined(parts().map(|part| &part.content));
    let told = chosen.iter().map(|(number, part)| ObjectPart {
        number: *number,
        size: part.size,
        md5: part.md5,
        checksums: part.checksums.clone(),
    });
    Ok(Object {
        parts: told.collect(),
        md5: format!("{}-{}", STANDARD.encode(md5), chosen.len()),
        crc32c,
        checksums: checksum(upload, chosen).into_iter().collect(),
        ..new_object(content, &upload.storage_tier, upload.headers.clone(), now)
    })
}

/// The checksum of an object that was asked for when its upload began: of all bytes, or the
/// checksum of the parts' checksums, `-` and their number. None if a part has none.
pub(crate) fn checksum(
    upload: &Upload,
    chosen: &BTreeMap<u32, Arc<Part>>,
) -> Option<(String, String)> {
    let name = upload.checksum.as_ref()?;
    let algorithm = Algorithm::named(name)?;
    let mut digests = Vec::new();
    for part in chosen.values() {
        let (_, value) = part.checksums.iter().find(|(kept, _)| kept == name)?;
        digests.push((STANDARD.decode(value).ok()?, part.size));
    }
    let value = if upload.checksum_of_whole {
        let whole = digests.into_iter().try_fold(None::<Vec<u8>>, |all, (digest, size)| {
            Some(Some(match all {
                None => digest,
                Some(all) => algorithm.combine(&all, &digest, size)?,
            }))
        });
        STANDARD.encode(whole??)
    } else {
        let all: Vec<u8> = digests.into_iter().flat_map(|(digest, _)| digest).collect();
        format!("{}-{}", STANDARD.encode(algorithm.of(&all)), chosen.len())
    };
    Some((name.clone(), value))
}

/// AbortMultipartUpload.
pub(crate) fn abort(
    storage: &Storage,
    bucket: &BucketName,
    name: &str,
    target: &Target,
) -> Result<Reply, ApiError> {
    storage.abort_upload(bucket, (name, id(target)?), |_| Ok(()))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
