// SPDX-License-Identifier: Apache-2.0
//! Buckets as both APIs make them: the rules of a name, the settings and what they may be.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::metadata::check_metadata_length;
use crate::state::{BucketInfo, BucketName, new_etag};
use crate::storage::Storage;

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
    apply_settings(&mut bucket, details)?;
    Ok(bucket)
}

/// The rules of a bucket's name.
fn is_legal_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=256).contains(&name.len()) && name.bytes().all(legal)
}

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

/// Takes over the settings that are given; a null (Java's SDK sends them) is none.
pub(crate) fn apply_settings(
    bucket: &mut BucketInfo,
    details: &Map<String, Value>,
) -> Result<(), ApiError> {
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

/// The tier of objects for which none is given.
pub(crate) fn default_tier(storage: &Storage, bucket: &BucketName) -> Result<String, ApiError> {
    let info = storage.bucket(bucket)?;
    Ok(info.settings.get("storageTier").and_then(Value::as_str).unwrap_or("Standard").to_owned())
}
