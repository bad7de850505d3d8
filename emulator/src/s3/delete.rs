// SPDX-License-Identifier: Apache-2.0
//! DeleteObject and DeleteObjects.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::errors::{error, message};
use super::shared::{Answer, Shared};
use super::stored::{NULL, find_version, whole_seconds};
use crate::error::ApiError;
use crate::request::text;
use crate::state::Object as Stored;

/// Most keys of one DeleteObjects.
const MAX_KEYS: usize = 1000;

/// DeleteObject: what is not there is deleted already, unless it was to have an ETag.
pub(super) fn delete(
    api: &Shared,
    request: S3Request<DeleteObjectInput>,
) -> Answer<DeleteObjectOutput> {
    let (input, place) = (&request.input, (&*request.input.bucket, &*request.input.key));
    let expected = Expected {
        etag: text(&request.headers, "if-match"),
        size: input.if_match_size,
        modified: input.if_match_last_modified_time.clone(),
        version: input.version_id.as_deref(),
    };
    delete_one(api, place, &expected)?;
    Ok(S3Response::new(DeleteObjectOutput {
        version_id: input.version_id.clone(),
        ..Default::default()
    }))
}

pub(super) fn delete_many(
    api: &Shared,
    request: S3Request<DeleteObjectsInput>,
) -> Answer<DeleteObjectsOutput> {
    let DeleteObjectsInput { bucket, delete: Delete { objects, quiet }, .. } = request.input;
    api.storage().bucket(&api.name(&bucket)).map_err(error)?;
    if objects.is_empty() || objects.len() > MAX_KEYS {
        return Err(S3ErrorCode::MalformedXML.into());
    }
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in objects {
        let expected = Expected {
            etag: object.e_tag.as_ref().map(ETag::value),
            size: object.size,
            modified: object.last_modified_time.clone(),
            version: object.version_id.as_deref(),
        };
        match delete_one(api, (&bucket, &object.key), &expected) {
            Err(failed) => errors.push(refused(object, &failed)),
            Ok(()) => deleted.push(DeletedObject {
                key: Some(object.key),
                version_id: object.version_id,
                ..Default::default()
            }),
        }
    }
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (quiet != Some(true)).then_some(deleted),
        errors: Some(errors),
        ..Default::default()
    }))
}

/// What must be true of an object that is deleted.
#[derive(Default)]
struct Expected<'a> {
    etag: Option<&'a str>,
    size: Option<i64>,
    modified: Option<Timestamp>,
    version: Option<&'a str>,
}

impl Expected<'_> {
    fn check(&self, stored: &Stored) -> Result<(), ApiError> {
        stored.check_if_match(self.etag)?;
        let has_size = self.size.is_none_or(|size| i64::try_from(stored.size) == Ok(size));
        let is_then = |time: &Timestamp| *time == whole_seconds(stored.modified).into();
        if !has_size || !self.modified.as_ref().is_none_or(is_then) {
            return Err(ApiError::if_match_failed());
        }
        Ok(())
    }

    /// Whether another came since the one that is named was found.
    fn is_other_version(&self, stored: &Stored) -> bool {
        self.version.is_some_and(|version| version != NULL && version != stored.version)
    }
}

/// Deletes an object, or the version of it that is named, if it is as it is expected. One that is not there is deleted
/// already, unless a certain one was expected.
fn delete_one(api: &Shared, place: (&str, &str), expected: &Expected<'_>) -> S3Result<()> {
    match delete_found(api, place, expected) {
        Err(failed) if *failed.code() == S3ErrorCode::NoSuchVersion => Ok(()),
        Err(failed) if *failed.code() == S3ErrorCode::NoSuchKey && expected.etag.is_none() => {
            Ok(())
        }
        done => done,
    }
}

fn delete_found(
    api: &Shared,
    (bucket, key): (&str, &str),
    expected: &Expected<'_>,
) -> S3Result<()> {
    let name = api.name(bucket);
    api.storage().bucket(&name).map_err(error)?;
    if expected.version.is_some() {
        find_version(api, (bucket, key), expected.version)?;
    }
    let deleted = api.storage().delete(&name, key, |stored| {
        if expected.is_other_version(stored) {
            return Err(ApiError::object_not_found(bucket, key));
        }
        expected.check(stored)
    });
    deleted.map(|_| ()).map_err(error)
}

/// One of many that was not deleted. Here a version that cannot be one is one that is not there.
fn refused(object: ObjectIdentifier, failed: &S3Error) -> Error {
    let code = match failed.code() {
        S3ErrorCode::InvalidArgument => &S3ErrorCode::NoSuchVersion,
        other => other,
    };
    Error {
        code: Some(code.as_str().to_owned()),
        key: Some(object.key),
        message: message(code.as_str()).or(failed.message()).map(str::to_owned),
        version_id: object.version_id,
    }
}
