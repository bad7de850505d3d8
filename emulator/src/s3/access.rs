// SPDX-License-Identifier: Apache-2.0
//! Whether a request may be done: what must be right beside its signature, and what faults there
//! are.

use std::sync::atomic::Ordering;

use http::StatusCode;
use http::header::{HeaderMap, HeaderValue};
use s3s::access::{S3Access, S3AccessContext};
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde_json::Value;

use super::errors::{detailed, error, invalid_argument};
use super::shared::{Api, Shared, Ticket, header_map};
use super::signature::Claim;
use super::{api_check, lists};
use crate::error::ApiError;
use crate::identity::REGION;
use crate::request::text;

#[async_trait::async_trait]
impl S3Access for Api {
    /// What must be right beside the signature, and what faults there are.
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let bucket = cx.s3_path().get_bucket_name().map(str::to_owned);
        let operation = cx.s3_op().name().to_owned();
        if let Some(ticket) = cx.extensions_mut().get::<Ticket>() {
            ticket.0.known.store(true, Ordering::Relaxed);
        }
        // A form has its signature in its fields.
        let is_signed = cx.credentials().is_some();
        match cx.extensions_mut().get::<Claim>() {
            Some(claim) => self.0.check_region(bucket.as_deref(), &operation, claim)?,
            None if is_signed => {}
            None => self.0.check_public(bucket.as_deref(), &operation)?,
        }
        let has_nul = cx.s3_path().get_object_key().is_some_and(|key| key.contains('\0'));
        if has_nul {
            return Err(invalid_argument("Key", None, lists::NO_NULL.to_owned()));
        }
        if let Some(ticket) = cx.extensions_mut().get::<Ticket>() {
            lists::check(&operation, &ticket.0.target)?;
        }
        let method = cx.method().as_str().to_owned();
        if let Some(ticket) = cx.extensions_mut().get::<Ticket>() {
            self.0.check_faults(ticket, &method)?;
        }
        let ticket = cx.extensions_mut().get::<Ticket>().cloned();
        let target = ticket.as_ref().map_or("", |ticket| &ticket.0.target);
        api_check::check(&operation, cx.headers(), target)?;
        if !is_signed {
            api_check::check_unsigned(target)?;
        }
        let document = ticket.as_ref().and_then(|ticket| ticket.0.document.as_ref());
        let document = document.map_or(&[][..], |document| &document[..]);
        api_check::check_document(&operation, cx.headers(), document)?;
        self.0.check_dialect(&operation, cx.headers())
    }
}

impl Shared {
    fn check_public(&self, bucket: Option<&str>, operation: &str) -> S3Result<()> {
        let info = bucket.and_then(|bucket| self.storage().bucket(&self.name(bucket)).ok());
        let settings = info.map(|info| info.settings).unwrap_or_default();
        let reads = ["GetObject", "HeadObject"].contains(&operation);
        let lists = ["ListObjects", "ListObjectsV2", "HeadBucket"].contains(&operation);
        match settings.get("publicAccessType").and_then(Value::as_str) {
            Some("ObjectRead") if reads || lists => Ok(()),
            Some("ObjectReadWithoutList") if reads => Ok(()),
            _ => Err(S3ErrorCode::AccessDenied.into()),
        }
    }

    /// A request must be signed for the region of its bucket.
    fn check_region(&self, bucket: Option<&str>, operation: &str, claim: &Claim) -> S3Result<()> {
        let elsewhere = bucket.and_then(|bucket| self.regions.get_key_value(bucket));
        let region = elsewhere.map_or(REGION, |(_, region)| region.as_str());
        if claim.region() == region || operation == "GetBucketLocation" {
            return Ok(());
        }
        let mut error = match elsewhere {
            Some((bucket, _)) => detailed(
                S3Error::with_message(
                    S3ErrorCode::PermanentRedirect,
                    "The bucket you are attempting to access must be addressed using the \
                     specified endpoint. Please send all future requests to this endpoint.",
                ),
                &[("Bucket", bucket)],
            ),
            None => claim.wrong_region(region),
        };
        let mut told = error.headers().cloned().unwrap_or_default();
        let value = HeaderValue::try_from(region).map_err(S3Error::internal_error)?;
        told.insert("x-amz-bucket-region", value);
        error.set_headers(told);
        Err(error)
    }

    fn check_faults(&self, ticket: &Ticket, method: &str) -> S3Result<()> {
        let plan = self.server.faults.plan(method, &ticket.0.target, ticket.0.reused);
        let injected = plan.error.clone();
        let reset = plan.reset;
        *ticket.plan() = plan;
        if reset {
            return Err(S3ErrorCode::InternalError.into());
        }
        if let Some(injected) = injected {
            let status = StatusCode::from_u16(injected.status).unwrap_or_default();
            let message = injected.message.clone();
            let mut error = error(ApiError::new(status, &injected.code, injected.message));
            error.set_message(message);
            let seconds = injected.retry_after.map(|seconds| ("retry-after", seconds.to_string()));
            let location = injected.location.map(|to| ("location", to));
            let told: Vec<_> = seconds.into_iter().chain(location).collect();
            if !told.is_empty() {
                error.set_headers(header_map(&told)?);
            }
            return Err(error);
        }
        if ticket.0.throttled {
            return Err(error(ApiError::too_many_requests()));
        }
        Ok(())
    }

    /// What OCI's S3 API refuses and others take.
    fn check_dialect(&self, operation: &str, headers: &HeaderMap) -> S3Result<()> {
        if !self.oci_dialect {
            return Ok(());
        }
        let refuse = |code, message| Err(S3Error::with_message(code, message));
        let chunked = text(headers, "x-amz-content-sha256")
            .is_some_and(|hash| hash.starts_with("STREAMING-"));
        if chunked {
            return refuse(S3ErrorCode::NotImplemented, "AWS chunked encoding not supported.");
        }
        let sent = |name| headers.contains_key(name);
        let good = ["content-md5", "x-amz-checksum-sha256", "x-amz-checksum-crc32c"];
        if operation == "DeleteObjects"
            && (sent("x-amz-checksum-crc32") || !good.into_iter().any(sent))
        {
            return refuse(
                S3ErrorCode::InvalidRequest,
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-sha256 \
                 OR x-amz-checksum-crc32c",
            );
        }
        Ok(())
    }
}
