// SPDX-License-Identifier: Apache-2.0
//! The operations of `/actions/`: rename, copy, batch delete, restore and change of tier. A copy
//! is a work request; see [`crate::work_requests`].

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::described::written;
use super::validation::{check_name, check_tier, check_version, header, metadata_headers};
use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::identity::REGION;
use crate::metadata::{METADATA, check_metadata};
use crate::reply::Reply;
use crate::request::parse_json;
use crate::state::{BucketName, Condition, Object, new_etag};
use crate::storage::Storage;
use crate::work_requests::Copy;

/// Most objects of one batch delete.
const MAX_BATCH: usize = 1000;

/// RenameObject: the new name has the bytes, and the old one nothing, at once.
pub(super) fn rename(
    storage: &Storage,
    bucket: &BucketName,
    body: &[u8],
    now: SystemTime,
) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        source_name: String,
        new_name: String,
        #[serde(rename = "srcObjIfMatchETag")]
        source_if_match: Option<String>,
        #[serde(rename = "newObjIfMatchETag")]
        new_if_match: Option<String>,
        #[serde(rename = "newObjIfNoneMatchETag")]
        new_if_none_match: Option<String>,
    }
    let details: Details = parse_json(body)?;
    check_name(&details.new_name)?;
    if details.source_name == details.new_name {
        return Err(ApiError::bad_request(
            "SourceNameSameAsNewName",
            "The source's name and the new name are the same",
        ));
    }
    let target = Condition {
        if_match: details.new_if_match,
        absent: absent(details.new_if_none_match.as_deref())?,
    };
    let object = storage.rename(
        bucket,
        (&details.source_name, details.source_if_match.as_deref()),
        (&details.new_name, &target),
        |object| {
            object.etag = new_etag();
            object.version = new_etag();
            object.modified = now;
        },
    )?;
    Ok(written(&object))
}

/// An `if-none-match` in a body: only `*` is allowed.
fn absent(if_none_match: Option<&str>) -> Result<bool, ApiError> {
    match if_none_match {
        None => Ok(false),
        Some("*") => Ok(true),
        Some(_) => Err(ApiError::bad_request(
            "IfNoneMatchDisallowed",
            "The If-None-Match of an object that is written may only be '*'",
        )),
    }
}

/// The body of a CopyObject.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CopyDetails {
    source_object_name: String,
    destination_region: String,
    destination_namespace: String,
    destination_bucket: String,
    destination_object_name: String,
    #[serde(rename = "sourceObjectIfMatchETag")]
    source_if_match: Option<String>,
    source_version_id: Option<String>,
    #[serde(rename = "destinationObjectIfMatchETag")]
    target_if_match: Option<String>,
    #[serde(rename = "destinationObjectIfNoneMatchETag")]
    target_if_none_match: Option<String>,
    destination_object_metadata: Option<BTreeMap<String, Option<String>>>,
    destination_object_storage_tier: Option<String>,
}

/// Reads and judges a CopyObject as far as the service does before it answers.
pub(super) fn copy(
    storage: &Storage,
    bucket: &BucketName,
    body: &[u8],
    now: SystemTime,
) -> Result<Copy, ApiError> {
    let details: CopyDetails = parse_json(body)?;
    if details.destination_region != REGION {
        return Err(ApiError::bad_request(
            "InvalidParameter",
            format!("The emulator has one region, {REGION}"),
        ));
    }
    check_name(&details.destination_object_name)?;
    let target =
        BucketName { namespace: details.destination_namespace, name: details.destination_bucket };
    storage.bucket(&target)?;
    let source = storage.get(bucket, &details.source_object_name)?;
    let version = details.source_version_id.as_deref();
    check_version(&source, version, bucket, &details.source_object_name)?;
    source.check_if_match(details.source_if_match.as_deref())?;
    if source.is_archived(now) {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "NotRestored",
            "The source is archived: restore it before it is copied",
        ));
    }
    let mut headers = source.headers.clone();
    if let Some(metadata) = details.destination_object_metadata {
        headers.retain(|(name, _)| !name.as_str().starts_with(METADATA));
        for (name, value) in metadata_headers(metadata) {
            headers.push(header(&name, &value.unwrap_or_default())?);
        }
        check_metadata(&headers)?;
    }
    let tier = match details.destination_object_storage_tier {
        Some(tier) => check_tier(&tier)?,
        None => source.storage_tier.clone(),
    };
    Ok(Copy {
        source: (bucket.clone(), details.source_object_name),
        target: (target, details.destination_object_name),
        object: Some(source.copied(&tier, headers, now)),
        condition: Condition {
            if_match: details.target_if_match,
            absent: absent(details.target_if_none_match.as_deref())?,
        },
    })
}

/// BatchDeleteObjects: each object's own end, in the order in which they were named.
pub(super) fn delete_batch(
    storage: &Storage,
    bucket: &BucketName,
    body: &[u8],
    now: SystemTime,
) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        objects: Vec<Named>,
        is_skip_deleted_result: Option<bool>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        object_name: String,
        if_match: Option<String>,
    }
    let Details { objects, is_skip_deleted_result } = parse_json(body)?;
    if objects.is_empty() || objects.len() > MAX_BATCH {
        return Err(ApiError::bad_request(
            "InvalidParameter",
            format!("A batch names 1 to {MAX_BATCH} objects"),
        ));
    }
    storage.bucket(bucket)?;
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for Named { object_name, if_match } in objects {
        let judge = |object: &Object| object.check_if_match(if_match.as_deref());
        match storage.delete(bucket, &object_name, judge) {
            Ok(_) => deleted.push(json!({
                "objectName": object_name,
                "timeLastModified": rfc3339(now),
            })),
            Err(error) => failed.push(json!({
                "objectName": object_name,
                "statusCode": error.status.as_u16(),
                "errorCode": error.code,
                "errorMessage": error.message,
            })),
        }
    }
    let deleted = if is_skip_deleted_result == Some(true) { Vec::<Value>::new() } else { deleted };
    Ok(Reply::json(StatusCode::OK, &json!({ "deleted": deleted, "failed": failed })))
}

/// UpdateObjectStorageTier.
pub(super) fn set_tier(
    storage: &Storage,
    bucket: &BucketName,
    body: &[u8],
    now: SystemTime,
) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        object_name: String,
        storage_tier: String,
        version_id: Option<String>,
    }
    let Details { object_name, storage_tier, version_id } = parse_json(body)?;
    let tier = check_tier(&storage_tier)?;
    storage.edit(bucket, &object_name, |object| {
        check_version(object, version_id.as_deref(), bucket, &object_name)?;
        if object.is_archived(now) {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                "NotRestored",
                "The object is archived: restore it before its tier is changed",
            ));
        }
        object.archived = (tier == "Archive").then_some(now);
        object.restored_until = None;
        object.storage_tier = tier;
        Ok(())
    })?;
    Ok(Reply::empty(StatusCode::OK))
}

/// RestoreObjects: done at once, where the service takes an hour.
pub(super) fn restore(
    storage: &Storage,
    bucket: &BucketName,
    body: &[u8],
    now: SystemTime,
) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        object_name: String,
        hours: Option<u64>,
        version_id: Option<String>,
    }
    let Details { object_name, hours, version_id } = parse_json(body)?;
    let hours = hours.unwrap_or(24);
    if !(1..=240).contains(&hours) {
        return Err(ApiError::bad_request("InvalidParameter", "hours is a number from 1 to 240"));
    }
    storage.edit(bucket, &object_name, |object| {
        check_version(object, version_id.as_deref(), bucket, &object_name)?;
        if !object.is_archived(now) {
            let (code, why) = match object.archived {
                Some(_) => ("AlreadyRestored", "The object is restored already"),
                None => ("IncorrectState", "The object is not archived"),
            };
            return Err(ApiError::new(StatusCode::CONFLICT, code, why));
        }
        object.restored_until = Some(now + Duration::from_secs(3600 * hours));
        Ok(())
    })?;
    Ok(Reply::empty(StatusCode::OK))
}
