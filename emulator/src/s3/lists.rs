// SPDX-License-Identifier: Apache-2.0
//! ListObjects, both versions.

use std::fmt::Write as _;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::objects::storage_class;
use super::{Answer, Shared, error};
use crate::storage::{ListQuery, Object as Stored, Page, after_all};

/// Most objects and prefixes of a page.
const MAX_KEYS: i32 = 1000;

/// A name as a list has it, where `encoding-type` may be `url`.
pub(super) fn encoded(name: &str, encoding: Option<&EncodingType>) -> String {
    if encoding.map(EncodingType::as_str) != Some(EncodingType::URL) {
        return name.to_owned();
    }
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            other => write!(encoded, "%{other:02X}").expect("a String takes all"),
        }
    }
    encoded
}

/// How many are asked for, at most a thousand.
pub(super) fn limit(asked: Option<i32>) -> S3Result<usize> {
    let asked = asked.unwrap_or(MAX_KEYS).min(MAX_KEYS);
    usize::try_from(asked).map_err(|_| S3ErrorCode::InvalidArgument.into())
}

/// The first name after one that was listed: a prefix stands for all that are below it.
fn after(last: &str, query: &ListQuery) -> Option<String> {
    let delimiter = query.delimiter.as_deref()?;
    let rest = last.strip_prefix(&query.prefix)?;
    let is_prefix = rest.find(delimiter).is_some_and(|at| at + delimiter.len() == rest.len());
    is_prefix.then(|| after_all(last))?
}

fn page(api: &Shared, bucket: &str, query: &ListQuery) -> S3Result<Page> {
    if query.limit == 0 {
        api.storage().bucket(&api.name(bucket)).map_err(error)?;
        return Ok(Page::default());
    }
    api.storage().list(&api.name(bucket), query).map_err(error)
}

/// The objects of a page; `restored` tells until when an archived one can be read.
fn contents(
    page: &Page,
    encoding: Option<&EncodingType>,
    restored: Option<SystemTime>,
) -> Vec<Object> {
    let status = |stored: &Stored| {
        let until = stored.restored_until.filter(|until| restored.is_some_and(|now| *until > now));
        Some(RestoreStatus {
            is_restore_in_progress: Some(false),
            restore_expiry_date: Some(until?.into()),
        })
    };
    let object = |(name, stored): &(String, std::sync::Arc<Stored>)| Object {
        e_tag: Some(ETag::Strong(stored.s3_etag())),
        key: Some(encoded(name, encoding)),
        last_modified: Some(stored.modified.into()),
        size: Some(stored.size as i64),
        storage_class: Some(storage_class(&stored.storage_tier).to_owned().into()),
        restore_status: status(stored),
        ..Default::default()
    };
    page.objects.iter().map(object).collect()
}

fn prefixes(page: &Page, encoding: Option<&EncodingType>) -> Vec<CommonPrefix> {
    let prefix = |prefix: &String| CommonPrefix { prefix: Some(encoded(prefix, encoding)) };
    page.prefixes.iter().map(prefix).collect()
}

pub(super) fn list(
    api: &Shared,
    request: S3Request<ListObjectsInput>,
) -> Answer<ListObjectsOutput> {
    let input = request.input;
    let encoding = input.encoding_type.as_ref();
    // The table allows one attribute only.
    let restored = input.optional_object_attributes.as_ref().map(|_| api.now());
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let mut query = ListQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        start: None,
        start_after: given(&input.marker),
        end: None,
        limit: limit(input.max_keys)?,
        delimiter: given(&input.delimiter),
    };
    if let Some(marker) = &query.start_after
        && let Some(next) = after(marker, &query)
    {
        query.start = Some(next);
    }
    let page = page(api, &input.bucket, &query)?;
    let last = page.objects.last().map(|(name, _)| name).max(page.prefixes.last());
    Ok(S3Response::new(ListObjectsOutput {
        contents: Some(contents(&page, encoding, restored)),
        common_prefixes: Some(prefixes(&page, encoding)),
        is_truncated: Some(page.next.is_some()),
        next_marker: page.next.as_ref().and(last).map(|last| encoded(last, encoding)),
        name: Some(input.bucket),
        prefix: input.prefix.as_deref().map(|prefix| encoded(prefix, encoding)),
        marker: Some(encoded(&input.marker.unwrap_or_default(), encoding)),
        delimiter: input.delimiter.as_deref().map(|text| encoded(text, encoding)),
        max_keys: Some(query.limit as i32),
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }))
}

pub(super) fn list_v2(
    api: &Shared,
    request: S3Request<ListObjectsV2Input>,
) -> Answer<ListObjectsV2Output> {
    let input = request.input;
    let encoding = input.encoding_type.as_ref();
    // The table allows one attribute only.
    let restored = input.optional_object_attributes.as_ref().map(|_| api.now());
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let token = |token: String| {
        let name = URL_SAFE_NO_PAD.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
        name.ok_or_else(|| {
            let why = "The continuation token provided is incorrect";
            S3Error::with_message(S3ErrorCode::InvalidArgument, why)
        })
    };
    let start = given(&input.continuation_token).map(token).transpose()?;
    let query = ListQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        start_after: given(&input.start_after).filter(|_| start.is_none()),
        start,
        end: None,
        limit: limit(input.max_keys)?,
        delimiter: given(&input.delimiter),
    };
    let page = page(api, &input.bucket, &query)?;
    Ok(S3Response::new(ListObjectsV2Output {
        key_count: Some((page.objects.len() + page.prefixes.len()) as i32),
        contents: Some(contents(&page, encoding, restored)),
        common_prefixes: Some(prefixes(&page, encoding)),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
        continuation_token: input.continuation_token.clone(),
        name: Some(input.bucket),
        prefix: input.prefix.as_deref().map(|prefix| encoded(prefix, encoding)),
        start_after: input.start_after.as_deref().map(|text| encoded(text, encoding)),
        delimiter: input.delimiter.as_deref().map(|text| encoded(text, encoding)),
        max_keys: Some(query.limit as i32),
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_if_asked() {
        let url = EncodingType::from_static(EncodingType::URL);
        assert_eq!(encoded("a b/ü+%", Some(&url)), "a%20b/%C3%BC%2B%25");
        assert_eq!(encoded("a b/ü+%", None), "a b/ü+%");
    }
}
