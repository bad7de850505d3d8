// SPDX-License-Identifier: Apache-2.0
//! Lists: buckets, objects in both versions, and object versions.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::checksums::checksum_type;
use super::errors::{error, invalid_argument};
use super::shared::{Answer, Shared};
use super::stored::{NULL, storage_class};
use crate::identity::{REGION, USER};
use crate::state::{BucketInfo, ListQuery, Object as Stored, Page, after_all};
use crate::target::{percent_encoded, query_pairs};

/// Most objects and prefixes of a page.
const MAX_KEYS: i32 = 1000;
/// Most buckets of a page.
const MAX_BUCKETS: i32 = 10_000;

/// Refuses invalid arguments of lists, in the order in which S3 does.
pub(super) fn check(operation: &str, target: &str) -> S3Result<()> {
    let numbers: &[(&str, &str)] = match operation {
        "ListObjects" | "ListObjectsV2" | "ListObjectVersions" => &[("max-keys", "maxKeys")],
        "ListMultipartUploads" => &[("max-uploads", "max-uploads")],
        "ListParts" => &[("max-parts", "max-parts"), ("part-number-marker", "part-number-marker")],
        _ => return Ok(()),
    };
    let query = query_pairs(target);
    let given = |name: &str| {
        let pair = query.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    };
    for (name, argument) in numbers {
        let Some(value) = given(name) else { continue };
        let Ok(number) = value.parse::<i32>() else {
            let why = format!("Provided {name} not an integer or within integer range");
            return Err(invalid_argument(name, Some(value), why));
        };
        if number < 0 {
            let why = format!("Argument {argument} must be an integer between 0 and 2147483647");
            return Err(invalid_argument(argument, Some(value), why));
        }
    }
    let refuse = |name: &str, why: &str| Err(invalid_argument(name, given(name), why.to_owned()));
    match (given("version-id-marker"), given("key-marker").unwrap_or_default()) {
        (Some(_), "") => {
            let why = "A version-id marker cannot be specified without a key marker.";
            return refuse("version-id-marker", why);
        }
        (Some(""), _) => {
            return refuse("version-id-marker", "A version-id marker cannot be empty.");
        }
        _ => {}
    }
    if given("encoding-type").is_some_and(|encoding| encoding != EncodingType::URL) {
        return refuse("encoding-type", "Invalid Encoding Method specified in Request");
    }
    if given("list-type").is_some_and(|version| version != "2") {
        return refuse("list-type", "Invalid List Type specified in Request");
    }
    for name in ["prefix", "marker", "key-marker", "start-after", "delimiter"] {
        if given(name).is_some_and(|value| value.contains('\0')) {
            return Err(invalid_argument(name, None, NO_NULL.to_owned()));
        }
    }
    Ok(())
}

/// What S3 says of a name with a NUL.
pub(super) const NO_NULL: &str =
    "Value must be a sequence of Unicode characters and cannot include Null.";

/// A name as a list has it, where `encoding-type` may be `url`: as in a form, but for slashes.
pub(super) fn encoded(name: &str, encoding: Option<&EncodingType>) -> String {
    match encoding {
        Some(_) => percent_encoded(name).replace("%2F", "/").replace("%20", "+"),
        None => name.to_owned(),
    }
}

/// How many are asked for, at most a thousand.
pub(super) fn limit(asked: Option<i32>) -> usize {
    asked.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS) as usize
}

/// Who owns everything.
pub(super) fn owner() -> Owner {
    Owner { display_name: None, id: Some(USER.to_owned()) }
}

/// A text that is not empty: an empty one says nothing.
pub(super) fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

pub(super) fn list_buckets(
    api: &Shared,
    request: S3Request<ListBucketsInput>,
) -> Answer<ListBucketsOutput> {
    let input = request.input;
    let limit = input.max_buckets.unwrap_or(MAX_BUCKETS);
    if !(1..=MAX_BUCKETS).contains(&limit) {
        let why = format!("Argument max-buckets must be an integer between 1 and {MAX_BUCKETS}");
        return Err(invalid_argument("max-buckets", Some(&limit.to_string()), why));
    }
    let is_region = |region: &&str| *region == REGION || api.regions.values().any(|r| r == region);
    let region = input.bucket_region.as_deref();
    if let Some(region) = region.filter(|region| !is_region(region)) {
        let why = format!("Argument value {region} is not a valid AWS Region");
        return Err(invalid_argument("bucket-region", None, why));
    }
    let after =
        given(input.continuation_token.as_ref()).map(|token| name_in(&token)).transpose()?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let region_of = |info: &BucketInfo| api.regions.get(&info.name).map_or(REGION, String::as_str);
    let mut buckets = api.storage().buckets(after.as_deref());
    buckets.retain(|info| {
        info.name.starts_with(&prefix) && region.is_none_or(|region| region == region_of(info))
    });
    let is_more = buckets.len() > limit as usize;
    buckets.truncate(limit as usize);
    let next = buckets.last().filter(|_| is_more);
    // A list that asks for nothing tells no regions.
    let is_plain = input.max_buckets.is_none()
        && input.prefix.is_none()
        && region.is_none()
        && input.continuation_token.is_none();
    let told = buckets.iter().map(|info| Bucket {
        creation_date: Some(info.created.into()),
        name: Some(info.name.clone()),
        bucket_region: (!is_plain).then(|| region_of(info).to_owned()),
    });
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(told.collect()),
        owner: Some(owner()),
        continuation_token: next.map(|info| URL_SAFE_NO_PAD.encode(&info.name)),
        prefix: input.prefix,
    }))
}

/// The name in a page's token.
fn name_in(token: &str) -> S3Result<String> {
    let name = URL_SAFE_NO_PAD.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
    name.filter(|name| !name.is_empty()).ok_or_else(|| {
        let why = "The continuation token provided is incorrect".to_owned();
        invalid_argument("continuation-token", None, why)
    })
}

/// The first name after a marker that is a prefix which was listed, or lies in one: it stands for all below it.
fn after(marker: &str, query: &ListQuery) -> Option<String> {
    let delimiter = query.delimiter.as_deref()?;
    let at = marker.strip_prefix(&query.prefix)?.find(delimiter)?;
    after_all(&marker[..query.prefix.len() + at + delimiter.len()])
}

fn page(api: &Shared, bucket: &str, query: &ListQuery) -> S3Result<Page> {
    if query.limit == 0 {
        api.storage().bucket(&api.name(bucket)).map_err(error)?;
        return Ok(Page::default());
    }
    api.storage().list(&api.name(bucket), query).map_err(error)
}

/// What follows a marker, which may be a prefix that was listed.
fn marked(mut query: ListQuery, marker: Option<String>) -> ListQuery {
    query.start = marker.as_ref().and_then(|marker| after(marker, &query));
    query.start_after = marker;
    query
}

/// What a list tells of its objects.
struct ListOptions<'a> {
    encoding: Option<&'a EncodingType>,
    with_owner: bool,
    /// Until when an archived one can be read, seen from this time.
    restored: Option<SystemTime>,
}

fn contents(page: &Page, told: &ListOptions<'_>) -> Vec<Object> {
    let status = |stored: &Stored| {
        let is_told = |until: &SystemTime| told.restored.is_some_and(|now| *until > now);
        let until = stored.restored_until.filter(is_told);
        Some(RestoreStatus {
            is_restore_in_progress: Some(false),
            restore_expiry_date: Some(until?.into()),
        })
    };
    let object = |(name, stored): &(String, Arc<Stored>)| {
        let (checksum_algorithm, checksum_type) = checksums(stored);
        Object {
            checksum_algorithm,
            checksum_type,
            e_tag: Some(ETag::Strong(stored.s3_etag())),
            key: Some(encoded(name, told.encoding)),
            last_modified: Some(stored.modified.into()),
            owner: told.with_owner.then(owner),
            size: Some(stored.size as i64),
            storage_class: Some(storage_class(&stored.storage_tier).to_owned().into()),
            restore_status: status(stored),
        }
    };
    page.objects.iter().map(object).collect()
}

/// Which checksums an object has that this API knows, and of what they are.
fn checksums(stored: &Stored) -> (Option<Vec<ChecksumAlgorithm>>, Option<ChecksumType>) {
    let known = stored.checksums.iter().filter(|(name, _)| name != "sha384");
    let names: Vec<_> = known.map(|(name, _)| name.to_uppercase().into()).collect();
    let is_composite = stored.checksums.iter().any(|(_, value)| value.contains('-'));
    let kind = ChecksumType::from_static(checksum_type(is_composite));
    if names.is_empty() { (None, None) } else { (Some(names), Some(kind)) }
}

fn prefixes(page: &Page, encoding: Option<&EncodingType>) -> Vec<CommonPrefix> {
    let prefix = |prefix: &String| CommonPrefix { prefix: Some(encoded(prefix, encoding)) };
    page.prefixes.iter().map(prefix).collect()
}

/// The last name or prefix of a page that is not the last.
fn last(page: &Page) -> Option<&String> {
    let last = page.objects.last().map(|(name, _)| name).max(page.prefixes.last());
    page.next.as_ref().and(last)
}

pub(super) fn list(
    api: &Shared,
    request: S3Request<ListObjectsInput>,
) -> Answer<ListObjectsOutput> {
    let input = request.input;
    let encoding = input.encoding_type.as_ref();
    // The table allows one attribute only.
    let restored = input.optional_object_attributes.as_ref().map(|_| api.now());
    let query = ListQuery {
        prefix: input.prefix.unwrap_or_default(),
        start: None,
        start_after: None,
        end: None,
        limit: limit(input.max_keys),
        delimiter: given(input.delimiter.as_ref()),
    };
    let query = marked(query, given(input.marker.as_ref()));
    let page = page(api, &input.bucket, &query)?;
    // Without a delimiter the next marker is the last key.
    let next = query.delimiter.as_ref().and(last(&page));
    Ok(S3Response::new(ListObjectsOutput {
        contents: Some(contents(&page, &ListOptions { encoding, with_owner: true, restored })),
        common_prefixes: Some(prefixes(&page, encoding)),
        is_truncated: Some(page.next.is_some()),
        next_marker: next.map(|last| encoded(last, encoding)),
        name: Some(input.bucket),
        prefix: Some(encoded(&query.prefix, encoding)),
        marker: Some(encoded(&input.marker.unwrap_or_default(), encoding)),
        delimiter: query.delimiter.as_deref().map(|text| encoded(text, encoding)),
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
    let start = input.continuation_token.as_deref().map(name_in).transpose()?;
    // A page begins where the token says.
    let start_after = input.start_after.filter(|_| start.is_none());
    let query = ListQuery {
        prefix: input.prefix.unwrap_or_default(),
        start_after: None,
        start: None,
        end: None,
        limit: limit(input.max_keys),
        delimiter: given(input.delimiter.as_ref()),
    };
    let query = match start {
        Some(start) => ListQuery { start: Some(start), ..query },
        None => marked(query, given(start_after.as_ref())),
    };
    let page = page(api, &input.bucket, &query)?;
    let told = ListOptions { encoding, with_owner: input.fetch_owner == Some(true), restored };
    Ok(S3Response::new(ListObjectsV2Output {
        key_count: Some((page.objects.len() + page.prefixes.len()) as i32),
        contents: Some(contents(&page, &told)),
        common_prefixes: Some(prefixes(&page, encoding)),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
        continuation_token: input.continuation_token,
        name: Some(input.bucket),
        prefix: Some(encoded(&query.prefix, encoding)),
        start_after: start_after.map(|text| encoded(&text, encoding)),
        delimiter: query.delimiter.as_deref().map(|text| encoded(text, encoding)),
        max_keys: Some(query.limit as i32),
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }))
}

/// ListObjectVersions: each object's only version, as none older is kept.
pub(super) fn list_versions(
    api: &Shared,
    request: S3Request<ListObjectVersionsInput>,
) -> Answer<ListObjectVersionsOutput> {
    let input = request.input;
    let encoding = input.encoding_type.as_ref();
    let query = ListQuery {
        prefix: input.prefix.unwrap_or_default(),
        start: None,
        start_after: None,
        end: None,
        limit: limit(input.max_keys),
        delimiter: given(input.delimiter.as_ref()),
    };
    // The only version of a key is the last one, too: a marker of versions adds nothing.
    let query = marked(query, given(input.key_marker.as_ref()));
    let page = page(api, &input.bucket, &query)?;
    let versions = page.objects.iter().map(|(name, stored)| {
        let (checksum_algorithm, checksum_type) = checksums(stored);
        ObjectVersion {
            checksum_algorithm,
            checksum_type,
            e_tag: Some(ETag::Strong(stored.s3_etag())),
            is_latest: Some(true),
            key: Some(encoded(name, encoding)),
            last_modified: Some(stored.modified.into()),
            owner: Some(owner()),
            size: Some(stored.size as i64),
            storage_class: Some(storage_class(&stored.storage_tier).to_owned().into()),
            version_id: Some(NULL.to_owned()),
            ..Default::default()
        }
    });
    let next = last(&page);
    let next_object = page.objects.last().filter(|(name, _)| Some(name) == next);
    Ok(S3Response::new(ListObjectVersionsOutput {
        versions: Some(versions.collect()),
        common_prefixes: Some(prefixes(&page, encoding)),
        is_truncated: Some(page.next.is_some()),
        next_key_marker: next.map(|last| encoded(last, encoding)),
        next_version_id_marker: next_object.map(|_| NULL.to_owned()),
        name: Some(input.bucket),
        prefix: Some(encoded(&query.prefix, encoding)),
        key_marker: Some(encoded(&input.key_marker.unwrap_or_default(), encoding)),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        delimiter: query.delimiter.as_deref().map(|text| encoded(text, encoding)),
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
        assert_eq!(encoded("a b/ü+%", Some(&url)), "a+b/%C3%BC%2B%25");
        assert_eq!(encoded("a b/ü+%", None), "a b/ü+%");
    }
}
