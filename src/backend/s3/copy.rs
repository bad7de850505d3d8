// SPDX-License-Identifier: Apache-2.0
//! Copies inside the service, whole and by parts.

use super::{S3, answer, promises};
use crate::backend::http;
use crate::backend::{
    Attempt, Copied, CopyPartRequest, CopyRequest, Part, RequestFuture, exists, unsent,
};
use crate::url::encode_path_into;
use aws_sdk_s3::types::MetadataDirective;
use hyper::HeaderMap;

pub(super) fn copy<'a>(
    s3: &'a S3,
    request: &'a CopyRequest,
    attempt: Attempt,
) -> RequestFuture<'a, Copied> {
    Box::pin(async move {
        let placed = async {
            http::check_name(&request.to)?;
            let target = request.target.place(&attempt.timer).await?;
            let conditions = s3.conditions(&request.mode)?;
            Ok((target, source(s3.bucket()?, &request.from), conditions))
        };
        let placed = placed.await;
        let (target, from, conditions) = match placed {
            Ok(placed) => placed,
            Err(failure) => return Err(unsent(failure, attempt.timer)),
        };
        let from_tag = s3.source_tag(request.from_etag.as_deref());
        let copied = s3.send_by_sdk(attempt, &promises::COPY_OBJECT, |service, _, attach| {
            let operation = service
                .client
                .copy_object()
                .bucket(&target.bucket)
                .key(&*request.to)
                .copy_source(from)
                .set_copy_source_if_match(from_tag)
                .set_if_match(conditions.if_match.map(str::to_owned))
                .set_if_none_match(conditions.if_none_match.map(str::to_owned))
                .metadata_directive(MetadataDirective::Copy)
                .customize()
                .mutate_request(attach);
            let region = aws_sdk_s3::config::Region::new(target.region);
            let there = aws_sdk_s3::config::Config::builder().region(region);
            operation.config_override(there).send()
        });
        let copied = copied.await.map_err(|failure| exists(failure, &request.mode))?;
        let etag = copied.copy_object_result.and_then(|result| result.e_tag);
        let etag = etag.ok_or_else(|| promises::COPY_OBJECT.lacks("ETag", &HeaderMap::new()))?;
        Ok(Copied::Done(Some(answer::quoted(&etag))))
    })
}

pub(super) fn part<'a>(
    s3: &'a S3,
    request: &'a CopyPartRequest,
    attempt: Attempt,
) -> RequestFuture<'a, Part> {
    Box::pin(async move {
        let CopyPartRequest { upload, number, from_bucket, from, from_etag, range } = request;
        let from_tag = s3.source_tag(from_etag.as_deref());
        let copied = s3
            .send_by_sdk(attempt, &promises::COPY_PART, |service, bucket, attach| {
                service
                    .client
                    .upload_part_copy()
                    .bucket(bucket)
                    .key(&upload.key)
                    .upload_id(&upload.id)
                    .part_number(*number as i32)
                    .copy_source(source(from_bucket, from))
                    .set_copy_source_if_match(from_tag)
                    .copy_source_range(format!("bytes={}-{}", range.start, range.end - 1))
                    .customize()
                    .mutate_request(attach)
                    .send()
            })
            .await?;
        let etag = copied
            .copy_part_result
            .and_then(|result| result.e_tag)
            .ok_or_else(|| promises::COPY_PART.lacks("ETag", &HeaderMap::new()))?;
        Ok(Part { number: *number, etag, crc32c: None, size: range.end - range.start })
    })
}

/// `x-amz-copy-source`: percent-encoded.
fn source(bucket: &str, key: &str) -> String {
    let mut source = format!("{bucket}/");
    encode_path_into(&mut source, key);
    source
}
