// SPDX-License-Identifier: Apache-2.0
//! Operations on the namespace and its buckets.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::api::{Place, Refused};
use crate::clock::rfc3339;
use crate::identity::{COMPARTMENT, TENANCY, USER};
use crate::objects::{check_metadata_length, is_not_modified, limit, new_etag, text};
use crate::reply::{ApiError, Reply};
use crate::storage::{BucketInfo, Storage};
use crate::target::{BucketName, Target};

/// Settings of a bucket that a client may give, and what they are if it does not.
fn default_settings() -> Map<String, Value> {
    let settings = json!({
        "metadata": {},
        "publicAccessType": "NoPublicAccess",
        "storageTier": "Standard",
        "objectEventsEnabled": false,
        "freeformTags": {},
        "definedTags": {},
        "kmsKeyId": null,
        "versioning": "Disabled",
        "autoTiering": "Disabled",
        "bucketScope": "NAMESPACE",
    });
    match settings {
        Value::Object(settings) => settings,
        _ => Map::new(),
    }
}

/// GetNamespace: every compartment of the tenancy has the same.
pub(crate) fn namespace(storage: &Storage, target: &Target) -> Result<Reply, ApiError> {
    match target.query("compartmentId") {
        Some(id) if !id.starts_with("ocid1.") => {
            Err(ApiError::bad_request("InvalidParameter", format!("'{id}' is not an OCID")))
        }
        Some(id) if id.starts_with("ocid1.tenancy.") && id != TENANCY => {
            Err(namespace_not_found(id))
        }
        _ => Ok(Reply::json(StatusCode::OK, &storage.namespace())),
    }
}

pub(crate) fn namespace_metadata(storage: &Storage, namespace: &str) -> Result<Reply, ApiError> {
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

pub(crate) fn list(storage: &Storage, namespace: &str, target: &Target) -> Result<Reply, ApiError> {
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

/// The name in a page's token.
pub(crate) fn page_name(page: &str) -> Result<String, ApiError> {
    URL_SAFE_NO_PAD
        .decode(page)
        .ok()
        .and_then(|name| String::from_utf8(name).ok())
        .ok_or_else(|| ApiError::bad_request("InvalidPage", "The page is not one of ours"))
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

pub(crate) fn create(
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

/// A bucket of this name; its name's rules are checked.
pub(crate) fn new_bucket(
    name: &str,
    compartment: &str,
    details: &Map<String, Value>,
    now: SystemTime,
) -> Result<BucketInfo, ApiError> {
    if !is_legal_name(name) {
        return Err(ApiError::bad_request(
            "InvalidBucketName",
            format!("The bucket name '{name}' has other than letters, digits, '-', '_' and '.'"),
        ));
    }
    let mut bucket = BucketInfo {
        name: name.to_owned(),
        compartment: compartment.to_owned(),
        id: format!("ocid1.bucket.oc1.iad.aaaa{}", new_etag().replace('-', "")),
        etag: new_etag(),
        created: now,
        settings: default_settings(),
    };
    apply(&mut bucket, details)?;
    Ok(bucket)
}

/// The rules of a bucket's name.
pub(crate) fn is_legal_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=256).contains(&name.len()) && name.bytes().all(legal)
}

/// Takes over the settings that are given; a null (Java's SDK sends them) is none.
fn apply(bucket: &mut BucketInfo, details: &Map<String, Value>) -> Result<(), ApiError> {
    for (name, value) in &mut bucket.settings {
        if let Some(given) = details.get(name).filter(|given| !given.is_null()) {
            check_setting(name, given)?;
            *value = given.clone();
        }
    }
    Ok(())
}

/// The values that a setting may have; those of which one alone is served are in the table.
fn check_setting(name: &str, value: &Value) -> Result<(), ApiError> {
    let one_of = |known: &[&str]| value.as_str().is_some_and(|value| known.contains(&value));
    let texts = || value.as_object().filter(|map| map.values().all(Value::is_string));
    let is_good = match name {
        "publicAccessType" => one_of(&["NoPublicAccess", "ObjectRead", "ObjectReadWithoutList"]),
        "storageTier" => one_of(&["Standard", "Archive"]),
        "metadata" | "freeformTags" => texts().is_some(),
        "definedTags" => value.as_object().is_some_and(|map| map.values().all(Value::is_object)),
        _ => true,
    };
    if !is_good {
        let why = format!("{value} is not a value of {name}");
        return Err(ApiError::bad_request("InvalidParameter", why));
    }
    let length = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
    match texts().filter(|_| name == "metadata") {
        Some(metadata) => check_metadata_length(metadata.iter().map(length).sum()),
        None => Ok(()),
    }
}

pub(crate) fn get(
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

pub(crate) fn update(
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
        apply(info, &details)?;
        if let Some(compartment) = details.get("compartmentId").and_then(Value::as_str) {
            compartment.clone_into(&mut info.compartment);
        }
        info.etag = new_etag();
        Ok(())
    })?;
    Ok(Reply::json(StatusCode::OK, &described(&bucket.namespace, &info, None, None))
        .with_text("etag", &info.etag))
}

pub(crate) fn delete(
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

/// A request's JSON body.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let code = if error.is_data() { "InvalidParameter" } else { "InvalidJSON" };
        ApiError::bad_request(code, format!("The body: {error}"))
    })
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
