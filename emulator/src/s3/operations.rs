// SPDX-License-Identifier: Apache-2.0
//! The operations that are served, one by one.

use std::sync::Arc;

use http::StatusCode;
use s3s::dto::*;
use s3s::validation::NameValidation;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use serde_json::Map;

use super::errors::error;
use super::shared::{Answer, Api, Shared};
use super::{attributes, complete, copy, delete, lists, read, tags, upload_lists, uploads, write};
use crate::buckets;
use crate::identity::{COMPARTMENT, REGION};

#[async_trait::async_trait]
impl S3 for Api {
    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> Answer<ListBucketsOutput> {
        lists::list_buckets(&self.0, request)
    }

    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> Answer<CreateBucketOutput> {
        let name = request.input.bucket;
        let named = request.input.create_bucket_configuration;
        let region = self.0.regions.get(&name).map_or(REGION, String::as_str);
        check_location(named.and_then(|named| named.location_constraint), region)?;
        buckets::new_bucket(&name, COMPARTMENT, &Map::new(), self.0.now())
            .and_then(|bucket| self.0.storage().create_bucket(bucket))
            .map_err(error)?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> Answer<DeleteBucketOutput> {
        let name = self.0.name(&request.input.bucket);
        self.0.storage().delete_bucket(&name, None).map_err(error)?;
        Ok(S3Response::with_status(DeleteBucketOutput {}, StatusCode::NO_CONTENT))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        let bucket = request.input.bucket;
        self.0.storage().bucket(&self.0.name(&bucket)).map_err(error)?;
        let region = self.0.regions.get(&bucket).map_or(REGION, String::as_str);
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(region.to_owned()),
            ..Default::default()
        }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        let bucket = request.input.bucket;
        self.0.storage().bucket(&self.0.name(&bucket)).map_err(error)?;
        let region = self.0.regions.get(&bucket).map_or(REGION, String::as_str);
        Ok(S3Response::new(GetBucketLocationOutput {
            location_constraint: Some(region.to_owned().into()),
        }))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        self.0.storage().bucket(&self.0.name(&request.input.bucket)).map_err(error)?;
        Ok(S3Response::new(GetBucketVersioningOutput::default()))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        read::get(&self.0, request)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        read::head(&self.0, request)
    }

    async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> Answer<GetObjectAttributesOutput> {
        attributes::get(&self.0, &request)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        write::put(&self.0, request).await
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        copy::copy(&self.0, request).await
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> Answer<GetObjectTaggingOutput> {
        tags::get(&self.0, request)
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> Answer<PutObjectTaggingOutput> {
        tags::put(&self.0, request)
    }

    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> Answer<DeleteObjectTaggingOutput> {
        tags::delete(&self.0, request)
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> Answer<DeleteObjectOutput> {
        delete::delete(&self.0, request)
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> Answer<DeleteObjectsOutput> {
        delete::delete_many(&self.0, request)
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> Answer<ListObjectsOutput> {
        let bucket = request.input.bucket.clone();
        self.0.with_region(&bucket, lists::list(&self.0, request))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> Answer<ListObjectsV2Output> {
        let bucket = request.input.bucket.clone();
        self.0.with_region(&bucket, lists::list_v2(&self.0, request))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> Answer<ListObjectVersionsOutput> {
        lists::list_versions(&self.0, request)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        uploads::create(&self.0, request)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        uploads::put_part(&self.0, request).await
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        uploads::copy_part(&self.0, request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        complete::complete(&self.0, request)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        uploads::abort(&self.0, request)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        upload_lists::list_parts(&self.0, request)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        upload_lists::list(&self.0, request)
    }
}

/// A bucket is made where the endpoint is: an unspecified constraint is that.
fn check_location(asked: Option<BucketLocationConstraint>, region: &str) -> S3Result<()> {
    let Some(asked) = asked.filter(|asked| asked.as_str() != region) else { return Ok(()) };
    Err(S3Error::with_message(
        S3ErrorCode::IllegalLocationConstraintException,
        format!(
            "The {} location constraint is incompatible for the region specific endpoint this \
             request was sent to.",
            asked.as_str()
        ),
    ))
}

/// Names of buckets by S3's rules; one that was made by the native API keeps its name.
pub(super) struct Names(pub(super) Arc<Shared>);

impl NameValidation for Names {
    fn validate_bucket_name(&self, name: &str) -> bool {
        is_legal_name(name) || self.0.storage().bucket(&self.0.name(name)).is_ok()
    }
}

/// The rules of the name of a general purpose bucket.
fn is_legal_name(name: &str) -> bool {
    let reserved_start = ["xn--", "sthree-", "amzn-s3-demo-"];
    let reserved_end = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    s3s::path::check_bucket_name(name)
        && !reserved_start.iter().any(|start| name.starts_with(start))
        && !reserved_end.iter().any(|end| name.ends_with(end))
}
