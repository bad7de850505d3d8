// SPDX-License-Identifier: Apache-2.0
//! What may be done without a signature: pre-authenticated requests, made, listed, used and
//! deleted, and public buckets.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::request::{limit, page_name, parse_json};
use crate::state::{BucketName, Par, new_etag};
use crate::storage::Storage;
use crate::target::{Route, Target};

/// CreatePreauthenticatedRequest; `base` is the address that the client used.
pub(super) fn create(
    storage: &Storage,
    bucket: &BucketName,
    body: &[u8],
    base: &str,
    now: SystemTime,
) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        name: String,
        access_type: String,
        time_expires: jiff::Timestamp,
        object_name: Option<String>,
        bucket_listing_action: Option<String>,
    }
    let details: Details = parse_json(body)?;
    let any = match details.access_type.as_str() {
        "ObjectRead" | "ObjectWrite" | "ObjectReadWrite" => false,
        "AnyObjectRead" | "AnyObjectWrite" | "AnyObjectReadWrite" => true,
        other => {
            let why = format!("'{other}' is not an access type");
            return Err(ApiError::bad_request("InvalidParameter", why));
        }
    };
    let expires = SystemTime::from(details.time_expires);
    if expires <= now {
        return Err(ApiError::bad_request("InvalidParameter", "timeExpires has passed"));
    }
    if details.object_name.is_none() && !any {
        return Err(ApiError::bad_request("MissingParameter", "objectName is missing"));
    }
    let par = Par {
        // The service's ids hold such letters, so that they must be encoded in a path.
        id: format!("{}+/=:{}", new_etag(), details.object_name.as_deref().unwrap_or_default()),
        token: new_token(),
        name: details.name,
        object: details.object_name,
        access: details.access_type,
        listing: match details.bucket_listing_action.as_deref() {
            None | Some("Deny") => false,
            Some("ListObjects") if any => true,
            Some(_) => {
                let why = "bucketListingAction is Deny or, for any object, ListObjects";
                return Err(ApiError::bad_request("InvalidParameter", why));
            }
        },
        created: now,
        expires,
    };
    let uri = access_uri(bucket, &par);
    let mut told = described(&par);
    told.insert("accessUri".into(), uri.clone().into());
    told.insert("fullPath".into(), format!("{base}{uri}").into());
    storage.create_par(bucket, par)?;
    Ok(Reply::json(StatusCode::OK, &told))
}

fn new_token() -> String {
    let mut bytes = [0_u8; 48];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn access_uri(bucket: &BucketName, par: &Par) -> String {
    let BucketName { namespace, name } = bucket;
    // Of a prefix the path ends after `/o/`: which objects it opens is not told there.
    let object = par.object.as_deref().filter(|_| !par.access.starts_with("Any"));
    let object: String = object
        .unwrap_or_default()
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("/p/{}/n/{namespace}/b/{name}/o/{object}", par.token)
}

fn described(par: &Par) -> Map<String, Value> {
    let told = json!({
        "id": par.id,
        "name": par.name,
        "objectName": par.object,
        "bucketListingAction": if par.listing { "ListObjects" } else { "Deny" },
        "accessType": par.access,
        "timeCreated": rfc3339(par.created),
        "timeExpires": rfc3339(par.expires),
    });
    match told {
        Value::Object(told) => told,
        _ => Map::new(),
    }
}

/// ListPreauthenticatedRequests.
pub(super) fn list(
    storage: &Storage,
    bucket: &BucketName,
    target: &Target,
) -> Result<Reply, ApiError> {
    let limit = limit(target)?;
    let after = target.query("page").map(page_name).transpose()?;
    let prefix = target.query("objectNamePrefix").unwrap_or_default();
    let mut pars = storage.pars(bucket)?;
    pars.retain(|par| {
        par.object.as_deref().unwrap_or_default().starts_with(prefix)
            && after.as_ref().is_none_or(|after| par.id > *after)
    });
    let more = pars.len() > limit;
    pars.truncate(limit);
    let told: Vec<_> = pars.iter().map(described).collect();
    let reply = Reply::json(StatusCode::OK, &told);
    Ok(match pars.last() {
        Some(last) if more => reply.with_text("opc-next-page", &URL_SAFE_NO_PAD.encode(&last.id)),
        _ => reply,
    })
}

/// GetPreauthenticatedRequest.
pub(super) fn get(storage: &Storage, bucket: &BucketName, id: &str) -> Result<Reply, ApiError> {
    let pars = storage.pars(bucket)?;
    let par = pars.iter().find(|par| par.id == id).ok_or_else(ApiError::par_not_found)?;
    Ok(Reply::json(StatusCode::OK, &described(par)))
}

/// DeletePreauthenticatedRequest.
pub(super) fn delete(storage: &Storage, bucket: &BucketName, id: &str) -> Result<Reply, ApiError> {
    storage.delete_par(bucket, id)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Whether a request may be done because of its token.
pub(super) fn check_token(
    storage: &Storage,
    token: &str,
    method: &str,
    target: &Target,
    now: SystemTime,
) -> Result<(), ApiError> {
    let (Route::Object { bucket, .. } | Route::Objects { bucket }) = &target.route else {
        return Err(ApiError::par_not_found());
    };
    storage
        .pars(bucket)?
        .iter()
        .find(|par| par.token == token)
        .filter(|par| par.expires > now && allows(par, method, target))
        .map(drop)
        .ok_or_else(ApiError::par_not_found)
}

/// Whether a pre-authenticated request is for such a request.
fn allows(par: &Par, method: &str, target: &Target) -> bool {
    let granted = match method {
        "GET" | "HEAD" => par.access.contains("Read"),
        "PUT" => par.access.contains("Write"),
        _ => false,
    };
    let object = par.object.as_deref().unwrap_or_default();
    let any = par.access.starts_with("Any");
    match &target.route {
        Route::Object { name: Some(name), .. } => {
            granted && if any { name.starts_with(object) } else { name == object }
        }
        Route::Objects { .. } => {
            let prefix = target.query("prefix").unwrap_or_default();
            method == "GET" && par.listing && prefix.starts_with(object)
        }
        _ => false,
    }
}

/// Whether a request without a signature may be done because its bucket is public. What it asks
/// of another bucket is not found: who may not see a bucket is not told that it is there.
pub(super) fn check_public(
    storage: &Storage,
    method: &str,
    target: &Target,
) -> Result<bool, ApiError> {
    let (bucket, listing) = match &target.route {
        Route::Object { bucket, .. } => (bucket, false),
        Route::Objects { bucket } => (bucket, true),
        _ => return Ok(false),
    };
    if !["GET", "HEAD"].contains(&method) {
        return Ok(false);
    }
    let info = storage.bucket(bucket)?;
    match info.settings.get("publicAccessType").and_then(Value::as_str) {
        Some("ObjectRead") => Ok(true),
        Some("ObjectReadWithoutList") if !listing => Ok(true),
        _ => Err(ApiError::bucket_not_found(&bucket.namespace, &bucket.name)),
    }
}
