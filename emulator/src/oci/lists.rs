// SPDX-License-Identifier: Apache-2.0
//! The lists of objects and of their versions.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::described::archival_state;
use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::request::{limit, page_name};
use crate::state::{BucketName, ListQuery, Object};
use crate::storage::Storage;
use crate::target::Target;

pub(super) fn list(
    storage: &Storage,
    bucket: &BucketName,
    target: &Target,
    now: SystemTime,
) -> Result<Reply, ApiError> {
    let fields = ListFields::parse(target)?;
    let page = storage.list(bucket, &list_query(target)?)?;
    let mut answer = Map::new();
    let objects = page.objects.iter().map(|(name, object)| fields.describe(name, object, now));
    answer.insert("objects".into(), objects.collect());
    answer.insert("prefixes".into(), page.prefixes.into());
    if let Some(next) = page.next {
        answer.insert("nextStartWith".into(), next.into());
    }
    Ok(Reply::json(StatusCode::OK, &answer))
}

/// ListObjectVersions: each object's only version, as none older is kept.
pub(super) fn list_versions(
    storage: &Storage,
    bucket: &BucketName,
    target: &Target,
    now: SystemTime,
) -> Result<Reply, ApiError> {
    let mut query = list_query(target)?;
    if let Some(page) = target.query("page") {
        query.start = Some(page_name(page)?);
    }
    let fields = ListFields::parse(target)?;
    let page = storage.list(bucket, &query)?;
    let items = page.objects.iter().map(|(name, object)| {
        let mut item = fields.describe(name, object, now);
        item["timeModified"] = rfc3339(object.modified).into();
        item["versionId"] = object.version.clone().into();
        item["isDeleteMarker"] = false.into();
        item
    });
    let answer = json!({ "items": items.collect::<Vec<_>>(), "prefixes": page.prefixes });
    let reply = Reply::json(StatusCode::OK, &answer);
    Ok(match page.next {
        Some(next) => reply.with_text("opc-next-page", &URL_SAFE_NO_PAD.encode(next)),
        None => reply,
    })
}

fn list_query(target: &Target) -> Result<ListQuery, ApiError> {
    let owned = |name| target.query(name).map(str::to_owned);
    if target.query("delimiter").is_some_and(|delimiter| delimiter != "/") {
        return Err(ApiError::bad_request("InvalidParameter", "The only delimiter is '/'"));
    }
    Ok(ListQuery {
        prefix: owned("prefix").unwrap_or_default(),
        start: owned("start"),
        start_after: owned("startAfter"),
        end: owned("end"),
        limit: limit(target)?,
        delimiter: owned("delimiter"),
    })
}

/// Which fields of an object a list tells, beside its name.
struct ListFields(Vec<&'static str>);

impl ListFields {
    const KNOWN: [&'static str; 8] = [
        "name",
        "size",
        "etag",
        "md5",
        "timeCreated",
        "timeModified",
        "storageTier",
        "archivalState",
    ];

    fn parse(target: &Target) -> Result<ListFields, ApiError> {
        let known = |field: &str| {
            Self::KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(field)).ok_or_else(
                || {
                    ApiError::bad_request(
                        "InvalidParameter",
                        format!(
                            "'{field}' is not a field of an object; there are {:?}",
                            Self::KNOWN
                        ),
                    )
                },
            )
        };
        target
            .csv("fields")
            .filter(|field| !field.is_empty())
            .map(known)
            .collect::<Result<_, _>>()
            .map(ListFields)
    }

    fn describe(&self, name: &str, object: &Object, now: SystemTime) -> Value {
        let mut told = Map::from_iter([("name".to_owned(), name.into())]);
        for field in &self.0 {
            let value = match *field {
                "size" => object.size.into(),
                "etag" => object.etag.clone().into(),
                "md5" => object.md5.clone().into(),
                "timeCreated" => rfc3339(object.created).into(),
                "timeModified" => rfc3339(object.modified).into(),
                "storageTier" => object.storage_tier.clone().into(),
                "archivalState" => object.archived.map(|_| archival_state(object, now)).into(),
                _ => continue,
            };
            told.insert((*field).to_owned(), value);
        }
        told.into()
    }
}
