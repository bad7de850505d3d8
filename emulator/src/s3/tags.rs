// SPDX-License-Identifier: Apache-2.0
//! Tags of objects: kept as the header `x-amz-tagging`, which is a form, and told as a document.

use http::header::{HeaderName, HeaderValue};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::errors::{bad_request, error};
use super::lists::encoded;
use super::shared::{Answer, Shared};
use super::stored::find_version;
use crate::error::ApiError;
use crate::state::{Headers, Object as Stored};
use crate::target::Target;

/// The header that has the tags of what is written, and under which they are kept.
pub(super) const TAGGING: HeaderName = HeaderName::from_static("x-amz-tagging");

const MAX_TAGS: usize = 10;
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

/// The tags of a header that came, as they are kept; none if there are none.
pub(super) fn of_header(header: Option<&HeaderValue>) -> S3Result<Option<HeaderValue>> {
    let Some(header) = header else { return Ok(None) };
    let invalid = || {
        S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query \
             parameters without tag name duplicates.",
        )
    };
    let form = header.to_str().map_err(|_| invalid())?;
    let tags: Vec<_> = pairs(form);
    if tags.len() > MAX_TAGS {
        return Err(too_many());
    }
    check(&tags).map_err(|_| invalid())?;
    Ok(form_of(&tags))
}

/// The tags of an object.
pub(super) fn of(headers: &Headers) -> Vec<(String, String)> {
    let kept = headers.iter().find(|(name, _)| *name == TAGGING);
    kept.and_then(|(_, value)| value.to_str().ok()).map(pairs).unwrap_or_default()
}

fn pairs(form: &str) -> Vec<(String, String)> {
    let form = Target::parse(&format!("/?{form}"));
    form.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn too_many() -> S3Error {
    bad_request("BadRequest", "Object tags cannot be greater than 10")
}

/// The rules of tags: who breaks one is told which.
fn check(tags: &[(String, String)]) -> Result<(), &'static str> {
    let is_legal =
        |text: &str| text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c));
    for (at, (key, value)) in tags.iter().enumerate() {
        if tags[..at].iter().any(|(known, _)| known == key) {
            return Err("Cannot provide multiple Tags with the same key");
        }
        if key.starts_with("aws:") {
            return Err("Your TagKey cannot be prefixed with aws:");
        }
        if key.is_empty() || key.chars().count() > MAX_KEY || !is_legal(key) {
            return Err("The TagKey you have provided is invalid");
        }
        if value.chars().count() > MAX_VALUE || !is_legal(value) {
            return Err("The TagValue you have provided is invalid");
        }
    }
    Ok(())
}

fn form_of(tags: &[(String, String)]) -> Option<HeaderValue> {
    let url = EncodingType::from_static(EncodingType::URL);
    let encode = |text: &str| encoded(text, Some(&url));
    let pairs: Vec<_> =
        tags.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    (!pairs.is_empty()).then(|| HeaderValue::try_from(pairs.join("&")).ok())?
}

pub(super) fn get(
    api: &Shared,
    request: S3Request<GetObjectTaggingInput>,
) -> Answer<GetObjectTaggingOutput> {
    let input = request.input;
    let stored = find_version(api, (&input.bucket, &input.key), input.version_id.as_deref())?;
    let tags = of(&stored.headers).into_iter();
    let tag_set = tags.map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect();
    Ok(S3Response::new(GetObjectTaggingOutput { tag_set, version_id: None }))
}

pub(super) fn put(
    api: &Shared,
    request: S3Request<PutObjectTaggingInput>,
) -> Answer<PutObjectTaggingOutput> {
    let input = request.input;
    let tags: Option<Vec<_>> =
        input.tagging.tag_set.into_iter().map(|tag| Some((tag.key?, tag.value?))).collect();
    let tags = tags.ok_or(S3ErrorCode::MalformedXML)?;
    if tags.len() > MAX_TAGS {
        return Err(too_many());
    }
    check(&tags).map_err(|why| S3Error::with_message(S3ErrorCode::InvalidTag, why))?;
    set(api, (&input.bucket, &input.key), input.version_id.as_deref(), form_of(&tags))?;
    Ok(S3Response::new(PutObjectTaggingOutput::default()))
}

pub(super) fn delete(
    api: &Shared,
    request: S3Request<DeleteObjectTaggingInput>,
) -> Answer<DeleteObjectTaggingOutput> {
    let input = request.input;
    set(api, (&input.bucket, &input.key), input.version_id.as_deref(), None)?;
    Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
}

/// The ETag and the time of an object stay when its tags change.
fn set(
    api: &Shared,
    (bucket, key): (&str, &str),
    version: Option<&str>,
    tags: Option<HeaderValue>,
) -> S3Result<()> {
    let name = api.name(bucket);
    let found = find_version(api, (bucket, key), version)?;
    let edit = |object: &mut Stored| {
        if version.is_some() && object.version != found.version {
            return Err(ApiError::object_not_found(bucket, key));
        }
        object.headers.retain(|(name, _)| *name != TAGGING);
        object.headers.extend(tags.map(|tags| (TAGGING, tags)));
        Ok(())
    };
    api.storage().edit(&name, key, edit).map(drop).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_forms() {
        let kept = |text: &'static str| of_header(Some(&HeaderValue::from_static(text)));
        let told = |text| {
            let form = kept(text).unwrap().unwrap();
            let headers = vec![(TAGGING, form.clone())];
            (form.to_str().unwrap().to_owned(), of(&headers))
        };
        let (form, tags) = told("a=1&b+c=d%2Fe&f=");
        assert_eq!(form, "a=1&b+c=d/e&f=");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(tags, [pair("a", "1"), pair("b c", "d/e"), pair("f", "")]);
        assert_eq!(kept("").unwrap(), None);
        for wrong in ["a=1&a=2", "aws:a=1", "=1", "a=%3C"] {
            assert_eq!(*kept(wrong).unwrap_err().code(), S3ErrorCode::InvalidArgument, "{wrong}");
        }
        let many: Vec<_> = (0..11).map(|n| format!("{n}=")).collect();
        let many = HeaderValue::try_from(many.join("&")).unwrap();
        assert_eq!(of_header(Some(&many)).unwrap_err().code().as_str(), "BadRequest");
    }
}
