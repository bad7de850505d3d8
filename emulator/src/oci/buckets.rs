// SPDX-License-Identifier: Apache-2.0
//! Operations on the namespace and its buckets.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::api::{Place, Refused};
use crate::buckets::{apply_settings, new_bucket};
use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::identity::{COMPARTMENT, Identity, USER};
use crate::reply::Reply;
use crate::request::{is_not_modified, limit, page_name, parse_json, text};
use crate::state::{BucketInfo, BucketName, new_etag};
use crate::storage::Storage;
use crate::target::Target;

/// GetNamespace: every compartment of the tenancy has the same.
pub(super) fn namespace(
    storage: &Storage,
    identity: &Identity,
    target: &Target,
) -> Result<Reply, ApiError> {
    match target.query("compartmentId") {
        Some(id) if !id.starts_with("ocid1.") => {
            Err(ApiError::bad_request("InvalidParameter", format!("'{id}' is not an OCID")))
        }
        Some(id)
            if id.starts_with("ocid1.tenancy.")
                && identity.namespace(id).as_deref() != Some(storage.namespace()) =>
        {
            Err(namespace_not_found(id))
        }
        _ => Ok(Reply::json(StatusCode::OK, &storage.namespace())),
    }
}

pub(super) fn namespace_metadata(storage: &Storage, namespace: &str) -> Result<Reply, ApiError> {
    check_namespace(storage, namespace)?;
    Ok(Reply::json(
        StatusCode::OK,
        &json!({
            "namespace": namespace,
            "defaultS3CompartmentId": COMPARTMENT,
            "defaultSwiftCompartmentId": COMPARTMENT,
        }),
    ))
}

pub(super) fn list(storage: &Storage, namespace: &str, target: &Target) -> Result<Reply, ApiError> {
    check_namespace(storage, namespace)?;
    let compartment = target.query("compartmentId").ok_or_else(|| {
        ApiError::bad_request("MissingParameter", "The query parameter compartmentId is missing")
    })?;
    let limit = limit(target)?;
    let tags = asks_for(target, "tags", &["tags"])?;
    let after = target.query("page").map(page_name).transpose()?;
    let mut buckets = storage.buckets(after.as_deref());
    buckets.retain(|bucket| bucket.compartment == compartment);
    let more = buckets.len() > limit;
    buckets.truncate(limit);
    let summaries: Vec<Value> =
        buckets.iter().map(|bucket| summary(namespace, bucket, tags)).collect();
    let reply = Reply::json(StatusCode::OK, &summaries);
    Ok(match buckets.last() {
        Some(last) if more => reply.with_text("opc-next-page", &URL_SAFE_NO_PAD.encode(&last.name)),
        _ => reply,
    })
}

fn summary(namespace: &str, bucket: &BucketInfo, tags: bool) -> Value {
    let tag = |name| bucket.settings.get(name).filter(|_| tags);
    json!({
        "namespace": namespace,
        "name": bucket.name,
        "compartmentId": bucket.compartment,
        "createdBy": USER,
        "timeCreated": rfc3339(bucket.created),
        "etag": bucket.etag,
        "freeformTags": tag("freeformTags"),
        "definedTags": tag("definedTags"),
    })
}

pub(super) fn create(
    storage: &Storage,
    namespace: &str,
    body: &[u8],
    now: SystemTime,
) -> Result<Reply, ApiError> {
    check_namespace(storage, namespace)?;
    let details = details(body)?;
    let required = |name: &str| {
        details.get(name).and_then(Value::as_str).ok_or_else(|| {
            ApiError::bad_request("MissingParameter", format!("{name} is missing or no string"))
        })
    };
    let bucket = new_bucket(required("name")?, required("compartmentId")?, &details, now)?;
    storage.create_bucket(bucket.clone())?;
    Ok(Reply::json(StatusCode::OK, &described(namespace, &bucket, None, None))
        .with_text("etag", &bucket.etag)
        .with_text("location", &format!("/n/{namespace}/b/{}", bucket.name)))
}

pub(super) fn get(
    storage: &Storage,
    bucket: &BucketName,
    headers: &HeaderMap,
    target: &Target,
) -> Result<Reply, ApiError> {
    let info = storage.bucket(bucket)?;
    if is_not_modified(headers, &info.etag)? {
        return Ok(Reply::empty(StatusCode::NOT_MODIFIED).with_text("etag", &info.etag));
    }
    let asked =
        |name| asks_for(target, name, &["approximateCount", "approximateSize", "autoTiering"]);
    let (count, bytes) = storage.count(bucket)?;
    let count = asked("approximateCount")?.then_some(count);
    let bytes = asked("approximateSize")?.then_some(bytes);
    Ok(Reply::json(StatusCode::OK, &described(&bucket.namespace, &info, count, bytes))
        .with_text("etag", &info.etag))
}

fn described(
    namespace: &str,
    bucket: &BucketInfo,
    count: Option<u64>,
    bytes: Option<u64>,
) -> Map<String, Value> {
    let mut told = bucket.settings.clone();
    let own = json!({
        "namespace": namespace,
        "name": bucket.name,
        "compartmentId": bucket.compartment,
        "createdBy": USER,
        "timeCreated": rfc3339(bucket.created),
        "etag": bucket.etag,
        "id": bucket.id,
        "objectLifecyclePolicyEtag": null,
        "approximateCount": count,
        "approximateSize": bytes,
        "replicationEnabled": false,
        "isReadOnly": false,
    });
    if let Value::Object(own) = own {
        told.extend(own);
    }
    told
}

pub(super) fn update(
    storage: &Storage,
    bucket: &BucketName,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Reply, ApiError> {
    let details = details(body)?;
    // A bucket neither moves nor is renamed.
    for (name, own) in [("name", &bucket.name), ("namespace", &bucket.namespace)] {
        let given = details.get(name).filter(|given| !given.is_null());
        if given.is_some_and(|given| given.as_str() != Some(own)) {
            return Err(Refused { place: Place::Body, name: name.to_owned() }.into());
        }
    }
    let info = storage.update_bucket(bucket, text(headers, "if-match"), |info| {
        apply_settings(info, &details)?;
        if let Some(compartment) = details.get("compartmentId").and_then(Value::as_str) {
            compartment.clone_into(&mut info.compartment);
        }
        info.etag = new_etag();
        Ok(())
    })?;
    Ok(Reply::json(StatusCode::OK, &described(&bucket.namespace, &info, None, None))
        .with_text("etag", &info.etag))
}

pub(super) fn delete(
    storage: &Storage,
    bucket: &BucketName,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    storage.delete_bucket(bucket, text(headers, "if-match"))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

fn details(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    parse_json(body)
}

fn check_namespace(storage: &Storage, namespace: &str) -> Result<(), ApiError> {
    if namespace == storage.namespace() {
        return Ok(());
    }
    Err(namespace_not_found(namespace))
}

fn namespace_not_found(of: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "NamespaceNotFound",
        format!("The namespace '{of}' was not found, or you are not authorized to use it"),
    )
}

/// Whether a field that may be asked for is; one that is not of `known` is an error.
fn asks_for(target: &Target, field: &str, known: &[&str]) -> Result<bool, ApiError> {
    let is = |asked: &str, field: &str| asked.eq_ignore_ascii_case(field);
    let asked = || target.csv("fields").filter(|asked| !asked.is_empty());
    match asked().find(|asked| !known.iter().any(|known| is(asked, known))) {
        None => Ok(asked().any(|asked| is(asked, field))),
        Some(other) => Err(ApiError::bad_request(
            "InvalidParameter",
            format!("'{other}' is not a field that can be asked for; there are {known:?}"),
        )),
    }
}
